//! The forwarding core allocates nothing after `reserve`, whatever the frames are: counted by an
//! allocator that knows which thread asks.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use dataplane::core::{
    BURST_MAX, Batch, Frame, Links, NoTrace, State, TeamState, View, forward, pinning, reserve,
};
use policy::acl::{Acl, AclKind, Action, AddressMatch, Entry, IpMatch, Match, PortMatch, Rule};
use policy::config::{AclBinding, MacAllow, Name};
use policy::ids::StableIds;
use policy::intent::{PortIntent, PortMode, PortRole, UplinkRole, VethernetRole};
use policy::teaming::{Channel, ChannelMode};
use policy::{HostIntent, Snapshot, VlanSet};
use proto::frame::Tag;
use proto::frame::build::FrameBuilder;
use proto::{
    EtherType, InterfaceName, IpProto, MacAddr, ModuleId, PortId, Revision, VethId, VlanId,
};

struct Counting;

thread_local! {
    static ALLOCATIONS: Cell<u64> = const { Cell::new(0) };
}

// SAFETY: every call goes to the system's allocator unchanged; the count is a thread-local cell
// without destructor, which may be used at any time of a thread's life and does not allocate.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        ALLOCATIONS.set(ALLOCATIONS.get() + 1);
        // SAFETY: the caller keeps the contract of `alloc`, which is the same there.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: `ptr` came from `System` with this layout, as `alloc` passes both on.
        unsafe { System.dealloc(ptr, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

const VMS: u32 = 300;

fn mac(n: u32) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 | u64::from(n))
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn port(mode: PortMode, role: PortRole) -> PortIntent {
    let acl = AclBinding { ip: Some(name("LIST")), ..AclBinding::default() };
    PortIntent {
        profile: None,
        admin_up: true,
        mode,
        mtu_bytes: 1500,
        acl_in: acl.clone(),
        acl_out: acl,
        role,
    }
}

/// 300 VMs in one VLAN behind two uplinks, a list of 100 rules in and out of every port.
fn intent() -> HostIntent {
    let vlan = VlanId::new(10u32).expect("a VLAN");
    let mut intent = HostIntent::default();
    intent.vlans.insert(vlan, "LAN".to_owned());
    let any = IpMatch {
        proto: None,
        src: AddressMatch::ANY_V4,
        dst: AddressMatch::ANY_V4,
        src_port: None,
        dst_port: None,
        tcp: None,
        icmp: None,
        dscp: None,
        fragments: false,
    };
    let mut acl = Acl::new(AclKind::Ipv4);
    for n in 1..100u16 {
        let udp = Some(IpProto::UDP);
        let matches = IpMatch { proto: udp, dst_port: Some(PortMatch::Eq(n)), ..any.clone() };
        let rule = Rule { action: Action::Deny, matches: Match::Ip(matches), log: true };
        acl.entries.insert(u32::from(n), Entry::Rule(rule));
    }
    let rest = Rule { action: Action::Permit, matches: Match::Ip(any), log: false };
    acl.entries.insert(100, Entry::Rule(rest));
    intent.acls.insert(name("LIST"), acl);
    for nic in 1..=2 {
        let interface = InterfaceName::Ethernet { module: ModuleId::FIRST_HOST, nic };
        let channel = Some(Channel::new(1, ChannelMode::MacPinning { relative: false }));
        let role = PortRole::Uplink(UplinkRole { channel, ..UplinkRole::new(nic) });
        let allowed: VlanSet = [vlan].into_iter().collect();
        let mode = PortMode::Trunk { native: VlanId::DEFAULT, allowed };
        intent.ports.insert(interface, port(mode, role));
    }
    for n in 1..=VMS {
        let role = VethernetRole {
            vm: format!("vm{n}"),
            adapter: "eth0".to_owned(),
            mac: mac(n),
            mac_allow: MacAllow::List(Vec::new()),
            uufb_disabled: n % 7 == 0,
            promiscuous: n % 11 == 0,
            bpdu_guard: true,
            pinned_nics: Vec::new(),
        };
        let interface = InterfaceName::Vethernet(VethId::new(n).expect("a number"));
        intent.ports.insert(interface, port(PortMode::Access(vlan), PortRole::Vethernet(role)));
    }
    intent
}

/// Bursts of frames of every kind: known, unknown, flooded, spanning tree, denied, tagged, cut off.
fn bursts(vms: &[PortId], uplink: PortId) -> Vec<(PortId, Vec<Vec<u8>>)> {
    let udp = |src, dst, tag: Option<u16>, port: u16| {
        let builder = FrameBuilder::new(src, dst);
        let builder = tag.into_iter().fold(builder, |b, tci| b.tag(Tag { tci }));
        let at = |last, port| ([10, 0, 0, last], port).into();
        builder.udp(at(1, 4000), at(2, port), &[0; 18])
    };
    let bpdu = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 0]);
    let far = mac(100_000);
    let mut bursts = Vec::new();
    for (n, vm) in (1..).zip(vms) {
        let own = mac(n);
        let from_vm = vec![
            udp(own, mac(n % VMS + 1), None, 4000),
            udp(own, far, None, 4000),
            udp(own, MacAddr::BROADCAST, None, 4000),
            udp(own, MacAddr::BROADCAST, None, 50),
            udp(far, own, None, 4000),
            udp(own, far, Some(10), 4000),
            FrameBuilder::new(own, bpdu).payload(EtherType::new(38), &[0x42, 0x42, 3]),
            vec![0; 5],
        ];
        let from_wire = vec![
            udp(far, own, Some(10), 4000),
            udp(far, MacAddr::BROADCAST, Some(10), 4000),
            udp(far, mac(200_000), Some(10), 4000),
        ];
        bursts.extend([(*vm, from_vm), (uplink, from_wire)]);
    }
    // The worst burst: every frame goes to every port.
    bursts.push((vms[0], vec![udp(mac(1), MacAddr::BROADCAST, None, 4000); BURST_MAX]));
    bursts
}

#[test]
fn forward_allocates_nothing_after_reserve() {
    let built = Snapshot::build(&intent(), Revision::new(1), &mut StableIds::default());
    let snapshot = built.expect("a snapshot");
    let links: Links = snapshot.ports().map(|port| port.id).collect();
    let (team, _) = pinning::compute(&snapshot, &links, &TeamState::default(), 0);
    let ids = |vethernets: bool| {
        let ports = snapshot.ports();
        let mut ports: Vec<_> = ports
            .filter(|port| matches!(port.name, InterfaceName::Vethernet(_)) == vethernets)
            .map(|port| (port.name, port.id))
            .collect();
        ports.sort();
        ports.into_iter().map(|(_, id)| id).collect::<Vec<_>>()
    };
    let sent = bursts(&ids(true), ids(false)[0]);
    let view = View::new(Arc::new(snapshot), Arc::new(team));
    let received: Vec<(PortId, Vec<Frame<'_>>)> = sent
        .iter()
        .map(|(at, burst)| (*at, burst.iter().map(|bytes| Frame::whole(bytes)).collect()))
        .collect();
    let (mut state, mut batch) = (State::default(), Batch::default());
    reserve(&view, &state, &mut batch);

    let before = ALLOCATIONS.get();
    let mut copies = 0;
    for (at, frames) in &received {
        forward(&view, 0, &mut state, *at, frames, &mut batch, &mut NoTrace);
        copies += batch.outputs().len();
    }
    let allocations = ALLOCATIONS.get() - before;
    assert!(copies > 300 * VMS as usize, "the floods took place: {copies} copies");
    assert_eq!(allocations, 0);
}
