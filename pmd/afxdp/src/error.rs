//! Everything that can go wrong, each with what failed, the value and what to do about it.
//!
//! Invariant: a full ring, a busy device and a kernel that has more to send are no errors; they
//! are the return values of the rings.

use std::io;

/// Why a socket could not be made, or why it works no longer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A ring size is zero, no power of two, or too large to be mapped.
    #[error("{ring} ring of {entries} entries: must be a power of two from 1 to {max}")]
    RingSize {
        /// Which ring: `fill`, `completion`, `rx` or `tx`.
        ring: &'static str,
        /// The size asked for.
        entries: u32,
        /// The largest size accepted.
        max: u32,
    },
    /// The chunk size is none that the kernel takes in aligned mode.
    #[error("chunk size of {chunk_size} bytes: must be 2048 or 4096")]
    ChunkSize {
        /// The size asked for.
        chunk_size: u32,
    },
    /// The headroom leaves no room for a frame.
    #[error("headroom of {headroom} bytes: must be below {limit} with chunks of {chunk_size}")]
    Headroom {
        /// The headroom asked for.
        headroom: u32,
        /// Chunk size less the 256 bytes the kernel keeps for itself.
        limit: u32,
        /// The chunk size of the UMEM.
        chunk_size: u32,
    },
    /// The memory does not start on a page boundary.
    #[error("packet memory at {address:#x} is not aligned to the page size of {page_bytes} bytes")]
    RegionUnaligned {
        /// Start of the memory.
        address: usize,
        /// Page size of the machine.
        page_bytes: usize,
    },
    /// The memory is empty or no whole number of chunks.
    #[error("packet memory of {len} bytes is not a positive multiple of {unit} bytes")]
    RegionLength {
        /// Length of the memory.
        len: usize,
        /// What it must be a multiple of: the chunk size, or the page size.
        unit: usize,
    },
    /// The interface does not exist in the network namespace of the calling thread.
    #[error("no interface with index {ifindex} in this network namespace")]
    NoSuchInterface {
        /// The interface asked for.
        ifindex: u32,
    },
    /// Another socket holds the queue, and did not release it before the deadline.
    #[error(
        "queue {queue_id} of interface {ifindex} is still held by another AF_XDP socket after \
         {waited_ms} ms: close the other program"
    )]
    QueueBusy {
        /// The interface asked for.
        ifindex: u32,
        /// The queue asked for.
        queue_id: u32,
        /// How long this call waited.
        waited_ms: u128,
    },
    /// A socket of the same UMEM is bound to this queue already.
    #[error("queue {queue_id} of interface {ifindex} has a socket of this UMEM already")]
    QueueTaken {
        /// The interface asked for.
        ifindex: u32,
        /// The queue asked for.
        queue_id: u32,
    },
    /// The kernel refused the bind as invalid: almost always the queue.
    #[error(
        "interface {ifindex} refuses an AF_XDP socket on queue {queue_id} (flags {flags:#x}): the \
         queue does not exist, or the kernel does not know a flag (`ethtool -l` shows the queues)"
    )]
    BindInvalid {
        /// The interface asked for.
        ifindex: u32,
        /// The queue asked for.
        queue_id: u32,
        /// The bind flags.
        flags: u16,
    },
    /// The device cannot do the mode that was insisted on.
    #[error("interface {ifindex} cannot do {mode}: use `BindMode::Auto`")]
    ModeRefused {
        /// The interface asked for.
        ifindex: u32,
        /// The mode asked for.
        mode: crate::BindMode,
    },
    /// A UMEM serves the queues of one device; this one has sockets on another device.
    #[error(
        "this UMEM has sockets on interface {bound_ifindex}; interface {ifindex} needs a UMEM of \
         its own (it may be over the same memory)"
    )]
    UmemOfOtherDevice {
        /// Where the UMEM is in use.
        bound_ifindex: u32,
        /// The interface asked for.
        ifindex: u32,
    },
    /// Mode and multi-buffer are one for all queues that share a UMEM; the first socket sets them.
    #[error("the UMEM was bound with {bound}; a further queue cannot have {asked}")]
    UmemMode {
        /// What the first socket of the UMEM has.
        bound: &'static str,
        /// What was asked for.
        asked: &'static str,
    },
    /// The process may not lock that much memory.
    #[error(
        "registering {len} bytes of packet memory exceeds RLIMIT_MEMLOCK: raise it or grant \
         CAP_IPC_LOCK"
    )]
    MemoryLock {
        /// Length of the memory.
        len: usize,
    },
    /// The process may not open AF_XDP sockets.
    #[error("opening an AF_XDP socket needs CAP_NET_RAW")]
    Permission,
    /// The kernel has no AF_XDP, or one older than Linux 5.4.
    #[error("this kernel has no usable AF_XDP (CONFIG_XDP_SOCKETS, Linux 5.4 or newer): {what}")]
    Unsupported {
        /// What was missing.
        what: &'static str,
    },
    /// The interface is administratively down. The socket stays bound and works again when the
    /// interface is up.
    #[error("interface {ifindex} (queue {queue_id}) is down")]
    InterfaceDown {
        /// The interface of the socket.
        ifindex: u32,
        /// The queue of the socket.
        queue_id: u32,
    },
    /// The interface was deleted or moved away, or the socket was detached from it. The socket
    /// will never work again: drop it.
    #[error("interface {ifindex} (queue {queue_id}) is gone")]
    InterfaceGone {
        /// The interface of the socket.
        ifindex: u32,
        /// The queue of the socket.
        queue_id: u32,
    },
    /// Any other failure of a system call.
    #[error("{call} failed")]
    Syscall {
        /// The call and its argument, as in `setsockopt(XDP_UMEM_REG)`.
        call: &'static str,
        /// The system's reason.
        source: io::Error,
    },
}

impl Error {
    /// Whether the socket can never work again, as opposed to a passing or a caller's mistake.
    #[must_use]
    pub fn is_gone(&self) -> bool {
        matches!(self, Self::InterfaceGone { .. })
    }
}

/// Why a descriptor must not be handed to the kernel, which would drop it (`net/xdp/xsk_queue.h`,
/// `xp_aligned_validate_desc`); see [`crate::Umem::check`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DescError {
    /// The length is zero.
    #[error("descriptor at offset {addr:#x} is empty")]
    Empty {
        /// Offset of the descriptor.
        addr: u64,
    },
    /// It does not lie in the memory.
    #[error("descriptor at offset {addr:#x} of {len} bytes leaves the packet memory of {memory}")]
    OutOfMemory {
        /// Offset of the descriptor.
        addr: u64,
        /// Its length in bytes.
        len: u32,
        /// Length of the packet memory in bytes.
        memory: u64,
    },
    /// It reaches over the end of its chunk.
    #[error("descriptor at offset {addr:#x} of {len} bytes crosses its chunk of {chunk_size}")]
    CrossesChunk {
        /// Offset of the descriptor.
        addr: u64,
        /// Its length in bytes.
        len: u32,
        /// Chunk size of the UMEM.
        chunk_size: u32,
    },
    /// It has an option bit this crate does not know.
    #[error("descriptor at offset {addr:#x} has unknown options {options:#x}")]
    Options {
        /// Offset of the descriptor.
        addr: u64,
        /// All option bits.
        options: u32,
    },
}
