//! What an egress port says of one copy, in the order of the design: is it in the VLAN, is it up,
//! do its access lists permit the frame, does the frame fit, and with which tag does it leave.

use proto::frame::{FrameKey, TagEdit};
use proto::{DropReason, PortId, VlanId};

use super::{acl, mark};
use crate::core::batch::{Frame, Slot};
use crate::core::trace::Trace;
use crate::core::way::Way;

/// How long the payload after Ethernet header and outer tag is, which is what the MTU bounds. Of a
/// super-frame its segments count, not its length.
#[inline(always)]
pub(super) fn payload_bytes(frame: &Frame<'_>, key: &FrameKey) -> u32 {
    frame.segment_bytes.saturating_sub(u32::from(key.l3_offset))
}

/// Whether a copy may leave by this port, and how.
#[inline]
pub(super) fn check<T: Trace>(
    way: &mut Way<'_, T>,
    port: PortId,
    slot: Slot,
    payload_bytes: u32,
    key: &FrameKey,
    vlan: VlanId,
) -> Result<TagEdit, DropReason> {
    let view = way.view;
    let port = view.snapshot.port(port).ok_or(DropReason::PortDown)?;
    if !port.vlan_mode.carries(vlan) {
        return Err(DropReason::VlanNotAllowed);
    }
    if !view.is_up(port) {
        return Err(DropReason::PortDown);
    }
    if !acl::outbound(way, port, slot, key, vlan) {
        return Err(DropReason::AclEgress);
    }
    if payload_bytes > u32::from(port.mtu_bytes) {
        return Err(DropReason::MtuExceeded);
    }
    Ok(mark::tag_edit(&port.vlan_mode, key, vlan))
}
