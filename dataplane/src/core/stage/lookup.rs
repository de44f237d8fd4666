//! The forwarding table itself: where a frame wants to go. Rules F4, F5, F6 and R5 to R8.

use policy::snapshot::Role;
use proto::frame::FlowHash;
use proto::{DropReason, PortId};

use super::drop_by;
use crate::core::batch::{Batch, Local, Slot, Targets};
use crate::core::counters::Cast;
use crate::core::rule::Rule;
use crate::core::trace::{Step, Trace};
use crate::core::view::View;

/// How the flows of a port-channel spread over its members: the default of NX-OS.
const FLOW_HASH: FlowHash = FlowHash::SourceMac;

/// Finds the targets of every frame.
pub(in crate::core) fn run(view: &View, batch: &mut Batch, trace: &mut impl Trace) {
    for slot in batch.live() {
        let ingress = batch.ingress[slot];
        let Some(port) = view.snapshot.port(ingress) else { continue };
        let found = match &port.role {
            Role::Vethernet(_) => from_vm(view, ingress, slot, batch),
            Role::Uplink(_) => from_wire(view, ingress, slot, batch),
        };
        match found {
            Ok((rule, targets)) => {
                trace.step(slot, Step::Rule(rule));
                batch.targets[slot] = targets;
            }
            Err((rule, reason)) => drop_by(rule, slot, reason, batch, trace),
        }
    }
}

type Found = Result<(Rule, Targets), (Rule, DropReason)>;

/// F4, F5 and F6.
#[inline]
fn from_vm(view: &View, ingress: PortId, slot: Slot, batch: &Batch) -> Found {
    let (key, vlan) = (&batch.key[slot], batch.vlan[slot]);
    let uplink = || view.uplink_of(ingress, vlan, key.flow_hash(FLOW_HASH, vlan));
    if batch.cast[slot] != Cast::Unicast {
        return Ok((Rule::F6, Targets { local: Local::Flood, uplink: uplink() }));
    }
    match view.snapshot.fib().lookup(vlan, key.dst) {
        Some(owner) if owner == ingress => Err((Rule::F4, DropReason::Hairpin)),
        Some(owner) => Ok((Rule::F4, Targets { local: Local::Known(owner), uplink: None })),
        None => Ok((Rule::F5, Targets { local: Local::Unknown, uplink: uplink() })),
    }
}

/// R5 to R8. None of them names an uplink as target: that is R9.
#[inline]
fn from_wire(view: &View, ingress: PortId, slot: Slot, batch: &Batch) -> Found {
    let vlan = batch.vlan[slot];
    let group = view.team.group_of(ingress);
    let to = |rule, local| Ok((rule, Targets { local, uplink: None }));
    if batch.cast[slot] != Cast::Unicast {
        return if group.is_some() && group == view.team.designated(vlan) {
            to(Rule::R8, Local::Flood)
        } else {
            Err((Rule::R8, DropReason::NotDesignatedUplink))
        };
    }
    match view.snapshot.fib().lookup(vlan, batch.key[slot].dst) {
        Some(owner) if view.team.accepts(owner, group, batch.now_ns) => {
            to(Rule::R5, Local::Known(owner))
        }
        Some(_) => Err((Rule::R6, DropReason::NotPinnedUplink)),
        None => to(Rule::R7, Local::UnknownFrom(group)),
    }
}
