//! Random hosts and frames out of small pools, so that every row of the table is met often.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use policy::acl::{
    Acl, AclKind, Action, AddressMatch, Entry, IpMatch, MacMatch, MacPattern, Match, PortMatch,
    Rule,
};
use policy::config::{AclBinding, MacAllow, Name};
use policy::intent::PortMode;
use policy::teaming::{Channel, ChannelMode, LoadBalance};
use policy::{HostIntent, Snapshot};
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select, subsequence};
use proto::frame::build::FrameBuilder;
use proto::{EtherType, InterfaceName, IpProto, MacAddr, VlanId};

use super::lab::{Lab, access, mac, nic, tci, trunk, vlan, vm};
use super::reference::Host;
use super::reference_team::{candidates, designated};
use crate::core::team::{Group, GroupId, Pin};
use crate::core::{Links, TeamState};

/// The VLANs of everything.
const VLANS: [u16; 4] = [1, 10, 20, 30];
/// The time of all frames; of the grace times in [`vm_port`] one is over then and one is not.
pub(super) const NOW_NS: u64 = 50;

/// A host and what is sent into it.
#[derive(Clone, Debug)]
pub(super) struct Case {
    vms: Vec<Vm>,
    nics: Vec<Nic>,
    designated: Vec<usize>,
    load_balance: LoadBalance,
    teams: Teams,
    pub(super) frames: Vec<Sent>,
    /// Where the frames are split into bursts.
    pub(super) splits: Vec<Index>,
}

#[derive(Clone, Debug)]
struct Vm {
    port: Port,
    promiscuous: bool,
    uufb_disabled: bool,
    bpdu_guard: bool,
    mac_allow: MacAllow,
    leaving: bool,
    pinned_nics: Vec<u8>,
    group: Option<usize>,
    grace_until_ns: u64,
}

/// How the uplinks of a host work together.
#[derive(Clone, Debug)]
enum Teams {
    /// All in this mode, each with VLANs of its own.
    One(ChannelMode, u8),
    /// Those of odd numbers in one mode, with half of the VLANs, and the others in another, with
    /// the rest.
    Two([(ChannelMode, u8); 2]),
}

#[derive(Clone, Debug)]
struct Nic {
    port: Port,
    /// `None`: up, but in no group, as a port-channel's member that does not distribute yet.
    group: Option<usize>,
}

#[derive(Clone, Debug)]
struct Port {
    mode: PortMode,
    admin_up: bool,
    up: bool,
    mtu_bytes: u16,
    acl_in: AclBinding,
    acl_out: AclBinding,
}

/// A frame to be sent.
#[derive(Clone, Debug)]
pub(super) struct Sent {
    /// Among the ports; one beyond them is a port that nobody knows.
    at: Index,
    /// The address of the VM at the port, if there is one.
    own_source: bool,
    pub(super) bytes: Vec<u8>,
    pub(super) segment_bytes: Option<u32>,
}

pub(super) fn case() -> impl Strategy<Value = Case> {
    (
        vec(vm_port(), 1..6),
        vec(nic_port(), 0..6),
        vec(0..3usize, VLANS.len()),
        (select(LoadBalance::ALL.to_vec()), teams()),
        vec(sent(), 1..80),
        vec(any::<Index>(), 0..4),
    )
        .prop_map(|(vms, nics, designated, (load_balance, teams), frames, splits)| Case {
            vms,
            nics,
            designated,
            load_balance,
            teams,
            frames,
            splits,
        })
}

fn teams() -> impl Strategy<Value = Teams> {
    let mode = || (select(ChannelMode::ALL.to_vec()), select(vec![1, 1, 1, 2]));
    prop_oneof![
        mode().prop_map(|(mode, min_links)| Teams::One(mode, min_links)),
        (mode(), mode()).prop_map(|(a, b)| Teams::Two([a, b])),
    ]
}

impl Teams {
    /// The part of NIC `n`, and the VLANs that its team has to itself.
    fn part(&self, n: u8) -> (Channel, Option<PortMode>) {
        let (first, (mode, min_links), vlans) = match self {
            Self::One(mode, min_links) => (1, (*mode, *min_links), None),
            // All that pin are one team.
            Self::Two([(mode @ ChannelMode::MacPinning { .. }, _), (other, _)])
                if !other.is_bundle() && *other != ChannelMode::ActiveStandby =>
            {
                (1, (*mode, 1), None)
            }
            Self::Two(teams) => {
                let team = usize::from(1 - n % 2);
                let vlans = [&VLANS[..2], &VLANS[2..]][team];
                (1 + team as u8, teams[team], Some(trunk(VLANS[2 * team], vlans)))
            }
        };
        // The higher the number, the sooner it is the active one.
        let channel = Channel { min_links, rank: 32 - n, ..Channel::new(first, mode) };
        (channel, vlans)
    }
}

fn mode(trunks: u32) -> impl Strategy<Value = PortMode> {
    let all = VLANS.to_vec();
    prop_oneof![
        4 => select(all.clone()).prop_map(access),
        trunks => (select(all.clone()), subsequence(all, 1..=VLANS.len()))
            .prop_map(|(native, allowed)| trunk(native, &allowed)),
    ]
}

fn port(trunks: u32) -> impl Strategy<Value = Port> {
    let often = || prop::bool::weighted(0.93);
    let mtu = select(vec![1500, 1500, 1500, 576]);
    (mode(trunks), often(), often(), mtu, binding(), binding()).prop_map(
        |(mode, admin_up, up, mtu_bytes, acl_in, acl_out)| Port {
            mode,
            admin_up,
            up,
            mtu_bytes,
            acl_in,
            acl_out,
        },
    )
}

fn binding() -> impl Strategy<Value = AclBinding> {
    let list = |name: &'static str| option::weighted(0.2, Just(name.parse::<Name>().unwrap()));
    (list("MAC"), list("V4"), list("V6")).prop_map(|(mac, ip, ipv6)| AclBinding { mac, ip, ipv6 })
}

fn vm_port() -> impl Strategy<Value = Vm> {
    let seldom = || prop::bool::weighted(0.15);
    let mac_allow = prop_oneof![
        6 => Just(MacAllow::List(Vec::new())),
        1 => Just(MacAllow::List(vec![mac(101), mac(102)])),
        1 => Just(MacAllow::Any),
    ];
    let pin = (option::weighted(0.9, 0..3usize), select(vec![0, 0, 0, NOW_NS, NOW_NS + 1]));
    let nics = subsequence(vec![1, 2, 3, 4, 5, 6], 1..3).prop_shuffle();
    let named = prop_oneof![3 => Just(Vec::new()), 1 => nics];
    (port(3), seldom(), seldom(), any::<bool>(), mac_allow, seldom(), pin, named).prop_map(
        |(port, promiscuous, uufb_disabled, bpdu_guard, mac_allow, leaving, pin, named)| Vm {
            port,
            promiscuous,
            uufb_disabled,
            bpdu_guard,
            mac_allow,
            leaving,
            pinned_nics: named,
            group: pin.0,
            grace_until_ns: pin.1,
        },
    )
}

fn nic_port() -> impl Strategy<Value = Nic> {
    (port(20), option::weighted(0.9, 0..3usize)).prop_map(|(port, group)| Nic { port, group })
}

fn address() -> impl Strategy<Value = MacAddr> {
    prop_oneof![
        10 => (1..7u32).prop_map(mac),
        4 => (100..103u32).prop_map(mac),
        3 => Just(MacAddr::BROADCAST),
        2 => Just(MacAddr::new([0x01, 0, 0x5e, 0, 0, 0xfb])),
        2 => (0..16u8).prop_map(|last| MacAddr::new([0x01, 0x80, 0xc2, 0, 0, last])),
        1 => (0xcc..0xcfu8).prop_map(|last| MacAddr::new([0x01, 0, 0x0c, 0xcc, 0xcc, last])),
        1 => Just(MacAddr::ZERO),
    ]
}

fn tags() -> impl Strategy<Value = Vec<u16>> {
    let known = || (0..8u16, select(VLANS.to_vec())).prop_map(|(pcp, vid)| pcp << 13 | vid);
    let priority = || (0..16u16).prop_map(|bits| bits << 12);
    prop_oneof![
        8 => Just(Vec::new()),
        2 => priority().prop_map(|tci| vec![tci]),
        8 => known().prop_map(|tci| vec![tci]),
        1 => select(vec![0x0fff, 0xefff, 0x0063]).prop_map(|tci| vec![tci]),
        2 => (prop_oneof![known(), priority()], known()).prop_map(|(a, b)| vec![a, b]),
    ]
}

/// What stands behind the tags: EtherType and payload, as a function of the builder.
fn body() -> impl Strategy<Value = Body> {
    prop_oneof![
        6 => (select(vec![53, 80]), select(vec![10, 10, 10, 600, 1471, 1473]))
            .prop_map(|(port, len)| Body::Udp { v6: false, port, len }),
        2 => select(vec![53, 80]).prop_map(|port| Body::Udp { v6: true, port, len: 10 }),
        1 => Just(Body::Tcp),
        2 => select(vec![0x0806, 0x8809, 0x88cc, 0x0800, 0x86dd, 0x88a8]).prop_map(Body::Ether),
        1 => Just(Body::Llc),
        2 => (any::<bool>(), select(vec![6, 17, 60, 44]), 0..24usize)
            .prop_map(|(v6, proto, len)| Body::Cut { v6, proto, len }),
    ]
}

#[derive(Clone, Debug)]
enum Body {
    Udp {
        v6: bool,
        port: u16,
        len: usize,
    },
    Tcp,
    /// An EtherType and a payload that its header cannot be read from.
    Ether(u16),
    /// A BPDU.
    Llc,
    /// An IP packet with so much of what belongs there.
    Cut {
        v6: bool,
        proto: u8,
        len: usize,
    },
}

impl Body {
    fn build(self, builder: FrameBuilder) -> Vec<u8> {
        let at = |v6, last, port| {
            let v6_address = Ipv6Addr::from_bits(0xfd00 << 112 | u128::from(last));
            let v4_address = Ipv4Addr::new(10, 0, 0, last);
            SocketAddr::new(if v6 { IpAddr::V6(v6_address) } else { v4_address.into() }, port)
        };
        match self {
            Self::Udp { v6, port, len } => {
                builder.udp(at(v6, 1, 999), at(v6, 2, port), &vec![0; len])
            }
            Self::Tcp => builder.tcp(at(false, 1, 999), at(false, 2, 80), 2, &[]),
            Self::Cut { v6, proto, len } => {
                // As IPv6 extension headers, a chain of the same without an end.
                let payload: Vec<u8> = [proto, 0, 0, 0, 0, 0, 0, 0].repeat(12);
                let len = if v6 { len * 4 } else { len };
                let (src, dst) = (at(v6, 1, 0).ip(), at(v6, 2, 0).ip());
                builder.ip(src, dst, IpProto::new(proto), &payload[..len])
            }
            Self::Ether(ether_type) => builder.payload(EtherType::new(ether_type), &[0x0f; 40]),
            Self::Llc => builder.payload(EtherType::new(0x26), &[0x42, 0x42, 0x03, 0, 0, 2, 2]),
        }
    }
}

fn sent() -> impl Strategy<Value = Sent> {
    let truncated = option::weighted(0.05, 0..40usize);
    let segment_bytes = option::weighted(0.1, select(vec![500, 1514, 1518, 1519, 9000]));
    let own_source = prop::bool::weighted(0.7);
    let tags = (tags(), prop::bool::weighted(0.1));
    (any::<Index>(), own_source, address(), address(), tags, body(), truncated, segment_bytes)
        .prop_map(|(at, own_source, src, dst, tags, body, truncated, segment_bytes)| {
            let start = FrameBuilder::new(src, dst);
            let tag = |tci| proto::frame::Tag { tci };
            let (tags, is_inner_service) = tags;
            let count = tags.len();
            let builder = (1..).zip(tags).fold(start, |b, (n, tci)| match is_inner_service {
                true if n == count => b.tag_as(EtherType::SERVICE_VLAN, tag(tci)),
                _ => b.tag(tag(tci)),
            });
            let mut bytes = body.build(builder);
            bytes.truncate(truncated.unwrap_or(usize::MAX));
            Sent { at, own_source, bytes, segment_bytes }
        })
}

impl Case {
    fn ports(&self) -> impl Iterator<Item = (InterfaceName, &Port)> {
        let vms = (1..).zip(&self.vms).map(|(n, v)| (vm(n), &v.port));
        vms.chain((1..).zip(&self.nics).map(|(n, nic_port)| (nic(n), &nic_port.port)))
    }

    /// The port that a frame is sent in at, and its bytes.
    pub(super) fn resolve(&self, sent: &Sent) -> (Option<InterfaceName>, Vec<u8>) {
        // Every port twice, so that the unknown one is seldom.
        let count = self.vms.len() + self.nics.len();
        let index = sent.at.index(2 * count + 1);
        let mut bytes = sent.bytes.clone();
        if index == 2 * count {
            return (None, bytes);
        }
        if let (true, Some(src)) = (sent.own_source, bytes.get_mut(6..12)) {
            let n = (index % count) as u32 + 1;
            // At an uplink a far one.
            let own = if n as usize <= self.vms.len() { n } else { 100 };
            src.copy_from_slice(&mac(own).octets());
        }
        (self.ports().nth(index % count).map(|(name, _)| name), bytes)
    }

    pub(super) fn intent(&self) -> HostIntent {
        let mut lab = Lab::default();
        for (n, v) in (1..).zip(&self.vms) {
            lab = lab.vm(n, v.port.mode.clone()).with_vm(n, |role| {
                role.promiscuous = v.promiscuous;
                role.uufb_disabled = v.uufb_disabled;
                role.bpdu_guard = v.bpdu_guard;
                role.mac_allow = v.mac_allow.clone();
                role.pinned_nics = v.pinned_nics.clone();
            });
        }
        for (n, nic_port) in (1..).zip(&self.nics) {
            let (channel, mode) = self.teams.part(n);
            let pins = matches!(channel.mode, ChannelMode::MacPinning { .. });
            // The members of a group agree about what their port is.
            let like = if pins { nic_port } else { &self.nics[usize::from(channel.number) - 1] };
            lab = lab.member(n, mode.unwrap_or_else(|| like.port.mode.clone()), channel);
            lab = set(lab, nic(n), &like.port);
        }
        for (n, v) in (1..).zip(&self.vms) {
            lab = set(lab, vm(n), &v.port);
        }
        for (name, port) in self.ports() {
            lab = lab.with(name, |intent| intent.admin_up = port.admin_up);
        }
        lab.intent.acls = acls();
        lab.load_balance(self.load_balance).intent
    }

    /// The links of a host that has just come up.
    pub(super) fn links(&self, snapshot: &Snapshot) -> Links {
        let id = |name: InterfaceName| snapshot.ports().find(|p| p.name == name).unwrap().id;
        let up = self.ports().filter(|(_, port)| port.up).map(|(name, _)| id(name));
        let leaving = (1..).zip(&self.vms).filter(|(_, v)| v.leaving).map(|(n, _)| id(vm(n)));
        Links { leaving: leaving.collect(), ..up.collect() }
    }

    /// The host as the reference model takes it, with its uplinks teamed as its configuration says.
    /// Where a VM is pinned, which depends on the others, is read from `team`.
    pub(super) fn teamed_host(&self, snapshot: &Snapshot, team: &TeamState) -> Host {
        let arbitrary = self.host(snapshot);
        let candidates = candidates(&arbitrary.intent, &arbitrary.up);
        let up = candidates.iter().filter(|candidate| !candidate.members.is_empty());
        let groups: Vec<Vec<InterfaceName>> = up.map(|c| c.members.clone()).collect();
        let group_with = |member| groups.iter().position(|group| group.contains(&member));
        let designated = VLANS.iter().map(|n| vlan(*n)).filter_map(|v| {
            let chosen = designated(&candidates, v)?;
            Some((v, group_with(candidates[chosen].members[0])?))
        });
        let pins = arbitrary.pins.keys().map(|name| {
            let id = snapshot.ports().find(|port| port.name == *name).unwrap().id;
            let member = team.pinned_member(id).map(|id| snapshot.port(id).unwrap().name);
            (*name, (member.and_then(group_with), 0))
        });
        Host { pins: pins.collect(), designated: designated.collect(), groups, ..arbitrary }
    }

    /// The host as the reference model takes it, with its uplinks teamed at random.
    pub(super) fn host(&self, snapshot: &Snapshot) -> Host {
        let up: BTreeSet<_> =
            self.ports().filter(|(_, port)| port.up).map(|(name, _)| name).collect();
        let uplinks = (1..).zip(&self.nics).filter(|(n, _)| up.contains(&nic(*n)));
        let mut by_label: BTreeMap<usize, Vec<InterfaceName>> = BTreeMap::new();
        for (n, nic_port) in uplinks {
            if let Some(label) = nic_port.group {
                by_label.entry(label).or_default().push(nic(n));
            }
        }
        let labels: Vec<usize> = by_label.keys().copied().collect();
        let group = |label: usize| labels.iter().position(|l| *l == label);
        let vms = || (1..).zip(&self.vms).map(|(n, v)| (vm(n), v));
        let pins = vms().map(|(name, v)| (name, (v.group.and_then(group), v.grace_until_ns)));
        let designated = VLANS.iter().zip(&self.designated);
        Host {
            intent: self.intent(),
            order: snapshot.ports().map(|port| port.name).collect(),
            leaving: vms().filter(|(_, v)| v.leaving).map(|(name, _)| name).collect(),
            up,
            pins: pins.collect(),
            designated: designated.filter_map(|(v, l)| Some((vlan(*v), group(*l)?))).collect(),
            groups: by_label.into_values().collect(),
        }
    }
}

/// The teaming of a host as the core takes it.
pub(super) fn team(host: &Host, snapshot: &Snapshot) -> TeamState {
    let id = |name: InterfaceName| snapshot.ports().find(|p| p.name == name).unwrap().id;
    let group = |n: usize| GroupId(n as u8);
    let mut links: Links = host.up.iter().map(|name| id(*name)).collect();
    links.leaving = host.leaving.iter().map(|name| id(*name)).collect();
    let slots = snapshot.ports().map(|port| port.id.index() + 1).max().unwrap_or(0);
    let mut state = TeamState {
        links,
        group_of: vec![None; slots].into(),
        pins: vec![Pin::default(); slots].into(),
        designated: vec![None; usize::from(VlanId::MAX.get()) + 1].into(),
        ..TeamState::default()
    };
    for (n, members) in host.groups.iter().enumerate() {
        members.iter().for_each(|name| state.group_of[id(*name).index()] = Some(group(n)));
    }
    let members = |names: &Vec<InterfaceName>| names.iter().map(|n| id(*n)).collect::<Vec<_>>();
    let new = |g| Group::spread(InterfaceName::PortChannel(1), &members(g), |_| None);
    state.groups = host.groups.iter().filter_map(new).collect();
    for (name, (pinned, grace_until_ns)) in &host.pins {
        let pin = Pin { group: pinned.map(group), grace_until_ns: *grace_until_ns };
        state.pins[id(*name).index()] = pin;
    }
    for (vlan, n) in &host.designated {
        state.designated[usize::from(vlan.get())] = Some(group(*n));
    }
    state
}

/// Gives a port what is neither its VLANs nor its role.
fn set(lab: Lab, name: InterfaceName, port: &Port) -> Lab {
    lab.with(name, |intent| {
        intent.mtu_bytes = port.mtu_bytes;
        intent.acl_in = port.acl_in.clone();
        intent.acl_out = port.acl_out.clone();
    })
}

/// One list of each kind, with a deny and a permit, and frames that neither speaks of.
fn acls() -> BTreeMap<Name, Acl> {
    let list = |name: &str, kind, first: Match, second: Match| {
        let mut acl = Acl::new(kind);
        let rule = |action, matches| Entry::Rule(Rule { action, matches, log: false });
        acl.entries.insert(10, rule(Action::Deny, first));
        acl.entries.insert(20, rule(Action::Permit, second));
        (name.parse().unwrap(), acl)
    };
    let ip = |any: AddressMatch, dst_port: Option<u16>| {
        Match::Ip(IpMatch {
            proto: Some(IpProto::UDP),
            src: any,
            dst: any,
            src_port: None,
            dst_port: dst_port.map(PortMatch::Eq),
            tcp: None,
            icmp: None,
            dscp: None,
            fragments: false,
        })
    };
    let ether = |ether_type: Option<EtherType>| {
        let (src, dst) = (MacPattern::ANY, MacPattern::ANY);
        Match::Mac(MacMatch { src, dst, ether_type, vlan: None })
    };
    let (v4, v6) = (AddressMatch::ANY_V4, AddressMatch::ANY_V6);
    BTreeMap::from([
        list("MAC", AclKind::Mac, ether(Some(EtherType::ARP)), ether(None)),
        list("V4", AclKind::Ipv4, ip(v4, Some(53)), ip(v4, None)),
        list("V6", AclKind::Ipv6, ip(v6, Some(53)), ip(v6, None)),
    ])
}

/// The tag that no VLAN of [`VLANS`] has is in the pool too.
#[test]
fn the_pool_of_tags_has_a_foreign_vlan() {
    assert!(!VLANS.contains(&tci(0, 0x63).vid()));
}
