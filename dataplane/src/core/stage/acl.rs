//! The access lists of a port, inbound for frames and outbound for copies.
//!
//! Which list speaks of a frame is decided by its EtherType. When that says IP but the header
//! cannot be read, or the L4 header is not where it has to be, no rule of an IP list can be decided,
//! and a bound one denies: otherwise a crooked header would be a way around the list. So it does with
//! a frame that has a further tag, which may be IP all the same: a receiver takes tags with VID 0 off.

use policy::acl::{AclKind, Action, CompiledAcl};
use policy::snapshot::{AclIndex, Acls};
use proto::frame::key::L3;
use proto::{DropReason, EtherType, PortId};

use crate::core::batch::{Batch, Event, Slot, Verdict};
use crate::core::state::State;
use crate::core::trace::{Direction, Step, Trace};
use crate::core::view::View;

/// Applies the inbound lists of the ingress port to every frame.
pub(in crate::core) fn run(view: &View, state: &State, batch: &mut Batch, trace: &mut impl Trace) {
    let Some(port) = view.snapshot.port(batch.ingress) else { return };
    if port.acl_in == (Acls { mac: None, ip: None, ipv6: None }) {
        return;
    }
    let lists = Lists { acls: &port.acl_in, port: port.id, direction: Direction::In };
    for slot in batch.live() {
        if !lists.permit(slot, view, state, batch, trace) {
            batch.end(slot, Verdict::Drop(DropReason::AclIngress));
        }
    }
}

/// The lists of one direction of a port.
pub(super) struct Lists<'a> {
    pub(super) acls: &'a Acls,
    pub(super) port: PortId,
    pub(super) direction: Direction,
}

impl Lists<'_> {
    /// What the lists say of a frame.
    #[inline(always)] // Without a list this is a load and a compare; a call costs ten times that.
    pub(super) fn permit(
        &self,
        slot: Slot,
        view: &View,
        state: &State,
        batch: &mut Batch,
        trace: &mut impl Trace,
    ) -> bool {
        let acl = match batch.key[slot].ether_type {
            EtherType::IPV4 => self.acls.ip,
            EtherType::IPV6 => self.acls.ipv6,
            EtherType::VLAN | EtherType::SERVICE_VLAN => {
                self.acls.ip.or(self.acls.ipv6).or(self.acls.mac)
            }
            _ => self.acls.mac,
        };
        acl.is_none_or(|acl| self.ask(acl, slot, view, state, batch, trace))
    }

    /// Evaluates a list, and counts and reports the match.
    #[inline(never)]
    fn ask(
        &self,
        acl: AclIndex,
        slot: Slot,
        view: &View,
        state: &State,
        batch: &mut Batch,
        trace: &mut impl Trace,
    ) -> bool {
        let (port, direction) = (self.port, self.direction);
        let key = &batch.key[slot];
        let speaks = |list: &&CompiledAcl| match list.kind() {
            AclKind::Mac => key.l3 == L3::Other,
            AclKind::Ipv4 | AclKind::Ipv6 => key.l3 != L3::Other && key.is_readable(),
        };
        let Some(list) = view.snapshot.acl(acl).filter(speaks) else {
            trace.step(slot, Step::AclUnreadable { port, direction, acl });
            return false;
        };
        let decision = list.eval(key, batch.vlan[slot]);
        state.counters.count_rule(decision.counter);
        trace.step(slot, Step::Acl { port, direction, acl, decision });
        if decision.log {
            let (sequence, action) = (decision.sequence, decision.action);
            batch.report(Event::AclLog { frame: slot, port, direction, acl, sequence, action });
        }
        decision.action == Action::Permit
    }
}
