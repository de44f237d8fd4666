//! Tags become VLANs: rules F3 and R3.

use policy::snapshot::VlanMode;
use proto::frame::{FrameKey, vlan};
use proto::{DropReason, VlanId};

use crate::core::batch::{Slot, Verdict};
use crate::core::rule::Rule;
use crate::core::trace::{Step, Trace};
use crate::core::way::{Stage, Way};

/// The reserved VLAN identifier (IEEE 802.1Q-2018 table 9-2).
const VID_RESERVED: u16 = 4095;
/// A tag that carries a priority and no VLAN.
const VID_PRIORITY: u16 = 0;

/// The VLAN of a frame, by this rule. From here on a port has to be operationally up.
#[inline(always)]
pub(in crate::core) fn vlan<T: Trace>(
    way: &mut Way<'_, T>,
    rule: Rule,
    slot: Slot,
    key: &FrameKey,
) -> Stage<VlanId> {
    if !way.is_up {
        return Err(Verdict::Drop(DropReason::PortDown));
    }
    let vlan =
        classify(&way.port.vlan_mode, key).map_err(|reason| way.drop_by(rule, slot, reason))?;
    way.trace.step(slot, Step::Classified(vlan));
    Ok(vlan)
}

/// The VLAN of a frame at a port.
///
/// A priority tag is no tag as far as VLANs go, but one with a further tag behind it is refused at
/// an access port: popped on the way out, it would leave a tagged frame that nobody let in. So is a
/// service tag: a receiver takes one with VID 0 off and reads what is behind it, which no list saw.
#[inline(always)]
fn classify(mode: &VlanMode, key: &FrameKey) -> Result<VlanId, DropReason> {
    // Nearly every frame of a VM, told before anything else is asked.
    if let (VlanMode::Access(vlan), None) = (mode, key.tag)
        && !vlan::is_tpid(key.ether_type)
    {
        return Ok(*vlan);
    }
    let vid = key.tag.map_or(VID_PRIORITY, |tag| tag.vid());
    if vid == VID_RESERVED {
        return Err(DropReason::VidReserved);
    }
    match mode {
        VlanMode::Access(_) if vid != VID_PRIORITY || vlan::is_tpid(key.ether_type) => {
            Err(DropReason::TagOnAccess)
        }
        VlanMode::Access(vlan) => Ok(*vlan),
        VlanMode::Trunk { native, allowed } => {
            let vlan = key.tag.and_then(|tag| tag.vlan()).unwrap_or(*native);
            if allowed.contains(vlan) { Ok(vlan) } else { Err(DropReason::VlanNotAllowed) }
        }
    }
}
