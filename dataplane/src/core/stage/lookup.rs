//! The forwarding table itself: where a frame wants to go. Rules F4, F5, F6 and R5 to R8.

use policy::snapshot::Role;
use proto::{DropReason, PortId};

use super::drop_by;
use crate::core::batch::{Batch, Local, Slot, Targets};
use crate::core::rule::Rule;
use crate::core::team::GroupId;
use crate::core::trace::{Step, Trace};
use crate::core::view::{Exit, View};

/// Finds the targets of every frame.
pub(in crate::core) fn run(view: &View, batch: &mut Batch, trace: &mut impl Trace) {
    let Some(port) = view.snapshot.port(batch.ingress) else { return };
    match &port.role {
        Role::Vethernet(_) => {
            let exit = view.exit(port);
            for slot in batch.live() {
                note(from_vm(view, port.id, exit, slot, batch), slot, batch, trace);
            }
        }
        Role::Uplink(_) => {
            let group = view.team.group_of(port.id);
            for slot in batch.live() {
                note(from_wire(view, group, slot, batch), slot, batch, trace);
            }
        }
    }
}

type Found = Result<(Rule, Targets), (Rule, DropReason)>;

#[inline]
fn note(found: Found, slot: Slot, batch: &mut Batch, trace: &mut impl Trace) {
    match found {
        Ok((rule, targets)) => {
            trace.step(slot, Step::Rule(rule));
            batch.targets[slot] = targets;
        }
        Err((rule, reason)) => drop_by(rule, slot, reason, batch, trace),
    }
}

/// F4, F5 and F6.
#[inline]
fn from_vm(view: &View, ingress: PortId, exit: Exit<'_>, slot: Slot, batch: &Batch) -> Found {
    let (key, vlan) = (&batch.key[slot], batch.vlan[slot]);
    let group_address = key.dst.is_multicast();
    if !group_address && let Some(owner) = view.snapshot.fib().lookup(vlan, key.dst) {
        return if owner == ingress {
            Err((Rule::F4, DropReason::Hairpin))
        } else {
            Ok((Rule::F4, Targets { local: Local::Known(owner), uplink: None }))
        };
    }
    let uplink = exit.uplink(view, key, vlan);
    Ok(if group_address {
        (Rule::F6, Targets { local: Local::Flood, uplink })
    } else {
        (Rule::F5, Targets { local: Local::Unknown, uplink })
    })
}

/// R5 to R8, for a frame from a member of this group. None of them names an uplink as target: that
/// is R9.
#[inline]
fn from_wire(view: &View, group: Option<GroupId>, slot: Slot, batch: &Batch) -> Found {
    let (dst, vlan) = (batch.key[slot].dst, batch.vlan[slot]);
    let to = |rule, local| Ok((rule, Targets { local, uplink: None }));
    if dst.is_multicast() {
        return if group.is_some() && group == view.team.designated(vlan) {
            to(Rule::R8, Local::Flood)
        } else {
            Err((Rule::R8, DropReason::NotDesignatedUplink))
        };
    }
    match view.snapshot.fib().lookup(vlan, dst) {
        Some(owner) if view.team.accepts(owner, group, batch.now_ns) => {
            to(Rule::R5, Local::Known(owner))
        }
        Some(_) => Err((Rule::R6, DropReason::NotPinnedUplink)),
        None => to(Rule::R7, Local::UnknownFrom(group)),
    }
}
