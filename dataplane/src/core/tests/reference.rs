//! The forwarding table as plain code: slow, one frame at a time, straight from the design.
//!
//! It reads the host's intent, where the core reads the snapshot built from it, and shares no code
//! with the core. Of `proto` it uses the parser of IP headers and the flow hash, which have tests
//! of their own.

use std::collections::{BTreeMap, BTreeSet};

use policy::HostIntent;
use policy::acl::{Action, Entry, Match, PortMatch};
use policy::config::{AclBinding, MacAllow, Name};
use policy::intent::{PortIntent, PortMode, PortRole, VethernetRole};
use policy::teaming::LoadBalance;
use proto::frame::key::{Fragment, FrameKey, L3, Tag};
use proto::frame::{TagEdit, parse};
use proto::{DropReason, InterfaceName, MacAddr, VlanId};

use crate::core::{PuntTask, Verdict};

/// A host, as plain as can be.
#[derive(Clone, Debug)]
pub(crate) struct Host {
    pub(crate) intent: HostIntent,
    /// Every port, in the order of its slots.
    pub(crate) order: Vec<InterfaceName>,
    pub(crate) up: BTreeSet<InterfaceName>,
    pub(crate) leaving: BTreeSet<InterfaceName>,
    /// What counts as one uplink: the members of each, all of them up.
    pub(crate) groups: Vec<Vec<InterfaceName>>,
    /// U(p) and the end of the grace time.
    pub(crate) pins: BTreeMap<InterfaceName, (Option<usize>, u64)>,
    /// D(v).
    pub(crate) designated: BTreeMap<VlanId, usize>,
}

/// What the table says of a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) verdict: Verdict,
    pub(crate) outputs: Vec<(InterfaceName, TagEdit)>,
    pub(crate) refusals: Vec<(InterfaceName, DropReason)>,
    pub(crate) bpdu_guard: bool,
    /// How many access list decisions were taken.
    pub(crate) acl_decisions: u64,
}

/// A frame that may be a super-frame.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wire<'a> {
    pub(crate) bytes: &'a [u8],
    pub(crate) segment_bytes: u32,
}

impl Expected {
    fn end(verdict: Verdict) -> Self {
        let (outputs, refusals) = (Vec::new(), Vec::new());
        Self { verdict, outputs, refusals, bpdu_guard: false, acl_decisions: 0 }
    }

    fn drop(reason: DropReason) -> Self {
        Self::end(Verdict::Drop(reason))
    }
}

impl Host {
    /// What becomes of a frame; `at` is `None` for a port that nobody knows.
    pub(crate) fn expect(
        &self,
        at: Option<InterfaceName>,
        wire: Wire<'_>,
        now_ns: u64,
    ) -> Expected {
        let Some((at, port)) = at.and_then(|at| Some((at, self.intent.ports.get(&at)?))) else {
            return Expected::drop(DropReason::PortUnknown);
        };
        if !port.admin_up {
            return Expected::drop(DropReason::PortDown);
        }
        let bytes = wire.bytes;
        let tagged = bytes.len() >= 14 && bytes[12..14] == [0x81, 0x00];
        if bytes.len() < 14 || (tagged && bytes.len() < 18) {
            return Expected::drop(DropReason::Malformed);
        }
        let key = parse(bytes).unwrap();
        if let Some(expected) = link_local(port, bytes, tagged) {
            return expected;
        }
        if !self.up.contains(&at) {
            return Expected::drop(DropReason::PortDown);
        }
        let tag = tagged.then(|| u16::from_be_bytes([bytes[14], bytes[15]]));
        let behind = if tagged { 16 } else { 12 };
        let next = &bytes[behind..behind + 2];
        let another_tag = (tagged && next == [0x81, 0x00]) || next == [0x88, 0xa8];
        let vlan = match vlan_of(&port.mode, tag, another_tag) {
            Ok(vlan) => vlan,
            Err(reason) => return Expected::drop(reason),
        };
        if let Err(reason) = self.source(port, vlan, key.src) {
            return Expected::drop(reason);
        }
        let mut acl_decisions = 0;
        if !self.permits(&port.acl_in, &key, &mut acl_decisions) {
            let expected = Expected::drop(DropReason::AclIngress);
            return Expected { acl_decisions, ..expected };
        }
        let wanted = match port.role {
            PortRole::Vethernet(_) => self.sent_by_vm(at, vlan, &key),
            PortRole::Uplink(_) => self.sent_by_wire(at, vlan, &key, now_ns),
        };
        let mut expected = match wanted {
            Ok(ports) => self.leave(&ports, vlan, &key, wire, another_tag, &mut acl_decisions),
            Err(reason) => Expected::drop(reason),
        };
        expected.acl_decisions = acl_decisions;
        expected
    }

    /// F1 and R4.
    fn source(&self, port: &PortIntent, vlan: VlanId, src: MacAddr) -> Result<(), DropReason> {
        let PortRole::Vethernet(role) = &port.role else {
            return match self.owner(vlan, src) {
                Some(owner) if !self.leaving.contains(&owner) => {
                    Err(DropReason::OwnSourceFromUplink)
                }
                _ => Ok(()),
            };
        };
        if src.octets()[0] & 1 == 1 || src.octets() == [0; 6] {
            return Err(DropReason::SourceMacInvalid);
        }
        let allowed = match &role.mac_allow {
            MacAllow::Any => true,
            MacAllow::List(list) => list.contains(&src) || src == role.mac,
        };
        if allowed { Ok(()) } else { Err(DropReason::SourceMacViolation) }
    }

    /// F4, F5 and F6: the ports that are to have the frame, in order.
    fn sent_by_vm(
        &self,
        at: InterfaceName,
        vlan: VlanId,
        key: &FrameKey,
    ) -> Result<Vec<InterfaceName>, DropReason> {
        let mut ports = Vec::new();
        if key.dst.octets()[0] & 1 == 1 {
            ports.extend(self.members(vlan, at, |_| true));
        } else if let Some(owner) = self.owner(vlan, key.dst) {
            if owner == at {
                return Err(DropReason::Hairpin);
            }
            ports.push(owner);
            ports.extend(self.members(vlan, at, |vm| vm.promiscuous).filter(|p| *p != owner));
            return Ok(ports);
        } else {
            ports.extend(self.members(vlan, at, |vm| vm.promiscuous || vm.uufb_disabled));
        }
        ports.extend(self.uplink(at, vlan, key));
        if ports.is_empty() { Err(DropReason::NoUplink) } else { Ok(ports) }
    }

    /// R5 to R8.
    fn sent_by_wire(
        &self,
        at: InterfaceName,
        vlan: VlanId,
        key: &FrameKey,
        now_ns: u64,
    ) -> Result<Vec<InterfaceName>, DropReason> {
        let group = self.groups.iter().position(|members| members.contains(&at));
        let by_its_uplink = |vm: &InterfaceName| {
            let (pinned, grace_until_ns) = self.pins[vm];
            now_ns < grace_until_ns || (group.is_some() && pinned == group)
        };
        if key.dst.octets()[0] & 1 == 1 {
            if group.is_none() || self.designated.get(&vlan).copied() != group {
                return Err(DropReason::NotDesignatedUplink);
            }
            let ports: Vec<_> = self.members(vlan, at, |_| true).collect();
            return if ports.is_empty() { Err(DropReason::NoLocalMember) } else { Ok(ports) };
        }
        if let Some(owner) = self.owner(vlan, key.dst) {
            if !by_its_uplink(&owner) {
                return Err(DropReason::NotPinnedUplink);
            }
            let others = self.members(vlan, at, |vm| vm.promiscuous).filter(|p| *p != owner);
            return Ok([owner].into_iter().chain(others).collect());
        }
        let wanting = self.members(vlan, at, |vm| vm.promiscuous || vm.uufb_disabled);
        let ports: Vec<_> = wanting.filter(by_its_uplink).collect();
        if ports.is_empty() { Err(DropReason::UnknownUnicastFromUplink) } else { Ok(ports) }
    }

    /// What the egress ports make of it.
    fn leave(
        &self,
        ports: &[InterfaceName],
        vlan: VlanId,
        key: &FrameKey,
        wire: Wire<'_>,
        another_tag: bool,
        acl_decisions: &mut u64,
    ) -> Expected {
        let mut expected = Expected::end(Verdict::Forward);
        let payload = wire.segment_bytes - if key.tag.is_some() { 18 } else { 14 };
        for name in ports {
            let port = &self.intent.ports[name];
            let refusal = if !self.up.contains(name) {
                Some(DropReason::PortDown)
            } else if !self.permits(&port.acl_out, key, acl_decisions) {
                Some(DropReason::AclEgress)
            } else if payload > u32::from(port.mtu_bytes) {
                Some(DropReason::MtuExceeded)
            } else {
                None
            };
            match refusal {
                Some(reason) => expected.refusals.push((*name, reason)),
                None => {
                    let tagged = match &port.mode {
                        PortMode::Access(_) => false,
                        PortMode::Trunk { native, .. } => *native != vlan || another_tag,
                    };
                    expected.outputs.push((*name, edit(key.tag, tagged, vlan)));
                }
            }
        }
        if expected.outputs.is_empty() {
            expected.verdict = Verdict::Drop(expected.refusals[0].1);
        }
        expected
    }

    /// L(v): the VMs' own addresses, and those that a profile lists; of a listed one that several
    /// ports share, the first by name is the owner.
    fn owner(&self, vlan: VlanId, mac: MacAddr) -> Option<InterfaceName> {
        let by = |owns: &dyn Fn(&VethernetRole) -> bool| {
            let ports = self.intent.ports.iter();
            let mut owners = ports.filter(|(_, port)| match &port.role {
                PortRole::Vethernet(vm) => port.admin_up && owns(vm) && carries(port, vlan),
                PortRole::Uplink(_) => false,
            });
            owners.next().map(|(name, _)| *name)
        };
        by(&|vm| vm.mac == mac).or_else(|| {
            by(&|vm| matches!(&vm.mac_allow, MacAllow::List(list) if list.contains(&mac)))
        })
    }

    /// The local members of a VLAN that are up, but `at`.
    fn members(
        &self,
        vlan: VlanId,
        at: InterfaceName,
        which: impl Fn(&VethernetRole) -> bool,
    ) -> impl Iterator<Item = InterfaceName> {
        self.order.iter().copied().filter(move |name| {
            let port = &self.intent.ports[name];
            let wanted = match &port.role {
                PortRole::Vethernet(vm) => which(vm),
                PortRole::Uplink(_) => false,
            };
            wanted && *name != at && port.admin_up && self.up.contains(name) && carries(port, vlan)
        })
    }

    /// The member of U(p) that this flow leaves by. The 256 buckets of a group that is new have its
    /// members in turn.
    fn uplink(&self, at: InterfaceName, vlan: VlanId, key: &FrameKey) -> Option<InterfaceName> {
        let members = &self.groups[self.pins[&at].0?];
        let flow = match (self.intent.teaming.load_balance, at) {
            (LoadBalance::Flow(fields), _) => key.flow_hash(fields, vlan),
            (LoadBalance::SourceVirtualPortId, InterfaceName::Vethernet(id)) => avalanche(id.get()),
            (LoadBalance::SourceVirtualPortId, _) => unreachable!("a VM sent it"),
        };
        let member = members[flow as usize % 256 % members.len()];
        let port = &self.intent.ports[&member];
        (port.admin_up && self.up.contains(&member) && carries(port, vlan)).then_some(member)
    }

    fn permits(&self, lists: &AclBinding, key: &FrameKey, decisions: &mut u64) -> bool {
        // TCP, UDP, ICMP and SCTP, and the extension headers that are not passed.
        let shows_l4 = match key.proto.get() {
            1 | 6 | 17 | 58 | 132 => key.has_l4 || key.fragment == Fragment::Later,
            0 | 43 | 44 | 51 | 60 | 135 | 139 | 140 if key.l3 == L3::Ipv6 => {
                key.fragment == Fragment::Later
            }
            _ => true,
        };
        let (list, readable): (&Option<Name>, bool) = match key.ether_type.get() {
            0x0800 => (&lists.ip, key.l3 == L3::Ipv4 && shows_l4),
            0x86dd => (&lists.ipv6, key.l3 == L3::Ipv6 && shows_l4),
            0x8100 | 0x88a8 if lists.ip.is_some() => (&lists.ip, false),
            0x8100 | 0x88a8 if lists.ipv6.is_some() => (&lists.ipv6, false),
            _ => (&lists.mac, true),
        };
        let Some(list) = list else { return true };
        if !readable {
            return false;
        }
        *decisions += 1;
        for entry in self.intent.acls[list].entries.values() {
            let Entry::Rule(rule) = entry else { continue };
            // The generator writes no other conditions than these.
            let matches = match &rule.matches {
                Match::Mac(mac) => mac.ether_type.is_none_or(|t| t == key.ether_type),
                Match::Ip(ip) => {
                    ip.proto.is_none_or(|proto| proto == key.proto)
                        && ip.dst_port.is_none_or(|p| p == PortMatch::Eq(key.l4_dst))
                }
            };
            if matches {
                return rule.action == Action::Permit;
            }
        }
        false
    }
}

fn carries(port: &PortIntent, vlan: VlanId) -> bool {
    match &port.mode {
        PortMode::Access(own) => *own == vlan,
        PortMode::Trunk { allowed, .. } => allowed.contains(vlan),
    }
}

/// The finalizer of MurmurHash3.
fn avalanche(number: u32) -> u32 {
    let steps = [(16, 0x85eb_ca6b_u64), (13, 0xc2b2_ae35), (16, 1)];
    let step = |hash: u64, (shift, factor): &(u32, u64)| {
        ((hash ^ hash >> shift) * factor) & u64::from(u32::MAX)
    };
    steps.iter().fold(number.into(), step) as u32
}

/// F2, R1 and R2.
fn link_local(port: &PortIntent, bytes: &[u8], tagged: bool) -> Option<Expected> {
    let at = if tagged { 16 } else { 12 };
    let ether_type = u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    let llc_bpdu = ether_type < 0x600 && bytes[at + 2..].starts_with(&[0x42, 0x42, 0x03]);
    let (bpdu, task) = match (&bytes[..6], ether_type) {
        ([0x01, 0x80, 0xc2, 0, 0, 0x00 | 0x03 | 0x0e], 0x88cc) => (false, Some(PuntTask::Lldp)),
        ([0x01, 0x80, 0xc2, 0, 0, 0x00 | 0x08], _) => (true, None),
        ([0x01, 0x80, 0xc2, 0, 0, 0x02], 0x8809) => (false, Some(PuntTask::Slow)),
        ([0x01, 0x80, 0xc2, 0, 0, 0x00..=0x0f], _) => (llc_bpdu, None),
        ([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcd], _) => (true, None),
        ([0x01, 0x00, 0x0c, 0xcc, 0xcc, 0xcc], _) => (false, Some(PuntTask::Cdp)),
        _ => return None,
    };
    Some(match (&port.role, bpdu, task) {
        (PortRole::Vethernet(vm), true, _) => {
            let expected = Expected::drop(DropReason::BpduFromVm);
            Expected { bpdu_guard: vm.bpdu_guard, ..expected }
        }
        (PortRole::Vethernet(_), false, _) => Expected::drop(DropReason::LinkLocalFromVm),
        (PortRole::Uplink(_), true, _) => Expected::drop(DropReason::BpduFromWire),
        (PortRole::Uplink(_), false, Some(task)) => Expected::end(Verdict::Punt(task)),
        (PortRole::Uplink(_), false, None) => Expected::drop(DropReason::LinkLocalFromWire),
    })
}

/// F3 and R3.
fn vlan_of(mode: &PortMode, tag: Option<u16>, another_tag: bool) -> Result<VlanId, DropReason> {
    let vid = tag.map_or(0, |tci| tci & 0x0fff);
    match (vid, mode) {
        (4095, _) => Err(DropReason::VidReserved),
        (0, PortMode::Access(_)) if another_tag => Err(DropReason::TagOnAccess),
        (0, PortMode::Access(vlan)) => Ok(*vlan),
        (_, PortMode::Access(_)) => Err(DropReason::TagOnAccess),
        (0, PortMode::Trunk { native, allowed }) if allowed.contains(*native) => Ok(*native),
        (vid, PortMode::Trunk { allowed, .. }) => VlanId::new(vid)
            .ok()
            .filter(|vlan| allowed.contains(*vlan))
            .ok_or(DropReason::VlanNotAllowed),
    }
}

/// How a frame that came with this tag comes to leave with or without one.
fn edit(came: Option<Tag>, leaves_tagged: bool, vlan: VlanId) -> TagEdit {
    let Some(came) = came else {
        return if leaves_tagged { TagEdit::Push(Tag { tci: vlan.get() }) } else { TagEdit::Keep };
    };
    let tag = Tag { tci: came.tci & 0xf000 | vlan.get() };
    if !leaves_tagged {
        TagEdit::Pop
    } else if tag == came {
        TagEdit::Keep
    } else {
        TagEdit::Rewrite(tag)
    }
}
