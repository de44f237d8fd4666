use super::*;
use proptest::collection::vec;
use proptest::prelude::*;

/// The advertisement that the end-to-end tests send (`tests/src/frames/control.rs`), which tshark
/// decodes without a complaint.
const LAB: [u8; 60] = [
    0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x00,
    0x18, // header
    0xaa, 0xaa, 0x03, 0x00, 0x00, 0x0c, 0x20, 0x00, // SNAP
    0x02, 0xb4, 0x90, 0x96, // version 2, 180 s, checksum
    0x00, 0x01, 0x00, 0x0c, b'w', b'e', b'f', b't', b'-', b'l', b'a', b'b', // device ID
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

const ADDRESSES: [u8; 14] =
    [0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0, 0];

fn field(kind: u16, value: &[u8]) -> Vec<u8> {
    let len = (value.len() + 4) as u16;
    [&kind.to_be_bytes(), &len.to_be_bytes(), value].concat()
}

/// How the last octet of an odd number of them goes into the sum.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Odd {
    /// RFC 1071.
    Padded,
    /// As a signed number of 16 bits.
    Signed,
    /// As a signed number of 64 bits, folded with the rest: what Cisco's devices send.
    SignedWide,
}

/// The checksum of a message, by the arithmetic of whoever sent it.
fn checksum(message: &[u8], odd: Odd) -> u16 {
    let words = message.chunks_exact(2);
    let last = words.remainder().first().map_or(0, |last| match odd {
        Odd::Padded => i64::from(*last) << 8,
        Odd::Signed => i64::from(i16::from(*last as i8) as u16),
        Odd::SignedWide => i64::from(*last as i8),
    });
    let mut sum = words.map(|w| i64::from(u16::from_be_bytes([w[0], w[1]]))).sum::<i64>() + last;
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn llc(payload: &[u8]) -> Vec<u8> {
    let mut frame = ADDRESSES.to_vec();
    frame[12..].copy_from_slice(&(payload.len() as u16).to_be_bytes());
    frame.extend(payload);
    let padded_len = frame.len().max(60);
    frame.resize(padded_len, 0);
    frame
}

fn frame_as(odd: Odd, version: u8, fields: &[Vec<u8>]) -> Vec<u8> {
    let mut message = [&[version, 180, 0, 0], &fields.concat()[..]].concat();
    let sum = checksum(&message, odd).to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    llc(&[&SNAP_CISCO[..], &[0x20, 0x00], &message].concat())
}

fn frame(fields: &[Vec<u8>]) -> Vec<u8> {
    frame_as(Odd::Padded, 2, fields)
}

#[test]
fn the_frame_of_the_lab() {
    let read = parse(&LAB).unwrap();
    assert_eq!((read.version, read.ttl_s), (2, 180));
    assert_eq!(read.device_id, "weft-lab".into());
    assert_eq!((read.port_id, read.native_vlan), (None, None));
    assert_eq!(frame(&[field(1, b"weft-lab")]), LAB);
}

/// What a Nexus switch sends on a trunk: every field that is read here, and some that are not.
fn nexus() -> Vec<Vec<u8>> {
    let v4 = [1, 1, 0xcc, 0, 4, 192, 0, 2, 1];
    let v6 = [&[2, 8, 0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd, 0, 16, 0xfe, 0x80][..], &[0; 13], &[1]];
    vec![
        field(0x0001, b"leaf-1(FDO12345678)"),
        field(0x0014, b"leaf-1"),
        field(0x0015, &[0x06, 0x08, 0x2b, 0x06, 0x01, 0x04, 0x01, 0x09]),
        field(0x0002, &[&[0, 0, 0, 2][..], &v4, &v6.concat()].concat()),
        field(0x0003, b"Ethernet1/7"),
        field(0x0004, &[0, 0, 0x02, 0x29]),
        field(0x0005, b"Cisco Nexus Operating System (NX-OS) Software, Version 9.3(8)"),
        field(0x0006, b"N9K-C93180YC-EX"),
        field(0x0009, b"lab"),
        field(0x000a, &[0, 10]),
        field(0x000b, &[1]),
        field(0x0011, &[0, 0, 0x24, 0]),
        field(0x0016, &[&[0, 0, 0, 1][..], &[1, 1, 0xcc, 0, 4, 198, 51, 100, 1]].concat()),
    ]
}

fn check_nexus(frame: &[u8]) {
    let read = parse(frame).unwrap();
    assert_eq!(read.device_id, "leaf-1(FDO12345678)".into());
    assert_eq!(read.system_name, Some("leaf-1".into()));
    assert_eq!(read.port_id, Some("Ethernet1/7".into()));
    let names: Vec<_> = read.capabilities.unwrap().names().collect();
    assert_eq!(names, ["router", "switch", "igmp", "stp-dispute"]);
    assert_eq!(read.capabilities, Some(Capabilities::new(0x229)));
    assert_eq!(read.platform, Some("N9K-C93180YC-EX".into()));
    assert!(read.software.unwrap().to_string().ends_with("Version 9.3(8)"));
    assert_eq!(read.native_vlan, VlanId::new(10_u16).ok());
    assert_eq!(read.mtu_bytes, Some(9216));
    assert_eq!(read.addresses.v4, Some([192, 0, 2, 1].into()));
    assert_eq!(read.addresses.v6, Some("fe80::1".parse().unwrap()));
    assert_eq!(read.management.first(), Some([198, 51, 100, 1].into()));
    assert_eq!(read.fields_discarded, 0);
}

#[test]
fn a_switch_with_all_its_fields() {
    check_nexus(&frame(&nexus()));
    check_nexus(&frame_as(Odd::SignedWide, 1, &nexus()));
}

#[test]
fn a_frame_behind_a_tag() {
    let mut tagged = frame(&nexus());
    tagged.splice(12..12, [0x81, 0x00, 0x00, 0x01]);
    check_nexus(&tagged);
    assert_eq!(parse(&tagged[..15]), Err(CdpError::ShortFrame));
}

#[test]
fn an_odd_octet_is_summed_as_cisco_and_as_the_rfc_have_it() {
    for name in [&b"sw\x41"[..], b"sw\x7f", b"sw\x80", b"sw\x81", b"sw\xff"] {
        for odd in [Odd::Padded, Odd::Signed, Odd::SignedWide] {
            let frame = frame_as(odd, 2, &[field(1, name)]);
            assert_eq!(parse(&frame).map(|read| read.device_id), Ok(Text::new(name)), "{odd:?}");
        }
    }
    // The three are different numbers, so each of them was put to the test.
    let message = [2, 180, 0, 0, 0, 1, 0, 7, b's', b'w', 0x81];
    let [padded, signed, wide] =
        [Odd::Padded, Odd::Signed, Odd::SignedWide].map(|odd| checksum(&message, odd));
    assert!(padded != signed && wide == signed + 1, "{padded:04x} {signed:04x} {wide:04x}");
    // The one that Wireshark's dissector asks for.
    assert_eq!(wide, 0x8a4b);
}

#[test]
fn a_wrong_checksum_is_refused() {
    for place in 22..38 {
        for bit in 0..8 {
            let mut wrong = LAB;
            wrong[place] ^= 1 << bit;
            // Of the first octet, the version, another value is its own error.
            let error = parse(&wrong).unwrap_err();
            assert!(
                matches!(error, CdpError::Checksum(_) | CdpError::Version(_)),
                "octet {place}: {error}"
            );
        }
    }
    let mut wrong = LAB;
    wrong[25] = 0;
    let error = parse(&wrong).unwrap_err();
    assert_eq!(error.to_string(), "the checksum 0x9000 is wrong");
}

#[test]
fn what_is_not_cdp_is_told() {
    let mut vtp = LAB;
    vtp[20..22].copy_from_slice(&[0x20, 0x03]);
    assert_eq!(parse(&vtp), Err(CdpError::OtherProtocol(0x2003)));
    let mut other = LAB;
    other[19] = 0x0d;
    assert_eq!(parse(&other), Err(CdpError::NotSnap));
    let mut ether = LAB;
    ether[12..14].copy_from_slice(&[0x08, 0x00]);
    assert_eq!(parse(&ether), Err(CdpError::NotLlc(0x0800)));
    assert_eq!(parse(&LAB[..13]), Err(CdpError::ShortFrame));
    assert_eq!(parse(&LAB[..37]), Err(CdpError::CutFrame { stated: 24, available: 23 }));
    assert_eq!(parse(&llc(&LAB[14..21])), Err(CdpError::ShortFrame));
    assert_eq!(parse(&llc(&LAB[14..25])), Err(CdpError::ShortFrame));
    assert_eq!(parse(&frame_as(Odd::Padded, 3, &[])), Err(CdpError::Version(3)));
    assert_eq!(parse(&frame_as(Odd::Padded, 0, &[])), Err(CdpError::Version(0)));
}

#[test]
fn padding_is_no_field() {
    let mut padded = LAB;
    padded[38..].fill(0xff);
    assert_eq!(parse(&padded), parse(&LAB));
    assert_eq!(parse(&LAB[..38]), parse(&LAB));
}

#[test]
fn a_field_stays_inside_the_message() {
    let id = || field(1, b"sw");
    let check = |tail: &[u8], kind, stated, available| {
        let expected = CdpError::FieldLength { kind, stated, available };
        assert_eq!(parse(&frame(&[id(), tail.to_vec()])), Err(expected));
    };
    check(&[0, 3, 0, 3], 3, 3, 4);
    check(&[0, 3, 0, 0], 3, 0, 4);
    check(&[0, 3, 0, 9, b'E', b't', b'h', b'1'], 3, 9, 8);
    check(&[0, 3, 0], 0, 0, 3);
    // A field may be empty.
    assert_eq!(parse(&frame(&[id(), vec![0, 3, 0, 4]])).unwrap().port_id, Some("".into()));
}

#[test]
fn a_device_has_a_name() {
    assert_eq!(parse(&frame(&[])), Err(CdpError::NoDeviceId));
    assert_eq!(parse(&frame(&[field(3, b"Eth1"), field(1, b"")])), Err(CdpError::NoDeviceId));
}

#[test]
fn of_a_field_that_comes_twice_the_first_counts() {
    let fields = [field(1, b"a"), field(1, b"b"), field(10, &[0, 7]), field(10, &[0, 8])];
    let frame = frame(&fields);
    let read = parse(&frame).unwrap();
    assert_eq!((read.device_id, read.native_vlan), ("a".into(), VlanId::new(7_u16).ok()));
}

#[test]
fn fields_that_cannot_be_are_passed_over() {
    let wrong = [
        field(4, &[1]),
        field(10, &[0]),
        field(10, &[0, 0]),
        field(10, &[0xff, 0xff]),
        field(17, &[1, 2, 3]),
        field(2, &[0, 0, 0]),
        field(2, &[0xff, 0xff, 0xff, 0xff, 1, 1, 0xcc, 0, 4, 192, 0, 2, 1]),
        field(22, &[0, 0, 0, 1, 1, 1, 0xcc, 0, 5, 192, 0, 2, 1]),
    ];
    let frame = frame(&[&[field(1, b"sw")], &wrong[..]].concat());
    let read = parse(&frame).unwrap();
    assert_eq!(usize::from(read.fields_discarded), wrong.len());
    // What stood before the list's end is known.
    assert_eq!(read.addresses.v4, Some([192, 0, 2, 1].into()));
    assert_eq!((read.management, read.native_vlan), (Addresses::default(), None));
}

#[test]
fn addresses_of_other_protocols_are_no_matter() {
    let decnet = [2, 8, 0xaa, 0xaa, 3, 0, 0, 0, 0x60, 0x03, 0, 2, 4, 1];
    let clnp = [1, 1, 0x81, 0, 1, 0x49];
    let v4_as_ether = [2, 8, 0xaa, 0xaa, 3, 0, 0, 0, 0x08, 0x00, 0, 4, 10, 0, 0, 1];
    let v6_too_short = [2, 8, 0xaa, 0xaa, 3, 0, 0, 0, 0x86, 0xdd, 0, 4, 10, 0, 0, 2];
    let list = [&[0, 0, 0, 4], &decnet[..], &clnp, &v6_too_short, &v4_as_ether].concat();
    let frame = frame(&[field(1, b"sw"), field(2, &list)]);
    let read = parse(&frame).unwrap();
    let expected = Addresses { v4: Some([10, 0, 0, 1].into()), v6: None };
    assert_eq!((read.addresses, read.fields_discarded), (expected, 0));
}

/// Reads and shows everything, so that nothing of it can panic.
fn show(frame: &[u8]) {
    if let Ok(read) = parse(frame) {
        assert!(!read.device_id.octets().is_empty());
        let shown = format!("{} {read:?}", read.device_id);
        assert!(!shown.contains(char::is_control));
        for text in [read.port_id, read.software, read.platform, read.system_name] {
            let shown = text.unwrap_or_default().to_string();
            assert!(!shown.contains(char::is_control));
        }
    }
}

proptest! {
    #[test]
    fn no_octets_panic(octets: Vec<u8>) {
        show(&octets);
        show(&llc(&octets));
        show(&frame(&[octets]));
    }

    #[test]
    fn no_fields_panic(fields in vec((0..0x20_u16, vec(any::<u8>(), 0..60)), 0..20)) {
        let fields = fields.iter().map(|(kind, value)| field(*kind, value));
        show(&frame(&[field(1, b"sw")].into_iter().chain(fields).collect::<Vec<_>>()));
    }

    /// Faults in a frame whose checksum is made right again, so that they come to the fields.
    #[test]
    fn no_mutation_panics(
        faults in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut: prop::sample::Index,
    ) {
        let mut fields = nexus().concat();
        for (place, octet) in faults {
            let place = place.index(fields.len());
            fields[place] = octet;
        }
        show(&frame(&[fields.clone()]));
        fields.truncate(cut.index(fields.len()));
        let frame = frame(&[fields]);
        show(&frame);
        show(&frame[..cut.index(frame.len())]);
    }

    #[test]
    fn what_devices_send_is_read(
        id in vec(any::<u8>(), 1..80),
        port in vec(any::<u8>(), 0..80),
        bits: u32,
        vlan in 1..=4094_u16,
        mtu_bytes: u32,
    ) {
        let fields = [
            field(1, &id),
            field(3, &port),
            field(4, &bits.to_be_bytes()),
            field(10, &vlan.to_be_bytes()),
            field(17, &mtu_bytes.to_be_bytes()),
        ];
        for odd in [Odd::Padded, Odd::Signed, Odd::SignedWide] {
            let frame = frame_as(odd, 2, &fields);
            let read = parse(&frame).unwrap();
            prop_assert_eq!(read.device_id.octets(), &id[..]);
            prop_assert_eq!(read.port_id, Some(Text::new(&port)));
            prop_assert_eq!(read.capabilities, Some(Capabilities::new(bits)));
            prop_assert_eq!(read.native_vlan.map(VlanId::get), Some(vlan));
            prop_assert_eq!(read.mtu_bytes, Some(mtu_bytes));
        }
    }
}
