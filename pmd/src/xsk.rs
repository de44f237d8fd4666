//! The AF_XDP port: a NIC or a veth, one socket for each of its receive queues.
//!
//! Where it sits: a worker owns the [`XskPort`] and moves frames through it; whoever opened it keeps
//! the [`XdpPort`], which holds the XDP program on the interface, its filter and its counters. The
//! packet memory is registered with each device as a UMEM of its own, so a frame goes from one port's
//! RX ring to another's TX ring without a copy.
//!
//! Invariants: every chunk in a ring is lent by this port's [`Ledger`] and comes home when the port
//! is dropped; a descriptor that names a foreign chunk is counted and ignored, never followed.
//! Not here: checksum and segmentation ([`crate::complete`]); AF_XDP can do neither.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::Arc;

pub use afxdp::BindMode;
use afxdp::{Desc, Mode, RingSizes, Socket, SocketBuilder, Umem, UmemConfig};
use arrayvec::ArrayVec;
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags};
use proto::{DropReason, MacAddr};

use crate::burst::{BURST_MAX, Burst};
use crate::ethtool::{Netdev, OffloadGuard, Promiscuous};
use crate::memory::{Frame, Ledger, PacketMemory, Pool};
use crate::port::{
    Capabilities, DropTally, ETHERNET_HEADER_BYTES, Port, PortGone, PortKind, PortStatistics,
    TAGS_BYTES, TxReport,
};
use crate::xdp::{AttachMode, XdpError, XdpPort};

/// Most chunks of one transmitted frame: the kernel puts each in a fragment of one skb
/// (`MAX_SKB_FRAGS` of net/core, less the head).
const SEGMENTS_MAX: usize = 16;
/// Descriptors that are handed to the TX ring at a time.
const STAGE_LEN: usize = BURST_MAX + SEGMENTS_MAX;
/// The fill ring is topped up when this many places are free: a ring update serves many frames.
const REFILL_MIN: u32 = 32;

/// The packet memory as it is registered with a device. The type stays in this module, and so do the
/// sockets: were `PacketMemory` itself an [`afxdp::PacketMemory`], any safe code could hand a ring the
/// address of a chunk that somebody has a reference into.
///
/// ```compile_fail,E0277
/// fn register(memory: std::sync::Arc<pmd::PacketMemory>) -> afxdp::Umem {
///     afxdp::Umem::new(memory, afxdp::UmemConfig::default()).unwrap()
/// }
/// ```
#[derive(Debug)]
struct Registered(Arc<PacketMemory>);

// SAFETY: the mapping behind `PacketMemory` is page-aligned and stays where it is from construction to
// drop, and the Arc holds it as long as the kernel may use it. The only rings of sockets over it are
// those of this module, and every address that goes into one comes from `Ledger::lend` or
// `lend_frame`, and comes out of the ledger only after the kernel has put it into a receive or
// completion ring, or its socket is closed. So nobody has a reference into a chunk that a ring holds.
unsafe impl afxdp::PacketMemory for Registered {
    fn base(&self) -> NonNull<u8> {
        self.0.base()
    }

    fn len(&self) -> usize {
        self.0.size_bytes()
    }
}

/// Which interface, and how.
#[derive(Clone, Debug)]
pub struct XskConfig {
    /// The interface, in the network namespace of the calling thread.
    pub ifname: String,
    /// Zero-copy when the driver can, or what is asked for.
    pub mode: BindMode,
    /// Entries of each ring, a power of two.
    pub ring_len: u32,
    /// Take in frames for any address, as an uplink must.
    pub promiscuous: bool,
}

/// What came of opening a port.
#[derive(Debug)]
pub struct Opened {
    /// For a worker.
    pub port: XskPort,
    /// For whoever opened it: the program, its filter and its counters.
    pub xdp: XdpPort,
    /// The interface's own address.
    pub mac: MacAddr,
    /// `native zero-copy`, `native copy`, `generic`.
    pub mode: &'static str,
    /// Something the operator should know; empty when there is nothing.
    pub note: String,
}

/// Why an interface cannot be a port.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No such interface, or it does not answer.
    #[error("interface {ifname}: {source}")]
    Interface {
        /// The interface.
        ifname: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// The XDP program could not be put on it.
    #[error("interface {ifname}: {source}")]
    Xdp {
        /// The interface.
        ifname: String,
        /// Why.
        source: XdpError,
    },
    /// No AF_XDP socket could be bound to it.
    #[error("interface {ifname}: {source}")]
    Socket {
        /// The interface.
        ifname: String,
        /// Why.
        source: afxdp::Error,
    },
}

/// One receive queue and its socket.
#[derive(Debug)]
struct Queue {
    socket: Socket,
    /// The ring ended in the middle of a frame: what is left of it is skipped.
    skipping: bool,
}

/// An interface as a port.
#[derive(Debug)]
pub struct XskPort {
    // Dropped first: the sockets close before their chunks go home.
    queues: Vec<Queue>,
    ledger: Ledger,
    ready: Option<Epoll>,
    netdev: Netdev,
    capabilities: Capabilities,
    statistics: PortStatistics,
    next_queue: usize,
    gone: Option<PortGone>,
    _offloads: OffloadGuard,
    _promiscuous: Option<Promiscuous>,
}

impl XskPort {
    /// Opens an interface: XDP program, one socket a queue, VLAN offload off. Frames arrive from
    /// now on.
    ///
    /// # Errors
    /// See [`OpenError`]; then the interface is as it was.
    pub fn open(memory: &Arc<PacketMemory>, config: &XskConfig) -> Result<Opened, OpenError> {
        let ifname = config.ifname.clone();
        let interface = |source| OpenError::Interface { ifname: ifname.clone(), source };
        let xdp_error = |source| OpenError::Xdp { ifname: ifname.clone(), source };
        let netdev = Netdev::new(&ifname).map_err(interface)?;
        let ifindex = netdev.index().map_err(interface)?;
        let mac = netdev.mac().map_err(interface)?;
        let mtu_bytes = netdev.mtu_bytes().map_err(interface)? as usize;
        let offloads = Netdev::new(&ifname).and_then(Netdev::expose_frames).map_err(interface)?;
        let promiscuous = config.promiscuous.then(|| Promiscuous::hold(ifindex)).transpose();
        let promiscuous = promiscuous.map_err(interface)?;
        // The program first: until it has a socket in its map it leaves every frame to the kernel.
        let mut xdp = XdpPort::attach(ifindex).map_err(xdp_error)?;
        let frame_bytes = mtu_bytes + ETHERNET_HEADER_BYTES + TAGS_BYTES;
        let (queues, multi_buffer) = open_queues(memory, config, &netdev, ifindex, frame_bytes)
            .map_err(|source| OpenError::Socket { ifname: ifname.clone(), source })?;
        for (index, queue) in (0..).zip(&queues) {
            xdp.set_socket(index, &queue.socket).map_err(xdp_error)?;
        }
        let mode = match (xdp.mode(), queues.first().map(|q| q.socket.control.mode())) {
            (AttachMode::Generic, _) => "generic",
            (AttachMode::Native, Some(Mode::ZeroCopy)) => "native zero-copy",
            (AttachMode::Native, _) => "native copy",
        };
        let note = note(&netdev);
        let port = Self {
            ready: watch(&queues).map_err(interface)?,
            queues,
            ledger: Ledger::new(memory),
            netdev,
            capabilities: Capabilities {
                checksum: false,
                tso: false,
                uso: false,
                max_frame_bytes: frame_bytes,
                max_segments: if multi_buffer { SEGMENTS_MAX } else { 1 },
            },
            statistics: PortStatistics::default(),
            next_queue: 0,
            gone: None,
            _offloads: offloads,
            _promiscuous: promiscuous,
        };
        Ok(Opened { port, xdp, mac, mode, note })
    }

    fn fail(&mut self, operation: &'static str, error: &afxdp::Error) -> PortGone {
        let errno = match error {
            afxdp::Error::Syscall { source, .. } => source.raw_os_error().unwrap_or(libc::EIO),
            _ => libc::ENXIO,
        };
        let gone = PortGone::Device { operation, errno };
        self.gone = Some(gone.clone());
        gone
    }

    fn check_gone(&self) -> Result<(), PortGone> {
        self.gone.clone().map_or(Ok(()), Err)
    }

    /// Brings chunks home whose transmission has ended.
    fn complete(&mut self, pool: &Pool) {
        for queue in &mut self.queues {
            let available = queue.socket.completion.available();
            if available == 0 {
                continue;
            }
            for address in queue.socket.completion.drain(available) {
                self.ledger.take_home(pool, address);
            }
        }
    }
}

fn open_queues(
    memory: &Arc<PacketMemory>,
    config: &XskConfig,
    netdev: &Netdev,
    ifindex: u32,
    frame_bytes: usize,
) -> Result<(Vec<Queue>, bool), afxdp::Error> {
    let chunk_size = u32::try_from(memory.chunk_size_bytes()).unwrap_or(u32::MAX);
    let registered = Arc::new(Registered(Arc::clone(memory)));
    let umem = Umem::new(registered, UmemConfig { chunk_size, headroom: 0 })?;
    let multi_buffer = frame_bytes > umem.receive_len_max() as usize;
    let len = config.ring_len;
    let count = netdev.receive_queues().min(crate::xdp::QUEUES_MAX);
    let queues: Result<Vec<Queue>, afxdp::Error> = (0..count)
        .map(|queue_id| {
            let socket = SocketBuilder::new(ifindex, queue_id)
                .mode(config.mode)
                .rings(RingSizes { fill: len, completion: len, rx: len, tx: len })
                .multi_buffer(multi_buffer)
                .bind(&umem)?;
            Ok(Queue { socket, skipping: false })
        })
        .collect();
    Ok((queues?, multi_buffer))
}

/// One descriptor to sleep on: that of the only socket, else an epoll over all.
fn watch(queues: &[Queue]) -> io::Result<Option<Epoll>> {
    if queues.len() < 2 {
        return Ok(None);
    }
    let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
    for (index, queue) in (0u64..).zip(queues) {
        epoll.add(&queue.socket, EpollEvent::new(EpollFlags::EPOLLIN, index))?;
    }
    Ok(Some(epoll))
}

fn note(netdev: &Netdev) -> String {
    match netdev.driver() {
        Ok(driver) if driver == "veth" => {
            "veth: checksums that its other end leaves to hardware cannot be seen by AF_XDP; if a \
             kernel's stack is there, run `ethtool -K PEER tx off tso off gso off` on it"
                .to_owned()
        }
        _ => String::new(),
    }
}

impl Queue {
    /// Receives whole frames while there is room in the burst.
    fn rx(&mut self, ledger: &mut Ledger, pool: &Pool, burst: &mut Burst, dropped: &mut DropTally) {
        let available = self.socket.rx.available();
        if available == 0 || burst.is_full() {
            return;
        }
        // Where the chunks go that will replace those of the burst.
        self.socket.fill.prefetch(available.min(BURST_MAX as u32));
        let chunk_mask = pool.memory().chunk_size_bytes() as u64 - 1;
        let mut partial: Option<Frame> = None;
        let mut left = available;
        let mut descriptors = self.socket.rx.drain(available);
        while !burst.is_full() || partial.is_some() {
            let Some(desc) = descriptors.next() else { break };
            left -= 1;
            let chunk = ledger.take_back(pool, desc.addr);
            let (offset, len) = ((desc.addr & chunk_mask) as usize, desc.len as usize);
            let frame = match (partial.take(), chunk) {
                _ if self.skipping => None,
                (None, Some(chunk)) => chunk.into_frame(offset, len),
                (Some(mut frame), Some(chunk)) => {
                    frame.append_chunk(chunk, offset, len).then_some(frame)
                }
                (_, None) => None,
            };
            if frame.is_none() && !self.skipping {
                dropped.add(DropReason::Malformed);
                self.skipping = true;
            }
            if desc.is_continued() {
                partial = frame;
                continue;
            }
            self.skipping = false;
            if let Some(frame) = frame {
                frame.prefetch_head();
                if burst.push(frame).is_err() {
                    dropped.add(DropReason::NoMemory);
                }
            }
        }
        drop(descriptors);
        if partial.is_some() {
            // The kernel publishes all parts of a frame at once; if it did not, the rest of this
            // one must not be taken for a frame of its own.
            debug_assert_eq!(left, 0);
            dropped.add(DropReason::Malformed);
            self.skipping = true;
        }
    }

    /// Gives the kernel chunks to receive into.
    fn refill(&mut self, ledger: &mut Ledger, pool: &Pool) -> Result<(), afxdp::Error> {
        let fill = &mut self.socket.fill;
        if fill.free() >= REFILL_MIN {
            fill.produce(std::iter::from_fn(|| ledger.lend(pool)));
        }
        if fill.needs_wakeup() { fill.wake() } else { Ok(()) }
    }

    /// Puts staged descriptors into the TX ring, whose room was checked before.
    fn submit(&mut self, stage: &mut ArrayVec<Desc, STAGE_LEN>) {
        if !stage.is_empty() {
            let produced = self.socket.tx.produce(stage.drain(..));
            debug_assert!(produced > 0);
        }
    }
}

impl Port for XskPort {
    fn kind(&self) -> PortKind {
        PortKind::AfXdp
    }

    fn capabilities(&self) -> Capabilities {
        self.capabilities
    }

    fn link_up(&self) -> bool {
        self.gone.is_none() && self.netdev.has_carrier().unwrap_or(false)
    }

    fn rx(&mut self, pool: &Pool, burst: &mut Burst) -> Result<DropTally, PortGone> {
        self.check_gone()?;
        let (before, mut dropped) = (burst.len(), DropTally::NONE);
        let count = self.queues.len();
        let mut failed = None;
        for step in 0..count {
            // Another queue is first each time, so that none starves when bursts are full.
            let Some(queue) = self.queues.get_mut((self.next_queue + step) % count) else { break };
            queue.rx(&mut self.ledger, pool, burst, &mut dropped);
            if let Err(error) = queue.refill(&mut self.ledger, pool)
                && error.is_gone()
            {
                failed = Some(error);
            }
        }
        self.next_queue = (self.next_queue + 1) % count.max(1);
        for frame in &burst[before..] {
            self.statistics.rx_frames += 1;
            self.statistics.rx_bytes += frame.len_bytes() as u64;
        }
        self.statistics.rx_dropped.add(&dropped);
        match failed {
            Some(error) if burst.len() == before => Err(self.fail("receive", &error)),
            _ => Ok(dropped),
        }
    }

    fn tx(&mut self, pool: &Pool, burst: &mut Burst) -> TxReport {
        let mut report = TxReport::default();
        self.complete(pool);
        // One TX queue serves: each has a lock and a qdisc of its own in the kernel, and frames of
        // one flow must not overtake each other.
        let queue = if self.gone.is_none() { self.queues.first_mut() } else { None };
        let Some(queue) = queue else {
            for _ in burst.drain() {
                report.dropped.add(DropReason::PortDown);
            }
            self.statistics.add_tx(&report);
            return report;
        };
        let mut stage: ArrayVec<Desc, STAGE_LEN> = ArrayVec::new();
        let mut room = queue.socket.tx.free() as usize;
        for frame in burst.drain() {
            let (len, segments) = (frame.len_bytes(), frame.segment_count());
            if let Err(reason) = self.capabilities.admit(&frame) {
                report.dropped.add(reason);
                continue;
            }
            if segments > room {
                report.dropped.add(DropReason::TxQueueFull);
                continue;
            }
            if segments > stage.remaining_capacity() {
                queue.submit(&mut stage);
            }
            let mut parts_left = segments;
            let lent = self.ledger.lend_frame(frame, |address, len| {
                parts_left -= 1;
                let last = parts_left == 0;
                // Room was made above: a frame has at most SEGMENTS_MAX parts.
                stage.push(if last {
                    Desc::new(address, len)
                } else {
                    Desc::continued(address, len)
                });
            });
            if lent.is_err() {
                report.dropped.add(DropReason::NoMemory);
                continue;
            }
            room -= segments;
            report.sent(len);
        }
        queue.submit(&mut stage);
        self.statistics.add_tx(&report);
        report
    }

    fn flush(&mut self, pool: &Pool) -> Result<(), PortGone> {
        self.check_gone()?;
        let mut failed = None;
        if let Some(queue) = self.queues.first_mut()
            && queue.socket.tx.outstanding() > 0
            && queue.socket.tx.needs_wakeup()
            && let Err(error) = queue.socket.tx.wake()
            && error.is_gone()
        {
            failed = Some(error);
        }
        self.complete(pool);
        failed.map_or(Ok(()), |error| Err(self.fail("transmit", &error)))
    }

    fn poll_fd(&self) -> Option<BorrowedFd<'_>> {
        match &self.ready {
            Some(epoll) => Some(epoll.0.as_fd()),
            None => self.queues.first().map(|queue| queue.socket.as_fd()),
        }
    }

    fn prepare_sleep(&mut self, pool: &Pool) -> Result<bool, PortGone> {
        self.flush(pool)?;
        let mut idle = true;
        let mut failed = None;
        for queue in &mut self.queues {
            // Nothing is received into an empty fill ring, so nothing would wake us.
            let ready =
                queue.refill(&mut self.ledger, pool).and_then(|()| queue.socket.control.check());
            if let Err(error) = ready
                && error.is_gone()
            {
                failed = Some(error);
            }
            idle &= queue.socket.rx.available() == 0;
        }
        failed.map_or(Ok(idle), |error| Err(self.fail("poll", &error)))
    }

    fn statistics(&self) -> PortStatistics {
        let lost = |queue: &Queue| match queue.socket.control.statistics() {
            Ok(s) => s.rx_dropped + s.rx_ring_full + s.rx_fill_ring_empty_descs,
            Err(_) => 0,
        };
        let rx_device_lost = self.queues.iter().map(lost).sum();
        PortStatistics { rx_device_lost, ..self.statistics }
    }
}
