//! The forwarding table itself: where a frame wants to go. Rules F4, F5, F6 and R5 to R8.

use proto::frame::FrameKey;
use proto::{DropReason, PortId, VlanId};

use crate::core::batch::Slot;
use crate::core::rule::Rule;
use crate::core::team::GroupId;
use crate::core::trace::{Step, Trace};
use crate::core::way::{Stage, Way};

/// Where a frame wants to go on this host, before the egress ports have had their say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::core) enum Local {
    /// A known address: its port, and the promiscuous ones.
    Known(PortId),
    /// An unknown address of a frame from a vEthernet: ports that want such frames.
    Unknown,
    /// An unknown address of a frame from this uplink group: those of them that use the group.
    UnknownFrom(Option<GroupId>),
    /// All members of the VLAN.
    Flood,
}

/// F4, F5 and F6. By the last two the frame also leaves the host.
#[inline(always)]
pub(in crate::core) fn from_vm<T: Trace>(
    way: &mut Way<'_, T>,
    slot: Slot,
    key: &FrameKey,
    vlan: VlanId,
) -> Stage<Local> {
    let (rule, local) = if key.dst.is_multicast() {
        (Rule::F6, Local::Flood)
    } else {
        match way.view.snapshot.fib().lookup(vlan, key.dst) {
            Some(owner) if owner == way.port.id => {
                return Err(way.drop_by(Rule::F4, slot, DropReason::Hairpin));
            }
            Some(owner) => (Rule::F4, Local::Known(owner)),
            None => (Rule::F5, Local::Unknown),
        }
    };
    way.trace.step(slot, Step::Rule(rule));
    Ok(local)
}

/// R5 to R8, for a frame from a member of this group. None of them names an uplink as target: that
/// is R9.
#[inline(always)]
pub(in crate::core) fn from_wire<T: Trace>(
    way: &mut Way<'_, T>,
    group: Option<GroupId>,
    slot: Slot,
    key: &FrameKey,
    vlan: VlanId,
) -> Stage<Local> {
    let team = &way.view.team;
    let (rule, local) = if key.dst.is_multicast() {
        if group.is_none() || group != team.designated(vlan) {
            return Err(way.drop_by(Rule::R8, slot, DropReason::NotDesignatedUplink));
        }
        (Rule::R8, Local::Flood)
    } else {
        match way.view.snapshot.fib().lookup(vlan, key.dst) {
            Some(owner) if team.accepts(owner, group, way.now_ns) => {
                (Rule::R5, Local::Known(owner))
            }
            Some(_) => return Err(way.drop_by(Rule::R6, slot, DropReason::NotPinnedUplink)),
            None => (Rule::R7, Local::UnknownFrom(group)),
        }
    };
    way.trace.step(slot, Step::Rule(rule));
    Ok(local)
}
