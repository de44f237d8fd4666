//! Frames that no bridge may relay: rules F2, R1 and R2.
//!
//! They are told by their addresses alone, before VLAN classification, because they belong to the
//! link and to no VLAN; a tag on them changes nothing (CDP comes tagged with VLAN 1 on trunks whose
//! native VLAN is another). All of their addresses are group addresses, so unicast costs nothing
//! here.

use policy::snapshot::Vethernet;
use proto::DropReason;
use proto::frame::{ControlKind, FrameKey};

use crate::core::batch::{Frame, PuntTask, Slot, Verdict};
use crate::core::rule::Rule;
use crate::core::trace::{Step, Trace};
use crate::core::way::{Stage, Way};

/// Takes the link-constrained frames of a VM out.
#[inline(always)]
pub(in crate::core) fn from_vm<T: Trace>(
    way: &mut Way<'_, T>,
    vethernet: &Vethernet,
    slot: Slot,
    frame: &Frame<'_>,
    key: &FrameKey,
) -> Stage<()> {
    if !key.dst.is_multicast() {
        return Ok(());
    }
    let reason = match key.control_kind(frame.head) {
        ControlKind::None => return Ok(()),
        kind if kind.is_spanning_tree() => {
            if vethernet.bpdu_guard {
                way.batch.bpdu_guard(way.port.id);
            }
            DropReason::BpduFromVm
        }
        _ => DropReason::LinkLocalFromVm,
    };
    Err(way.drop_by(Rule::F2, slot, reason))
}

/// Takes the link-constrained frames of the physical switch out, and gives those that a control
/// task wants to that one.
#[inline(always)]
pub(in crate::core) fn from_wire<T: Trace>(
    way: &mut Way<'_, T>,
    slot: Slot,
    frame: &Frame<'_>,
    key: &FrameKey,
) -> Stage<()> {
    if !key.dst.is_multicast() {
        return Ok(());
    }
    let task = match key.control_kind(frame.head) {
        ControlKind::None => return Ok(()),
        ControlKind::Slow => PuntTask::Slow,
        ControlKind::Lldp => PuntTask::Lldp,
        ControlKind::Cdp => PuntTask::Cdp,
        ControlKind::Bpdu | ControlKind::Pvst => {
            return Err(way.drop_by(Rule::R2, slot, DropReason::BpduFromWire));
        }
        ControlKind::LinkLocalOther => {
            return Err(way.drop_by(Rule::R1, slot, DropReason::LinkLocalFromWire));
        }
    };
    way.trace.step(slot, Step::Rule(Rule::R1));
    Err(Verdict::Punt(task))
}
