//! The end: what a port received, and what became of it, counted once a burst.

use proto::PortId;

use crate::core::batch::{Batch, Verdict};
use crate::core::state::State;
use crate::core::trace::{Step, Trace};

/// Counts the burst at its ingress port.
pub(in crate::core) fn run(state: &State, ingress: PortId, batch: &Batch, trace: &mut impl Trace) {
    let counters = state.counters.port(ingress);
    counters.rx.add(batch.received());
    counters.forwarded.add(batch.forwarded());
    for slot in batch.ended() {
        match batch.verdict(slot) {
            Verdict::Drop(reason) => counters.drop(reason),
            Verdict::Punt(_) | Verdict::Forward => counters.consumed.add(1),
        }
    }
    for slot in batch.slots() {
        trace.step(slot, Step::Ended(batch.verdict(slot)));
    }
}
