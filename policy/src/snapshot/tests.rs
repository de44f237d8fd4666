//! What a dataplane does not believe, and what holds of every snapshot.

use proptest::prelude::*;
use proto::{InterfaceName, MacAddr, ModuleId, PortId, Revision, VethId, VlanId};

use super::*;
use crate::HostIntent;
use crate::acl::{Acl, AclKind};
use crate::compile::{Binding, compile};
use crate::config::{AclBinding, MacAllow, Name};
use crate::ids::StableIds;
use crate::intent::{PortIntent, PortMode, PortRole, UplinkRole, VethernetRole};
use crate::teaming::{Channel, ChannelMode};

fn vlan(id: u16) -> VlanId {
    VlanId::new(id).expect("a legal VLAN")
}

fn mac(last: u8) -> MacAddr {
    MacAddr::new([2, 0, 0, 0, 0, last])
}

fn veth(number: u32) -> InterfaceName {
    InterfaceName::Vethernet(VethId::new(number).expect("a legal number"))
}

fn ethernet(nic: u8) -> InterfaceName {
    InterfaceName::Ethernet { module: ModuleId::FIRST_HOST, nic }
}

fn port(mode: PortMode, role: PortRole) -> PortIntent {
    PortIntent {
        profile: None,
        admin_up: true,
        mode,
        mtu_bytes: 1500,
        acl_in: AclBinding::default(),
        acl_out: AclBinding::default(),
        role,
    }
}

fn vm(mac: MacAddr, allow: &[MacAddr]) -> PortIntent {
    let role = VethernetRole {
        vm: mac.to_string(),
        adapter: "eth0".to_owned(),
        mac,
        mac_allow: MacAllow::List(allow.to_vec()),
        uufb_disabled: false,
        promiscuous: false,
        bpdu_guard: false,
        pinned_nics: Vec::new(),
    };
    port(PortMode::Access(vlan(10)), PortRole::Vethernet(role))
}

fn uplink(nic: u8, channel: Option<ChannelMode>, vlans: &[u16]) -> PortIntent {
    let allowed = vlans.iter().map(|id| vlan(*id)).collect();
    let role =
        UplinkRole { channel: channel.map(|mode| Channel::new(1, mode)), ..UplinkRole::new(nic) };
    port(PortMode::Trunk { native: vlan(1), allowed }, PortRole::Uplink(role))
}

fn intent(ports: impl IntoIterator<Item = (InterfaceName, PortIntent)>) -> HostIntent {
    let vlans = [1, 10, 20].map(|id| (vlan(id), format!("VLAN{id:04}"))).into();
    HostIntent { vlans, ports: ports.into_iter().collect(), ..HostIntent::default() }
}

fn build(intent: &HostIntent) -> Result<Snapshot, Vec<String>> {
    let problems =
        |problems: Vec<crate::Problem>| problems.iter().map(ToString::to_string).collect();
    Snapshot::build(intent, Revision::new(1), &mut StableIds::default()).map_err(problems)
}

/// The intent is refused with one problem that says these words.
fn refused(intent: &HostIntent, words: &str) {
    let problems = build(intent).expect_err("it is wrong");
    assert!(problems.len() == 1 && problems[0].contains(words), "{problems:?} / {words}");
}

#[test]
fn one_address_for_two_vms_in_a_vlan_is_refused_with_both_names() {
    let intent = intent([(veth(1), vm(mac(1), &[])), (veth(2), vm(mac(1), &[]))]);
    refused(&intent, "Vethernet2: 02:00:00:00:00:01 is the address of Vethernet1 in VLAN 10 too");
}

#[test]
fn an_own_address_comes_before_what_a_neighbour_may_use() {
    let intent =
        intent([(veth(1), vm(mac(1), &[mac(2), mac(3)])), (veth(2), vm(mac(2), &[mac(3)]))]);
    let snapshot = build(&intent).expect("it is right");
    let owner = |mac| {
        let slot = snapshot.fib().lookup(vlan(10), mac)?;
        snapshot.port(slot).map(|port| port.name)
    };
    assert_eq!(owner(mac(1)), Some(veth(1)));
    assert_eq!(owner(mac(2)), Some(veth(2)));
    assert_eq!(owner(mac(3)), Some(veth(1)), "the first that may use it");
}

#[test]
fn the_address_of_a_virtual_router_is_in_no_table() {
    let virtual_router = MacAddr::new([0, 0, 0x5e, 0, 1, 7]);
    let snapshot = build(&intent([(veth(1), vm(mac(1), &[virtual_router]))])).expect("it is right");
    assert_eq!(snapshot.fib().lookup(vlan(10), virtual_router), None);
    assert_eq!(snapshot.fib().len(), 1);
}

#[test]
fn loose_uplinks_must_not_share_a_vlan() {
    let two = |channel, first: &[u16], second: &[u16]| {
        intent([
            (ethernet(1), uplink(1, channel, first)),
            (ethernet(2), uplink(2, channel, second)),
        ])
    };
    refused(&two(None, &[10, 20], &[20]), "carries VLAN 20 as Ethernet3/1 does");
    assert!(build(&two(None, &[10], &[20])).is_ok());
    assert!(
        build(&two(Some(ChannelMode::MacPinning { relative: false }), &[10, 20], &[20])).is_ok()
    );
}

#[test]
fn lists_that_are_missing_or_of_another_kind_are_refused() {
    let name: Name = "WEB".parse().expect("a name");
    let mut bound = vm(mac(1), &[]);
    bound.acl_in.ip = Some(name.clone());
    let mut missing = intent([(veth(1), bound)]);
    refused(&missing, "Vethernet1: ip access-list WEB is not defined");
    missing.acls.insert(name, Acl::new(AclKind::Ipv6));
    refused(&missing, "ipv6 access-list WEB is bound as ip");
}

#[test]
fn an_access_list_that_cannot_be_compiled_is_refused() {
    let text = "mac access-list WEB\n10 permit any any";
    let mut lists = crate::lang::parse(text).expect("a configuration").acls;
    lists.values_mut().for_each(|acl| acl.kind = AclKind::Ipv4);
    let wrong = HostIntent { acls: lists, ..intent([]) };
    refused(&wrong, "ip access-list WEB: entry 10 does not belong into a list of kind `ip`");
}

#[test]
fn numbers_names_and_addresses_that_cannot_be_are_refused() {
    let mut small = vm(mac(1), &[]);
    small.mtu_bytes = 100;
    refused(&intent([(veth(1), small)]), "mtu 100 is out of range, expected 576..9216");
    let group = MacAddr::new([1, 0, 0x5e, 0, 0, 1]);
    refused(&intent([(veth(1), vm(group, &[]))]), "cannot be the address of a vNIC");
    refused(&intent([(veth(1), vm(mac(1), &[group]))]), "cannot be a source address to allow");
    refused(&intent([(ethernet(1), vm(mac(1), &[]))]), "does not fit its role");
    refused(&intent([(ethernet(1), uplink(2, None, &[10]))]), "does not fit its role");
}

#[test]
fn a_refused_intent_leaves_the_ids_alone() {
    let mut ids = StableIds::default();
    let good = intent([(veth(1), vm(mac(1), &[]))]);
    Snapshot::build(&good, Revision::new(1), &mut ids).expect("it is right");
    let before = format!("{ids:?}");
    let bad = intent([(veth(2), vm(mac(1), &[])), (veth(3), vm(mac(1), &[]))]);
    Snapshot::build(&bad, Revision::new(2), &mut ids).expect_err("it is wrong");
    assert_eq!(format!("{ids:?}"), before);
}

proptest! {
    /// Whatever configuration passes validation, a snapshot is made of it or refused, and holds
    /// what the module says of every snapshot.
    #[test]
    fn every_snapshot_is_consistent(
        config in crate::arbitrary::config(),
        macs in prop::collection::vec(0u8..20, 0..12),
    ) {
        let module = ModuleId::FIRST_HOST;
        let profiles: Vec<&Name> = config.profiles.keys().collect();
        let bindings: Vec<Binding> = macs
            .iter()
            .zip(1u32..)
            .filter_map(|(last, number)| {
                Some(Binding {
                    veth: VethId::new(number).ok()?,
                    vm: format!("vm{number}"),
                    adapter: "eth0".to_owned(),
                    mac: mac(*last),
                    profile: (*profiles.get(usize::from(*last) % profiles.len().max(1))?).clone(),
                    module,
                })
            })
            .collect();
        let intent = compile(&config, module, &[1, 2], bindings.iter());
        let mut ids = StableIds::default();
        if let Ok(snapshot) = Snapshot::build(&intent, Revision::new(1), &mut ids) {
            consistent(&snapshot, &intent, &ids);
        }
    }
}

/// The invariants of the module, one after another.
fn consistent(snapshot: &Snapshot, intent: &HostIntent, ids: &StableIds) {
    assert_eq!(snapshot.ports().count(), intent.ports.len());
    for port in snapshot.ports() {
        assert_eq!(snapshot.port(port.id).map(|p| p.name), Some(port.name));
        assert_eq!(ids.port(port.name), Some(port.id));
        let lists = [port.acl_in, port.acl_out].map(|a| [a.mac, a.ip, a.ipv6]);
        for index in lists.as_flattened().iter().flatten() {
            assert!(snapshot.acl(*index).is_some());
        }
    }
    let is_up = |id: PortId| snapshot.port(id).is_some_and(|port| port.admin_up);
    for (_, _, port) in snapshot.fib().iter() {
        assert!(is_up(port));
    }
    for id in VlanId::all() {
        let members = snapshot.vlan(id);
        assert!(members.flood.is_sorted() && members.uplinks.is_sorted());
        for port in members.flood.iter().chain(&members.uplinks) {
            let carries = |p: &Port| p.vlan_mode.carries(id);
            assert!(is_up(*port) && snapshot.port(*port).is_some_and(carries));
        }
        assert!(members.promiscuous.iter().chain(&members.uufb).all(|p| members.flood.contains(p)));
    }
}
