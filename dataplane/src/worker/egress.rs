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
use crate::core::counters::{Cast, TrafficTotals};
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
        if self.hand_on(batch, received, ports) {
            return;
        }
        let mut outputs = batch.outputs();
        for (index, frame) in received.drain().enumerate() {
            // No output is left: neither has any of the frames that follow.
            let Some((first, mut rest)) = outputs.split_first() else { break };
            if first.frame.index() != index {
                continue;
            }
            let cast = batch.cast(first.frame);
            let mut last = *first;
            while let Some((next, after)) = rest.split_first()
                && next.frame.index() == index
            {
                match frame.try_copy(pool) {
                    Some(copy) => self.send(copy, cast, last, ports, pool, exchange, counters),
                    None => counters.port(last.port).tx_drop(DropReason::NoMemory),
                }
                (last, rest) = (*next, after);
            }
            outputs = rest;
            self.send(frame, cast, last, ports, pool, exchange, counters);
        }
    }

    /// Stages the burst as a whole, when all of it leaves unchanged by one port that can take it so:
    /// what a busy flow of one VM to another looks like. False: nothing was done.
    #[inline(never)]
    fn hand_on(&mut self, batch: &Batch, received: &mut Burst, ports: &mut Ports) -> bool {
        let Some(id) = batch.sole_exit() else { return false };
        let Some(entry) = ports.get_mut(id) else { return false };
        let can_take = |frame: &Frame| entry.capabilities.admit(frame).is_ok();
        if !entry.staged.is_empty() || !received.iter().all(can_take) {
            return false;
        }
        for (slot, output) in entry.staged_casts.iter_mut().zip(batch.outputs()) {
            *slot = batch.cast(output.frame);
        }
        std::mem::swap(received, &mut entry.staged);
        self.touched.push(id);
        true
    }

    /// Edits one copy and stages it, here or at the worker that owns its port.
    #[expect(clippy::too_many_arguments, reason = "the parts of a worker, borrowed apart")]
    #[inline(always)]
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
        let id = output.port;
        if output.edit != TagEdit::Keep && !edit(&mut frame, output.edit) {
            counters.port(id).tx_drop(DropReason::NoMemory);
        } else if let Some(entry) = ports.get_mut(id) {
            self.stage_at(entry, frame, cast, pool, counters);
        } else {
            hand_over(id, frame, exchange, counters);
        }
    }

    /// Puts a frame that is as it shall leave into its port's burst.
    pub(super) fn stage(
        &mut self,
        frame: Frame,
        cast: Cast,
        id: PortId,
        ports: &mut Ports,
        pool: &Pool,
        counters: &Counters,
    ) {
        match ports.get_mut(id) {
            Some(entry) => self.stage_at(entry, frame, cast, pool, counters),
            None => counters.port(id).tx_drop(DropReason::PortDown),
        }
    }

    #[inline(always)]
    fn stage_at(
        &mut self,
        entry: &mut Entry,
        frame: Frame,
        cast: Cast,
        pool: &Pool,
        counters: &Counters,
    ) {
        if entry.staged.is_empty() {
            self.touched.push(entry.id);
        }
        match entry.capabilities.admit(&frame) {
            Ok(()) => push(entry, frame, cast, pool, counters),
            Err(reason) => push_completed(entry, frame, reason, cast, pool, counters),
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

/// Gives a frame to the worker that owns its port.
#[inline(never)]
fn hand_over(id: PortId, frame: Frame, exchange: &Exchange, counters: &Counters) {
    if exchange.workers() == 1 {
        counters.port(id).tx_drop(DropReason::PortDown);
    } else if exchange.send(id, frame.into_detached()).is_err() {
        counters.port(id).tx_drop(DropReason::TxQueueFull);
    }
}

/// Adds a frame to the port's burst, after transmitting it when it is full.
#[inline(always)]
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

/// Adds what becomes of a frame that the port cannot transmit as it is, for this reason.
#[inline(never)]
fn push_completed(
    entry: &mut Entry,
    frame: Frame,
    reason: DropReason,
    cast: Cast,
    pool: &Pool,
    counters: &Counters,
) {
    let capabilities = entry.capabilities;
    let completed = match reason {
        DropReason::OffloadUnsupported => complete(frame, &capabilities, pool, |part| {
            push(entry, part, cast, pool, counters);
        }),
        other => Err(other),
    };
    if let Err(reason) = completed {
        counters.port(entry.id).tx_drop(reason);
    }
}

/// Transmits a port's burst and counts. A port drops from the end of a burst when its ring is full,
/// so the first ones count as sent.
#[inline(never)]
fn transmit(entry: &mut Entry, pool: &Pool, counters: &Counters) {
    let staged = entry.staged.len();
    if staged == 0 {
        return;
    }
    let report = entry.port.tx(pool, &mut entry.staged);
    let port = counters.port(entry.id);
    let casts = entry.staged_casts.iter().take(report.sent_frames as usize);
    port.tx.add(TrafficTotals::of(casts.copied(), report.sent_bytes));
    for (reason, frames) in report.dropped.iter() {
        for _ in 0..frames {
            port.tx_drop(reason);
        }
    }
}

/// Edits the outer tag. False: the frame has no room for it.
#[inline]
fn edit(frame: &mut Frame, edit: TagEdit) -> bool {
    let Some(_) = frame.push_front(proto::frame::edit::HEADROOM) else { return false };
    let Some(start) = edit.apply(frame.head_mut()) else { return false };
    let shifted = frame.offload().shifted(edit.len_delta());
    frame.set_offload(shifted);
    frame.pull_front(start)
}
