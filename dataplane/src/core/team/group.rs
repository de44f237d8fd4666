//! A group: what counts as *one* uplink, and how flows spread over its members.
//!
//! *Where it sits:* pinning makes groups; the lookup stage asks one for the member of a flow. Flows
//! fall into [`BUCKETS`] buckets by their hash, and each bucket has a member: one table look-up a
//! frame, whatever the number of members.
//!
//! *Invariants:* (1) a group has at least one member, and each member stands in it once; (2) the
//! shares of two members differ by at most one bucket; (3) a change of members moves as few buckets
//! as (2) allows: what a lost member leaves goes to the rest, and what a new one gets comes from
//! all. So while members stand still no flow moves, and a loss moves the flows of the lost member
//! alone.

use proto::{InterfaceName, PortId, VethId};

/// How many buckets a group spreads its flows over. A power of two; of the 16 members that a
/// port-channel can have each holds 16.
pub const BUCKETS: usize = 256;

/// What counts as one uplink: a NIC alone, or all members of a port-channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Group {
    label: InterfaceName,
    members: Box<[PortId]>,
    buckets: [PortId; BUCKETS],
}

impl Group {
    /// A group of one member.
    #[must_use]
    pub fn single(label: InterfaceName, member: PortId) -> Self {
        Self { label, members: Box::new([member]), buckets: [member; BUCKETS] }
    }

    /// A group that spreads flows evenly over its members, each of which is named once; `None`
    /// when there are none.
    ///
    /// `kept` says who had a bucket before, if that is still to count; a bucket stays with its
    /// member as far as even shares allow.
    #[must_use]
    pub fn spread(
        label: InterfaceName,
        members: &[PortId],
        kept: impl Fn(usize) -> Option<PortId>,
    ) -> Option<Self> {
        let first = *members.first()?;
        let place = |port| members.iter().position(|member| *member == port);
        let mut holders: Vec<Option<usize>> =
            (0..BUCKETS).map(|bucket| kept(bucket).and_then(place)).collect();
        let mut room = rooms(&holders, members.len());
        // Whoever holds too much gives up the last of it.
        for holder in &mut holders {
            *holder = holder.filter(|member| take(&mut room, *member));
        }
        let mut turns = (0..members.len()).cycle();
        for holder in holders.iter_mut().filter(|holder| holder.is_none()) {
            // The rooms are as many as the buckets, so one round finds one.
            *holder = turns.by_ref().take(members.len()).find(|member| take(&mut room, *member));
        }
        let mut buckets = [first; BUCKETS];
        for (bucket, holder) in buckets.iter_mut().zip(holders) {
            *bucket = holder.and_then(|member| members.get(member)).copied().unwrap_or(first);
        }
        Some(Self { label, members: members.into(), buckets })
    }

    /// What people call it: the NIC (`Ethernet3/1`) or the port-channel (`port-channel1`).
    #[must_use]
    pub const fn label(&self) -> InterfaceName {
        self.label
    }

    /// The members, all of them up.
    #[must_use]
    pub fn members(&self) -> &[PortId] {
        &self.members
    }

    /// The only member; `None` when flows spread over several.
    #[must_use]
    #[inline]
    pub fn lone(&self) -> Option<PortId> {
        match *self.members {
            [member] => Some(member),
            _ => None,
        }
    }

    /// The member that a flow with this hash leaves by; the same one as long as the group stands.
    #[must_use]
    #[inline]
    #[allow(clippy::indexing_slicing)] // The mask is below the length: the compiler sees it too.
    pub const fn member(&self, flow: u32) -> PortId {
        self.buckets[flow as usize & (BUCKETS - 1)]
    }

    /// The member that a bucket belongs to.
    #[must_use]
    pub fn bucket(&self, bucket: usize) -> Option<PortId> {
        self.buckets.get(bucket).copied()
    }
}

/// How many buckets each of `members` is to have: the same for all, and one more for as many as the
/// rest needs; first for those that hold most now, so that they need not give it up.
fn rooms(holders: &[Option<usize>], members: usize) -> Vec<usize> {
    let mut held = vec![0_usize; members];
    for holder in holders.iter().flatten() {
        if let Some(count) = held.get_mut(*holder) {
            *count += 1;
        }
    }
    let mut by_holding: Vec<(usize, usize)> = held.into_iter().enumerate().collect();
    by_holding.sort_by_key(|(member, count)| (std::cmp::Reverse(*count), *member));
    let (share, rest) = (BUCKETS / members.max(1), BUCKETS % members.max(1));
    let mut room = vec![share; members];
    for (member, _) in by_holding.into_iter().take(rest) {
        if let Some(room) = room.get_mut(member) {
            *room += 1;
        }
    }
    room
}

/// Takes one of a member's rooms, if it has one left.
fn take(room: &mut [usize], member: usize) -> bool {
    room.get_mut(member).is_some_and(|left| match left.checked_sub(1) {
        Some(less) => {
            *left = less;
            true
        }
        None => false,
    })
}

/// The hash that stands for all flows of one vEthernet (`source-virtual-port-id`): the same on
/// every host and in every release. The finalizer of MurmurHash3 (A. Appleby, public domain), which
/// lets every bit of the number reach every bit of the outcome.
#[must_use]
#[inline]
pub const fn port_flow(id: VethId) -> u32 {
    let mut hash = id.get();
    hash = (hash ^ hash >> 16).wrapping_mul(0x85eb_ca6b);
    hash = (hash ^ hash >> 13).wrapping_mul(0xc2b2_ae35);
    hash ^ hash >> 16
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used)]
mod tests;
