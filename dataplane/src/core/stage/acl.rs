//! The access lists of a port, inbound for frames and outbound for copies.
//!
//! Which list speaks of a frame is decided by its EtherType. When that says IP but the header cannot
//! be read, no rule of an IP list can be decided, and a bound one denies: otherwise a crooked header
//! would be a way around the list.

use policy::acl::{Action, CompiledAcl};
use policy::snapshot::{AclIndex, Acls};
use proto::frame::FrameKey;
use proto::frame::key::L3;
use proto::{DropReason, EtherType, PortId, VlanId};

use super::refuse;
use crate::core::batch::{Batch, Candidate, Event, Slot, Verdict};
use crate::core::state::State;
use crate::core::trace::{Direction, Step, Trace};
use crate::core::view::View;

/// Applies the inbound lists of the ingress port to every frame.
pub(in crate::core) fn ingress(
    view: &View,
    state: &State,
    batch: &mut Batch,
    trace: &mut impl Trace,
) {
    for slot in batch.live() {
        let Some(port) = view.snapshot.port(batch.ingress[slot]) else { continue };
        let list = Bound { acls: &port.acl_in, port: port.id, direction: Direction::In };
        if !list.permits(slot, view, state, batch, trace) {
            batch.end(slot, Verdict::Drop(DropReason::AclIngress));
        }
    }
}

/// Applies the outbound lists of the egress port to every copy.
pub(in crate::core) fn egress(
    view: &View,
    state: &State,
    batch: &mut Batch,
    trace: &mut impl Trace,
) {
    let mut candidates = std::mem::take(&mut batch.candidates);
    for Candidate { output, refused } in candidates.iter_mut().filter(|c| c.refused.is_none()) {
        let Some(port) = view.snapshot.port(output.port) else { continue };
        let list = Bound { acls: &port.acl_out, port: port.id, direction: Direction::Out };
        if !list.permits(output.frame, view, state, batch, trace) {
            refuse(output.frame, port.id, DropReason::AclEgress, refused, trace);
        }
    }
    batch.candidates = candidates;
}

/// The lists of one direction of a port.
struct Bound<'a> {
    acls: &'a Acls,
    port: PortId,
    direction: Direction,
}

impl Bound<'_> {
    #[inline]
    fn permits(
        &self,
        slot: Slot,
        view: &View,
        state: &State,
        batch: &mut Batch,
        trace: &mut impl Trace,
    ) -> bool {
        let key = &batch.key[slot];
        let (index, readable) = match key.ether_type {
            EtherType::IPV4 => (self.acls.ip, key.l3 == L3::Ipv4),
            EtherType::IPV6 => (self.acls.ipv6, key.l3 == L3::Ipv6),
            _ => (self.acls.mac, true),
        };
        let Some(index) = index else { return true };
        if !readable {
            let (port, direction) = (self.port, self.direction);
            trace.step(slot, Step::AclUnreadable { port, direction, acl: index });
            return false;
        }
        match view.snapshot.acl(index) {
            Some(acl) => self.decide(acl, index, slot, batch.vlan[slot], state, batch, trace),
            None => false,
        }
    }

    #[inline]
    #[allow(clippy::too_many_arguments)] // The stage's arguments and what has been found so far.
    fn decide(
        &self,
        acl: &CompiledAcl,
        index: AclIndex,
        slot: Slot,
        vlan: VlanId,
        state: &State,
        batch: &mut Batch,
        trace: &mut impl Trace,
    ) -> bool {
        let key: &FrameKey = &batch.key[slot];
        let decision = acl.eval(key, vlan);
        state.counters.count_rule(decision.counter);
        let (port, direction) = (self.port, self.direction);
        trace.step(slot, Step::Acl { port, direction, acl: index, decision });
        if decision.log {
            batch.acl_log(Event::AclLog {
                frame: slot,
                port,
                direction,
                acl: index,
                sequence: decision.sequence,
                action: decision.action,
            });
        }
        decision.action == Action::Permit
    }
}
