//! The port: what it receives comes from a file, what it transmits goes to one.

use std::fmt;
use std::io::{Read, Write};
use std::os::fd::BorrowedFd;

use proto::DropReason;

use super::{PACKET_MAX_BYTES, PcapError, Reader, Writer, write::InterfaceId};
use crate::burst::{BURST_MAX, Burst};
use crate::memory::{Frame, Pool, SEGMENTS_MAX};
use crate::port::{
    Capabilities, DropTally, Port, PortGone, PortKind, PortStatistics, SUPER_FRAME_MAX_BYTES,
    TxReport,
};

/// A port on capture files. Without a replay nothing comes in; without a capture, what is
/// transmitted is counted and forgotten.
///
/// Frames come in as fast as they are asked for; their time stamps are not waited for. One that the
/// capture had cut is dropped as `malformed`: its end is not known.
pub struct PcapPort {
    replay: Option<Reader<Box<dyn Read + Send>>>,
    capture: Option<(Writer<Box<dyn Write + Send>>, InterfaceId)>,
    /// Asked once a burst: nanoseconds since 1970.
    clock: fn() -> u64,
    exhausted: bool,
    gone: Option<PortGone>,
    statistics: PortStatistics,
}

impl PcapPort {
    /// A port that replays `replay` and captures to `capture` under the name `interface`, with time
    /// stamps of `clock`.
    ///
    /// # Errors
    /// [`PcapError`]: the replay is no capture of Ethernet frames, or the capture cannot be
    /// written.
    pub fn new(
        replay: Option<Box<dyn Read + Send>>,
        capture: Option<Box<dyn Write + Send>>,
        interface: &str,
        clock: fn() -> u64,
    ) -> Result<Self, PcapError> {
        let replay = replay.map(Reader::new).transpose()?;
        let capture = match capture {
            Some(output) => {
                let mut writer = Writer::new(output)?;
                let id = writer.interface(interface)?;
                Some((writer, id))
            }
            None => None,
        };
        let exhausted = replay.is_none();
        let statistics = PortStatistics::default();
        Ok(Self { replay, capture, clock, exhausted, gone: None, statistics })
    }

    /// Whether the replay has come to its end.
    #[must_use]
    pub const fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    fn fail(&mut self, error: &dyn fmt::Display) -> PortGone {
        let gone = PortGone::Capture { problem: error.to_string() };
        self.gone.get_or_insert(gone).clone()
    }

    fn check_gone(&self) -> Result<(), PortGone> {
        self.gone.clone().map_or(Ok(()), Err)
    }

    fn read(&mut self, pool: &Pool) -> Result<Option<Result<Frame, DropReason>>, PcapError> {
        let Some(replay) = &mut self.replay else { return Ok(None) };
        let Some(packet) = replay.next_packet()? else { return Ok(None) };
        if packet.bytes.len() != packet.original_len as usize {
            return Ok(Some(Err(DropReason::Malformed)));
        }
        if packet.bytes.len() > SUPER_FRAME_MAX_BYTES {
            return Ok(Some(Err(DropReason::MtuExceeded)));
        }
        Ok(Some(Frame::from_slice(pool, packet.bytes).ok_or(DropReason::NoMemory)))
    }
}

impl Port for PcapPort {
    fn kind(&self) -> PortKind {
        PortKind::Pcap
    }

    fn capabilities(&self) -> Capabilities {
        // A capture cannot say that a frame is not complete, so none that is not goes in.
        Capabilities {
            checksum: false,
            tso: false,
            uso: false,
            max_frame_bytes: SUPER_FRAME_MAX_BYTES,
            max_segments: SEGMENTS_MAX,
        }
    }

    fn link_up(&self) -> bool {
        self.gone.is_none()
    }

    fn rx(&mut self, pool: &Pool, burst: &mut Burst) -> Result<DropTally, PortGone> {
        self.check_gone()?;
        let mut dropped = DropTally::NONE;
        let (before, mut read) = (burst.len(), 0);
        while !burst.is_full() && read < BURST_MAX && !self.exhausted {
            read += 1;
            match self.read(pool) {
                Ok(Some(Ok(frame))) => {
                    self.statistics.rx_frames += 1;
                    self.statistics.rx_bytes += frame.len_bytes() as u64;
                    if burst.push(frame).is_err() {
                        break;
                    }
                }
                Ok(Some(Err(reason))) => dropped.add(reason),
                Ok(None) => self.exhausted = true,
                Err(error) => {
                    let gone = self.fail(&error);
                    if burst.len() == before && dropped == DropTally::NONE {
                        return Err(gone);
                    }
                    break;
                }
            }
        }
        self.statistics.rx_dropped.add(&dropped);
        Ok(dropped)
    }

    fn tx(&mut self, _pool: &Pool, burst: &mut Burst) -> TxReport {
        let mut report = TxReport::default();
        let now_ns = if self.capture.is_some() { (self.clock)() } else { 0 };
        for frame in burst.drain() {
            if self.gone.is_some() {
                report.dropped.add(DropReason::PortDown);
                continue;
            }
            if let Err(reason) = self.capabilities().admit(&frame) {
                report.dropped.add(reason);
                continue;
            }
            let written = match &mut self.capture {
                Some((writer, id)) => {
                    writer.packet(*id, now_ns, frame.segments(), PACKET_MAX_BYTES)
                }
                None => Ok(()),
            };
            match written {
                Ok(()) => report.sent(frame.len_bytes()),
                Err(error) => {
                    self.fail(&error);
                    report.dropped.add(DropReason::PortDown);
                }
            }
        }
        self.statistics.add_tx(&report);
        report
    }

    fn flush(&mut self, _pool: &Pool) -> Result<(), PortGone> {
        self.check_gone()?;
        let flushed = self.capture.as_mut().map_or(Ok(()), |(writer, _)| writer.flush());
        flushed.map_err(|error| self.fail(&error))
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn prepare_sleep(&mut self, _pool: &Pool) -> Result<bool, PortGone> {
        self.check_gone().map(|()| self.exhausted)
    }

    fn statistics(&self) -> PortStatistics {
        self.statistics
    }
}

impl fmt::Debug for PcapPort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PcapPort")
            .field("replays", &self.replay.is_some())
            .field("captures", &self.capture.is_some())
            .field("gone", &self.gone)
            .finish_non_exhaustive()
    }
}
