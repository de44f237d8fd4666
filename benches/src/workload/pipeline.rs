//! The forwarding core without I/O: bytes in, verdicts out.

use std::hint::black_box;
use std::sync::Arc;

use dataplane::core::{self, BURST_MAX, Batch, Frame, NoTrace, State, View};
use proto::PortId;

use super::Workload;
use super::host::{Host, Size};
use super::stream::Stream;

/// A host, and frames of one of its vEthernets.
#[derive(Debug)]
pub struct Pipeline {
    view: Arc<View>,
    state: State,
    batch: Batch,
    ingress: PortId,
    frames: Vec<Frame<'static>>,
}

impl Pipeline {
    /// A host of this size with so many flows (at least 1).
    #[must_use]
    pub fn new(size: Size, flows: u32) -> Self {
        let host = Host::new(size);
        let frames = Stream::on(&host, flows).leak();
        let (state, mut batch) = (State::default(), Batch::default());
        core::reserve(&host.view, &state, &mut batch);
        let ingress = host.vethernet(1);
        Self { view: host.view, state, batch, ingress, frames }
    }
}

impl Workload for Pipeline {
    fn frames(&self) -> u64 {
        self.frames.len() as u64
    }

    fn round(&mut self) -> u64 {
        let Self { view, state, batch, ingress, frames } = self;
        let mut copies = 0;
        for burst in frames.chunks_exact(BURST_MAX) {
            core::forward(view, 1, state, *ingress, black_box(burst), batch, &mut NoTrace);
            copies += black_box(&*batch).outputs().len() as u64;
        }
        copies
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_leaves_once() {
        for (vethernets, rules, flows) in [(1, 0, 1), (200, 10, 1000), (1000, 100, 5000)] {
            let mut work = Pipeline::new(Size { vethernets, rules }, flows);
            assert_eq!(work.round(), work.frames());
            let totals = work.state.counters.port(work.ingress).read();
            assert_eq!((totals.forwarded, totals.dropped()), (work.frames(), 0));
        }
    }
}
