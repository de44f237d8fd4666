//! The chunks that a port has lent to its device.
//!
//! *Where it sits*: an AF_XDP port lends the chunks of its fill and TX rings, a TAP port those that
//! the next read goes into. A lent chunk belongs to no pool and no frame; so a port can be sent to
//! another thread, and when its device is gone every chunk comes home, whatever ring it was in.
//! *Invariants*: a chunk is taken back only by the ledger that lent it and only once: the mark in
//! the side array says who has it, and a mark of this ledger is changed through `&mut self` alone.
//! *Not here*: proof that the device has let go. Taking back a chunk that a device still writes is
//! the error of whoever registered the memory with that device.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::{Chunk, Frame, PacketMemory, Pool};

/// The lent chunks of one device.
pub struct Ledger {
    memory: Arc<PacketMemory>,
    /// Unique in the life of the memory.
    id: u64,
    lent: usize,
}

impl Ledger {
    /// A ledger with no loans.
    #[must_use]
    pub fn new(memory: &Arc<PacketMemory>) -> Self {
        let id = memory.next_ledger.fetch_add(1, Ordering::Relaxed);
        Self { memory: Arc::clone(memory), id, lent: 0 }
    }

    /// The memory that the chunks are part of.
    #[must_use]
    pub const fn memory(&self) -> &Arc<PacketMemory> {
        &self.memory
    }

    /// How many chunks the device has.
    #[must_use]
    pub const fn lent_count(&self) -> usize {
        self.lent
    }

    /// Lends a free chunk to the device, to be written, and returns its address. `None` when the pool
    /// has none left, or is of another memory.
    #[must_use]
    #[inline]
    pub fn lend(&mut self, pool: &Pool) -> Option<u64> {
        if !pool.is_on(&self.memory) {
            return None;
        }
        let index = pool.take()?;
        self.memory.links.mark_lent(index, self.id);
        self.lent += 1;
        Some(self.memory.start_of(index) as u64)
    }

    /// Lends a frame's chunks to the device, for transmission. `descriptor` is called with address
    /// and length in bytes of each segment's data, in order.
    ///
    /// # Errors
    /// The frame comes back when it is of another memory.
    #[inline]
    pub fn lend_frame(
        &mut self,
        frame: Frame,
        mut descriptor: impl FnMut(u64, u32),
    ) -> Result<(), Frame> {
        if !frame.pool().is_on(&self.memory) {
            return Err(frame);
        }
        self.lent += frame.segment_count();
        if frame.segment_count() == 1 {
            let (address, len) = frame.lend_only_chunk_to(self.id);
            descriptor(address, len);
            return Ok(());
        }
        for (address, len) in frame.lend_to(self.id) {
            descriptor(address, len);
        }
        Ok(())
    }

    /// Takes back the chunk that holds the byte at `address`: the device has returned it, written
    /// or sent. `None` when this ledger has not lent it, or when `pool` is of another memory.
    #[must_use]
    #[inline]
    pub fn take_back(&mut self, pool: &Pool, address: u64) -> Option<Chunk> {
        let index = self.end_loan(pool, address)?;
        Some(Chunk::new(pool.clone(), index))
    }

    /// Takes a chunk back whose content nobody needs any more, and frees it. False: nothing was taken
    /// back, for the reasons of [`Ledger::take_back`].
    #[inline]
    pub fn take_home(&mut self, pool: &Pool, address: u64) -> bool {
        self.end_loan(pool, address).map(|index| pool.put(index)).is_some()
    }

    #[inline]
    fn end_loan(&mut self, pool: &Pool, address: u64) -> Option<u32> {
        if !pool.is_on(&self.memory) {
            return None;
        }
        let index = self.memory.index_of(address)?;
        if !self.memory.links.end_loan(index, self.id) {
            return None;
        }
        self.lent -= 1;
        Some(index)
    }

    /// Takes everything back into the depot, however it was lent; returns how many chunks that
    /// were. For a port whose device is gone or closed. Looks at every chunk of the memory.
    pub fn take_all_back(&mut self) -> usize {
        if self.lent == 0 {
            return 0;
        }
        let (memory, id) = (&*self.memory, self.id);
        let ours = (0..memory.chunk_count).filter(|&index| memory.links.end_loan(index, id));
        memory.put_loose(ours.inspect(|&index| memory.links.mark_free(index)));
        std::mem::take(&mut self.lent)
    }
}

impl Drop for Ledger {
    /// As [`Ledger::take_all_back`]: a port declares its device before its ledger, so that the
    /// device is closed by then.
    fn drop(&mut self) {
        self.take_all_back();
    }
}

impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger").field("lent", &self.lent).finish_non_exhaustive()
    }
}
