//! The kernel's AF_XDP user interface, as `include/uapi/linux/if_xdp.h` of Linux 6.18 defines it.
//!
//! Where it sits: the sockets and rings of this crate speak to the kernel with these; callers
//! rarely need them. They are written down here rather than taken from `libc`, because `libc`
//! changes some of these structures (`xdp_umem_reg`) when the kernel appends a field.
//!
//! Invariant: every structure has the size and layout of the header's; the assertions at the end
//! of the file hold the sizes at compile time.

#![allow(non_camel_case_types)] // The kernel's own names, so that they can be searched for.

use libc::c_int;

/// `sockaddr_xdp.sxdp_flags`: take the UMEM of the bound socket `sxdp_shared_umem_fd`. The kernel
/// refuses it together with any other bind flag: those are inherited.
pub const XDP_SHARED_UMEM: u16 = 1 << 0;
/// Bind flag: copy mode or nothing.
pub const XDP_COPY: u16 = 1 << 1;
/// Bind flag: zero-copy mode or nothing.
pub const XDP_ZEROCOPY: u16 = 1 << 2;
/// Bind flag: the kernel says in the ring flags when it wants a system call to go on.
pub const XDP_USE_NEED_WAKEUP: u16 = 1 << 3;
/// Bind flag: frames larger than a chunk travel in several descriptors (Linux 6.6).
pub const XDP_USE_SG: u16 = 1 << 4;

/// `xdp_umem_reg.flags`: chunks may start anywhere. Not used by this crate.
pub const XDP_UMEM_UNALIGNED_CHUNK_FLAG: u32 = 1 << 0;
/// `xdp_umem_reg.flags`: transmit checksums of the metadata area are computed in software.
pub const XDP_UMEM_TX_SW_CSUM: u32 = 1 << 1;
/// `xdp_umem_reg.flags`: `tx_metadata_len` is meant (Linux 6.11).
pub const XDP_UMEM_TX_METADATA_LEN: u32 = 1 << 2;

/// Ring flag of the fill and transmit rings: the kernel waits for a system call.
pub const XDP_RING_NEED_WAKEUP: u32 = 1 << 0;

/// Level of the socket options below.
pub const SOL_XDP: c_int = 283;
/// `getsockopt`: where the ring fields are in the mappings ([`xdp_mmap_offsets`]).
pub const XDP_MMAP_OFFSETS: c_int = 1;
/// `setsockopt`: number of entries of the receive ring (`u32`).
pub const XDP_RX_RING: c_int = 2;
/// `setsockopt`: number of entries of the transmit ring (`u32`).
pub const XDP_TX_RING: c_int = 3;
/// `setsockopt`: register packet memory ([`xdp_umem_reg`]).
pub const XDP_UMEM_REG: c_int = 4;
/// `setsockopt`: number of entries of the fill ring (`u32`).
pub const XDP_UMEM_FILL_RING: c_int = 5;
/// `setsockopt`: number of entries of the completion ring (`u32`).
pub const XDP_UMEM_COMPLETION_RING: c_int = 6;
/// `getsockopt`: drop counters ([`xdp_statistics`]).
pub const XDP_STATISTICS: c_int = 7;
/// `getsockopt`: the mode a bound socket really got ([`xdp_options`]).
pub const XDP_OPTIONS: c_int = 8;
/// `setsockopt`: descriptors one `sendto` may transmit in copy mode (`u32`, from 32 up to the
/// size of the transmit ring, Linux 6.17; before that always 32).
pub const XDP_MAX_TX_SKB_BUDGET: c_int = 9;

/// [`xdp_options`] flag: the socket is in zero-copy mode.
pub const XDP_OPTIONS_ZEROCOPY: u32 = 1 << 0;

/// `mmap` offset of the receive ring.
pub const XDP_PGOFF_RX_RING: i64 = 0;
/// `mmap` offset of the transmit ring.
pub const XDP_PGOFF_TX_RING: i64 = 0x8000_0000;
/// `mmap` offset of the fill ring.
pub const XDP_UMEM_PGOFF_FILL_RING: i64 = 0x1_0000_0000;
/// `mmap` offset of the completion ring.
pub const XDP_UMEM_PGOFF_COMPLETION_RING: i64 = 0x1_8000_0000;

/// Descriptor option: the frame goes on in the next descriptor.
pub const XDP_PKT_CONTD: u32 = 1 << 0;
/// Descriptor option: a metadata area precedes the frame.
pub const XDP_TX_METADATA: u32 = 1 << 1;

/// Bytes the kernel keeps free in front of a received frame, before the headroom of the UMEM
/// (`include/uapi/linux/bpf.h`).
pub const XDP_PACKET_HEADROOM: u32 = 256;
/// Smallest chunk the kernel takes (`net/xdp/xdp_umem.c`, `XDP_UMEM_MIN_CHUNK_SIZE`).
pub const XDP_UMEM_MIN_CHUNK_SIZE: u32 = 2048;
/// Descriptors one `sendto` transmits in copy mode by default (`net/xdp/xsk.c`, `TX_BATCH_SIZE`).
pub const TX_BATCH_SIZE: u32 = 32;

/// Address of an AF_XDP socket: one queue of one interface.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "names and meaning are the header's")]
pub struct sockaddr_xdp {
    pub sxdp_family: u16,
    pub sxdp_flags: u16,
    pub sxdp_ifindex: u32,
    pub sxdp_queue_id: u32,
    pub sxdp_shared_umem_fd: u32,
}

/// Where the fields of one ring are in its mapping, in bytes.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "names and meaning are the header's")]
pub struct xdp_ring_offset {
    pub producer: u64,
    pub consumer: u64,
    pub desc: u64,
    pub flags: u64,
}

/// Where the fields of the four rings are (`fr` is the fill, `cr` the completion ring).
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "names and meaning are the header's")]
pub struct xdp_mmap_offsets {
    pub rx: xdp_ring_offset,
    pub tx: xdp_ring_offset,
    pub fr: xdp_ring_offset,
    pub cr: xdp_ring_offset,
}

/// Registration of packet memory.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "names and meaning are the header's")]
pub struct xdp_umem_reg {
    pub addr: u64,
    pub len: u64,
    pub chunk_size: u32,
    pub headroom: u32,
    pub flags: u32,
    pub tx_metadata_len: u32,
}

/// Descriptor of the receive and transmit rings.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "names and meaning are the header's")]
pub struct xdp_desc {
    pub addr: u64,
    pub len: u32,
    pub options: u32,
}

/// Drop counters of a socket.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "names and meaning are the header's")]
pub struct xdp_statistics {
    pub rx_dropped: u64,
    pub rx_invalid_descs: u64,
    pub tx_invalid_descs: u64,
    pub rx_ring_full: u64,
    pub rx_fill_ring_empty_descs: u64,
    pub tx_ring_empty_descs: u64,
}

/// Options of a bound socket.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
#[expect(missing_docs, reason = "names and meaning are the header's")]
pub struct xdp_options {
    pub flags: u32,
}

const _: () = {
    assert!(size_of::<sockaddr_xdp>() == 16);
    assert!(size_of::<xdp_ring_offset>() == 32);
    assert!(size_of::<xdp_mmap_offsets>() == 128);
    assert!(size_of::<xdp_umem_reg>() == 32);
    assert!(size_of::<xdp_desc>() == 16);
    assert!(size_of::<xdp_statistics>() == 48);
    assert!(size_of::<xdp_options>() == 4);
};
