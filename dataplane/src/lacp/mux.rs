//! The mux machine with coupled control (IEEE 802.1AX-2020 clause 6.4, mux machine): attaches a
//! selected port to its aggregator, and lets data pass when both ends are attached.
//!
//! ```text
//!           SELECTED or STANDBY      SELECTED, all ready      partner in sync, min-links
//! DETACHED ---------------> WAITING --------------> ATTACHED ------> COLLECTING_DISTRIBUTING
//!     ^                        |                     |   ^                   |
//!     +----- UNSELECTED -------+                     |   +-------------------+
//!     +----- UNSELECTED or STANDBY ------------------+    any of it is no more
//! ```

use super::port::Port;
use super::status::{MuxState, Selected};
use super::timers::{self, AGGREGATE_WAIT_NS};

/// State of the machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Mux {
    pub(super) state: MuxState,
    /// `wait_while_timer`, of a port that waits. Stopped there: `Ready_N`.
    pub(super) wait_while: Option<u64>,
}

impl Mux {
    pub(super) const fn new() -> Self {
        Self { state: MuxState::Detached, wait_while: None }
    }

    /// Acts on `wait_while_timer`.
    pub(super) fn expire(&mut self, now_ns: u64) {
        if timers::is_due(self.wait_while, now_ns) {
            self.wait_while = None;
        }
    }

    /// `Ready_N`: waits, and has waited long enough.
    pub(super) fn has_waited(&self) -> bool {
        self.state == MuxState::Waiting && self.wait_while.is_none()
    }
}

/// What the aggregator says to a port.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clearance {
    /// `Ready`, and the port itself has waited: it may attach.
    pub(super) ready: bool,
    /// Enough ports are attached at both ends for `min-links`.
    pub(super) enough: bool,
}

impl Port {
    /// Moves as far as it goes. True when it has moved.
    pub(super) fn step_mux(&mut self, now_ns: u64, clearance: Clearance) -> bool {
        let before = self.mux.state;
        // It ends: what leads up needs SELECTED, what leads down its contrary, and nobody who has
        // just begun to wait is ready.
        while let Some(next) = self.next_mux_state(clearance) {
            self.enter_mux_state(now_ns, next);
        }
        self.mux.state != before
    }

    fn next_mux_state(&self, clearance: Clearance) -> Option<MuxState> {
        let carries =
            self.selected == Selected::Selected && self.is_partner_in_sync() && clearance.enough;
        match (self.mux.state, self.selected) {
            (MuxState::Detached, Selected::Selected | Selected::Standby) => Some(MuxState::Waiting),
            (MuxState::Waiting, Selected::Unselected) => Some(MuxState::Detached),
            (MuxState::Waiting, Selected::Selected) if clearance.ready => Some(MuxState::Attached),
            (MuxState::Attached, Selected::Unselected | Selected::Standby) => {
                Some(MuxState::Detached)
            }
            (MuxState::Attached, Selected::Selected) if carries => {
                Some(MuxState::CollectingDistributing)
            }
            (MuxState::CollectingDistributing, _) if !carries => Some(MuxState::Attached),
            _ => None,
        }
    }

    const fn enter_mux_state(&mut self, now_ns: u64, state: MuxState) {
        self.mux.state = state;
        if matches!(state, MuxState::Waiting) {
            self.mux.wait_while = timers::after(now_ns, AGGREGATE_WAIT_NS);
        } else {
            self.mux.wait_while = None;
            self.ntt = true;
        }
    }
}
