//! Targets become copies, one an egress port; local ports ascending, the uplink last.
//!
//! A port never gets its own frame back, and of a flood a port that is down is no part. Only the
//! port that an address belongs to stays in when it is down, so that the reason can be told.
//!
//! Unknown unicast from the wire reaches a port that wants it only by the port's own uplink, as
//! known unicast does (R6): a physical switch that floods it does so on every link of the host, and
//! each copy but one is a duplicate.
//!
//! A frame of which at least one copy leaves is forwarded; one whose copies were all refused is
//! dropped for the reason of the first. Each refused copy also counts at the port that refused it.

use policy::snapshot::{Role, Vlan};
use proto::{DropReason, PortId};

use super::egress;
use crate::core::batch::{Batch, Local, Output, Slot, Targets, Verdict};
use crate::core::state::State;
use crate::core::trace::{Step, Trace};
use crate::core::view::View;

/// Writes the outputs of every frame; drops a frame that has none.
pub(in crate::core) fn run(view: &View, state: &State, batch: &mut Batch, trace: &mut impl Trace) {
    for slot in batch.live() {
        let targets = batch.targets[slot];
        let vlan = view.snapshot.vlan(batch.vlan[slot]);
        let (leaves, refusal) = match only_target(vlan, targets) {
            Some(port) => Copies::of(slot, view, state, batch, trace).add_one(port),
            None => Copies::of(slot, view, state, batch, trace).add_all(vlan, targets),
        };
        if !leaves {
            let reason = refusal.unwrap_or_else(|| nobody(view, targets.local, batch));
            batch.end(slot, Verdict::Drop(reason));
        }
    }
}

/// The one port of a unicast frame that nobody else wants to see: nearly every frame there is.
#[inline]
const fn only_target(vlan: &Vlan, targets: Targets) -> Option<PortId> {
    match targets.local {
        Local::Known(owner) if vlan.promiscuous.is_empty() => Some(owner),
        Local::Unknown if vlan.promiscuous.is_empty() && vlan.uufb.is_empty() => targets.uplink,
        _ => None,
    }
}

/// The copies of one frame.
struct Copies<'a, T> {
    slot: Slot,
    view: &'a View,
    state: &'a State,
    batch: &'a mut Batch,
    trace: &'a mut T,
    leaves: bool,
    refusal: Option<DropReason>,
}

impl<'a, T: Trace> Copies<'a, T> {
    #[inline(always)]
    const fn of(
        slot: Slot,
        view: &'a View,
        state: &'a State,
        batch: &'a mut Batch,
        trace: &'a mut T,
    ) -> Self {
        Self { slot, view, state, batch, trace, leaves: false, refusal: None }
    }

    /// Adds the copy of a frame that has one target. Whether it leaves, and why not.
    #[inline(always)] // So that all of this stays in registers.
    fn add_one(mut self, port: PortId) -> (bool, Option<DropReason>) {
        self.add(port);
        (self.leaves, self.refusal)
    }

    /// Adds a copy for every port that the frame is for. Whether one leaves, and why the first does
    /// not.
    #[inline(never)] // Out of the way of frames that have one target.
    fn add_all(mut self, vlan: &Vlan, targets: Targets) -> (bool, Option<DropReason>) {
        let (view, now_ns) = (self.view, self.batch.now_ns);
        match targets.local {
            Local::Known(owner) => {
                self.add(owner);
                for port in vlan.promiscuous.iter().filter(|port| **port != owner) {
                    self.add_taking(*port);
                }
            }
            Local::Unknown => wanting_unknown(vlan).for_each(|port| self.add_taking(port)),
            Local::UnknownFrom(group) => wanting_unknown(vlan)
                .filter(|port| view.team.accepts(*port, group, now_ns))
                .for_each(|port| self.add_taking(port)),
            Local::Flood => vlan.flood.iter().for_each(|port| self.add_taking(*port)),
        }
        if let Some(uplink) = targets.uplink {
            self.add(uplink);
        }
        (self.leaves, self.refusal)
    }

    /// Adds a copy for a member of the VLAN, unless the frame is its own or it is down.
    #[inline]
    fn add_taking(&mut self, port: PortId) {
        if port != self.batch.ingress && self.view.team.is_up(port) {
            self.add(port);
        }
    }

    /// Adds a copy, if the egress port lets it pass.
    #[inline(always)] // Measured: a third of the stage's cost is saved in the path of one target.
    fn add(&mut self, port: PortId) {
        debug_assert!(!self.wire_to_wire(port), "rule R9");
        match egress::check(self.slot, port, self.view, self.state, self.batch, self.trace) {
            Ok(edit) => {
                self.trace.step(self.slot, Step::Output { port, edit });
                self.batch.outputs.push(Output { frame: self.slot, port, edit });
                self.leaves = true;
            }
            Err(reason) => {
                self.trace.step(self.slot, Step::Refused { port, reason });
                self.state.counters.port(port).tx_drop(reason);
                self.refusal = self.refusal.or(Some(reason));
            }
        }
    }

    /// What must not happen, whatever the configuration.
    fn wire_to_wire(&self, to: PortId) -> bool {
        let role = |id| self.view.snapshot.port(id).map(|port| &port.role);
        let uplink = |id| matches!(role(id), Some(Role::Uplink(_)));
        uplink(self.batch.ingress) && uplink(to)
    }
}

/// Ports that get unknown unicast, ascending and each once: promiscuous ones and those without
/// blocking of unknown unicast. Both lists are ascending, and nearly always empty.
fn wanting_unknown(vlan: &Vlan) -> impl Iterator<Item = PortId> + '_ {
    let mut promiscuous = vlan.promiscuous.iter().copied().peekable();
    let mut unblocked = vlan.uufb.iter().copied().peekable();
    std::iter::from_fn(move || match (promiscuous.peek(), unblocked.peek()) {
        (Some(a), Some(b)) if a == b => {
            promiscuous.next();
            unblocked.next()
        }
        (Some(a), Some(b)) if a > b => unblocked.next(),
        (Some(_), _) => promiscuous.next(),
        (None, _) => unblocked.next(),
    })
}

/// Why a frame that found no port at all is dropped.
fn nobody(view: &View, local: Local, batch: &Batch) -> DropReason {
    let role = view.snapshot.port(batch.ingress).map(|port| &port.role);
    match (role, local) {
        (Some(Role::Vethernet(_)), _) => DropReason::NoUplink,
        (_, Local::Flood) => DropReason::NoLocalMember,
        _ => DropReason::UnknownUnicastFromUplink,
    }
}
