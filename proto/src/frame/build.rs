//! Builds whole frames from a description: for `weft trace`, the simulator and tests.
//!
//! Not for the hot path: it allocates. Lengths and checksums come out right; what nobody says is
//! ordinary (TTL 64, no options, padding up to the shortest frame).

use core::net::{IpAddr, SocketAddr};

use super::checksum::Sum;
use super::ethernet::FRAME_LEN_MIN;
use super::key::Tag;
use super::{ipv4, ipv6, l4};
use crate::types::{EtherType, IpProto, MacAddr};

const ICMP_ECHO_REQUEST: u8 = 8;
const ICMPV6_ECHO_REQUEST: u8 = 128;

/// The Ethernet header and tags of a frame to be built; its methods named after a protocol add the
/// rest and give the frame.
///
/// Of two addresses, either both are IPv4, or the frame is IPv6 (and an IPv4 address stands in it
/// as IPv4-mapped). A payload must fit an IP packet: the length fields stop at their highest value.
#[derive(Clone, Debug)]
pub struct FrameBuilder {
    bytes: Vec<u8>,
}

impl FrameBuilder {
    /// A frame with these addresses.
    #[must_use]
    pub fn new(src: MacAddr, dst: MacAddr) -> Self {
        Self { bytes: [dst.octets(), src.octets()].concat() }
    }

    /// Adds an 802.1Q tag, inside those already there.
    #[must_use]
    pub fn tag(self, tag: Tag) -> Self {
        self.tag_as(EtherType::VLAN, tag)
    }

    /// Adds a tag with another TPID, inside those already there.
    #[must_use]
    pub fn tag_as(mut self, tpid: EtherType, tag: Tag) -> Self {
        self.bytes.extend(tpid.get().to_be_bytes());
        self.bytes.extend(tag.tci.to_be_bytes());
        self
    }

    /// The frame with this EtherType and payload.
    #[must_use]
    pub fn payload(mut self, ether_type: EtherType, payload: &[u8]) -> Vec<u8> {
        self.bytes.extend(ether_type.get().to_be_bytes());
        self.bytes.extend(payload);
        let padded_len = self.bytes.len().max(FRAME_LEN_MIN);
        self.bytes.resize(padded_len, 0);
        self.bytes
    }

    /// The frame with an IP packet around `payload`.
    #[must_use]
    pub fn ip(self, src: IpAddr, dst: IpAddr, proto: IpProto, payload: &[u8]) -> Vec<u8> {
        if let (IpAddr::V4(src), IpAddr::V4(dst)) = (src, dst) {
            let mut header = ipv4::Header::new(src.octets(), dst.octets(), proto);
            header.set_total_len(length(ipv4::HEADER_LEN + payload.len()));
            let mut header = header.into_octets();
            ipv4::fill_checksum(&mut header);
            self.payload(EtherType::IPV4, &[&header, payload].concat())
        } else {
            let (src, dst) = (v6_octets(src), v6_octets(dst));
            let mut header = ipv6::Header::new(src, dst, proto);
            header.set_payload_len(length(payload.len()));
            self.payload(EtherType::IPV6, &[&header.into_octets(), payload].concat())
        }
    }

    /// The frame with a UDP datagram.
    #[must_use]
    pub fn udp(self, src: SocketAddr, dst: SocketAddr, payload: &[u8]) -> Vec<u8> {
        let mut l4 = [&[0; l4::UDP_HEADER_LEN], payload].concat();
        let len = length(l4.len());
        if let Some(mut header) = l4::Udp::for_writing(&mut l4) {
            header.set_ports(src.port(), dst.port());
            header.set_len(len);
        }
        let checksum = l4_sum(src.ip(), dst.ip(), IpProto::UDP, &l4).complement_nonzero();
        if let Some(mut header) = l4::Udp::for_writing(&mut l4) {
            header.set_checksum(checksum);
        }
        self.ip(src.ip(), dst.ip(), IpProto::UDP, &l4)
    }

    /// The frame with a TCP segment with these flags ([`l4::tcp_flags`]).
    #[must_use]
    pub fn tcp(self, src: SocketAddr, dst: SocketAddr, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut l4 = [&[0; l4::TCP_HEADER_LEN], payload].concat();
        if let Some(mut header) = l4::Tcp::for_writing(&mut l4) {
            header.set_ports(src.port(), dst.port());
            header.set_header_len(l4::TCP_HEADER_LEN);
            header.set_flags(flags);
        }
        let checksum = l4_sum(src.ip(), dst.ip(), IpProto::TCP, &l4).complement();
        if let Some(mut header) = l4::Tcp::for_writing(&mut l4) {
            header.set_checksum(checksum);
        }
        self.ip(src.ip(), dst.ip(), IpProto::TCP, &l4)
    }

    /// The frame with an ICMP or ICMPv6 echo request.
    #[must_use]
    pub fn echo_request(self, src: IpAddr, dst: IpAddr, ident: u16, sequence: u16) -> Vec<u8> {
        let ([i0, i1], [s0, s1]) = (ident.to_be_bytes(), sequence.to_be_bytes());
        let message = |kind, [c0, c1]: [u8; 2]| [kind, 0, c0, c1, i0, i1, s0, s1];
        if src.is_ipv4() && dst.is_ipv4() {
            let sum = Sum::of(&message(ICMP_ECHO_REQUEST, [0, 0]));
            let icmp = message(ICMP_ECHO_REQUEST, sum.complement().to_be_bytes());
            self.ip(src, dst, IpProto::ICMP, &icmp)
        } else {
            let open = message(ICMPV6_ECHO_REQUEST, [0, 0]);
            let sum = l4_sum(src, dst, IpProto::ICMPV6, &open);
            let icmp = message(ICMPV6_ECHO_REQUEST, sum.complement().to_be_bytes());
            self.ip(src, dst, IpProto::ICMPV6, &icmp)
        }
    }
}

/// The sum of pseudo-header and L4 bytes.
fn l4_sum(src: IpAddr, dst: IpAddr, proto: IpProto, l4: &[u8]) -> Sum {
    let len = u32::from(length(l4.len()));
    let mut sum = if let (IpAddr::V4(src), IpAddr::V4(dst)) = (src, dst) {
        Sum::pseudo_v4(src.to_bits(), dst.to_bits(), proto, len)
    } else {
        let (src, dst) = (v6_octets(src), v6_octets(dst));
        Sum::pseudo_v6(u128::from_be_bytes(src), u128::from_be_bytes(dst), proto, len)
    };
    sum.add_bytes(l4);
    sum
}

fn v6_octets(address: IpAddr) -> [u8; 16] {
    match address {
        IpAddr::V4(v4) => v4.to_ipv6_mapped().octets(),
        IpAddr::V6(v6) => v6.octets(),
    }
}

/// A length field: the value, or the highest one that there is.
fn length(octets: usize) -> u16 {
    u16::try_from(octets).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    const SRC: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 1]);
    const DST: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 2]);
    const V4: (&str, &str) = ("192.0.2.1:4000", "192.0.2.2:80");
    const V6: (&str, &str) = ("[2001:db8::1]:4000", "[2001:db8::2]:80");

    /// etherparse reads the frame back and finds its L4 checksum right.
    fn check(frame: &[u8]) {
        let sliced = SlicedPacket::from_ethernet(frame).unwrap();
        assert_eq!(sliced.vlan_ids().len(), 2);
        let (wanted, found) = match (sliced.net.unwrap(), sliced.transport.unwrap()) {
            (NetSlice::Ipv4(ip), l4) => {
                let ip = ip.header().to_header();
                assert_eq!(ip.header_checksum, ip.calc_header_checksum());
                match l4 {
                    TransportSlice::Tcp(tcp) => {
                        let wanted = tcp.calc_checksum_ipv4(ip.source, ip.destination).unwrap();
                        (wanted, tcp.checksum())
                    }
                    TransportSlice::Udp(udp) => {
                        let header = udp.to_header();
                        let wanted = header.calc_checksum_ipv4(&ip, udp.payload()).unwrap();
                        (wanted, udp.checksum())
                    }
                    TransportSlice::Icmpv4(icmp) => {
                        let wanted = icmp.icmp_type().calc_checksum(icmp.payload());
                        (wanted, icmp.checksum())
                    }
                    other => panic!("{other:?}"),
                }
            }
            (NetSlice::Ipv6(ip), l4) => {
                let ip = ip.header().to_header();
                match l4 {
                    TransportSlice::Tcp(tcp) => {
                        let header = tcp.to_header();
                        let wanted = header.calc_checksum_ipv6(&ip, tcp.payload()).unwrap();
                        (wanted, tcp.checksum())
                    }
                    TransportSlice::Udp(udp) => {
                        let header = udp.to_header();
                        let wanted = header.calc_checksum_ipv6(&ip, udp.payload()).unwrap();
                        (wanted, udp.checksum())
                    }
                    TransportSlice::Icmpv6(icmp) => {
                        assert!(icmp.is_checksum_valid(ip.source, ip.destination));
                        return;
                    }
                    other => panic!("{other:?}"),
                }
            }
            other => panic!("{other:?}"),
        };
        assert_eq!(wanted, found);
    }

    #[test]
    fn frames_are_what_etherparse_reads() {
        let tags = FrameBuilder::new(SRC, DST)
            .tag_as(EtherType::SERVICE_VLAN, Tag { tci: 5 })
            .tag(Tag { tci: 0x6007 });
        for (src, dst) in [V4, V6] {
            let (src, dst): (SocketAddr, SocketAddr) = (src.parse().unwrap(), dst.parse().unwrap());
            for payload in [&b""[..], b"odd", &[0xa5; 1400]] {
                check(&tags.clone().udp(src, dst, payload));
                check(&tags.clone().tcp(src, dst, l4::tcp_flags::ACK, payload));
            }
            check(&tags.clone().echo_request(src.ip(), dst.ip(), 7, 9));
        }
    }

    #[test]
    fn short_frames_are_padded() {
        assert_eq!(FrameBuilder::new(SRC, DST).payload(EtherType::LLDP, &[1]).len(), 60);
        assert_eq!(FrameBuilder::new(SRC, DST).payload(EtherType::LLDP, &[1; 100]).len(), 114);
    }
}
