//! Port-channels as frames see them: what makes a flow, how flows spread, who may receive.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use policy::config::MacAllow;
use policy::teaming::{Channel, ChannelMode, LoadBalance};
use proto::DropReason::*;
use proto::frame::TagEdit::Pop;
use proto::frame::build::FrameBuilder;
use proto::{InterfaceName, IpProto, MacAddr, VethId, VlanId};

use super::lab::*;
use crate::core::team::port_flow;
use crate::core::{BURST_MAX, Frame, NoTrace, forward};

/// A port-channel of NICs 1 and up, and VMs that may send whatever they want: 1 to 32 in VLAN 10,
/// and 33, which is a trunk.
fn lab(members: u8, load_balance: LoadBalance) -> Lab {
    let vlans: Vec<u16> = (1..=64).collect();
    let channel = Channel::new(1, ChannelMode::On);
    let lab = (1..=members).fold(Lab::default().load_balance(load_balance), |lab, n| {
        lab.member(n, trunk(4000, &vlans), channel)
    });
    let lab = (1..=32).fold(lab, |lab, n| lab.vm(n, access(10)));
    (1..=33).fold(lab.vm(33, trunk(1, &vlans)), |lab, n| {
        lab.with_vm(n, |vm| vm.mac_allow = MacAllow::Any)
    })
}

/// The fields of a frame that a flow may be made of, and where the frame comes in.
#[derive(Clone, Copy, Debug)]
struct Fields {
    port: u32,
    vlan: u16,
    macs: [u32; 2],
    hosts: [u16; 2],
    l4_ports: [u16; 2],
    /// What IP version; `None`: another protocol.
    version: Option<u8>,
    fragment: Option<Part>,
}

/// Which fragment of a packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    First,
    Later,
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            port: 33,
            vlan: 10,
            macs: [1000, 2000],
            hosts: [1, 2],
            l4_ports: [5000, 53],
            version: Some(4),
            fragment: None,
        }
    }
}

impl Fields {
    fn frame(&self) -> Vec<u8> {
        let [src, dst] = self.macs.map(|n| MacAddr::from_u64(0x0200_0000_0000 | u64::from(n)));
        let builder = FrameBuilder::new(src, dst);
        // Access ports of VLAN 10 get no tag.
        let builder = if self.port == 33 { builder.tag(tci(3, self.vlan)) } else { builder };
        let ip = |n: u16| match self.version {
            Some(6) => IpAddr::from(Ipv6Addr::from_bits(0xfd00 << 112 | u128::from(n))),
            _ => Ipv4Addr::from_bits(10 << 24 | u32::from(n)).into(),
        };
        let [from, to] = self.hosts.map(ip);
        let [sport, dport] = self.l4_ports;
        let udp = [sport.to_be_bytes(), dport.to_be_bytes(), [0, 16], [0, 0]].concat();
        match (self.version, self.fragment) {
            (None, _) => builder.payload(proto::EtherType::new(0x88b5), &udp),
            (Some(6), Some(part)) => {
                let offset = if part == Part::First { [0, 1] } else { [0, 8] };
                let header = [[17, 0], offset, [0, 0], [0, 7]].concat();
                builder.ip(from, to, IpProto::new(44), &[header, udp].concat())
            }
            (Some(_), part) => {
                let (from, to) = (SocketAddr::new(from, sport), SocketAddr::new(to, dport));
                let mut frame = builder.udp(from, to, &[0; 8]);
                let flags = if self.port == 33 { 24 } else { 20 };
                match part {
                    Some(Part::First) => frame[flags] = 0x20,
                    Some(Part::Later) => frame[flags + 1] = 1,
                    None => {}
                }
                frame
            }
        }
    }

    /// The member that it leaves by.
    fn member(&self, switch: &mut Switch) -> InterfaceName {
        let outcome = switch.send(vm(self.port), &self.frame());
        let [(member, _)] = outcome.outputs[..] else { panic!("{self:?}: {outcome:?}") };
        member
    }
}

type Edit = fn(&mut Fields, u16);

/// Every field, and how it is given one of many values.
const FIELDS: [(&str, Edit); 8] = [
    ("source MAC", |fields, n| fields.macs[0] = 1000 + u32::from(n)),
    ("destination MAC", |fields, n| fields.macs[1] = 2000 + u32::from(n)),
    ("source address", |fields, n| fields.hosts[0] = 100 + n),
    ("destination address", |fields, n| fields.hosts[1] = 200 + n),
    ("source port", |fields, n| fields.l4_ports[0] = 1024 + n),
    ("destination port", |fields, n| fields.l4_ports[1] = 1024 + n),
    ("VLAN", |fields, n| fields.vlan = 2 + n),
    ("vEthernet", |fields, n| fields.port = 1 + u32::from(n)),
];

/// The fields that move a frame to another member, of frames that start as this.
fn counting(load_balance: LoadBalance, start: Fields) -> Vec<&'static str> {
    let mut switch = lab(4, load_balance).build();
    let mut counts = |edit: Edit| {
        let members: BTreeSet<_> = (0..32)
            .map(|n| {
                let mut fields = start;
                edit(&mut fields, n);
                fields.member(&mut switch)
            })
            .collect();
        members.len() > 1
    };
    FIELDS.iter().filter(|(_, edit)| counts(*edit)).map(|(name, _)| *name).collect()
}

#[test]
fn each_method_looks_at_its_own_fields() {
    let macs = ["source MAC", "destination MAC"];
    let addresses = ["source address", "destination address"];
    let ports = ["source port", "destination port"];
    for load_balance in LoadBalance::ALL {
        for version in [Some(4), Some(6), None] {
            for fragment in [None, Some(Part::First), Some(Part::Later)] {
                let ip = if version.is_some() { addresses } else { macs };
                let whole: &[&str] =
                    if version.is_some() && fragment.is_none() { &ports } else { &[] };
                let expected = match load_balance.name() {
                    "source-mac" => vec!["source MAC"],
                    "source-dest-mac" => macs.to_vec(),
                    "source-dest-ip" => ip.to_vec(),
                    "source-dest-ip-port" => [&ip, whole].concat(),
                    "source-dest-ip-port-vlan" => [&ip, whole, &["VLAN"]].concat(),
                    "source-virtual-port-id" => vec!["vEthernet"],
                    name => panic!("{name} is new"),
                };
                let start = Fields { version, fragment, ..Fields::default() };
                assert_eq!(counting(load_balance, start), expected, "{load_balance} {start:?}");
            }
        }
    }
}

#[test]
fn all_fragments_of_a_packet_take_one_way() {
    for load_balance in LoadBalance::ALL {
        let mut switch = lab(8, load_balance).build();
        for (n, version) in (0..50).flat_map(|n| [(n, 4), (n, 6)]) {
            let mut at = |fragment| {
                let (hosts, version) = ([n, 900 - n], Some(version));
                Fields { hosts, version, fragment, ..Fields::default() }.member(&mut switch)
            };
            assert_eq!(at(Some(Part::First)), at(Some(Part::Later)), "{load_balance}");
        }
    }
}

#[test]
fn a_tag_of_the_guest_is_no_part_of_a_flow() {
    for load_balance in LoadBalance::ALL {
        let mut switch = lab(8, load_balance).build();
        for n in 0..64 {
            let fields =
                Fields { port: 5, macs: [n, 7], hosts: [n as u16, 9], ..Fields::default() };
            let untagged = fields.frame();
            let priority = [&untagged[..12], &[0x81, 0, 0xa0, 0], &untagged[12..]].concat();
            let [a, b] = [untagged, priority].map(|f| switch.send(vm(5), &f).outputs[0].0);
            assert_eq!(a, b, "{load_balance}: the VLAN counts, not how it was said");
        }
    }
}

/// Numbers without a pattern (Steele, Lea, Flood: SplitMix64), the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }
}

const FLOWS: usize = 10_000;

/// Random flows of one VM.
fn flows() -> Vec<Vec<u8>> {
    let mut random = Random(1);
    let flow = |_| {
        let [a, b] = [random.next(), random.next()];
        let fields = Fields {
            macs: [a as u32, (a >> 32) as u32],
            hosts: [b as u16, (b >> 16) as u16],
            l4_ports: [(b >> 32) as u16, (b >> 48) as u16],
            vlan: 1 + (a >> 58) as u16,
            ..Fields::default()
        };
        fields.frame()
    };
    (0..FLOWS).map(flow).collect()
}

/// The member of each flow.
fn ways(switch: &mut Switch, flows: &[Vec<u8>]) -> Vec<InterfaceName> {
    let at = switch.id(vm(33));
    let mut ways = Vec::new();
    for burst in flows.chunks(BURST_MAX) {
        let frames: Vec<Frame<'_>> = burst.iter().map(|bytes| Frame::whole(bytes)).collect();
        let (state, batch) = (&mut switch.state, &mut switch.batch);
        forward(&switch.view, 0, state, at, &frames, batch, &mut NoTrace);
        assert_eq!(batch.outputs().len(), frames.len());
        ways.extend(switch.batch.outputs().iter().map(|output| switch.name(output.port)));
    }
    ways
}

/// Whether each member has its share, to within 10 %.
#[track_caller]
fn assert_even(ways: &[InterfaceName], members: u8, what: LoadBalance) {
    let even = ways.len() as f64 / f64::from(members);
    for n in 1..=members {
        let share = ways.iter().filter(|way| **way == nic(n)).count() as f64;
        assert!((share / even - 1.0).abs() <= 0.1, "{what}: {share} of {even} at member {n}");
    }
}

#[test]
fn ten_thousand_flows_spread_within_ten_percent_of_even() {
    let flows = flows();
    for load_balance in LoadBalance::ALL {
        for members in [2, 3, 4, 8] {
            let mut switch = lab(members, load_balance).build();
            let ways = match load_balance {
                LoadBalance::Flow(_) => ways(&mut switch, &flows),
                // As many ports as there can be do not make as many flows.
                LoadBalance::SourceVirtualPortId => {
                    let group = switch.view.team.uplink_group(switch.id(vm(33))).unwrap();
                    let flow = |n| port_flow(VethId::new(n).unwrap());
                    let members = (1..=FLOWS as u32).map(|n| group.member(flow(n)));
                    members.map(|member| switch.name(member)).collect()
                }
            };
            assert_even(&ways, members, load_balance);
        }
    }
}

#[test]
fn the_loss_of_a_member_moves_its_own_flows_and_they_spread_over_the_rest() {
    let flows = flows();
    for load_balance in LoadBalance::ALL {
        let mut switch = lab(4, load_balance).build();
        let before = ways(&mut switch, &flows);
        assert_eq!(ways(&mut switch, &flows), before, "no flow moves while members stand still");
        assert_eq!(switch.set_link(nic(2), false), [], "the port-channel is the same uplink");
        let after = ways(&mut switch, &flows);
        let moved = || before.iter().zip(&after).filter(|(before, _)| **before == nic(2));
        for (before, after) in before.iter().zip(&after) {
            assert!(*after != nic(2) && (*before == nic(2) || before == after));
        }
        let to: BTreeSet<_> = moved().map(|(_, after)| *after).collect();
        if load_balance != LoadBalance::SourceVirtualPortId {
            assert_eq!(to, BTreeSet::from([nic(1), nic(3), nic(4)]), "{load_balance}");
        }
        switch.set_link(nic(2), true);
        for (without, back) in after.iter().zip(ways(&mut switch, &flows)) {
            assert!(*without == back || back == nic(2), "flows move to who comes back alone");
        }
    }
}

#[test]
fn a_vlan_that_the_port_channel_does_not_carry_has_no_way_out() {
    let on = Channel::new(1, ChannelMode::On);
    for load_balance in LoadBalance::ALL {
        let lab = Lab::default().load_balance(load_balance).vm(1, trunk(1, &[10, 20]));
        let lab = lab.member(1, trunk(1, &[10]), on).member(2, trunk(1, &[10]), on);
        let mut switch = lab.build();
        let frame = |vid| udp(mac(1), mac(100), &[tci(0, vid)]);
        assert_eq!(switch.send(vm(1), &frame(20)), dropped(NoUplink));
        assert_eq!(switch.send(vm(1), &frame(10)).outputs.len(), 1);
    }
}

/// A port-channel of NICs 1 and 2 in VLANs 10 and 11, another of NICs 3 and 4 in VLAN 20; VM 1 and
/// VM 2 are in VLAN 10, VM 3 is a trunk of all three, so that it belongs on the first.
fn two_channels() -> Lab {
    let member = |lab: Lab, n, channel, vlans: &[u16]| {
        lab.member(n, trunk(1, vlans), Channel::new(channel, ChannelMode::Active))
    };
    let lab = member(Lab::default(), 1, 1, &[10, 11]);
    let lab = member(lab, 2, 1, &[10, 11]);
    let lab = member(lab, 3, 3, &[20]);
    member(lab, 4, 3, &[20]).vm(1, access(10)).vm(2, access(10)).vm(3, trunk(1, &[10, 11, 20]))
}

#[test]
fn r4_to_r8_hold_for_every_member_of_a_port_channel() {
    let mut switch = two_channels().build();
    let from = |src, dst, vid| udp(src, dst, &[tci(0, vid)]);
    for at in [nic(1), nic(2)] {
        let back = from(mac(1), MacAddr::BROADCAST, 10);
        assert_eq!(switch.send(at, &back), dropped(OwnSourceFromUplink), "R4");
        let unicast = from(mac(100), mac(1), 10);
        assert_eq!(switch.send(at, &unicast), sent(&[(vm(1), Pop)]), "R5");
        let unknown = from(mac(100), mac(101), 10);
        assert_eq!(switch.send(at, &unknown), dropped(UnknownUnicastFromUplink), "R7");
        let broadcast = switch.send(at, &from(mac(100), MacAddr::BROADCAST, 10));
        assert_eq!(broadcast.outputs.len(), 3, "R8");
    }
    for at in [nic(3), nic(4)] {
        let unicast = from(mac(100), mac(3), 20);
        assert_eq!(switch.send(at, &unicast), dropped(NotPinnedUplink), "R6");
        let broadcast = switch.send(at, &from(mac(100), MacAddr::BROADCAST, 20));
        assert_eq!(broadcast.outputs.len(), 1, "R8");
    }
}

#[test]
fn r6_has_grace_when_a_port_channel_is_replaced_and_none_when_a_member_is() {
    let mut switch = two_channels().build();
    let late = udp(mac(100), mac(3), &[tci(0, 10)]);
    let early = udp(mac(100), mac(3), &[tci(0, 20)]);
    switch.set_link(nic(1), false);
    assert_eq!(switch.send(nic(4), &early), dropped(NotPinnedUplink), "nobody has moved");
    switch.set_link(nic(2), false);
    assert_eq!(switch.send(nic(4), &early).outputs.len(), 1);
    switch.set_link(nic(1), true);
    for (at, frame) in [(nic(4), &early), (nic(1), &late)] {
        assert_eq!(switch.send(at, frame).outputs.len(), 1, "it is on its way back");
    }
}

#[test]
fn a_member_that_carries_no_data_delivers_nothing() {
    // Up, but of a port-channel that has too few links; and standby.
    let short = Channel { min_links: 2, ..Channel::new(1, ChannelMode::On) };
    let standby = Channel::new(1, ChannelMode::ActiveStandby);
    let lab = |channel| {
        let member = |lab: Lab, n| lab.member(n, trunk(1, &[10]), Channel { rank: n, ..channel });
        [1, 2].into_iter().fold(Lab::default(), member).vm(1, access(10)).vm(2, access(10))
    };
    let unicast = udp(mac(100), mac(1), &[tci(0, 10)]);
    let broadcast = udp(mac(100), MacAddr::BROADCAST, &[tci(0, 10)]);
    for (lab, at) in [(lab(short).down(nic(1)), nic(2)), (lab(standby), nic(2))] {
        let mut switch = lab.build();
        assert_eq!(switch.send(at, &unicast), dropped(NotPinnedUplink));
        assert_eq!(switch.send(at, &broadcast), dropped(NotDesignatedUplink));
    }
    let mut switch = lab(short).down(nic(1)).build();
    assert_eq!(switch.send(vm(1), &udp(mac(1), mac(100), &[])), dropped(NoUplink));
    assert!(VlanId::all().all(|vlan| switch.view.team.designated(vlan).is_none()));
}
