//! One port-channel: its ports, and the aggregator that they share.
//!
//! *Invariants*, whenever [`Group::settle`] returns: (1) at most `max_bundle` members carry, and
//! none while fewer than `min_links` could; (2) all members that are attached have the partner's
//! system and key in common; or exactly one carries, and no partner speaks.

use proto::frame::lacp::SystemId;

use super::mux::Clearance;
use super::port::{Port, PortConfig};
use super::selection::Lag;
use super::status::{Change, Flag, GroupStatus, Member, MuxState, Reason, ReceiveState, Selected};

/// How often selection and mux may answer each other in one go. Two rounds are usual; each further
/// one needs a port that moves, and what is left over is done at the next event.
const ROUNDS_MAX: usize = 16;

/// A port-channel.
#[derive(Debug)]
pub(super) struct Group {
    /// Its number.
    pub(super) key: u16,
    pub(super) min_links: usize,
    pub(super) max_bundle: usize,
    pub(super) suspend_individual: bool,
    /// The partner that it is aggregated to, or about to be.
    pub(super) bound: Option<Lag>,
    /// No partner speaks, and one member carries alone.
    pub(super) is_fallback: bool,
    /// Ports, by ascending NIC number; never empty.
    pub(super) ports: Vec<Port>,
}

impl Group {
    pub(super) const fn new(key: u16) -> Self {
        Self {
            key,
            min_links: 1,
            max_bundle: 1,
            suspend_individual: true,
            bound: None,
            is_fallback: false,
            ports: Vec::new(),
        }
    }

    /// Takes the settings of the port-channel.
    pub(super) fn configure(&mut self, config: &PortConfig) {
        self.min_links = usize::from(config.min_links.max(1));
        self.max_bundle = usize::from(config.max_bundle.max(1));
        self.suspend_individual = config.suspend_individual;
    }

    /// Lets selection, mux, periodic and churn machines move until none can.
    pub(super) fn settle(&mut self, now_ns: u64) {
        for _ in 0..ROUNDS_MAX {
            let has_moved = self.step_mux(now_ns);
            if !self.select() && !has_moved {
                break;
            }
        }
        for port in &mut self.ports {
            port.step_periodic(now_ns);
            port.step_churn(now_ns);
        }
    }

    fn step_mux(&mut self, now_ns: u64) -> bool {
        for port in &mut self.ports {
            port.mux.expire(now_ns);
        }
        let enough = self.is_fallback || self.in_sync() >= self.min_links;
        let is_held_up = self.ports.iter().any(|port| is_joining(port) && !port.mux.has_waited());
        let mut has_moved = false;
        for port in &mut self.ports {
            let ready = port.mux.has_waited() && !is_held_up;
            has_moved |= port.step_mux(now_ns, Clearance { ready, enough });
        }
        has_moved
    }

    /// How many members are attached at both ends.
    fn in_sync(&self) -> usize {
        let is_in_sync = |port: &&Port| {
            port.selected == Selected::Selected
                && port.mux.state.is_attached()
                && port.is_partner_in_sync()
        };
        self.ports.iter().filter(is_in_sync).count()
    }

    /// How many members' partners speak, and are the one that the port-channel is bound to.
    pub(super) fn heard(&self) -> usize {
        let is_heard = |port: &&Port| {
            port.receive.state == ReceiveState::Current && self.bound.is_some_and(|b| b.holds(port))
        };
        self.ports.iter().filter(is_heard).count()
    }

    /// When a port next has something to do by itself.
    pub(super) fn next_deadline_ns(&self, now_ns: u64) -> Option<u64> {
        self.ports.iter().filter_map(|port| port.next_deadline_ns(now_ns)).min()
    }

    /// Publishes how each member stands, and notes those that stand differently.
    pub(super) fn publish(&mut self, now_ns: u64, changes: &mut Vec<Change>) {
        let standings: Vec<_> = self.ports.iter().map(|port| self.standing(port)).collect();
        for (port, (flag, reason)) in self.ports.iter_mut().zip(standings) {
            let before = port.member;
            if (before.flag, before.reason) == (flag, reason) {
                continue;
            }
            let since_ns = if before.flag == flag { before.since_ns } else { now_ns };
            port.member = Member { carries: flag.carries(), flag, reason, since_ns };
            changes.push(Change {
                nic: port.config.nic,
                key: self.key,
                before: Some(before),
                after: Some(port.member),
            });
        }
    }

    fn standing(&self, port: &Port) -> (Flag, Option<Reason>) {
        if !port.config.admin_up {
            return (Flag::Down, Some(Reason::AdminDown));
        }
        if !port.link {
            return (Flag::Down, Some(Reason::LinkDown));
        }
        if port.mux.state == MuxState::CollectingDistributing {
            return if self.is_fallback {
                (Flag::Individual, Some(Reason::Individual))
            } else {
                (Flag::Bundled, None)
            };
        }
        let reason = self.obstacle(port);
        let flag = match reason {
            Reason::MaxBundle => Flag::HotStandby,
            Reason::Standby => Flag::Standby,
            _ => Flag::Suspended,
        };
        (flag, Some(reason))
    }

    /// What keeps a port that has a link from carrying.
    fn obstacle(&self, port: &Port) -> Reason {
        let is_silent = port.receive.state == ReceiveState::Expired && !port.defaulted;
        match port.selected {
            Selected::Unselected => self.mismatch(port),
            _ if is_silent => Reason::PartnerLost,
            Selected::Standby if self.is_fallback => Reason::Standby,
            Selected::Standby if self.heard() < self.min_links => {
                Reason::MinLinks { have: self.heard(), need: self.min_links }
            }
            Selected::Standby => Reason::MaxBundle,
            Selected::Selected if !port.mux.state.is_attached() => Reason::Waiting,
            Selected::Selected if !port.is_partner_in_sync() => Reason::PartnerNotInSync,
            Selected::Selected => Reason::MinLinks { have: self.in_sync(), need: self.min_links },
        }
    }

    fn mismatch(&self, port: &Port) -> Reason {
        let partner = port.partner;
        match self.bound {
            _ if port.defaulted => Reason::NoPartner,
            _ if partner.system.mac == port.system.mac => Reason::Loopback,
            Some(bound) if bound.holds(port) => Reason::Waiting,
            Some(bound) if (bound.system, bound.key) != (partner.system, partner.key) => {
                Reason::OtherPartner { system: partner.system, key: partner.key }
            }
            Some(_) => Reason::IndividualPartner,
            None => Reason::Waiting,
        }
    }

    pub(super) fn status(&self, system: SystemId) -> GroupStatus {
        let members = || self.ports.iter().map(|port| port.member);
        let carrying = members().filter(|member| member.carries).count();
        // Of several causes, one that is not just a missing link says more.
        let cause = members().min_by_key(|member| member.flag == Flag::Down);
        GroupStatus {
            key: self.key,
            up: carrying > 0,
            reason: cause.filter(|_| carrying == 0).and_then(|member| member.reason),
            system,
            partner: self.bound.map(|bound| (bound.system, bound.key)),
            carrying,
        }
    }
}

/// Whether the port waits to be attached.
fn is_joining(port: &Port) -> bool {
    port.selected == Selected::Selected && port.mux.state == MuxState::Waiting
}
