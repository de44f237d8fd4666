//! A worker's share of the free chunks: a LIFO cache in front of the depot.
//!
//! *Where it sits*: each worker makes one [`Pool`] and gives it to its ports at every call.
//! *Invariants*: allocating and freeing touch only the cache, in 63 of 64 cases; a full cache gives
//! its 64 coldest chunks back, an empty one takes 64, so that a steady pattern around either
//! edge does not bounce. Last freed is first used again, while it is still in the CPU's cache.

use std::cell::Cell;
use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crossbeam::utils::CachePadded;

use super::{Chunk, MAGAZINE_CHUNKS, PacketMemory, lock};

/// Two magazines: one to work with and one of distance to the depot.
const CACHE_CHUNKS: usize = 2 * MAGAZINE_CHUNKS;

/// How many chunks a pool's cache holds. Written by the pool's thread only, read by any, on a
/// cache line of its own.
#[derive(Debug, Default)]
pub(super) struct CacheLevel(CachePadded<AtomicUsize>);

impl CacheLevel {
    #[inline]
    pub(super) fn get(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    fn set(&self, level: usize) {
        self.0.store(level, Ordering::Relaxed);
    }
}

/// A worker's pool of chunks. Cloning is cheap and gives the same pool; it stays on its thread.
#[derive(Clone)]
pub struct Pool(Rc<Cache>);

struct Cache {
    memory: Arc<PacketMemory>,
    /// The first `level` entries are chunks, the last of them the most recently freed.
    chunks: Box<[Cell<u32>; CACHE_CHUNKS]>,
    level: Arc<CacheLevel>,
}

impl Pool {
    /// A pool of the calling thread on this memory, empty until first used.
    #[must_use]
    pub fn new(memory: &Arc<PacketMemory>) -> Self {
        let level = Arc::new(CacheLevel::default());
        lock(&memory.levels).push(Arc::clone(&level));
        let chunks = Box::new([const { Cell::new(0) }; CACHE_CHUNKS]);
        Self(Rc::new(Cache { memory: Arc::clone(memory), chunks, level }))
    }

    /// The memory that the chunks are part of.
    #[must_use]
    #[inline]
    pub fn memory(&self) -> &Arc<PacketMemory> {
        &self.0.memory
    }

    /// A free chunk, or `None` when this worker's cache and the depot are empty.
    #[must_use]
    #[inline]
    pub fn alloc(&self) -> Option<Chunk> {
        let index = self.take()?;
        Some(Chunk::new(self.clone(), index))
    }

    /// Whether chunks and frames of `other` are of the same memory.
    #[inline]
    pub(super) fn is_on(&self, memory: &Arc<PacketMemory>) -> bool {
        Arc::ptr_eq(&self.0.memory, memory)
    }

    /// Takes a chunk: the caller is now its owner.
    #[inline]
    pub(super) fn take(&self) -> Option<u32> {
        let cache = &*self.0;
        let mut level = cache.level.get();
        if level == 0 {
            level = cache.refill();
        }
        let top = level.checked_sub(1)?;
        let index = cache.chunks.get(top)?.get();
        cache.level.set(top);
        cache.memory.links.mark_taken(index);
        Some(index)
    }

    /// Gives a chunk back. The caller was its owner and is no more.
    #[inline]
    pub(super) fn put(&self, index: u32) {
        let cache = &*self.0;
        cache.memory.links.mark_free(index);
        let mut level = cache.level.get();
        if level >= CACHE_CHUNKS {
            level = cache.spill();
        }
        cache.chunks[level].set(index);
        cache.level.set(level + 1);
    }
}

impl Cache {
    /// Fills the empty cache from the depot and returns the new level.
    #[cold]
    fn refill(&self) -> usize {
        let mut magazine = [0; MAGAZINE_CHUNKS];
        let taken = self.memory.take_magazine(&mut magazine);
        for (slot, index) in self.chunks.iter().zip(&magazine[..taken]) {
            slot.set(*index);
        }
        self.level.set(taken);
        taken
    }

    /// Gives the older half of the full cache to the depot and returns the new level.
    #[cold]
    fn spill(&self) -> usize {
        let magazine = std::array::from_fn(|i| self.chunks[i].get());
        for i in 0..CACHE_CHUNKS - MAGAZINE_CHUNKS {
            self.chunks[i].set(self.chunks[i + MAGAZINE_CHUNKS].get());
        }
        self.level.set(CACHE_CHUNKS - MAGAZINE_CHUNKS);
        self.memory.put_magazine(magazine);
        CACHE_CHUNKS - MAGAZINE_CHUNKS
    }
}

impl Drop for Cache {
    fn drop(&mut self) {
        let level = self.level.get();
        // The level goes first, so that a reader never counts a chunk twice.
        lock(&self.memory.levels).retain(|other| !Arc::ptr_eq(other, &self.level));
        self.memory.put_loose(self.chunks.iter().take(level).map(Cell::get));
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("cached_chunks", &self.0.level.get()).finish_non_exhaustive()
    }
}
