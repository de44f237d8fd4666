//! A port in memory: two ends, what one transmits the other receives.
//!
//! *Where it sits*: unit tests, benches and the simulator use it in place of a device. The two
//! ends may be in different threads. *Invariants*: a fixed queue a direction, full means
//! `tx-queue-full`; no allocation; like a veth, one end is gone when the other is dropped.

use std::os::fd::BorrowedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crossbeam::queue::ArrayQueue;
use proto::DropReason;

use crate::burst::Burst;
use crate::memory::{DetachedFrame, Pool, SEGMENTS_MAX};
use crate::port::{
    Capabilities, DropTally, Port, PortGone, PortKind, PortStatistics, SUPER_FRAME_MAX_BYTES,
    TxReport,
};

type Queue = ArrayQueue<DetachedFrame>;

/// One end of a pair. Both ends must use pools of one packet memory: a frame of another one
/// is dropped on receipt as `no-memory`.
#[derive(Debug)]
pub struct MemoryPort {
    capabilities: Capabilities,
    /// Each end holds both queues, so a queue with one holder has lost its other end.
    to_peer: Arc<Queue>,
    from_peer: Arc<Queue>,
    carrier: Arc<AtomicBool>,
    statistics: PortStatistics,
}

impl MemoryPort {
    /// What the largest of ports can: everything.
    pub const ANY: Capabilities = Capabilities {
        checksum: true,
        tso: true,
        uso: true,
        max_frame_bytes: SUPER_FRAME_MAX_BYTES,
        max_segments: SEGMENTS_MAX,
    };

    /// What an AF_XDP port of MTU 1500 without multi-buffer can: plain complete frames.
    pub const PLAIN: Capabilities = Capabilities {
        checksum: false,
        tso: false,
        uso: false,
        max_frame_bytes: 1522,
        max_segments: 1,
    };

    /// Two connected ends with these capabilities and `queue_len` frames (at least 1) of queue in
    /// each direction.
    #[must_use]
    pub fn pair(capabilities: Capabilities, queue_len: usize) -> (Self, Self) {
        let (there, back) =
            (Arc::new(Queue::new(queue_len.max(1))), Arc::new(Queue::new(queue_len.max(1))));
        let carrier = Arc::new(AtomicBool::new(true));
        let end = |to_peer: &Arc<Queue>, from_peer: &Arc<Queue>| Self {
            capabilities,
            to_peer: Arc::clone(to_peer),
            from_peer: Arc::clone(from_peer),
            carrier: Arc::clone(&carrier),
            statistics: PortStatistics::default(),
        };
        (end(&there, &back), end(&back, &there))
    }

    /// Connects or interrupts the line, for both ends. What is transmitted while it is interrupted
    /// is dropped as `port-down`.
    pub fn set_carrier(&self, up: bool) {
        self.carrier.store(up, Ordering::Relaxed);
    }

    fn has_peer(&self) -> bool {
        Arc::strong_count(&self.from_peer) > 1
    }
}

impl Port for MemoryPort {
    fn kind(&self) -> PortKind {
        PortKind::Memory
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn link_up(&self) -> bool {
        self.has_peer() && self.carrier.load(Ordering::Relaxed)
    }

    fn rx(&mut self, pool: &Pool, burst: &mut Burst) -> Result<DropTally, PortGone> {
        // Asked first: a peer that sends and goes away meanwhile has all its frames received.
        let has_peer = self.has_peer();
        let mut dropped = DropTally::NONE;
        for count in 0..burst.room() {
            let Some(frame) = self.from_peer.pop() else {
                if !has_peer && count == 0 {
                    return Err(PortGone::Peer);
                }
                break;
            };
            let Ok(frame) = frame.adopt(pool) else {
                dropped.add(DropReason::NoMemory);
                continue;
            };
            self.statistics.rx_frames += 1;
            self.statistics.rx_bytes += frame.len_bytes() as u64;
            self.statistics.rx_super_frames += u64::from(frame.offload().gso.is_some());
            if burst.push(frame).is_err() {
                break;
            }
        }
        self.statistics.rx_dropped.add(&dropped);
        Ok(dropped)
    }

    fn tx(&mut self, _pool: &Pool, burst: &mut Burst) -> TxReport {
        let mut report = TxReport::default();
        let link_up = self.link_up();
        for frame in burst.drain() {
            let (len, is_super) = (frame.len_bytes(), frame.offload().gso.is_some());
            let taken =
                if link_up { self.capabilities.admit(&frame) } else { Err(DropReason::PortDown) }
                    .and_then(|()| {
                        self.to_peer
                            .push(frame.into_detached())
                            .map_err(|_| DropReason::TxQueueFull)
                    });
            match taken {
                Ok(()) => {
                    report.sent(len);
                    self.statistics.tx_super_frames += u64::from(is_super);
                }
                Err(reason) => report.dropped.add(reason),
            }
        }
        self.statistics.add_tx(&report);
        report
    }

    fn flush(&mut self, _pool: &Pool) -> Result<(), PortGone> {
        if self.has_peer() { Ok(()) } else { Err(PortGone::Peer) }
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }

    fn prepare_sleep(&mut self, _pool: &Pool) -> Result<bool, PortGone> {
        if self.has_peer() || !self.from_peer.is_empty() { Ok(false) } else { Err(PortGone::Peer) }
    }

    fn statistics(&self) -> PortStatistics {
        self.statistics
    }
}

#[cfg(test)]
mod tests;
