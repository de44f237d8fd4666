//! The end: what a port received, and what became of it, counted once a burst.

use crate::core::batch::{Batch, Verdict};
use crate::core::counters::{Cast, TrafficTotals};
use crate::core::state::State;
use crate::core::trace::{Step, Trace};

/// Counts the burst at its ingress port.
pub(in crate::core) fn run(state: &State, batch: &Batch, trace: &mut impl Trace) {
    let counters = state.counters.port(batch.ingress);
    let mut rx = TrafficTotals::default();
    for slot in batch.groups() {
        match batch.cast(slot) {
            Cast::Broadcast => rx.broadcast += 1,
            Cast::Multicast | Cast::Unicast => rx.multicast += 1,
        }
    }
    rx.unicast = batch.len() as u64 - rx.multicast - rx.broadcast;
    rx.bytes = batch.all().map(|slot| u64::from(batch.len_bytes[slot])).sum();
    counters.rx.add(rx);
    counters.forwarded.add(batch.live().count() as u64);
    for slot in batch.ended() {
        match batch.verdict(slot) {
            Verdict::Drop(reason) => counters.drop(reason),
            Verdict::Punt(_) | Verdict::Forward => counters.consumed.add(1),
        }
    }
    for slot in batch.all() {
        trace.step(slot, Step::Ended(batch.verdict(slot)));
    }
}
