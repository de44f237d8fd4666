//! The stages of [`forward`](super::forward), one file each, in the order in which a frame meets
//! them. Every one takes the view, the batch and the trace, reads and writes its own columns, ends
//! the way of the frames it is against, and calls no other stage. [`replicate`] asks [`egress`] for
//! every copy, and that asks [`acl`] and [`mark`].
//!
//! A burst comes from one port, so each stage looks the port up once and then goes over plain
//! columns.

pub(super) mod acl;
pub(super) mod admit;
pub(super) mod classify;
pub(super) mod count;
mod egress;
pub(super) mod guard;
pub(super) mod link_local;
pub(super) mod lookup;
mod mark;
pub(super) mod replicate;

use proto::DropReason;

use super::batch::{Batch, Slot, Verdict};
use super::rule::Rule;
use super::trace::{Step, Trace};

/// Ends a frame's way because of a row of the forwarding table.
fn drop_by(rule: Rule, slot: Slot, reason: DropReason, batch: &mut Batch, trace: &mut impl Trace) {
    trace.step(slot, Step::Rule(rule));
    batch.end(slot, Verdict::Drop(reason));
}
