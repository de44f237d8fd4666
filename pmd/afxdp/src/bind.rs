//! Making a socket: memory registered, rings sized and mapped, bound to a queue.
//!
//! Where it sits: between [`Umem`] and [`Socket`]. It is the only place that knows in which order
//! the kernel wants the steps (`net/xdp/xsk.c`): memory, ring sizes, options, bind.
//!
//! Invariant: a bind that fails leaves nothing behind; every attempt has a descriptor of its own.

use std::fmt;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::thread;
use std::time::{Duration, Instant};

use crate::desc::Desc;
use crate::error::Error;
use crate::ring::{Consumer, ENTRIES_MAX, Parts, Producer};
use crate::rings::{CompletionRing, FillRing, RxRing, TxRing};
use crate::socket::{Control, Mode, Shared, Socket};
use crate::sys::{self, Mapping};
use crate::uapi::{self, sockaddr_xdp, xdp_mmap_offsets, xdp_ring_offset, xdp_umem_reg};
use crate::umem::Umem;

/// The kernel's own "not supported" (`include/linux/errno.h`), which some drivers let through.
const ENOTSUPP: i32 = 524;
/// `SO_PREFER_BUSY_POLL` of `asm-generic/socket.h`.
const SO_PREFER_BUSY_POLL: i32 = 69;
/// `SO_BUSY_POLL_BUDGET` of `asm-generic/socket.h`.
const SO_BUSY_POLL_BUDGET: i32 = 70;

/// How long [`SocketBuilder::bind`] waits for a queue by default: the kernel releases the queue
/// of a closed socket some time after the close, usually within milliseconds.
const BUSY_TIMEOUT: Duration = Duration::from_secs(1);
/// Pause between two attempts to bind to a queue that is held.
const BUSY_RETRY: Duration = Duration::from_millis(10);

/// What [`SocketBuilder::bind`] asks of the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BindMode {
    /// Zero-copy where the device can, else copy. The kernel decides in one step.
    #[default]
    Auto,
    /// Zero-copy or an error.
    ZeroCopy,
    /// Copy, even where the device could do zero-copy.
    Copy,
}

impl fmt::Display for BindMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Auto => "any AF_XDP mode",
            Self::ZeroCopy => "zero-copy mode",
            Self::Copy => "copy mode",
        })
    }
}

/// Number of entries of each ring: powers of two.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingSizes {
    /// Fill ring.
    pub fill: u32,
    /// Completion ring. At least as large as the transmit ring, or transmission stops when the
    /// caller takes completions late.
    pub completion: u32,
    /// Receive ring.
    pub rx: u32,
    /// Transmit ring.
    pub tx: u32,
}

impl Default for RingSizes {
    /// 2048 entries each: about a millisecond of small frames at 2 Mpps.
    fn default() -> Self {
        Self { fill: 2048, completion: 2048, rx: 2048, tx: 2048 }
    }
}

impl RingSizes {
    fn check(self) -> Result<(), Error> {
        let rings = [
            ("fill", self.fill),
            ("completion", self.completion),
            ("rx", self.rx),
            ("tx", self.tx),
        ];
        for (ring, entries) in rings {
            if !entries.is_power_of_two() || entries > ENTRIES_MAX {
                return Err(Error::RingSize { ring, entries, max: ENTRIES_MAX });
            }
        }
        Ok(())
    }
}

/// Preferred busy polling: the device's interrupts stay off while the socket is served in time
/// (`Documentation/networking/napi.rst`; needs `napi_defer_hard_irqs` and `gro_flush_timeout` of
/// the interface, and CAP_NET_ADMIN).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BusyPoll {
    /// Microseconds a blocking call would poll (`SO_BUSY_POLL`); any positive value switches
    /// busy polling on.
    pub timeout_us: u32,
    /// Frames one poll may take (`SO_BUSY_POLL_BUDGET`).
    pub budget: u32,
}

/// Describes a socket and binds it.
#[derive(Debug, Clone)]
pub struct SocketBuilder {
    ifindex: u32,
    queue_id: u32,
    mode: BindMode,
    rings: RingSizes,
    multi_buffer: bool,
    tx_budget: Option<u32>,
    busy_poll: Option<BusyPoll>,
    busy_timeout: Duration,
}

impl SocketBuilder {
    /// A socket on queue `queue_id` of the interface with index `ifindex` in the network
    /// namespace of the thread that calls [`SocketBuilder::bind`].
    #[must_use]
    pub fn new(ifindex: u32, queue_id: u32) -> Self {
        Self {
            ifindex,
            queue_id,
            mode: BindMode::Auto,
            rings: RingSizes::default(),
            multi_buffer: false,
            tx_budget: None,
            busy_poll: None,
            busy_timeout: BUSY_TIMEOUT,
        }
    }

    /// Which mode to insist on; [`BindMode::Auto`] when not called.
    #[must_use]
    pub fn mode(mut self, mode: BindMode) -> Self {
        self.mode = mode;
        self
    }

    /// Sizes of the rings; 2048 entries each when not called.
    #[must_use]
    pub fn rings(mut self, rings: RingSizes) -> Self {
        self.rings = rings;
        self
    }

    /// Frames larger than a chunk travel in several descriptors (Linux 6.6; the XDP program must
    /// be loaded with `BPF_F_XDP_HAS_FRAGS` to receive them). Off when not called: such frames are
    /// dropped.
    #[must_use]
    pub fn multi_buffer(mut self, on: bool) -> Self {
        self.multi_buffer = on;
        self
    }

    /// Descriptors that one `sendto` may transmit in copy mode, from 32 up to the size of the
    /// transmit ring, which is what it is when not called. A smaller one bounds how long a system
    /// call takes; [`crate::TxRing::wake`] makes more of them. Before Linux 6.17 it is always 32.
    #[must_use]
    pub fn tx_budget(mut self, descriptors: u32) -> Self {
        self.tx_budget = Some(descriptors);
        self
    }

    /// Switches preferred busy polling on.
    #[must_use]
    pub fn busy_poll(mut self, busy_poll: BusyPoll) -> Self {
        self.busy_poll = Some(busy_poll);
        self
    }

    /// How long to wait for a queue that is still held by a socket just closed; one second when
    /// not called.
    #[must_use]
    pub fn busy_timeout(mut self, timeout: Duration) -> Self {
        self.busy_timeout = timeout;
        self
    }

    /// Opens the socket and binds it. Blocks while the queue is held, at most for the
    /// [`SocketBuilder::busy_timeout`].
    ///
    /// # Errors
    ///
    /// [`Error::RingSize`]; [`Error::UmemOfOtherDevice`], [`Error::QueueTaken`],
    /// [`Error::UmemMode`] when it does not fit the UMEM's other sockets; what the kernel says:
    /// [`Error::NoSuchInterface`], [`Error::BindInvalid`], [`Error::ModeRefused`],
    /// [`Error::QueueBusy`], [`Error::MemoryLock`], [`Error::Permission`],
    /// [`Error::Unsupported`], [`Error::InterfaceDown`], [`Error::Syscall`].
    pub fn bind(&self, umem: &Umem) -> Result<Socket, Error> {
        self.rings.check()?;
        umem.with_sockets(|live| {
            let leader = live.first();
            if let Some(leader) = leader {
                self.check_sharing(leader, live)?;
            }
            let started = Instant::now();
            loop {
                // A new descriptor each time: what a failed bind leaves of the old one differs
                // between kernels.
                match self.bind_once(umem, leader) {
                    Err(Error::QueueBusy { .. }) if started.elapsed() < self.busy_timeout => {
                        thread::sleep(BUSY_RETRY);
                    }
                    Err(Error::QueueBusy { ifindex, queue_id, .. }) => {
                        let waited_ms = started.elapsed().as_millis();
                        return Err(Error::QueueBusy { ifindex, queue_id, waited_ms });
                    }
                    Err(e) => return Err(e),
                    Ok(socket) => return Ok((Arc::clone(&socket.control.shared), socket)),
                }
            }
        })
    }

    /// The kernel lets a further socket inherit everything from the first; refuse what differs.
    fn check_sharing(&self, leader: &Shared, live: &[Arc<Shared>]) -> Result<(), Error> {
        let (ifindex, queue_id) = (self.ifindex, self.queue_id);
        if leader.ifindex != ifindex {
            return Err(Error::UmemOfOtherDevice { bound_ifindex: leader.ifindex, ifindex });
        }
        if live.iter().any(|socket| socket.queue_id == queue_id) {
            return Err(Error::QueueTaken { ifindex, queue_id });
        }
        match (self.mode, leader.mode) {
            (BindMode::ZeroCopy, Mode::Copy) => {
                return Err(Error::UmemMode { bound: "copy mode", asked: "zero-copy mode" });
            }
            (BindMode::Copy, Mode::ZeroCopy) => {
                return Err(Error::UmemMode { bound: "zero-copy mode", asked: "copy mode" });
            }
            _ => {}
        }
        match (self.multi_buffer, leader.multi_buffer) {
            (true, false) => {
                Err(Error::UmemMode { bound: "single-buffer frames", asked: "multi-buffer frames" })
            }
            (false, true) => {
                Err(Error::UmemMode { bound: "multi-buffer frames", asked: "single-buffer frames" })
            }
            _ => Ok(()),
        }
    }

    fn bind_once(&self, umem: &Umem, leader: Option<&Arc<Shared>>) -> Result<Socket, Error> {
        let fd = xdp_socket()?;
        if leader.is_none() {
            register(fd.as_fd(), umem)?;
        }
        let tx_fd = xdp_socket()?;
        let mapped = MappedRings::new(fd.as_fd(), tx_fd.as_fd(), self.rings)?;
        let tx_budget = set_tx_budget(tx_fd.as_fd(), self.tx_budget.unwrap_or(self.rings.tx));
        if let Some(busy_poll) = self.busy_poll {
            enable_busy_poll(fd.as_fd(), busy_poll)?;
            enable_busy_poll(tx_fd.as_fd(), busy_poll)?;
        }
        self.bind_fd(fd.as_fd(), leader.map(|leader| leader.fd.as_fd()))?;
        self.bind_fd(tx_fd.as_fd(), Some(fd.as_fd()))?;
        let mode = bound_mode(fd.as_fd())?;
        let shared = Arc::new(Shared {
            fd,
            tx_fd,
            ifindex: self.ifindex,
            queue_id: self.queue_id,
            mode,
            multi_buffer: self.multi_buffer,
            busy_polls: self.busy_poll.is_some(),
            tx_budget,
            umem: umem.clone(),
        });
        Ok(mapped.into_socket(shared))
    }

    /// Binds a socket to the queue, with the memory that it has or with that of `leader`. A leader on
    /// the same queue also shares its fill and completion rings.
    fn bind_fd(&self, fd: BorrowedFd<'_>, leader: Option<BorrowedFd<'_>>) -> Result<(), Error> {
        let flags = match leader {
            Some(_) => uapi::XDP_SHARED_UMEM,
            None => {
                let mode = match self.mode {
                    BindMode::Auto => 0,
                    BindMode::ZeroCopy => uapi::XDP_ZEROCOPY,
                    BindMode::Copy => uapi::XDP_COPY,
                };
                let frags = if self.multi_buffer { uapi::XDP_USE_SG } else { 0 };
                mode | frags | uapi::XDP_USE_NEED_WAKEUP
            }
        };
        let address = sockaddr_xdp {
            sxdp_family: libc::AF_XDP as u16,
            sxdp_flags: flags,
            sxdp_ifindex: self.ifindex,
            sxdp_queue_id: self.queue_id,
            // Descriptors are not negative.
            sxdp_shared_umem_fd: leader.map_or(0, |leader| leader.as_raw_fd() as u32),
        };
        let (ifindex, queue_id) = (self.ifindex, self.queue_id);
        sys::bind(fd, &address).map_err(|e| match e.raw_os_error() {
            Some(libc::EBUSY) => Error::QueueBusy { ifindex, queue_id, waited_ms: 0 },
            Some(libc::ENODEV) => Error::NoSuchInterface { ifindex },
            Some(libc::ENETDOWN) => Error::InterfaceDown { ifindex, queue_id },
            // The first socket lost its device: interface deleted between the two binds.
            Some(libc::EBADF) if leader.is_some() => Error::InterfaceGone { ifindex, queue_id },
            Some(libc::EOPNOTSUPP | ENOTSUPP) if self.mode != BindMode::Auto => {
                Error::ModeRefused { ifindex, mode: self.mode }
            }
            Some(libc::EINVAL) => Error::BindInvalid { ifindex, queue_id, flags },
            _ => Error::Syscall { call: "bind(AF_XDP)", source: e },
        })
    }
}

fn xdp_socket() -> Result<OwnedFd, Error> {
    sys::xdp_socket().map_err(|e| match e.raw_os_error() {
        Some(libc::EPERM) => Error::Permission,
        Some(libc::EAFNOSUPPORT) => Error::Unsupported { what: "socket(AF_XDP)" },
        _ => Error::Syscall { call: "socket(AF_XDP)", source: e },
    })
}

/// Registers the memory of `umem` with the device the socket will be bound to.
fn register(fd: BorrowedFd<'_>, umem: &Umem) -> Result<(), Error> {
    let memory = umem.memory();
    let config = umem.config();
    let registration = xdp_umem_reg {
        addr: memory.base().as_ptr() as u64,
        len: memory.len() as u64,
        chunk_size: config.chunk_size,
        headroom: config.headroom,
        flags: 0,
        tx_metadata_len: 0,
    };
    sys::set_option(fd, uapi::SOL_XDP, uapi::XDP_UMEM_REG, &registration).map_err(|e| {
        match e.raw_os_error() {
            Some(libc::ENOBUFS) => Error::MemoryLock { len: memory.len() },
            _ => Error::Syscall { call: "setsockopt(XDP_UMEM_REG)", source: e },
        }
    })
}

/// Sets how much one `sendto` transmits in copy mode, and says what the kernel made of it: an
/// older one, or a value out of range, leaves the default.
fn set_tx_budget(fd: BorrowedFd<'_>, descriptors: u32) -> u32 {
    let set = sys::set_option(fd, uapi::SOL_XDP, uapi::XDP_MAX_TX_SKB_BUDGET, &descriptors);
    if set.is_ok() { descriptors } else { uapi::TX_BATCH_SIZE }
}

fn enable_busy_poll(fd: BorrowedFd<'_>, busy_poll: BusyPoll) -> Result<(), Error> {
    let options = [
        (SO_PREFER_BUSY_POLL, 1, "setsockopt(SO_PREFER_BUSY_POLL)"),
        (libc::SO_BUSY_POLL, busy_poll.timeout_us, "setsockopt(SO_BUSY_POLL)"),
        (SO_BUSY_POLL_BUDGET, busy_poll.budget, "setsockopt(SO_BUSY_POLL_BUDGET)"),
    ];
    for (name, value, call) in options {
        sys::set_option(fd, libc::SOL_SOCKET, name, &value)
            .map_err(|source| Error::Syscall { call, source })?;
    }
    Ok(())
}

/// The mode a bound socket got.
fn bound_mode(fd: BorrowedFd<'_>) -> Result<Mode, Error> {
    let (options, _) =
        sys::get_option::<uapi::xdp_options>(fd, uapi::SOL_XDP, uapi::XDP_OPTIONS)
            .map_err(|source| Error::Syscall { call: "getsockopt(XDP_OPTIONS)", source })?;
    let zero_copy = options.flags & uapi::XDP_OPTIONS_ZEROCOPY != 0;
    Ok(if zero_copy { Mode::ZeroCopy } else { Mode::Copy })
}

/// The four rings of a socket, made and mapped.
struct MappedRings {
    fill: Producer<u64>,
    completion: Consumer<u64>,
    rx: Consumer<Desc>,
    tx: Producer<Desc>,
}

impl MappedRings {
    /// Makes the rings: that of transmission belongs to `tx_fd`, the others to `fd`.
    fn new(fd: BorrowedFd<'_>, tx_fd: BorrowedFd<'_>, sizes: RingSizes) -> Result<Self, Error> {
        let rings = [
            (fd, uapi::XDP_UMEM_FILL_RING, sizes.fill, "setsockopt(XDP_UMEM_FILL_RING)"),
            (
                fd,
                uapi::XDP_UMEM_COMPLETION_RING,
                sizes.completion,
                "setsockopt(XDP_UMEM_COMPLETION_RING)",
            ),
            (fd, uapi::XDP_RX_RING, sizes.rx, "setsockopt(XDP_RX_RING)"),
            (tx_fd, uapi::XDP_TX_RING, sizes.tx, "setsockopt(XDP_TX_RING)"),
        ];
        for (owner, name, entries, call) in rings {
            sys::set_option(owner, uapi::SOL_XDP, name, &entries)
                .map_err(|source| Error::Syscall { call, source })?;
        }
        let (offsets, len) =
            sys::get_option::<xdp_mmap_offsets>(fd, uapi::SOL_XDP, uapi::XDP_MMAP_OFFSETS)
                .map_err(|source| Error::Syscall {
                    call: "getsockopt(XDP_MMAP_OFFSETS)",
                    source,
                })?;
        if len != size_of::<xdp_mmap_offsets>() {
            // Before Linux 5.4 the rings had no flag words.
            return Err(Error::Unsupported { what: "ring flags" });
        }
        let fill = map_ring(fd, sizes.fill, offsets.fr, uapi::XDP_UMEM_PGOFF_FILL_RING)?;
        let completion =
            map_ring(fd, sizes.completion, offsets.cr, uapi::XDP_UMEM_PGOFF_COMPLETION_RING)?;
        let rx = map_ring(fd, sizes.rx, offsets.rx, uapi::XDP_PGOFF_RX_RING)?;
        let tx = map_ring(tx_fd, sizes.tx, offsets.tx, uapi::XDP_PGOFF_TX_RING)?;
        // SAFETY: `map_ring` gives parts that lie in a mapping they own, with as many slots as the
        // kernel made. Any bits are a value of a slot. The kernel keeps the protocol of the
        // indexes, and each ring of the socket can be made and is mapped only once, here.
        let (fill, completion, rx, tx) = unsafe {
            (Producer::new(fill), Consumer::new(completion), Consumer::new(rx), Producer::new(tx))
        };
        Ok(Self { fill, completion, rx, tx })
    }

    fn into_socket(self, shared: Arc<Shared>) -> Socket {
        Socket {
            fill: FillRing { ring: self.fill, socket: Arc::clone(&shared) },
            rx: RxRing { ring: self.rx, _socket: Arc::clone(&shared) },
            tx: TxRing { ring: self.tx, socket: Arc::clone(&shared) },
            completion: CompletionRing { ring: self.completion, _socket: Arc::clone(&shared) },
            control: Control { shared },
        }
    }
}

/// Maps one ring of slots of type `T` at `page_offset` of the socket.
fn map_ring<T>(
    fd: BorrowedFd<'_>,
    entries: u32,
    offsets: xdp_ring_offset,
    page_offset: i64,
) -> Result<Parts<T>, Error> {
    let slots_len = entries as usize * size_of::<T>();
    let mapping = Mapping::ring(fd, offsets.desc as usize + slots_len, page_offset)
        .map_err(|source| Error::Syscall { call: "mmap(ring)", source })?;
    Ok(Parts {
        producer: in_mapping::<AtomicU32>(&mapping, offsets.producer, 1)?,
        consumer: in_mapping::<AtomicU32>(&mapping, offsets.consumer, 1)?,
        flags: in_mapping::<AtomicU32>(&mapping, offsets.flags, 1)?,
        slots: in_mapping::<T>(&mapping, offsets.desc, entries as usize)?,
        entries,
        owner: Box::new(mapping),
    })
}

/// Address of `count` values of type `T` at `offset` of a mapping, if they lie in it.
fn in_mapping<T>(mapping: &Mapping, offset: u64, count: usize) -> Result<NonNull<T>, Error> {
    let offset = offset as usize;
    let end = offset.checked_add(count * size_of::<T>());
    if !offset.is_multiple_of(align_of::<T>()) || end.is_none_or(|end| end > mapping.len()) {
        return Err(Error::Unsupported { what: "layout of the rings" });
    }
    // SAFETY: `offset` was just found to be within the mapping.
    Ok(unsafe { mapping.base().add(offset) }.cast::<T>())
}
