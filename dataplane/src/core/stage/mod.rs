//! The stages of [`forward`](super::forward), one file each, in the order in which a frame meets
//! them. Every one takes the view, the batch and the trace, reads and writes its own columns, ends
//! the way of the frames it is against, and calls no other stage.

pub(super) mod acl;
pub(super) mod admit;
pub(super) mod classify;
pub(super) mod egress;
pub(super) mod guard;
pub(super) mod link_local;
pub(super) mod lookup;
pub(super) mod mark;
pub(super) mod mtu;
pub(super) mod replicate;
pub(super) mod verdict;

use proto::{DropReason, PortId};

use super::batch::{Batch, Slot, Verdict};
use super::rule::Rule;
use super::trace::{Step, Trace};

/// Ends a frame's way because of a row of the forwarding table.
fn drop_by(rule: Rule, slot: Slot, reason: DropReason, batch: &mut Batch, trace: &mut impl Trace) {
    trace.step(slot, Step::Rule(rule));
    batch.end(slot, Verdict::Drop(reason));
}

/// Turns a candidate copy down.
fn refuse(
    slot: Slot,
    port: PortId,
    reason: DropReason,
    refused: &mut Option<DropReason>,
    trace: &mut impl Trace,
) {
    trace.step(slot, Step::Refused { port, reason });
    *refused = Some(reason);
}
