//! The selection logic (IEEE 802.1AX-2020 clause 6.4, selection logic): which ports belong to the
//! one aggregator of a port-channel.
//!
//! * **Binding.** The aggregator is bound to one partner, told by system and key; a partner that
//!   does not aggregate a link is bound by that one link. Ports with another partner stay out.
//! * **Which partner.** The one bound to, as long as a port of it is attached and `min_links` of
//!   its ports are heard. Else the one with `min_links` ports, then with the most ports, then the
//!   one bound to, then the one of the port that goes first by port priority and number. So a
//!   wrongly connected port that speaks first does not keep the others out for long.
//! * **Hot standby.** Of its ports the first `max_bundle` are selected, in the order of the system
//!   with the lower id: port priority, then port number. A port does not displace one that is
//!   attached before it could be attached itself; and one whose partner is silent goes last.
//! * **Min-links.** With fewer ports that hear the partner, all of them are standby: not in sync,
//!   so that the partner does not send by them. With none at all there is nobody to be told, and
//!   they stay selected for the short while until the partner is forgotten or heard again.
//! * **Fallback.** Without `suspend_individual`, and while no partner is known on any port, the
//!   first port by rank and number is selected alone, the rest are standby.
//!
//! A port is selected anew only when it is detached, so that a change of partner is never missed.

use std::cmp::Reverse;

use proto::frame::lacp::{PortState, SystemId};

use super::group::Group;
use super::port::Port;
use super::status::{MuxState, ReceiveState, Selected};

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
        let may_fall_back = !self.suspend_individual && self.bound.is_none();
        let mut candidates: Vec<(Order, usize)> = match self.bound {
            Some(bound) => self.order_in(bound),
            None if may_fall_back => self.order_alone(),
            None => Vec::new(),
        };
        candidates.sort_unstable();
        self.is_fallback = may_fall_back && !candidates.is_empty();
        let room = match self.heard() {
            _ if self.is_fallback => 1,
            heard if 0 < heard && heard < self.min_links => 0,
            _ => self.max_bundle,
        };
        let mut has_changed = false;
        for (at, port) in self.ports.iter_mut().enumerate() {
            let place = candidates.iter().position(|(_, candidate)| *candidate == at);
            has_changed |= decide(
                port,
                match place {
                    Some(place) if place < room => Selected::Selected,
                    Some(_) => Selected::Standby,
                    None => Selected::Unselected,
                },
            );
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
            let is_enough = heard >= self.min_links;
            let is_bound = self.bound == Some(*lag);
            let first = Reverse((first.config.port_priority, first.config.nic));
            (is_bound && attached && is_enough, is_enough, heard, is_bound, first)
        });
        best.map(|(lag, _)| lag)
    }

    /// The ports of a partner, in the order in which they are selected.
    fn order_in(&self, bound: Lag) -> Vec<(Order, usize)> {
        let is_attached =
            self.ports.iter().any(|port| bound.holds(port) && port.mux.state.is_attached());
        let ports = self.ports.iter().enumerate().filter(|(_, port)| bound.holds(port));
        ports
            .map(|(at, port)| {
                let is_fit = port.receive.state == ReceiveState::Current
                    && (!is_attached || port.mux.state.is_attached() || port.mux.has_waited());
                let by_priority = if port.system <= bound.system {
                    (port.config.port_priority, u16::from(port.config.nic))
                } else {
                    (port.partner.port_priority, port.partner.port)
                };
                (Order { is_unfit: !is_fit, by_priority }, at)
            })
            .collect()
    }

    /// The ports without partner, in the order in which one of them carries alone.
    fn order_alone(&self) -> Vec<(Order, usize)> {
        let is_alone = |port: &Port| port.receive.state == ReceiveState::Defaulted;
        let is_attached =
            self.ports.iter().any(|port| is_alone(port) && port.mux.state.is_attached());
        let ports = self.ports.iter().enumerate().filter(|(_, port)| is_alone(port));
        ports
            .map(|(at, port)| {
                let is_fit = !is_attached || port.mux.state.is_attached() || port.mux.has_waited();
                let by_priority = (u16::from(port.config.rank), u16::from(port.config.nic));
                (Order { is_unfit: !is_fit, by_priority }, at)
            })
            .collect()
    }
}

/// The place of a port among those that could be selected: the lowest goes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Order {
    is_unfit: bool,
    by_priority: (u16, u16),
}

fn decide(port: &mut Port, selected: Selected) -> bool {
    let is_new = port.selected == Selected::Unselected && selected != Selected::Unselected;
    let may_follow = !is_new || port.mux.state == MuxState::Detached;
    let has_changed = may_follow && port.selected != selected;
    if has_changed {
        port.selected = selected;
    }
    has_changed
}
