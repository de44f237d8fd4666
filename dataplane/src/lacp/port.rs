//! One port: its settings, what is known of its partner, and the state of its machines.
//!
//! The machines are methods of [`Port`], one file each. *Invariant:* this side's state octet is
//! derived from the machines ([`Port::actor`]), so that it cannot contradict them.

use policy::teaming::LacpRate;
use proto::MacAddr;
use proto::frame::lacp::{FRAME_LEN, Lacpdu, PortInfo, PortState, SystemId};

use super::churn::Churn;
use super::mux::Mux;
use super::periodic::Periodic;
use super::receive::Receive;
use super::status::{
    Counters, Flag, Member, MuxState, PeriodicState, PortStatus, Reason, ReceiveState, Selected,
};
use super::timers::{LACPDUS_A_SECOND, Limiter, MARKERS_A_SECOND};

/// Settings of a port of a port-channel with LACP. The settings of the port-channel stand in each
/// of its members; those of the member with the lowest NIC number hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortConfig {
    /// Number of the NIC, which is the LACP port number.
    pub nic: u8,
    /// Number of the port-channel, which is the LACP key.
    pub key: u16,
    /// Source address of what the port sends.
    pub mac: MacAddr,
    /// Not shut down.
    pub admin_up: bool,
    /// `channel-group auto mode active`; else passive.
    pub active: bool,
    /// `lacp rate`: how often the partner is asked to send.
    pub rate: LacpRate,
    /// `lacp port-priority`: lower is taken first.
    pub port_priority: u16,
    /// `lacp min-links`; 0 counts as 1.
    pub min_links: u8,
    /// `lacp max-bundle`; 0 counts as 1.
    pub max_bundle: u8,
    /// `lacp suspend-individual`: carries nothing while no partner speaks.
    pub suspend_individual: bool,
    /// Place in `failover order`, for the fallback while no partner speaks.
    pub rank: u8,
}

/// A port.
#[derive(Debug)]
pub(super) struct Port {
    pub(super) config: PortConfig,
    pub(super) system: SystemId,
    pub(super) link: bool,
    pub(super) partner: PortInfo,
    /// `partner` holds what is taken for granted, not what was heard.
    pub(super) defaulted: bool,
    pub(super) receive: Receive,
    pub(super) periodic: Periodic,
    pub(super) mux: Mux,
    pub(super) selected: Selected,
    pub(super) actor_churn: Churn,
    pub(super) partner_churn: Churn,
    /// `NTT`: something has to be told to the partner.
    pub(super) ntt: bool,
    pub(super) lacpdus: Limiter<LACPDUS_A_SECOND>,
    pub(super) responses: Limiter<MARKERS_A_SECOND>,
    pub(super) counters: Counters,
    /// As it was published last.
    pub(super) member: Member,
}

impl Port {
    /// A new port (`BEGIN`).
    pub(super) fn new(now_ns: u64, system: SystemId, config: PortConfig, link: bool) -> Self {
        let reason = if config.admin_up { Reason::LinkDown } else { Reason::AdminDown };
        let mut port = Self {
            config,
            system,
            link,
            partner: PortInfo::UNKNOWN,
            defaulted: true,
            receive: Receive::new(),
            periodic: Periodic::new(),
            mux: Mux::new(),
            selected: Selected::Unselected,
            actor_churn: Churn::new(),
            partner_churn: Churn::new(),
            ntt: false,
            lacpdus: Limiter::new(),
            responses: Limiter::new(),
            counters: Counters::default(),
            member: Member {
                carries: false,
                flag: Flag::Down,
                reason: Some(reason),
                since_ns: now_ns,
            },
        };
        port.initialize(now_ns);
        port
    }

    /// `port_enabled`: not shut down, and has a link.
    pub(super) const fn is_enabled(&self) -> bool {
        self.config.admin_up && self.link
    }

    /// This side, as LACPDUs say it.
    pub(super) fn actor(&self) -> PortInfo {
        let carries = self.mux.state == MuxState::CollectingDistributing;
        let bits = [
            (PortState::ACTIVITY, self.config.active),
            (PortState::SHORT_TIMEOUT, self.config.rate == LacpRate::Fast),
            (PortState::AGGREGATION, true),
            (PortState::SYNCHRONIZATION, self.mux.state.is_attached()),
            (PortState::COLLECTING, carries),
            (PortState::DISTRIBUTING, carries),
            (PortState::DEFAULTED, self.defaulted),
            (PortState::EXPIRED, self.receive.state == ReceiveState::Expired),
        ];
        PortInfo {
            system: self.system,
            key: self.config.key,
            port_priority: self.config.port_priority,
            port: u16::from(self.config.nic),
            state: bits.iter().fold(PortState::NONE, |all, (bit, set)| all.with(*bit, *set)),
        }
    }

    /// Whether the partner has attached its end, and knows this end.
    pub(super) const fn is_partner_in_sync(&self) -> bool {
        self.partner.state.has(PortState::SYNCHRONIZATION)
    }

    /// Takes new settings. What the partner has to agree with again starts afresh; the rest holds
    /// without a flap.
    pub(super) fn configure(&mut self, now_ns: u64, system: SystemId, config: PortConfig) {
        if config == self.config && system == self.system {
            return;
        }
        let was_enabled = self.is_enabled();
        let afresh = system != self.system || config.key != self.config.key;
        let new_rate = config.rate != self.config.rate;
        self.system = system;
        self.config = config;
        self.ntt = true;
        if afresh {
            self.initialize(now_ns);
        } else if was_enabled != self.is_enabled() {
            self.enabled_changed(now_ns);
        } else if new_rate {
            self.timeout_changed(now_ns);
        }
    }

    /// The carrier came or went.
    pub(super) fn set_link(&mut self, now_ns: u64, up: bool) {
        let was_enabled = self.is_enabled();
        self.link = up;
        if was_enabled != self.is_enabled() {
            self.enabled_changed(now_ns);
        }
    }

    /// The transmit machine: the LACPDU that is due now, as a frame.
    pub(super) fn transmit(&mut self, now_ns: u64) -> Option<[u8; FRAME_LEN]> {
        if self.periodic.state == PeriodicState::NoPeriodic {
            self.ntt = false;
        }
        if !self.ntt || !self.lacpdus.pass(now_ns) {
            return None;
        }
        self.ntt = false;
        Some(self.lacpdu(self.actor()))
    }

    /// The last LACPDU of a port that is about to be shut down or removed: the partner takes it out
    /// of its aggregator at once. It may be one above the limit of the transmit machine, since
    /// there is no later moment for it.
    pub(super) fn farewell(&mut self) -> Option<[u8; FRAME_LEN]> {
        if self.periodic.state == PeriodicState::NoPeriodic {
            return None;
        }
        let attached = [PortState::SYNCHRONIZATION, PortState::COLLECTING, PortState::DISTRIBUTING];
        let mut actor = self.actor();
        actor.state = attached.iter().fold(actor.state, |state, bit| state.with(*bit, false));
        Some(self.lacpdu(actor))
    }

    fn lacpdu(&mut self, actor: PortInfo) -> [u8; FRAME_LEN] {
        self.counters.pdus_sent += 1;
        // The collector does not hold frames back.
        let pdu = Lacpdu { actor, partner: self.partner, collector_max_delay: 0 };
        pdu.to_frame(self.config.mac)
    }

    /// When the port next has something to do by itself.
    pub(super) fn next_deadline_ns(&self, now_ns: u64) -> Option<u64> {
        let transmit = if self.ntt { self.lacpdus.opens_at_ns(now_ns) } else { None };
        [
            self.receive.current_while,
            self.periodic.timer,
            self.mux.wait_while,
            self.actor_churn.timer,
            self.partner_churn.timer,
            transmit,
        ]
        .into_iter()
        .flatten()
        .min()
    }

    pub(super) fn status(&self) -> PortStatus {
        PortStatus {
            nic: self.config.nic,
            key: self.config.key,
            member: self.member,
            actor: self.actor(),
            partner: self.partner,
            receive: self.receive.state,
            mux: self.mux.state,
            periodic: self.periodic.state,
            selected: self.selected,
            actor_churn: self.actor_churn.state,
            partner_churn: self.partner_churn.state,
            counters: Counters {
                actor_churns: self.actor_churn.count,
                partner_churns: self.partner_churn.count,
                ..self.counters
            },
        }
    }
}
