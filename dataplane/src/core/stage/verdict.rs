//! The end: candidates that nobody refused become outputs, every frame has its verdict, and both
//! are counted.
//!
//! A frame of which at least one copy leaves is forwarded; one whose copies were all refused is
//! dropped for the reason of the first. Each refused copy also counts at the port that refused it.

use policy::snapshot::Role;
use proto::PortId;

use crate::core::batch::{Batch, Verdict};
use crate::core::state::State;
use crate::core::trace::{Step, Trace};
use crate::core::view::View;

/// Writes outputs and verdicts, and counts.
pub(in crate::core) fn run(view: &View, state: &State, batch: &mut Batch, trace: &mut impl Trace) {
    settle(view, state, batch, trace);
    for slot in batch.all() {
        let counters = state.counters.port(batch.ingress[slot]);
        counters.rx.count(batch.cast[slot], batch.len_bytes[slot]);
        let verdict = batch.verdict(slot);
        match verdict {
            Verdict::Forward => counters.forwarded.add(1),
            Verdict::Punt(_) => counters.consumed.add(1),
            Verdict::Drop(reason) => counters.drop(reason),
        }
        trace.step(slot, Step::Ended(verdict));
    }
}

/// Moves the copies that leave to the outputs, and ends the frames that have none.
fn settle(view: &View, state: &State, batch: &mut Batch, trace: &mut impl Trace) {
    let candidates = std::mem::take(&mut batch.candidates);
    let mut rest = candidates.iter().peekable();
    for slot in batch.live() {
        let (mut leaves, mut first_refusal) = (false, None);
        while let Some(candidate) = rest.next_if(|c| c.output.frame == slot) {
            let output = candidate.output;
            if let Some(reason) = candidate.refused {
                state.counters.port(output.port).tx_drop(reason);
                first_refusal = first_refusal.or(Some(reason));
                continue;
            }
            debug_assert!(!wire_to_wire(view, batch.ingress[slot], output.port), "rule R9");
            trace.step(slot, Step::Output { port: output.port, edit: output.edit });
            leaves = true;
            batch.outputs.push(output);
        }
        match first_refusal {
            Some(reason) if !leaves => batch.end(slot, Verdict::Drop(reason)),
            _ => batch.forward(slot),
        }
    }
    batch.candidates = candidates;
}

/// What must not happen, whatever the configuration.
fn wire_to_wire(view: &View, from: PortId, to: PortId) -> bool {
    let uplink =
        |id| view.snapshot.port(id).is_some_and(|port| matches!(port.role, Role::Uplink(_)));
    uplink(from) && uplink(to)
}
