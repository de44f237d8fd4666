//! A bound AF_XDP socket: its four rings, and the questions that can be put to the kernel.
//!
//! Where it sits: [`crate::SocketBuilder::bind`] makes it. The rings do the work.
//!
//! Invariants:
//! 1. The file descriptor and the packet memory live until the socket and all its rings are gone.
//! 2. [`Socket::mode`] is what the kernel answered, not what was asked for.
//!
//! Not here: the XDP program and its XSKMAP. Without a program that redirects to the socket
//! ([`AsFd`] gives what the map wants), a socket transmits but receives nothing.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use crate::error::Error;
use crate::rings::{CompletionRing, FillRing, RxRing, TxRing};
use crate::sys;
use crate::uapi::{SOL_XDP, XDP_STATISTICS, xdp_statistics};
use crate::umem::Umem;

/// What the device really does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// The device reads and writes packet memory itself.
    ZeroCopy,
    /// The kernel copies each frame.
    Copy,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ZeroCopy => "zero-copy",
            Self::Copy => "copy",
        })
    }
}

/// Drop counters of a socket, since it was opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Statistics {
    /// Frames dropped because there was no chunk to receive into, or (in copy mode, without
    /// multi-buffer) because they were longer than a chunk.
    pub rx_dropped: u64,
    /// Wrong descriptors of the receive side. Linux 6.18 does not count wrong offsets in the fill
    /// ring here, nor anywhere else.
    pub rx_invalid_descs: u64,
    /// Transmit descriptors that the kernel refused ([`Umem::check`] says why).
    pub tx_invalid_descs: u64,
    /// Frames dropped because the receive ring was full.
    pub rx_ring_full: u64,
    /// Times the kernel wanted a chunk to receive into and the fill ring was empty.
    pub rx_fill_ring_empty_descs: u64,
    /// Times the kernel looked for a frame to transmit and the ring was empty.
    pub tx_ring_empty_descs: u64,
}

/// What the socket and its rings have in common. Dropping the last one closes the socket.
#[derive(Debug)]
pub(crate) struct Shared {
    /// Receives, and is what one sleeps on.
    pub(crate) fd: OwnedFd,
    /// Transmits, on the same queue and by the same completion ring. It is a socket of its own
    /// because the kernel tells whoever sleeps on a socket of each frame that left it
    /// (`sock_def_write_space` of `net/core/sock.c`, once per skb), also those who only wait for
    /// something to receive; on this one nobody sleeps.
    pub(crate) tx_fd: OwnedFd,
    pub(crate) ifindex: u32,
    pub(crate) queue_id: u32,
    pub(crate) mode: Mode,
    pub(crate) multi_buffer: bool,
    /// Busy polling is on: every wake-up is a system call, as it is what drives the device.
    pub(crate) busy_polls: bool,
    /// Descriptors one `sendto` transmits in copy mode.
    pub(crate) tx_budget: u32,
    /// Keeps the packet memory mapped.
    pub(crate) umem: Umem,
}

/// The kernel's answer to a transmit kick that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kick {
    /// It has done what it can for now.
    Done,
    /// It stopped early and may do more when called again.
    Again,
}

impl Shared {
    pub(crate) fn kick_send(&self) -> Result<Kick, Error> {
        let Err(e) = sys::kick_send(self.tx_fd.as_fd()) else { return Ok(Kick::Done) };
        match e.raw_os_error() {
            // EAGAIN: the budget is used up, or the queue or the completion ring is full. EBUSY: a
            // frame was dropped by the device's queue, its chunk completed.
            Some(libc::EAGAIN | libc::EBUSY | libc::EINTR) => Ok(Kick::Again),
            // No memory for the copy: not now.
            Some(libc::ENOBUFS | libc::ENOMEM) => Ok(Kick::Done),
            _ => Err(self.failure("sendto", e)),
        }
    }

    pub(crate) fn kick_receive(&self) -> Result<(), Error> {
        let Err(e) = sys::kick_receive(self.fd.as_fd()) else { return Ok(()) };
        match e.raw_os_error() {
            Some(libc::EAGAIN | libc::EBUSY | libc::EINTR | libc::ENOBUFS) => Ok(()),
            _ => Err(self.failure("recvfrom", e)),
        }
    }

    /// What a failed wake-up says of the device (`net/xdp/xsk.c`: a socket whose device was
    /// unregistered is no longer bound, ENXIO; IFF_UP missing is ENETDOWN).
    fn failure(&self, call: &'static str, source: io::Error) -> Error {
        let (ifindex, queue_id) = (self.ifindex, self.queue_id);
        match source.raw_os_error() {
            Some(libc::ENETDOWN) => Error::InterfaceDown { ifindex, queue_id },
            Some(libc::ENXIO | libc::EBADF | libc::ENODEV) => {
                Error::InterfaceGone { ifindex, queue_id }
            }
            _ => Error::Syscall { call, source },
        }
    }
}

/// A bound socket.
///
/// The rings are fields, so that one can be drained while another is filled. Each may also be
/// moved out and used by itself; together they keep the socket open.
#[derive(Debug)]
pub struct Socket {
    /// Chunks to receive into.
    pub fill: FillRing,
    /// Received frames.
    pub rx: RxRing,
    /// Frames to transmit.
    pub tx: TxRing,
    /// Transmitted chunks.
    pub completion: CompletionRing,
    /// Everything else.
    pub control: Control,
}

/// What can be asked of a socket whatever its rings are doing.
#[derive(Debug, Clone)]
pub struct Control {
    pub(crate) shared: Arc<Shared>,
}

impl Control {
    /// The mode the kernel reports.
    #[must_use]
    pub fn mode(&self) -> Mode {
        self.shared.mode
    }

    /// Index of the interface the socket is bound to.
    #[must_use]
    pub fn ifindex(&self) -> u32 {
        self.shared.ifindex
    }

    /// Queue of the interface the socket is bound to.
    #[must_use]
    pub fn queue_id(&self) -> u32 {
        self.shared.queue_id
    }

    /// Whether frames may span several descriptors.
    #[must_use]
    pub fn multi_buffer(&self) -> bool {
        self.shared.multi_buffer
    }

    /// Descriptors that one system call transmits in copy mode
    /// ([`crate::SocketBuilder::tx_budget`]).
    #[must_use]
    pub fn tx_budget(&self) -> u32 {
        self.shared.tx_budget
    }

    /// The packet memory of the socket.
    #[must_use]
    pub fn umem(&self) -> &Umem {
        &self.shared.umem
    }

    /// Drop counters. On an older kernel the last three are zero.
    ///
    /// # Errors
    ///
    /// [`Error::Syscall`].
    pub fn statistics(&self) -> Result<Statistics, Error> {
        let of = |fd: BorrowedFd<'_>| {
            sys::get_option::<xdp_statistics>(fd, SOL_XDP, XDP_STATISTICS)
                .map(|(raw, _)| raw)
                .map_err(|source| Error::Syscall { call: "getsockopt(XDP_STATISTICS)", source })
        };
        let (rx, tx) = (of(self.shared.fd.as_fd())?, of(self.shared.tx_fd.as_fd())?);
        Ok(Statistics {
            rx_dropped: rx.rx_dropped,
            rx_invalid_descs: rx.rx_invalid_descs,
            tx_invalid_descs: tx.tx_invalid_descs,
            rx_ring_full: rx.rx_ring_full,
            rx_fill_ring_empty_descs: rx.rx_fill_ring_empty_descs,
            tx_ring_empty_descs: tx.tx_ring_empty_descs,
        })
    }

    /// Asks the kernel whether the socket still has its interface: the way to notice, on a quiet
    /// socket, that it was deleted. One system call; wakes the driver as a side effect.
    ///
    /// # Errors
    ///
    /// [`Error::InterfaceDown`], [`Error::InterfaceGone`], or [`Error::Syscall`].
    pub fn check(&self) -> Result<(), Error> {
        self.shared.kick_receive()
    }
}

impl AsFd for Control {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared.fd.as_fd()
    }
}

impl AsRawFd for Control {
    fn as_raw_fd(&self) -> RawFd {
        self.shared.fd.as_raw_fd()
    }
}

impl AsFd for Socket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.control.as_fd()
    }
}

impl AsRawFd for Socket {
    fn as_raw_fd(&self) -> RawFd {
        self.control.as_raw_fd()
    }
}

/// Sleeps until one of the sockets has received something, or the time is over; says how many
/// have. A signal ends the wait with zero.
///
/// A deleted interface does not end it (`net/xdp/xsk.c`, `xsk_poll`, reports no errors): wait for
/// a bounded time, then [`Control::check`].
///
/// # Errors
///
/// The system's, for a descriptor that is not open or a want of memory.
pub fn wait(sockets: &[BorrowedFd<'_>], timeout: Duration) -> io::Result<usize> {
    sys::poll(sockets, timeout)
}

/// Tries to lift the limit of memory that the process may lock, which packet memory counts
/// against. Not needed, and failing without harm, for a process with CAP_IPC_LOCK.
///
/// # Errors
///
/// The system's, for want of CAP_SYS_RESOURCE. Carry on: binding says if the limit was too low.
pub fn raise_memlock_limit() -> io::Result<()> {
    sys::raise_memlock()
}
