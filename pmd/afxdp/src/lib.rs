//! Safe AF_XDP sockets over the Linux uapi, without a C library.
//!
//! AF_XDP carries Ethernet frames between a queue of a network device and memory of the process,
//! through four rings that both sides share. This crate makes the sockets, and moves offsets
//! through the rings; it knows nothing of the frames' content, and needs no C library, no BPF
//! loader and no dependency but `libc` and `thiserror`.
//!
//! # The parts
//!
//! - [`Region`]: packet memory. One mapping serves any number of devices. Memory from elsewhere
//!   can be used through [`PacketMemory`].
//! - [`Umem`]: that memory, cut into chunks and registered with *one* device. Two devices take two
//!   UMEMs over one memory; an offset then means the same to both, and a frame received from one
//!   is transmitted on the other without a copy. The queues of one device share a UMEM.
//! - [`SocketBuilder`] and [`Socket`]: one queue of one device, zero-copy where the device can.
//! - [`FillRing`], [`RxRing`], [`TxRing`], [`CompletionRing`]: batches of offsets in and out.
//!
//! # Whose chunk is it
//!
//! A chunk belongs to the kernel from the moment its offset is produced into a fill or transmit
//! ring, and to the caller from the moment it is yielded from a receive or completion ring. The
//! crate moves offsets exactly once and never looks at the bytes, so all of its interface is safe;
//! a caller that makes references to packet memory does so under the contract of
//! [`PacketMemory`].
//!
//! # Receiving
//!
//! A socket receives what an XDP program of the interface redirects to it by an XSKMAP at its
//! queue's index. Load that program with any BPF loader and give the map the socket's descriptor
//! ([`std::os::fd::AsFd`]). The example `l2fwd` has a loader of its own in one file.
//!
//! # Example
//!
//! ```no_run
//! use std::sync::Arc;
//! use afxdp::{Desc, Region, SocketBuilder, Umem, UmemConfig};
//!
//! let region = Arc::new(Region::new(4096 * 2048)?);
//! let umem = Umem::new(region.clone(), UmemConfig::default())?;
//! let mut socket = SocketBuilder::new(7, 0).bind(&umem)?;
//! println!("{} mode", socket.control.mode());
//!
//! let mut free: Vec<u64> = umem.chunks().collect();
//! socket.fill.produce(std::iter::from_fn(|| free.pop()));
//! loop {
//!     // Every received frame goes back out of the same interface.
//!     let room = socket.tx.free();
//!     socket.tx.produce(socket.rx.drain(room).map(|d| Desc::new(d.addr, d.len)));
//!     socket.tx.wake()?;
//!     socket.fill.produce(socket.completion.drain(64));
//!     socket.fill.wake()?;
//! #   if true { break }
//! }
//! # Ok::<(), afxdp::Error>(())
//! ```

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
compile_error!("AF_XDP is Linux only, and this crate maps its rings on 64-bit machines only");

mod bind;
mod desc;
mod error;
mod region;
mod ring;
mod rings;
mod socket;
mod sys;
pub mod uapi;
mod umem;

/// Compiles the README's example.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

pub use bind::{BindMode, BusyPoll, RingSizes, SocketBuilder};
pub use desc::Desc;
pub use error::{DescError, Error};
pub use region::{PacketMemory, Pages, Region};
pub use ring::Drain;
pub use rings::{CompletionRing, FillRing, RxRing, TxRing};
pub use socket::{Control, Mode, Socket, Statistics, raise_memlock_limit, wait};
pub use umem::{Umem, UmemConfig};
