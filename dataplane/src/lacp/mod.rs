//! LACP (IEEE 802.1AX-2020 clause 6.4): which members of a port-channel carry data.
//!
//! *Where it sits:* sans-IO, beside the forwarding core. The control plane's thread feeds a
//! [`Lacp`] with links, frames and time, sends what it hands out, and re-teams by what it says of
//! the members. Each port has the standard's machines, one file each; the ports of a port-channel
//! share one aggregator:
//!
//! ```text
//! receive    what is known of the partner           periodic  when to speak
//! selection  which ports belong to the aggregator   churn     what takes too long
//! mux        attach, then collect and distribute    marker    answers
//! ```
//!
//! *Invariants:* (1) a member carries only when it is selected, attached, and its partner is in
//! sync; members of a port-channel that carry have one partner, are at most `max_bundle` and at
//! least `min_links`; (2) a port sends at most three LACPDUs in a second, and one more when it is
//! removed; (3) after [`Lacp::poll`], [`Lacp::next_deadline_ns`] is in the future; (4) no input
//! makes it panic, and what it holds is bounded by its ports and what the caller has not taken yet.
//!
//! Time never runs backwards here: an earlier `now_ns` counts as the latest one.
//!
//! *Not here:* sockets, threads and the clock; `mode on` and `mac-pinning`, which have no protocol;
//! how flows spread over the members (teaming).

#![deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod churn;
mod group;
mod marker;
mod mux;
mod periodic;
mod port;
mod receive;
mod selection;
mod status;
mod timers;

use proto::frame::lacp::{self, FRAME_LEN, Lacpdu, SlowPdu, SystemId};

use group::Group;
use port::Port;

pub use port::PortConfig;
pub use status::{
    Change, ChurnState, Counters, Flag, GroupStatus, Member, MuxState, PeriodicState, PortStatus,
    Reason, ReceiveState, Selected,
};

/// A frame to be sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transmit {
    /// By this NIC.
    pub nic: u8,
    /// The whole frame, without check sequence.
    pub frame: [u8; FRAME_LEN],
}

/// LACP of one host.
#[derive(Debug)]
pub struct Lacp {
    now_ns: u64,
    system: SystemId,
    /// Carrier of every NIC that was ever spoken of, also before it is configured.
    links: [bool; 256],
    /// Port-channels, by ascending number.
    groups: Vec<Group>,
    transmits: Vec<Transmit>,
    changes: Vec<Change>,
}

impl Lacp {
    /// Without ports.
    #[must_use]
    pub const fn new(system: SystemId) -> Self {
        Self {
            now_ns: 0,
            system,
            links: [false; 256],
            groups: Vec::new(),
            transmits: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Takes new settings: `ports` are all ports of all port-channels with LACP. Of several with
    /// one NIC number the first counts.
    ///
    /// A port whose settings stay does not flap; nor does one of which only `active`, `rate`,
    /// `rank`, `mac`, or what does not touch it of `min_links`, `max_bundle` and
    /// `suspend_individual`, changes. A port that is removed or shut down says goodbye, so that
    /// the partner leaves it at once: send what [`Lacp::take_transmits`] has before the NIC goes.
    pub fn configure(&mut self, now_ns: u64, system: SystemId, ports: &[PortConfig]) {
        let now_ns = self.advance(now_ns);
        self.system = system;
        let before = std::mem::take(&mut self.groups);
        let bindings: Vec<_> = before.iter().map(|group| (group.key, group.bound)).collect();
        let mut old: Vec<Port> = before.into_iter().flat_map(|group| group.ports).collect();
        let mut configs = ports.to_vec();
        configs.sort_by_key(|config| config.nic);
        configs.dedup_by_key(|config| config.nic);
        for config in configs {
            let port = match old.iter().position(|port| port.config.nic == config.nic) {
                Some(at) => self.reconfigure(now_ns, old.swap_remove(at), config),
                None => self.add(now_ns, config),
            };
            let group = self.group_for(config.key);
            if group.ports.is_empty() {
                group.configure(&config);
            }
            group.ports.push(port);
        }
        for group in &mut self.groups {
            group.bound =
                bindings.iter().find(|(key, _)| *key == group.key).and_then(|(_, bound)| *bound);
        }
        for port in old {
            self.remove(port);
        }
        self.settle(now_ns);
    }

    /// The carrier of a NIC came or went. A NIC that was never spoken of has none.
    pub fn link(&mut self, now_ns: u64, nic: u8, up: bool) {
        let now_ns = self.advance(now_ns);
        if let Some(link) = self.links.get_mut(usize::from(nic)) {
            *link = up;
        }
        if let Some(port) = self.port_mut(nic) {
            port.set_link(now_ns, up);
        }
        self.settle(now_ns);
    }

    /// A slow protocol frame came by a NIC; other frames count as unknown.
    ///
    /// Partners do not time out here but in [`Lacp::poll`]. So a caller that has been late hands
    /// over everything that waits before it polls, and no partner is lost by the delay.
    pub fn receive(&mut self, now_ns: u64, nic: u8, frame: &[u8]) {
        let now_ns = self.advance(now_ns);
        let Some(port) = self.port_mut(nic).filter(|port| port.is_enabled()) else { return };
        match lacp::parse(frame) {
            Ok(SlowPdu::Lacp(pdu)) => {
                port.counters.pdus_received += 1;
                port.counters.last_received_ns = Some(now_ns);
                port.receive_lacpdu(now_ns, &pdu);
                self.forget_moved(now_ns, &pdu);
                self.settle(now_ns);
            }
            Ok(SlowPdu::Marker(marker)) => {
                let response = port.respond(now_ns, marker);
                self.transmits.extend(response.map(|frame| Transmit { nic, frame }));
            }
            Err(error) if error.is_unknown() => port.counters.unknown_received += 1,
            Err(_) => port.counters.illegal_received += 1,
        }
    }

    /// Lets timers act. To be called when [`Lacp::next_deadline_ns`] has come, and at any time.
    pub fn poll(&mut self, now_ns: u64) {
        let now_ns = self.advance(now_ns);
        for port in self.groups.iter_mut().flat_map(|group| &mut group.ports) {
            port.expire(now_ns);
        }
        self.settle(now_ns);
    }

    /// When [`Lacp::poll`] is to be called next, unless something else happens before; `None`:
    /// nothing is to be done.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.groups.iter().filter_map(|group| group.next_deadline_ns(self.now_ns)).min()
    }

    /// The frames to be sent, in order. To be called after every other call that changes anything.
    pub fn take_transmits(&mut self) -> impl Iterator<Item = Transmit> + '_ {
        self.transmits.drain(..)
    }

    /// The members that stand differently than at the last call, in order.
    pub fn take_changes(&mut self) -> impl Iterator<Item = Change> + '_ {
        self.changes.drain(..)
    }

    /// How a member stands; `None`: it is in no port-channel with LACP.
    #[must_use]
    pub fn member(&self, nic: u8) -> Option<Member> {
        self.ports().find(|port| port.config.nic == nic).map(|port| port.member)
    }

    /// Every port-channel, by ascending number.
    pub fn groups(&self) -> impl Iterator<Item = GroupStatus> + '_ {
        self.groups.iter().map(|group| group.status(self.system))
    }

    /// Every port: those of a port-channel together, by ascending NIC number.
    pub fn port_statuses(&self) -> impl Iterator<Item = PortStatus> + '_ {
        self.ports().map(Port::status)
    }

    fn ports(&self) -> impl Iterator<Item = &Port> {
        self.groups.iter().flat_map(|group| &group.ports)
    }

    fn port_mut(&mut self, nic: u8) -> Option<&mut Port> {
        let mut ports = self.groups.iter_mut().flat_map(|group| &mut group.ports);
        ports.find(|port| port.config.nic == nic)
    }

    fn advance(&mut self, now_ns: u64) -> u64 {
        self.now_ns = self.now_ns.max(now_ns);
        self.now_ns
    }

    fn add(&mut self, now_ns: u64, config: PortConfig) -> Port {
        let link = self.links.get(usize::from(config.nic)).copied().unwrap_or_default();
        let port = Port::new(now_ns, self.system, config, link);
        let after = Some(port.member);
        self.changes.push(Change { nic: config.nic, key: config.key, before: None, after });
        port
    }

    fn reconfigure(&mut self, now_ns: u64, mut port: Port, config: PortConfig) -> Port {
        if !config.admin_up {
            self.say_goodbye(&mut port);
        }
        port.configure(now_ns, self.system, config);
        port
    }

    fn remove(&mut self, mut port: Port) {
        self.say_goodbye(&mut port);
        let PortConfig { nic, key, .. } = port.config;
        self.changes.push(Change { nic, key, before: Some(port.member), after: None });
    }

    fn say_goodbye(&mut self, port: &mut Port) {
        let nic = port.config.nic;
        self.transmits.extend(port.farewell().map(|frame| Transmit { nic, frame }));
    }

    /// The group with this key, which is made when there is none.
    fn group_for(&mut self, key: u16) -> &mut Group {
        let at = match self.groups.binary_search_by_key(&key, |group| group.key) {
            Ok(at) => at,
            Err(at) => {
                self.groups.insert(at, Group::new(key));
                at
            }
        };
        // The search has just found it, or the place where it now is.
        #[expect(clippy::indexing_slicing)]
        &mut self.groups[at]
    }

    /// `port_moved`: what a port without link remembers of a partner's port is void when that port
    /// speaks elsewhere.
    fn forget_moved(&mut self, now_ns: u64, pdu: &Lacpdu) {
        for port in self.groups.iter_mut().flat_map(|group| &mut group.ports) {
            let is_same =
                (port.partner.system, port.partner.port) == (pdu.actor.system, pdu.actor.port);
            if !port.is_enabled() && !port.defaulted && is_same {
                port.initialize(now_ns);
            }
        }
    }

    /// Lets every machine move, then says what there is to say.
    fn settle(&mut self, now_ns: u64) {
        for group in &mut self.groups {
            group.settle(now_ns);
            group.publish(now_ns, &mut self.changes);
            for port in &mut group.ports {
                let nic = port.config.nic;
                let lacpdu = port.transmit(now_ns);
                self.transmits.extend(lacpdu.map(|frame| Transmit { nic, frame }));
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
