//! The memory port passes the suite, and the suite finds ports that do not.

use super::*;
use crate::conformance::{FarEnd, check};
use crate::memory::{Frame, MemoryConfig, PacketMemory};

fn memory() -> Arc<PacketMemory> {
    PacketMemory::new(MemoryConfig::with_chunks(512)).expect("packet memory")
}

/// The other end of a pair, with a pool of its own.
struct Peer {
    port: Option<MemoryPort>,
    pool: Pool,
}

impl FarEnd for Peer {
    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let mut burst = Burst::new();
        let frame = Frame::from_slice(&self.pool, bytes).ok_or("no memory")?;
        burst.push(frame).map_err(|_| "no room")?;
        let report = self.port.as_mut().ok_or("removed")?.tx(&self.pool, &mut burst);
        if report.sent_frames == 1 { Ok(()) } else { Err(format!("{report:?}")) }
    }

    fn receive(&mut self) -> Result<Option<Vec<u8>>, String> {
        let Some(frame) = self.port.as_ref().ok_or("removed")?.from_peer.pop() else {
            return Ok(None);
        };
        Ok(frame.adopt(&self.pool).ok().map(|frame| frame.copy_to_vec()))
    }

    fn remove(&mut self) -> bool {
        self.port.take().is_some()
    }
}

fn run<P: Port>(
    capabilities: Capabilities,
    wrap: impl FnOnce(MemoryPort) -> P,
) -> Result<(), String> {
    let memory = memory();
    check(&memory, || {
        let (port, peer) = MemoryPort::pair(capabilities, 128);
        (wrap(port), Peer { port: Some(peer), pool: Pool::new(&memory) })
    })
}

#[test]
fn conforms_with_and_without_offloads() {
    assert_eq!(run(MemoryPort::ANY, |port| port), Ok(()));
    assert_eq!(run(MemoryPort::PLAIN, |port| port), Ok(()));
}

/// A port that is wrong in one way.
struct Faulty {
    inner: MemoryPort,
    fault: Fault,
    calls: u32,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Reorders,
    LosesSilently,
    LeaksChunks,
    LeavesFrames,
    Corrupts,
}

impl Port for Faulty {
    fn kind(&self) -> PortKind {
        self.inner.kind()
    }
    fn capabilities(&self) -> Capabilities {
        self.inner.capabilities()
    }
    fn link_up(&self) -> bool {
        self.inner.link_up()
    }
    fn rx(&mut self, pool: &Pool, burst: &mut Burst) -> Result<DropTally, PortGone> {
        let outcome = self.inner.rx(pool, burst);
        match self.fault {
            Fault::Corrupts => burst.iter_mut().for_each(|frame| frame.head_mut()[40] ^= 1),
            Fault::LeaksChunks => std::mem::forget(pool.alloc()),
            _ => {}
        }
        outcome
    }
    fn tx(&mut self, pool: &Pool, burst: &mut Burst) -> TxReport {
        self.calls += 1;
        match self.fault {
            Fault::Reorders => burst.reverse(),
            Fault::LosesSilently if self.calls > 20 => {
                burst.pop();
            }
            Fault::LeavesFrames => {
                let kept = burst.pop();
                let report = self.inner.tx(pool, burst);
                kept.map(|frame| burst.push(frame));
                return report;
            }
            _ => {}
        }
        self.inner.tx(pool, burst)
    }
    fn flush(&mut self, pool: &Pool) -> Result<(), PortGone> {
        self.inner.flush(pool)
    }
    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    fn prepare_sleep(&mut self, pool: &Pool) -> Result<bool, PortGone> {
        self.inner.prepare_sleep(pool)
    }
    fn statistics(&self) -> PortStatistics {
        self.inner.statistics()
    }
}

#[test]
fn the_suite_finds_every_fault() {
    for (fault, sentence) in [
        (Fault::Reorders, "frame 0: "),
        (Fault::LosesSilently, "tx reported"),
        (Fault::LeavesFrames, "tx left frames in the burst"),
        (Fault::Corrupts, "first difference at Some(40)"),
        (Fault::LeaksChunks, "of 512 chunks came home"),
    ] {
        let violation = run(MemoryPort::PLAIN, |inner| Faulty { inner, fault, calls: 0 })
            .expect_err("the suite must not let it pass");
        assert!(violation.contains(sentence), "{fault:?}: {violation}");
    }
}

#[test]
fn a_full_queue_and_a_line_without_carrier_are_counted() {
    let memory = memory();
    let pool = Pool::new(&memory);
    let (mut port, mut peer) = MemoryPort::pair(MemoryPort::ANY, 3);
    let mut burst = Burst::new();
    let fill = |burst: &mut Burst| {
        for _ in 0..5 {
            burst.push(Frame::from_slice(&pool, &[0; 60]).expect("a chunk")).expect("room");
        }
    };
    fill(&mut burst);
    let report = port.tx(&pool, &mut burst);
    assert_eq!((report.sent_frames, report.dropped.get(DropReason::TxQueueFull)), (3, 2));
    peer.set_carrier(false);
    assert!(!port.link_up());
    fill(&mut burst);
    assert_eq!(port.tx(&pool, &mut burst).dropped.get(DropReason::PortDown), 5);
    assert_eq!(port.statistics().tx_dropped.total(), 7);
    // What was under way before the interruption still arrives, and before the peer's end is told.
    drop(port);
    assert_eq!(peer.rx(&pool, &mut burst), Ok(DropTally::NONE));
    assert_eq!(burst.len(), 3);
    assert_eq!(peer.rx(&pool, &mut burst), Err(PortGone::Peer));
    assert_eq!(burst.len(), 3);
    burst.clear();
    assert_eq!(memory.free_count(), 512);
}
