//! Frames that no bridge may relay: rules F2, R1 and R2.
//!
//! They are told by their addresses alone, before VLAN classification, because they belong to the
//! link and to no VLAN; a tag on them changes nothing (CDP comes tagged with VLAN 1 on trunks whose
//! native VLAN is another).

use policy::snapshot::{Port, Role};
use proto::DropReason;
use proto::frame::ControlKind;

use super::drop_by;
use crate::core::batch::{Batch, Frame, PuntTask, Slot, Verdict};
use crate::core::rule::Rule;
use crate::core::trace::{Step, Trace};
use crate::core::view::View;

/// Takes the link-constrained frames out.
pub(in crate::core) fn run(
    view: &View,
    frames: &[Frame<'_>],
    batch: &mut Batch,
    trace: &mut impl Trace,
) {
    for (slot, frame) in batch.all().zip(frames) {
        let key = &batch.key[slot];
        // One compare for nearly all frames: every address of interest is a group address.
        if !key.dst.is_multicast() || !batch.is_live(slot) {
            continue;
        }
        let kind = key.control_kind(frame.head);
        if kind == ControlKind::None {
            continue;
        }
        let Some(port) = view.snapshot.port(frame.ingress) else { continue };
        match &port.role {
            Role::Vethernet(vethernet) => {
                from_vm(port, vethernet.bpdu_guard, kind, slot, batch, trace);
            }
            Role::Uplink(_) => from_wire(kind, slot, batch, trace),
        }
    }
}

fn from_vm(
    port: &Port,
    bpdu_guard: bool,
    kind: ControlKind,
    slot: Slot,
    batch: &mut Batch,
    trace: &mut impl Trace,
) {
    if kind.is_spanning_tree() && bpdu_guard {
        batch.bpdu_guard(port.id);
    }
    let reason =
        if kind.is_spanning_tree() { DropReason::BpduFromVm } else { DropReason::LinkLocalFromVm };
    drop_by(Rule::F2, slot, reason, batch, trace);
}

fn from_wire(kind: ControlKind, slot: Slot, batch: &mut Batch, trace: &mut impl Trace) {
    let task = match kind {
        ControlKind::Slow => PuntTask::Slow,
        ControlKind::Lldp => PuntTask::Lldp,
        ControlKind::Cdp => PuntTask::Cdp,
        ControlKind::Bpdu | ControlKind::Pvst => {
            return drop_by(Rule::R2, slot, DropReason::BpduFromWire, batch, trace);
        }
        ControlKind::None | ControlKind::LinkLocalOther => {
            return drop_by(Rule::R1, slot, DropReason::LinkLocalFromWire, batch, trace);
        }
    };
    trace.step(slot, Step::Rule(Rule::R1));
    batch.end(slot, Verdict::Punt(task));
}
