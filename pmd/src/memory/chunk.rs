//! One chunk, owned.
//!
//! *Where it sits*: what a port takes from the [`Pool`] to let a device write into, and what a
//! [`Frame`] is built from. *Invariant*: a `Chunk` is the only owner of its bytes, all of which are
//! initialised; dropping it brings the chunk home.

use std::fmt;
use std::mem::ManuallyDrop;
use std::sync::Arc;

use super::{Frame, PacketMemory, Pool};

/// An owned chunk of the packet memory.
pub struct Chunk {
    pool: Pool,
    index: u32,
}

impl Chunk {
    /// Wraps a chunk that the caller took and now hands over.
    #[inline]
    pub(super) const fn new(pool: Pool, index: u32) -> Self {
        Self { pool, index }
    }

    /// Gives up the handle: pool and index, and with the index the ownership.
    #[inline]
    pub(super) fn into_parts(self) -> (Pool, u32) {
        let this = ManuallyDrop::new(self);
        // SAFETY: `this` is neither used again nor dropped, so the pool is moved out once.
        let pool = unsafe { std::ptr::read(&this.pool) };
        (pool, this.index)
    }

    /// Whether this is a chunk of `memory`.
    #[inline]
    pub(super) fn is_on(&self, memory: &Arc<PacketMemory>) -> bool {
        self.pool.is_on(memory)
    }

    /// Address of the first byte: its offset in the packet memory.
    #[must_use]
    #[inline]
    pub fn address(&self) -> u64 {
        self.pool.memory().start_of(self.index) as u64
    }

    /// The whole chunk.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        let memory = self.pool.memory();
        // SAFETY: the range is this chunk's, inside the region; this handle is its only owner, and
        // the borrow of the handle keeps writers away for the slice's lifetime.
        unsafe { memory.region.slice(memory.start_of(self.index), memory.chunk_size_bytes()) }
    }

    /// The whole chunk, writable.
    #[must_use]
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        let memory = self.pool.memory();
        // SAFETY: the range is this chunk's, inside the region; this handle is its only owner, and
        // the exclusive borrow of the handle keeps everybody else away.
        unsafe { memory.region.slice_mut(memory.start_of(self.index), memory.chunk_size_bytes()) }
    }

    /// A frame whose data are the bytes `offset..offset + len` of this chunk. `None` (and the
    /// chunk goes home) when they reach over its end.
    #[must_use]
    #[inline]
    pub fn into_frame(self, offset: usize, len: usize) -> Option<Frame> {
        Frame::from_chunk(self, offset, len)
    }
}

impl Drop for Chunk {
    #[inline]
    fn drop(&mut self) {
        self.pool.put(self.index);
    }
}

impl fmt::Debug for Chunk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Chunk({:#x})", self.address())
    }
}
