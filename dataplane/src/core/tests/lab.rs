//! One host for a test: ports by number, built through the same path as in the daemon.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

use policy::acl::{
    Acl, AclKind, Action, AddressMatch, Entry, IpMatch, Match, PortMatch, Rule as AclRule,
};
use policy::config::{MacAllow, Name};
use policy::ids::StableIds;
use policy::intent::{PortIntent, PortMode, PortRole, UplinkRole, VethernetRole};
use policy::teaming::{Channel, ChannelMode, LoadBalance};
use policy::{HostIntent, Snapshot};
use proto::frame::TagEdit;
use proto::frame::build::FrameBuilder;
use proto::frame::key::Tag;
use proto::{
    DropReason, InterfaceName, IpProto, MacAddr, ModuleId, PortId, Revision, VethId, VlanId,
};

use crate::core::counters::PortTotals;
use crate::core::{
    Batch, Event, Frame, Links, PuntTask, Rule, State, StepTrace, TeamState, Verdict, View,
    forward, pinning, reserve,
};

/// The vEthernet of VM `n`.
pub(crate) fn vm(n: u32) -> InterfaceName {
    InterfaceName::Vethernet(VethId::new(n).unwrap())
}

/// The uplink on NIC `n`.
pub(crate) fn nic(n: u8) -> InterfaceName {
    InterfaceName::Ethernet { module: ModuleId::FIRST_HOST, nic: n }
}

/// The address of VM `n`; those of hosts far away start at 100.
pub(crate) fn mac(n: u32) -> MacAddr {
    MacAddr::from_u64(0x0200_0000_0000 | u64::from(n))
}

pub(crate) fn vlan(n: u16) -> VlanId {
    VlanId::new(n).unwrap()
}

pub(crate) fn access(n: u16) -> PortMode {
    PortMode::Access(vlan(n))
}

pub(crate) fn trunk(native: u16, allowed: &[u16]) -> PortMode {
    let allowed = allowed.iter().map(|n| vlan(*n)).collect();
    PortMode::Trunk { native: vlan(native), allowed }
}

/// Tag control information.
pub(crate) fn tci(pcp: u16, vid: u16) -> Tag {
    Tag { tci: pcp << 13 | vid }
}

/// A UDP frame, with these tags, outer first.
pub(crate) fn udp(src: MacAddr, dst: MacAddr, tags: &[Tag]) -> Vec<u8> {
    udp_of(src, dst, tags, 18)
}

/// As [`udp`], with a payload of `len` bytes.
pub(crate) fn udp_of(src: MacAddr, dst: MacAddr, tags: &[Tag], len: usize) -> Vec<u8> {
    let builder = tags.iter().fold(FrameBuilder::new(src, dst), |b, tag| b.tag(*tag));
    let at = |last, port| SocketAddr::from((Ipv4Addr::new(10, 0, 0, last), port));
    builder.udp(at(1, 1000), at(2, 53), &vec![0; len])
}

/// What came of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outcome {
    pub(crate) verdict: Verdict,
    pub(crate) outputs: Vec<(InterfaceName, TagEdit)>,
}

pub(crate) fn sent(outputs: &[(InterfaceName, TagEdit)]) -> Outcome {
    Outcome { verdict: Verdict::Forward, outputs: outputs.to_vec() }
}

pub(crate) fn dropped(reason: DropReason) -> Outcome {
    Outcome { verdict: Verdict::Drop(reason), outputs: Vec::new() }
}

pub(crate) fn punted(task: PuntTask) -> Outcome {
    Outcome { verdict: Verdict::Punt(task), outputs: Vec::new() }
}

/// A host in the making.
#[derive(Clone, Debug, Default)]
pub(crate) struct Lab {
    pub(crate) intent: HostIntent,
    down: Vec<InterfaceName>,
    leaving: Vec<InterfaceName>,
}

impl Lab {
    /// Adds VM `n`, which has [`mac`]`(n)`.
    pub(crate) fn vm(self, n: u32, mode: PortMode) -> Self {
        let role = VethernetRole {
            vm: format!("vm{n}"),
            adapter: "eth0".to_owned(),
            mac: mac(n),
            mac_allow: MacAllow::List(Vec::new()),
            uufb_disabled: false,
            promiscuous: false,
            bpdu_guard: false,
            pinned_nics: Vec::new(),
        };
        self.port(vm(n), mode, PortRole::Vethernet(role))
    }

    /// Adds an uplink that VMs are pinned to; all of these are of one team.
    pub(crate) fn nic(self, n: u8, mode: PortMode) -> Self {
        self.member(n, mode, Channel::new(1, ChannelMode::MacPinning { relative: false }))
    }

    /// Adds an uplink that works in a group.
    pub(crate) fn member(self, n: u8, mode: PortMode, channel: Channel) -> Self {
        let role = UplinkRole { channel: Some(channel), ..UplinkRole::new(n) };
        self.port(nic(n), mode, PortRole::Uplink(role))
    }

    /// Says what makes a flow.
    pub(crate) fn load_balance(mut self, load_balance: LoadBalance) -> Self {
        self.intent.teaming.load_balance = load_balance;
        self
    }

    fn port(mut self, name: InterfaceName, mode: PortMode, role: PortRole) -> Self {
        for vlan in VlanId::all().filter(|vlan| mode.carries(*vlan)) {
            self.intent.vlans.insert(vlan, format!("VLAN{vlan}"));
        }
        let port = PortIntent {
            profile: None,
            admin_up: true,
            mode,
            mtu_bytes: 1500,
            acl_in: policy::config::AclBinding::default(),
            acl_out: policy::config::AclBinding::default(),
            role,
        };
        self.intent.ports.insert(name, port);
        self
    }

    /// Changes settings of a port.
    pub(crate) fn with(mut self, name: InterfaceName, edit: impl FnOnce(&mut PortIntent)) -> Self {
        edit(self.intent.ports.get_mut(&name).unwrap());
        self
    }

    /// Changes settings of an uplink.
    pub(crate) fn with_nic(self, n: u8, edit: impl FnOnce(&mut UplinkRole)) -> Self {
        self.with(nic(n), |port| match &mut port.role {
            PortRole::Uplink(role) => edit(role),
            PortRole::Vethernet(_) => unreachable!(),
        })
    }

    /// Changes settings of a VM's port.
    pub(crate) fn with_vm(self, n: u32, edit: impl FnOnce(&mut VethernetRole)) -> Self {
        self.with(vm(n), |port| match &mut port.role {
            PortRole::Vethernet(role) => edit(role),
            PortRole::Uplink(_) => unreachable!(),
        })
    }

    /// Takes the link of a port down.
    pub(crate) fn down(mut self, name: InterfaceName) -> Self {
        self.down.push(name);
        self
    }

    /// Says that a VM is on its way to another host.
    pub(crate) fn leaving(mut self, n: u32) -> Self {
        self.leaving.push(vm(n));
        self
    }

    /// Adds the list `NO-DNS`, which denies UDP to port 53 (rule 10) and permits the rest (20).
    pub(crate) fn no_dns(mut self) -> Self {
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
        let dns =
            IpMatch { proto: Some(IpProto::UDP), dst_port: Some(PortMatch::Eq(53)), ..any.clone() };
        let rule = |action, matches, log| {
            Entry::Rule(AclRule { action, matches: Match::Ip(matches), log })
        };
        let mut acl = Acl::new(AclKind::Ipv4);
        acl.entries.insert(10, rule(Action::Deny, dns, true));
        acl.entries.insert(20, rule(Action::Permit, any, false));
        self.intent.acls.insert(no_dns(), acl);
        self
    }

    /// Builds it and brings it up.
    pub(crate) fn build(&self) -> Switch {
        let snapshot =
            Snapshot::build(&self.intent, Revision::new(1), &mut StableIds::default()).unwrap();
        Switch::new(snapshot, |name| (!self.down.contains(&name), self.leaving.contains(&name)))
    }
}

/// The name of the list of [`Lab::no_dns`].
pub(crate) fn no_dns() -> Name {
    "NO-DNS".parse().unwrap()
}

/// A host that forwards.
#[derive(Debug)]
pub(crate) struct Switch {
    pub(crate) view: View,
    pub(crate) state: State,
    pub(crate) batch: Batch,
    pub(crate) trace: StepTrace,
    pub(crate) now_ns: u64,
}

impl Switch {
    /// `link` says of a port whether it is up, and whether it is leaving.
    fn new(snapshot: Snapshot, link: impl Fn(InterfaceName) -> (bool, bool)) -> Self {
        let up = |port: &&policy::snapshot::Port| link(port.name).0;
        let mut links: Links = snapshot.ports().filter(up).map(|port| port.id).collect();
        for port in snapshot.ports().filter(|port| link(port.name).1) {
            links.leaving.insert(port.id);
        }
        let (team, _) = pinning::compute(&snapshot, &links, &TeamState::default(), 0);
        let view = View::new(Arc::new(snapshot), Arc::new(team));
        let (state, mut batch) = (State::default(), Batch::default());
        reserve(&view, &state, &mut batch);
        Self { view, state, batch, trace: StepTrace::default(), now_ns: 0 }
    }

    pub(crate) fn id(&self, name: InterfaceName) -> PortId {
        self.view.snapshot.ports().find(|port| port.name == name).unwrap().id
    }

    pub(crate) fn name(&self, id: PortId) -> InterfaceName {
        self.view.snapshot.port(id).unwrap().name
    }

    /// Sends one frame in.
    pub(crate) fn send(&mut self, at: InterfaceName, bytes: &[u8]) -> Outcome {
        self.send_frame(self.id(at), Frame::whole(bytes))
    }

    /// Sends one frame in.
    pub(crate) fn send_frame(&mut self, at: PortId, frame: Frame<'_>) -> Outcome {
        self.trace = StepTrace::default();
        let Self { view, state, batch, trace, now_ns } = self;
        forward(view, *now_ns, state, at, &[frame], batch, trace);
        let outputs = self.batch.outputs().iter().map(|o| (self.name(o.port), o.edit)).collect();
        Outcome { verdict: self.batch.verdicts()[0], outputs }
    }

    pub(crate) fn events(&self) -> &[Event] {
        self.batch.events()
    }

    pub(crate) fn totals(&self, name: InterfaceName) -> PortTotals {
        self.state.counters.port(self.id(name)).read()
    }

    /// Moves a vEthernet to where its uplink goes down or comes up, as the agent does.
    pub(crate) fn set_link(&mut self, name: InterfaceName, up: bool) -> Vec<pinning::Repin> {
        let mut links = self.view.team.links().clone();
        let id = self.id(name);
        if up {
            links.up.insert(id)
        } else {
            links.up.remove(id)
        };
        let (team, repins) =
            pinning::compute(&self.view.snapshot, &links, &self.view.team, self.now_ns);
        self.view.team = Arc::new(team);
        repins
    }
}

/// Sends one frame into a fresh host and checks what came of it, the row of the table that decided,
/// and that the ingress port counted exactly that and no other port counted anything but refusals.
#[track_caller]
pub(crate) fn check(
    lab: &Lab,
    at: InterfaceName,
    bytes: &[u8],
    rule: Rule,
    expected: &Outcome,
) -> Switch {
    let mut switch = lab.build();
    let seen = switch.send(at, bytes);
    let lines = switch.trace.lines(0, &switch.view.snapshot).join("\n  ");
    assert_eq!(&seen, expected, "\n  {lines}");
    assert_eq!(switch.trace.rules(0), [rule], "\n  {lines}");
    for port in switch.view.snapshot.ports() {
        let mut totals = switch.totals(port.name);
        assert!(totals.is_conserved(), "{}: {totals:?}", port.name);
        if port.name == at {
            assert_eq!((totals.rx.frames(), totals.rx.bytes), (1, bytes.len() as u64));
            match seen.verdict {
                Verdict::Forward => assert_eq!(totals.forwarded, 1),
                Verdict::Punt(_) => assert_eq!(totals.consumed, 1),
                Verdict::Drop(reason) => assert_eq!(totals.drops[reason.index()], 1),
            }
        } else {
            totals.tx_drops = PortTotals::default().tx_drops;
            assert_eq!(totals, PortTotals::default(), "{} has counted", port.name);
        }
    }
    switch
}
