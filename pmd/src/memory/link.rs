//! The side array of the packet memory: per chunk, who has it or what follows it in a frame.
//!
//! *Where it sits*: read and written by [`pool`](super::pool), [`frame`](super::frame) and
//! [`ledger`](super::ledger). Chains and ownership marks stand here and not in the packets, so no
//! byte that a guest or a device can write decides about memory.
//! *Invariant*: the word of a chunk is written only by the chunk's present owner; it crosses
//! threads together with the chunk, whose hand-over (queue, channel) orders the two. So relaxed
//! atomics, which are plain loads and stores, are enough.

use std::sync::atomic::{AtomicU64, Ordering};

/// Highest bit: the word is an ownership mark and not a link.
const MARK: u64 = 1 << 63;
/// Mark of a free chunk; kept only where debug assertions are on.
const FREE: u64 = u64::MAX;
/// In a link: no chunk follows.
pub(super) const NO_NEXT: u32 = 0x7fff_ffff;

/// What stands in a chunk of a chain, and which chunk follows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Link {
    /// Index of the next chunk or [`NO_NEXT`].
    pub(super) next: u32,
    /// Where the data starts, in bytes from the start of the chunk.
    pub(super) offset: u16,
    /// How many bytes of data there are.
    pub(super) len: u16,
}

/// One word per chunk.
#[derive(Debug)]
pub(super) struct Links(Box<[AtomicU64]>);

impl Links {
    pub(super) fn new(chunk_count: u32) -> Self {
        Self((0..chunk_count).map(|_| AtomicU64::new(FREE)).collect())
    }

    #[inline]
    fn word(&self, index: u32) -> &AtomicU64 {
        &self.0[index as usize]
    }

    #[inline]
    pub(super) fn get(&self, index: u32) -> Link {
        let word = self.word(index).load(Ordering::Relaxed);
        Link { next: (word >> 32) as u32, offset: (word >> 16) as u16, len: word as u16 }
    }

    #[inline]
    pub(super) fn set(&self, index: u32, link: Link) {
        debug_assert!(link.next <= NO_NEXT);
        let word = u64::from(link.next) << 32 | u64::from(link.offset) << 16 | u64::from(link.len);
        self.word(index).store(word, Ordering::Relaxed);
    }

    /// Debug builds: the chunk leaves the free list. Finds a chunk that is handed out twice.
    #[inline]
    pub(super) fn mark_taken(&self, index: u32) {
        if cfg!(debug_assertions) {
            let old = self.word(index).swap(0, Ordering::Relaxed);
            assert_eq!(old, FREE, "chunk {index} was handed out while it had an owner");
        }
    }

    /// Debug builds: the chunk goes back to the free list. Finds a chunk that is freed twice.
    #[inline]
    pub(super) fn mark_free(&self, index: u32) {
        if cfg!(debug_assertions) {
            let old = self.word(index).swap(FREE, Ordering::Relaxed);
            assert_ne!(old, FREE, "chunk {index} was freed twice");
            assert!(old & MARK == 0, "chunk {index} was freed while a port had it");
        }
    }

    /// The chunk is now with the port whose ledger has this number.
    #[inline]
    pub(super) fn mark_lent(&self, index: u32, ledger: u64) {
        self.word(index).store(MARK | ledger, Ordering::Relaxed);
    }

    /// Ends the loan; false, and nothing is changed, when this ledger has not lent that chunk.
    #[inline]
    pub(super) fn end_loan(&self, index: u32, ledger: u64) -> bool {
        let Some(word) = self.0.get(index as usize) else { return false };
        if word.load(Ordering::Relaxed) != MARK | ledger {
            return false;
        }
        word.store(0, Ordering::Relaxed);
        true
    }
}
