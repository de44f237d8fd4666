//! The four rings of a socket, and the system calls that wake the kernel behind two of them.
//!
//! Where it sits: [`crate::Socket`] holds one of each. A chunk goes round: the caller's pool →
//! [`FillRing`] → kernel → [`RxRing`] → caller → [`TxRing`] → kernel → [`CompletionRing`] → pool.
//! All that passes here are offsets into packet memory.
//!
//! Invariants:
//! 1. Each ring is one direction's only user-side end; the methods that move it take `&mut self`.
//! 2. A ring keeps its mapping and its socket alive.
//!
//! Not here: polling loops and the decision when to sleep.

use std::sync::Arc;

use crate::desc::Desc;
use crate::error::Error;
use crate::ring::{Consumer, Drain, Producer};
use crate::socket::{Kick, Mode, Shared};

/// Chunks handed to the kernel to receive into.
#[derive(Debug)]
pub struct FillRing {
    pub(crate) ring: Producer<u64>,
    pub(crate) socket: Arc<Shared>,
}

impl FillRing {
    /// Number of entries.
    #[must_use]
    pub fn entries(&self) -> u32 {
        self.ring.entries()
    }

    /// Entries that are free now.
    #[inline]
    pub fn free(&mut self) -> u32 {
        self.ring.free()
    }

    /// Chunks produced that the kernel has not taken yet.
    #[inline]
    pub fn outstanding(&mut self) -> u32 {
        self.ring.outstanding()
    }

    /// Gives chunks to the kernel until the iterator ends or the ring is full, and says how many.
    /// An item is taken from the iterator only when there is a place for it.
    ///
    /// In aligned mode any offset within a chunk stands for the chunk. The kernel skips an offset
    /// outside of the memory without a word.
    #[inline]
    pub fn produce(&mut self, chunks: impl IntoIterator<Item = u64>) -> u32 {
        self.ring.produce(chunks)
    }

    /// Asks for the cache lines of the next `count` entries. The kernel's side of the ring is on
    /// another core: to produce into lines that are still there waits for each in turn.
    #[inline]
    pub fn prefetch(&self, count: u32) {
        self.ring.prefetch(count);
    }

    /// Whether the driver sleeps until it is woken because it found no chunks.
    #[must_use]
    #[inline]
    pub fn needs_wakeup(&self) -> bool {
        self.ring.needs_wakeup()
    }

    /// Wakes the driver when it waits for chunks, or drives it when the socket busy-polls.
    /// Costs one atomic read otherwise.
    ///
    /// # Errors
    ///
    /// [`Error::InterfaceDown`], [`Error::InterfaceGone`], or [`Error::Syscall`].
    #[inline]
    pub fn wake(&mut self) -> Result<(), Error> {
        if self.socket.busy_polls || self.ring.needs_wakeup() {
            self.socket.kick_receive()?;
        }
        Ok(())
    }
}

/// Frames the kernel has received.
#[derive(Debug)]
pub struct RxRing {
    pub(crate) ring: Consumer<Desc>,
    pub(crate) _socket: Arc<Shared>,
}

impl RxRing {
    /// Number of entries.
    #[must_use]
    pub fn entries(&self) -> u32 {
        self.ring.entries()
    }

    /// Descriptors that can be taken now.
    #[inline]
    pub fn available(&mut self) -> u32 {
        self.ring.available()
    }

    /// Takes up to `max` descriptors; each one yielded, and its chunk, is the caller's.
    ///
    /// On a multi-buffer socket a frame may be cut by `max`: it goes on as long as
    /// [`Desc::is_continued`], if need be in the next call.
    #[inline]
    pub fn drain(&mut self, max: u32) -> Drain<'_, Desc> {
        self.ring.drain(max)
    }

    /// [`RxRing::drain`] as a call: `each` gets every descriptor; says how many there were.
    #[inline]
    pub fn consume(&mut self, max: u32, each: impl FnMut(Desc)) -> u32 {
        let batch = self.ring.drain(max);
        let count = batch.len() as u32;
        batch.for_each(each);
        count
    }
}

/// Frames handed to the kernel to transmit.
#[derive(Debug)]
pub struct TxRing {
    pub(crate) ring: Producer<Desc>,
    pub(crate) socket: Arc<Shared>,
}

impl TxRing {
    /// Number of entries.
    #[must_use]
    pub fn entries(&self) -> u32 {
        self.ring.entries()
    }

    /// Entries that are free now. Before producing a frame of several descriptors, make sure that
    /// all of them find a place: the kernel holds an unfinished frame back.
    #[inline]
    pub fn free(&mut self) -> u32 {
        self.ring.free()
    }

    /// Descriptors produced that the kernel has not taken yet. It has *sent* them only when their
    /// chunks come out of the completion ring.
    #[inline]
    pub fn outstanding(&mut self) -> u32 {
        self.ring.outstanding()
    }

    /// Hands over descriptors until the iterator ends or the ring is full, and says how many. An
    /// item is taken from the iterator only when there is a place for it.
    ///
    /// Only descriptors that pass [`crate::Umem::check`]: the chunk of another may not come back.
    #[inline]
    pub fn produce(&mut self, frames: impl IntoIterator<Item = Desc>) -> u32 {
        self.ring.produce(frames)
    }

    /// Whether the kernel waits for a system call to transmit (in copy mode: always).
    #[must_use]
    #[inline]
    pub fn needs_wakeup(&self) -> bool {
        self.ring.needs_wakeup()
    }

    /// Makes the kernel transmit, if there is anything to transmit and it wants to be told; says
    /// how many descriptors it has still not taken. When that is not zero, the device or the
    /// completion ring is full, or the kernel stopped at a descriptor it refuses: drain the
    /// completion ring and call again in the next round.
    ///
    /// In copy mode one `sendto` stops after a budget of descriptors with more left, so this calls
    /// as often as the outstanding ones may need, and not more.
    ///
    /// # Errors
    ///
    /// [`Error::InterfaceDown`], [`Error::InterfaceGone`], or [`Error::Syscall`].
    #[inline]
    pub fn wake(&mut self) -> Result<u32, Error> {
        let outstanding = self.ring.outstanding();
        if outstanding == 0 || !(self.socket.busy_polls || self.ring.needs_wakeup()) {
            return Ok(outstanding);
        }
        self.kick(outstanding)
    }

    fn kick(&mut self, mut outstanding: u32) -> Result<u32, Error> {
        let kicks = match self.socket.mode {
            // The driver is only told; it takes the descriptors in its own time.
            Mode::ZeroCopy => 1,
            Mode::Copy => outstanding.div_ceil(self.socket.tx_budget),
        };
        for _ in 0..kicks {
            let answer = self.socket.kick_send()?;
            outstanding = self.ring.outstanding();
            if answer == Kick::Done || outstanding == 0 {
                break;
            }
        }
        Ok(outstanding)
    }
}

/// Chunks the kernel has transmitted.
#[derive(Debug)]
pub struct CompletionRing {
    pub(crate) ring: Consumer<u64>,
    pub(crate) _socket: Arc<Shared>,
}

impl CompletionRing {
    /// Number of entries.
    #[must_use]
    pub fn entries(&self) -> u32 {
        self.ring.entries()
    }

    /// Chunks that can be taken now.
    #[inline]
    pub fn available(&mut self) -> u32 {
        self.ring.available()
    }

    /// Takes up to `max` chunks that were transmitted, as the `addr` of their descriptors;
    /// [`crate::Umem::chunk_of`] gives the chunk. Each one yielded is the caller's.
    #[inline]
    pub fn drain(&mut self, max: u32) -> Drain<'_, u64> {
        self.ring.drain(max)
    }

    /// [`CompletionRing::drain`] as a call: `each` gets every chunk; says how many there were.
    #[inline]
    pub fn consume(&mut self, max: u32, each: impl FnMut(u64)) -> u32 {
        let batch = self.ring.drain(max);
        let count = batch.len() as u32;
        batch.for_each(each);
        count
    }
}
