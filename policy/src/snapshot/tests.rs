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
use crate::uplinks::Uplinks;

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

/// An uplink in group `number`, changed.
fn member(nic: u8, number: u8, mode: ChannelMode, change: impl Fn(&mut PortIntent)) -> PortIntent {
    let mut port = uplink(nic, None, &[10]);
    port.role = PortRole::Uplink(UplinkRole {
        channel: Some(Channel::new(number, mode)),
        ..UplinkRole::new(nic)
    });
    change(&mut port);
    port
}

fn uplinks(ports: impl IntoIterator<Item = PortIntent>) -> HostIntent {
    intent(ports.into_iter().map(|port| {
        let PortRole::Uplink(role) = &port.role else { panic!("{port:?}") };
        (ethernet(role.nic), port)
    }))
}

fn channel(port: &mut PortIntent, change: impl Fn(&mut Channel)) {
    let PortRole::Uplink(UplinkRole { channel: Some(channel), .. }) = &mut port.role else {
        panic!("{port:?}")
    };
    change(channel);
}

#[test]
fn each_group_is_a_team_of_its_own() {
    let pinning = ChannelMode::MacPinning { relative: false };
    let on =
        |vlan: u16| move |port: &mut PortIntent| port.mode = PortMode::Access(self::vlan(vlan));
    let intent = uplinks([
        member(1, 1, ChannelMode::Active, on(10)),
        member(2, 2, pinning, on(20)),
        member(3, 1, ChannelMode::Active, on(10)),
        member(4, 2, pinning, on(20)),
        uplink(5, None, &[]),
        member(6, 6, ChannelMode::ActiveStandby, on(30)),
    ]);
    let snapshot = build(&intent).expect("it is right");
    let teams = snapshot.ports().map(|port| match &port.role {
        Role::Uplink(uplink) => (uplink.nic, uplink.team),
        Role::Vethernet(_) => panic!("{port:?}"),
    });
    assert_eq!(teams.collect::<Vec<_>>(), [(1, 1), (2, 0), (3, 1), (4, 0), (5, 5), (6, 6)]);
}

#[test]
fn a_group_whose_members_do_not_agree_is_refused() {
    let with = |change: &dyn Fn(&mut PortIntent)| {
        let mode = ChannelMode::Active;
        uplinks([member(1, 1, mode, |_| ()), member(2, 1, mode, change)])
    };
    assert!(build(&with(&|_| ())).is_ok());
    refused(&with(&|port| channel(port, |c| c.mode = ChannelMode::Passive)), "another mode");
    refused(&with(&|port| channel(port, |c| c.min_links = 2)), "another lacp min-links");
    refused(&with(&|port| channel(port, |c| c.max_bundle = 2)), "another lacp max-bundle");
    refused(
        &with(&|port| channel(port, |c| c.suspend_individual = false)),
        "Ethernet3/2: has another lacp suspend-individual than Ethernet3/1",
    );
    refused(&with(&|port| port.mtu_bytes = 9000), "other MTU than Ethernet3/1");
    refused(&with(&|port| port.mode = PortMode::Access(vlan(10))), "other VLANs");
    let down = |port: &mut PortIntent| {
        port.mtu_bytes = 9000;
        port.admin_up = false;
    };
    assert!(build(&with(&down)).is_ok());
    // Priorities, rates and ranks are a member's own.
    let own = |port: &mut PortIntent| {
        channel(port, |c| *c = Channel { lacp_port_priority: 1, rank: 3, ..*c });
    };
    assert!(build(&with(&own)).is_ok());
}

#[test]
fn numbers_of_groups_that_cannot_be_are_refused() {
    let alone = |number, change: &dyn Fn(&mut Channel)| {
        uplinks([member(2, number, ChannelMode::Active, |port| channel(port, change))])
    };
    assert!(build(&alone(1, &|_| ())).is_ok(), "NIC 1 of the group is not on this host");
    refused(&alone(0, &|_| ()), "port-channel 0 cannot have NIC 2 as a member");
    refused(&alone(3, &|_| ()), "port-channel 3 cannot have NIC 2 as a member");
    refused(&alone(2, &|c| c.lacp_port_priority = 0), "lacp port-priority 0");
    refused(&alone(2, &|c| c.max_bundle = 17), "lacp max-bundle 17");
    refused(&alone(2, &|c| c.min_links = 9), "lacp min-links 9 is more than max-bundle 8");
    let mut late = uplink(1, None, &[10]);
    late.role = PortRole::Uplink(UplinkRole { link_up_delay_s: 301, ..UplinkRole::new(1) });
    refused(&uplinks([late]), "link-up delay 301");
    let taken = uplinks([uplink(1, None, &[]), member(2, 1, ChannelMode::Active, |_| ())]);
    refused(&taken, "Ethernet3/1: port-channel 1 has its number, but not it as a member");
    let pinning = ChannelMode::MacPinning { relative: false };
    let apart = uplinks([member(1, 1, pinning, |_| ()), member(2, 2, pinning, |_| ())]);
    refused(&apart, "Ethernet3/2: pins, but is in another group");
    let many = (1..=17).map(|nic| member(nic, 1, ChannelMode::On, |_| ()));
    refused(&uplinks(many), "Ethernet3/17: port-channel 1 has too many members");
    let mut host = intent([]);
    host.teaming.lacp_system_priority = 0;
    refused(&host, "lacp system-priority: 0 is out of range");
    let module = ModuleId::new(4u16).expect("a module");
    let twice = [(ethernet(1), uplink(1, None, &[10])), {
        (InterfaceName::Ethernet { module, nic: 1 }, uplink(1, None, &[20]))
    }];
    refused(&intent(twice), "Ethernet4/1: is NIC 1, as Ethernet3/1 is");
}

#[test]
fn pins_that_cannot_be_are_refused() {
    let pinned = |nics: &[u8]| {
        let mut port = vm(mac(1), &[]);
        if let PortRole::Vethernet(role) = &mut port.role {
            role.pinned_nics = nics.to_vec();
        }
        intent([(veth(1), port)])
    };
    assert!(build(&pinned(&[3, 1, 32])).is_ok());
    refused(&pinned(&[1, 0]), "is pinned to NIC 0, which cannot be");
    refused(&pinned(&[33]), "is pinned to NIC 33");
    refused(&pinned(&[2, 1, 2]), "is pinned to NIC 2 twice");
    refused(&pinned(&[1, 2, 3, 4, 5, 6, 7, 8, 9, 10]), "is pinned to 10 NICs");
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

/// A host of six NICs with three port-profiles, some lines of which are likely not to fit.
fn teaming_text() -> impl Strategy<Value = String> {
    let lines = vec![
        "mtu 9000",
        "shutdown",
        "lacp min-links 2",
        "lacp max-bundle 1",
        "lacp port-priority 7",
        "no lacp suspend-individual",
        "failover order 3 1",
        "switchport trunk allowed vlan 10",
        "switchport trunk allowed vlan 20",
        "channel-group auto mode on",
        "inherit port-profile P0",
    ];
    let some = move |chance| prop::option::weighted(chance, prop::sample::select(lines.clone()));
    let vlans = prop::sample::select(vec!["10", "20", "30", "40"]);
    let profile = (prop::sample::select(ChannelMode::ALL.to_vec()), vlans, some.clone()(0.3));
    let nic = (0..3usize, some(0.15));
    let parts = (prop::collection::vec(profile, 3), prop::collection::vec(nic, 6));
    parts.prop_map(|(profiles, nics)| {
        let mut text = "vlan 10,20,30,40\n".to_owned();
        for (i, (mode, vlans, more)) in profiles.into_iter().enumerate() {
            text += &format!(
                "port-profile type ethernet P{i}\nswitchport mode trunk\nstate enabled\n\
                 channel-group auto mode {mode}\nswitchport trunk allowed vlan {vlans}\n{}\n",
                more.unwrap_or_default()
            );
        }
        for (i, (profile, more)) in nics.into_iter().enumerate() {
            text += &format!(
                "interface eth3/{}\ninherit port-profile P{profile}\n{}\n",
                i + 1,
                more.unwrap_or_default()
            );
        }
        text
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1024))]

    /// The dataplane does not refuse what the supervisor lets pass, whichever NICs are there; and
    /// both know the same groups.
    #[test]
    fn what_passes_validation_makes_teams(
        text in teaming_text(),
        present in prop::sample::subsequence((1..=6u8).collect::<Vec<_>>(), 0..=6),
    ) {
        let Ok(parsed) = crate::validate::check(&crate::Config::default(), &text) else {
            return Ok(());
        };
        let intent = compile(&parsed.config, ModuleId::FIRST_HOST, &present, [].iter());
        let snapshot = build(&intent);
        prop_assert!(snapshot.is_ok(), "{:?}\n{text}", snapshot.err());
        let Ok(snapshot) = snapshot else { return Ok(()) };
        let uplinks = Uplinks::of(&parsed.config, ModuleId::FIRST_HOST);
        let team = |port: &Port| match &port.role {
            Role::Uplink(uplink) => Some((uplink.nic, uplink.team)),
            Role::Vethernet(_) => None,
        };
        let teams: Vec<(u8, u8)> = snapshot.ports().filter_map(team).collect();
        let of = |nic| uplinks.all().iter().find(|uplink| uplink.nic == nic).expect("it is there");
        for (one, team) in &teams {
            for (other, others) in &teams {
                let grouped = one == other || of(*one).is_grouped_with(of(*other));
                prop_assert_eq!(team == others, grouped, "{} {}\n{}", one, other, text);
            }
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
