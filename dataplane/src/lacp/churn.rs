//! The churn detection machines (IEEE 802.1AX-2020 clause 6.4, churn detection): tell when a side
//! has been out of sync for too long. One watches this side, one the partner.

use super::port::Port;
use super::status::ChurnState;
use super::timers::{self, CHURN_DETECTION_NS};

/// State of one machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Churn {
    pub(super) state: ChurnState,
    /// `actor_churn_timer` or `partner_churn_timer`.
    pub(super) timer: Option<u64>,
    /// How often churn was detected.
    pub(super) count: u64,
}

impl Churn {
    pub(super) const fn new() -> Self {
        Self { state: ChurnState::Monitor, timer: None, count: 0 }
    }

    fn step(&mut self, now_ns: u64, is_enabled: bool, is_in_sync: bool) {
        let (state, timer) = match (self.state, is_in_sync) {
            _ if !is_enabled => (ChurnState::Monitor, None),
            (_, true) => (ChurnState::NoChurn, None),
            (ChurnState::Monitor, false) if timers::is_due(self.timer, now_ns) => {
                self.count += 1;
                (ChurnState::Churn, None)
            }
            (ChurnState::Churn, false) => (ChurnState::Churn, None),
            (ChurnState::Monitor, false) if self.timer.is_some() => (self.state, self.timer),
            (ChurnState::Monitor | ChurnState::NoChurn, false) => {
                (ChurnState::Monitor, timers::after(now_ns, CHURN_DETECTION_NS))
            }
        };
        self.state = state;
        self.timer = timer;
    }
}

impl Port {
    pub(super) fn step_churn(&mut self, now_ns: u64) {
        let is_enabled = self.is_enabled();
        self.actor_churn.step(now_ns, is_enabled, self.mux.state.is_attached());
        self.partner_churn.step(now_ns, is_enabled, self.is_partner_in_sync());
    }
}
