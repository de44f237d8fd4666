//! Source addresses: F1 for vEthernets, and R4 for uplinks, where a local source means that the
//! frame came back.

use policy::snapshot::{SourceGuard, Vethernet};
use proto::frame::FrameKey;
use proto::{DropReason, MacAddr, VlanId};

use crate::core::batch::Slot;
use crate::core::rule::Rule;
use crate::core::trace::Trace;
use crate::core::way::{Stage, Way};

/// F1: whether the VM may use the source address.
#[inline(always)]
pub(in crate::core) fn from_vm<T: Trace>(
    way: &mut Way<'_, T>,
    vethernet: &Vethernet,
    slot: Slot,
    key: &FrameKey,
) -> Stage<()> {
    // Nearly every frame; the snapshot has seen to it that the address is a legal one.
    if key.src == vethernet.mac {
        return Ok(());
    }
    check(vethernet, key.src).map_err(|reason| way.drop_by(Rule::F1, slot, reason))
}

/// R4: whether a frame from the wire is one of our own that came back.
#[inline(always)]
pub(in crate::core) fn from_wire<T: Trace>(
    way: &mut Way<'_, T>,
    slot: Slot,
    key: &FrameKey,
    vlan: VlanId,
) -> Stage<()> {
    let owner = way.view.snapshot.fib().lookup(vlan, key.src);
    if owner.is_some_and(|owner| !way.view.team.is_leaving(owner)) {
        return Err(way.drop_by(Rule::R4, slot, DropReason::OwnSourceFromUplink));
    }
    Ok(())
}

/// What the guard says of an address that is not the VM's own.
#[inline(never)]
fn check(vethernet: &Vethernet, src: MacAddr) -> Result<(), DropReason> {
    if !src.is_valid_source() {
        return Err(DropReason::SourceMacInvalid);
    }
    let allowed = match &vethernet.source {
        SourceGuard::Own => false,
        SourceGuard::List(list) => list.binary_search(&src).is_ok(),
        SourceGuard::Any => true,
    };
    if allowed { Ok(()) } else { Err(DropReason::SourceMacViolation) }
}
