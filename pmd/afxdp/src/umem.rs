//! A UMEM: packet memory cut into chunks and registered with one device.
//!
//! Where it sits: the first [`crate::Socket`] bound with a [`Umem`] registers the memory; sockets
//! of the device's other queues share that registration (`XDP_SHARED_UMEM`). Another device takes
//! another `Umem`, over the same memory if frames are to pass between them: sharing one
//! registration between devices would force the mode of the first upon all of them.
//!
//! Invariants:
//! 1. Every live socket of a UMEM is bound to the same interface, each to another queue.
//! 2. Chunk size, headroom and length are those the kernel accepted.
//!
//! Not here: which chunk is free. That is the caller's pool.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use crate::desc::Desc;
use crate::error::{DescError, Error};
use crate::region::PacketMemory;
use crate::socket::Shared;
use crate::sys;
use crate::uapi::{XDP_PACKET_HEADROOM, XDP_PKT_CONTD, XDP_UMEM_MIN_CHUNK_SIZE};

/// Largest chunk in aligned mode: the kernel's page size at its smallest.
const CHUNK_SIZE_MAX: u32 = 4096;

/// How packet memory is cut.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UmemConfig {
    /// Size of a chunk in bytes: 2048 or 4096.
    pub chunk_size: u32,
    /// Bytes kept free in front of a received frame, beyond the kernel's own 256: room to push
    /// headers.
    pub headroom: u32,
}

impl Default for UmemConfig {
    /// Chunks of 2048 bytes, no headroom of our own.
    fn default() -> Self {
        Self { chunk_size: XDP_UMEM_MIN_CHUNK_SIZE, headroom: 0 }
    }
}

/// Packet memory as one device sees it. Cheap to clone; all clones are the same UMEM.
#[derive(Debug, Clone)]
pub struct Umem {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    memory: Arc<dyn PacketMemory>,
    config: UmemConfig,
    /// Sockets bound with this UMEM. The lock is held while one is bound, so that two threads
    /// cannot both find none and register the memory twice.
    sockets: Mutex<Vec<Weak<Shared>>>,
}

impl Umem {
    /// Prepares `memory` for one device; the kernel learns of it when the first socket is bound.
    ///
    /// # Errors
    ///
    /// [`Error::ChunkSize`], [`Error::Headroom`], [`Error::RegionUnaligned`] and
    /// [`Error::RegionLength`], by the kernel's rules (`net/xdp/xdp_umem.c`, `xdp_umem_reg`).
    pub fn new(memory: Arc<dyn PacketMemory>, config: UmemConfig) -> Result<Self, Error> {
        let UmemConfig { chunk_size, headroom } = config;
        if !(XDP_UMEM_MIN_CHUNK_SIZE..=CHUNK_SIZE_MAX).contains(&chunk_size)
            || !chunk_size.is_power_of_two()
        {
            return Err(Error::ChunkSize { chunk_size });
        }
        let limit = chunk_size - XDP_PACKET_HEADROOM;
        if headroom >= limit {
            return Err(Error::Headroom { headroom, limit, chunk_size });
        }
        let address = memory.base().as_ptr() as usize;
        let page_bytes = sys::page_bytes();
        if !address.is_multiple_of(page_bytes) {
            return Err(Error::RegionUnaligned { address, page_bytes });
        }
        let (len, unit) = (memory.len(), chunk_size as usize);
        if len == 0 || !len.is_multiple_of(unit) || u32::try_from(len / unit).is_err() {
            return Err(Error::RegionLength { len, unit });
        }
        let sockets = Mutex::new(Vec::new());
        Ok(Self { inner: Arc::new(Inner { memory, config, sockets }) })
    }

    /// The memory.
    #[must_use]
    pub fn memory(&self) -> &Arc<dyn PacketMemory> {
        &self.inner.memory
    }

    /// How it is cut.
    #[must_use]
    pub fn config(&self) -> UmemConfig {
        self.inner.config
    }

    /// Number of chunks.
    #[must_use]
    pub fn chunk_count(&self) -> u32 {
        // Fits: `new` checked it.
        (self.inner.memory.len() / self.inner.config.chunk_size as usize) as u32
    }

    /// Offsets of all chunks, in ascending order: what a pool starts from.
    pub fn chunks(&self) -> impl ExactSizeIterator<Item = u64> + use<> {
        let chunk_size = u64::from(self.inner.config.chunk_size);
        (0..self.chunk_count()).map(move |index| u64::from(index) * chunk_size)
    }

    /// Start of the chunk that `addr` lies in: what goes back to the pool for an offset that came
    /// out of the receive or completion ring.
    #[must_use]
    #[inline]
    pub fn chunk_of(&self, addr: u64) -> u64 {
        addr & !u64::from(self.inner.config.chunk_size - 1)
    }

    /// Bytes of a frame that a chunk can receive: a longer frame comes in several descriptors
    /// from a multi-buffer socket, and not at all from another.
    #[must_use]
    pub fn receive_len_max(&self) -> u32 {
        let UmemConfig { chunk_size, headroom } = self.inner.config;
        chunk_size - XDP_PACKET_HEADROOM - headroom
    }

    /// Checks a descriptor before it is transmitted. The kernel drops one that fails and counts it
    /// in [`crate::Statistics::tx_invalid_descs`]. Whether its offset then comes out of the
    /// completion ring depends on the kernel (6.18.44 in copy mode: yes; many others: never), so
    /// there is no way to account for the chunk of a wrong descriptor.
    ///
    /// # Errors
    ///
    /// The rule that is broken.
    #[inline]
    pub fn check(&self, desc: Desc) -> Result<(), DescError> {
        let Desc { addr, len, options } = desc;
        let memory = self.inner.memory.len() as u64;
        let chunk_size = self.inner.config.chunk_size;
        if len == 0 {
            return Err(DescError::Empty { addr });
        }
        if addr.checked_add(u64::from(len)).is_none_or(|end| end > memory) {
            return Err(DescError::OutOfMemory { addr, len, memory });
        }
        let in_chunk = addr & u64::from(chunk_size - 1);
        if in_chunk + u64::from(len) > u64::from(chunk_size) {
            return Err(DescError::CrossesChunk { addr, len, chunk_size });
        }
        if options & !XDP_PKT_CONTD != 0 {
            return Err(DescError::Options { addr, options });
        }
        Ok(())
    }

    /// Runs `bind` with the live sockets of this UMEM, and remembers the socket it makes.
    pub(crate) fn with_sockets<T>(
        &self,
        bind: impl FnOnce(&[Arc<Shared>]) -> Result<(Arc<Shared>, T), Error>,
    ) -> Result<T, Error> {
        // A panic while the lock was held can have left nothing worse than a dead entry.
        let mut sockets = self.inner.sockets.lock().unwrap_or_else(PoisonError::into_inner);
        sockets.retain(|socket| socket.strong_count() > 0);
        let live: Vec<_> = sockets.iter().filter_map(Weak::upgrade).collect();
        let (socket, made) = bind(&live)?;
        sockets.push(Arc::downgrade(&socket));
        Ok(made)
    }
}

#[cfg(test)]
mod tests;
