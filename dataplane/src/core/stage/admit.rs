//! Bytes become keys, if there is a port that may have them.

use proto::DropReason;
use proto::frame::parse::parse;

use crate::core::batch::{Batch, EMPTY_KEY, Frame, Verdict};
use crate::core::counters::Cast;
use crate::core::trace::{Step, Trace};
use crate::core::view::View;

/// Fills the columns that come from the frames themselves.
///
/// A port that is administratively down takes nothing, not even link-constrained frames; one that
/// is only operationally down does (LACP has to work before the port may pass data).
pub(in crate::core) fn run(
    view: &View,
    frames: &[Frame<'_>],
    batch: &mut Batch,
    trace: &mut impl Trace,
) {
    for (slot, frame) in batch.all().zip(frames) {
        trace.step(slot, Step::Received(frame.ingress));
        batch.ingress[slot] = frame.ingress;
        batch.len_bytes[slot] = frame.len_bytes;
        batch.segment_bytes[slot] = frame.segment_bytes;
        let key = parse(frame.head);
        batch.key[slot] = key.unwrap_or(EMPTY_KEY);
        batch.cast[slot] = Cast::of(batch.key[slot].dst);
        let reason = match view.snapshot.port(frame.ingress) {
            None => DropReason::PortUnknown,
            Some(port) if !port.admin_up => DropReason::PortDown,
            Some(_) if key.is_none() => DropReason::Malformed,
            Some(_) => continue,
        };
        batch.end(slot, Verdict::Drop(reason));
    }
}
