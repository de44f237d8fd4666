//! The receive machine (IEEE 802.1AX-2020 clause 6.4, receive machine): what is known of the
//! partner, and for how long.
//!
//! ```text
//!                      enabled               3 s                     3 s
//! INITIALIZE -> PORT_DISABLED -> EXPIRED ----------> DEFAULTED
//!                     ^            |  ^                  |
//!                     |      LACPDU|  |3 s or 90 s       | LACPDU
//!           disabled  |            v  |                  |
//!           from any -+          CURRENT <---------------+
//! ```
//!
//! Stricter than the standard in one point: a partner that says `Expired` does not hear us, so it
//! is not in sync. A link that has become one-way is left a timeout earlier.
//!
//! Not here: `LACP_DISABLED`, since a port without LACP is not in this module.

use proto::frame::lacp::{Lacpdu, PortInfo, PortState};

use super::port::Port;
use super::status::{ReceiveState, Selected};
use super::timers::{self, LONG_TIMEOUT_NS, SHORT_TIMEOUT_NS};
use policy::teaming::LacpRate;

/// What a partner is taken for that has not spoken (`Partner_Admin`): passive, so that two passive
/// sides are silent; individual; and it would be sent to every second, so that one that is
/// plugged in later is met soon.
const PARTNER_ADMIN: PortInfo = PortInfo {
    state: PortState::SHORT_TIMEOUT.with(PortState::SYNCHRONIZATION, true),
    ..PortInfo::UNKNOWN
};

/// State of the machine.
#[derive(Clone, Copy, Debug)]
pub(super) struct Receive {
    pub(super) state: ReceiveState,
    /// `current_while_timer`.
    pub(super) current_while: Option<u64>,
}

impl Receive {
    pub(super) const fn new() -> Self {
        Self { state: ReceiveState::PortDisabled, current_while: None }
    }
}

impl Port {
    /// `INITIALIZE`, and on to `EXPIRED` if the port is enabled.
    pub(super) fn initialize(&mut self, now_ns: u64) {
        self.selected = Selected::Unselected;
        self.record_default();
        self.enabled_changed(now_ns);
    }

    /// `PORT_DISABLED`, and on to `EXPIRED` if the port is enabled.
    pub(super) fn enabled_changed(&mut self, now_ns: u64) {
        self.receive = Receive::new();
        self.set_partner_in_sync(false);
        if self.is_enabled() {
            self.enter_expired(now_ns);
            // The first LACPDU goes out at once, not after the first period.
            self.ntt = true;
        }
    }

    /// An LACPDU came.
    pub(super) fn receive_lacpdu(&mut self, now_ns: u64, pdu: &Lacpdu) {
        // update_Selected
        if !pdu.actor.is_same_port(&self.partner) {
            self.selected = Selected::Unselected;
        }
        self.update_ntt(pdu);
        self.record_pdu(pdu);
        self.receive.state = ReceiveState::Current;
        self.receive.current_while = timers::after(now_ns, self.timeout_ns());
    }

    /// Acts on `current_while_timer`.
    pub(super) fn expire(&mut self, now_ns: u64) {
        if !timers::is_due(self.receive.current_while, now_ns) {
            return;
        }
        if self.receive.state == ReceiveState::Current {
            self.enter_expired(now_ns);
        } else {
            self.receive = Receive { state: ReceiveState::Defaulted, current_while: None };
            // update_Default_Selected
            if !self.partner.is_same_port(&PARTNER_ADMIN) {
                self.selected = Selected::Unselected;
            }
            self.record_default();
        }
    }

    /// The partner is asked for another rate. It may go on by the old one until it has heard of the
    /// new one, so the timer that runs is never cut short.
    pub(super) fn timeout_changed(&mut self, now_ns: u64) {
        if self.receive.state == ReceiveState::Current {
            let by_new_rate = timers::after(now_ns, self.timeout_ns());
            self.receive.current_while = self.receive.current_while.max(by_new_rate);
        }
    }

    fn timeout_ns(&self) -> u64 {
        match self.config.rate {
            LacpRate::Fast => SHORT_TIMEOUT_NS,
            LacpRate::Normal => LONG_TIMEOUT_NS,
        }
    }

    fn enter_expired(&mut self, now_ns: u64) {
        self.set_partner_in_sync(false);
        self.partner.state = self.partner.state.with(PortState::SHORT_TIMEOUT, true);
        self.receive = Receive {
            state: ReceiveState::Expired,
            current_while: timers::after(now_ns, SHORT_TIMEOUT_NS),
        };
    }

    const fn set_partner_in_sync(&mut self, in_sync: bool) {
        self.partner.state = self.partner.state.with(PortState::SYNCHRONIZATION, in_sync);
    }

    const fn record_default(&mut self) {
        self.partner = PARTNER_ADMIN;
        self.defaulted = true;
    }

    /// Whether the partner has to be told that it sees this side wrongly.
    fn update_ntt(&mut self, pdu: &Lacpdu) {
        let told = PortState::ACTIVITY
            .with(PortState::SHORT_TIMEOUT, true)
            .with(PortState::SYNCHRONIZATION, true);
        let actor = self.actor();
        let agrees = pdu.partner.is_same_port(&actor)
            && pdu.partner.state.masked(told) == actor.state.masked(told);
        self.ntt |= !agrees;
    }

    /// `recordPDU` with `choose_Matched`: the partner is in sync when it says so, means this very
    /// port, and keeps the protocol going.
    fn record_pdu(&mut self, pdu: &Lacpdu) {
        let says = pdu.actor.state;
        let is_matched =
            pdu.partner.is_same_port(&self.actor()) || !says.has(PortState::AGGREGATION);
        let is_maintained = says.has(PortState::ACTIVITY)
            || (self.config.active && pdu.partner.state.has(PortState::ACTIVITY));
        self.partner = pdu.actor;
        self.defaulted = false;
        self.set_partner_in_sync(
            says.has(PortState::SYNCHRONIZATION)
                && !says.has(PortState::EXPIRED)
                && is_matched
                && is_maintained,
        );
    }
}
