//! The smallest XDP program that feeds AF_XDP sockets, and its loader over `bpf(2)` alone.
//!
//! Where it sits: used by the example `l2fwd` and by the tests; not a part of the crate.
//!
//! Invariant: the program is attached by a link, so it leaves the interface when the link's
//! descriptor closes, at the latest when the process dies.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

const BPF_MAP_CREATE: u32 = 0;
const BPF_MAP_UPDATE_ELEM: u32 = 2;
const BPF_PROG_LOAD: u32 = 5;
const BPF_LINK_CREATE: u32 = 28;
const BPF_MAP_TYPE_XSKMAP: u32 = 17;
const BPF_PROG_TYPE_XDP: u32 = 6;
const BPF_XDP: u32 = 37;
/// `prog_flags`: the program copes with frames in several buffers.
const BPF_F_XDP_HAS_FRAGS: u32 = 1 << 5;
const BPF_FUNC_REDIRECT_MAP: i32 = 51;
const XDP_PASS: i32 = 2;
/// Offset of `rx_queue_index` in `struct xdp_md`.
const RX_QUEUE_INDEX: i16 = 16;

/// `union bpf_attr` of BPF_MAP_CREATE, as far as it is used.
#[repr(C)]
#[derive(Default)]
struct MapCreate {
    map_type: u32,
    key_size: u32,
    value_size: u32,
    max_entries: u32,
}

/// `union bpf_attr` of BPF_MAP_UPDATE_ELEM.
#[repr(C)]
#[derive(Default)]
struct MapUpdate {
    map_fd: u32,
    pad: u32,
    key: u64,
    value: u64,
    flags: u64,
}

/// `union bpf_attr` of BPF_PROG_LOAD, as far as it is used.
#[repr(C)]
#[derive(Default)]
struct ProgLoad {
    prog_type: u32,
    insn_cnt: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_size: u32,
    log_buf: u64,
    kern_version: u32,
    prog_flags: u32,
    prog_name: [u8; 16],
    prog_ifindex: u32,
    expected_attach_type: u32,
}

/// `union bpf_attr` of BPF_LINK_CREATE, as far as it is used.
#[repr(C)]
#[derive(Default)]
struct LinkCreate {
    prog_fd: u32,
    target_ifindex: u32,
    attach_type: u32,
    flags: u32,
}

/// An attached program that redirects every frame to the socket of its queue, and passes it to
/// the kernel where there is none.
#[derive(Debug)]
pub(crate) struct Redirect {
    map: OwnedFd,
    _link: OwnedFd,
}

impl Redirect {
    /// Loads the program and attaches it to an interface of the thread's network namespace, in
    /// the driver where that can, else generic.
    pub(crate) fn attach(ifindex: u32, queue_count: u32) -> io::Result<Self> {
        let map = bpf(
            BPF_MAP_CREATE,
            &MapCreate {
                map_type: BPF_MAP_TYPE_XSKMAP,
                key_size: 4,
                value_size: 4,
                max_entries: queue_count,
            },
        )?;
        let program = load(map.as_fd())?;
        let link = bpf(
            BPF_LINK_CREATE,
            &LinkCreate {
                prog_fd: number(program.as_fd()),
                target_ifindex: ifindex,
                attach_type: BPF_XDP,
                flags: 0,
            },
        )?;
        Ok(Self { map, _link: link })
    }

    /// Gives what arrives on a queue to a socket.
    pub(crate) fn insert(&self, queue_id: u32, socket: BorrowedFd<'_>) -> io::Result<()> {
        let value = number(socket);
        let update = MapUpdate {
            map_fd: number(self.map.as_fd()),
            key: (&raw const queue_id) as u64,
            value: (&raw const value) as u64,
            ..MapUpdate::default()
        };
        bpf_call(BPF_MAP_UPDATE_ELEM, &update).map(drop)
    }
}

fn load(map: BorrowedFd<'_>) -> io::Result<OwnedFd> {
    let program = [
        insn(0x61, 2, 1, RX_QUEUE_INDEX, 0),  // r2 = ctx->rx_queue_index
        insn(0x18, 1, 1, 0, map.as_raw_fd()), // r1 = map (64-bit immediate, first half)
        0,                                    //      (second half)
        insn(0xb7, 3, 0, 0, XDP_PASS),        // r3 = verdict when the slot is empty
        insn(0x85, 0, 0, 0, BPF_FUNC_REDIRECT_MAP), // r0 = bpf_redirect_map(r1, r2, r3)
        insn(0x95, 0, 0, 0, 0),               // return r0
    ];
    bpf(
        BPF_PROG_LOAD,
        &ProgLoad {
            prog_type: BPF_PROG_TYPE_XDP,
            insn_cnt: program.len() as u32,
            insns: program.as_ptr() as u64,
            license: c"Dual MIT/GPL".as_ptr() as u64,
            prog_flags: BPF_F_XDP_HAS_FRAGS,
            prog_name: *b"afxdp_redirect\0\0",
            expected_attach_type: BPF_XDP,
            ..ProgLoad::default()
        },
    )
}

/// One instruction, as `struct bpf_insn` lays it out on a little-endian machine.
const fn insn(code: u8, dst: u8, src: u8, off: i16, imm: i32) -> u64 {
    code as u64
        | (dst as u64) << 8
        | (src as u64) << 12
        | (off as u16 as u64) << 16
        | (imm as u32 as u64) << 32
}

fn number(fd: BorrowedFd<'_>) -> u32 {
    fd.as_raw_fd() as u32
}

/// A `bpf(2)` command that makes a descriptor.
fn bpf<T>(command: u32, attribute: &T) -> io::Result<OwnedFd> {
    let fd = bpf_call(command, attribute)?;
    // SAFETY: the command just opened this descriptor and nobody else has it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

fn bpf_call<T>(command: u32, attribute: &T) -> io::Result<i32> {
    // SAFETY: the kernel reads `size_of::<T>()` bytes of a live structure without padding; the
    // addresses in it are of values that outlive the call, of the sizes it says (or, for the map
    // update, those of the map: 4 bytes each).
    let rc = unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_ref(attribute), size_of::<T>())
    };
    if rc < 0 { Err(io::Error::last_os_error()) } else { Ok(rc as i32) }
}
