//! The suite that every port must pass: the invariants of [`port`](crate::port), one by one.
//!
//! *Where it sits*: the tests of each port kind call [`check`] with a way to make the port and to
//! play its other side. It panics nowhere: what is violated comes back as a sentence.
//! *Invariant*: only frames of its own EtherType are looked at, because the kernel at the other
//! side of a real device also speaks for itself.
//! *Not here*: what is special to one kind (offload headers, queues, programs).

use std::sync::Arc;
use std::time::{Duration, Instant};

use proto::DropReason;
use proto::frame::{Gso, GsoKind, Offload, PartialChecksum};

use crate::burst::{BURST_MAX, Burst};
use crate::memory::{Frame, PacketMemory, Pool};
use crate::port::{DropTally, Port, PortGone};

/// EtherType of the suite's frames: local experimental (IEEE 802-2014 clause 9.2.3).
pub const ETHER_TYPE: [u8; 2] = [0x88, 0xb5];
/// Longest wait for a frame that must come.
const PATIENCE: Duration = Duration::from_secs(10);

/// The other side of a port under test.
pub trait FarEnd {
    /// Sends a frame toward the port.
    ///
    /// # Errors
    /// A sentence: the test cannot go on.
    fn send(&mut self, bytes: &[u8]) -> Result<(), String>;

    /// A frame that the port transmitted, if one has arrived. Never blocks.
    ///
    /// # Errors
    /// A sentence: the test cannot go on.
    fn receive(&mut self) -> Result<Option<Vec<u8>>, String>;

    /// Takes the device away under the port. False when the kind has no such event.
    fn remove(&mut self) -> bool;
}

/// Runs the suite on the port that `make` makes on this memory.
///
/// # Errors
/// The first violation, as a sentence.
pub fn check<P: Port, F: FarEnd>(
    memory: &Arc<PacketMemory>,
    make: impl FnOnce() -> (P, F),
) -> Result<(), String> {
    let free_before = memory.free_count();
    let (port, far) = make();
    let mut suite = Suite { pool: Pool::new(memory), port, far, number: 0 };
    // A device can receive from the first call on: it is what gives it chunks.
    suite.port.rx(&suite.pool, &mut Burst::new()).map_err(|e| e.to_string())?;
    suite.bursts_of_every_size_arrive_in_order()?;
    suite.bursts_of_every_size_come_in_in_order()?;
    suite.every_length_crosses_unchanged()?;
    suite.what_the_port_cannot_take_is_refused_and_counted()?;
    suite.a_vanished_device_is_reported_for_good()?;
    drop(suite);
    require(memory.free_count() == free_before, || {
        format!("{} of {free_before} chunks came home", memory.free_count())
    })
}

struct Suite<P, F> {
    pool: Pool,
    port: P,
    far: F,
    /// Number of the next frame, so that no two are alike.
    number: u32,
}

impl<P: Port, F: FarEnd> Suite<P, F> {
    fn bursts_of_every_size_arrive_in_order(&mut self) -> Result<(), String> {
        for count in 0..=BURST_MAX {
            let frames = self.frames(count, 60 + count);
            self.transmit(&frames)?;
            self.expect_at_far_end(&frames)?;
        }
        Ok(())
    }

    fn bursts_of_every_size_come_in_in_order(&mut self) -> Result<(), String> {
        for count in 0..=BURST_MAX {
            let frames = self.frames(count, 60 + count);
            for bytes in &frames {
                self.far.send(bytes)?;
            }
            self.expect_at_port(&frames)?;
        }
        // A burst that is full already takes nothing, and loses nothing of what it has.
        let mut burst = Burst::new();
        while burst.push(self.frame(&[0; 60])?).is_ok() {}
        let waiting = self.frames(1, 60);
        self.far.send(&waiting[0])?;
        self.port.rx(&self.pool, &mut burst).map_err(|e| e.to_string())?;
        require(burst.len() == BURST_MAX, || "rx changed a full burst".to_owned())?;
        drop(burst);
        self.expect_at_port(&waiting)
    }

    fn every_length_crosses_unchanged(&mut self) -> Result<(), String> {
        let max = self.port.capabilities().max_frame_bytes;
        // The other side of a device has its own idea of the tags that may come on top.
        for len in [60, 61, 64, 127, 128, 1024, 1513, 1514, 3000, 4096, 9014] {
            if len + crate::port::TAGS_BYTES > max {
                break;
            }
            let frames = self.frames(3, len);
            self.transmit(&frames)?;
            self.expect_at_far_end(&frames)?;
            for bytes in &frames {
                self.far.send(bytes)?;
            }
            self.expect_at_port(&frames)?;
        }
        Ok(())
    }

    fn what_the_port_cannot_take_is_refused_and_counted(&mut self) -> Result<(), String> {
        let capabilities = self.port.capabilities();
        let before = self.port.statistics();
        let mut expected = DropTally::NONE;
        let mut burst = Burst::new();
        let (first, last) = (self.frames(1, 60), self.frames(1, 60));
        let mut offer = |frame: Frame| burst.push(frame).map_err(|_| "no room".to_owned());
        offer(self.frame(&first[0])?)?;
        offer(self.frame(&vec![0; capabilities.max_frame_bytes + 1])?)?;
        let single_chunk = capabilities.max_segments == 1;
        let too_long = self.frame(&vec![0; capabilities.max_frame_bytes + 1])?.segment_count() > 1;
        expected.add(if single_chunk && too_long {
            DropReason::OffloadUnsupported
        } else {
            DropReason::MtuExceeded
        });
        let mut open = self.frame(&[0; 60])?;
        let checksum = Some(PartialChecksum { start: 34, offset: 16 });
        open.set_offload(Offload { checksum, ..Offload::NONE });
        if !capabilities.checksum {
            offer(open)?;
            expected.add(DropReason::OffloadUnsupported);
        }
        if !capabilities.tso {
            let mut large = self.frame(&[0; 60])?;
            let gso = Gso { kind: GsoKind::TcpV4, size: 1, header_len: 54, ecn: false };
            large.set_offload(Offload { gso: Some(gso), ..Offload::NONE });
            offer(large)?;
            expected.add(DropReason::OffloadUnsupported);
        }
        offer(self.frame(&last[0])?)?;
        let report = self.port.tx(&self.pool, &mut burst);
        self.port.flush(&self.pool).map_err(|e| e.to_string())?;
        require(burst.is_empty(), || "tx left frames in the burst".to_owned())?;
        require(report.dropped == expected && report.sent_frames == 2, || {
            format!("of a good, {expected:?} and a good frame tx reported {report:?}")
        })?;
        let after = self.port.statistics();
        for (reason, count) in expected.iter() {
            let counted = after.tx_dropped.get(reason) - before.tx_dropped.get(reason);
            require(counted == u64::from(count), || {
                format!("{} {} drops are counted as {counted}", count, reason.name())
            })?;
        }
        self.expect_at_far_end(&[first, last].concat())
    }

    fn a_vanished_device_is_reported_for_good(&mut self) -> Result<(), String> {
        if !self.far.remove() {
            return Ok(());
        }
        let deadline = Instant::now() + PATIENCE;
        let mut burst = Burst::new();
        while self.worker_round(&mut burst).is_ok() {
            require(Instant::now() < deadline, || "the vanished device is not reported".into())?;
        }
        for _ in 0..3 {
            require(self.port.rx(&self.pool, &mut burst).is_err(), || {
                "rx forgot that the device is gone".to_owned()
            })?;
            burst.push(self.frame(&[0; 60])?).map_err(|_| "no room".to_owned())?;
            let report = self.port.tx(&self.pool, &mut burst);
            require(burst.is_empty() && report.sent_frames == 0, || {
                format!("tx on a vanished device left or sent frames: {report:?}")
            })?;
            require(report.dropped.get(DropReason::PortDown) == 1, || {
                format!("tx on a vanished device reported {report:?}")
            })?;
            require(self.port.flush(&self.pool).is_err(), || {
                "flush does not report the vanished device".to_owned()
            })?;
        }
        require(!self.port.link_up(), || "the link of a vanished device is up".to_owned())
    }

    /// What a worker without work does: receive, flush, prepare to sleep.
    fn worker_round(&mut self, burst: &mut Burst) -> Result<(), PortGone> {
        self.port.rx(&self.pool, burst)?;
        burst.clear();
        self.port.flush(&self.pool)?;
        self.port.prepare_sleep(&self.pool).map(drop)
    }

    /// Transmits the frames as one burst, which the port must take whole.
    fn transmit(&mut self, frames: &[Vec<u8>]) -> Result<(), String> {
        let before = self.port.statistics();
        let mut burst = Burst::new();
        for bytes in frames {
            burst.push(self.frame(bytes)?).map_err(|_| "no room".to_owned())?;
        }
        let report = self.port.tx(&self.pool, &mut burst);
        self.port.flush(&self.pool).map_err(|e| e.to_string())?;
        let bytes: u64 = frames.iter().map(|frame| frame.len() as u64).sum();
        require(burst.is_empty(), || "tx left frames in the burst".to_owned())?;
        require(
            report.sent_frames as usize == frames.len()
                && report.sent_bytes == bytes
                && report.dropped == DropTally::NONE,
            || format!("of {} frames of {bytes} bytes in all tx reported {report:?}", frames.len()),
        )?;
        let after = self.port.statistics();
        require(
            after.tx_frames - before.tx_frames == u64::from(report.sent_frames)
                && after.tx_bytes - before.tx_bytes == report.sent_bytes,
            || format!("tx reported {report:?}, the statistics went {before:?} -> {after:?}"),
        )
    }

    /// Waits until exactly these frames have arrived at the far end.
    fn expect_at_far_end(&mut self, frames: &[Vec<u8>]) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        for (index, expected) in frames.iter().enumerate() {
            let arrived = loop {
                match self.far.receive()? {
                    Some(bytes) if is_ours(&bytes) => break bytes,
                    Some(_) => {}
                    None => {
                        require(Instant::now() < deadline, || {
                            format!("frame {index} of {} never left the port", frames.len())
                        })?;
                        self.port.flush(&self.pool).map_err(|e| e.to_string())?;
                    }
                }
            };
            compare(index, expected, &arrived)?;
        }
        Ok(())
    }

    /// Waits until exactly these frames have come in.
    fn expect_at_port(&mut self, frames: &[Vec<u8>]) -> Result<(), String> {
        let deadline = Instant::now() + PATIENCE;
        let (mut index, mut burst) = (0, Burst::new());
        while index < frames.len() {
            let before = self.port.statistics();
            let dropped = self.port.rx(&self.pool, &mut burst).map_err(|e| e.to_string())?;
            let after = self.port.statistics();
            require(
                after.rx_frames - before.rx_frames == burst.len() as u64
                    && after.rx_dropped.total() - before.rx_dropped.total()
                        == u64::from(dropped.total()),
                || format!("rx gave {} frames, statistics {before:?} -> {after:?}", burst.len()),
            )?;
            for frame in burst.drain().filter(|frame| is_ours(frame.head())) {
                let expected = frames.get(index).ok_or("more frames came in than were sent")?;
                compare(index, expected, &frame.copy_to_vec())?;
                index += 1;
            }
            require(index == frames.len() || Instant::now() < deadline, || {
                format!("frame {index} of {} never came in", frames.len())
            })?;
        }
        Ok(())
    }

    fn frames(&mut self, count: usize, len: usize) -> Vec<Vec<u8>> {
        let first = self.number;
        self.number += count as u32;
        (first..self.number).map(|number| numbered(number, len)).collect()
    }

    fn frame(&self, bytes: &[u8]) -> Result<Frame, String> {
        Frame::from_slice(&self.pool, bytes).ok_or_else(|| "the memory is too small".to_owned())
    }
}

/// A frame of the suite with this number and length, at least 18 bytes.
fn numbered(number: u32, len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    // Broadcast, so that a kernel at the far end hands it to packet sockets in any case.
    bytes[..6].fill(0xff);
    bytes[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    bytes[12..14].copy_from_slice(&ETHER_TYPE);
    bytes[14..18].copy_from_slice(&number.to_be_bytes());
    for (at, byte) in bytes.iter_mut().enumerate().skip(18) {
        *byte = (at as u32).wrapping_mul(number | 1).to_be_bytes()[2] ^ at as u8;
    }
    bytes
}

fn is_ours(bytes: &[u8]) -> bool {
    bytes.get(12..14) == Some(&ETHER_TYPE[..])
}

fn compare(index: usize, expected: &[u8], seen: &[u8]) -> Result<(), String> {
    let differs = expected.iter().zip(seen).position(|(a, b)| a != b);
    require(expected == seen, || {
        format!(
            "frame {index}: {} bytes expected, {} seen, first difference at {differs:?}; \
             number {:?} expected, {:?} seen",
            expected.len(),
            seen.len(),
            expected.get(14..18),
            seen.get(14..18)
        )
    })
}

fn require(holds: bool, violation: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(violation()) }
}
