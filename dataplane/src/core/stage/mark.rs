//! The form of the tag that a copy leaves with.
//!
//! The priority bits of a frame that has a tag go into the tag that it leaves with; a frame
//! without one has priority 0.

use policy::snapshot::VlanMode;
use proto::VlanId;
use proto::frame::edit::TagEdit;
use proto::frame::key::Tag;
use proto::frame::{FrameKey, vlan};

/// What becomes of the frame's tag at a port of this mode.
#[inline]
pub(super) fn tag_edit(mode: &VlanMode, key: &FrameKey, vlan: VlanId) -> TagEdit {
    if !leaves_tagged(mode, key, vlan) {
        return untagged(key);
    }
    match key.tag {
        None => TagEdit::Push(Tag { tci: vlan.get() }),
        Some(tag) if tag.vid() == vlan.get() => TagEdit::Keep,
        Some(tag) => TagEdit::Rewrite(tag.with_vlan(vlan)),
    }
}

/// What becomes of the tag of a frame that leaves without one.
#[inline(always)]
pub(super) const fn untagged(key: &FrameKey) -> TagEdit {
    if key.tag.is_some() { TagEdit::Pop } else { TagEdit::Keep }
}

/// Whether the frame leaves with a tag.
///
/// Of the native VLAN of a trunk it does when another tag, of a customer or a service, stands behind
/// the place of its own: without that the next switch would take the other one for the VLAN, and a
/// VM could reach any VLAN of the trunk from the native one (VLAN hopping).
#[inline]
fn leaves_tagged(mode: &VlanMode, key: &FrameKey, vlan: VlanId) -> bool {
    match mode {
        VlanMode::Access(_) => false,
        VlanMode::Trunk { native, .. } => *native != vlan || vlan::is_tpid(key.ether_type),
    }
}
