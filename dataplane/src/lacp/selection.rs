//! The selection logic (IEEE 802.1AX-2020 clause 6.4, selection logic): which ports belong to the
//! one aggregator of a port-channel.
//!
//! * **Binding.** The aggregator is bound to one partner, told by system and key; a partner that
//!   does not aggregate a link is bound by that one link. Ports with another partner stay out.
//! * **Which partner.** The one bound to, as long as a port of it is attached and `min_links` of
//!   its ports are heard. Else the one that is heard on the most ports, then the one bound to, then
//!   the one of the port that goes first by port priority and number. So a wrongly connected port
//!   that speaks first does not keep the others out for long.
//! * **Hot standby.** Of its ports the first `max_bundle` are selected, in the order of the system
//!   with the lower id: port priority, then port number. A port does not displace one that is
//!   attached before it could be attached itself; and one whose partner is silent goes last.
//! * **Min-links.** With fewer ports that hear the partner, all of them are standby: not in sync,
//!   so that the partner does not send by them. With none at all there is nobody to be told, and
//!   they stay selected for the short while until the partner is forgotten or heard again.
//! * **Fallback.** Without `suspend_individual`, and while no partner is known on any port, the
//!   first port by rank and number is selected alone, the rest are standby.
//!
//! The mux machine always moves between a port's being unselected and the next decision, so that
//! a port with a new partner is detached first.

use std::cmp::Reverse;

use proto::frame::lacp::{PortState, SystemId};

use super::group::Group;
use super::port::Port;
use super::status::{ReceiveState, Selected};

/// What the links of one aggregator have in common: the partner's half of the LAG ID.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Lag {
    pub(super) system: SystemId,
    pub(super) key: u16,
    /// Both ports of a link that the partner does not aggregate with others: ours, and its own.
    individual: Option<(u8, (u16, u16))>,
}

impl Lag {
    /// That of a port; `None` when it has no link, its partner is not known, or is ourselves.
    fn of(port: &Port) -> Option<Self> {
        let partner = port.partner;
        if !port.is_enabled() || port.defaulted || partner.system.mac == port.system.mac {
            return None;
        }
        let individual = (port.config.nic, (partner.port_priority, partner.port));
        Some(Self {
            system: partner.system,
            key: partner.key,
            individual: (!partner.state.has(PortState::AGGREGATION)).then_some(individual),
        })
    }

    /// Whether the port is one of its links.
    pub(super) fn holds(self, port: &Port) -> bool {
        Self::of(port) == Some(self)
    }
}

impl Group {
    /// Decides for every port. True when anything is decided differently.
    pub(super) fn select(&mut self) -> bool {
        self.bound = self.choose_partner();
        let candidates = self.candidates();
        self.is_fallback = self.bound.is_none() && !candidates.is_empty();
        let room = match self.heard() {
            _ if self.is_fallback => 1,
            heard if 0 < heard && heard < self.min_links => 0,
            _ => self.max_bundle,
        };
        let mut has_changed = false;
        for (at, port) in self.ports.iter_mut().enumerate() {
            let place = candidates.iter().position(|candidate| *candidate == at);
            let selected = match place {
                Some(place) if place < room => Selected::Selected,
                Some(_) => Selected::Standby,
                None => Selected::Unselected,
            };
            has_changed |= port.selected != selected;
            port.selected = selected;
        }
        has_changed
    }

    fn choose_partner(&self) -> Option<Lag> {
        let lags = self.ports.iter().filter_map(|port| Some((Lag::of(port)?, port)));
        let best = lags.max_by_key(|(lag, first)| {
            let (mut heard, mut attached) = (0, false);
            for port in self.ports.iter().filter(|port| lag.holds(port)) {
                heard += usize::from(port.receive.state == ReceiveState::Current);
                attached |= port.mux.state.is_attached();
            }
            let is_bound = self.bound == Some(*lag);
            let stays = is_bound && attached && heard >= self.min_links;
            let first = Reverse((first.config.port_priority, first.config.nic));
            (stays, heard, is_bound, first)
        });
        best.map(|(lag, _)| lag)
    }

    /// The ports that could be selected, as places in the port-channel, first the one that goes
    /// first: those of the partner, or without one those that may carry alone.
    fn candidates(&self) -> Vec<usize> {
        let belongs = |port: &Port| match self.bound {
            Some(bound) => bound.holds(port),
            None => !self.suspend_individual && port.receive.state == ReceiveState::Defaulted,
        };
        let ports = || self.ports.iter().enumerate().filter(|(_, port)| belongs(port));
        let is_attached = ports().any(|(_, port)| port.mux.state.is_attached());
        let mut ordered: Vec<_> = ports()
            .map(|(at, port)| {
                let is_silent = port.receive.state == ReceiveState::Expired;
                let could_attach = port.mux.state.is_attached() || port.mux.has_waited();
                (is_silent || (is_attached && !could_attach), self.priority(port), at)
            })
            .collect();
        ordered.sort_unstable();
        ordered.into_iter().map(|(.., at)| at).collect()
    }

    /// The place of a port among its like: lower goes first.
    fn priority(&self, port: &Port) -> (u16, u16) {
        match self.bound {
            None => (u16::from(port.config.rank), u16::from(port.config.nic)),
            Some(bound) if port.system <= bound.system => {
                (port.config.port_priority, u16::from(port.config.nic))
            }
            Some(_) => (port.partner.port_priority, port.partner.port),
        }
    }
}
