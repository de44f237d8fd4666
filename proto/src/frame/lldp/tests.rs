use super::*;
use crate::frame::discovery::Addresses;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;

const SRC: MacAddr = MacAddr::new([0x02, 0, 0, 0, 0, 0x0a]);

/// The LLDPDU that the end-to-end tests send (`tests/src/frames/control.rs`), which tshark decodes
/// without a complaint.
const LAB: [u8; 60] = [
    0x01, 0x80, 0xc2, 0x00, 0x00, 0x0e, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, 0x88,
    0xcc, // header
    0x02, 0x07, 0x04, 0x02, 0x00, 0x00, 0x00, 0x00, 0x0a, // chassis: MAC
    0x04, 0x05, 0x05, b'e', b't', b'h', b'1', // port: interface name
    0x06, 0x02, 0x00, 0x78, // 120 s
    0x0a, 0x08, b'w', b'e', b'f', b't', b'-', b'l', b'a', b'b', // system name
    0x00, 0x00, // end
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0,
];

fn tlv(kind: u8, value: &[u8]) -> Vec<u8> {
    let head = u16::from(kind) << 9 | value.len() as u16;
    [&head.to_be_bytes(), value].concat()
}

fn frame(tlvs: &[Vec<u8>]) -> Vec<u8> {
    let header = [&NEAREST_BRIDGE.octets()[..], &SRC.octets(), &[0x88, 0xcc]].concat();
    [header, tlvs.concat()].concat()
}

/// Chassis MAC, port name and 120 s, and then these.
fn with(optional: &[Vec<u8>]) -> Vec<u8> {
    let mandatory = [
        tlv(1, &[4, 0x02, 0, 0, 0, 0, 0x0a]),
        tlv(2, b"\x05Eth1/1"),
        tlv(3, &120_u16.to_be_bytes()),
    ];
    frame(&[&mandatory[..], optional, &[tlv(0, &[])]].concat())
}

#[test]
fn the_frame_of_the_lab() {
    let lldpdu = parse(&LAB).unwrap();
    assert_eq!(lldpdu.chassis_id.to_string(), "0200.0000.000a");
    assert_eq!((lldpdu.chassis_id.subtype(), lldpdu.port_id.subtype()), (4, 5));
    assert_eq!(lldpdu.port_id.to_string(), "eth1");
    assert_eq!(lldpdu.ttl_s, 120);
    assert_eq!(lldpdu.system_name, Some("weft-lab".into()));
    assert_eq!(lldpdu.to_frame(SRC), LAB);
}

/// What a data centre switch sends: every TLV that is read here, and some that are not.
#[test]
fn a_switch_with_all_its_tlvs() {
    let description = "Cisco Nexus Operating System (NX-OS) Software 9.3(8)\nTAC support";
    let frame = with(&[
        tlv(4, b"uplink of h1"),
        tlv(5, b"leaf-1.example.net"),
        tlv(6, description.as_bytes()),
        tlv(7, &[0, 0x14, 0, 0x04]),
        tlv(8, &[5, 1, 192, 0, 2, 1, 2, 0x05, 0, 0, 0, 0]),
        tlv(8, &[17, 2, 0x20, 1, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 0, 0, 0, 1, 0]),
        tlv(8, &[5, 1, 192, 0, 2, 2, 2, 0x05, 0, 0, 0, 0]),
        tlv(8, &[7, 6, 0, 0x1b, 0x54, 0, 0, 1, 2, 0, 0, 0, 1, 0]),
        tlv(127, &[0x00, 0x80, 0xc2, 1, 0x00, 0x0a]),
        tlv(127, &[0x00, 0x12, 0x0f, 1, 3, 0x6c, 0x11, 0x00, 0x10]),
        tlv(127, &[0x00, 0x12, 0x0f, 4, 0x24, 0x00]),
        tlv(127, &[0x00, 0x01, 0x42, 1, 1]),
        tlv(126, b"reserved"),
    ]);
    let lldpdu = parse(&frame).unwrap();
    assert_eq!(lldpdu.port_description, Some("uplink of h1".into()));
    assert_eq!(lldpdu.system_name, Some("leaf-1.example.net".into()));
    let shown = lldpdu.system_description.unwrap().to_string();
    assert_eq!(shown, "Cisco Nexus Operating System (NX-OS) Software 9.3(8) TAC support");
    let Capabilities { supported, enabled } = lldpdu.capabilities.unwrap();
    assert_eq!(supported.names().collect::<Vec<_>>(), ["bridge", "router"]);
    assert_eq!(enabled.names().collect::<Vec<_>>(), ["bridge"]);
    assert_eq!(enabled, CapabilitySet::BRIDGE);
    assert_eq!(lldpdu.management.v4, Some([192, 0, 2, 1].into()));
    assert_eq!(lldpdu.management.v6, Some("2001:db8::1".parse().unwrap()));
    assert_eq!(lldpdu.port_vlan, VlanId::new(10_u16).ok());
    assert_eq!(lldpdu.frame_len_max, Some(9216));
    assert_eq!(lldpdu.tlvs_discarded, 0);
}

#[test]
fn a_frame_behind_a_tag() {
    let mut tagged = LAB.to_vec();
    tagged.splice(12..12, [0x81, 0x00, 0xe0, 0x0a]);
    assert_eq!(parse(&tagged), parse(&LAB));
    assert_eq!(parse(&tagged[..15]), Err(LldpError::ShortFrame));
}

fn check_chassis(subtype: u8, value: &[u8], expected: &str) {
    assert_eq!(ChassisId::new(subtype, value).unwrap().to_string(), expected);
}

fn check_port(subtype: u8, value: &[u8], expected: &str) {
    assert_eq!(PortId::new(subtype, value).unwrap().to_string(), expected);
}

#[test]
fn identifiers_are_shown_as_people_expect() {
    let mac = [0x00, 0x1b, 0x54, 0xc2, 0x00, 0x01];
    check_chassis(1, b"FDO12345678", "FDO12345678");
    check_chassis(4, &mac, "001b.54c2.0001");
    check_chassis(4, &mac[..5], "00:1b:54:c2:00");
    check_chassis(5, &[1, 192, 0, 2, 1], "192.0.2.1");
    check_chassis(5, &[2, 0xfe, 0x80, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1], "fe80::1");
    check_chassis(5, &[2, 192, 0, 2, 1], "02:c0:00:02:01");
    check_chassis(6, b"mgmt0", "mgmt0");
    check_chassis(
        7,
        b"8d7f5b2a-0000-4000-8000-000000000001\0",
        "8d7f5b2a-0000-4000-8000-000000000001",
    );
    check_chassis(7, &mac, "00:1b:54:c2:00:01");
    check_chassis(200, b"x", "x");
    check_port(3, &mac, "001b.54c2.0001");
    check_port(4, &[1, 192, 0, 2, 1], "192.0.2.1");
    check_port(5, b"Ethernet1/1", "Ethernet1/1");
    check_port(6, &[1, 2], "01:02");
    check_port(7, b"ge-0/0/1.0", "ge-0/0/1.0");
}

#[test]
fn identifiers_have_a_value_and_a_bound() {
    let error = LldpError::IdLength { what: "chassis ID", len: 1 };
    assert_eq!(ChassisId::local(""), Err(error));
    assert_eq!(error.to_string(), "the chassis ID has 1 octets with its subtype, expected 2..256");
    assert!(ChassisId::local(&"x".repeat(255)).is_ok());
    let error = LldpError::IdLength { what: "port ID", len: 257 };
    assert_eq!(PortId::interface_name(&"x".repeat(256)), Err(error));
    assert_eq!(
        ChassisId::mac(&[0, 1, 2, 3, 4, 5]),
        ChassisId::new(4, &[0, 1, 2, 3, 4, 5]).unwrap()
    );
}

fn check_error(tlvs: &[Vec<u8>], expected: LldpError) {
    assert_eq!(parse(&frame(tlvs)), Err(expected), "{expected}");
}

#[test]
fn mandatory_tlvs_stand_first_in_order_and_once() {
    let chassis = || tlv(1, &[4, 0x02, 0, 0, 0, 0, 0x0a]);
    let port = || tlv(2, b"\x05Eth1/1");
    let ttl = || tlv(3, &[0, 120]);
    let misplaced = |place, expected, found| LldpError::Misplaced { place, expected, found };
    check_error(&[], misplaced(1, "chassis ID", 0));
    check_error(&[port(), chassis(), ttl()], misplaced(1, "chassis ID", 2));
    check_error(&[chassis(), ttl(), port()], misplaced(2, "port ID", 3));
    check_error(&[chassis(), port(), tlv(0, &[])], misplaced(3, "time to live", 0));
    check_error(&[chassis(), port(), tlv(5, b"sw")], misplaced(3, "time to live", 5));
    check_error(&[chassis(), port(), ttl(), chassis()], LldpError::Repeated("chassis ID"));
    check_error(&[chassis(), port(), ttl(), tlv(5, b"sw"), port()], LldpError::Repeated("port ID"));
    check_error(&[chassis(), port(), ttl(), ttl()], LldpError::Repeated("time to live"));
    check_error(&[chassis(), port(), tlv(3, &[1])], LldpError::TtlLength(1));
    check_error(&[tlv(1, &[])], LldpError::IdLength { what: "chassis ID", len: 0 });
    check_error(&[tlv(1, &[7])], LldpError::IdLength { what: "chassis ID", len: 1 });
    check_error(&[chassis(), tlv(2, &[7; 257])], LldpError::IdLength { what: "port ID", len: 257 });
}

#[test]
fn frames_that_are_cut_or_not_lldp() {
    assert_eq!(parse(&LAB[..13]), Err(LldpError::ShortFrame));
    let error = LldpError::CutTlv { kind: 5, stated: 8, available: 7 };
    assert_eq!(parse(&LAB[..43]), Err(error));
    assert_eq!(error.to_string(), "TLV of type 5 states 8 octets, but 7 follow it");
    assert_eq!(parse(&LAB[..35]), Err(LldpError::CutHeader));
    let mut other = LAB;
    other[13] = 0x8e;
    assert_eq!(parse(&other), Err(LldpError::NotLldp(0x888e)));
}

#[test]
fn an_lldpdu_may_end_with_the_frame_or_with_its_end_tlv() {
    assert_eq!(parse(&LAB[..44]), parse(&LAB));
    let mut rubbish_behind_the_end = LAB;
    rubbish_behind_the_end[46..].fill(0xff);
    assert_eq!(parse(&rubbish_behind_the_end), parse(&LAB));
}

#[test]
fn a_shutdown_says_nothing_else() {
    let mut frame = with(&[tlv(5, b"leaf-1")]);
    frame[14 + 9 + 9 + 2..][..2].fill(0);
    let lldpdu = parse(&frame).unwrap();
    assert_eq!((lldpdu.ttl_s, lldpdu.system_name), (0, None));
    assert_eq!(lldpdu, Lldpdu::shutdown(lldpdu.chassis_id, lldpdu.port_id));
    let mut more = parse(&LAB).unwrap();
    more.ttl_s = 0;
    let expected = [&LAB[..32], &[0, 0, 0, 0], &[0; 24]].concat();
    assert_eq!(more.to_frame(SRC), expected);
}

#[test]
fn a_time_to_live_may_be_longer_than_it_need_be() {
    let tlvs = [tlv(1, b"\x07h1"), tlv(2, b"\x05eth0"), tlv(3, &[1, 2, 3, 4])];
    assert_eq!(parse(&frame(&tlvs)).unwrap().ttl_s, 0x0102);
}

#[test]
fn optional_tlvs_that_cannot_be_are_passed_over() {
    let wrong = [
        tlv(5, &[b'x'; 256]),
        tlv(7, &[0, 4]),
        tlv(8, &[]),
        tlv(8, &[9, 1, 192, 0, 2, 1]),
        tlv(8, &[4, 1, 192, 0, 2]),
        tlv(127, &[0, 0x80]),
        tlv(127, &[0x00, 0x80, 0xc2, 1, 0x0f, 0xff]),
        tlv(127, &[0x00, 0x80, 0xc2, 1, 0x0a]),
        tlv(127, &[0x00, 0x12, 0x0f, 4, 0x24, 0x00, 0x00]),
    ];
    let good = [tlv(5, b"leaf-1"), tlv(5, b"leaf-2")];
    let frame = with(&[&wrong[..], &good].concat());
    let lldpdu = parse(&frame).unwrap();
    assert_eq!(usize::from(lldpdu.tlvs_discarded), wrong.len() + 1);
    assert_eq!(lldpdu.system_name, Some("leaf-1".into()));
    assert_eq!((lldpdu.management, lldpdu.port_vlan), (Addresses::default(), None));
}

#[test]
fn a_port_vlan_of_0_is_none() {
    let frame = with(&[tlv(127, &[0x00, 0x80, 0xc2, 1, 0, 0])]);
    let lldpdu = parse(&frame).unwrap();
    assert_eq!((lldpdu.port_vlan, lldpdu.tlvs_discarded), (None, 0));
}

/// What this host says of itself, octet by octet.
#[test]
fn the_announcement_of_a_host() {
    let uuid = "8d7f5b2a-0000-4000-8000-000000000001";
    let chassis_id = ChassisId::local(uuid).unwrap();
    let mut lldpdu = Lldpdu::shutdown(chassis_id, PortId::interface_name("eth1").unwrap());
    lldpdu.ttl_s = 121;
    lldpdu.port_description = Some("Ethernet3/1".into());
    lldpdu.system_name = Some("h1".into());
    lldpdu.system_description = Some("Weft 0.1.0".into());
    let bridge = CapabilitySet::BRIDGE;
    lldpdu.capabilities = Some(Capabilities { supported: bridge, enabled: bridge });
    let expected = frame(&[
        tlv(1, &[&[7], uuid.as_bytes()].concat()),
        tlv(2, b"\x05eth1"),
        tlv(3, &[0, 121]),
        tlv(4, b"Ethernet3/1"),
        tlv(5, b"h1"),
        tlv(6, b"Weft 0.1.0"),
        tlv(7, &[0, 4, 0, 4]),
        tlv(0, &[]),
    ]);
    let frame = lldpdu.to_frame(SRC);
    assert_eq!(frame, expected);
    assert_eq!(parse(&frame), Ok(lldpdu));
}

#[test]
fn texts_are_cut_before_a_character() {
    let mut lldpdu = parse(&LAB).unwrap();
    let [fits, ascii] = [255, 256].map(|len| "x".repeat(len));
    let [umlauts, crabs] = ["ü", "🦀"].map(|c| c.repeat(128));
    for (name, expected) in [(&fits, 255), (&ascii, 255), (&umlauts, 254), (&crabs, 252)] {
        lldpdu.system_name = Some(name.as_str().into());
        let frame = lldpdu.to_frame(SRC);
        let read = parse(&frame).unwrap().system_name.unwrap();
        assert_eq!(read.octets(), &name.as_bytes()[..expected], "{name}");
    }
    // No UTF-8 at all: cut where the bound is.
    lldpdu.system_name = Some(Text::new(&[0x80; 300]));
    assert_eq!(parse(&lldpdu.to_frame(SRC)).unwrap().system_name, Some(Text::new(&[0x80; 255])));
}

/// Owned parts of an LLDPDU.
#[derive(Debug, Clone)]
struct Parts {
    chassis: (u8, Vec<u8>),
    port: (u8, Vec<u8>),
    ttl_s: u16,
    texts: [Option<Vec<u8>>; 3],
    capabilities: Option<(u16, u16)>,
    management: (Option<u32>, Option<u128>),
    port_vlan: Option<u16>,
    frame_len_max: Option<u16>,
}

impl Parts {
    fn lldpdu(&self) -> Lldpdu<'_> {
        let [description, name, system] = &self.texts;
        Lldpdu {
            chassis_id: ChassisId::new(self.chassis.0, &self.chassis.1).unwrap(),
            port_id: PortId::new(self.port.0, &self.port.1).unwrap(),
            ttl_s: self.ttl_s,
            port_description: description.as_deref().map(Text::new),
            system_name: name.as_deref().map(Text::new),
            system_description: system.as_deref().map(Text::new),
            capabilities: self.capabilities.map(|(supported, enabled)| Capabilities {
                supported: CapabilitySet::new(supported),
                enabled: CapabilitySet::new(enabled),
            }),
            management: Addresses {
                v4: self.management.0.map(Into::into),
                v6: self.management.1.map(Into::into),
            },
            port_vlan: self.port_vlan.and_then(|vlan| VlanId::new(vlan).ok()),
            frame_len_max: self.frame_len_max,
            tlvs_discarded: 0,
        }
    }
}

fn parts() -> impl Strategy<Value = Parts> {
    let id = || (any::<u8>(), vec(any::<u8>(), 1..=255));
    let text = || option::of(vec(any::<u8>(), 0..=255));
    (
        (id(), id(), 1_u16.., [text(), text(), text()]),
        option::of(any::<(u16, u16)>()),
        (option::of(1_u32..), option::of(1_u128..)),
        option::of(1..=4094_u16),
        option::of(any::<u16>()),
    )
        .prop_map(|(mandatory, capabilities, management, port_vlan, frame_len_max)| {
            let (chassis, port, ttl_s, texts) = mandatory;
            Parts {
                chassis,
                port,
                ttl_s,
                texts,
                capabilities,
                management,
                port_vlan,
                frame_len_max,
            }
        })
}

/// Reads and shows everything, so that nothing of it can panic.
fn show(frame: &[u8]) {
    if let Ok(lldpdu) = parse(frame) {
        let texts = [lldpdu.port_description, lldpdu.system_name, lldpdu.system_description];
        let shown = format!("{} {} {lldpdu:?}", lldpdu.chassis_id, lldpdu.port_id);
        assert!(!shown.contains(char::is_control));
        for text in texts.into_iter().flatten() {
            assert!(text.to_string().chars().count() <= TEXT_LEN_MAX);
        }
        assert!(!lldpdu.chassis_id.value().is_empty() && !lldpdu.port_id.value().is_empty());
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_back(parts in parts()) {
        let lldpdu = parts.lldpdu();
        let frame = lldpdu.to_frame(SRC);
        prop_assert!((60..=1514).contains(&frame.len()));
        prop_assert_eq!(parse(&frame), Ok(lldpdu));
    }

    #[test]
    fn no_octets_panic(octets: Vec<u8>) {
        show(&octets);
        show(&frame(&[octets]));
    }

    #[test]
    fn no_tlvs_panic(tlvs in vec((0..=127_u8, vec(any::<u8>(), 0..40)), 0..20)) {
        let tlvs: Vec<_> = tlvs.iter().map(|(kind, value)| tlv(*kind, value)).collect();
        show(&frame(&tlvs));
        show(&with(&tlvs));
    }

    #[test]
    fn no_mutation_panics(
        parts in parts(),
        faults in vec((any::<prop::sample::Index>(), any::<u8>()), 1..8),
        cut: prop::sample::Index,
    ) {
        let mut frame = parts.lldpdu().to_frame(SRC);
        for (place, octet) in faults {
            let place = place.index(frame.len());
            frame[place] = octet;
        }
        show(&frame);
        show(&frame[..cut.index(frame.len())]);
    }

    /// A frame cut anywhere is refused, or reads as a part of the whole: never as something else.
    #[test]
    fn a_cut_frame_says_nothing_new(parts in parts(), cut: prop::sample::Index) {
        let frame = parts.lldpdu().to_frame(SRC);
        if let Ok(read) = parse(&frame[..cut.index(frame.len())]) {
            prop_assert_eq!(read.chassis_id, parts.lldpdu().chassis_id);
            prop_assert_eq!(read.port_id, parts.lldpdu().port_id);
            for (read, sent) in [
                (read.port_description, parts.lldpdu().port_description),
                (read.system_name, parts.lldpdu().system_name),
                (read.system_description, parts.lldpdu().system_description),
            ] {
                prop_assert!(read.is_none() || read == sent);
            }
        }
    }
}
