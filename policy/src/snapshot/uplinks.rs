//! What a dataplane does not believe of its uplinks: numbers out of their ranges, groups whose
//! members do not agree, two groups that carry one VLAN.
//!
//! Where it sits: a part of [`Snapshot::build`](super::Snapshot::build). The core relies on it:
//! with a team of two minds a frame would arrive twice, or come back by the other member.

use std::collections::BTreeMap;

use proto::{InterfaceName, VlanId};

use super::build::Builder;
use super::{Port, Role, Uplink};
use crate::config::{Pinning, Settings};
use crate::intent::UplinkRole;
use crate::teaming::{Channel, ChannelMode};

impl Builder<'_> {
    /// A NIC as the core sees it.
    pub(super) fn uplink(&mut self, name: &InterfaceName, role: &UplinkRole) -> Uplink {
        if role.link_up_delay_s > Settings::LINK_UP_DELAY_S_MAX {
            let most = Settings::LINK_UP_DELAY_S_MAX;
            let delay = role.link_up_delay_s;
            self.problem(
                name,
                format!("link-up delay {delay} is out of range, expected 0..{most}"),
            );
        }
        if let Some(channel) = &role.channel {
            for message in channel_problems(role.nic, channel) {
                self.problem(name, message);
            }
        }
        Uplink {
            nic: role.nic,
            team: match role.channel {
                // All that pin are one team, whatever their profiles; NIC numbers start at 1.
                Some(Channel { mode: ChannelMode::MacPinning { .. }, .. }) => 0,
                Some(channel) => channel.number,
                None => role.nic,
            },
            channel: role.channel,
            link_up_delay_s: role.link_up_delay_s,
            lldp_transmit: role.lldp_transmit,
            host_traffic: role.host_traffic,
        }
    }

    /// The NICs that a vEthernet is pinned to are NICs, and each is there once.
    pub(super) fn check_pins(&mut self, name: &InterfaceName, nics: &[u8]) {
        if nics.len() > Pinning::BACKUPS_MAX + 1 {
            self.problem(name, format!("is pinned to {} NICs", nics.len()));
            return;
        }
        for (i, nic) in nics.iter().enumerate() {
            if !(1..=InterfaceName::NIC_MAX).contains(nic) {
                self.problem(name, format!("is pinned to NIC {nic}, which cannot be"));
            } else if nics.iter().take(i).any(|earlier| earlier == nic) {
                self.problem(name, format!("is pinned to NIC {nic} twice"));
            }
        }
    }

    /// What holds for all port-channels is in its range.
    pub(super) fn check_teaming(&mut self) {
        if self.intent.teaming.lacp_system_priority == 0 {
            let message = "0 is out of range, expected 1..65535".to_owned();
            self.problem("lacp system-priority", message);
        }
    }

    /// A number stands for one NIC: teams and pins go by numbers.
    fn check_nics(&mut self, ports: &[Port]) {
        let mut owners: BTreeMap<u8, &Port> = BTreeMap::new();
        for (port, uplink) in uplinks(ports) {
            let owner = owners.entry(uplink.nic).or_insert(port).name;
            if owner != port.name {
                self.problem(port.name, format!("is NIC {}, as {owner} is", uplink.nic));
            }
        }
    }

    /// The members of a group agree, and nobody has its number without being a member.
    pub(super) fn check_groups(&mut self, ports: &[Port]) {
        self.check_nics(ports);
        let mut groups: BTreeMap<u8, (&Port, Channel, usize)> = BTreeMap::new();
        let mut pinning = None;
        for (port, uplink) in uplinks(ports) {
            let Some(channel) = uplink.channel else { continue };
            if let ChannelMode::MacPinning { .. } = channel.mode
                && *pinning.get_or_insert(channel.number) != channel.number
            {
                let message = "pins, but is in another group than others that do".to_owned();
                self.problem(port.name, message);
            }
            let (first, like, count) = groups.entry(channel.number).or_insert((port, channel, 0));
            *count += 1;
            let excess =
                channel.mode.is_bundle() && *count == usize::from(Channel::MEMBERS_MAX) + 1;
            let disagreement = disagreement(&channel, like);
            let first = first.name;
            if excess {
                let message = format!("port-channel {} has too many members", channel.number);
                self.problem(port.name, message);
            }
            if let Some(what) = disagreement {
                self.problem(port.name, format!("has another {what} than {first} of its group"));
            }
        }
        for (port, uplink) in uplinks(ports) {
            let number = uplink.channel.map(|channel| channel.number);
            if groups.contains_key(&uplink.nic) && number != Some(uplink.nic) {
                let message =
                    format!("port-channel {} has its number, but not it as a member", uplink.nic);
                self.problem(port.name, message);
            }
        }
        self.check_ports_of_groups(ports);
    }

    /// A group that counts as one uplink, or of which one member works, is one port to the network.
    fn check_ports_of_groups(&mut self, ports: &[Port]) {
        let mut firsts: BTreeMap<u8, &Port> = BTreeMap::new();
        for (port, uplink) in uplinks(ports).filter(|(port, _)| port.admin_up) {
            let Some(channel) = uplink.channel else { continue };
            if let ChannelMode::MacPinning { .. } = channel.mode {
                continue;
            }
            let first = firsts.entry(channel.number).or_insert(port);
            let what = if port.vlan_mode != first.vlan_mode {
                "VLANs"
            } else if port.mtu_bytes != first.mtu_bytes {
                "MTU"
            } else if (port.acl_in, port.acl_out) != (first.acl_in, first.acl_out) {
                "access lists"
            } else {
                continue;
            };
            let message = format!("has other {what} than {} of its group", first.name);
            self.problem(port.name, message);
        }
    }

    /// Two uplinks in no common team must not carry a common VLAN: each would bring the same
    /// floods.
    pub(super) fn check_loose_uplinks(&mut self, ports: &[Port]) {
        let up: Vec<_> = uplinks(ports).filter(|(port, _)| port.admin_up).collect();
        for (at, (first, first_uplink)) in up.iter().enumerate() {
            for (second, second_uplink) in up.iter().skip(at + 1) {
                if first_uplink.team == second_uplink.team {
                    continue;
                }
                let common = VlanId::all()
                    .find(|vlan| first.vlan_mode.carries(*vlan) && second.vlan_mode.carries(*vlan));
                if let Some(vlan) = common {
                    let message = format!(
                        "carries VLAN {vlan} as {} does, and they are in no common channel-group: \
                         every flooded frame would arrive twice",
                        first.name
                    );
                    self.problem(second.name, message);
                }
            }
        }
    }
}

fn uplinks(ports: &[Port]) -> impl Iterator<Item = (&Port, &Uplink)> {
    ports.iter().filter_map(|port| match &port.role {
        Role::Uplink(uplink) => Some((port, uplink)),
        Role::Vethernet(_) => None,
    })
}

/// What cannot be of the part of a NIC in its group, looked at alone.
fn channel_problems(nic: u8, channel: &Channel) -> Vec<String> {
    let links = 1..=Channel::MEMBERS_MAX;
    let mut problems = Vec::new();
    if !(1..=nic).contains(&channel.number) {
        problems.push(format!(
            "port-channel {} cannot have NIC {nic} as a member: it has the number of its first",
            channel.number
        ));
    }
    if channel.lacp_port_priority == 0 {
        problems.push("lacp port-priority 0 is out of range, expected 1..65535".to_owned());
    }
    for (what, number) in [("min-links", channel.min_links), ("max-bundle", channel.max_bundle)] {
        if !links.contains(&number) {
            let range = format!("{}..{}", links.start(), links.end());
            problems.push(format!("lacp {what} {number} is out of range, expected {range}"));
        }
    }
    if channel.min_links > channel.max_bundle {
        problems.push(format!(
            "lacp min-links {} is more than max-bundle {}",
            channel.min_links, channel.max_bundle
        ));
    }
    problems
}

/// What holds for a group and is not the same for two of its members.
fn disagreement(one: &Channel, other: &Channel) -> Option<&'static str> {
    if one.mode != other.mode {
        Some("mode")
    } else if one.min_links != other.min_links {
        Some("lacp min-links")
    } else if one.max_bundle != other.max_bundle {
        Some("lacp max-bundle")
    } else if one.suspend_individual != other.suspend_individual {
        Some("lacp suspend-individual")
    } else {
        None
    }
}
