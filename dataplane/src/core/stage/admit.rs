//! Bytes become keys, if there is a port that may have them.

use proto::frame::{FrameKey, parse};
use proto::{DropReason, PortId};

use crate::core::batch::{Batch, Frame, Slot, Verdict};
use crate::core::trace::{Step, Trace};
use crate::core::way::{Stage, Way};

/// Reads what a frame says of itself.
#[inline(always)]
pub(in crate::core) fn read<T: Trace>(
    way: &mut Way<'_, T>,
    slot: Slot,
    frame: &Frame<'_>,
    key: &mut FrameKey,
) -> Stage<()> {
    way.trace.step(slot, Step::Received(way.port.id));
    way.batch.add_bytes(frame.len_bytes);
    if !key.read(frame.head) {
        return Err(Verdict::Drop(DropReason::Malformed));
    }
    way.batch.note_destination(slot, key.dst);
    Ok(())
}

/// Drops a whole burst: of a port that is not known, or that is administratively down. That one
/// takes nothing, not even link-constrained frames; one that is only operationally down does (LACP
/// has to work before the port may pass data).
#[cold]
pub(in crate::core) fn refuse(
    reason: DropReason,
    ingress: PortId,
    frames: &[Frame<'_>],
    batch: &mut Batch,
    trace: &mut impl Trace,
) {
    for (slot, frame) in batch.slots().zip(frames) {
        trace.step(slot, Step::Received(ingress));
        batch.add_bytes(frame.len_bytes);
        if let Some(key) = parse(frame.head) {
            batch.note_destination(slot, key.dst);
        }
        batch.end(slot, Verdict::Drop(reason));
    }
}
