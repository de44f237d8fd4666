//! Which uplink each vEthernet sends by, and which one receives for each VLAN (`mac-pinning`).
//!
//! *Where it sits:* sans-IO; the control side calls [`compute`] when a link, the snapshot or a
//! migration changes, publishes the outcome and announces the moved addresses.
//!
//! *Invariants:* (1) a pin and a designation stay where they are while their uplink is up and fits
//! as well as any other: the loss of a link moves its own pins and nothing else; (2) what has to be
//! placed goes to the least loaded of the uplinks that fit best, so that pins placed together
//! spread within one; (3) same input, same outcome.
//!
//! *Not here:* port-channels, whose groups have several members (their LACP machine will say
//! which).

use policy::VlanSet;
use policy::snapshot::{Port, Role, Snapshot, Vethernet, VlanMode};
use proto::{PortId, VlanId};

use super::team::{Group, GroupId, Links, Owner, Pin, TeamState};

/// For how long after a re-pin unicast is taken from any uplink: until the physical network has
/// learned the new way from the announcement, and a second for switches that are slow at it.
pub const REPIN_GRACE_NS: u64 = 2_000_000_000;

/// A vEthernet now sends by another uplink: its addresses are to be announced there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Repin {
    /// The vEthernet.
    pub port: PortId,
    /// The uplink it sent by; `None` when it is new here, or had none.
    pub from: Option<PortId>,
    /// The uplink it sends by now; `None` when no uplink that is up carries any of its VLANs.
    pub to: Option<PortId>,
}

/// Places every vEthernet and every VLAN on the uplinks that are up.
///
/// A vEthernet goes to the NIC that its profile names, while that is up and carries any of its
/// VLANs; else to one of those that carry the most of them. A VLAN of a trunk that the chosen
/// uplink does not carry has no uplink there (`no-uplink`).
#[must_use]
pub fn compute(
    snapshot: &Snapshot,
    links: &Links,
    previous: &TeamState,
    now_ns: u64,
) -> (TeamState, Vec<Repin>) {
    let members = Members::of(snapshot, links);
    let slots = snapshot.ports().map(|port| port.id.index() + 1).max().unwrap_or(0);
    let mut state = TeamState {
        links: links.clone(),
        groups: members.0.iter().map(|member| Group::single(member.port.id)).collect(),
        group_of: vec![None; slots].into(),
        pins: vec![Pin::default(); slots].into(),
        designated: designate(snapshot, &members, previous),
        owners: vec![None; slots].into(),
    };
    for member in &members.0 {
        if let Some(group) = state.group_of.get_mut(member.port.id.index()) {
            *group = Some(member.group);
        }
    }
    for port in snapshot.ports() {
        if let Some(slot) = state.owners.get_mut(port.id.index()) {
            *slot = Some(owner(port));
        }
    }
    let repins = place(snapshot, &members, previous, now_ns, &mut state);
    (state, repins)
}

/// An uplink that is up, and its group of one.
struct Member<'a> {
    port: &'a Port,
    nic: u8,
    group: GroupId,
}

/// The uplinks that are up, ascending by slot.
struct Members<'a>(Vec<Member<'a>>);

impl<'a> Members<'a> {
    fn of(snapshot: &'a Snapshot, links: &Links) -> Self {
        let up = snapshot.ports().filter_map(|port| match &port.role {
            Role::Uplink(uplink) if port.admin_up && links.up.contains(port.id) => {
                Some((port, uplink.nic))
            }
            Role::Uplink(_) | Role::Vethernet(_) => None,
        });
        // A module has at most 32 NICs, so a group's number fits its type.
        let numbered = up.zip(0..u8::MAX);
        Self(numbered.map(|((port, nic), n)| Member { port, nic, group: GroupId(n) }).collect())
    }

    fn by_port(&self, id: PortId) -> Option<&Member<'a>> {
        self.0.iter().find(|member| member.port.id == id)
    }

    /// The uplink that a vEthernet has to be on or may stay on; `None`: it is to be placed.
    fn settled(
        &self,
        port: &Port,
        vethernet: &Vethernet,
        before: Option<PortId>,
    ) -> Option<&Member<'a>> {
        let named = self.0.iter().find(|member| Some(&member.nic) == vethernet.pinned_nics.first());
        if let Some(named) = named.filter(|member| fit(port, member.port) > 0) {
            return Some(named);
        }
        let best = self.best_fit(port);
        self.by_port(before?).filter(|member| best > 0 && fit(port, member.port) == best)
    }

    /// The least loaded of the uplinks that carry the most VLANs of the port; of equals the first.
    fn least_loaded(&self, port: &Port, loads: &Loads) -> Option<&Member<'a>> {
        let best = self.best_fit(port);
        let fitting = self.0.iter().filter(|member| best > 0 && fit(port, member.port) == best);
        fitting.min_by_key(|member| loads.of(member.group))
    }

    fn best_fit(&self, port: &Port) -> usize {
        self.0.iter().map(|member| fit(port, member.port)).max().unwrap_or(0)
    }
}

/// How many VLANs of the port the uplink carries.
fn fit(port: &Port, uplink: &Port) -> usize {
    match (&port.vlan_mode, &uplink.vlan_mode) {
        (VlanMode::Access(vlan), mode) | (mode, VlanMode::Access(vlan)) => {
            usize::from(mode.carries(*vlan))
        }
        (VlanMode::Trunk { allowed, .. }, VlanMode::Trunk { allowed: carried, .. }) => {
            VlanSet::intersection(allowed, carried).len()
        }
    }
}

/// Pins every vEthernet: first those whose place is given, then the rest by load.
fn place(
    snapshot: &Snapshot,
    members: &Members<'_>,
    previous: &TeamState,
    now_ns: u64,
    state: &mut TeamState,
) -> Vec<Repin> {
    let mut loads = Loads(vec![0; members.0.len()]);
    let mut placed = Vec::new();
    for port in snapshot.ports() {
        let Role::Vethernet(vethernet) = &port.role else { continue };
        let before = pin_before(snapshot, previous, port);
        let settled = members.settled(port, vethernet, before);
        placed.push((port, before, settled.map(|member| loads.take(member))));
    }
    for (port, _, group) in placed.iter_mut().filter(|(.., group)| group.is_none()) {
        *group = members.least_loaded(port, &loads).map(|member| loads.take(member));
    }
    let mut repins = Vec::new();
    for (port, from, group) in placed {
        let to = group.and_then(|id| state.group(id)).map(|group| group.member(0));
        let grace_until_ns = if from == to {
            previous.pin(port.id).grace_until_ns
        } else {
            repins.push(Repin { port: port.id, from, to });
            if from.is_some() && to.is_some() { now_ns.saturating_add(REPIN_GRACE_NS) } else { 0 }
        };
        if let Some(pin) = state.pins.get_mut(port.id.index()) {
            *pin = Pin { group, grace_until_ns };
        }
    }
    repins
}

/// How many vEthernets each group has been given.
struct Loads(Vec<u32>);

impl Loads {
    fn of(&self, group: GroupId) -> u32 {
        self.0.get(usize::from(group.0)).copied().unwrap_or(u32::MAX)
    }

    fn take(&mut self, member: &Member<'_>) -> GroupId {
        if let Some(load) = self.0.get_mut(usize::from(member.group.0)) {
            *load += 1;
        }
        member.group
    }
}

/// Chooses the uplink that receives broadcast and multicast, for every VLAN that one carries: the
/// one before while it can, else one by the VLAN's number, so that the load spreads.
fn designate(
    snapshot: &Snapshot,
    members: &Members<'_>,
    previous: &TeamState,
) -> Box<[Option<GroupId>]> {
    let mut designated = vec![None; usize::from(VlanId::MAX.get()) + 1];
    for vlan in VlanId::all() {
        let able = || members.0.iter().filter(|member| member.port.vlan_mode.carries(vlan));
        let Some(turn) = usize::from(vlan.get()).checked_rem(able().count()) else { continue };
        let before = previous
            .designated_member(vlan)
            .filter(|uplink| is_same(previous, snapshot.port(*uplink)));
        let chosen =
            able().find(|member| Some(member.port.id) == before).or_else(|| able().nth(turn));
        if let Some(slot) = designated.get_mut(usize::from(vlan.get())) {
            *slot = chosen.map(|member| member.group);
        }
    }
    designated.into()
}

/// The uplink that this very port was pinned to; the slot of either may have changed hands.
fn pin_before(snapshot: &Snapshot, previous: &TeamState, port: &Port) -> Option<PortId> {
    let uplink = previous.pinned_member(port.id).filter(|_| is_same(previous, Some(port)))?;
    // An uplink that is gone still is where the port came from.
    let gone = snapshot.port(uplink).is_none();
    (gone || is_same(previous, snapshot.port(uplink))).then_some(uplink)
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
