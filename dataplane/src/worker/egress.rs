//! Carrying verdicts out: copies, tag edits, completion of offloads, and transmission by port.
//!
//! Invariants: the last copy of a frame is the frame itself; each copy that does not leave is counted
//! at its port with a reason; whatever is staged is transmitted before the next burst is received.

use pmd::complete::complete;
use pmd::{Burst, Frame, Pool, PortGone};
use proto::frame::edit::TagEdit;
use proto::{DropReason, PortId};

use super::exchange::Exchange;
use super::ports::{Entry, Ports};
use crate::core::counters::Cast;
use crate::core::{Batch, Counters, Output};

/// Ports with something staged; each once.
#[derive(Debug, Default)]
pub(super) struct Egress {
    touched: Vec<PortId>,
}

impl Egress {
    /// Stages every output of the burst, and empties it.
    pub(super) fn carry_out(
        &mut self,
        batch: &Batch,
        received: &mut Burst,
        ports: &mut Ports,
        pool: &Pool,
        exchange: &Exchange,
        counters: &Counters,
    ) {
        let mut outputs = batch.outputs();
        for (index, frame) in received.drain().enumerate() {
            let copies = outputs.iter().take_while(|o| o.frame.index() == index).count();
            let (mine, rest) = outputs.split_at(copies);
            outputs = rest;
            let Some((last, others)) = mine.split_last() else { continue };
            let cast = batch.cast(last.frame);
            for output in others {
                match frame.try_copy(pool) {
                    Some(copy) => {
                        self.send(copy, cast, *output, ports, pool, exchange, counters);
                    }
                    None => counters.port(output.port).tx_drop(DropReason::NoMemory),
                }
            }
            self.send(frame, cast, *last, ports, pool, exchange, counters);
        }
    }

    /// Edits one copy and stages it, here or at the worker that owns its port.
    #[expect(clippy::too_many_arguments, reason = "the parts of a worker, borrowed apart")]
    #[inline]
    fn send(
        &mut self,
        mut frame: Frame,
        cast: Cast,
        output: Output,
        ports: &mut Ports,
        pool: &Pool,
        exchange: &Exchange,
        counters: &Counters,
    ) {
        if !edit(&mut frame, output.edit) {
            counters.port(output.port).tx_drop(DropReason::NoMemory);
            return;
        }
        if exchange.workers() == 1 || ports.get_mut(output.port).is_some() {
            self.stage(frame, cast, output.port, ports, pool, counters);
        } else if exchange.send(output.port, frame.into_detached()).is_err() {
            counters.port(output.port).tx_drop(DropReason::TxQueueFull);
        }
    }

    /// Puts a frame that is as it shall leave into its port's burst, completed as far as the port
    /// needs it.
    pub(super) fn stage(
        &mut self,
        frame: Frame,
        cast: Cast,
        id: PortId,
        ports: &mut Ports,
        pool: &Pool,
        counters: &Counters,
    ) {
        let Some(entry) = ports.get_mut(id) else {
            counters.port(id).tx_drop(DropReason::PortDown);
            return;
        };
        if entry.staged.is_empty() {
            self.touched.push(id);
        }
        match entry.capabilities.admit(&frame) {
            Ok(()) => push(entry, frame, cast, pool, counters),
            Err(DropReason::OffloadUnsupported) => {
                let capabilities = entry.capabilities;
                let completed = complete(frame, &capabilities, pool, |part| {
                    push(entry, part, cast, pool, counters);
                });
                if let Err(reason) = completed {
                    counters.port(id).tx_drop(reason);
                }
            }
            Err(reason) => counters.port(id).tx_drop(reason),
        }
    }

    /// Transmits what is staged. The first port found gone is returned; others will be noticed when
    /// they are next received from.
    pub(super) fn transmit(
        &mut self,
        ports: &mut Ports,
        pool: &Pool,
        counters: &Counters,
    ) -> Option<(PortId, PortGone)> {
        let mut gone = None;
        for id in self.touched.drain(..) {
            let Some(entry) = ports.get_mut(id) else { continue };
            transmit(entry, pool, counters);
            if let Err(reason) = entry.port.flush(pool) {
                gone.get_or_insert((id, reason));
            }
        }
        gone
    }
}

/// Adds a frame to the port's burst, after transmitting it when it is full.
fn push(entry: &mut Entry, frame: Frame, cast: Cast, pool: &Pool, counters: &Counters) {
    if entry.staged.is_full() {
        transmit(entry, pool, counters);
    }
    if let Some(slot) = entry.staged_casts.get_mut(entry.staged.len()) {
        *slot = cast;
    }
    if entry.staged.push(frame).is_err() {
        // Cannot be: a transmitted burst is empty.
        counters.port(entry.id).tx_drop(DropReason::TxQueueFull);
    }
}

/// Transmits a port's burst and counts. A port drops from the end of a burst when its ring is full,
/// so the first ones count as sent.
fn transmit(entry: &mut Entry, pool: &Pool, counters: &Counters) {
    let staged = entry.staged.len();
    if staged == 0 {
        return;
    }
    let report = entry.port.tx(pool, &mut entry.staged);
    let port = counters.port(entry.id);
    for cast in entry.staged_casts.iter().take(report.sent_frames as usize) {
        port.tx.count(*cast, 0);
    }
    port.tx.add_bytes(report.sent_bytes);
    for (reason, frames) in report.dropped.iter() {
        for _ in 0..frames {
            port.tx_drop(reason);
        }
    }
}

/// Edits the outer tag. False: the frame has no room for it.
#[inline]
fn edit(frame: &mut Frame, edit: TagEdit) -> bool {
    if edit == TagEdit::Keep {
        return true;
    }
    let Some(_) = frame.push_front(proto::frame::edit::HEADROOM) else { return false };
    let Some(start) = edit.apply(frame.head_mut()) else { return false };
    let shifted = frame.offload().shifted(edit.len_delta());
    frame.set_offload(shifted);
    frame.pull_front(start)
}
