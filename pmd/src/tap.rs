//! The TAP port: we hold the queue, the netdev is in a VM's or container's network namespace.
//!
//! Frames carry a virtio-net header, so TCP between two VMs crosses the switch in super-frames of
//! up to 64 KiB whose checksums nobody computes. Invariants: a frame is read whole, because the chunks
//! of the longest one always lie ready; a header that a VM's kernel wrote is checked before it is
//! believed; a port that is dropped gives back every chunk.
//!
//! The netdev is persistent: it keeps its addresses and routes while no daemon has it open, and
//! [`TapHandle::remove`] takes it away. Not here: what is on the other side, and its addresses.

mod open;
mod vnet;

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use arrayvec::ArrayVec;
use proto::DropReason;

pub use self::open::{TapConfig, TapError};
use self::vnet::HEADER_BYTES;
use crate::budget::MemoryBudget;
use crate::burst::Burst;
use crate::memory::{ChunkSize, Frame, Ledger, PacketMemory, Pool, SEGMENTS_MAX};
use crate::port::{
    Capabilities, DropTally, ETHERNET_HEADER_BYTES, Port, PortGone, PortKind, PortStatistics,
    TAGS_BYTES, TxReport,
};

/// A burst ends once it holds this many bytes. Super-frames are read and written by copying, and a
/// burst of 64 of them is 4 MiB: none of it would still be in the cache when it is written. Measured
/// with eight TCP streams from TAP to TAP: a quarter more than with whole bursts; half as many bytes
/// help less. Frames of an ordinary MTU fill a burst before.
const BURST_BYTES_MAX: usize = 120_000;

/// Chunks that a read may need, and the header before them.
const READ_PARTS_MAX: usize = SEGMENTS_MAX + 1;

/// What came of opening a TAP.
#[derive(Debug)]
pub struct OpenedTap {
    /// For a worker.
    pub port: TapPort,
    /// For whoever opened it: the netdev's life.
    pub handle: TapHandle,
}

/// Makes TAP ports.
#[derive(Debug)]
pub struct Tap;

impl Tap {
    /// Makes the netdev, or takes up the one of this name that an earlier daemon left, and opens its
    /// queue.
    ///
    /// # Errors
    /// See [`TapError`]; then nothing new is left behind.
    pub fn open(memory: &Arc<PacketMemory>, config: &TapConfig) -> Result<OpenedTap, TapError> {
        let open::Opened { queue, uso, place } = open::open(config)?;
        let duplicate = queue.try_clone().map_err(|source| TapError::System {
            ifname: config.ifname.clone(),
            action: "duplicate the queue",
            source,
        })?;
        let chunk_size = match memory.chunk_size_bytes() {
            2048 => ChunkSize::Bytes2048,
            _ => ChunkSize::Bytes4096,
        };
        let read_chunks = MemoryBudget::super_frame_chunks(chunk_size) as usize;
        let frame_bytes = usize::from(config.mtu_bytes) + ETHERNET_HEADER_BYTES + TAGS_BYTES;
        let port = TapPort {
            queue,
            ledger: Ledger::new(memory),
            ready: ArrayVec::new(),
            read_chunks: read_chunks.min(SEGMENTS_MAX),
            capabilities: Capabilities {
                checksum: true,
                tso: true,
                uso,
                max_frame_bytes: frame_bytes,
                max_segments: SEGMENTS_MAX,
            },
            statistics: PortStatistics::default(),
            gone: None,
        };
        Ok(OpenedTap { port, handle: TapHandle { queue: duplicate, place } })
    }
}

impl Tap {
    /// Makes the netdev, or takes it up, and gives its bare queue: whoever has it reads and writes
    /// one frame at a time, each behind a virtio-net header of 12 bytes, and never blocks. For
    /// measurements of what the kernel alone costs.
    ///
    /// # Errors
    /// See [`TapError`].
    pub fn open_queue(config: &TapConfig) -> Result<OwnedFd, TapError> {
        open::open(config).map(|opened| opened.queue)
    }

    /// Takes away the netdev of a port that was dropped before: one that was shut, or that an
    /// earlier daemon left.
    ///
    /// # Errors
    /// See [`TapError`]: somebody has it open, or its namespace is gone.
    pub fn remove(config: &TapConfig) -> Result<(), TapError> {
        open::remove(config)
    }
}

/// Keeps a hold on the netdev of a TAP port.
#[derive(Debug)]
pub struct TapHandle {
    queue: OwnedFd,
    place: Option<open::Place>,
}

impl TapHandle {
    /// Whether the network namespace that the netdev was put into has been deleted: its name under
    /// /run/netns, or the file that an absolute path named, is gone or means another one. The
    /// queue does not notice, because an open queue keeps the namespace alive: whoever finds this
    /// true has to drop port and handle, and the namespace goes with its netdev.
    #[must_use]
    pub fn is_namespace_gone(&self) -> bool {
        self.place.as_ref().is_some_and(open::Place::is_gone)
    }

    /// Takes the netdev away. The port must be gone by then, or the netdev stays until it is.
    ///
    /// # Errors
    /// The kernel refused; a netdev that is gone already is no error.
    pub fn remove(self) -> io::Result<()> {
        match open::forget(&self.queue) {
            Err(e) if e.raw_os_error() == Some(libc::EBADFD) => Ok(()),
            outcome => outcome,
        }
    }
}

/// A TAP as a port.
#[derive(Debug)]
pub struct TapPort {
    queue: OwnedFd,
    ledger: Ledger,
    /// Addresses of the chunks that the next read goes into, in order.
    ready: ArrayVec<u64, SEGMENTS_MAX>,
    /// How many of them a read needs.
    read_chunks: usize,
    capabilities: Capabilities,
    statistics: PortStatistics,
    gone: Option<PortGone>,
}

/// What became of one read.
enum Read {
    Frame(Frame),
    Dropped(DropReason),
    Empty,
}

impl TapPort {
    /// Makes sure that the longest frame finds room. False: the memory has too few chunks now.
    fn prepare(&mut self, pool: &Pool) -> bool {
        while self.ready.len() < self.read_chunks {
            let Some(address) = self.ledger.lend(pool) else {
                return false;
            };
            self.ready.push(address);
        }
        true
    }

    /// Reads one frame. All chunks are ready.
    fn read(&mut self, pool: &Pool) -> Result<Read, PortGone> {
        let memory = Arc::clone(self.ledger.memory());
        let (chunk_size, headroom) =
            (memory.chunk_size_bytes(), usize::from(memory.headroom_bytes()));
        let mut header = [0u8; HEADER_BYTES];
        let mut parts: ArrayVec<libc::iovec, READ_PARTS_MAX> = ArrayVec::new();
        parts.push(libc::iovec { iov_base: header.as_mut_ptr().cast(), iov_len: HEADER_BYTES });
        for (index, address) in self.ready.iter().enumerate() {
            let offset = if index == 0 { headroom } else { 0 };
            // SAFETY: the ledger lent this chunk, so its address and the rest of the chunk lie in
            // the mapping.
            let start = unsafe { memory.base().as_ptr().add(*address as usize + offset) };
            parts.push(libc::iovec { iov_base: start.cast(), iov_len: chunk_size - offset });
        }
        let count = parts.len() as libc::c_int;
        // SAFETY: `parts` are the header on our stack and chunks that are lent to this port alone:
        // no frame, pool or other device has them, and `memory` keeps the mapping alive.
        let got = unsafe { libc::readv(self.queue.as_raw_fd(), parts.as_ptr(), count) };
        let Ok(got) = usize::try_from(got) else { return self.read_failed() };
        let Some(len) = got.checked_sub(HEADER_BYTES).filter(|len| *len > 0) else {
            return Ok(Read::Dropped(DropReason::Malformed));
        };
        let Some(mut frame) = self.take_frame(pool, len, chunk_size, headroom) else {
            return Ok(Read::Dropped(DropReason::NoMemory));
        };
        if len < ETHERNET_HEADER_BYTES {
            return Ok(Read::Dropped(DropReason::Malformed));
        }
        match vnet::decode(&header, frame.head(), len) {
            Ok(offload) => {
                frame.set_offload(offload);
                Ok(Read::Frame(frame))
            }
            Err(reason) => Ok(Read::Dropped(reason)),
        }
    }

    fn read_failed(&mut self) -> Result<Read, PortGone> {
        match io::Error::last_os_error().raw_os_error() {
            Some(libc::EAGAIN | libc::EINTR) => Ok(Read::Empty),
            // A kind of super-frame that the header has no word for; the kernel has dropped it
            // (drivers/net/tun.c, tun_put_user).
            Some(libc::EINVAL) => Ok(Read::Dropped(DropReason::OffloadUnsupported)),
            errno => Err(self.fail("read", errno)),
        }
    }

    /// Makes a frame of the first chunks, which the read has filled with `len` bytes.
    fn take_frame(
        &mut self,
        pool: &Pool,
        len: usize,
        chunk_size: usize,
        headroom: usize,
    ) -> Option<Frame> {
        let in_head = len.min(chunk_size - headroom);
        let mut left = len - in_head;
        let mut used = self.ready.drain(..1 + left.div_ceil(chunk_size));
        let head = self.ledger.take_back(pool, used.next()?)?;
        let mut frame = head.into_frame(headroom, in_head)?;
        for address in used {
            let part = left.min(chunk_size);
            left -= part;
            let chunk = self.ledger.take_back(pool, address)?;
            if !frame.append_chunk(chunk, 0, part) {
                return None;
            }
        }
        Some(frame)
    }

    /// Writes one frame.
    fn write(&mut self, frame: &Frame) -> Result<(), DropReason> {
        self.capabilities.admit(frame)?;
        let header = vnet::encode(&frame.offload());
        let mut parts: ArrayVec<libc::iovec, READ_PARTS_MAX> = ArrayVec::new();
        parts.push(iovec(&header));
        for segment in frame.segments() {
            if parts.try_push(iovec(segment)).is_err() {
                return Err(DropReason::OffloadUnsupported);
            }
        }
        let count = parts.len() as libc::c_int;
        // SAFETY: every part is a live shared slice, the header or a segment of `frame`; writev
        // only reads them.
        let written = unsafe { libc::writev(self.queue.as_raw_fd(), parts.as_ptr(), count) };
        if written >= 0 {
            return Ok(());
        }
        Err(match io::Error::last_os_error().raw_os_error() {
            Some(libc::EAGAIN | libc::ENOBUFS | libc::ENOMEM | libc::EINTR) => {
                DropReason::TxQueueFull
            }
            // The kernel does not believe the offload header, which is a VM's word.
            Some(libc::EINVAL) => DropReason::Malformed,
            // The VM has set its interface down (drivers/net/tun.c, tun_get_user).
            Some(libc::EIO) => DropReason::PortDown,
            errno @ Some(libc::EBADFD | libc::EBADF | libc::ENODEV | libc::ENXIO) => {
                self.fail("write", errno);
                DropReason::PortDown
            }
            // Whatever else there is to say of a frame, it may be another VM's, and that must not
            // end this port.
            _ => DropReason::Malformed,
        })
    }

    fn fail(&mut self, operation: &'static str, errno: Option<i32>) -> PortGone {
        let gone = PortGone::Device { operation, errno: errno.unwrap_or(libc::EIO) };
        self.gone.get_or_insert(gone).clone()
    }

    fn check_gone(&self) -> Result<(), PortGone> {
        self.gone.clone().map_or(Ok(()), Err)
    }
}

impl Port for TapPort {
    fn kind(&self) -> PortKind {
        PortKind::Tap
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn link_up(&self) -> bool {
        self.gone.is_none()
    }

    fn rx(&mut self, pool: &Pool, burst: &mut Burst) -> Result<DropTally, PortGone> {
        self.check_gone()?;
        let (before, mut dropped) = (burst.len(), DropTally::NONE);
        let mut bytes = 0;
        while !burst.is_full() && bytes < BURST_BYTES_MAX && self.prepare(pool) {
            match self.read(pool) {
                Ok(Read::Frame(frame)) => {
                    bytes += frame.len_bytes();
                    self.statistics.rx_frames += 1;
                    self.statistics.rx_bytes += frame.len_bytes() as u64;
                    self.statistics.rx_super_frames += u64::from(frame.offload().gso.is_some());
                    if burst.push(frame).is_err() {
                        break;
                    }
                }
                Ok(Read::Dropped(reason)) => {
                    dropped.add(reason);
                    // As many drops as frames: a VM that sends rubbish must not hold the worker.
                    if dropped.total() as usize >= crate::BURST_MAX {
                        break;
                    }
                }
                Ok(Read::Empty) => break,
                // Told with the next call when there is something to deliver first.
                Err(gone) if burst.len() == before => return Err(gone),
                Err(_) => break,
            }
        }
        self.statistics.rx_dropped.add(&dropped);
        Ok(dropped)
    }

    fn tx(&mut self, _pool: &Pool, burst: &mut Burst) -> TxReport {
        let mut report = TxReport::default();
        for frame in burst.drain() {
            let outcome =
                if self.gone.is_some() { Err(DropReason::PortDown) } else { self.write(&frame) };
            match outcome {
                Ok(()) => {
                    report.sent(frame.len_bytes());
                    self.statistics.tx_super_frames += u64::from(frame.offload().gso.is_some());
                }
                Err(reason) => report.dropped.add(reason),
            }
        }
        self.statistics.add_tx(&report);
        report
    }

    fn flush(&mut self, _pool: &Pool) -> Result<(), PortGone> {
        self.check_gone()
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.queue.as_fd())
    }

    fn prepare_sleep(&mut self, pool: &Pool) -> Result<bool, PortGone> {
        self.check_gone()?;
        // A thousand sleeping TAPs with the chunks of a super-frame each would be 70 MiB.
        for address in self.ready.drain(..) {
            self.ledger.take_home(pool, address);
        }
        // The descriptor is level-triggered: a frame that came meanwhile makes it readable.
        Ok(true)
    }

    fn statistics(&self) -> PortStatistics {
        self.statistics
    }
}

fn iovec(bytes: &[u8]) -> libc::iovec {
    libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() }
}
