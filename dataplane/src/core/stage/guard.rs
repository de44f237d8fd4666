//! Source addresses: F1 for vEthernets, and R4 for uplinks, where a local source means that the
//! frame came back.

use policy::snapshot::{Role, SourceGuard, Vethernet};
use proto::{DropReason, MacAddr};

use super::drop_by;
use crate::core::batch::Batch;
use crate::core::rule::Rule;
use crate::core::trace::Trace;
use crate::core::view::View;

/// Checks every source address.
pub(in crate::core) fn run(view: &View, batch: &mut Batch, trace: &mut impl Trace) {
    let Some(port) = view.snapshot.port(batch.ingress) else { return };
    match &port.role {
        Role::Vethernet(vethernet) => {
            for slot in batch.live() {
                // Nearly every frame; the snapshot has seen to it that the address is a legal one.
                let src = batch.key[slot].src;
                if src == vethernet.mac {
                    continue;
                }
                if let Err(reason) = check(vethernet, src) {
                    drop_by(Rule::F1, slot, reason, batch, trace);
                }
            }
        }
        Role::Uplink(_) => {
            for slot in batch.live() {
                let owner = view.snapshot.fib().lookup(batch.vlan[slot], batch.key[slot].src);
                if owner.is_some_and(|owner| !view.team.is_leaving(owner)) {
                    let reason = DropReason::OwnSourceFromUplink;
                    drop_by(Rule::R4, slot, reason, batch, trace);
                }
            }
        }
    }
}

/// What the guard says of an address that is not the VM's own.
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
