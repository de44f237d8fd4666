//! Bytes become keys, if there is a port that may have them.

use proto::DropReason;
use proto::frame::parse;

use crate::core::batch::{Batch, Frame, Verdict};
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
    let refusal = match view.snapshot.port(batch.ingress) {
        None => Some(DropReason::PortUnknown),
        Some(port) if !port.admin_up => Some(DropReason::PortDown),
        Some(_) => None,
    };
    for (slot, frame) in batch.live().zip(frames) {
        trace.step(slot, Step::Received(batch.ingress));
        batch.len_bytes[slot] = frame.len_bytes;
        batch.segment_bytes[slot] = frame.segment_bytes;
        let reason = match parse(frame.head) {
            Some(key) => {
                batch.set_key(slot, key);
                refusal
            }
            None => refusal.or(Some(DropReason::Malformed)),
        };
        if let Some(reason) = reason {
            batch.end(slot, Verdict::Drop(reason));
        }
    }
}
