use super::*;
use proptest::prelude::*;

const SRC: MacAddr = MacAddr::new([0x02, 0, 0, 0, 0, 7]);

fn mac(last: u8) -> MacAddr {
    MacAddr::new([0x02, 0x57, 0x46, 0, 0, last])
}

fn actor() -> PortInfo {
    PortInfo {
        system: SystemId { priority: 0x8000, mac: mac(1) },
        key: 0x0102,
        port_priority: 0x0304,
        port: 0x0506,
        state: PortState::new(0x3d),
    }
}

fn lacpdu() -> Lacpdu {
    let partner = PortInfo {
        system: SystemId { priority: 1, mac: mac(2) },
        key: 9,
        port_priority: 255,
        port: 3,
        state: PortState::new(0xc7),
    };
    Lacpdu { actor: actor(), partner, collector_max_delay: 0x1122 }
}

fn infos() -> impl Strategy<Value = PortInfo> {
    let system = (any::<u16>(), any::<[u8; 6]>().prop_map(MacAddr::new))
        .prop_map(|(priority, mac)| SystemId { priority, mac });
    (system, any::<[u16; 3]>(), any::<u8>()).prop_map(
        |(system, [key, port_priority, port], state)| PortInfo {
            system,
            key,
            port_priority,
            port,
            state: PortState::new(state),
        },
    )
}

#[test]
fn an_lacpdu_has_its_fields_where_the_standard_puts_them() {
    let frame = lacpdu().to_frame(SRC);
    let mut expected = vec![0x01, 0x80, 0xc2, 0, 0, 2, 2, 0, 0, 0, 0, 7, 0x88, 0x09, 1, 1];
    expected.extend([1, 20, 0x80, 0, 2, 0x57, 0x46, 0, 0, 1, 1, 2, 3, 4, 5, 6, 0x3d, 0, 0, 0]);
    expected.extend([2, 20, 0, 1, 2, 0x57, 0x46, 0, 0, 2, 0, 9, 0, 255, 0, 3, 0xc7, 0, 0, 0]);
    expected.extend([3, 16, 0x11, 0x22]);
    expected.resize(124, 0);
    assert_eq!(frame.to_vec(), expected);
}

#[test]
fn a_marker_has_its_fields_where_the_standard_puts_them() {
    let marker = Marker {
        kind: MarkerKind::Information,
        requester_port: 0x0102,
        requester_system: mac(1),
        transaction: 0x0304_0506,
    };
    let mut expected = vec![0x01, 0x80, 0xc2, 0, 0, 2, 2, 0, 0, 0, 0, 7, 0x88, 0x09, 2, 1];
    expected.extend([1, 16, 1, 2, 2, 0x57, 0x46, 0, 0, 1, 3, 4, 5, 6]);
    expected.resize(124, 0);
    assert_eq!(marker.to_frame(SRC).to_vec(), expected);
    // The answer differs in the type alone.
    expected[16] = 2;
    assert_eq!(marker.response().to_frame(SRC).to_vec(), expected);
    assert_eq!(parse(&expected), Ok(SlowPdu::Marker(marker.response())));
}

#[test]
fn later_versions_are_read_and_what_they_add_is_not() {
    let mut frame = lacpdu().to_frame(SRC).to_vec();
    frame[15] = 2;
    frame[72..124].fill(0xee);
    frame.extend([0xee; 400]);
    assert_eq!(parse(&frame), Ok(SlowPdu::Lacp(lacpdu())));
    // Without a collector's TLV nothing is known of its delay.
    frame[56] = 9;
    assert_eq!(parse(&frame), Ok(SlowPdu::Lacp(Lacpdu { collector_max_delay: 0, ..lacpdu() })));
}

#[test]
fn every_wrong_field_is_named() {
    let good = lacpdu().to_frame(SRC);
    let spoilt = |at: usize, value: u8| {
        let mut frame = good;
        frame[at] = value;
        parse(&frame).unwrap_err()
    };
    assert_eq!(spoilt(5, 3), SlowError::NotSlow);
    assert_eq!(spoilt(12, 0x81), SlowError::NotSlow);
    assert_eq!(spoilt(14, 0), SlowError::IllegalSubtype(0));
    assert_eq!(spoilt(14, 11), SlowError::IllegalSubtype(11));
    assert_eq!(spoilt(14, 3), SlowError::UnknownSubtype(3));
    assert_eq!(spoilt(14, 10), SlowError::UnknownSubtype(10));
    assert_eq!(spoilt(15, 0), SlowError::Version(0));
    assert_eq!(spoilt(16, 2), SlowError::Tlv { tlv_type: 2, len: 20, expected: 1 });
    assert_eq!(spoilt(37, 19), SlowError::Tlv { tlv_type: 2, len: 19, expected: 2 });
    assert_eq!(spoilt(20, 0x03), SlowError::System(MacAddr::new([3, 0x57, 0x46, 0, 0, 1])));
    for len in [0, 13, 14, 60, 123] {
        assert_eq!(parse(&good[..len]), Err(SlowError::Short(len)));
    }
    let mut marker = good;
    marker[14..18].copy_from_slice(&[2, 1, 3, 16]);
    assert_eq!(parse(&marker), Err(SlowError::Tlv { tlv_type: 3, len: 16, expected: 1 }));
    assert!(spoilt(14, 3).is_unknown() && spoilt(5, 3).is_unknown());
    assert!(!spoilt(14, 11).is_unknown() && !spoilt(16, 2).is_unknown());
}

#[test]
fn a_system_id_is_printed_with_two_digits_an_octet_and_ordered_as_on_the_switch() {
    let id = SystemId { priority: 0x8000, mac: mac(1) };
    assert_eq!(id.to_string(), "8000,02-57-46-00-00-01");
    let low = SystemId { priority: 10, mac: MacAddr::new([0xfe, 0xab, 0, 0, 0, 0xff]) };
    assert_eq!(low.to_string(), "000a,fe-ab-00-00-00-ff");
    assert!(low < id, "the priority goes first");
    assert!(id < SystemId { mac: mac(2), ..id }, "then the address");
}

#[test]
fn state_bits_have_their_places() {
    use PortState as S;
    let bits = [
        S::ACTIVITY,
        S::SHORT_TIMEOUT,
        S::AGGREGATION,
        S::SYNCHRONIZATION,
        S::COLLECTING,
        S::DISTRIBUTING,
        S::DEFAULTED,
        S::EXPIRED,
    ];
    for (bit, state) in bits.into_iter().enumerate() {
        assert_eq!(state.get(), 1 << bit);
        assert_eq!(S::NONE.with(state, true), state);
        assert_eq!(state.with(state, false), S::NONE);
    }
    assert!(S::new(0x3f).has(S::COLLECTING) && !S::new(0x0f).has(S::COLLECTING));
    assert!(!S::new(0x10).has(S::new(0x30)), "all of them have to be set");
    assert_eq!(format!("{:?}", S::new(0x81)), "Activity+Expired");
    assert_eq!(format!("{:?}", S::NONE), "none");
}

#[test]
fn the_same_port_is_told_by_all_but_the_other_state_bits() {
    let here = actor();
    let state = here.state.with(PortState::COLLECTING, false).with(PortState::EXPIRED, true);
    assert!(here.is_same_port(&PortInfo { state, ..here }));
    let state = here.state.with(PortState::AGGREGATION, false);
    let others = [
        PortInfo { state, ..here },
        PortInfo { key: 1, ..here },
        PortInfo { port: 1, ..here },
        PortInfo { port_priority: 1, ..here },
        PortInfo { system: SystemId { priority: 1, ..here.system }, ..here },
        PortInfo { system: SystemId { mac: mac(9), ..here.system }, ..here },
    ];
    for other in others {
        assert!(!here.is_same_port(&other), "{other:?}");
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read(actor in infos(), partner in infos(), collector_max_delay: u16) {
        let pdu = Lacpdu { actor, partner, collector_max_delay };
        let read = parse(&pdu.to_frame(SRC));
        if actor.system.mac.is_valid_source() {
            prop_assert_eq!(read, Ok(SlowPdu::Lacp(pdu)));
        } else {
            prop_assert_eq!(read, Err(SlowError::System(actor.system.mac)));
        }
    }

    #[test]
    fn a_marker_that_is_written_is_read(port: u16, system: [u8; 6], transaction: u32, ask: bool) {
        let marker = Marker {
            kind: if ask { MarkerKind::Information } else { MarkerKind::Response },
            requester_port: port,
            requester_system: MacAddr::new(system),
            transaction,
        };
        prop_assert_eq!(parse(&marker.to_frame(SRC)), Ok(SlowPdu::Marker(marker)));
    }

    /// Arbitrary octets behind a header that leads to the reader of PDUs, and a spoilt PDU: what is
    /// read comes back from what is written of it.
    #[test]
    fn no_octets_make_the_reader_panic(
        bytes in prop::collection::vec(any::<u8>(), 0..200),
        spoilt in prop::collection::vec((14_usize..124, any::<u8>()), 0..6),
        len in 0_usize..=124,
    ) {
        let mut frame = lacpdu().to_frame(SRC);
        for (at, value) in spoilt {
            frame[at] = value;
        }
        let raw = [&frame[..14], &bytes].concat();
        for frame in [&bytes[..], &raw, &frame, &frame[..len]] {
            match parse(frame) {
                Ok(pdu @ SlowPdu::Lacp(l)) => prop_assert_eq!(parse(&l.to_frame(SRC)), Ok(pdu)),
                Ok(pdu @ SlowPdu::Marker(m)) => prop_assert_eq!(parse(&m.to_frame(SRC)), Ok(pdu)),
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}
