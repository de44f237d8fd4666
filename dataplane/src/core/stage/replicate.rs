//! Targets become copies, one an egress port; local ports ascending, the uplink last.
//!
//! A port never gets its own frame back, and of a flood a port that is down is no part. Only the
//! port that an address belongs to stays in when it is down, so that the reason can be told.
//!
//! Unknown unicast from the wire reaches a port that wants it only by the port's own uplink, as
//! known unicast does (R6): a physical switch that floods it does so on every link of the host, and
//! each copy but one is a duplicate.

use policy::snapshot::{Role, Vlan};
use proto::frame::edit::TagEdit;
use proto::{DropReason, PortId};

use crate::core::batch::{Batch, Candidate, Local, Output, Slot, Verdict};
use crate::core::trace::Trace;
use crate::core::view::View;

/// Writes the candidate copies of every frame; drops a frame that has none.
pub(in crate::core) fn run(view: &View, batch: &mut Batch, _trace: &mut impl Trace) {
    let mut candidates = std::mem::take(&mut batch.candidates);
    for slot in batch.live() {
        let before = candidates.len();
        let mut copy = |port| candidates.push(candidate(slot, port));
        local_copies(view, slot, batch, &mut copy);
        let targets = batch.targets[slot];
        if let Some(uplink) = targets.uplink {
            copy(uplink);
        }
        if candidates.len() == before {
            batch.end(slot, Verdict::Drop(nobody(view, batch, slot)));
        }
    }
    batch.candidates = candidates;
}

#[inline]
fn local_copies(view: &View, slot: Slot, batch: &Batch, mut copy: impl FnMut(PortId)) {
    let (ingress, vlan) = (batch.ingress[slot], view.snapshot.vlan(batch.vlan[slot]));
    let takes = |port: PortId| port != ingress && view.team.is_up(port);
    match batch.targets[slot].local {
        Local::Known(owner) => {
            copy(owner);
            let others = vlan.promiscuous.iter().copied().filter(|port| *port != owner);
            others.filter(|port| takes(*port)).for_each(copy);
        }
        Local::Unknown => wanting_unknown(vlan).filter(|port| takes(*port)).for_each(copy),
        Local::UnknownFrom(group) => wanting_unknown(vlan)
            .filter(|port| takes(*port) && view.team.accepts(*port, group, batch.now_ns))
            .for_each(copy),
        Local::Flood => {
            vlan.flood.iter().copied().filter(|port| takes(*port)).for_each(copy);
        }
    }
}

/// Ports that get unknown unicast, ascending and each once: promiscuous ones and those without
/// blocking of unknown unicast. Both lists are ascending, and nearly always empty.
fn wanting_unknown(vlan: &Vlan) -> impl Iterator<Item = PortId> + '_ {
    let mut promiscuous = vlan.promiscuous.iter().copied().peekable();
    let mut unblocked = vlan.uufb.iter().copied().peekable();
    std::iter::from_fn(move || match (promiscuous.peek(), unblocked.peek()) {
        (Some(a), Some(b)) if a == b => {
            promiscuous.next();
            unblocked.next()
        }
        (Some(a), Some(b)) if a > b => unblocked.next(),
        (Some(_), _) => promiscuous.next(),
        (None, _) => unblocked.next(),
    })
}

/// Why a frame that found no port at all is dropped.
fn nobody(view: &View, batch: &Batch, slot: Slot) -> DropReason {
    let role = view.snapshot.port(batch.ingress[slot]).map(|port| &port.role);
    match (role, batch.targets[slot].local) {
        (Some(Role::Vethernet(_)), _) => DropReason::NoUplink,
        (_, Local::Flood) => DropReason::NoLocalMember,
        _ => DropReason::UnknownUnicastFromUplink,
    }
}

const fn candidate(frame: Slot, port: PortId) -> Candidate {
    Candidate { output: Output { frame, port, edit: TagEdit::Keep }, refused: None }
}
