use proptest::collection::vec;
use proptest::prelude::*;
use proto::frame::lldp::{CapabilitySet, ChassisId, Lldpdu, PortId};
use proto::{MacAddr, VlanId};

use super::*;

const S: u64 = SECOND_NS;
const SRC: MacAddr = MacAddr::new([0x02, 0, 0, 0, 0, 0x0a]);

/// An LLDPDU of a switch's port 7, with the host name that it has today.
fn lldp(switch: &str, name: &str, ttl_s: u16) -> Vec<u8> {
    let chassis_id = ChassisId::local(switch).unwrap();
    let mut lldpdu = Lldpdu::shutdown(chassis_id, PortId::interface_name("Ethernet1/7").unwrap());
    lldpdu.ttl_s = ttl_s;
    lldpdu.system_name = Some(name.into());
    lldpdu.system_description = Some("NX-OS\nand more".into());
    lldpdu.capabilities = Some(proto::frame::lldp::Capabilities {
        supported: CapabilitySet::new(0x14),
        enabled: CapabilitySet::BRIDGE,
    });
    lldpdu.management.v4 = Some([192, 0, 2, 1].into());
    lldpdu.port_vlan = VlanId::new(10_u16).ok();
    lldpdu.frame_len_max = Some(9216);
    lldpdu.to_frame(SRC)
}

/// A CDP advertisement with these fields; `fields` has an even number of octets.
fn cdp(ttl_s: u8, fields: &[u8]) -> Vec<u8> {
    let mut message = [&[2, ttl_s, 0, 0], fields].concat();
    let sum = proto::frame::checksum::Sum::of(&message).complement().to_be_bytes();
    message[2..4].copy_from_slice(&sum);
    let llc = [&[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0], &message[..]].concat();
    let mut frame = vec![0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc, 2, 0, 0, 0, 0, 0x0a];
    frame.extend((llc.len() as u16).to_be_bytes());
    frame.extend(llc);
    frame
}

fn catalyst(ttl_s: u8) -> Vec<u8> {
    let mut fields = Vec::new();
    for (kind, value) in [
        (1_u16, &b"cat.lab1"[..]),
        (2, &[0, 0, 0, 1, 1, 1, 0xcc, 0, 4, 192, 0, 2, 9]),
        (3, b"Gi0/1"),
        (4, &[0, 0, 0, 0x28]),
        (5, b"IOS 15.2"),
        (6, b"WS-C2960X"),
        (10, &[0, 5]),
        (17, &[0, 0, 5, 0xdc]),
    ] {
        fields.extend(kind.to_be_bytes());
        fields.extend((value.len() as u16 + 4).to_be_bytes());
        fields.extend(value);
    }
    if fields.len() % 2 == 1 {
        // An unknown field of five octets.
        fields.extend([0x7f, 0, 0, 5, 0]);
    }
    cdp(ttl_s, &fields)
}

/// What has happened: kind and host name.
fn changes(neighbors: &mut Neighbors) -> Vec<(ChangeKind, String)> {
    let told = neighbors.take_changes();
    told.map(|change| (change.kind, change.neighbor.announcement.system_name)).collect()
}

fn hear(neighbors: &mut Neighbors, now_ns: u64, nic: u8, frame: &[u8]) {
    neighbors.receive(now_ns, nic, frame).unwrap();
}

#[test]
fn what_lldp_says() {
    let mut neighbors = Neighbors::default();
    hear(&mut neighbors, 5 * S, 2, &lldp("FDO1", "leaf-1", 120));
    let known: Vec<_> = neighbors.iter().cloned().collect();
    let announcement = Announcement {
        protocol: Protocol::Lldp,
        chassis_id: "FDO1".into(),
        port_id: "Ethernet1/7".into(),
        system_name: "leaf-1".into(),
        port_description: String::new(),
        platform: "NX-OS and more".into(),
        capabilities: vec!["bridge"],
        management_address: Some([192, 0, 2, 1].into()),
        native_vlan: VlanId::new(10_u16).ok(),
        mtu_bytes: Some(9216),
    };
    let expected = Neighbor { nic: 2, announcement, hold_time_s: 120, heard_ns: 5 * S };
    assert_eq!(known, std::slice::from_ref(&expected));
    let told: Vec<_> = neighbors.take_changes().collect();
    assert_eq!(told, [Change { kind: ChangeKind::New, neighbor: expected }]);
    assert_eq!(Protocol::Lldp.name(), "LLDP");
}

#[test]
fn what_cdp_says() {
    let mut neighbors = Neighbors::default();
    hear(&mut neighbors, 0, 1, &catalyst(180));
    let known: Vec<_> = neighbors.iter().cloned().collect();
    let announcement = Announcement {
        protocol: Protocol::Cdp,
        chassis_id: "cat.lab1".into(),
        port_id: "Gi0/1".into(),
        system_name: "cat.lab1".into(),
        port_description: String::new(),
        platform: "WS-C2960X, IOS 15.2".into(),
        capabilities: vec!["switch", "igmp"],
        management_address: Some([192, 0, 2, 9].into()),
        native_vlan: VlanId::new(5_u16).ok(),
        mtu_bytes: Some(1500),
    };
    assert_eq!(known, [Neighbor { nic: 1, announcement, hold_time_s: 180, heard_ns: 0 }]);
    assert_eq!(Protocol::Cdp.name(), "CDP");
}

#[test]
fn a_neighbour_is_known_until_the_nanosecond_its_time_is_over() {
    let mut neighbors = Neighbors::default();
    assert_eq!(neighbors.next_deadline_ns(), None);
    hear(&mut neighbors, 7, 1, &lldp("a", "a", 120));
    hear(&mut neighbors, 9, 1, &catalyst(60));
    changes(&mut neighbors);
    assert_eq!(neighbors.next_deadline_ns(), Some(9 + 60 * S));
    neighbors.poll(9 + 60 * S - 1);
    assert_eq!(changes(&mut neighbors), []);
    neighbors.poll(9 + 60 * S);
    let expired = ChangeKind::Lost(Loss::Expired);
    assert_eq!(changes(&mut neighbors), [(expired, "cat.lab1".to_owned())]);
    // Heard again: its time begins anew, and nobody is told.
    hear(&mut neighbors, 100 * S, 1, &lldp("a", "a", 30));
    assert_eq!((changes(&mut neighbors), neighbors.next_deadline_ns()), (vec![], Some(130 * S)));
    neighbors.poll(130 * S - 1);
    assert_eq!(neighbors.iter().count(), 1);
    neighbors.poll(130 * S);
    assert_eq!(changes(&mut neighbors), [(expired, "a".to_owned())]);
    assert_eq!((neighbors.iter().count(), neighbors.next_deadline_ns()), (0, None));
}

#[test]
fn one_whose_time_was_over_before_anybody_looked_is_lost_and_new() {
    let mut neighbors = Neighbors::default();
    hear(&mut neighbors, 0, 1, &lldp("a", "before", 10));
    hear(&mut neighbors, 10 * S, 1, &lldp("a", "after", 10));
    let expected = [
        (ChangeKind::New, "before".to_owned()),
        (ChangeKind::Lost(Loss::Expired), "before".to_owned()),
        (ChangeKind::New, "after".to_owned()),
    ];
    assert_eq!(changes(&mut neighbors), expected);
}

#[test]
fn a_neighbour_that_says_something_else_has_changed() {
    let mut neighbors = Neighbors::default();
    hear(&mut neighbors, 0, 1, &lldp("a", "leaf-1", 120));
    hear(&mut neighbors, S, 1, &lldp("a", "leaf-2", 120));
    hear(&mut neighbors, 2 * S, 1, &lldp("a", "leaf-2", 60));
    let expected =
        [(ChangeKind::New, "leaf-1".to_owned()), (ChangeKind::Changed, "leaf-2".to_owned())];
    assert_eq!(changes(&mut neighbors), expected);
    let known = neighbors.iter().next().unwrap();
    assert_eq!((known.hold_time_s, known.heard_ns), (60, 2 * S));
}

#[test]
fn a_shutdown_ends_it_at_once() {
    let mut neighbors = Neighbors::default();
    hear(&mut neighbors, 0, 1, &lldp("a", "a", 120));
    hear(&mut neighbors, 0, 1, &lldp("b", "b", 120));
    hear(&mut neighbors, 0, 1, &catalyst(180));
    hear(&mut neighbors, 0, 2, &lldp("a", "a", 120));
    changes(&mut neighbors);
    // Of one that is not known, nothing.
    hear(&mut neighbors, 1, 1, &lldp("c", "c", 0));
    hear(&mut neighbors, 1, 1, &lldp("a", "", 0));
    hear(&mut neighbors, 1, 1, &catalyst(0));
    let shutdown = ChangeKind::Lost(Loss::Shutdown);
    let expected = [(shutdown, "a".to_owned()), (shutdown, "cat.lab1".to_owned())];
    assert_eq!(changes(&mut neighbors), expected);
    let left: Vec<_> =
        neighbors.iter().map(|n| (n.nic, n.announcement.chassis_id.as_str())).collect();
    assert_eq!(left, [(1, "b"), (2, "a")]);
}

#[test]
fn a_link_takes_its_neighbours_along() {
    let mut neighbors = Neighbors::default();
    for nic in [1, 2] {
        hear(&mut neighbors, 0, nic, &lldp("a", "a", 120));
        hear(&mut neighbors, 0, nic, &catalyst(180));
    }
    changes(&mut neighbors);
    neighbors.link_down(S, 1);
    neighbors.link_down(S, 3);
    let lost = ChangeKind::Lost(Loss::LinkDown);
    assert_eq!(changes(&mut neighbors), [(lost, "a".to_owned()), (lost, "cat.lab1".to_owned())]);
    assert!(neighbors.iter().all(|n| n.nic == 2));
    assert_eq!(neighbors.counters(1).heard, 2);
    neighbors.remove(S, 1);
    assert_eq!(neighbors.counters(1), Counters::default());
    neighbors.remove(S, 2);
    assert_eq!((changes(&mut neighbors).len(), neighbors.iter().count()), (2, 0));
}

#[test]
fn neighbours_are_bounded_and_those_who_were_first_stay() {
    let mut neighbors = Neighbors::default();
    for n in 0..NEIGHBORS_MAX + 5 {
        hear(&mut neighbors, 0, 1, &lldp(&n.to_string(), "x", 120));
    }
    hear(&mut neighbors, 0, 1, &catalyst(180));
    hear(&mut neighbors, 0, 2, &lldp("x", "x", 120));
    assert_eq!(neighbors.counters(1).refused, 5);
    assert_eq!(neighbors.iter().count(), NEIGHBORS_MAX + 2);
    assert_eq!(neighbors.iter().next().unwrap().announcement.chassis_id, "0");
    // Where one has gone, the next one comes in.
    hear(&mut neighbors, S, 1, &lldp("3", "x", 0));
    hear(&mut neighbors, S, 1, &lldp("late", "x", 120));
    assert!(neighbors.iter().any(|n| n.announcement.chassis_id == "late"));
}

#[test]
fn changes_are_told_of_at_a_bounded_rate() {
    let mut neighbors = Neighbors::default();
    let flap = |neighbors: &mut Neighbors, now_ns, count| {
        for n in 0..count {
            hear(neighbors, now_ns, 1, &lldp("a", &n.to_string(), 120));
        }
        changes(neighbors).len()
    };
    assert_eq!(flap(&mut neighbors, 0, 100), 32);
    assert_eq!(neighbors.counters(1).untold, 68);
    assert_eq!(flap(&mut neighbors, S - 1, 100), 0);
    assert_eq!(flap(&mut neighbors, S, 100), 1);
    assert_eq!(flap(&mut neighbors, 3 * S, 100), 2);
    assert_eq!(flap(&mut neighbors, 1000 * S, 100), 32);
    // Others have a budget of their own.
    hear(&mut neighbors, 1000 * S, 2, &lldp("b", "b", 120));
    assert_eq!(changes(&mut neighbors), [(ChangeKind::New, "b".to_owned())]);
}

#[test]
fn what_cannot_be_believed_is_counted_and_said() {
    let mut neighbors = Neighbors::default();
    let error = neighbors.receive(0, 1, &lldp("a", "a", 120)[..22]).unwrap_err();
    assert_eq!(error.to_string(), "LLDP: TLV of type 2 states 12 octets, but 2 follow it");
    let mut advertisement = catalyst(180);
    advertisement[23] = 181;
    let error = neighbors.receive(0, 1, &advertisement).unwrap_err();
    assert!(error.to_string().starts_with("CDP: the checksum"), "{error}");
    let expected = Counters { faulty: 2, ..Counters::default() };
    assert_eq!((neighbors.iter().count(), neighbors.counters(1)), (0, expected));
}

#[test]
fn other_protocols_are_no_matter() {
    let mut neighbors = Neighbors::default();
    let mut vtp = catalyst(180);
    vtp[21] = 0x03;
    let arp = proto::frame::arp::build_rarp(SRC);
    for frame in [&vtp[..], &arp, &[], &[0; 13]] {
        hear(&mut neighbors, 0, 1, frame);
    }
    assert_eq!((neighbors.iter().count(), neighbors.counters(1)), (0, Counters::default()));
}

#[derive(Debug, Clone)]
enum Event {
    Lldp { nic: u8, switch: u8, name: u8, ttl_s: u16 },
    Cdp { nic: u8, ttl_s: u8 },
    LinkDown(u8),
    Rubbish(Vec<u8>),
}

fn event() -> impl Strategy<Value = Event> {
    let ttl_s = prop_oneof![Just(0), 1..50_u16, Just(u16::MAX)];
    prop_oneof![
        8 => (0..3_u8, 0..12_u8, 0..3_u8, ttl_s)
            .prop_map(|(nic, switch, name, ttl_s)| Event::Lldp { nic, switch, name, ttl_s }),
        2 => (0..3_u8, any::<u8>()).prop_map(|(nic, ttl_s)| Event::Cdp { nic, ttl_s }),
        1 => (0..3_u8).prop_map(Event::LinkDown),
        1 => vec(any::<u8>(), 0..60).prop_map(Event::Rubbish),
    ]
}

proptest! {
    /// Whatever is heard: bounds hold, deadlines lie ahead, nobody outlives his time, and who
    /// listens to the changes alone knows what the table knows.
    #[test]
    fn any_events(events in vec((0..20 * S, event()), 0..200)) {
        let mut neighbors = Neighbors::default();
        let (mut now, mut known) = (0, Vec::new());
        for (wait, event) in events {
            now += wait;
            match event {
                Event::Lldp { nic, switch, name, ttl_s } => {
                    let frame = lldp(&switch.to_string(), &name.to_string(), ttl_s);
                    hear(&mut neighbors, now, nic, &frame);
                }
                Event::Cdp { nic, ttl_s } => hear(&mut neighbors, now, nic, &catalyst(ttl_s)),
                Event::LinkDown(nic) => neighbors.link_down(now, nic),
                Event::Rubbish(frame) => {
                    // Whether it is refused or of another protocol does not matter here.
                    neighbors.receive(now, 0, &frame).ok();
                }
            }
            neighbors.poll(now);
            prop_assert!(neighbors.next_deadline_ns().is_none_or(|deadline| deadline > now));
            prop_assert!(neighbors.iter().all(|n| n.heard_ns <= now && n.expires_ns() > now));
            for Change { kind, neighbor } in neighbors.take_changes() {
                let Neighbor { nic, announcement: says, .. } = neighbor;
                let (chassis_id, protocol) = (says.chassis_id.clone(), says.protocol);
                let place = known.iter().position(|(of, known): &(u8, Announcement)| {
                    *of == nic && known.chassis_id == chassis_id && known.protocol == protocol
                });
                match (kind, place) {
                    (ChangeKind::New, None) => known.push((nic, says)),
                    (ChangeKind::Changed, Some(place)) => {
                        prop_assert!(known[place].1 != says);
                        known[place].1 = says;
                    }
                    (ChangeKind::Lost(_), Some(place)) => {
                        prop_assert_eq!(&known.remove(place).1, &says);
                    }
                    (kind, place) => prop_assert!(false, "{kind:?} {place:?}"),
                }
            }
            let untold: u64 = (0..3).map(|nic| neighbors.counters(nic).untold).sum();
            if untold > 0 {
                return Ok(());
            }
            let mut table: Vec<_> =
                neighbors.iter().map(|n| (n.nic, n.announcement.clone())).collect();
            let order = |(nic, says): &(u8, Announcement)| {
                (*nic, says.protocol, says.chassis_id.clone())
            };
            table.sort_by_key(order);
            known.sort_by_key(order);
            prop_assert_eq!(&table, &known);
            for nic in 0..3 {
                for protocol in [Protocol::Lldp, Protocol::Cdp] {
                    let of = |(number, says): &&(u8, Announcement)| {
                        *number == nic && says.protocol == protocol
                    };
                    prop_assert!(table.iter().filter(of).count() <= NEIGHBORS_MAX);
                }
            }
        }
    }
}
