//! Which uplinks have had their link for long enough to be used (`link-up delay`).
//!
//! A physical switch has a link before it forwards on it: it still listens, learns, or boots. What
//! is sent there meanwhile is lost, so an uplink that comes back waits while others do its work.
//!
//! *Where it sits:* sans-IO; the control side tells [`HoldDown::update`] every change of carriers
//! and configuration and calls it again at [`HoldDown::next_deadline_ns`]; the outcome goes into
//! [`Links::up`](super::team::Links::up).
//!
//! ```text
//! unseen --no carrier--> Down --carrier--> Waiting --delay over, or needed--> Usable
//!    |                    ^ ^-----carrier lost---'                               |
//!    '--carrier--> Usable '--------------------carrier lost----------------------'
//! ```
//!
//! *Invariants:* (1) an uplink without carrier is not usable; (2) one that is usable stays so while
//! it has carrier; (3) none waits for which there is no other: while a team has too few links, or a
//! VLAN with members on this host has none; (4) the state in which an uplink is first seen counts
//! at once: a daemon that starts, or is given a NIC, does not interrupt what is there.
//!
//! *Not here:* LACP. Its partner says when a member can be used, so its members do not wait.

use std::collections::BTreeMap;

use policy::Snapshot;
use policy::snapshot::{Port, Role, Uplink};
use policy::teaming::ChannelMode;
use proto::{InterfaceName, PortId, VlanId};

use super::port_set::PortSet;

const NS_PER_S: u64 = 1_000_000_000;

/// How long each uplink of a host has had its link.
#[derive(Clone, Debug, Default)]
pub struct HoldDown {
    seen: BTreeMap<InterfaceName, Standing>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    Down,
    Waiting { since_ns: u64, until_ns: u64 },
    Usable,
}

impl HoldDown {
    /// Takes up how the links are at `now_ns` of a clock that never goes back. The uplinks that may
    /// be used.
    ///
    /// `carriers` says of each uplink whose device is open whether it has carrier. One that is not
    /// named has none, and if it never was, it has not been seen yet.
    pub fn update(
        &mut self,
        now_ns: u64,
        snapshot: &Snapshot,
        carriers: impl IntoIterator<Item = (PortId, bool)>,
    ) -> PortSet {
        let carriers: BTreeMap<PortId, bool> = carriers.into_iter().collect();
        let uplinks: Vec<(&Port, Uplink)> = snapshot
            .ports()
            .filter_map(|port| match port.role {
                Role::Uplink(uplink) => Some((port, uplink)),
                Role::Vethernet(_) => None,
            })
            .collect();
        let before = std::mem::take(&mut self.seen);
        for (port, uplink) in &uplinks {
            let standing = before.get(&port.name).copied();
            let carrier = carriers.get(&port.id).copied();
            let delay_ns = delay_ns(uplink);
            if let Some(standing) = step(standing, carrier, delay_ns, now_ns) {
                self.seen.insert(port.name, standing);
            }
        }
        self.release(snapshot, &uplinks);
        let usable = uplinks.iter().filter(|(port, _)| self.is_usable(port));
        usable.map(|(port, _)| port.id).collect()
    }

    /// When an uplink may be used that waits now, if nothing happens before.
    #[must_use]
    pub fn next_deadline_ns(&self) -> Option<u64> {
        self.seen.values().filter_map(|standing| standing.until_ns()).min()
    }

    /// Until when an uplink waits; `None`: it does not.
    #[must_use]
    pub fn waits_until_ns(&self, uplink: InterfaceName) -> Option<u64> {
        self.seen.get(&uplink)?.until_ns()
    }

    fn is_usable(&self, port: &Port) -> bool {
        self.seen.get(&port.name) == Some(&Standing::Usable)
    }

    /// Ends the waiting of those for which there is no other: first of those that have had their
    /// link for longest, for they are the likeliest to work.
    fn release(&mut self, snapshot: &Snapshot, uplinks: &[(&Port, Uplink)]) {
        let mut waiting: Vec<(u64, &(&Port, Uplink))> = uplinks
            .iter()
            .filter(|(port, _)| port.admin_up)
            .filter_map(|it| match self.seen.get(&it.0.name)? {
                Standing::Waiting { since_ns, .. } => Some((*since_ns, it)),
                Standing::Down | Standing::Usable => None,
            })
            .collect();
        waiting.sort_by_key(|(since_ns, (_, uplink))| {
            (*since_ns, uplink.channel.map(|channel| channel.rank), uplink.nic)
        });
        for (_, (port, uplink)) in waiting {
            if self.is_team_short(uplink, uplinks) || self.is_vlan_cut(port, snapshot) {
                self.seen.insert(port.name, Standing::Usable);
            }
        }
    }

    /// Whether the team of an uplink has fewer links than it needs.
    fn is_team_short(&self, uplink: &Uplink, uplinks: &[(&Port, Uplink)]) -> bool {
        let usable = uplinks.iter().filter(|(port, other)| {
            port.admin_up && other.team == uplink.team && self.is_usable(port)
        });
        let needed = match uplink.channel {
            Some(channel) if channel.mode == ChannelMode::On => usize::from(channel.min_links),
            _ => 1,
        };
        usable.count() < needed
    }

    /// Whether an uplink carries a VLAN that this host has a port in and no other uplink can serve.
    fn is_vlan_cut(&self, uplink: &Port, snapshot: &Snapshot) -> bool {
        VlanId::all().filter(|vlan| uplink.vlan_mode.carries(*vlan)).any(|vlan| {
            let ports = snapshot.vlan(vlan);
            let served = || {
                let mut uplinks = ports.uplinks.iter().filter_map(|id| snapshot.port(*id));
                uplinks.any(|port| self.is_usable(port))
            };
            !ports.flood.is_empty() && !served()
        })
    }
}

impl Standing {
    const fn until_ns(&self) -> Option<u64> {
        match self {
            Self::Waiting { until_ns, .. } => Some(*until_ns),
            Self::Down | Self::Usable => None,
        }
    }
}

/// How an uplink stands now; `None`: it has not been seen yet.
const fn step(
    before: Option<Standing>,
    carrier: Option<bool>,
    delay_ns: u64,
    now_ns: u64,
) -> Option<Standing> {
    let since_ns = match (before, carrier) {
        (None, None) => return None,
        (_, Some(false)) | (Some(_), None) => return Some(Standing::Down),
        (None | Some(Standing::Usable), Some(true)) => return Some(Standing::Usable),
        (Some(Standing::Down), Some(true)) => now_ns,
        (Some(Standing::Waiting { since_ns, .. }), Some(true)) => since_ns,
    };
    // The delay may have been configured anew since.
    let until_ns = since_ns.saturating_add(delay_ns);
    let is_over = now_ns >= until_ns;
    Some(if is_over { Standing::Usable } else { Standing::Waiting { since_ns, until_ns } })
}

fn delay_ns(uplink: &Uplink) -> u64 {
    let by_lacp = uplink.channel.is_some_and(|channel| channel.mode.is_lacp());
    if by_lacp { 0 } else { u64::from(uplink.link_up_delay_s) * NS_PER_S }
}

#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::indexing_slicing)]
mod tests;
