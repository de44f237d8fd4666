//! How much packet memory a dataplane needs: a sum with a reason for each term.
//!
//! Chunks are never allocated later, so a sum that is too small shows as `no-memory` drops under
//! load. The terms are worst cases of what can hold chunks at one time.

use crate::burst::BURST_MAX;
use crate::memory::{ChunkSize, MAGAZINE_CHUNKS};
use crate::port::SUPER_FRAME_MAX_BYTES;

/// What a dataplane consists of, as far as packet memory goes.
#[derive(Clone, Copy, Debug)]
pub struct MemoryBudget {
    /// Size of a chunk.
    pub chunk_size: ChunkSize,
    /// Worker threads.
    pub workers: u32,
    /// AF_XDP sockets: one for each queue of each NIC or veth.
    pub afxdp_queues: u32,
    /// Entries of each of their rings.
    pub afxdp_ring_len: u32,
    /// TAP queues that receive at the same time; a sleeping one holds nothing.
    pub tap_queues: u32,
    /// Frames that wait outside the workers: punted to the control plane, on their way between two
    /// workers, or sampled for a capture.
    pub frames_waiting: u32,
}

/// One term of the sum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Term {
    /// What holds the chunks.
    pub reason: &'static str,
    /// How many.
    pub chunks: u64,
}

impl MemoryBudget {
    /// Chunks of the longest super-frame.
    #[must_use]
    pub const fn super_frame_chunks(chunk_size: ChunkSize) -> u64 {
        // One more for the headroom of the first.
        SUPER_FRAME_MAX_BYTES.div_ceil(chunk_size.bytes()) as u64 + 1
    }

    /// The terms of the sum.
    #[must_use]
    pub fn terms(&self) -> [Term; 5] {
        let super_frame = Self::super_frame_chunks(self.chunk_size);
        let (workers, burst) = (u64::from(self.workers), BURST_MAX as u64);
        let ring = u64::from(self.afxdp_ring_len);
        [
            Term {
                reason: "AF_XDP rings: every fill and receive entry, every transmit entry",
                chunks: u64::from(self.afxdp_queues) * ring * 2,
            },
            Term {
                reason: "TAP queues: the chunks that the next read goes into",
                chunks: u64::from(self.tap_queues) * super_frame,
            },
            Term {
                reason: "bursts in work: a received one of super-frames, a copy or its segments",
                chunks: workers * burst * super_frame * 2,
            },
            Term {
                reason: "worker caches: two magazines each, and one on its way",
                chunks: workers * 3 * MAGAZINE_CHUNKS as u64,
            },
            Term {
                reason: "frames waiting outside the workers",
                chunks: u64::from(self.frames_waiting) * super_frame,
            },
        ]
    }

    /// The number of chunks for [`MemoryConfig::chunk_count`](crate::MemoryConfig::chunk_count);
    /// the largest number when the sum does not fit, which the memory then refuses.
    #[must_use]
    pub fn chunk_count(&self) -> u32 {
        let sum: u64 = self.terms().iter().map(|term| term.chunks).sum();
        u32::try_from(sum.max(1)).unwrap_or(u32::MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_small_host_fits_in_64_mib() {
        let budget = MemoryBudget {
            chunk_size: ChunkSize::Bytes4096,
            workers: 1,
            afxdp_queues: 2,
            afxdp_ring_len: 2048,
            tap_queues: 16,
            frames_waiting: 64,
        };
        assert_eq!(budget.terms().map(|t| t.chunks), [8192, 288, 2304, 192, 1152]);
        assert_eq!(budget.chunk_count(), 12_128);
        assert!(u64::from(budget.chunk_count()) * 4096 < 64 << 20);
    }

    #[test]
    fn a_super_frame_and_its_headroom_fit_in_its_chunks() {
        for size in [ChunkSize::Bytes2048, ChunkSize::Bytes4096] {
            let chunks = MemoryBudget::super_frame_chunks(size) as usize;
            assert!(chunks * size.bytes() - size.bytes() / 2 >= SUPER_FRAME_MAX_BYTES);
            assert!(chunks <= crate::memory::SEGMENTS_MAX);
        }
    }
}
