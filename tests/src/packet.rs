//! Raw frames in and out of an interface: an `AF_PACKET` socket (packet(7)), in safe code.
//!
//! *Where it sits:* under [`crate::sniff`], [`crate::inject`] and [`crate::switch`].
//!
//! *Invariants*
//! 1. Frames are as on the wire: the kernel takes the outer 802.1Q tag off before any socket sees
//!    the frame and reports it beside it (`PACKET_AUXDATA`); it is put back here.
//! 2. Only frames of the one interface: a packet socket hears all interfaces until it is bound,
//!    so each frame's interface index is compared.

use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::sockopt::{self, SetBool};
use nix::sys::socket::{
    AddressFamily, ControlMessageOwned, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, bind,
    recvmsg, sendmsg, setsockopt, socket,
};

use crate::error::{LabError, Result};
use crate::netns::Namespace;

/// Deliver the VLAN tag beside the frame (packet(7)).
#[derive(Debug, Clone, Copy)]
struct PacketAuxdata;
nix::setsockopt_impl!(PacketAuxdata, libc::SOL_PACKET, libc::PACKET_AUXDATA, bool, SetBool);

/// Do not deliver the frames that this machine sends by the interface (packet(7)).
#[derive(Debug, Clone, Copy)]
struct PacketIgnoreOutgoing;
nix::setsockopt_impl!(
    PacketIgnoreOutgoing,
    libc::SOL_PACKET,
    PACKET_IGNORE_OUTGOING,
    bool,
    SetBool
);

/// `linux/if_packet.h`; `libc` does not have it.
const PACKET_IGNORE_OUTGOING: libc::c_int = 23;

/// Length of `struct tpacket_auxdata` and the places of the fields that we read.
const AUXDATA_LEN: usize = 20;
const AUX_STATUS: usize = 0;
const AUX_VLAN_TCI: usize = 16;
const AUX_VLAN_TPID: usize = 18;

/// Length of an 802.1Q tag and of the two addresses before it.
const TAG_LEN: usize = 4;
const ADDRESSES_LEN: usize = 12;

/// Receive buffer of a socket: about 1,300 full frames, so that a busy machine loses none.
const RECEIVE_BUFFER_BYTES: usize = 4 << 20;

/// The longest frame that is received; above any MTU with its headers.
pub const FRAME_LEN_MAX: usize = 65_536 + ADDRESSES_LEN + TAG_LEN + 2;

/// Which way a frame went, seen from the interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Direction {
    /// It came in.
    In,
    /// This machine sent it by the interface.
    Out,
}

/// Whether a socket hears what its own side sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Hear {
    /// Frames that come in, and no others.
    Incoming,
    /// Frames of both directions.
    Both,
}

/// A packet socket of one interface; non-blocking.
#[derive(Debug)]
pub struct PacketSocket {
    fd: OwnedFd,
    interface: String,
    ifindex: usize,
    buffer: Vec<u8>,
}

impl PacketSocket {
    /// Opens a socket on an interface of a namespace.
    ///
    /// # Errors
    /// When there is no such interface, or no right to open one (CAP_NET_RAW).
    pub fn open(namespace: &Namespace, interface: &str, hear: Hear) -> Result<Self> {
        let action =
            || format!("cannot open a packet socket on {interface} in {}", namespace.name());
        let (fd, ifindex) = namespace
            .run(|| open_bound(interface, hear))?
            .map_err(LabError::errno(action()))?
            .ok_or_else(|| LabError::io(action())(io::Error::from_raw_os_error(libc::ENODEV)))?;
        Ok(Self { fd, interface: interface.to_owned(), ifindex, buffer: vec![0; FRAME_LEN_MAX] })
    }

    /// Name of the interface.
    pub fn interface(&self) -> &str {
        &self.interface
    }

    /// Takes the next frame, its tag in place; `None` when none is waiting.
    ///
    /// # Errors
    /// `ENETDOWN` once when the interface goes down or vanishes.
    pub fn receive(&mut self) -> io::Result<Option<(Direction, &[u8])>> {
        loop {
            let (len, tag, from) = match self.receive_raw() {
                Err(Errno::EAGAIN) => return Ok(None),
                Err(Errno::EINTR) => continue,
                other => other?,
            };
            if from.is_some_and(|address| address.ifindex() != self.ifindex) {
                continue;
            }
            let outgoing = from.is_some_and(|address| address.pkttype() == libc::PACKET_OUTGOING);
            let direction = if outgoing { Direction::Out } else { Direction::In };
            let Some(tag) = tag.filter(|_| len >= ADDRESSES_LEN) else {
                return Ok(Some((direction, &self.buffer[TAG_LEN..TAG_LEN + len])));
            };
            self.buffer.copy_within(TAG_LEN..TAG_LEN + ADDRESSES_LEN, 0);
            self.buffer[ADDRESSES_LEN..ADDRESSES_LEN + TAG_LEN].copy_from_slice(&tag);
            return Ok(Some((direction, &self.buffer[..TAG_LEN + len])));
        }
    }

    /// One frame, without its tag, into the buffer behind room for a tag.
    fn receive_raw(&mut self) -> nix::Result<(usize, Option<[u8; TAG_LEN]>, Option<LinkAddr>)> {
        let mut control = nix::cmsg_space!([u8; AUXDATA_LEN]);
        let mut slices = [IoSliceMut::new(&mut self.buffer[TAG_LEN..])];
        let message = recvmsg::<LinkAddr>(
            self.fd.as_raw_fd(),
            &mut slices,
            Some(&mut control),
            MsgFlags::empty(),
        )?;
        let mut tag = None;
        for control in message.cmsgs()? {
            if let ControlMessageOwned::Unknown(unknown) = control {
                tag = tag.or(vlan_tag(&unknown.data_bytes));
            }
        }
        Ok((message.bytes, tag, message.address))
    }

    /// Sends one frame as it is, waiting while the interface's queue is full.
    ///
    /// # Errors
    /// `EMSGSIZE` when it is longer than the interface's MTU allows, `EINVAL` when it is shorter
    /// than an Ethernet header, `ENETDOWN` when the interface is down, `ENXIO` when it is gone.
    pub fn send(&self, frame: &[u8]) -> io::Result<()> {
        loop {
            let slices = [IoSlice::new(frame)];
            match sendmsg::<LinkAddr>(self.fd.as_raw_fd(), &slices, &[], MsgFlags::empty(), None) {
                Ok(_) => return Ok(()),
                Err(Errno::EAGAIN | Errno::ENOBUFS) => self.wait_writable()?,
                Err(Errno::EINTR) => {}
                Err(errno) => return Err(errno.into()),
            }
        }
    }

    fn wait_writable(&self) -> io::Result<()> {
        use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
        let mut fds = [PollFd::new(self.fd.as_fd(), PollFlags::POLLOUT)];
        poll(&mut fds, PollTimeout::from(10_u8))?;
        Ok(())
    }
}

impl AsFd for PacketSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Socket bound to the interface, with its index; `None` when there is no such interface.
fn open_bound(interface: &str, hear: Hear) -> nix::Result<Option<(OwnedFd, usize)>> {
    // An address of family AF_PACKET carries the index, and no protocol: bind keeps the socket's.
    let found = getifaddrs()?
        .filter(|entry| entry.interface_name == interface)
        .find_map(|entry| entry.address.as_ref()?.as_link_addr().copied());
    let Some(address) = found else { return Ok(None) };
    let fd = socket(
        AddressFamily::Packet,
        SockType::Raw,
        SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK,
        SockProtocol::EthAll,
    )?;
    setsockopt(&fd, PacketAuxdata, &true)?;
    setsockopt(&fd, PacketIgnoreOutgoing, &(hear == Hear::Incoming))?;
    setsockopt(&fd, sockopt::RcvBufForce, &RECEIVE_BUFFER_BYTES)?;
    bind(fd.as_raw_fd(), &address)?;
    Ok(Some((fd, address.ifindex())))
}

/// The tag that `struct tpacket_auxdata` reports, as the four bytes of the wire.
fn vlan_tag(auxdata: &[u8]) -> Option<[u8; TAG_LEN]> {
    let half = |at: usize| Some(u16::from_ne_bytes(*auxdata.get(at..)?.first_chunk()?));
    let status = u32::from_ne_bytes(*auxdata.get(AUX_STATUS..)?.first_chunk()?);
    if status & libc::TP_STATUS_VLAN_VALID == 0 {
        return None;
    }
    let [tpid_high, tpid_low] = half(AUX_VLAN_TPID)?.to_be_bytes();
    let [tci_high, tci_low] = half(AUX_VLAN_TCI)?.to_be_bytes();
    Some([tpid_high, tpid_low, tci_high, tci_low])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link;
    use crate::wait::{SOON, wait_for};

    fn receive(socket: &mut PacketSocket) -> (Direction, Vec<u8>) {
        wait_for("a frame", SOON, || {
            socket.receive().unwrap().map(|(direction, frame)| (direction, frame.to_vec()))
        })
        .unwrap()
    }

    fn frame(after_addresses: &[u8]) -> Vec<u8> {
        let mut frame = vec![2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2];
        frame.extend_from_slice(after_addresses);
        frame.resize(64, 0xa5);
        frame
    }

    #[test]
    fn frames_cross_a_cable_unchanged_with_any_tags() {
        let a = Namespace::create("a").unwrap();
        let b = Namespace::create("b").unwrap();
        link::cable((&a, "eth0"), (&b, "eth0"), 1500).unwrap();
        let sender = PacketSocket::open(&a, "eth0", Hear::Incoming).unwrap();
        let mut receiver = PacketSocket::open(&b, "eth0", Hear::Both).unwrap();
        let cases: [&[u8]; 5] = [
            &[0x88, 0xb5],
            &[0x81, 0x00, 0xe0, 0x0a, 0x88, 0xb5],
            &[0x81, 0x00, 0x00, 0x00, 0x88, 0xb5],
            &[0x88, 0xa8, 0x00, 0x64, 0x81, 0x00, 0x00, 0x0a, 0x88, 0xb5],
            &[0x81, 0x00, 0x00, 0x64, 0x81, 0x00, 0x00, 0x0a, 0x88, 0xb5],
        ];
        for case in cases {
            sender.send(&frame(case)).unwrap();
            assert_eq!(receive(&mut receiver), (Direction::In, frame(case)));
        }
        let longest = [frame(&[0x81, 0x00, 0x00, 0x0a, 0x88, 0xb5]), vec![0; 1518 - 64]].concat();
        sender.send(&longest).unwrap();
        assert_eq!(receive(&mut receiver).1, longest);
        let too_long = vec![0; 1519];
        assert_eq!(sender.send(&too_long).unwrap_err().raw_os_error(), Some(libc::EMSGSIZE));
    }

    #[test]
    fn own_frames_are_heard_only_when_asked_for() {
        let a = Namespace::create("a").unwrap();
        link::cable((&a, "eth0"), (&a, "eth1"), 1500).unwrap();
        let mut deaf = PacketSocket::open(&a, "eth0", Hear::Incoming).unwrap();
        let mut both = PacketSocket::open(&a, "eth0", Hear::Both).unwrap();
        let peer = PacketSocket::open(&a, "eth1", Hear::Incoming).unwrap();
        deaf.send(&frame(&[0x88, 0xb5, 1])).unwrap();
        peer.send(&frame(&[0x88, 0xb5, 2])).unwrap();
        assert_eq!(receive(&mut both), (Direction::Out, frame(&[0x88, 0xb5, 1])));
        assert_eq!(receive(&mut both), (Direction::In, frame(&[0x88, 0xb5, 2])));
        assert_eq!(receive(&mut deaf), (Direction::In, frame(&[0x88, 0xb5, 2])));
    }

    #[test]
    fn no_such_interface_is_said() {
        let a = Namespace::create("a").unwrap();
        let error = PacketSocket::open(&a, "eth9", Hear::Both).unwrap_err().to_string();
        assert!(error.contains("eth9") && error.contains("No such device"), "{error}");
    }
}
