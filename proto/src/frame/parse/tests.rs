use super::*;
use crate::frame::Tag;
use crate::types::MacAddr;
use etherparse::{
    IpFragOffset, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv4Options, Ipv6Extensions,
    Ipv6FragmentHeader, Ipv6Header, Ipv6RawExtHeader, NetSlice, PacketBuilder, SlicedPacket,
    TransportSlice,
};
use proptest::prelude::*;

/// A TCP SYN to port 443 in VLAN 42 with priority 5.
const TCP_SYN_TAGGED: [u8; 78] = [
    0x00, 0x1b, 0x21, 0x0a, 0x0b, 0x0c, 0x02, 0x42, 0xac, 0x11, 0x00, 0x02, 0x81, 0x00, 0xa0, 0x2a,
    0x08, 0x00, 0x45, 0x00, 0x00, 0x3c, 0x1c, 0x46, 0x40, 0x00, 0x40, 0x06, 0xb1, 0xe6, 0xac, 0x10,
    0x0a, 0x63, 0xac, 0x10, 0x0a, 0x0c, 0xd9, 0x04, 0x01, 0xbb, 0x52, 0xb5, 0x8a, 0x8a, 0x00, 0x00,
    0x00, 0x00, 0xa0, 0x02, 0xfa, 0xf0, 0x6d, 0x40, 0x00, 0x00, 0x02, 0x04, 0x05, 0xb4, 0x04, 0x02,
    0x08, 0x0a, 0x3e, 0x1f, 0x2d, 0x5e, 0x00, 0x00, 0x00, 0x00, 0x01, 0x03, 0x03, 0x07,
];

/// An ICMPv6 neighbour solicitation for fe80::1.
const NEIGHBOUR_SOLICITATION: [u8; 86] = [
    0x33, 0x33, 0xff, 0x00, 0x00, 0x01, 0x02, 0x00, 0x00, 0x00, 0x00, 0x07, 0x86, 0xdd, 0x6e, 0x00,
    0x00, 0x00, 0x00, 0x20, 0x3a, 0xff, 0xfe, 0x80, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0xff, 0xfe, 0x00, 0x00, 0x07, 0xff, 0x02, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0x00, 0x01, 0xff, 0x00, 0x00, 0x01, 0x87, 0x00, 0x4a, 0x1c, 0x00, 0x00, 0x00, 0x00, 0xfe, 0x80,
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x01, 0x01, 0x01,
    0x02, 0x00, 0x00, 0x00, 0x00, 0x07,
];

fn ipv4_frame(header: [u8; 20], rest: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00];
    frame.extend(header);
    frame.extend(rest);
    frame
}

fn ipv6_frame(next_header: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x86, 0xdd, 0x60, 0, 0, 0];
    frame.extend((payload.len() as u16).to_be_bytes());
    frame.extend([next_header, 64]);
    frame.extend([0; 32]);
    frame.extend(payload);
    frame
}

/// A plain header with this total length, flags and fragment offset, and protocol.
fn ipv4_header(total_len: u16, fragment: u16, proto: u8) -> [u8; 20] {
    let ([l0, l1], [f0, f1]) = (total_len.to_be_bytes(), fragment.to_be_bytes());
    [0x45, 0, l0, l1, 0, 1, f0, f1, 64, proto, 0, 0, 192, 0, 2, 1, 192, 0, 2, 2]
}

#[test]
fn a_tagged_tcp_syn() {
    let key = parse(&TCP_SYN_TAGGED).unwrap();
    assert_eq!(key.dst, MacAddr::new([0x00, 0x1b, 0x21, 0x0a, 0x0b, 0x0c]));
    assert_eq!(key.src, MacAddr::new([0x02, 0x42, 0xac, 0x11, 0x00, 0x02]));
    assert_eq!(key.tag, Some(Tag { tci: 0xa02a }));
    assert_eq!((key.ether_type, key.l3_offset, key.l3), (EtherType::IPV4, 18, L3::Ipv4));
    assert_eq!((key.ip_src, key.ip_dst), (0xac10_0a63, 0xac10_0a0c));
    assert_eq!((key.proto, key.fragment, key.dscp_bits), (IpProto::TCP, Fragment::Whole, 0));
    assert!(key.has_l4);
    assert_eq!((key.l4_src, key.l4_dst, key.tcp_flags, key.l4_offset), (55556, 443, 0x02, 38));
}

#[test]
fn a_neighbour_solicitation() {
    let key = parse(&NEIGHBOUR_SOLICITATION).unwrap();
    assert_eq!((key.tag, key.l3_offset, key.l3), (None, 14, L3::Ipv6));
    assert_eq!(key.ip_src, 0xfe80_0000_0000_0000_0000_00ff_fe00_0007);
    assert_eq!(key.ip_dst, 0xff02_0000_0000_0000_0000_0001_ff00_0001);
    assert_eq!((key.proto, key.dscp_bits), (IpProto::ICMPV6, 56));
    assert!(key.has_l4);
    assert_eq!((key.l4_src, key.l4_dst, key.l4_offset), (135, 0, 54));
}

#[test]
fn none_only_without_ethernet_header_or_tag() {
    for len in 0..TCP_SYN_TAGGED.len() {
        assert_eq!(parse(&TCP_SYN_TAGGED[..len]).is_some(), len >= 18, "{len}");
    }
    for len in 0..NEIGHBOUR_SOLICITATION.len() {
        assert_eq!(parse(&NEIGHBOUR_SOLICITATION[..len]).is_some(), len >= 14, "{len}");
    }
}

#[test]
fn l3_and_l4_fill_in_as_the_bytes_are_there() {
    let key = |len: usize| parse(&TCP_SYN_TAGGED[..len]).unwrap();
    assert_eq!((key(37).l3, key(38).l3), (L3::Other, L3::Ipv4));
    // The flags are octet 13 of the TCP header.
    assert_eq!((key(51).has_l4, key(52).has_l4), (false, true));
    assert_eq!(key(51).l4_src, 0);
    assert_eq!(key(52), key(78));
}

#[test]
fn inner_and_service_tags_are_payload() {
    let mut frame = vec![0xff; 12];
    frame.extend([0x81, 0x00, 0x00, 0x05, 0x81, 0x00, 0x00, 0x06, 0x08, 0x00, 0x45]);
    let key = parse(&frame).unwrap();
    assert_eq!((key.tag, key.ether_type), (Some(Tag { tci: 5 }), EtherType::VLAN));
    assert_eq!((key.l3, key.l3_offset), (L3::Other, 18));
    frame[12..14].copy_from_slice(&[0x88, 0xa8]);
    let key = parse(&frame).unwrap();
    assert_eq!((key.tag, key.ether_type, key.l3_offset), (None, EtherType::SERVICE_VLAN, 14));
}

#[test]
fn ethernet_padding_is_never_read_as_ports() {
    // 20 octets of header and no payload, but padding that looks like a UDP header.
    let frame = ipv4_frame(ipv4_header(20, 0, 17), &[0, 53, 0, 53, 0, 8, 0, 0]);
    assert!(!parse(&frame).unwrap().has_l4);
    let frame = ipv4_frame(ipv4_header(28, 0, 17), &[0, 53, 0, 53, 0, 8, 0, 0]);
    assert!(parse(&frame).unwrap().has_l4);
    let mut frame = ipv6_frame(17, &[0, 53, 0, 53, 0, 8, 0, 0]);
    assert!(parse(&frame).unwrap().has_l4);
    frame[18..20].copy_from_slice(&[0, 3]);
    assert!(!parse(&frame).unwrap().has_l4);
}

#[test]
fn impossible_ip_headers_are_not_ip() {
    let l3 = |change: fn(&mut [u8; 20])| {
        let mut header = ipv4_header(40, 0, 6);
        change(&mut header);
        parse(&ipv4_frame(header, &[0; 20])).unwrap().l3
    };
    assert_eq!(l3(|_| {}), L3::Ipv4);
    assert_eq!(l3(|h| h[0] = 0x65), L3::Other);
    assert_eq!(l3(|h| h[0] = 0x44), L3::Other);
    assert_eq!(l3(|h| h[3] = 19), L3::Other);
    let mut frame = ipv6_frame(6, &[0; 20]);
    assert_eq!(parse(&frame).unwrap().l3, L3::Ipv6);
    frame[14] = 0x50;
    assert_eq!(parse(&frame).unwrap().l3, L3::Other);
}

#[test]
fn fragments_have_ports_only_in_the_first() {
    let at = |fragment| {
        let frame = ipv4_frame(ipv4_header(28, fragment, 17), &[0, 53, 0, 54, 0, 8, 0, 0]);
        let key = parse(&frame).unwrap();
        (key.fragment, key.has_l4, key.l4_dst)
    };
    assert_eq!(at(0x4000), (Fragment::Whole, true, 54));
    assert_eq!(at(0x2000), (Fragment::First, true, 54));
    assert_eq!(at(0x2001), (Fragment::Later, false, 0));
    assert_eq!(at(0x0001), (Fragment::Later, false, 0));
}

#[test]
fn ipv6_fragments_have_ports_only_in_the_first() {
    let at = |word: u16| {
        let [w0, w1] = word.to_be_bytes();
        let frame = ipv6_frame(44, &[17, 0, w0, w1, 0, 0, 0, 1, 0, 53, 0, 54, 0, 8, 0, 0]);
        let key = parse(&frame).unwrap();
        (key.fragment, key.proto, key.has_l4, key.l4_dst)
    };
    assert_eq!(at(0), (Fragment::Whole, IpProto::UDP, true, 54));
    assert_eq!(at(1), (Fragment::First, IpProto::UDP, true, 54));
    assert_eq!(at(8), (Fragment::Later, IpProto::UDP, false, 0));
    assert_eq!(at(9), (Fragment::Later, IpProto::UDP, false, 0));
}

#[test]
fn the_walk_over_extension_headers_is_bounded() {
    let chain = |count: usize| {
        let mut payload = Vec::new();
        for i in 0..count {
            let next = if i + 1 == count { 17 } else { 60 };
            payload.extend([next, 0, 1, 4, 0, 0, 0, 0]);
        }
        payload.extend([0, 53, 0, 54, 0, 8, 0, 0]);
        parse(&ipv6_frame(60, &payload)).unwrap()
    };
    let key = chain(ipv6::EXTENSIONS_MAX);
    assert_eq!((key.proto, key.has_l4, key.l4_dst), (IpProto::UDP, true, 54));
    assert_eq!(key.l4_offset, 54 + 64);
    // One more, and the number of that extension header is what is known.
    let key = chain(ipv6::EXTENSIONS_MAX + 1);
    assert_eq!((key.proto, key.has_l4), (IpProto::new(60), false));
    // Cut off inside an extension header: likewise.
    let key = parse(&ipv6_frame(0, &[17, 1, 1, 4, 0, 0, 0, 0])).unwrap();
    assert_eq!((key.proto, key.has_l4), (IpProto::new(0), false));
}

#[test]
fn an_authentication_header_counts_its_length_in_words() {
    // Payload length 4: (4 + 2) words of 4 octets (RFC 4302 section 2.2).
    let mut payload = vec![17, 4];
    payload.resize(24, 0);
    payload.extend([0, 53, 0, 54, 0, 8, 0, 0]);
    let key = parse(&ipv6_frame(51, &payload)).unwrap();
    assert_eq!((key.proto, key.has_l4, key.l4_dst), (IpProto::UDP, true, 54));
    assert_eq!(key.l4_offset, 54 + 24);
}

#[test]
fn a_later_fragment_is_not_walked_into() {
    // Its payload is the middle of something, though it looks like destination options.
    let fragment = [60, 0, 0, 8, 0, 0, 0, 1];
    let key =
        parse(&ipv6_frame(44, &[&fragment[..], &[17, 0, 1, 4, 0, 0, 0, 0]].concat())).unwrap();
    assert_eq!((key.fragment, key.proto), (Fragment::Later, IpProto::new(60)));
}

#[test]
fn icmp_and_sctp() {
    let key = parse(&ipv4_frame(ipv4_header(28, 0, 1), &[3, 4, 0, 0, 0, 0, 0, 0])).unwrap();
    assert_eq!((key.proto, key.has_l4, key.l4_src, key.l4_dst), (IpProto::ICMP, true, 3, 4));
    let key = parse(&ipv4_frame(ipv4_header(28, 0, 132), &[1, 2, 3, 4, 0, 0, 0, 0])).unwrap();
    assert_eq!((key.has_l4, key.l4_src, key.l4_dst), (true, 0x0102, 0x0304));
    // OSPF has no ports.
    let key = parse(&ipv4_frame(ipv4_header(28, 0, 89), &[1, 2, 3, 4, 0, 0, 0, 0])).unwrap();
    assert!(!key.has_l4);
}

/// What a generated frame carries above IP.
#[derive(Clone, Copy, Debug)]
enum Above {
    Tcp { flags: u8 },
    Udp,
    Icmp,
}

#[derive(Clone, Debug)]
struct Case {
    macs: ([u8; 6], [u8; 6]),
    tci: Option<u16>,
    ip: IpHeaders,
    above: Above,
    ports: (u16, u16),
    payload: Vec<u8>,
}

impl Case {
    fn frame(&self) -> Vec<u8> {
        let builder = PacketBuilder::ethernet2(self.macs.0, self.macs.1);
        let builder = match self.tci {
            None => builder.ip(self.ip.clone()),
            Some(tci) => {
                let tag = etherparse::SingleVlanHeader {
                    pcp: etherparse::VlanPcp::try_new((tci >> 13) as u8).unwrap(),
                    drop_eligible_indicator: tci & 0x1000 != 0,
                    vlan_id: etherparse::VlanId::try_new(tci & 0x0fff).unwrap(),
                    ether_type: etherparse::EtherType(0),
                };
                builder.vlan(etherparse::VlanHeader::Single(tag)).ip(self.ip.clone())
            }
        };
        let mut frame = Vec::new();
        let (src, dst) = self.ports;
        match self.above {
            Above::Tcp { flags } => {
                let mut tcp = etherparse::TcpHeader::new(src, dst, 1, 2);
                [tcp.fin, tcp.syn, tcp.rst, tcp.psh, tcp.ack, tcp.urg, tcp.ece, tcp.cwr] =
                    core::array::from_fn(|bit| flags >> bit & 1 != 0);
                builder.tcp_header(tcp).write(&mut frame, &self.payload).unwrap();
            }
            Above::Udp => builder.udp(src, dst).write(&mut frame, &self.payload).unwrap(),
            Above::Icmp => {
                let (kind, code) = ((src >> 8) as u8, dst as u8);
                if matches!(self.ip, IpHeaders::Ipv4(..)) {
                    builder.icmpv4_raw(kind, code, [0; 4]).write(&mut frame, &self.payload)
                } else {
                    builder.icmpv6_raw(kind, code, [0; 4]).write(&mut frame, &self.payload)
                }
                .unwrap();
            }
        }
        frame
    }
}

/// Fragment offset (in units of 8 octets) and whether more follow.
fn any_fragment() -> impl Strategy<Value = (u16, bool)> {
    prop_oneof![4 => Just((0, false)), 1 => Just((0, true)), 1 => (1..8192u16, any::<bool>())]
}

fn any_ipv4() -> impl Strategy<Value = IpHeaders> {
    (any::<[u8; 4]>(), any::<[u8; 4]>(), 0..64u8, 0..=10usize, any_fragment()).prop_map(
        |(source, destination, dscp, option_words, (offset, more_fragments))| {
            let mut header = Ipv4Header::new(0, 64, IpNumber::UDP, source, destination).unwrap();
            header.dscp = dscp.try_into().unwrap();
            // 1 is the option "no operation".
            header.options = Ipv4Options::try_from(&[1; 40][..option_words * 4]).unwrap();
            header.fragment_offset = IpFragOffset::try_new(offset).unwrap();
            header.more_fragments = more_fragments;
            header.dont_fragment = false;
            IpHeaders::Ipv4(header, Ipv4Extensions::default())
        },
    )
}

fn any_extension() -> impl Strategy<Value = Option<Ipv6RawExtHeader>> {
    let payload = (0..4usize).prop_map(|units| vec![0; 6 + units * 8]);
    proptest::option::weighted(
        0.3,
        payload.prop_map(|p| Ipv6RawExtHeader::new_raw(IpNumber::UDP, &p).unwrap()),
    )
}

fn any_ipv6() -> impl Strategy<Value = IpHeaders> {
    let extensions =
        (any_extension(), any_extension(), proptest::option::weighted(0.3, any_fragment()));
    (any::<[u8; 16]>(), any::<[u8; 16]>(), any::<u8>(), extensions).prop_map(
        |(
            source,
            destination,
            traffic_class,
            (hop_by_hop_options, destination_options, fragment),
        )| {
            let header = Ipv6Header {
                traffic_class,
                source,
                destination,
                hop_limit: 64,
                ..Default::default()
            };
            let extensions = Ipv6Extensions {
                hop_by_hop_options,
                destination_options,
                fragment: fragment.map(|(offset, more)| {
                    let offset = IpFragOffset::try_new(offset).unwrap();
                    Ipv6FragmentHeader::new(IpNumber::UDP, offset, more, 7)
                }),
                ..Default::default()
            };
            IpHeaders::Ipv6(header, extensions)
        },
    )
}

fn any_case() -> impl Strategy<Value = Case> {
    let above = prop_oneof![
        any::<u8>().prop_map(|flags| Above::Tcp { flags }),
        Just(Above::Udp),
        Just(Above::Icmp)
    ];
    (
        any::<([u8; 6], [u8; 6])>(),
        any::<Option<u16>>(),
        prop_oneof![any_ipv4(), any_ipv6()],
        above,
        any::<(u16, u16)>(),
        proptest::collection::vec(any::<u8>(), 0..64),
    )
        .prop_map(|(macs, tci, ip, above, ports, payload)| Case {
            macs,
            tci,
            ip,
            above,
            ports,
            payload,
        })
}

/// Ports (or type and code) and flags as etherparse reads them.
fn transport_of(slice: &TransportSlice<'_>) -> (u16, u16, u8) {
    match slice {
        TransportSlice::Tcp(tcp) => {
            let flags = [
                tcp.fin(),
                tcp.syn(),
                tcp.rst(),
                tcp.psh(),
                tcp.ack(),
                tcp.urg(),
                tcp.ece(),
                tcp.cwr(),
            ];
            let flags =
                flags.iter().enumerate().fold(0, |all, (bit, set)| all | u8::from(*set) << bit);
            (tcp.source_port(), tcp.destination_port(), flags)
        }
        TransportSlice::Udp(udp) => (udp.source_port(), udp.destination_port(), 0),
        TransportSlice::Icmpv4(icmp) => (icmp.type_u8().into(), icmp.code_u8().into(), 0),
        TransportSlice::Icmpv6(icmp) => (icmp.type_u8().into(), icmp.code_u8().into(), 0),
        other => panic!("{other:?}"),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn valid_frames_read_as_etherparse_reads_them(case in any_case()) {
        let frame = case.frame();
        let key = parse(&frame).unwrap();
        let oracle = SlicedPacket::from_ethernet(&frame).unwrap();
        let link = oracle.link.as_ref().unwrap().to_header().unwrap().ethernet2().unwrap();
        prop_assert_eq!(key.dst.octets(), link.destination);
        prop_assert_eq!(key.src.octets(), link.source);
        prop_assert_eq!(key.tag.map(|t| t.tci), case.tci);
        prop_assert_eq!(oracle.vlan_ids().first().map(|v| v.value()), key.tag.map(Tag::vid));
        let (src, dst, dscp, proto, fragmented) = match oracle.net.as_ref().unwrap() {
            NetSlice::Ipv4(ip) => {
                let header = ip.header();
                prop_assert_eq!(key.l3, L3::Ipv4);
                let (src, dst) = (header.source_addr(), header.destination_addr());
                let (src, dst) = (src.to_bits().into(), dst.to_bits().into());
                (src, dst, header.dcp().value(), ip.payload_ip_number(), ip.is_payload_fragmented())
            }
            NetSlice::Ipv6(ip) => {
                let header = ip.header();
                prop_assert_eq!(key.l3, L3::Ipv6);
                let (src, dst) = (header.source_addr(), header.destination_addr());
                let (src, dst) = (src.to_bits(), dst.to_bits());
                let dscp = header.traffic_class() >> 2;
                (src, dst, dscp, ip.payload().ip_number, ip.is_payload_fragmented())
            }
            other => panic!("{other:?}"),
        };
        prop_assert_eq!((key.ip_src, key.ip_dst), (src, dst));
        prop_assert_eq!(key.dscp_bits, dscp);
        prop_assert_eq!(key.proto.get(), proto.0);
        prop_assert_eq!(key.fragment != Fragment::Whole, fragmented);
        prop_assert_eq!(key.has_l4, key.fragment != Fragment::Later);
        if let Some(transport) = &oracle.transport {
            prop_assert_eq!((key.l4_src, key.l4_dst, key.tcp_flags), transport_of(transport));
            let payload = oracle.ip_payload().unwrap().payload;
            prop_assert_eq!(usize::from(key.l4_offset), frame.len() - payload.len());
        }
    }

    #[test]
    fn a_prefix_says_less_but_nothing_else(
        case in any_case(),
        cut in any::<prop::sample::Index>(),
    ) {
        let frame = case.frame();
        let full = parse(&frame).unwrap();
        let Some(part) = parse(&frame[..cut.index(frame.len() + 1)]) else { return Ok(()) };
        prop_assert_eq!((part.dst, part.src, part.tag), (full.dst, full.src, full.tag));
        prop_assert_eq!((part.ether_type, part.l3_offset), (full.ether_type, full.l3_offset));
        if part.has_l4 {
            prop_assert_eq!(part, full);
        } else if part.l3 != L3::Other {
            prop_assert_eq!((part.ip_src, part.ip_dst), (full.ip_src, full.ip_dst));
        }
    }

    #[test]
    fn any_bytes_give_offsets_inside_them(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        check_offsets(&bytes)?;
    }

    #[test]
    fn bent_frames_give_offsets_inside_them(
        case in any_case(),
        bends in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut frame = case.frame();
        for (at, octet) in bends {
            let at = at.index(frame.len());
            frame[at] = octet;
        }
        frame.truncate(cut.index(frame.len() + 1));
        check_offsets(&frame)?;
    }

    /// Whatever the key said before, and wherever the frame is bent: above all in its IP header.
    #[test]
    fn a_key_read_in_place_is_that_of_the_thorough_reading(
        before in any_case(),
        case in any_case(),
        bends in proptest::collection::vec((12usize..54, any::<u8>()), 0..3),
        len in 14usize..120,
    ) {
        let (mut frame, mut key) = (case.frame(), FrameKey::EMPTY);
        for (at, octet) in bends {
            if let Some(place) = frame.get_mut(at) {
                *place = octet;
            }
        }
        frame.truncate(len);
        prop_assert!(key.read(&before.frame()));
        let mut thorough = FrameKey::EMPTY;
        let thorough = thorough.read_any(&frame).map(|()| thorough);
        prop_assert_eq!(key.read(&frame).then_some(key), thorough);
        prop_assert_eq!(parse(&frame), thorough);
    }
}

fn check_offsets(bytes: &[u8]) -> Result<(), TestCaseError> {
    let Some(key) = parse(bytes) else {
        prop_assert!(bytes.len() < 18);
        return Ok(());
    };
    prop_assert!(usize::from(key.l3_offset) <= bytes.len());
    prop_assert_eq!(key.has_l4, key.l4_offset != 0);
    if key.has_l4 {
        prop_assert!(key.l4_offset > u16::from(key.l3_offset));
        prop_assert!(usize::from(key.l4_offset) < bytes.len());
        prop_assert!(key.l3 != L3::Other && key.fragment != Fragment::Later);
    } else {
        prop_assert_eq!((key.l4_src, key.l4_dst, key.tcp_flags), (0, 0, 0));
    }
    Ok(())
}
