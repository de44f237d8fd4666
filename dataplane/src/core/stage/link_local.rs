//! Frames that no bridge may relay: rules F2, R1 and R2.
//!
//! They are told by their addresses alone, before VLAN classification, because they belong to the
//! link and to no VLAN; a tag on them changes nothing (CDP comes tagged with VLAN 1 on trunks whose
//! native VLAN is another).

use policy::snapshot::{Role, Vethernet};
use proto::DropReason;
use proto::frame::ControlKind;

use super::drop_by;
use crate::core::batch::{Batch, Frame, PuntTask, Slot, Verdict};
use crate::core::rule::Rule;
use crate::core::trace::{Step, Trace};
use crate::core::view::View;

/// Takes the link-constrained frames out. All of their addresses are group addresses, so a burst
/// of unicast costs nothing here.
pub(in crate::core) fn run(
    view: &View,
    frames: &[Frame<'_>],
    batch: &mut Batch,
    trace: &mut impl Trace,
) {
    let Some(port) = view.snapshot.port(batch.ingress) else { return };
    for slot in batch.live_groups() {
        let head = frames.get(slot.index()).map_or(&[][..], |frame| frame.head);
        let kind = batch.key[slot].control_kind(head);
        if kind == ControlKind::None {
            continue;
        }
        match &port.role {
            Role::Vethernet(vethernet) => from_vm(vethernet, kind, slot, batch, trace),
            Role::Uplink(_) => from_wire(kind, slot, batch, trace),
        }
    }
}

fn from_vm(
    vethernet: &Vethernet,
    kind: ControlKind,
    slot: Slot,
    batch: &mut Batch,
    trace: &mut impl Trace,
) {
    let reason = if kind.is_spanning_tree() {
        if vethernet.bpdu_guard {
            batch.bpdu_guard();
        }
        DropReason::BpduFromVm
    } else {
        DropReason::LinkLocalFromVm
    };
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
