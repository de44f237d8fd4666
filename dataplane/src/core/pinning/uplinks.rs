//! What a host can send by: its NICs as they work together, and which of that is up.
//!
//! *Where it sits:* made anew for each computation, from the snapshot and the links; placement and
//! designation choose among its candidates. A candidate is what *can* count as one uplink, whether
//! it is up or not; while it is up, it has a [`Group`].
//!
//! *Invariants:* (1) every uplink of the snapshot is in exactly one candidate; (2) candidates are
//! in order of their lowest NIC, so that same configuration means same order, whatever the slots;
//! (3) which VLANs a candidate carries is a matter of configuration and not of links.

use policy::VlanSet;
use policy::snapshot::{Port, Role, Snapshot, Uplink, VlanMode};
use policy::teaming::ChannelMode;
use proto::{InterfaceName, PortId, VlanId};

use crate::core::team::{Group, GroupId, Links, TeamState};

/// How the members of a candidate work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// One NIC: pinned to, or loose.
    Lone,
    /// A port-channel: flows spread over all members.
    Bundle,
    /// One member carries everything: the first of the failover order that is up.
    ActiveStandby,
}

/// An uplink and its policy.
type Member<'a> = (&'a Port, Uplink);

/// What can count as one uplink.
pub(super) struct Candidate<'a> {
    /// Its place among the candidates.
    pub(super) index: usize,
    /// What it is recognised by: the NIC, or the port-channel by its number.
    pub(super) key: InterfaceName,
    pub(super) kind: Kind,
    /// All members by configuration; by NIC, or in failover order.
    ports: Vec<Member<'a>>,
    /// While it is up: its group, and whether that is one NIC out of several.
    pub(super) up: Option<Up>,
}

/// What a candidate that is up is called, and its group.
#[derive(Clone, Copy)]
pub(super) struct Up {
    pub(super) group: GroupId,
    pub(super) label: InterfaceName,
}

impl<'a> Candidate<'a> {
    fn new(index: usize, key: InterfaceName, kind: Kind, mut ports: Vec<Member<'a>>) -> Self {
        if kind == Kind::ActiveStandby {
            ports.sort_by_key(|(_, uplink)| (rank(uplink), uplink.nic));
        }
        Self { index, key, kind, ports, up: None }
    }

    /// How VLANs pass it. A snapshot has the same for all members that are administratively up.
    fn vlan_mode(&self) -> Option<&VlanMode> {
        let mut up = self.ports.iter().filter(|(port, _)| port.admin_up);
        up.next().or(self.ports.first()).map(|(port, _)| &port.vlan_mode)
    }

    /// How many VLANs of the port it carries.
    pub(super) fn fit(&self, port: &Port) -> usize {
        match (&port.vlan_mode, self.vlan_mode()) {
            (VlanMode::Access(vlan), Some(mode)) | (mode, Some(VlanMode::Access(vlan))) => {
                usize::from(mode.carries(*vlan))
            }
            (VlanMode::Trunk { allowed, .. }, Some(VlanMode::Trunk { allowed: carried, .. })) => {
                VlanSet::intersection(allowed, carried).len()
            }
            (_, None) => 0,
        }
    }

    pub(super) fn carries(&self, vlan: VlanId) -> bool {
        self.vlan_mode().is_some_and(|mode| mode.carries(vlan))
    }

    /// Whether a NIC of this number is one of its members.
    pub(super) fn has_nic(&self, nic: u8) -> bool {
        self.ports.iter().any(|(_, uplink)| uplink.nic == nic)
    }

    /// Whether the configuration lets it be used at all.
    pub(super) fn admin_up(&self) -> bool {
        self.ports.iter().any(|(port, _)| port.admin_up)
    }

    /// What it is called when all of its links are up.
    pub(super) fn best_label(&self) -> InterfaceName {
        match (self.kind, self.ports.first()) {
            (Kind::ActiveStandby, Some((first, _))) => first.name,
            _ => self.key,
        }
    }

    /// The members that make its group now, and what that is called; `None`: it is down.
    fn members(&self, links: &Links) -> Option<(InterfaceName, Vec<PortId>)> {
        let up: Vec<&Port> = self
            .ports
            .iter()
            .map(|(port, _)| *port)
            .filter(|port| port.admin_up && links.up.contains(port.id))
            .collect();
        let first = up.first()?;
        if self.kind != Kind::Bundle {
            return Some((first.name, vec![first.id]));
        }
        if let Some(alone) = up.iter().find(|port| links.individual.contains(port.id)) {
            return Some((alone.name, vec![alone.id]));
        }
        let channel = self.ports.first().and_then(|(_, uplink)| uplink.channel);
        let enough = channel.is_none_or(|channel| up.len() >= usize::from(channel.min_links));
        enough.then(|| (self.key, up.iter().map(|port| port.id).collect()))
    }
}

/// Everything that a host can send by.
pub(super) struct Candidates<'a>(Vec<Candidate<'a>>);

impl<'a> Candidates<'a> {
    /// Gathers the uplinks of a host, and makes the groups of those that are up. `is_same` says
    /// whether a slot still has the owner that it had in the previous state.
    pub(super) fn of(
        snapshot: &'a Snapshot,
        links: &Links,
        previous: &TeamState,
        is_same: impl Fn(PortId) -> bool,
    ) -> (Self, Vec<Group>) {
        let mut candidates = Self::configured(snapshot);
        let mut groups = Vec::new();
        // A module has at most 32 NICs, so a group's number fits its type.
        let mut numbers = (0..u8::MAX).map(GroupId);
        for candidate in &mut candidates.0 {
            let Some((label, members)) = candidate.members(links) else { continue };
            let before =
                previous.groups().iter().find(|group| group.label() == label).or_else(|| {
                    members.iter().find_map(|id| previous.group(previous.group_of(*id)?))
                });
            let kept = |bucket| before?.bucket(bucket).filter(|member| is_same(*member));
            let Some(group) = Group::spread(label, &members, kept) else { continue };
            let Some(number) = numbers.next() else { break };
            candidate.up = Some(Up { group: number, label });
            groups.push(group);
        }
        (candidates, groups)
    }

    fn configured(snapshot: &'a Snapshot) -> Self {
        let mut uplinks: Vec<Member<'a>> = snapshot
            .ports()
            .filter_map(|port| match port.role {
                Role::Uplink(uplink) => Some((port, uplink)),
                Role::Vethernet(_) => None,
            })
            .collect();
        uplinks.sort_by_key(|(port, uplink)| (uplink.nic, port.id));
        let mut gathered: Vec<(InterfaceName, Kind, Vec<Member<'a>>)> = Vec::new();
        for (port, uplink) in uplinks {
            let (key, kind) = place_of(port, &uplink);
            match gathered.iter_mut().find(|(other, ..)| *other == key) {
                Some((.., ports)) => ports.push((port, uplink)),
                None => gathered.push((key, kind, vec![(port, uplink)])),
            }
        }
        let numbered = gathered.into_iter().enumerate();
        let made = numbered.map(|(n, (key, kind, ports))| Candidate::new(n, key, kind, ports));
        Self(made.collect())
    }

    /// All of them, in order.
    pub(super) fn all(&self) -> impl Iterator<Item = &Candidate<'a>> {
        self.0.iter()
    }

    /// The candidate that a label speaks of, which may be that of one member.
    pub(super) fn by_label(&self, label: InterfaceName) -> Option<&Candidate<'a>> {
        let speaks_of = |candidate: &&Candidate<'_>| match label {
            InterfaceName::Ethernet { .. } => {
                candidate.ports.iter().any(|(port, _)| port.name == label)
            }
            _ => candidate.key == label,
        };
        self.0.iter().find(speaks_of)
    }

    /// The candidate that is recognised by this.
    pub(super) fn by_key(&self, key: InterfaceName) -> Option<&Candidate<'a>> {
        self.0.iter().find(|candidate| candidate.key == key)
    }

    /// Whether what a label speaks of cannot be sent by any more: its link is down, or what it was
    /// a member of.
    pub(super) fn is_lost(&self, label: InterfaceName, links: &Links) -> bool {
        let Some(candidate) = self.by_label(label) else { return true };
        let Some(up) = candidate.up else { return true };
        match label {
            InterfaceName::Ethernet { .. } => !candidate
                .ports
                .iter()
                .any(|(port, _)| port.name == label && port.admin_up && links.up.contains(port.id)),
            _ => up.label != label,
        }
    }
}

/// Which candidate an uplink is of.
fn place_of(port: &Port, uplink: &Uplink) -> (InterfaceName, Kind) {
    let Some(channel) = uplink.channel else { return (port.name, Kind::Lone) };
    let key = InterfaceName::PortChannel(channel.number.into());
    match channel.mode {
        ChannelMode::Active | ChannelMode::Passive | ChannelMode::On => (key, Kind::Bundle),
        ChannelMode::MacPinning { .. } => (port.name, Kind::Lone),
        ChannelMode::ActiveStandby => (key, Kind::ActiveStandby),
    }
}

fn rank(uplink: &Uplink) -> u8 {
    uplink.channel.map_or(0, |channel| channel.rank)
}
