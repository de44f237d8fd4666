//! The MTU of the egress port.

use proto::DropReason;

use super::refuse;
use crate::core::batch::{Batch, Candidate};
use crate::core::trace::Trace;
use crate::core::view::View;

/// Refuses copies whose payload after Ethernet header and outer tag is above the port's MTU. Of a
/// super-frame its segments count, not its length.
pub(in crate::core) fn run(view: &View, batch: &mut Batch, trace: &mut impl Trace) {
    for Candidate { output, refused } in batch.candidates.iter_mut() {
        let Some(port) = view.snapshot.port(output.port) else { continue };
        let slot = output.frame;
        let header_bytes = u32::from(batch.key[slot].l3_offset);
        let payload_bytes = batch.segment_bytes[slot].saturating_sub(header_bytes);
        if refused.is_none() && payload_bytes > u32::from(port.mtu_bytes) {
            refuse(slot, port.id, DropReason::MtuExceeded, refused, trace);
        }
    }
}
