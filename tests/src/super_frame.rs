//! Super-frames sent raw into an interface: a TCP packet longer than any MTU, with the header in
//! which a driver is asked to segment it and to complete its checksums (`virtio_net_hdr`,
//! virtio 1.2 section 5.1.6). What a VM's kernel does with its own streams, but with any tag and
//! any size.
//!
//! *Where it sits:* beside [`crate::inject`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use nix::sys::socket::setsockopt;
use nix::sys::socket::sockopt::SetBool;
use proto::{EtherType, IpProto, MacAddr};

use crate::error::{LabError, Result};
use crate::frames::{Tag, checksum};
use crate::netns::Namespace;
use crate::packet::{Hear, PacketSocket};

/// Every frame that is sent has a `virtio_net_hdr` in front (packet(7)).
#[derive(Debug, Clone, Copy)]
struct PacketVnetHeader;
nix::setsockopt_impl!(PacketVnetHeader, libc::SOL_PACKET, libc::PACKET_VNET_HDR, bool, SetBool);

/// `VIRTIO_NET_HDR_F_NEEDS_CSUM`, `VIRTIO_NET_HDR_GSO_TCPV4` and `..._TCPV6`.
const NEEDS_CHECKSUM: u8 = 1;
const GSO_TCP4: u8 = 1;
const GSO_TCP6: u8 = 4;

/// Length of a TCP header without options, and the place of its checksum.
const TCP_HEADER_BYTES: usize = 20;
const TCP_CHECKSUM_AT: usize = 16;

/// ACK and PSH (RFC 9293 section 3.1).
const ACK_PSH: u8 = 0x18;

/// Port from and to which super-frames go.
pub const PORT: u16 = 4500;

/// The sequence number of a super-frame's first byte.
pub const SEQUENCE: u32 = 0xffff_f000;

/// A TCP packet that is to be segmented.
#[derive(Debug, Clone)]
pub struct SuperFrame {
    /// Addresses: source, destination.
    pub macs: (MacAddr, MacAddr),
    /// Tags, the outer one first; a kernel leaves the segmentation to the driver with one at most.
    pub tags: Vec<Tag>,
    /// IP addresses of one family: source, destination.
    pub ips: (IpAddr, IpAddr),
    /// Payload of each segment but the last, in bytes.
    pub segment_bytes: u16,
    /// The content.
    pub payload: Vec<u8>,
}

impl SuperFrame {
    /// The frame as one, its checksum not completed.
    pub fn bytes(&self) -> Vec<u8> {
        let mut frame = [self.macs.1.octets(), self.macs.0.octets()].concat();
        for tag in &self.tags {
            frame.extend(tag.tpid.get().to_be_bytes());
            frame.extend(tag.tci.to_be_bytes());
        }
        let segment = self.segment();
        match self.ips {
            (IpAddr::V4(src), IpAddr::V4(dst)) => frame.extend(ipv4(src, dst, segment.len())),
            (IpAddr::V6(src), IpAddr::V6(dst)) => frame.extend(ipv6(src, dst, segment.len())),
            _ => {}
        }
        frame.extend(segment);
        frame
    }

    fn is_ipv4(&self) -> bool {
        self.ips.0.is_ipv4()
    }

    fn ip_at(&self) -> usize {
        14 + 4 * self.tags.len()
    }

    fn tcp_at(&self) -> usize {
        self.ip_at() + if self.is_ipv4() { 20 } else { 40 }
    }

    /// TCP header and payload; in the checksum's place is the sum of the pseudo header.
    fn segment(&self) -> Vec<u8> {
        let mut segment = [PORT.to_be_bytes(), PORT.to_be_bytes()].concat();
        segment.extend(SEQUENCE.to_be_bytes());
        segment.extend([0, 0, 0, 1, 0x50, ACK_PSH, 0xff, 0xff, 0, 0, 0, 0]);
        segment.extend(&self.payload);
        let mut pseudo = match self.ips {
            (IpAddr::V4(src), IpAddr::V4(dst)) => [src.octets(), dst.octets()].concat(),
            (IpAddr::V6(src), IpAddr::V6(dst)) => [src.octets(), dst.octets()].concat(),
            _ => Vec::new(),
        };
        pseudo.extend(u32::try_from(segment.len()).unwrap_or(u32::MAX).to_be_bytes());
        pseudo.extend([0, 0, 0, IpProto::TCP.get()]);
        let sum = checksum(&pseudo).map(|byte| !byte);
        segment[TCP_CHECKSUM_AT..TCP_CHECKSUM_AT + 2].copy_from_slice(&sum);
        segment
    }

    /// `struct virtio_net_hdr`, in the byte order of this machine.
    pub fn offload_header(&self) -> Vec<u8> {
        let tcp_at = self.tcp_at();
        let mut header = vec![NEEDS_CHECKSUM, if self.is_ipv4() { GSO_TCP4 } else { GSO_TCP6 }];
        let header_len = u16::try_from(tcp_at + TCP_HEADER_BYTES).unwrap_or(u16::MAX);
        let checksum_start = u16::try_from(tcp_at).unwrap_or(u16::MAX);
        for field in [header_len, self.segment_bytes, checksum_start, 16] {
            header.extend(field.to_ne_bytes());
        }
        header
    }
}

/// Sends super-frames by one interface of a namespace.
#[derive(Debug)]
pub struct SuperInjector {
    socket: PacketSocket,
}

impl SuperInjector {
    /// Opens the interface.
    ///
    /// # Errors
    /// As [`PacketSocket::open`].
    pub fn open(namespace: &Namespace, interface: &str) -> Result<Self> {
        let socket = PacketSocket::open(namespace, interface, Hear::Incoming)?;
        setsockopt(&socket, PacketVnetHeader, &true)
            .map_err(LabError::errno(format!("cannot send super-frames by {interface}")))?;
        Ok(Self { socket })
    }

    /// Sends one.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub fn send(&self, frame: &SuperFrame) -> Result<()> {
        let action = format!("cannot send a super-frame by {}", self.socket.interface());
        self.send_parts(&frame.offload_header(), &frame.bytes()).map_err(LabError::io(action))
    }

    /// Sends any bytes behind any header.
    ///
    /// # Errors
    /// `EINVAL` when the kernel does not believe the header; others as [`PacketSocket::send`].
    pub fn send_parts(&self, offload_header: &[u8], frame: &[u8]) -> io::Result<()> {
        self.socket.send(&[offload_header, frame].concat())
    }
}

/// EtherType and header of an IPv4 packet with "don't fragment" and identification 0xfffe.
fn ipv4(src: Ipv4Addr, dst: Ipv4Addr, payload_bytes: usize) -> Vec<u8> {
    let total = u16::try_from(20 + payload_bytes).unwrap_or(u16::MAX);
    let mut header = vec![0x45, 0];
    header.extend(total.to_be_bytes());
    header.extend([0xff, 0xfe, 0x40, 0, 64, IpProto::TCP.get(), 0, 0]);
    header.extend(src.octets());
    header.extend(dst.octets());
    let sum = checksum(&header);
    header[10..12].copy_from_slice(&sum);
    [&EtherType::IPV4.get().to_be_bytes()[..], &header].concat()
}

/// EtherType and header of an IPv6 packet.
fn ipv6(src: Ipv6Addr, dst: Ipv6Addr, payload_bytes: usize) -> Vec<u8> {
    let mut header = EtherType::IPV6.get().to_be_bytes().to_vec();
    header.extend([0x60, 0, 0, 0]);
    header.extend(u16::try_from(payload_bytes).unwrap_or(u16::MAX).to_be_bytes());
    header.extend([IpProto::TCP.get(), 64]);
    header.extend(src.octets());
    header.extend(dst.octets());
    header
}
