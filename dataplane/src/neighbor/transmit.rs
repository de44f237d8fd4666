//! When an uplink says by LLDP who is here (IEEE 802.1AB-2016 clauses 9.2.5 to 9.2.8), and what.
//!
//! Every 30 seconds; after the link came up or a neighbour was heard for the first time, four times
//! a second apart; at once when there is something new to say. A credit that grows by one a second
//! bounds it all. When it stops, one last LLDPDU takes back what it has said.

use proto::frame::discovery::{Addresses, Text};
use proto::frame::lldp::{Capabilities, CapabilitySet, ChassisId, LldpError, Lldpdu, PortId};
use proto::{HostId, MacAddr};

use super::SECOND_NS;

/// Between two LLDPDUs in ordinary times (`msgTxInterval`).
pub const INTERVAL_NS: u64 = INTERVAL_S as u64 * SECOND_NS;
/// LLDPDUs of a fast start (`txFastInit`).
pub const FAST_COUNT: u8 = 4;
/// For how long a receiver is to believe it: four intervals (`msgTxHold`) and a second (`txTTL`).
pub const TTL_S: u16 = INTERVAL_S * HOLD + 1;

const INTERVAL_S: u16 = 30;
const HOLD: u16 = 4;
/// Between two LLDPDUs of a fast start (`msgFastTx`).
const FAST_INTERVAL_NS: u64 = SECOND_NS;
/// LLDPDUs that may be sent in a row (`txCreditMax`).
const CREDIT_MAX: u8 = 5;
/// Between the end and a new beginning (`reinitDelay`).
const REINIT_DELAY_NS: u64 = 2 * SECOND_NS;

/// What is to be sent now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// Who is here, valid for [`TTL_S`].
    Announcement,
    /// That nobody is here any more.
    Shutdown,
}

/// Decides when one uplink sends. It begins switched off and without a link.
#[derive(Clone, Debug)]
pub struct LldpTransmit {
    is_on: bool,
    link_up: bool,
    /// A receiver may believe in what was sent.
    has_told: bool,
    shutdown_due: bool,
    /// An announcement waits for credit (`txNow`).
    waits: bool,
    /// When the next one is due (`txTTR`).
    next_ns: u64,
    /// What is left of a fast start (`txFast`).
    fast: u8,
    credit: u8,
    /// Since when the credit has grown by no whole second.
    credit_ns: u64,
    /// Not before this after the last end.
    reinit_ns: u64,
}

impl LldpTransmit {
    /// Switched off and without a link.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            is_on: false,
            link_up: false,
            has_told: false,
            shutdown_due: false,
            waits: false,
            next_ns: 0,
            fast: 0,
            credit: CREDIT_MAX,
            credit_ns: 0,
            reinit_ns: 0,
        }
    }

    /// Switches it on or off: `lldp transmit`, or the end of the daemon.
    pub fn set_on(&mut self, now_ns: u64, on: bool) {
        if std::mem::replace(&mut self.is_on, on) == on {
            return;
        }
        if on {
            self.start(now_ns);
        } else {
            self.shutdown_due = self.has_told;
            self.has_told = false;
            self.reinit_ns = now_ns.saturating_add(REINIT_DELAY_NS);
        }
    }

    /// The link has come up or has gone.
    pub fn link(&mut self, now_ns: u64, up: bool) {
        if std::mem::replace(&mut self.link_up, up) == up {
            return;
        }
        // Nobody is there to be told of an end, and a new neighbour has heard nothing.
        (self.shutdown_due, self.has_told) = (false, false);
        if up {
            self.start(now_ns);
        }
    }

    /// A neighbour was heard for the first time: it is not to wait for what is here.
    pub fn new_neighbor(&mut self, now_ns: u64) {
        if self.fast == 0 {
            self.fast = FAST_COUNT;
        }
        self.next_ns = now_ns.max(self.reinit_ns);
    }

    /// What would be sent is different from what was: it is sent at once.
    pub fn local_change(&mut self, now_ns: u64) {
        if self.speaks() && now_ns >= self.reinit_ns {
            self.signal(now_ns);
        }
    }

    /// What is to be sent now; to be asked until there is nothing.
    #[must_use]
    pub fn poll(&mut self, now_ns: u64) -> Option<Due> {
        if std::mem::take(&mut self.shutdown_due) {
            return Some(Due::Shutdown);
        }
        if !self.speaks() {
            return None;
        }
        if now_ns >= self.next_ns {
            self.fast = self.fast.saturating_sub(1);
            self.signal(now_ns);
        }
        let seconds = now_ns.saturating_sub(self.credit_ns) / SECOND_NS;
        self.credit_ns += seconds * SECOND_NS;
        let grown = u64::from(self.credit).saturating_add(seconds).min(u64::from(CREDIT_MAX));
        self.credit = u8::try_from(grown).unwrap_or(CREDIT_MAX);
        if !self.waits || self.credit == 0 {
            return None;
        }
        if self.credit == CREDIT_MAX {
            // It was full and has not grown since, however long that is.
            self.credit_ns = now_ns;
        }
        self.credit -= 1;
        (self.waits, self.has_told) = (false, true);
        Some(Due::Announcement)
    }

    /// When [`Self::poll`] will have something to send; `None`: not before something happens.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        if self.shutdown_due {
            return Some(0);
        }
        let credit_ns = match self.credit {
            0 => self.credit_ns.saturating_add(SECOND_NS),
            _ => 0,
        };
        let waiting_ns = if self.waits { credit_ns } else { u64::MAX };
        self.speaks().then_some(self.next_ns.min(waiting_ns))
    }

    const fn speaks(&self) -> bool {
        self.is_on && self.link_up
    }

    fn start(&mut self, now_ns: u64) {
        self.waits = false;
        self.fast = FAST_COUNT;
        self.next_ns = now_ns.max(self.reinit_ns);
    }

    /// One is to be sent as soon as credit allows, and the next one an interval later.
    fn signal(&mut self, now_ns: u64) {
        let interval_ns = if self.fast > 0 { FAST_INTERVAL_NS } else { INTERVAL_NS };
        (self.waits, self.next_ns) = (true, now_ns.saturating_add(interval_ns));
    }
}

impl Default for LldpTransmit {
    fn default() -> Self {
        Self::new()
    }
}

/// Who this host says it is at one uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity<'a> {
    /// The host: the chassis.
    pub host: HostId,
    /// Its name.
    pub host_name: &'a str,
    /// The host's name of the NIC: `eth1`.
    pub ifname: &'a str,
    /// The switch's name of it: `Ethernet3/1`.
    pub port: &'a str,
}

impl Identity<'_> {
    /// The frame that says so.
    ///
    /// # Errors
    /// The NIC's name is empty or has more than 255 octets.
    pub fn frame(&self, src: MacAddr, due: Due) -> Result<Vec<u8>, LldpError> {
        let host = self.host.to_string();
        let shutdown =
            Lldpdu::shutdown(ChassisId::local(&host)?, PortId::interface_name(self.ifname)?);
        let bridge = CapabilitySet::BRIDGE;
        let lldpdu = match due {
            Due::Shutdown => shutdown,
            Due::Announcement => Lldpdu {
                ttl_s: TTL_S,
                port_description: Some(self.port.into()),
                system_name: Some(self.host_name.into()),
                system_description: Some(Text::from(concat!("Weft ", env!("CARGO_PKG_VERSION")))),
                capabilities: Some(Capabilities { supported: bridge, enabled: bridge }),
                management: Addresses::default(),
                ..shutdown
            },
        };
        Ok(lldpdu.to_frame(src))
    }
}

#[cfg(test)]
mod tests;
