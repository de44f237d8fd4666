//! The periodic transmission machine (IEEE 802.1AX-2020 clause 6.4): sends as often as the partner
//! asks for, and not at all when both sides are passive.

use proto::frame::lacp::PortState;

use super::port::Port;
use super::status::PeriodicState;
use super::timers::{self, FAST_PERIODIC_NS, SLOW_PERIODIC_NS};

/// State of the machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Periodic {
    pub(super) state: PeriodicState,
    /// `periodic_timer`.
    pub(super) timer: Option<u64>,
}

impl Periodic {
    pub(super) const fn new() -> Self {
        Self { state: PeriodicState::NoPeriodic, timer: None }
    }
}

impl Port {
    pub(super) fn step_periodic(&mut self, now_ns: u64) {
        let speaks = self.config.active || self.partner.state.has(PortState::ACTIVITY);
        if !self.is_enabled() || !speaks {
            self.periodic = Periodic::new();
            return;
        }
        let asked = if self.partner.state.has(PortState::SHORT_TIMEOUT) {
            PeriodicState::FastPeriodic
        } else {
            PeriodicState::SlowPeriodic
        };
        let is_due = timers::is_due(self.periodic.timer, now_ns);
        let hurries =
            self.periodic.state == PeriodicState::SlowPeriodic && asked != self.periodic.state;
        // PERIODIC_TX: the time is over, or the partner has lost patience.
        self.ntt |= is_due || hurries;
        if is_due || asked != self.periodic.state {
            let period_ns = match asked {
                PeriodicState::FastPeriodic => FAST_PERIODIC_NS,
                _ => SLOW_PERIODIC_NS,
            };
            self.periodic = Periodic { state: asked, timer: timers::after(now_ns, period_ns) };
        }
    }
}
