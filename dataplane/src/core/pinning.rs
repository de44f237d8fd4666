//! Which uplink each vEthernet sends by, and which one receives for each VLAN.
//!
//! *Where it sits:* sans-IO; the control side calls [`compute`] when a link, the snapshot or a
//! migration changes, publishes the outcome and announces the moved addresses. What can be sent by
//! is gathered in `uplinks`, vEthernets are placed in `place`; VLANs are designated here.
//!
//! *Invariants:* (1) a pin and a designation stay where they are while their uplink is up, unless
//! the one that they belong on comes up, or one fits better: the loss of a link moves its own pins
//! and nothing else; (2) what has to be placed goes to the least loaded of the uplinks that fit
//! best, so that pins placed together spread within one; (3) same input, same outcome.
//!
//! *Not here:* which links may be used (hold-down, LACP): that is told as [`Links`].

mod place;
pub(super) mod uplinks;

use policy::snapshot::{Port, Role, Snapshot};
use proto::{InterfaceName, PortId, VlanId};

use self::place::Placed;
use self::uplinks::Candidates;
use super::team::{Group, GroupId, Links, Owner, Pin, PinReason, Placement, TeamState};

/// For how long after a re-pin unicast is taken from any uplink: until the physical network has
/// learned the new way from the announcement, and a second for switches that are slow at it.
pub const REPIN_GRACE_NS: u64 = 2_000_000_000;

/// A vEthernet now sends by another uplink: its addresses are to be announced there. The members of
/// a port-channel are one uplink: their coming and going moves nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repin {
    /// The vEthernet.
    pub port: PortId,
    /// The uplink it sent by, of a port-channel its first member; `None` when it is new here, or
    /// had none.
    pub from: Option<PortId>,
    /// The uplink it sends by now, of a port-channel its first member; `None` when no uplink that
    /// is up carries any of its VLANs.
    pub to: Option<PortId>,
    /// Why it is there now; `None` without uplink.
    pub reason: Option<PinReason>,
    /// Why it has moved.
    pub cause: Cause,
}

/// Why a vEthernet has moved to another uplink.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// It is new on this host, or had no uplink.
    New,
    /// The uplink that it sent by is down.
    Failover,
    /// The uplink that it belongs on is up again.
    FailBack,
    /// Configuration moved it, or an uplink came up that carries more of its VLANs.
    Change,
}

impl Cause {
    /// The word for it in events.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Failover => "failover",
            Self::FailBack => "fail-back",
            Self::Change => "change",
        }
    }
}

/// Makes groups of the uplinks that are up, and places every vEthernet and every VLAN on them.
///
/// A vEthernet belongs on the first NIC that its profile names and that carries any of its VLANs.
/// Without such a NIC it belongs on the uplink that it was once given: one of those that carry most
/// of its VLANs, whichever fewest belong on. While that is down it goes to the next that its
/// profile names, else it stays where it is, else it goes to the least loaded. A VLAN of a trunk
/// that the chosen uplink does not carry has no uplink there (`no-uplink`).
///
/// Broadcast and multicast of a VLAN are received by one of the uplinks that carry it, which its
/// number says, and by another while that is down.
#[must_use]
pub fn compute(
    snapshot: &Snapshot,
    links: &Links,
    previous: &TeamState,
    now_ns: u64,
) -> (TeamState, Vec<Repin>) {
    let same = |id| is_same(previous, snapshot.port(id));
    let (candidates, groups) = Candidates::of(snapshot, links, previous, same);
    let slots = snapshot.ports().map(|port| port.id.index() + 1).max().unwrap_or(0);
    let mut state = TeamState {
        links: links.clone(),
        groups: groups.into(),
        group_of: vec![None; slots].into(),
        pins: vec![Pin::default(); slots].into(),
        placements: vec![Placement::default(); slots].into(),
        designated: designate(&candidates, previous),
        owners: vec![None; slots].into(),
    };
    for (group, number) in state.groups.iter().zip(0..) {
        for member in group.members() {
            if let Some(group) = state.group_of.get_mut(member.index()) {
                *group = Some(GroupId(number));
            }
        }
    }
    for port in snapshot.ports() {
        if let Some(slot) = state.owners.get_mut(port.id.index()) {
            *slot = Some(owner(port));
        }
    }
    let placed = place::run(snapshot, &candidates, previous);
    let moves = Moves { snapshot, candidates: &candidates, previous, now_ns };
    let repins = placed.into_iter().filter_map(|placed| moves.take(&placed, &mut state)).collect();
    (state, repins)
}

/// What tells a move from a stay.
struct Moves<'a> {
    snapshot: &'a Snapshot,
    candidates: &'a Candidates<'a>,
    previous: &'a TeamState,
    now_ns: u64,
}

impl Moves<'_> {
    /// Writes down where a vEthernet is now; its move, if it was elsewhere.
    fn take(&self, placed: &Placed<'_>, state: &mut TeamState) -> Option<Repin> {
        let port = placed.port.id;
        let to = placed.group.and_then(|id| state.group(id));
        let (to_label, to) = (to.map(Group::label), to.map(|group| group.member(0)));
        let before = self.previous.pin(port);
        let moved = placed.from != to_label;
        let grace_until_ns = match (moved, placed.from, to) {
            (false, ..) => before.grace_until_ns,
            (true, Some(_), Some(_)) => self.now_ns.saturating_add(REPIN_GRACE_NS),
            (true, ..) => 0,
        };
        if let Some(pin) = state.pins.get_mut(port.index()) {
            *pin = Pin { group: placed.group, grace_until_ns };
        }
        if let Some(placement) = state.placements.get_mut(port.index()) {
            *placement = placed.placement;
        }
        moved.then(|| Repin {
            port,
            from: placed.from.and_then(|_| self.member_before(port)),
            to,
            reason: placed.placement.reason,
            cause: self.cause(placed, to_label, &state.links),
        })
    }

    /// The first member of the uplink that a vEthernet was on, if its slot is not another's now.
    fn member_before(&self, vethernet: PortId) -> Option<PortId> {
        let member = self.previous.pinned_member(vethernet)?;
        // An uplink that is gone still is where the port came from.
        let port = self.snapshot.port(member);
        (port.is_none() || is_same(self.previous, port)).then_some(member)
    }

    fn cause(&self, placed: &Placed<'_>, to: Option<InterfaceName>, links: &Links) -> Cause {
        let Some(from) = placed.from else { return Cause::New };
        let belongs_as_before =
            self.previous.placement(placed.port.id).home == placed.placement.home;
        if self.candidates.is_lost(from, links) {
            Cause::Failover
        } else if belongs_as_before && to == placed.placement.preferred {
            Cause::FailBack
        } else {
            Cause::Change
        }
    }
}

/// Chooses the uplink that receives broadcast and multicast, for every VLAN that one carries: by
/// the VLAN's number, so that the load spreads; while that is down, the one before if it can, else
/// another by the number.
fn designate(candidates: &Candidates<'_>, previous: &TeamState) -> Box<[Option<GroupId>]> {
    let mut designated = vec![None; usize::from(VlanId::MAX.get()) + 1];
    for (vlan, number) in VlanId::all().map(|vlan| (vlan, usize::from(vlan.get()))) {
        let able = || candidates.all().filter(|c| c.admin_up() && c.carries(vlan));
        let count = able().count();
        let Some(turn) = number.checked_rem(count) else { continue };
        let home = able().nth(turn).and_then(|candidate| candidate.up);
        let stand_in = || {
            let before = previous.designated(vlan).and_then(|id| previous.group(id));
            let before = before.and_then(|group| candidates.by_label(group.label()));
            let stays = before.filter(|c| c.admin_up() && c.carries(vlan)).and_then(|c| c.up);
            let up = || able().filter_map(|candidate| candidate.up);
            // VLANs that share a home part here.
            stays.or_else(|| up().nth((number / count).checked_rem(up().count())?))
        };
        if let Some(slot) = designated.get_mut(number) {
            *slot = home.or_else(stand_in).map(|up| up.group);
        }
    }
    designated.into()
}

/// Whether a slot had the same owner before.
fn is_same(previous: &TeamState, port: Option<&Port>) -> bool {
    port.is_some_and(|port| {
        previous.owners.get(port.id.index()).copied().flatten() == Some(owner(port))
    })
}

fn owner(port: &Port) -> Owner {
    let mac = match &port.role {
        Role::Vethernet(vethernet) => Some(vethernet.mac),
        Role::Uplink(_) => None,
    };
    (port.name, mac)
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
