//! Packet memory: one mapping a dataplane, cut into chunks, each with exactly one owner.
//!
//! *Where it sits*: under every port and worker. The whole mapping is registered as a UMEM with
//! each AF_XDP device, so the address of a byte is its offset in the mapping, the same everywhere,
//! and a frame goes from one port's RX ring to another's TX ring without a copy.
//!
//! ```text
//!   PacketMemory ── depot: full magazines of 64 free chunks (lock-free queue)
//!      │ Arc              │ a magazine at a time
//!      ├── Pool (one a worker, !Send): LIFO cache of 128 chunks; alloc and free touch only this
//!      │     ├── Chunk           one chunk, owned
//!      │     └── Frame           a chain of chunks with data and offload state, owned
//!      ├── DetachedFrame         a frame between two workers (Send)
//!      └── Ledger                the chunks a port has lent to its device
//! ```
//!
//! *Invariants*
//! 1. A chunk is in exactly one place: the depot, one pool's cache, one `Chunk`, one `Frame` (or
//!    `DetachedFrame`), or lent by one `Ledger`. Safe code cannot break this; debug builds check it
//!    at every move, and tests count it ([`PacketMemory::free_count`]).
//! 2. Dropping an owner brings its chunks home. Nothing else has to be called.
//! 3. Allocating and freeing neither lock nor allocate while the depot can serve.
//!
//! *Not here*: what frames mean (`proto::frame`), and rings (the `afxdp` crate).

mod chunk;
mod frame;
mod ledger;
mod link;
mod pool;
mod region;

use std::io;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crossbeam::queue::ArrayQueue;

pub use chunk::Chunk;
pub use frame::{DetachedFrame, Frame, SEGMENTS_MAX, Segments};
pub use ledger::Ledger;
pub use pool::Pool;
pub use region::Backing;

use link::Links;
use pool::CacheLevel;
use region::Region;

/// Free chunks move between workers in units of this many.
pub const MAGAZINE_CHUNKS: usize = 64;
/// Least free room before the data of every frame: vnet header (12 bytes) and two 802.1Q tags
/// (8 bytes) with room to spare, one cache line.
pub const HEADROOM_MIN_BYTES: u16 = 64;
/// Chunk indices stay below this (2^30 chunks of 4 KiB are 4 TiB).
const CHUNK_COUNT_MAX: u32 = 1 << 30;

/// Free chunks on their way between the depot and a pool.
type Magazine = [u32; MAGAZINE_CHUNKS];

/// Size of a chunk. AF_XDP in aligned mode knows these two on 4 KiB pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChunkSize {
    /// 2048 bytes: MTU up to 1500 in one chunk, half the memory.
    Bytes2048,
    /// 4096 bytes: MTU up to 3500 in one chunk, and a 64 KiB super-frame in 17.
    Bytes4096,
}

impl ChunkSize {
    /// The size in bytes, a power of two.
    #[must_use]
    pub const fn bytes(self) -> usize {
        1 << self.shift()
    }

    const fn shift(self) -> u32 {
        match self {
            Self::Bytes2048 => 11,
            Self::Bytes4096 => 12,
        }
    }
}

/// Whether to ask for huge pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HugePages {
    /// Reserved huge pages where there are enough, else transparent ones.
    Prefer,
    /// Small pages.
    Never,
}

/// What a packet memory is made of.
#[derive(Clone, Copy, Debug)]
pub struct MemoryConfig {
    /// Size of a chunk.
    pub chunk_size: ChunkSize,
    /// How many chunks; [`MemoryBudget`](crate::budget::MemoryBudget) computes it.
    pub chunk_count: u32,
    /// Free room before the data of a frame that we fill, [`HEADROOM_MIN_BYTES`] to half a chunk.
    /// The default of 128 also leaves room for an outer VXLAN header over IPv6 (70 bytes).
    pub headroom_bytes: u16,
    /// Huge pages or not.
    pub huge_pages: HugePages,
}

impl MemoryConfig {
    /// `chunk_count` chunks of 4096 bytes, 128 bytes of headroom, huge pages when possible.
    #[must_use]
    pub const fn with_chunks(chunk_count: u32) -> Self {
        Self {
            chunk_size: ChunkSize::Bytes4096,
            chunk_count,
            headroom_bytes: 128,
            huge_pages: HugePages::Prefer,
        }
    }
}

/// Why there is no packet memory.
#[derive(Debug, thiserror::Error)]
pub enum MemoryError {
    /// The number of chunks makes no sense.
    #[error("packet memory of {0} chunks: expected 1..{CHUNK_COUNT_MAX}")]
    ChunkCount(u32),
    /// The headroom makes no sense.
    #[error("headroom of {headroom_bytes} bytes: expected {HEADROOM_MIN_BYTES}..={max_bytes}")]
    Headroom {
        /// What was asked for.
        headroom_bytes: u16,
        /// Half of the chunk size.
        max_bytes: usize,
    },
    /// The kernel refused the mapping.
    #[error("cannot map {size_bytes} bytes of packet memory: {source}; lower the chunk count")]
    Map {
        /// Size of the mapping.
        size_bytes: usize,
        /// What mmap said.
        source: io::Error,
    },
    /// The kernel has not that much memory.
    #[error("cannot fault in {size_bytes} bytes of packet memory: {source}; free some memory")]
    Populate {
        /// Size of the mapping.
        size_bytes: usize,
        /// What madvise said.
        source: io::Error,
    },
}

/// The packet memory of a dataplane. Shared by `Arc`; frames and pools keep it alive.
#[derive(Debug)]
pub struct PacketMemory {
    region: Region,
    links: Links,
    chunk_size: ChunkSize,
    chunk_count: u32,
    headroom_bytes: u16,
    /// Full magazines only. All chunks are distinct, so there are never more than fit.
    depot: ArrayQueue<Magazine>,
    /// Free chunks that fill no magazine: what a dropped pool or ledger left. Fewer than
    /// [`MAGAZINE_CHUNKS`], and off the hot path: `loose_count` says when a look is worth it.
    loose: Mutex<Vec<u32>>,
    loose_count: AtomicUsize,
    /// The fill level of each pool, for [`PacketMemory::free_count`].
    levels: Mutex<Vec<Arc<CacheLevel>>>,
    next_ledger: AtomicU64,
}

impl PacketMemory {
    /// Maps the memory; all chunks are free.
    ///
    /// # Errors
    /// [`MemoryError`] when the numbers make no sense or the kernel has not that much memory.
    pub fn new(config: MemoryConfig) -> Result<Arc<Self>, MemoryError> {
        let MemoryConfig { chunk_size, chunk_count, headroom_bytes, huge_pages } = config;
        if !(1..CHUNK_COUNT_MAX).contains(&chunk_count) {
            return Err(MemoryError::ChunkCount(chunk_count));
        }
        let max_bytes = chunk_size.bytes() / 2;
        if headroom_bytes < HEADROOM_MIN_BYTES || usize::from(headroom_bytes) > max_bytes {
            return Err(MemoryError::Headroom { headroom_bytes, max_bytes });
        }
        let memory = Self {
            region: Region::map(chunk_size.bytes() * chunk_count as usize, huge_pages)?,
            links: Links::new(chunk_count),
            chunk_size,
            chunk_count,
            headroom_bytes,
            depot: ArrayQueue::new((chunk_count as usize / MAGAZINE_CHUNKS).max(1)),
            loose: Mutex::new(Vec::with_capacity(2 * MAGAZINE_CHUNKS)),
            loose_count: AtomicUsize::new(0),
            levels: Mutex::default(),
            next_ledger: AtomicU64::new(0),
        };
        memory.put_loose(0..chunk_count);
        Ok(Arc::new(memory))
    }

    /// Size of a chunk in bytes.
    #[must_use]
    pub const fn chunk_size_bytes(&self) -> usize {
        self.chunk_size.bytes()
    }

    /// How many chunks there are, free or not.
    #[must_use]
    pub const fn chunk_count(&self) -> u32 {
        self.chunk_count
    }

    /// Free room before the data of a frame that we fill.
    #[must_use]
    pub const fn headroom_bytes(&self) -> u16 {
        self.headroom_bytes
    }

    /// Size of the mapping that is registered with AF_XDP: all chunks, no rest.
    #[must_use]
    pub const fn size_bytes(&self) -> usize {
        self.chunk_size.bytes() * self.chunk_count as usize
    }

    /// First byte of the mapping, page-aligned; a chunk address is an offset from here.
    ///
    /// Holding the pointer gives no right to any byte: who registers the mapping with a device
    /// must see to it that the device touches only chunks that a [`Ledger`] has lent to it.
    #[must_use]
    pub const fn base(&self) -> NonNull<u8> {
        self.region.base()
    }

    /// Which kind of pages it is made of.
    #[must_use]
    pub const fn backing(&self) -> Backing {
        self.region.backing()
    }

    /// Chunks that are free: in the depot or in any worker's cache.
    ///
    /// Exact while no worker allocates or frees; a good estimate otherwise.
    #[must_use]
    pub fn free_count(&self) -> usize {
        let cached: usize = lock(&self.levels).iter().map(|level| level.get()).sum();
        self.depot.len() * MAGAZINE_CHUNKS + self.loose_count.load(Ordering::Acquire) + cached
    }

    /// Takes a full magazine, or what loose chunks there are, for a pool that ran empty.
    fn take_magazine(&self, out: &mut [u32; MAGAZINE_CHUNKS]) -> usize {
        if let Some(magazine) = self.depot.pop() {
            *out = magazine;
            return MAGAZINE_CHUNKS;
        }
        if self.loose_count.load(Ordering::Acquire) == 0 {
            return 0;
        }
        let mut loose = lock(&self.loose);
        let taken = loose.len().min(MAGAZINE_CHUNKS);
        let rest = loose.len() - taken;
        for (slot, index) in out.iter_mut().zip(loose.drain(rest..)) {
            *slot = index;
        }
        self.loose_count.store(loose.len(), Ordering::Release);
        taken
    }

    /// Takes back a full magazine from a pool that ran over.
    fn put_magazine(&self, magazine: Magazine) {
        if let Err(magazine) = self.depot.push(magazine) {
            // Cannot be: the depot holds as many full magazines as there can be. If it were wrong
            // all the same, the chunks are kept.
            self.put_loose(magazine);
        }
    }

    /// Takes back any number of free chunks, off the hot path: locks, and may allocate.
    fn put_loose(&self, chunks: impl IntoIterator<Item = u32>) {
        let mut loose = lock(&self.loose);
        for index in chunks {
            loose.push(index);
            if let Some(magazine) = loose.last_chunk::<MAGAZINE_CHUNKS>().copied()
                && self.depot.push(magazine).is_ok()
            {
                let rest = loose.len() - MAGAZINE_CHUNKS;
                loose.truncate(rest);
            }
        }
        self.loose_count.store(loose.len(), Ordering::Release);
    }

    /// Index of the chunk that holds the byte at this address; `None` outside the memory.
    #[inline]
    fn index_of(&self, address: u64) -> Option<u32> {
        u32::try_from(address >> self.chunk_size.shift()).ok().filter(|&i| i < self.chunk_count)
    }

    /// Offset of the first byte of a chunk.
    #[inline]
    const fn start_of(&self, index: u32) -> usize {
        (index as usize) << self.chunk_size.shift()
    }
}

impl Drop for PacketMemory {
    fn drop(&mut self) {
        // Every owner keeps the memory alive, so here all chunks are home, unless an owner was
        // forgotten (mem::forget) or a thread is unwinding with half a move done.
        if cfg!(debug_assertions) && !std::thread::panicking() {
            assert_eq!(self.free_count(), self.chunk_count as usize, "chunks were leaked");
        }
    }
}

/// A lock whose content is a plain list stays usable after a panic of another holder.
fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
