//! What one frame costs in the whole forwarding core, without I/O: parse, classify, guard, access
//! list, lookup, replicate, verdict, counters.
//!
//! `cargo bench -p benches --bench pipeline`. A host of 1,000 vEthernets in 64 VLANs and two uplinks;
//! every port has the same inbound list of 0, 100 or 1,000 rules, of which the last one matches.
//! Bursts of 64 UDP frames of 64 bytes from one port, to local VMs of its VLAN and, a quarter, to the
//! wire, over 1,000 flows.

use std::hint::black_box;
use std::net::SocketAddr;
use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use dataplane::core::{
    self, BURST_MAX, Batch, Frame, Links, NoTrace, State, TeamState, View, pinning,
};
use policy::acl::{Acl, AclKind};
use policy::config::{AclBinding, MacAllow, Name};
use policy::ids::StableIds;
use policy::intent::{PortIntent, PortMode, PortRole, UplinkRole, VethernetRole};
use policy::teaming::{Channel, ChannelMode};
use policy::{HostIntent, Snapshot, lang};
use proto::frame::build::FrameBuilder;
use proto::{InterfaceName, MacAddr, ModuleId, PortId, Revision, VethId, VlanId};

const VETHERNETS: u32 = 1000;
const VLANS: u32 = 64;
const FLOWS: u16 = 1000;

fn vlan(number: u32) -> VlanId {
    VlanId::new(10 + number % VLANS).expect("below 4095")
}

fn mac(number: u32) -> MacAddr {
    MacAddr::from_u64(0x0257_4600_0000 + u64::from(number))
}

fn port(mode: PortMode, role: PortRole, list: Option<&Name>) -> PortIntent {
    PortIntent {
        profile: None,
        admin_up: true,
        mode,
        mtu_bytes: 1500,
        acl_in: AclBinding { ip: list.cloned(), ..AclBinding::default() },
        acl_out: AclBinding::default(),
        role,
    }
}

/// Rules that no frame of the bench matches, and a last one that every frame does.
fn list(rules: u32) -> Acl {
    let mut acl = Acl::new(AclKind::Ipv4);
    let text = |n: u32| match n + 1 == rules {
        true => format!("{} permit ip any any", n + 1),
        false => format!("{} deny tcp 10.{}.{}.0/24 any eq {}", n + 1, n % 200, n % 250, 1024 + n),
    };
    for n in 0..rules {
        let (sequence, entry) = lang::parse_entry(AclKind::Ipv4, &text(n)).expect("a rule");
        acl.entries.insert(sequence, entry);
    }
    acl
}

fn host(rules: u32) -> HostIntent {
    let mut intent = HostIntent::default();
    let name: Name = "BENCH".parse().expect("a name");
    let bound = (rules > 0).then_some(&name);
    if rules > 0 {
        intent.acls.insert(name.clone(), list(rules));
    }
    for number in 1..=VETHERNETS {
        intent.vlans.insert(vlan(number), String::new());
        let role = PortRole::Vethernet(VethernetRole {
            vm: format!("vm{number}"),
            adapter: "eth0".to_owned(),
            mac: mac(number),
            mac_allow: MacAllow::List(Vec::new()),
            uufb_disabled: false,
            promiscuous: false,
            bpdu_guard: false,
            pinned_nics: Vec::new(),
        });
        let veth = InterfaceName::Vethernet(VethId::new(number).expect("a legal number"));
        intent.ports.insert(veth, port(PortMode::Access(vlan(number)), role, bound));
    }
    for nic in 1..=2 {
        let channel = Some(Channel::new(1, ChannelMode::MacPinning { relative: false }));
        let role = PortRole::Uplink(UplinkRole { channel, ..UplinkRole::new(nic) });
        let allowed = (0..VLANS).map(vlan).collect();
        let mode = PortMode::Trunk { native: VlanId::DEFAULT, allowed };
        let name = InterfaceName::Ethernet { module: ModuleId::FIRST_HOST, nic };
        intent.ports.insert(name, port(mode, role, None));
    }
    intent
}

/// Frames of vEthernet 1: three of four to others of its VLAN, the fourth to the wire.
fn frames() -> Vec<Vec<u8>> {
    (0..FLOWS)
        .map(|flow| {
            let neighbour = 1 + VLANS * (1 + u32::from(flow) % (VETHERNETS / VLANS - 1));
            let dst = if flow % 4 == 3 { mac(900_000) } else { mac(neighbour) };
            let [high, low] = flow.to_be_bytes();
            let src = SocketAddr::from(([192, 168, high, low], 10_000 + flow));
            FrameBuilder::new(mac(1), dst).udp(src, ([172, 16, low, high], 53).into(), &[0; 22])
        })
        .collect()
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("pipeline");
    group.throughput(Throughput::Elements(BURST_MAX as u64));
    for rules in [0, 100, 1000] {
        let mut ids = StableIds::default();
        let snapshot = Snapshot::build(&host(rules), Revision::new(1), &mut ids).expect("right");
        let links: Links = snapshot.ports().map(|port| port.id).collect();
        let (team, _) = pinning::compute(&snapshot, &links, &TeamState::default(), 0);
        let veth = InterfaceName::Vethernet(VethId::new(1u32).expect("a legal number"));
        let ingress: PortId = ids.port(veth).expect("a slot");
        let view = View::new(Arc::new(snapshot), Arc::new(team));
        let (mut state, mut batch) = (State::default(), Batch::default());
        core::reserve(&view, &state, &mut batch);
        let bytes = frames();
        let bursts: Vec<Vec<Frame<'_>>> = bytes
            .chunks_exact(BURST_MAX)
            .map(|burst| burst.iter().map(|bytes| Frame::whole(bytes)).collect())
            .collect();
        let mut turn = bursts.iter().cycle();
        group.bench_function(BenchmarkId::new("64 frames", format!("{rules} rules")), |bencher| {
            bencher.iter(|| {
                let burst = turn.next().map(Vec::as_slice).unwrap_or_default();
                core::forward(&view, 1, &mut state, ingress, burst, &mut batch, &mut NoTrace);
                black_box(batch.outputs().len())
            });
        });
        let totals = state.counters.port(ingress).read();
        assert!(totals.forwarded > 0 && totals.dropped() == 0, "not what is to be measured");
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
