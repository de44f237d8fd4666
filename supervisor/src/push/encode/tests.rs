//! Messages against what they have to say, and against what no dataplane should say.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::arbitrary::config_pair;
use policy::compile::{Binding, compile};
use policy::{Config, validate};
use proptest::prelude::*;
use proto::{MacAddr, ModuleId};

use super::*;
use crate::report::{MemberFlag, Report};

/// What a host with two NICs and three vNICs has to know.
fn intent(config: &Config) -> HostIntent {
    let binding = |(n, profile): (u32, &str)| Binding {
        veth: VethId::new(n).unwrap(),
        vm: format!("vm{n}"),
        adapter: "eth0".to_owned(),
        mac: MacAddr::from_u64(0x0200_0000_0000 | u64::from(n)),
        profile: profile.parse().unwrap(),
        module: ModuleId::FIRST_HOST,
    };
    let bindings: Vec<Binding> = [(1, "WEB"), (2, "DB"), (3, "UP")].map(binding).into();
    compile(config, ModuleId::FIRST_HOST, &[1, 2], bindings.iter())
}

fn pushed(push: Push) -> rpc::push::Body {
    let message = message(Term::new(4), Message::Push(Revision::new(9), push));
    assert_eq!(message.term, 4);
    match message.body {
        Some(rpc::to_dataplane::Body::Push(push)) => {
            assert_eq!(push.revision, 9);
            push.body.unwrap()
        }
        other => panic!("expected a push, got {other:?}"),
    }
}

fn full(intent: &HostIntent) -> rpc::HostIntent {
    match pushed(Push::Full(Arc::new(intent.clone()))) {
        rpc::push::Body::Full(intent) => intent,
        other => panic!("expected a whole state, got {other:?}"),
    }
}

/// The objects of one kind by their key, with a difference applied.
fn merged<K: Ord, V>(old: Vec<V>, changed: Vec<V>, removed: &[K], key: impl Fn(&V) -> K) -> Vec<V> {
    let mut all: BTreeMap<K, V> = old.into_iter().map(|v| (key(&v), v)).collect();
    all.retain(|k, _| !removed.contains(k));
    all.extend(changed.into_iter().map(|v| (key(&v), v)));
    all.into_values().collect()
}

fn sorted(mut of: rpc::HostIntent) -> rpc::HostIntent {
    of.vlans.sort_by_key(|v| v.id);
    of.access_lists.sort_by(|a, b| a.name.cmp(&b.name));
    of.ports.sort_by(|a, b| a.name.cmp(&b.name));
    of
}

proptest! {
    #[test]
    fn a_difference_on_the_wire_leads_to_the_new_state((old, new) in config_pair()) {
        let (old, new) = (intent(&old), intent(&new));
        let delta = Box::new(IntentDelta::between(&old, &new));
        let rpc::push::Body::Delta(delta) = pushed(Push::Delta(Revision::new(8), delta)) else {
            panic!("expected a difference");
        };
        prop_assert_eq!(delta.base_revision, 8);
        let held = full(&old);
        let result = rpc::HostIntent {
            vlans: merged(held.vlans, delta.vlans, &delta.removed_vlans, |v| v.id),
            access_lists: merged(
                held.access_lists,
                delta.access_lists,
                &delta.removed_access_lists,
                |a| a.name.clone(),
            ),
            ports: merged(held.ports, delta.ports, &delta.removed_ports, |p| p.name.clone()),
            teaming: delta.teaming.or(held.teaming),
        };
        prop_assert_eq!(sorted(result), sorted(full(&new)));
    }
}

#[test]
fn a_port_says_everything_that_holds_for_it() {
    let text = "vlan 10-12\n\
        ip access-list L\n  10 permit tcp any any eq 80\n  20 remark the rest\n\
        port-profile type vethernet WEB\n  switchport access vlan 10\n  ip port access-group L in\n\
        mac-address allow 0200.0000.00aa\n  switchport promiscuous\n  pinning id 2\n  mtu 9000\n\
        state enabled\n\
        port-profile type ethernet UP\n  switchport mode trunk\n\
        switchport trunk allowed vlan 10,12\n  channel-group auto mode on mac-pinning\n\
        host-traffic\n  state enabled\n\
        interface ethernet3/1\n  inherit port-profile UP\n\
        interface ethernet3/2\n  shutdown\n";
    let config = validate::check(&Config::default(), text).unwrap().config;
    let sent = full(&intent(&config));
    let port = |name: &str| sent.ports.iter().find(|p| p.name == name).unwrap();

    let list = &sent.access_lists[0];
    assert_eq!((list.name.as_str(), list.kind.as_str()), ("L", "ip"));
    assert_eq!(list.entries, ["10 permit tcp any any eq 80", "20 remark the rest"]);
    let web = port("Vethernet1");
    assert_eq!((web.profile.as_str(), web.admin_up, web.mtu_bytes), ("WEB", true, 9000));
    assert_eq!(web.mode, Some(rpc::port::Mode::AccessVlan(10)));
    assert_eq!(web.acl_in.as_ref().map(|acl| acl.ip.as_str()), Some("L"));
    assert!(web.promiscuous && !web.uufb_disabled && !web.bpdu_guard);
    assert_eq!(
        web.role,
        Some(rpc::port::Role::Vethernet(rpc::VethernetRole {
            vm: "vm1".to_owned(),
            adapter: "eth0".to_owned(),
            mac: "02:00:00:00:00:01".to_owned(),
            allowed_macs: vec!["02:00:00:00:00:aa".to_owned()],
            any_mac: false,
            pinned_nics: vec![2],
        }))
    );
    let uplink = port("Ethernet3/1");
    let trunk = rpc::Trunk { native_vlan: 1, allowed_vlans: "10,12".to_owned() };
    assert_eq!(uplink.mode, Some(rpc::port::Mode::Trunk(trunk)));
    assert_eq!(
        uplink.role,
        Some(rpc::port::Role::Uplink(rpc::UplinkRole {
            nic: 1,
            host_traffic: true,
            channel: Some(rpc::Channel {
                number: 1,
                mode: "on mac-pinning".to_owned(),
                lacp_fast: false,
                lacp_port_priority: 32768,
                min_links: 1,
                max_bundle: 8,
                suspend_individual: true,
                rank: 0,
            }),
            link_up_delay_s: 5,
            lldp_transmit: false,
        }))
    );
    assert!(!port("Ethernet3/2").admin_up);
}

fn good_hello() -> rpc::Hello {
    let nic = |number| rpc::Nic { number, ifname: "ens\n1".to_owned(), ..Default::default() };
    rpc::Hello {
        host_uuid: "01234567-89ab-cdef-0123-456789abcdef".to_owned(),
        name: "h1\u{1b}[31m".to_owned(),
        protocol: PROTOCOL_VERSION,
        nics: vec![nic(2), nic(1)],
        ..Default::default()
    }
}

#[test]
fn a_hello_is_taken_without_what_could_hurt_a_terminal() {
    let taken = hello("here".to_owned(), good_hello()).unwrap();
    assert_eq!(taken.name, "h1[31m");
    let nics: Vec<(u8, &str)> = taken.nics.iter().map(|n| (n.number, n.ifname.as_str())).collect();
    assert_eq!(nics, [(1, "ens1"), (2, "ens1")]);
}

#[test]
fn a_hello_that_makes_no_sense_is_refused() {
    let refused = |change: fn(&mut rpc::Hello)| {
        let mut wrong = good_hello();
        change(&mut wrong);
        hello("here".to_owned(), wrong).unwrap_err().to_string()
    };
    assert!(refused(|h| h.protocol = 2).contains("speaks version 2"));
    assert!(refused(|h| h.host_uuid = "h1".to_owned()).contains("`h1` is not a UUID"));
    assert!(refused(|h| h.nics[0].number = 33).contains("NIC number 33"));
    assert!(refused(|h| h.nics[0].number = 1).contains("NIC number 1"));
    assert!(refused(|h| h.attachments.push(rpc::Attachment::default())).contains("vEthernet 0"));
}

fn said(body: rpc::from_dataplane::Body) -> Option<Event> {
    event(SessionId(1), rpc::FromDataplane { body: Some(body) }).unwrap()
}

#[test]
fn counters_that_make_no_sense_are_left_out() {
    let port = |name: &str| rpc::PortCounters { name: name.to_owned(), ..Default::default() };
    let entry = |vlan, mac: &str| rpc::MacEntry {
        vlan,
        mac: mac.to_owned(),
        port: "Vethernet1".to_owned(),
    };
    let rule = |matches| rpc::RuleCounter { matches, ..Default::default() };
    let counters = rpc::Counters {
        ports: vec![port("Vethernet1"), port("what?"), port("Vethernet0")],
        macs: vec![entry(10, "02:00:00:00:00:01"), entry(0, "02:00:00:00:00:01"), entry(1, "x")],
        rules: vec![rule(u64::MAX), rule(1)],
        ..Default::default()
    };
    let Some(Event::Report(_, report)) = said(rpc::from_dataplane::Body::Counters(counters)) else {
        panic!("expected a report");
    };
    assert_eq!((report.ports.len(), report.macs.len()), (1, 1));
    assert_eq!(report.rules.values().copied().collect::<Vec<_>>(), [u64::MAX]);
}

#[test]
fn an_unknown_message_is_left_out_and_a_second_hello_is_not() {
    let unknown = event(SessionId(1), rpc::FromDataplane { body: None }).unwrap();
    assert!(unknown.is_none());
    let body = Some(rpc::from_dataplane::Body::Hello(good_hello()));
    assert!(event(SessionId(1), rpc::FromDataplane { body }).is_err());
}

#[test]
fn a_refusal_is_bounded() {
    let problem = rpc::Problem { path: "p".repeat(10_000), message: "m".to_owned() };
    let rejected = rpc::Rejected { revision: 5, problems: vec![problem; 1000] };
    let Some(Event::Rejected(_, revision, problems)) =
        said(rpc::from_dataplane::Body::Rejected(rejected))
    else {
        panic!("expected a refusal");
    };
    assert_eq!((revision.get(), problems.len()), (5, PROBLEMS_MAX));
    assert_eq!(problems[0].path.len(), TEXT_LEN_MAX);
}

fn reported(counters: rpc::Counters) -> Report {
    match said(rpc::from_dataplane::Body::Counters(counters)) {
        Some(Event::Report(_, report)) => *report,
        other => panic!("expected a report, got {other:?}"),
    }
}

#[test]
fn teaming_is_taken_as_it_is_said() {
    let info = rpc::LacpInfo { system: "02:00:00:00:00:09".to_owned(), key: 7, ..info(0x13d) };
    let lacp = rpc::LacpPort {
        partner: Some(info),
        receive: "CURRENT".to_owned(),
        pdus_received: 4,
        ..Default::default()
    };
    let member = rpc::Member {
        port: "Ethernet3/2".to_owned(),
        flag: "P".to_owned(),
        lacp: Some(lacp),
        ..Default::default()
    };
    let channel = rpc::PortChannel {
        number: 2,
        mode: "active".to_owned(),
        up: true,
        members: vec![member],
        ..Default::default()
    };
    let pin = rpc::Pin {
        port: "Vethernet12".to_owned(),
        uplink: "port-channel2".to_owned(),
        reason: "port-channel".to_owned(),
        moves: 3,
        ..Default::default()
    };
    let neighbor = rpc::Neighbor {
        platform: "An Operating System\r\n\tversion 7\u{202e}".to_owned(),
        ..neighbor("Ethernet3/2", "LLDP")
    };
    let report = reported(rpc::Counters {
        channels: vec![channel],
        pins: vec![pin],
        neighbors: vec![neighbor],
        ..Default::default()
    });
    let uplink = "Ethernet3/2".parse().unwrap();
    let (number, channel, member) = report.membership(uplink).unwrap();
    assert_eq!((number, channel.mode.as_str(), channel.up), (2, "active", true));
    assert_eq!(member.flag, MemberFlag::Bundled);
    let lacp = member.lacp.as_ref().unwrap();
    assert_eq!((lacp.receive.as_str(), lacp.pdus_received), ("CURRENT", 4));
    assert_eq!((lacp.partner.key, lacp.partner.state), (7, 0x3d), "the state is an octet");
    let pin = &report.pins[&"Vethernet12".parse().unwrap()];
    assert_eq!((pin.uplink, pin.preferred), (Some(InterfaceName::PortChannel(2)), None));
    assert_eq!(report.neighbors[0].platform, "An Operating System version 7");
}

fn info(state: u32) -> rpc::LacpInfo {
    rpc::LacpInfo { state, ..Default::default() }
}

fn neighbor(port: &str, protocol: &str) -> rpc::Neighbor {
    rpc::Neighbor { port: port.to_owned(), protocol: protocol.to_owned(), ..Default::default() }
}

#[test]
fn teaming_that_makes_no_sense_is_left_out() {
    let channel = |number| rpc::PortChannel { number, ..Default::default() };
    let member = |port: &str| rpc::Member { port: port.to_owned(), ..Default::default() };
    let pin = |port: &str| rpc::Pin { port: port.to_owned(), ..Default::default() };
    let members = vec![member("Vethernet1"), member(""), member("Ethernet3/1")];
    let report = reported(rpc::Counters {
        channels: vec![
            channel(0),
            channel(33),
            channel(u32::MAX),
            rpc::PortChannel { members, ..channel(1) },
        ],
        pins: vec![
            pin("Ethernet3/1"),
            pin("what?"),
            rpc::Pin { uplink: "Vethernet2".to_owned(), ..pin("Vethernet1") },
        ],
        neighbors: vec![
            neighbor("Ethernet3/1", "EDP"),
            neighbor("Vethernet1", "LLDP"),
            neighbor("Ethernet3/1", "CDP"),
        ],
        ..Default::default()
    });
    assert_eq!(report.channels.keys().collect::<Vec<_>>(), [&1]);
    assert_eq!(report.channels[&1].members.len(), 1);
    let pins: Vec<_> =
        report.pins.iter().map(|(name, pin)| (name.to_string(), pin.uplink)).collect();
    assert_eq!(pins, [("Vethernet1".to_owned(), None)]);
    assert_eq!(report.neighbors.len(), 1);
}

#[test]
fn a_report_is_bounded() {
    let long = "x".repeat(1000);
    let neighbor = rpc::Neighbor {
        platform: "y".repeat(1000),
        capabilities: vec!["z".to_owned(); 100],
        ..neighbor("Ethernet3/1", "LLDP")
    };
    let members = (0..1000).map(|n| rpc::Member {
        port: format!("Ethernet{}/1", 3 + n),
        reason: long.clone(),
        ..Default::default()
    });
    let channel = rpc::PortChannel { number: 1, members: members.collect(), ..Default::default() };
    let drop = |n| rpc::DropCounter { reason: format!("reason-{n}"), frames: 1 };
    let port = |n| rpc::PortCounters {
        name: format!("Vethernet{n}"),
        drops: (0..if n == 1 { 1000 } else { 0 }).map(drop).collect(),
        ..Default::default()
    };
    let report = reported(rpc::Counters {
        ports: (1..10_000).map(port).collect(),
        channels: vec![channel],
        pins: (1..10_000)
            .map(|n| rpc::Pin { port: format!("Vethernet{n}"), ..Default::default() })
            .collect(),
        neighbors: vec![neighbor; 600],
        ..Default::default()
    });
    assert_eq!((report.ports.len(), report.pins.len()), (PortId::COUNT, PortId::COUNT));
    assert_eq!(report.ports.values().next().unwrap().drops.len(), report::DROPS_MAX);
    let members = &report.channels[&1].members;
    assert_eq!(members.len(), NICS_MAX);
    assert!(members.values().all(|member| member.reason.len() == TEXT_LEN_MAX));
    assert_eq!(report.neighbors.len(), report::NEIGHBORS_MAX);
    assert!(report.neighbors.iter().all(|n| n.platform.len() == TEXT_LEN_MAX));
    assert_eq!(report.neighbors[0].capabilities.len(), report::CAPABILITIES_MAX);
}
