//! The teaming place of the core: which uplink a frame leaves by, and which one it may come by.
//!
//! *Where it sits:* an immutable value that the control side publishes beside the snapshot; it is
//! made by [`pinning::compute`](super::pinning::compute). A group is what counts as *one* uplink: a
//! pinned member alone, or all members of a port-channel, over which a bucket table spreads flows.
//!
//! *Invariants:* (1) a group has at least one member; (2) every [`GroupId`] in a state indexes a
//! group of that state; (3) a port that is not up is in no group.
//!
//! *Not here:* how members are chosen (pinning), and the LACP machine.

use proto::{InterfaceName, MacAddr, PortId, VlanId};

use super::port_set::PortSet;

/// How many buckets a group spreads its flows over. A power of two; a member is one of at most 16
/// (802.1AX in NX-OS), so the shares differ by at most a quarter.
pub const BUCKETS: usize = 64;

/// The index of a group in its [`TeamState`]; without meaning in another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct GroupId(pub(super) u8);

/// What counts as one uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    pub(super) members: Box<[PortId]>,
    buckets: [PortId; BUCKETS],
}

impl Group {
    /// A group of one member.
    #[must_use]
    pub fn single(member: PortId) -> Self {
        Self { members: Box::new([member]), buckets: [member; BUCKETS] }
    }

    /// A group that spreads flows evenly over its members; `None` when there are none.
    #[must_use]
    pub fn spread(members: &[PortId]) -> Option<Self> {
        let mut buckets = [*members.first()?; BUCKETS];
        for (bucket, member) in buckets.iter_mut().zip(members.iter().cycle()) {
            *bucket = *member;
        }
        Some(Self { members: members.into(), buckets })
    }

    /// The members, all of them up.
    #[must_use]
    pub fn members(&self) -> &[PortId] {
        &self.members
    }

    /// The member that a flow with this hash leaves by; the same one as long as the group stands.
    #[must_use]
    #[inline]
    #[allow(clippy::indexing_slicing)] // The mask is below the length: the compiler sees it too.
    pub const fn member(&self, flow: u32) -> PortId {
        self.buckets[flow as usize & (BUCKETS - 1)]
    }
}

/// How one vEthernet stands toward the uplinks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Pin {
    /// The group that its frames leave by, and by which its unicast comes: U(p).
    pub group: Option<GroupId>,
    /// Until then unicast for it may come by any uplink (R6), because it has just been re-pinned.
    pub grace_until_ns: u64,
}

/// What is known of the ports' links. Collects from the ports that are up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Links {
    /// Operationally up for data frames: the device is open and has carrier; of a port-channel's
    /// member also that it collects and distributes.
    pub up: PortSet,
    /// vEthernets that are leaving by migration.
    pub leaving: PortSet,
}

impl FromIterator<PortId> for Links {
    fn from_iter<I: IntoIterator<Item = PortId>>(up: I) -> Self {
        Self { up: up.into_iter().collect(), leaving: PortSet::EMPTY }
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

    /// The first member of the group that a vEthernet is pinned to: what `show` calls its uplink.
    #[must_use]
    pub fn pinned_member(&self, vethernet: PortId) -> Option<PortId> {
        self.uplink_group(vethernet)?.members.first().copied()
    }

    /// The first member of the designated group of a VLAN.
    #[must_use]
    pub fn designated_member(&self, vlan: VlanId) -> Option<PortId> {
        self.group(self.designated(vlan)?)?.members.first().copied()
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_group_spreads_flows_evenly_and_keeps_each_on_one_member() {
        let members = [3, 5, 9].map(|i| PortId::new(i).unwrap());
        let group = Group::spread(&members).unwrap();
        let mut shares = [0; 3];
        for flow in 0..BUCKETS as u32 {
            assert_eq!(group.member(flow), group.member(flow + BUCKETS as u32));
            shares[members.iter().position(|m| *m == group.member(flow)).unwrap()] += 1;
        }
        assert_eq!(shares, [22, 21, 21]);
        assert_eq!(Group::spread(&[]), None);
    }

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
