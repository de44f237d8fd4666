//! The access lists of a port, inbound for frames and outbound for copies.
//!
//! Which list speaks of a frame is decided by its EtherType. When that says IP but the header
//! cannot be read, or the L4 header is not where it has to be, no rule of an IP list can be decided,
//! and a bound one denies: otherwise a crooked header would be a way around the list. So it does with
//! a frame that has a further tag, which may be IP all the same: a receiver takes tags with VID 0 off.

use policy::Snapshot;
use policy::acl::{AclKind, Action, CompiledAcl, Decision};
use policy::snapshot::{AclIndex, Acls, Port};
use proto::frame::FrameKey;
use proto::frame::key::L3;
use proto::{DropReason, EtherType, PortId, VlanId};

use crate::core::batch::{Event, Slot, Verdict};
use crate::core::trace::{Direction, Step, Trace};
use crate::core::way::{Stage, Way};

/// A list by its number, and what that means in the snapshot of the burst.
#[derive(Clone, Copy, Debug)]
struct Bound<'a> {
    acl: AclIndex,
    list: Option<&'a CompiledAcl>,
}

impl<'a> Bound<'a> {
    fn of(acl: AclIndex, snapshot: &'a Snapshot) -> Self {
        Self { acl, list: snapshot.acl(acl) }
    }
}

/// The inbound lists of the ingress port, looked up once a burst.
#[derive(Clone, Copy, Debug)]
pub(in crate::core) struct Inbound<'a> {
    ip: Option<Bound<'a>>,
    ipv6: Option<Bound<'a>>,
    mac: Option<Bound<'a>>,
}

impl<'a> Inbound<'a> {
    /// The lists of a port of this snapshot.
    pub(in crate::core) fn of(port: &Port, snapshot: &'a Snapshot) -> Self {
        let bound = |acl: Option<AclIndex>| acl.map(|acl| Bound::of(acl, snapshot));
        let Acls { mac, ip, ipv6 } = port.acl_in;
        Self { ip: bound(ip), ipv6: bound(ipv6), mac: bound(mac) }
    }
}

/// Applies the inbound lists of the ingress port.
#[inline(always)]
pub(in crate::core) fn inbound<T: Trace>(
    way: &mut Way<'_, T>,
    slot: Slot,
    key: &FrameKey,
    vlan: VlanId,
) -> Stage<()> {
    let Inbound { ip, ipv6, mac } = way.acl_in;
    let chosen = choose(key.ether_type, ip, ipv6, mac);
    let Some(bound) = *chosen else { return Ok(()) };
    if permits(way, bound, (way.port.id, Direction::In), slot, key, vlan) {
        Ok(())
    } else {
        Err(Verdict::Drop(DropReason::AclIngress))
    }
}

/// Whether the outbound lists of a port let a copy pass.
#[inline(always)] // Without a list this is a load and a compare; a call costs ten times that.
pub(super) fn outbound<T: Trace>(
    way: &mut Way<'_, T>,
    port: &Port,
    slot: Slot,
    key: &FrameKey,
    vlan: VlanId,
) -> bool {
    let Acls { mac, ip, ipv6 } = &port.acl_out;
    let Some(acl) = *choose(key.ether_type, ip, ipv6, mac) else { return true };
    let bound = Bound::of(acl, &way.view.snapshot);
    permits(way, bound, (port.id, Direction::Out), slot, key, vlan)
}

/// The list that speaks of frames of this type.
#[inline(always)]
const fn choose<'a, L>(
    ether_type: EtherType,
    ip: &'a Option<L>,
    ipv6: &'a Option<L>,
    mac: &'a Option<L>,
) -> &'a Option<L> {
    match ether_type {
        EtherType::IPV4 => ip,
        EtherType::IPV6 => ipv6,
        EtherType::VLAN | EtherType::SERVICE_VLAN if ip.is_some() => ip,
        EtherType::VLAN | EtherType::SERVICE_VLAN if ipv6.is_some() => ipv6,
        _ => mac,
    }
}

/// Evaluates a list, and counts and reports the match.
#[inline(always)]
fn permits<T: Trace>(
    way: &mut Way<'_, T>,
    bound: Bound<'_>,
    (port, direction): (PortId, Direction),
    slot: Slot,
    key: &FrameKey,
    vlan: VlanId,
) -> bool {
    let acl = bound.acl;
    let Some(list) = bound.list.filter(|list| can_read(list, key)) else {
        way.trace.step(slot, Step::AclUnreadable { port, direction, acl });
        return false;
    };
    let decision = list.eval(key, vlan);
    way.state.counters.count_rule(decision.counter);
    way.trace.step(slot, Step::Acl { port, direction, acl, decision: *decision });
    if decision.log {
        let Decision { sequence, action, .. } = *decision;
        way.batch.acl_log(Event::AclLog { frame: slot, port, direction, acl, sequence, action });
    }
    decision.action == Action::Permit
}

/// Whether the list can tell what the frame is.
#[inline(always)]
fn can_read(list: &CompiledAcl, key: &FrameKey) -> bool {
    match list.kind() {
        AclKind::Mac => key.l3 == L3::Other,
        AclKind::Ipv4 | AclKind::Ipv6 => key.l3 != L3::Other && key.is_readable(),
    }
}
