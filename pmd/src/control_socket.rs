//! The way of control frames to and from a NIC: an `AF_PACKET` socket (packet(7)) that hears LACP,
//! LLDP and CDP and nothing else.
//!
//! *Where it sits:* beside an uplink's AF_XDP socket. The XDP program leaves these frames to the
//! kernel ([`Filter::control`](crate::xdp::Filter)), so they wait in no queue of data frames and no
//! busy worker delays them.
//!
//! *Invariants:* (1) only frames to 01:80:c2:00:00:0x and 01:00:0c:cc:cc:cc are heard, by a filter
//! in the kernel that is in place before the first frame; (2) never a frame that this host sent.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use proto::MacAddr;

use crate::ethtool::Netdev;

/// The longest control frame that is heard whole: a NIC's MTU and its headers, for LLDP.
pub const FRAME_LEN_MAX: usize = 9216 + 18;

/// Do not deliver what this host sends (`linux/if_packet.h`); `libc` does not have it.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// `01:80:c2:00` and the mask of its last two octets: the sixteen link-constrained addresses (IEEE
/// 802.1Q-2018 table 8-1).
const LINK_LOCAL_WORD: u32 = 0x0180_c200;
const LINK_LOCAL_MASK: u32 = 0xfff0;
/// `01:00:0c:cc` and `cc:cc`.
const CISCO_WORD: u32 = 0x0100_0ccc;
const CISCO_HALF: u32 = 0xcccc;

/// A control socket of one NIC, non-blocking.
#[derive(Debug)]
pub struct ControlSocket {
    fd: OwnedFd,
    mac: MacAddr,
}

impl ControlSocket {
    /// Opens a socket on an interface of the calling thread's network namespace.
    ///
    /// # Errors
    /// There is no such interface, or no right to open a socket (CAP_NET_RAW).
    pub fn open(ifname: &str) -> io::Result<Self> {
        let netdev = Netdev::new(ifname)?;
        let (index, mac) = (netdev.index()?, netdev.mac()?);
        let kind = libc::SOCK_RAW | libc::SOCK_CLOEXEC | libc::SOCK_NONBLOCK;
        // Protocol 0: hears nothing until it is bound, and by then it has its filter.
        // SAFETY: socket() takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, kind, 0) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just opened and nobody else has it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let mut filter = filter();
        let program = libc::sock_fprog { len: filter.len() as u16, filter: filter.as_mut_ptr() };
        set_option(&fd, libc::SOL_SOCKET, libc::SO_ATTACH_FILTER, &program)?;
        set_option(&fd, libc::SOL_PACKET, PACKET_IGNORE_OUTGOING, &1)?;
        bind(&fd, index)?;
        Ok(Self { fd, mac })
    }

    /// Address of the interface: source of the frames to be sent.
    #[must_use]
    pub const fn mac(&self) -> MacAddr {
        self.mac
    }

    /// Takes the next frame, without its outer tag; `None` when none is waiting.
    ///
    /// # Errors
    /// `ENETDOWN`, once, when the interface went down; `ENODEV` or `ENXIO` when it is gone.
    pub fn receive<'b>(&self, buffer: &'b mut [u8]) -> io::Result<Option<&'b [u8]>> {
        loop {
            let (place, room) = (buffer.as_mut_ptr().cast(), buffer.len());
            // SAFETY: `place` is valid for writes of `room` bytes while the call lasts.
            let len = unsafe { libc::recv(self.fd.as_raw_fd(), place, room, 0) };
            if let Ok(len) = usize::try_from(len) {
                return Ok(buffer.get(..len));
            }
            let error = io::Error::last_os_error();
            match error.kind() {
                io::ErrorKind::Interrupted => {}
                io::ErrorKind::WouldBlock => return Ok(None),
                _ => return Err(error),
            }
        }
    }

    /// Sends one frame as it is.
    ///
    /// # Errors
    /// `WouldBlock` when the queue is full, `ENETDOWN` when the interface is down, `ENXIO` when it
    /// is gone, `EMSGSIZE` when the frame is longer than the MTU allows.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        loop {
            let (place, len) = (frame.as_ptr().cast(), frame.len());
            // SAFETY: `place` is valid for reads of `len` bytes while the call lasts.
            let sent = unsafe { libc::send(self.fd.as_raw_fd(), place, len, 0) };
            if sent >= 0 {
                return Ok(());
            }
            let error = io::Error::last_os_error();
            if error.kind() != io::ErrorKind::Interrupted {
                return Err(error);
            }
        }
    }
}

impl AsFd for ControlSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Classic BPF (`linux/filter.h`) that lets the control addresses pass, whole.
fn filter() -> [libc::sock_filter; 10] {
    let load_word = (libc::BPF_LD | libc::BPF_W | libc::BPF_ABS) as u16;
    let load_half = (libc::BPF_LD | libc::BPF_H | libc::BPF_ABS) as u16;
    let and = (libc::BPF_ALU | libc::BPF_AND | libc::BPF_K) as u16;
    let equal = (libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K) as u16;
    let verdict = (libc::BPF_RET | libc::BPF_K) as u16;
    let step = |code, k| libc::sock_filter { code, jt: 0, jf: 0, k };
    // Jumps count from the next instruction.
    let branch = |k, jt, jf| libc::sock_filter { code: equal, jt, jf, k };
    [
        step(load_word, 0),
        branch(LINK_LOCAL_WORD, 0, 3),
        step(load_half, 4),
        step(and, LINK_LOCAL_MASK),
        branch(0, 3, 4),
        branch(CISCO_WORD, 0, 3),
        step(load_half, 4),
        branch(CISCO_HALF, 0, 1),
        step(verdict, u32::MAX),
        step(verdict, 0),
    ]
}

fn set_option<T>(fd: &OwnedFd, level: libc::c_int, name: libc::c_int, value: &T) -> io::Result<()> {
    let (place, len) = (std::ptr::from_ref(value).cast(), size_of::<T>() as libc::socklen_t);
    // SAFETY: `place` is valid for reads of `len` bytes; what a filter points to lives as long as
    // the caller's frame, and the kernel copies it.
    let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, place, len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

fn bind(fd: &OwnedFd, ifindex: u32) -> io::Result<()> {
    // SAFETY: all bytes 0 is a valid `sockaddr_ll`.
    let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
    address.sll_family = libc::AF_PACKET as u16;
    address.sll_protocol = (libc::ETH_P_ALL as u16).to_be();
    address.sll_ifindex = i32::try_from(ifindex).map_err(|_| io::ErrorKind::InvalidInput)?;
    let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
    // SAFETY: the address is valid for reads of its own length.
    let result = unsafe { libc::bind(fd.as_raw_fd(), std::ptr::from_ref(&address).cast(), len) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the kernel does with the filter: the three kinds of instruction that it has.
    fn passes(frame: &[u8]) -> bool {
        let filter = filter();
        let at = |offset: u32, len: usize| {
            let offset = offset as usize;
            frame.get(offset..offset + len)
        };
        let (mut accumulator, mut next) = (0u32, 0usize);
        loop {
            let step = filter[next];
            next += 1;
            match u32::from(step.code) {
                0x20 => match at(step.k, 4) {
                    Some(b) => accumulator = u32::from_be_bytes([b[0], b[1], b[2], b[3]]),
                    None => return false,
                },
                0x28 => match at(step.k, 2) {
                    Some(b) => accumulator = u32::from(u16::from_be_bytes([b[0], b[1]])),
                    None => return false,
                },
                0x54 => accumulator &= step.k,
                0x15 => next += usize::from(if accumulator == step.k { step.jt } else { step.jf }),
                0x06 => return step.k != 0,
                code => panic!("instruction {code:#x}"),
            }
        }
    }

    #[test]
    fn control_addresses_pass_and_no_others() {
        let frame = |dst: [u8; 6]| [&dst[..], &[0; 54]].concat();
        for last in 0..=255u8 {
            assert_eq!(passes(&frame([1, 0x80, 0xc2, 0, 0, last])), last < 16, "{last}");
        }
        assert!(passes(&frame([1, 0, 0x0c, 0xcc, 0xcc, 0xcc])));
        for dst in [
            [1, 0, 0x0c, 0xcc, 0xcc, 0xcd],
            [1, 0x80, 0xc2, 0, 1, 2],
            [1, 0x80, 0xc2, 1, 0, 2],
            [0xff; 6],
            [2, 0, 0, 0, 0, 1],
        ] {
            assert!(!passes(&frame(dst)), "{dst:x?}");
        }
        assert!(!passes(&[1, 0x80, 0xc2, 0]), "a runt");
    }

    #[test]
    fn an_interface_that_does_not_exist_is_told() {
        let error = ControlSocket::open("no-such-nic").expect_err("there is none");
        assert_eq!(error.raw_os_error(), Some(libc::ENODEV));
    }
}
