//! Frames made and read by hand, byte by byte: what tests inject, and how they look at a capture.
//!
//! *Where it sits:* used by tests, [`crate::switch`] and [`crate::mutate`]. It shares no code with
//! the product's parser on purpose: one is evidence about the other.
//!
//! *Not here:* the protocols of switches (STP, LACP, LLDP, CDP): [`control`].

pub mod control;

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use proto::{EtherType, IpProto, MacAddr, VlanId};

/// Shortest frame on a wire without its check sequence (IEEE 802.3 clause 4.2.3.3); shorter ones
/// are padded with zeros.
pub const FRAME_LEN_MIN: usize = 60;

/// Local experimental EtherType 1 (IEEE 802 clause 9.2.3): nothing answers or rewrites it.
pub const EXPERIMENTAL: EtherType = EtherType::new(0x88b5);

/// One VLAN tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tag {
    /// 0x8100 (802.1Q) or 0x88a8 (802.1ad).
    pub tpid: EtherType,
    /// Priority, drop eligible and VID (0..=4095), as on the wire.
    pub tci: u16,
}

impl Tag {
    /// The VID, 0 and 4095 included: a test also sends what is not allowed.
    pub fn vid(self) -> u16 {
        self.tci & 0x0fff
    }

    /// The priority, 0..=7.
    pub fn pcp(self) -> u8 {
        self.tci.to_be_bytes()[0] >> 5
    }
}

/// Builder of a frame: addresses and tags first, then one call that gives the bytes.
#[derive(Debug, Clone)]
pub struct Frame {
    bytes: Vec<u8>,
}

impl Frame {
    /// A frame from `src` to `dst`.
    pub fn new(src: MacAddr, dst: MacAddr) -> Self {
        Self { bytes: [dst.octets(), src.octets()].concat() }
    }

    /// Adds an 802.1Q tag with priority 0; called twice, the first is the outer one.
    #[must_use]
    pub fn vlan(self, vid: VlanId) -> Self {
        self.tag(Tag { tpid: EtherType::VLAN, tci: vid.get() })
    }

    /// Adds any tag at all.
    #[must_use]
    pub fn tag(mut self, tag: Tag) -> Self {
        self.bytes.extend(tag.tpid.get().to_be_bytes());
        self.bytes.extend(tag.tci.to_be_bytes());
        self
    }

    /// An Ethernet II payload of any kind, padded to the minimum.
    pub fn payload(mut self, ethertype: EtherType, payload: &[u8]) -> Vec<u8> {
        self.bytes.extend(ethertype.get().to_be_bytes());
        self.bytes.extend_from_slice(payload);
        pad(self.bytes)
    }

    /// An 802.3 frame: length field and an LLC payload.
    pub fn llc(mut self, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        self.bytes.extend(length.to_be_bytes());
        self.bytes.extend_from_slice(payload);
        pad(self.bytes)
    }

    /// An experimental frame that carries a number: see [`marker_of`].
    pub fn marker(self, id: u64) -> Vec<u8> {
        self.payload(EXPERIMENTAL, &id.to_be_bytes())
    }

    /// ARP for IPv4 (RFC 826): `operation` 1 asks, 2 answers.
    pub fn arp(
        self,
        operation: u16,
        sender: (MacAddr, Ipv4Addr),
        target: (MacAddr, Ipv4Addr),
    ) -> Vec<u8> {
        let mut body = vec![0, 1, 8, 0, 6, 4];
        body.extend(operation.to_be_bytes());
        for (mac, ip) in [sender, target] {
            body.extend(mac.octets());
            body.extend(ip.octets());
        }
        self.payload(EtherType::ARP, &body)
    }

    /// An IPv4 packet (RFC 791) with DSCP 0, "don't fragment", TTL 64.
    pub fn ipv4(self, protocol: IpProto, src: Ipv4Addr, dst: Ipv4Addr, payload: &[u8]) -> Vec<u8> {
        let total = u16::try_from(20 + payload.len()).unwrap_or(u16::MAX);
        let mut packet = vec![0x45, 0];
        packet.extend(total.to_be_bytes());
        packet.extend([0, 0, 0x40, 0, 64, protocol.get(), 0, 0]);
        packet.extend(src.octets());
        packet.extend(dst.octets());
        let sum = checksum(&packet);
        packet[10..12].copy_from_slice(&sum);
        packet.extend_from_slice(payload);
        self.payload(EtherType::IPV4, &packet)
    }

    /// UDP over IPv4 (RFC 768).
    pub fn udp4(self, src: SocketAddrV4, dst: SocketAddrV4, data: &[u8]) -> Vec<u8> {
        let pseudo = [&src.ip().octets()[..], &dst.ip().octets()[..]].concat();
        let segment = udp(&pseudo, src.port(), dst.port(), data);
        self.ipv4(IpProto::UDP, *src.ip(), *dst.ip(), &segment)
    }

    /// A TCP segment over IPv4 (RFC 9293) without options; `flags` is the byte of the header
    /// (0x02 SYN, 0x10 ACK, 0x04 RST, 0x01 FIN).
    pub fn tcp4(self, src: SocketAddrV4, dst: SocketAddrV4, flags: u8, data: &[u8]) -> Vec<u8> {
        let pseudo = [&src.ip().octets()[..], &dst.ip().octets()[..]].concat();
        let segment = tcp(&pseudo, src.port(), dst.port(), flags, data);
        self.ipv4(IpProto::TCP, *src.ip(), *dst.ip(), &segment)
    }

    /// An ICMP echo request (RFC 792).
    pub fn echo4(self, src: Ipv4Addr, dst: Ipv4Addr, id: u16, sequence: u16) -> Vec<u8> {
        let mut message = vec![8, 0, 0, 0];
        message.extend(id.to_be_bytes());
        message.extend(sequence.to_be_bytes());
        message.extend(*b"weft lab echo...");
        let sum = checksum(&message);
        message[2..4].copy_from_slice(&sum);
        self.ipv4(IpProto::ICMP, src, dst, &message)
    }

    /// An IPv6 packet (RFC 8200) with hop limit 64.
    pub fn ipv6(self, next: IpProto, src: Ipv6Addr, dst: Ipv6Addr, payload: &[u8]) -> Vec<u8> {
        let length = u16::try_from(payload.len()).unwrap_or(u16::MAX);
        let mut packet = vec![0x60, 0, 0, 0];
        packet.extend(length.to_be_bytes());
        packet.extend([next.get(), 64]);
        packet.extend(src.octets());
        packet.extend(dst.octets());
        packet.extend_from_slice(payload);
        self.payload(EtherType::IPV6, &packet)
    }

    /// UDP over IPv6.
    pub fn udp6(self, src: SocketAddrV6, dst: SocketAddrV6, data: &[u8]) -> Vec<u8> {
        let pseudo = [&src.ip().octets()[..], &dst.ip().octets()[..]].concat();
        let segment = udp(&pseudo, src.port(), dst.port(), data);
        self.ipv6(IpProto::UDP, *src.ip(), *dst.ip(), &segment)
    }
}

/// What stands before the payload of a frame.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// Destination.
    pub dst: MacAddr,
    /// Source.
    pub src: MacAddr,
    /// Tags, the outer one first.
    pub tags: Vec<Tag>,
    /// EtherType behind the tags; a length when below 0x0600.
    pub ethertype: EtherType,
    /// Where the payload begins, in bytes.
    pub payload_at: usize,
}

impl Header {
    /// Reads the header of a captured frame; `None` when it is cut short.
    pub fn read(frame: &[u8]) -> Option<Self> {
        let (dst, rest) = frame.split_first_chunk::<6>()?;
        let (src, mut rest) = rest.split_first_chunk::<6>()?;
        let mut tags = Vec::new();
        loop {
            let (ethertype, behind) = rest.split_first_chunk::<2>()?;
            let ethertype = EtherType::new(u16::from_be_bytes(*ethertype));
            if ethertype != EtherType::VLAN && ethertype != EtherType::SERVICE_VLAN {
                return Some(Self {
                    dst: MacAddr::new(*dst),
                    src: MacAddr::new(*src),
                    payload_at: frame.len() - behind.len(),
                    tags,
                    ethertype,
                });
            }
            let (tci, behind) = behind.split_first_chunk::<2>()?;
            tags.push(Tag { tpid: ethertype, tci: u16::from_be_bytes(*tci) });
            rest = behind;
        }
    }

    /// VID of the outer tag, when there is one.
    pub fn vid(&self) -> Option<u16> {
        self.tags.first().map(|tag| tag.vid())
    }
}

/// The number of a [`Frame::marker`], whatever tags it has now.
pub fn marker_of(frame: &[u8]) -> Option<u64> {
    let header = Header::read(frame)?;
    let payload = frame.get(header.payload_at..)?;
    (header.ethertype == EXPERIMENTAL)
        .then(|| payload.first_chunk().map(|id| u64::from_be_bytes(*id)))?
}

/// Whether the bytes occur in the frame: to find a payload behind whatever headers.
pub fn contains(frame: &[u8], needle: &[u8]) -> bool {
    !needle.is_empty() && frame.windows(needle.len()).any(|window| window == needle)
}

/// The Internet checksum (RFC 1071) of bytes whose checksum field is zero.
pub fn checksum(bytes: &[u8]) -> [u8; 2] {
    let mut sum: u32 = 0;
    for pair in bytes.chunks(2) {
        sum += u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0));
        sum = (sum & 0xffff) + (sum >> 16);
    }
    let [_, _, high, low] = (!sum).to_be_bytes();
    [high, low]
}

fn pad(mut frame: Vec<u8>) -> Vec<u8> {
    frame.resize(frame.len().max(FRAME_LEN_MIN), 0);
    frame
}

/// A UDP datagram with the checksum over the pseudo header's addresses.
fn udp(addresses: &[u8], src_port: u16, dst_port: u16, data: &[u8]) -> Vec<u8> {
    let length = u16::try_from(8 + data.len()).unwrap_or(u16::MAX);
    let mut segment = Vec::new();
    for field in [src_port, dst_port, length, 0] {
        segment.extend(field.to_be_bytes());
    }
    segment.extend_from_slice(data);
    let mut sum = transport_checksum(addresses, IpProto::UDP, &segment);
    if sum == [0, 0] {
        // Zero would mean "no checksum" (RFC 768).
        sum = [0xff, 0xff];
    }
    segment[6..8].copy_from_slice(&sum);
    segment
}

fn tcp(addresses: &[u8], src_port: u16, dst_port: u16, flags: u8, data: &[u8]) -> Vec<u8> {
    let mut segment = Vec::new();
    segment.extend(src_port.to_be_bytes());
    segment.extend(dst_port.to_be_bytes());
    segment.extend([0, 0, 0, 1, 0, 0, 0, 0, 0x50, flags, 0xff, 0xff, 0, 0, 0, 0]);
    segment.extend_from_slice(data);
    let sum = transport_checksum(addresses, IpProto::TCP, &segment);
    segment[16..18].copy_from_slice(&sum);
    segment
}

fn transport_checksum(addresses: &[u8], protocol: IpProto, segment: &[u8]) -> [u8; 2] {
    let length = u32::try_from(segment.len()).unwrap_or(u32::MAX);
    let mut summed = addresses.to_vec();
    summed.extend(length.to_be_bytes());
    summed.extend([0, 0, 0, protocol.get()]);
    summed.extend_from_slice(segment);
    checksum(&summed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use etherparse::{NetSlice, SlicedPacket, TransportSlice};

    const A: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xa]);
    const B: MacAddr = MacAddr::new([2, 0, 0, 0, 0, 0xb]);

    fn vid(vid: u16) -> VlanId {
        VlanId::new(vid).unwrap()
    }

    #[test]
    fn udp4_is_what_another_parser_reads() {
        let src = "10.0.0.1:1000".parse().unwrap();
        let dst = "10.0.0.2:53".parse().unwrap();
        let frame = Frame::new(A, B).vlan(vid(10)).vlan(vid(20)).udp4(src, dst, b"odd");
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();
        assert_eq!(packet.vlan_ids().len(), 2);
        let Some(NetSlice::Ipv4(ip)) = packet.net else { panic!("{packet:?}") };
        let header = ip.header().to_header();
        assert_eq!(header.calc_header_checksum(), header.header_checksum);
        let Some(TransportSlice::Udp(udp)) = packet.transport else { panic!() };
        let expected = udp.to_header().calc_checksum_ipv4(&header, b"odd").unwrap();
        assert_eq!((udp.destination_port(), udp.checksum()), (53, expected));
    }

    #[test]
    fn tcp4_udp6_and_echo_have_good_checksums() {
        let frame = Frame::new(A, B).tcp4(
            "10.0.0.1:9".parse().unwrap(),
            "10.0.0.2:80".parse().unwrap(),
            0x12,
            b"hello",
        );
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(NetSlice::Ipv4(ip)) = packet.net else { panic!() };
        let Some(TransportSlice::Tcp(tcp)) = packet.transport else { panic!() };
        assert!(tcp.syn() && tcp.ack() && !tcp.fin());
        let header = tcp.to_header();
        let expected = header.calc_checksum_ipv4(&ip.header().to_header(), b"hello").unwrap();
        assert_eq!(header.checksum, expected);

        let src = "[2001:db8::1]:5".parse().unwrap();
        let frame = Frame::new(A, B).udp6(src, "[2001:db8::2]:7".parse().unwrap(), b"six");
        let packet = SlicedPacket::from_ethernet(&frame).unwrap();
        let Some(NetSlice::Ipv6(ip)) = packet.net else { panic!() };
        let Some(TransportSlice::Udp(udp)) = packet.transport else { panic!() };
        let header = ip.header().to_header();
        assert_eq!(udp.checksum(), udp.to_header().calc_checksum_ipv6(&header, b"six").unwrap());

        let frame =
            Frame::new(A, B).echo4(Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), 7, 1);
        assert_eq!(checksum(&frame[34..58]), [0, 0]);
    }

    #[test]
    fn a_header_reads_back_with_its_tags() {
        let tag = Tag { tpid: EtherType::SERVICE_VLAN, tci: 0xe064 };
        let frame = Frame::new(A, B).tag(tag).vlan(vid(10)).marker(77);
        let header = Header::read(&frame).unwrap();
        assert_eq!((header.src, header.dst, header.ethertype), (A, B, EXPERIMENTAL));
        assert_eq!((header.tags[0].vid(), header.tags[0].pcp()), (100, 7));
        assert_eq!((header.vid(), header.tags[1].vid()), (Some(100), 10));
        assert_eq!((marker_of(&frame), frame.len()), (Some(77), FRAME_LEN_MIN));
        assert_eq!(Header::read(&frame[..17]), None);
    }

    #[test]
    fn an_arp_request_has_the_fields_of_rfc_826() {
        let ask = (A, Ipv4Addr::new(10, 0, 0, 1));
        let whom = (MacAddr::ZERO, Ipv4Addr::new(10, 0, 0, 2));
        let frame = Frame::new(A, MacAddr::BROADCAST).arp(1, ask, whom);
        assert_eq!(frame[12..22], [8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
        assert_eq!(frame[38..42], [10, 0, 0, 2]);
    }
}
