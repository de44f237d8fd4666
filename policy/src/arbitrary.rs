//! Random values for property tests, here and in other crates (feature `arbitrary`).
//!
//! Every value is legal by itself: the language can say it. A random [`Config`] need not be
//! valid as a whole: names are drawn from a small pool, so that some references hit and some miss.

use std::collections::BTreeMap;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{SizeRange, select, subsequence};

use proto::{Dscp, EtherType, InterfaceName, IpProto, MacAddr, ModuleId, VethId, VlanId};

use crate::acl::{
    Acl, AclKind, Action, AddressMatch, Entry, IcmpMatch, IpMatch, MacMatch, MacPattern, Match,
    PortMatch, Rule, Sequence, TcpMatch,
};
use crate::config::{
    AclBinding, Config, Interface, MacAllow, Name, Pinning, PortProfile, ProfileKind, Settings,
    SwitchportMode, Vlan, is_printable,
};
use crate::teaming::{Channel, ChannelMode, LacpRate, LoadBalance};
use crate::vlan_set::VlanSet;

/// A VLAN; often one of the first few, so that two of them meet.
pub fn vlan_id() -> impl Strategy<Value = VlanId> {
    prop_oneof![3 => 1..=6u16, 1 => 1..=4094u16]
        .prop_filter_map("a legal VLAN", |n| VlanId::new(n).ok())
}

/// A set of VLANs: sparse, runs, all or none.
pub fn vlan_set() -> impl Strategy<Value = VlanSet> {
    prop_oneof![
        4 => vec(vlan_id(), 0..6).prop_map(|vlans| vlans.into_iter().collect()),
        2 => (vlan_id(), 0..200usize)
            .prop_map(|(first, n)| VlanId::all().skip_while(|v| *v < first).take(n).collect()),
        1 => Just(VlanSet::all()),
    ]
}

/// The name of an object, out of a small pool or any.
pub fn name() -> impl Strategy<Value = Name> {
    let pool =
        select(vec!["WEB", "DB", "UP", "type", "in", "a-b_c.d:e", "9"]).prop_map(str::to_owned);
    prop_oneof![9 => pool, 1 => "[A-Za-z0-9][A-Za-z0-9_.:-]{0,62}"]
        .prop_filter_map("a legal name", |text| text.parse().ok())
}

/// One line of visible text of at most `len_max` characters.
pub fn text(len_max: usize) -> impl Strategy<Value = String> {
    let c = prop_oneof![
        8 => prop::char::range(' ', '~'),
        1 => any::<char>().prop_filter("visible", |c| is_printable(*c)),
    ];
    vec(c, 1..=len_max.min(40))
        .prop_map(|chars| chars.into_iter().collect::<String>().trim_matches(' ').to_owned())
        .prop_filter("not blank", |text| !text.is_empty())
}

/// A MAC address that a frame can come from.
pub fn source_mac() -> impl Strategy<Value = MacAddr> {
    prop_oneof![
        (1..9u64).prop_map(|n| MacAddr::from_u64(0x0200_0000_0000 | n)),
        any::<u64>().prop_map(|n| MacAddr::from_u64(n & !(1 << 40) | 1 << 41)),
    ]
}

fn mac_pattern() -> impl Strategy<Value = MacPattern> {
    let wild = (any::<u64>(), any::<u64>()).prop_map(|(address, wildcard)| MacPattern {
        address: MacAddr::from_u64(address & !wildcard),
        wildcard: MacAddr::from_u64(wildcard),
    });
    prop_oneof![Just(MacPattern::ANY), source_mac().prop_map(MacPattern::host), wild]
}

/// A condition on an address of one family.
pub fn address(kind: AclKind) -> impl Strategy<Value = AddressMatch> {
    let (any_address, bits) = match kind {
        AclKind::Ipv6 => (AddressMatch::ANY_V6, 128),
        _ => (AddressMatch::ANY_V4, 32u32),
    };
    let clear = move |value: u128, wildcard: u128| {
        let wildcard = wildcard & any_address.wildcard;
        AddressMatch { value: value & any_address.wildcard & !wildcard, wildcard }
    };
    let near = prop_oneof![Just(0x0a00_0000u128), Just(0x0a00_0100), any::<u128>()];
    let prefix = (near, 0..=bits)
        .prop_map(move |(value, host)| clear(value, !u128::MAX.checked_shl(host).unwrap_or(0)));
    let wild = (any::<u128>(), any::<u128>()).prop_map(move |(v, w)| clear(v, w));
    prop_oneof![2 => Just(any_address), 4 => prefix, 1 => wild]
}

/// A condition on a port.
pub fn port() -> impl Strategy<Value = PortMatch> {
    let number = || prop_oneof![Just(22u16), Just(80), Just(0), Just(u16::MAX), any::<u16>()];
    prop_oneof![
        number().prop_map(PortMatch::Eq),
        number().prop_map(PortMatch::Neq),
        number().prop_map(|n| PortMatch::Lt(n.max(1))),
        number().prop_map(|n| PortMatch::Gt(n.min(u16::MAX - 1))),
        (number(), number()).prop_map(|(a, b)| PortMatch::Range(a.min(b), a.max(b))),
    ]
}

fn tcp() -> impl Strategy<Value = TcpMatch> {
    prop_oneof![Just(TcpMatch::Established), (1..=u8::MAX).prop_map(TcpMatch::Flags)]
}

fn icmp() -> impl Strategy<Value = IcmpMatch> {
    let icmp_type = prop_oneof![select(vec![0u8, 3, 8, 128, 129]), any::<u8>()];
    (icmp_type, option::of(prop_oneof![0..4u8, any::<u8>()]))
        .prop_map(|(icmp_type, code)| IcmpMatch { icmp_type, code })
}

/// The conditions of a rule of an IPv4 or IPv6 list.
pub fn ip_match(kind: AclKind) -> impl Strategy<Value = IpMatch> {
    let protocols = select(vec![None, Some(6), Some(17), Some(1), Some(58), Some(0), Some(255)]);
    let proto = prop_oneof![4 => protocols, 1 => any::<u8>().prop_map(Some)];
    let icmp_proto = if kind == AclKind::Ipv6 { IpProto::ICMPV6 } else { IpProto::ICMP };
    let ports = (option::of(port()), option::of(port()));
    let others = (option::of(tcp()), option::of(icmp()), option::of(0..64u8), any::<bool>());
    (proto, address(kind), address(kind), ports, others).prop_map(
        move |(proto, src, dst, (src_port, dst_port), (tcp, icmp, dscp, fragments))| {
            let proto = proto.map(IpProto::new);
            let has_ports = proto == Some(IpProto::TCP) || proto == Some(IpProto::UDP);
            let mut matches = IpMatch {
                proto,
                src,
                dst,
                src_port: src_port.filter(|_| has_ports),
                dst_port: dst_port.filter(|_| has_ports),
                tcp: tcp.filter(|_| proto == Some(IpProto::TCP)),
                icmp: icmp.filter(|_| proto == Some(icmp_proto)),
                dscp: dscp.and_then(|n| Dscp::new(n).ok()),
                fragments: false,
            };
            let has_l4 = matches.src_port.is_some()
                || matches.dst_port.is_some()
                || matches.tcp.is_some()
                || matches.icmp.is_some();
            matches.fragments = fragments && !has_l4;
            matches
        },
    )
}

fn mac_match() -> impl Strategy<Value = MacMatch> {
    let ether_type = prop_oneof![select(vec![0x0806u16, 0x8847, 0x0100]), any::<u16>()];
    (mac_pattern(), mac_pattern(), option::of(ether_type), option::of(vlan_id())).prop_map(
        |(src, dst, ether_type, vlan)| MacMatch {
            src,
            dst,
            ether_type: ether_type.map(EtherType::new),
            vlan,
        },
    )
}

/// A rule of a list of this kind.
pub fn rule(kind: AclKind) -> impl Strategy<Value = Rule> {
    let matches = match kind {
        AclKind::Mac => mac_match().prop_map(Match::Mac).boxed(),
        AclKind::Ipv4 | AclKind::Ipv6 => ip_match(kind).prop_map(Match::Ip).boxed(),
    };
    let action = select(vec![Action::Permit, Action::Deny]);
    (action, matches, any::<bool>()).prop_map(|(action, matches, log)| Rule {
        action,
        matches,
        log,
    })
}

/// The number of an entry.
pub fn sequence() -> impl Strategy<Value = Sequence> {
    prop_oneof![6 => (1..20u32).prop_map(|n| n * 10), 1 => 1..Sequence::MAX]
}

/// An entry of a list of this kind.
pub fn entry(kind: AclKind) -> impl Strategy<Value = Entry> {
    prop_oneof![8 => rule(kind).prop_map(Entry::Rule), 1 => text(100).prop_map(Entry::Remark)]
}

/// A kind of access list.
pub fn acl_kind() -> impl Strategy<Value = AclKind> {
    select(AclKind::ALL.to_vec())
}

/// An access list of this kind.
pub fn acl_of(kind: AclKind) -> impl Strategy<Value = Acl> {
    (any::<bool>(), btree_map(sequence(), entry(kind), 0..8))
        .prop_map(move |(statistics, entries)| Acl { kind, statistics, entries })
}

/// An access list.
pub fn acl() -> impl Strategy<Value = Acl> {
    acl_kind().prop_flat_map(acl_of)
}

fn acl_binding() -> impl Strategy<Value = AclBinding> {
    let bound = || option::weighted(0.2, name());
    (bound(), bound(), bound()).prop_map(|(mac, ip, ipv6)| AclBinding { mac, ip, ipv6 })
}

fn mac_allow() -> impl Strategy<Value = MacAllow> {
    let list = vec(source_mac(), 0..4).prop_map(|mut macs| {
        macs.sort_unstable();
        macs.dedup();
        MacAllow::List(macs)
    });
    prop_oneof![Just(MacAllow::Any), list]
}

/// Numbers from `least` up, each once, in any order.
fn nics(least: u8, len: impl Into<SizeRange>) -> impl Strategy<Value = Vec<u8>> {
    let all: Vec<u8> = (least..=InterfaceName::NIC_MAX).collect();
    subsequence(all, len).prop_shuffle()
}

fn pinning() -> impl Strategy<Value = Pinning> {
    let backups = nics(0, 0..=Pinning::BACKUPS_MAX);
    (0..=InterfaceName::NIC_MAX, backups).prop_map(|(id, mut backups)| {
        backups.retain(|backup| *backup != id);
        Pinning { id, backups }
    })
}

/// What is said of an uplink's part in its group.
fn teaming() -> impl Strategy<Value = Settings> {
    let links = || option::weighted(0.2, 1..=Channel::MEMBERS_MAX);
    let flag = || option::weighted(0.2, any::<bool>());
    let lacp = (
        option::weighted(0.2, select(vec![LacpRate::Normal, LacpRate::Fast])),
        option::weighted(0.2, 1..=u16::MAX),
        (links(), links()),
        flag(),
    );
    let others = (
        option::weighted(0.4, select(ChannelMode::ALL.to_vec())),
        option::weighted(0.2, nics(1, 1..5)),
        option::weighted(0.2, 0..=Settings::LINK_UP_DELAY_S_MAX),
        flag(),
        flag(),
    );
    (lacp, others).prop_map(|(lacp, others)| {
        let (lacp_rate, lacp_port_priority, (min, max), lacp_suspend_individual) = lacp;
        let (channel_group, failover_order, link_up_delay_s, lldp_transmit, host_traffic) = others;
        Settings {
            channel_group,
            lacp_rate,
            lacp_port_priority,
            lacp_min_links: min,
            lacp_max_bundle: max,
            lacp_suspend_individual,
            failover_order,
            link_up_delay_s,
            lldp_transmit,
            host_traffic,
            ..Settings::default()
        }
    })
}

/// What is said of a port.
pub fn settings() -> impl Strategy<Value = Settings> {
    let flag = || option::weighted(0.3, any::<bool>());
    let mode = select(vec![SwitchportMode::Access, SwitchportMode::Trunk]);
    let vlans = (option::of(vlan_id()), option::of(vlan_id()), option::of(vlan_set()));
    let general = (
        option::weighted(0.3, text(Settings::DESCRIPTION_LEN_MAX)),
        flag(),
        option::of(mode),
        option::weighted(0.3, Settings::MTU_MIN..=Settings::MTU_MAX),
        (acl_binding(), acl_binding()),
    );
    let vethernet = (
        flag(),
        flag(),
        option::weighted(0.3, mac_allow()),
        flag(),
        option::weighted(0.3, pinning()),
    );
    (general, vlans, vethernet, teaming()).prop_map(|(general, vlans, vethernet, ethernet)| {
        let (description, shutdown, mode, mtu_bytes, (acl_in, acl_out)) = general;
        let (access_vlan, trunk_native_vlan, trunk_allowed_vlans) = vlans;
        let (uufb_disabled, promiscuous, mac_allow, bpdu_guard, pinning) = vethernet;
        Settings {
            description,
            shutdown,
            mode,
            access_vlan,
            trunk_native_vlan,
            trunk_allowed_vlans,
            mtu_bytes,
            acl_in,
            acl_out,
            uufb_disabled,
            promiscuous,
            mac_allow,
            bpdu_guard,
            pinning,
            ..ethernet
        }
    })
}

fn profile() -> impl Strategy<Value = PortProfile> {
    let kind = select(vec![ProfileKind::Vethernet, ProfileKind::Ethernet]);
    let max_ports = option::weighted(0.3, 1..=PortProfile::MAX_PORTS_MAX);
    (kind, option::weighted(0.4, name()), any::<bool>(), max_ports, settings()).prop_map(
        |(kind, inherit, enabled, max_ports, settings)| PortProfile {
            kind,
            inherit,
            enabled,
            max_ports,
            settings,
        },
    )
}

/// The name of an interface that can be configured.
pub fn interface_name() -> impl Strategy<Value = InterfaceName> {
    let ethernet = (3..6u32, 1..=4u8).prop_filter_map("a module", |(module, nic)| {
        Some(InterfaceName::Ethernet { module: ModuleId::new(module).ok()?, nic })
    });
    let vethernet = prop_oneof![1..10u32, 1..=1_048_575u32]
        .prop_filter_map("a vEthernet", |n| VethId::new(n).ok().map(InterfaceName::Vethernet));
    prop_oneof![ethernet, vethernet]
}

fn interface() -> impl Strategy<Value = Interface> {
    (option::of(name()), settings()).prop_map(|(inherit, settings)| Interface { inherit, settings })
}

fn vlan() -> impl Strategy<Value = Vlan> {
    let name = "[!-~é]{1,32}".prop_filter("no comment", |text| !text.starts_with('!'));
    option::of(name).prop_map(|name| Vlan { name })
}

/// A configuration that the language can say.
pub fn config() -> impl Strategy<Value = Config> {
    (
        option::of(name()),
        option::weighted(0.3, 1..=u16::MAX),
        option::weighted(0.3, select(LoadBalance::ALL.to_vec())),
        btree_map(vlan_id(), vlan(), 0..6),
        btree_map(name(), acl(), 0..4),
        btree_map(name(), profile(), 0..5),
        btree_map(interface_name(), interface(), 0..5),
    )
        .prop_map(|(hostname, priority, load_balance, vlans, acls, profiles, interfaces)| {
            Config {
                hostname,
                lacp_system_priority: priority,
                load_balance,
                vlans,
                acls,
                profiles,
                interfaces,
            }
        })
}

/// A configuration and what one edit or several make of it: parts are shared, removed, changed.
pub fn config_pair() -> impl Strategy<Value = (Config, Config)> {
    (config(), config(), any::<u64>()).prop_map(|(a, b, mask)| {
        let mut bits = (0..64).cycle().map(move |bit| mask >> bit & 1 == 1);
        let mut keep = move || bits.next().unwrap_or_default();
        let mixed = Config {
            hostname: if keep() { a.hostname.clone() } else { b.hostname.clone() },
            lacp_system_priority: if keep() { &a } else { &b }.lacp_system_priority,
            load_balance: if keep() { &a } else { &b }.load_balance,
            vlans: mix(&a.vlans, &b.vlans, &mut keep),
            acls: mix(&a.acls, &b.acls, &mut keep),
            profiles: mix(&a.profiles, &b.profiles, &mut keep),
            interfaces: mix(&a.interfaces, &b.interfaces, &mut keep),
        };
        (a, mixed)
    })
}

fn mix<K: Ord + Clone, V: Clone>(
    a: &BTreeMap<K, V>,
    b: &BTreeMap<K, V>,
    keep: &mut impl FnMut() -> bool,
) -> BTreeMap<K, V> {
    let mut mixed = BTreeMap::new();
    for (key, value) in a {
        if keep() {
            mixed.insert(key.clone(), value.clone());
        }
    }
    for (key, value) in b {
        if keep() {
            mixed.insert(key.clone(), value.clone());
        }
    }
    mixed
}
