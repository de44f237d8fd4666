use super::*;
use crate::frame::offload::PartialChecksum;
use etherparse::{
    IpFragOffset, IpHeaders, IpNumber, Ipv4Extensions, Ipv4Header, Ipv4Options, Ipv6Extensions,
    Ipv6FragmentHeader, Ipv6Header, Ipv6RawExtHeader, NetSlice, PacketBuilder, SlicedPacket,
    TcpHeader, TransportSlice,
};
use proptest::prelude::*;

const ALL_FLAGS: u8 = 0xff;

/// A super-frame and where its parts are.
#[derive(Clone, Debug)]
struct Super {
    frame: Vec<u8>,
    offload: Offload,
    payload: Vec<u8>,
}

/// What to build a super-frame of.
#[derive(Clone, Debug)]
struct Recipe {
    kind: GsoKind,
    v6: bool,
    tags: Vec<[u8; 4]>,
    ip_options: usize,
    tcp_options: usize,
    flags: u8,
    sequence_number: u32,
    ident: u16,
    payload_len: usize,
    size: u16,
}

impl Recipe {
    const fn plain(kind: GsoKind, payload_len: usize, size: u16) -> Self {
        Self {
            kind,
            v6: matches!(kind, GsoKind::TcpV6),
            tags: Vec::new(),
            ip_options: 0,
            tcp_options: 0,
            flags: ALL_FLAGS,
            sequence_number: 0xffff_ff00,
            ident: 0xfffe,
            payload_len,
            size,
        }
    }

    fn ip_headers(&self) -> IpHeaders {
        if self.v6 {
            let options = Ipv6RawExtHeader::new_raw(IpNumber::TCP, &[0; 14]).unwrap();
            let extensions = Ipv6Extensions {
                destination_options: (self.ip_options > 0).then_some(options),
                ..Default::default()
            };
            let header = Ipv6Header { source: [1; 16], destination: [2; 16], ..Default::default() };
            return IpHeaders::Ipv6(header, extensions);
        }
        let mut header =
            Ipv4Header::new(0, 64, IpNumber::TCP, [192, 0, 2, 1], [192, 0, 2, 2]).unwrap();
        header.identification = self.ident;
        header.options = Ipv4Options::try_from(&[1; 40][..self.ip_options * 4]).unwrap();
        IpHeaders::Ipv4(header, Ipv4Extensions::default())
    }

    fn build(&self) -> Super {
        self.build_with(self.ip_headers())
    }

    fn build_with(&self, ip: IpHeaders) -> Super {
        let payload: Vec<u8> = (0..self.payload_len).map(|i| (i * 7 + i / 256) as u8).collect();
        let builder = PacketBuilder::ethernet2([2; 6], [4; 6]).ip(ip);
        let mut frame = Vec::new();
        let offset = if self.kind == GsoKind::UdpL4 {
            builder.udp(4000, 4001).write(&mut frame, &payload).unwrap();
            l4::UDP_CHECKSUM
        } else {
            let mut tcp = TcpHeader::new(4000, 4001, self.sequence_number, 512);
            tcp.set_options_raw(&[1; 40][..self.tcp_options * 4]).unwrap();
            [tcp.fin, tcp.syn, tcp.rst, tcp.psh, tcp.ack, tcp.urg, tcp.ece, tcp.cwr] =
                core::array::from_fn(|bit| self.flags >> bit & 1 != 0);
            builder.tcp_header(tcp).write(&mut frame, &payload).unwrap();
            l4::TCP_CHECKSUM
        };
        for (i, tag) in self.tags.iter().enumerate() {
            let at = 12 + 4 * i;
            frame.splice(at..at, *tag);
        }
        let start = frame.len() - payload.len() - self.l4_len();
        // The sender leaves something here that is no checksum of any segment.
        frame[start + offset..start + offset + 2].copy_from_slice(&[0xbe, 0xef]);
        let offload = Offload {
            checksum: Some(PartialChecksum { start: start as u16, offset: offset as u16 }),
            gso: Some(Gso { kind: self.kind, size: self.size, header_len: 0, ecn: false }),
            checksum_verified: false,
        };
        Super { frame, offload, payload }
    }

    const fn l4_len(&self) -> usize {
        match self.kind {
            GsoKind::UdpL4 => l4::UDP_HEADER_LEN,
            _ => l4::TCP_HEADER_LEN + self.tcp_options * 4,
        }
    }
}

/// Cuts a super-frame up as a driver does.
fn segments(big: &Super) -> Vec<Vec<u8>> {
    let plan = SegmentPlan::new(&big.frame, big.frame.len(), &big.offload).unwrap();
    let head = &big.frame[..plan.header_len()];
    (0..plan.count())
        .map(|index| {
            let payload = &big.frame[plan.payload(index)];
            let mut out = vec![0xee; plan.header_len()];
            plan.write_header(head, &mut out, index, Sum::of(payload)).unwrap();
            out.extend(payload);
            out
        })
        .collect()
}

/// Asserts what must hold of every segment by itself, and returns its L4 header's fields.
fn check_alone(frame: &[u8]) -> (Option<TcpHeader>, Option<u16>, Vec<u8>) {
    let sliced = SlicedPacket::from_ethernet(frame).unwrap();
    let (ident, ip) = match sliced.net.as_ref().unwrap() {
        NetSlice::Ipv4(ip) => {
            let header = ip.header().to_header();
            assert_eq!(header.header_checksum, header.calc_header_checksum());
            assert_eq!(ip.payload().payload.len(), usize::from(header.payload_len().unwrap()));
            (Some(header.identification), IpHeaders::Ipv4(header, Default::default()))
        }
        NetSlice::Ipv6(ip) => (None, IpHeaders::Ipv6(ip.header().to_header(), Default::default())),
        other => panic!("{other:?}"),
    };
    let (l4_len, tcp, payload) = match sliced.transport.as_ref().unwrap() {
        TransportSlice::Tcp(tcp) => {
            let header = tcp.to_header();
            let expected = match &ip {
                IpHeaders::Ipv4(ip, _) => header.calc_checksum_ipv4(ip, tcp.payload()),
                IpHeaders::Ipv6(ip, _) => header.calc_checksum_ipv6(ip, tcp.payload()),
            };
            assert_eq!(header.checksum, expected.unwrap());
            (tcp.slice().len(), Some(header), tcp.payload().to_vec())
        }
        TransportSlice::Udp(udp) => {
            let header = udp.to_header();
            let expected = match &ip {
                IpHeaders::Ipv4(ip, _) => header.calc_checksum_ipv4(ip, udp.payload()),
                IpHeaders::Ipv6(ip, _) => header.calc_checksum_ipv6(ip, udp.payload()),
            };
            assert_eq!(header.checksum, expected.unwrap());
            assert_eq!(usize::from(header.length), udp.slice().len());
            (udp.slice().len(), None, udp.payload().to_vec())
        }
        other => panic!("{other:?}"),
    };
    // Nothing is left over behind the packet.
    assert_eq!(sliced.ip_payload().unwrap().payload.len(), l4_len);
    (tcp, ident, payload)
}

/// Asserts that the segments of a super-frame are right, each alone and all together.
fn check(recipe: &Recipe) {
    let big = recipe.build();
    let segments = segments(&big);
    let size = usize::from(recipe.size);
    assert_eq!(segments.len(), recipe.payload_len.div_ceil(size).max(1));
    let mut payload = Vec::new();
    for (index, frame) in segments.iter().enumerate() {
        let (tcp, ident, part) = check_alone(frame);
        // Addresses and tags as they were.
        let l2_len = 14 + 4 * recipe.tags.len();
        assert_eq!(frame[..l2_len], big.frame[..l2_len]);
        if let Some(ident) = ident {
            assert_eq!(ident, recipe.ident.wrapping_add(index as u16));
        }
        if let Some(tcp) = tcp {
            let expected = recipe.sequence_number.wrapping_add(payload.len() as u32);
            assert_eq!(tcp.sequence_number, expected);
            let (first, last) = (index == 0, index + 1 == segments.len());
            let was = |flag: u8| recipe.flags & flag != 0;
            assert_eq!(tcp.fin, was(tcp_flags::FIN) && last);
            assert_eq!(tcp.psh, was(tcp_flags::PSH) && last);
            assert_eq!(tcp.cwr, was(tcp_flags::CWR) && first);
            assert_eq!(tcp.ack, was(tcp_flags::ACK));
            assert_eq!(tcp.ece, was(tcp_flags::ECE));
            assert_eq!(tcp.options.len(), recipe.tcp_options * 4);
        }
        if index + 1 < segments.len() {
            assert_eq!(part.len(), size);
        }
        payload.extend(part);
    }
    assert_eq!(payload, big.payload);
}

#[test]
fn tcp_of_64_kib_over_both_ip_versions() {
    check(&Recipe::plain(GsoKind::TcpV4, 65_000, 1448));
    check(&Recipe::plain(GsoKind::TcpV6, 65_000, 1428));
}

#[test]
fn udp_over_both_ip_versions() {
    check(&Recipe::plain(GsoKind::UdpL4, 10_000, 1472));
    check(&Recipe { v6: true, ..Recipe::plain(GsoKind::UdpL4, 10_000, 1452) });
}

#[test]
fn one_segment_keeps_all_flags() {
    for payload_len in [0, 1, 1448] {
        check(&Recipe::plain(GsoKind::TcpV4, payload_len, 1448));
    }
}

#[test]
fn single_and_double_tags_are_kept() {
    let (outer, inner) = ([0x88, 0xa8, 0x20, 5], [0x81, 0x00, 0xa0, 42]);
    for kind in [GsoKind::TcpV4, GsoKind::TcpV6] {
        check(&Recipe { tags: vec![inner], ..Recipe::plain(kind, 5000, 1400) });
        check(&Recipe { tags: vec![outer, inner], ..Recipe::plain(kind, 5000, 1400) });
    }
}

#[test]
fn a_checksum_verified_on_arrival_is_as_good_as_an_open_one() {
    let mut big = Recipe::plain(GsoKind::TcpV4, 3000, 1000).build();
    big.offload.checksum = None;
    assert_eq!(plan_error(&big), SegmentError::ChecksumNotPartial);
    big.offload.checksum_verified = true;
    for frame in segments(&big) {
        check_alone(&frame);
    }
}

fn plan_error(big: &Super) -> SegmentError {
    SegmentPlan::new(&big.frame, big.frame.len(), &big.offload).unwrap_err()
}

#[test]
fn frames_that_are_not_what_their_kind_says() {
    let tcp4 = || Recipe::plain(GsoKind::TcpV4, 3000, 1000).build();
    let with = |change: fn(&mut Super)| {
        let mut big = tcp4();
        change(&mut big);
        plan_error(&big)
    };
    assert_eq!(with(|b| b.offload = Offload::NONE), SegmentError::NotSuper);
    assert_eq!(with(|b| b.offload.gso.as_mut().unwrap().size = 0), SegmentError::ZeroSize);
    assert_eq!(
        with(|b| b.offload.gso.as_mut().unwrap().kind = GsoKind::TcpV6).to_string(),
        "the frame is marked for segmentation as TcpV6, but has EtherType 0x0800"
    );
    assert_eq!(
        with(|b| b.offload.gso.as_mut().unwrap().kind = GsoKind::UdpL4).to_string(),
        "the frame is marked for segmentation as UdpL4, but has IP protocol 6"
    );
    assert_eq!(with(|b| b.frame[14] = 0x44), SegmentError::Malformed(GsoKind::TcpV4));
    assert_eq!(with(|b| b.frame[34 + 12] = 0x40), SegmentError::Malformed(GsoKind::TcpV4));
    assert_eq!(with(|b| b.frame[20] = 0x20), SegmentError::Fragment);
    assert_eq!(
        with(|b| b.offload.checksum.as_mut().unwrap().start = 30).to_string(),
        "the frame's open checksum is at 30+16, but that of its L4 header is at 34+16"
    );
    assert_eq!(with(|b| b.frame.truncate(13)), SegmentError::TooShort { need: 14, have: 13 });
    assert_eq!(with(|b| b.frame.truncate(53)), SegmentError::TooShort { need: 54, have: 53 });
    // Three tags are more than are looked behind.
    let tags = vec![[0x81, 0, 0, 1]; 3];
    let big = Recipe { tags, ..Recipe::plain(GsoKind::TcpV4, 3000, 1000) }.build();
    assert!(matches!(plan_error(&big), SegmentError::EtherType { ether_type: 0x8100, .. }));
}

#[test]
fn ipv6_extension_headers_that_forbid_it() {
    let recipe = Recipe::plain(GsoKind::TcpV6, 3000, 1000);
    let IpHeaders::Ipv6(header, mut extensions) = recipe.ip_headers() else { panic!() };
    let offset = IpFragOffset::try_new(0).unwrap();
    extensions.fragment = Some(Ipv6FragmentHeader::new(IpNumber::TCP, offset, true, 1));
    let mut fragment = recipe.build_with(IpHeaders::Ipv6(header.clone(), extensions));
    fragment.offload.checksum = None;
    assert_eq!(plan_error(&fragment), SegmentError::Fragment);

    let routing = Ipv6RawExtHeader::new_raw(IpNumber::TCP, &[0; 6]).unwrap();
    let extensions = Ipv6Extensions {
        routing: Some(etherparse::Ipv6RoutingExtensions {
            routing,
            final_destination_options: None,
        }),
        ..Default::default()
    };
    let routed = recipe.build_with(IpHeaders::Ipv6(header, extensions));
    assert_eq!(plan_error(&routed), SegmentError::ExtensionHeader);
}

#[test]
fn the_number_and_the_length_of_segments_are_bounded() {
    let big = Recipe::plain(GsoKind::TcpV4, SEGMENTS_MAX, 1).build();
    assert_eq!(segments(&big).len(), SEGMENTS_MAX);
    let big = Recipe::plain(GsoKind::TcpV4, SEGMENTS_MAX + 1, 1).build();
    assert_eq!(plan_error(&big), SegmentError::TooManySegments(SEGMENTS_MAX + 1));
    // 20 + 20 octets of headers leave 65,495.
    let mut big = Recipe::plain(GsoKind::TcpV4, 65_495, 65_495).build();
    assert_eq!(segments(&big).len(), 1);
    big.frame.push(0);
    big.offload.gso.as_mut().unwrap().size = 65_496;
    assert_eq!(plan_error(&big), SegmentError::SegmentTooLong(65_496));
}

#[test]
fn write_header_refuses_what_it_cannot_write() {
    let big = Recipe::plain(GsoKind::TcpV4, 3000, 1000).build();
    let plan = SegmentPlan::new(&big.frame, big.frame.len(), &big.offload).unwrap();
    let mut out = [0; 54];
    let mut write = |template: &[u8], len: usize, index| {
        plan.write_header(template, &mut out[..len], index, Sum::ZERO)
    };
    assert_eq!(write(&big.frame, 54, 3), Err(SegmentError::NoSuchSegment { index: 3, count: 3 }));
    let short = Err(SegmentError::TooShort { need: 54, have: 53 });
    assert_eq!(write(&big.frame[..53], 54, 0), short);
    assert_eq!(write(&big.frame, 53, 0), short);
    assert_eq!(write(&big.frame, 54, 2), Ok(()));
    assert!(plan.payload(3).is_empty() && plan.payload(usize::MAX).is_empty());
}

#[test]
fn the_head_alone_is_enough() {
    let big = Recipe::plain(GsoKind::TcpV4, 3000, 1000).build();
    let whole = SegmentPlan::new(&big.frame, big.frame.len(), &big.offload);
    assert_eq!(SegmentPlan::new(&big.frame[..54], big.frame.len(), &big.offload), whole);
    assert!(SegmentPlan::new(&big.frame[..53], big.frame.len(), &big.offload).is_err());
}

fn any_recipe() -> impl Strategy<Value = Recipe> {
    (
        prop_oneof![
            Just((GsoKind::TcpV4, false)),
            Just((GsoKind::TcpV6, true)),
            Just((GsoKind::UdpL4, false)),
            Just((GsoKind::UdpL4, true))
        ],
        proptest::collection::vec(
            (prop_oneof![Just([0x81, 0x00]), Just([0x88, 0xa8])], any::<[u8; 2]>()),
            0..=2,
        ),
        (0..=10usize, 0..=10usize),
        any::<(u8, u32, u16)>(),
        (0..9000usize, 5..3000u16),
    )
        .prop_map(
            |((kind, v6), tags, (ip_options, tcp_options), numbers, (payload_len, size))| {
                let tags = tags.into_iter().map(|([t0, t1], [c0, c1])| [t0, t1, c0, c1]).collect();
                let (flags, sequence_number, ident) = numbers;
                let tcp_options = if kind == GsoKind::UdpL4 { 0 } else { tcp_options };
                Recipe {
                    kind,
                    v6,
                    tags,
                    ip_options,
                    tcp_options,
                    flags,
                    sequence_number,
                    ident,
                    payload_len,
                    size,
                }
            },
        )
}

proptest! {
    #[test]
    fn segments_are_right_alone_and_together(recipe in any_recipe()) {
        check(&recipe);
    }

    #[test]
    fn any_bytes_and_any_offload_never_panic(
        recipe in any_recipe(),
        bends in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..6),
        cut in any::<prop::sample::Index>(),
        (frame_len, verified) in (0..70_000usize, any::<bool>()),
        (size, kind) in (any::<u16>(), 0..4usize),
    ) {
        let Super { mut frame, mut offload, .. } = recipe.build();
        for (at, octet) in bends {
            // Headers, not payload.
            let at = at.index(frame.len().min(100));
            frame[at] = octet;
        }
        frame.truncate(cut.index(frame.len() + 1));
        offload.checksum_verified = verified;
        let gso = offload.gso.as_mut().unwrap();
        if let Some(kind) = [GsoKind::TcpV4, GsoKind::TcpV6, GsoKind::UdpL4].get(kind) {
            (gso.kind, gso.size) = (*kind, size);
        }
        if let Ok(plan) = SegmentPlan::new(&frame, frame_len, &offload) {
            prop_assert!(plan.header_len() <= frame.len());
            prop_assert!((1..=SEGMENTS_MAX).contains(&plan.count()));
            let mut end = plan.header_len();
            for index in 0..plan.count() {
                let payload = plan.payload(index);
                prop_assert_eq!(payload.start, end);
                end = payload.end;
            }
            prop_assert_eq!(end, frame_len);
            let mut out = [0; 20_000];
            let last = plan.count() - 1;
            prop_assert!(plan.write_header(&frame, &mut out, last, Sum::ZERO).is_ok());
        }
    }
}
