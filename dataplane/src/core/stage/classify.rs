//! Tags become VLANs: rules F3 and R3.

use policy::snapshot::{Role, VlanMode};
use proto::frame::{FrameKey, vlan};
use proto::{DropReason, VlanId};

use super::drop_by;
use crate::core::batch::{Batch, Verdict};
use crate::core::rule::Rule;
use crate::core::trace::{Step, Trace};
use crate::core::view::View;

/// The reserved VLAN identifier (IEEE 802.1Q-2018 table 9-2).
const VID_RESERVED: u16 = 4095;
/// A tag that carries a priority and no VLAN.
const VID_PRIORITY: u16 = 0;

/// Finds the VLAN of every frame. From here on a port has to be operationally up.
pub(in crate::core) fn run(view: &View, batch: &mut Batch, trace: &mut impl Trace) {
    let Some(port) = view.snapshot.port(batch.ingress) else { return };
    let up = view.team.is_up(port.id);
    let rule = match port.role {
        Role::Vethernet(_) => Rule::F3,
        Role::Uplink(_) => Rule::R3,
    };
    for slot in batch.live() {
        if !up {
            batch.end(slot, Verdict::Drop(DropReason::PortDown));
            continue;
        }
        match classify(&port.vlan_mode, &batch.key[slot]) {
            Ok(vlan) => {
                batch.vlan[slot] = vlan;
                trace.step(slot, Step::Classified(vlan));
            }
            Err(reason) => drop_by(rule, slot, reason, batch, trace),
        }
    }
}

/// The VLAN of a frame at a port.
///
/// A priority tag is no tag as far as VLANs go, but one with a further tag behind it is refused at
/// an access port: popped on the way out, it would leave a tagged frame that nobody let in. So is a
/// service tag: a receiver takes one with VID 0 off and reads what is behind it, which no list saw.
#[inline]
fn classify(mode: &VlanMode, key: &FrameKey) -> Result<VlanId, DropReason> {
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
