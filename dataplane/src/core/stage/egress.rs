//! Whether the egress port of a copy is there for it: in the VLAN, and up.

use proto::DropReason;

use super::refuse;
use crate::core::batch::{Batch, Candidate};
use crate::core::trace::Trace;
use crate::core::view::View;

/// Refuses copies to ports that do not carry the VLAN or are down.
pub(in crate::core) fn run(view: &View, batch: &mut Batch, trace: &mut impl Trace) {
    for Candidate { output, refused } in &mut batch.candidates {
        let reason = match view.snapshot.port(output.port) {
            None => DropReason::PortDown,
            Some(port) if !port.vlan_mode.carries(batch.vlan[output.frame]) => {
                DropReason::VlanNotAllowed
            }
            Some(port) if !view.is_up(port) => DropReason::PortDown,
            Some(_) => continue,
        };
        refuse(output.frame, output.port, reason, refused, trace);
    }
}
