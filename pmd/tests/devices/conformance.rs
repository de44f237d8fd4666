//! TAP and AF_XDP ports pass the suite of all ports. The far end is a packet socket.

use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::sync::Arc;

use pmd::conformance::{ETHER_TYPE, FarEnd, check};
use pmd::tap::{Tap, TapConfig};
use pmd::xsk::{BindMode, XskConfig, XskPort};
use pmd::{MemoryConfig, PacketMemory};
use proto::MacAddr;

use crate::support::{Netns, until};

/// A packet socket on an interface, which sees the suite's frames and no others.
struct PacketSocket {
    socket: OwnedFd,
    netns: Arc<Netns>,
    ifname: &'static str,
}

impl PacketSocket {
    fn new(netns: &Arc<Netns>, ifname: &'static str) -> Self {
        let socket = netns.enter(|| Self::open(ifname)).expect("a packet socket");
        Self { socket, netns: Arc::clone(netns), ifname }
    }

    fn open(ifname: &str) -> io::Result<OwnedFd> {
        let protocol = u16::from_be_bytes(ETHER_TYPE).to_be();
        let flags = libc::SOCK_RAW | libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC;
        // SAFETY: socket takes no pointers.
        let fd = unsafe { libc::socket(libc::AF_PACKET, flags, i32::from(protocol)) };
        if fd < 0 {
            return Err(io::Error::last_os_error());
        }
        // SAFETY: the descriptor was just opened and nobody else has it.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        // SAFETY: sockaddr_ll is plain data for which all zeros is a value.
        let mut address: libc::sockaddr_ll = unsafe { std::mem::zeroed() };
        address.sll_family = libc::AF_PACKET as u16;
        address.sll_protocol = protocol;
        address.sll_ifindex = nix::net::if_::if_nametoindex(ifname)? as i32;
        let len = size_of::<libc::sockaddr_ll>() as libc::socklen_t;
        // SAFETY: the address is a whole sockaddr_ll of this length and outlives the call.
        match unsafe { libc::bind(fd, (&raw const address).cast(), len) } {
            0 => Ok(socket),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

impl FarEnd for PacketSocket {
    fn send(&mut self, bytes: &[u8]) -> Result<(), String> {
        let socket = self.socket.as_raw_fd();
        match nix::sys::socket::send(socket, bytes, nix::sys::socket::MsgFlags::empty()) {
            Ok(sent) if sent == bytes.len() => Ok(()),
            outcome => Err(format!("sending {} bytes: {outcome:?}", bytes.len())),
        }
    }

    fn receive(&mut self) -> Result<Option<Vec<u8>>, String> {
        let mut bytes = vec![0; 70_000];
        let socket = self.socket.as_raw_fd();
        match nix::sys::socket::recv(socket, &mut bytes, nix::sys::socket::MsgFlags::empty()) {
            Ok(len) => {
                bytes.truncate(len);
                Ok(Some(bytes))
            }
            Err(nix::errno::Errno::EAGAIN) => Ok(None),
            Err(e) => Err(format!("receiving: {e}")),
        }
    }

    fn remove(&mut self) -> bool {
        self.netns.ip(&["link", "del", "dev", self.ifname]);
        true
    }
}

fn memory() -> Arc<PacketMemory> {
    PacketMemory::new(MemoryConfig::with_chunks(8192)).expect("packet memory")
}

#[test]
fn a_tap_conforms() {
    for mtu_bytes in [1500, 9000] {
        let (netns, memory) = (Arc::new(Netns::new()), memory());
        let config = TapConfig {
            ifname: "eth0".to_owned(),
            netns: netns.name.clone(),
            mac: MacAddr::new([2, 0, 0, 0, 0, 2]),
            mtu_bytes,
        };
        let outcome = check(&memory, || {
            let opened = Tap::open(&memory, &config).expect("a TAP");
            (opened.port, PacketSocket::new(&netns, "eth0"))
        });
        assert_eq!(outcome, Ok(()), "MTU {mtu_bytes}");
    }
}

#[test]
fn an_afxdp_port_conforms() {
    for mtu in ["1500", "9000"] {
        let (netns, memory) = (Arc::new(Netns::new()), memory());
        netns.ip(&[
            "link", "add", "name", "a", "mtu", mtu, "type", "veth", "peer", "name", "b", "mtu", mtu,
        ]);
        for end in ["a", "b"] {
            netns.ip(&["link", "set", "dev", end, "up"]);
        }
        let config = XskConfig {
            ifname: "a".to_owned(),
            mode: BindMode::Auto,
            ring_len: 256,
            promiscuous: true,
        };
        let mut program = None;
        let outcome = check(&memory, || {
            let opened = netns.enter(|| XskPort::open(&memory, &config)).expect("a socket");
            until("the veth has a carrier", || {
                netns.ip(&["link", "show", "a"]).contains("LOWER_UP")
            });
            program = Some(opened.xdp);
            (opened.port, PacketSocket::new(&netns, "b"))
        });
        assert_eq!(outcome, Ok(()), "MTU {mtu}");
    }
}
