//! What an egress port says of one copy, in the order of the design: is it in the VLAN, is it up,
//! do its access lists permit the frame, does the frame fit, and with which tag does it leave.

use proto::frame::TagEdit;
use proto::{DropReason, PortId};

use super::acl::Lists;
use super::mark;
use crate::core::batch::{Batch, Slot};
use crate::core::state::State;
use crate::core::trace::{Direction, Trace};
use crate::core::view::View;

/// Whether a copy may leave by this port, and how.
///
/// The MTU is of the payload after Ethernet header and outer tag. Of a super-frame its segments
/// count, not its length.
#[inline(always)] // Seven arguments and a result of two words: a call costs as much as the checks.
pub(super) fn check(
    slot: Slot,
    port: PortId,
    view: &View,
    state: &State,
    batch: &mut Batch,
    trace: &mut impl Trace,
) -> Result<TagEdit, DropReason> {
    let port = view.snapshot.port(port).ok_or(DropReason::PortDown)?;
    let vlan = batch.vlan[slot];
    if !port.vlan_mode.carries(vlan) {
        return Err(DropReason::VlanNotAllowed);
    }
    if !view.is_up(port) {
        return Err(DropReason::PortDown);
    }
    let lists = Lists { acls: &port.acl_out, port: port.id, direction: Direction::Out };
    if !lists.permit(slot, view, state, batch, trace) {
        return Err(DropReason::AclEgress);
    }
    let key = &batch.key[slot];
    let payload_bytes = batch.segment_bytes[slot].saturating_sub(u32::from(key.l3_offset));
    if payload_bytes > u32::from(port.mtu_bytes) {
        return Err(DropReason::MtuExceeded);
    }
    Ok(mark::tag_edit(&port.vlan_mode, key, vlan))
}
