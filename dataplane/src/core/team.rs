//! The teaming place of the core: which uplink a frame leaves by, and which one it may come by.
//!
//! *Where it sits:* an immutable value that the control side publishes beside the snapshot; it is
//! made by [`pinning::compute`](super::pinning::compute). A [`Group`] is what counts as *one*
//! uplink: a NIC alone, or all members of a port-channel.
//!
//! *Invariants:* (1) every [`GroupId`] in a state indexes a group of that state; (2) a port that is
//! not up is in no group, and no port is in two.
//!
//! *Not here:* how members are chosen (pinning), which links count (hold-down), and the LACP
//! machine.

use proto::{InterfaceName, MacAddr, PortId, VlanId};

use super::port_set::PortSet;

mod group;

pub use group::{BUCKETS, Group, port_flow};

/// The index of a group in its [`TeamState`]; without meaning in another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub(super) u8);

/// How one vEthernet stands toward the uplinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Pin {
    /// The group that its frames leave by, and by which its unicast comes: U(p).
    pub group: Option<GroupId>,
    /// Until then unicast for it may come by any uplink (R6), because it has just been re-pinned.
    pub grace_until_ns: u64,
}

/// Why a vEthernet is where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PinReason {
    /// Its profile names this NIC.
    Static,
    /// Its profile names this NIC for when those before it are down.
    Backup,
    /// It was placed by load.
    Automatic,
    /// It sends by a port-channel.
    PortChannel,
    /// This NIC carries everything of its group, of which the others stand by.
    Active,
}

impl PinReason {
    /// The word for it that hosts report.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Static => "static",
            Self::Backup => "backup",
            Self::Automatic => "automatic",
            Self::PortChannel => "port-channel",
            Self::Active => "active",
        }
    }
}

/// Of a vEthernet's place what frames do not need.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) struct Placement {
    /// The uplink that it belongs on, by [`Candidate::key`](super::pinning::uplinks::Candidate).
    pub(super) home: Option<InterfaceName>,
    /// What people call that.
    pub(super) preferred: Option<InterfaceName>,
    /// Why it is where it is; `None` without uplink.
    pub(super) reason: Option<PinReason>,
}

/// What is known of the ports' links. Collects from the ports that are up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Operationally up for data frames: the device is open, has carrier, and has had it for long
    /// enough; of a port-channel's member by LACP also that it collects and distributes, or is
    /// individual.
    pub up: PortSet,
    /// Members of a port-channel by LACP whose partner is silent, and that carry everything alone
    /// until it speaks (`no lacp suspend-individual`). Counts only for members that are up.
    pub individual: PortSet,
    /// vEthernets that are leaving by migration.
    pub leaving: PortSet,
}

impl FromIterator<PortId> for Links {
    fn from_iter<I: IntoIterator<Item = PortId>>(up: I) -> Self {
        Self { up: up.into_iter().collect(), ..Self::default() }
    }
}

/// Link state and teams of one host. [`TeamState::default`]: nothing is up.
#[derive(Clone, Debug, Default)]
pub struct TeamState {
    pub(super) links: Links,
    pub(super) groups: Box<[Group]>,
    /// By slot of the uplink.
    pub(super) group_of: Box<[Option<GroupId>]>,
    /// By slot of the vEthernet.
    pub(super) pins: Box<[Pin]>,
    /// By slot of the vEthernet.
    pub(super) placements: Box<[Placement]>,
    /// By VLAN: D(v).
    pub(super) designated: Box<[Option<GroupId>]>,
    /// Whose slot it is, so that a slot that changes hands is not taken for the old port.
    pub(super) owners: Box<[Option<Owner>]>,
}

/// The identity behind a slot: its interface and, of a vEthernet, its address.
pub(super) type Owner = (InterfaceName, Option<MacAddr>);

impl TeamState {
    /// Whether the port is operationally up for data frames.
    #[must_use]
    #[inline]
    pub fn is_up(&self, port: PortId) -> bool {
        self.links.up.contains(port)
    }

    /// The links it was computed for.
    #[must_use]
    pub const fn links(&self) -> &Links {
        &self.links
    }

    /// Whether a vEthernet is leaving by migration, so that its frames may come back from the wire
    /// (R4).
    #[must_use]
    #[inline]
    pub fn is_leaving(&self, vethernet: PortId) -> bool {
        self.links.leaving.contains(vethernet)
    }

    /// A group.
    #[must_use]
    #[inline]
    pub fn group(&self, id: GroupId) -> Option<&Group> {
        self.groups.get(usize::from(id.0))
    }

    /// The group that an uplink belongs to; `None` while it is down.
    #[must_use]
    #[inline]
    pub fn group_of(&self, uplink: PortId) -> Option<GroupId> {
        self.group_of.get(uplink.index()).copied().flatten()
    }

    /// How a vEthernet stands toward the uplinks.
    #[must_use]
    #[inline]
    pub fn pin(&self, vethernet: PortId) -> Pin {
        self.pins.get(vethernet.index()).copied().unwrap_or_default()
    }

    /// The group that a vEthernet's frames leave by: U(p).
    #[must_use]
    #[inline]
    pub fn uplink_group(&self, vethernet: PortId) -> Option<&Group> {
        self.group(self.pin(vethernet).group?)
    }

    /// The group that broadcast and multicast of a VLAN come by: D(v).
    #[must_use]
    #[inline]
    pub fn designated(&self, vlan: VlanId) -> Option<GroupId> {
        self.designated.get(usize::from(vlan.get())).copied().flatten()
    }

    /// Whether unicast for this vEthernet may come by this group: it is U(q), or the vEthernet
    /// has been re-pinned a moment ago.
    #[must_use]
    #[inline]
    pub fn accepts(&self, vethernet: PortId, group: Option<GroupId>, now_ns: u64) -> bool {
        let pin = self.pin(vethernet);
        (group.is_some() && pin.group == group) || now_ns < pin.grace_until_ns
    }

    /// All groups, which are what counts as one uplink each.
    #[must_use]
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The uplink that a vEthernet's frames leave by, as people call it: `Ethernet3/1` or
    /// `port-channel1`.
    #[must_use]
    pub fn uplink(&self, vethernet: PortId) -> Option<InterfaceName> {
        Some(self.uplink_group(vethernet)?.label())
    }

    /// The uplink that a vEthernet belongs on, which may be the one that it is on: it goes back
    /// there when that is up again. `None`: no uplink of the host carries any of its VLANs.
    #[must_use]
    pub fn preferred(&self, vethernet: PortId) -> Option<InterfaceName> {
        self.placement(vethernet).preferred
    }

    /// Why a vEthernet is on its uplink; `None` without one.
    #[must_use]
    pub fn reason(&self, vethernet: PortId) -> Option<PinReason> {
        self.placement(vethernet).reason
    }

    pub(super) fn placement(&self, vethernet: PortId) -> Placement {
        self.placements.get(vethernet.index()).copied().unwrap_or_default()
    }

    /// The first member of the group that a vEthernet is pinned to: where its addresses are
    /// announced.
    #[must_use]
    pub fn pinned_member(&self, vethernet: PortId) -> Option<PortId> {
        self.uplink_group(vethernet)?.members().first().copied()
    }

    /// The first member of the designated group of a VLAN.
    #[must_use]
    pub fn designated_member(&self, vlan: VlanId) -> Option<PortId> {
        self.group(self.designated(vlan)?)?.members().first().copied()
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn nobody_accepts_a_frame_of_an_uplink_without_group() {
        let port = PortId::new(1).unwrap();
        let state = TeamState::default();
        assert!(!state.accepts(port, None, 0), "an unpinned port and a lone uplink do not match");
        let pin = Pin { grace_until_ns: 10, ..Pin::default() };
        let state = TeamState { pins: Box::new([Pin::default(), pin]), ..state };
        assert!(state.accepts(port, None, 9) && !state.accepts(port, None, 10));
    }
}
