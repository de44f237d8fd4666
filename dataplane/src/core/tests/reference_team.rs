//! Teaming as plain code, for a host that has just come up: which uplinks count as one, and which
//! one receives for a VLAN. It reads the intent and shares no code with `pinning`.

use std::collections::{BTreeMap, BTreeSet};

use policy::HostIntent;
use policy::intent::{PortIntent, PortRole, UplinkRole};
use policy::teaming::ChannelMode;
use proto::{InterfaceName, VlanId};

/// What can count as one uplink.
#[derive(Debug)]
pub(super) struct Candidate {
    /// The members that frames pass by now; none: it is down.
    pub(super) members: Vec<InterfaceName>,
    vlans: BTreeSet<VlanId>,
    admin_up: bool,
}

/// The candidates of a host, by their lowest NIC.
pub(super) fn candidates(intent: &HostIntent, up: &BTreeSet<InterfaceName>) -> Vec<Candidate> {
    let mut by_number: BTreeMap<u8, Vec<(InterfaceName, &PortIntent, UplinkRole)>> =
        BTreeMap::new();
    for (name, port) in &intent.ports {
        let PortRole::Uplink(role) = port.role else { continue };
        let shared = role.channel.filter(|c| !matches!(c.mode, ChannelMode::MacPinning { .. }));
        let number = shared.map_or(role.nic, |channel| channel.number);
        by_number.entry(number).or_default().push((*name, port, role));
    }
    let candidate = |members: &Vec<(InterfaceName, &PortIntent, UplinkRole)>| {
        let usable = |(name, port, _): &&(InterfaceName, &PortIntent, UplinkRole)| {
            port.admin_up && up.contains(name)
        };
        let mut links: Vec<_> = members.iter().filter(usable).collect();
        match members[0].2.channel {
            Some(channel) if channel.mode.is_bundle() => {
                if links.len() < usize::from(channel.min_links) {
                    links.clear();
                }
            }
            _ => {
                links.sort_by_key(|(.., role)| (role.channel.map(|c| c.rank), role.nic));
                links.truncate(1);
            }
        }
        let admin_up = members.iter().any(|(_, port, _)| port.admin_up);
        let counts = |port: &PortIntent| port.admin_up || !admin_up;
        let by_all = |vlan: &VlanId| {
            members.iter().all(|(_, port, _)| !counts(port) || port.mode.carries(*vlan))
        };
        Candidate {
            members: links.iter().map(|(name, ..)| *name).collect(),
            vlans: VlanId::all().filter(by_all).collect(),
            admin_up,
        }
    };
    by_number.values().map(candidate).collect()
}

/// D(v), among the candidates.
pub(super) fn designated(candidates: &[Candidate], vlan: VlanId) -> Option<usize> {
    let able: Vec<usize> = (0..candidates.len())
        .filter(|n| candidates[*n].admin_up && candidates[*n].vlans.contains(&vlan))
        .collect();
    let number = usize::from(vlan.get());
    let up: Vec<usize> =
        able.iter().copied().filter(|n| !candidates[*n].members.is_empty()).collect();
    let home = *able.get(number.checked_rem(able.len())?)?;
    if up.contains(&home) {
        Some(home)
    } else {
        up.get((number / able.len()) % up.len().max(1)).copied()
    }
}
