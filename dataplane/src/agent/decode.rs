//! Messages of the supervisor become values of `policy`: the only place in this crate where rpc
//! types and policy types meet.
//!
//! A push is decoded whole or refused whole, with every problem it has. Invariant: nothing that a
//! supervisor can send panics here; whatever passes is still checked again by `Snapshot::build`.

use std::collections::HashSet;
use std::fmt::Display;

use policy::acl::{Acl, AclKind};
use policy::config::{AclBinding, MacAllow, Name, Settings};
use policy::intent::{HostIntent, PortIntent, PortMode, PortRole, UplinkRole, VethernetRole};
use policy::teaming::{Channel, ChannelMode, LacpRate, LoadBalance, Teaming};
use policy::{Problem, VlanSet, lang};
use proto::rpc::switch as rpc;
use proto::{InterfaceName, MacAddr, Revision, VlanId};

/// How far ahead of the revision that is held a push may be. A supervisor takes a host that is further
/// ahead of it for one that is not its own, so such a number would end all dealings with it.
const LEAD_MAX: u64 = 1 << 32;
/// The most problems that are told of a refused push.
const PROBLEMS_MAX: usize = 64;

/// The state that a push leads to: the whole one it carries, or `held` with its difference applied.
///
/// # Errors
/// A difference to another revision than the one held, a number that cannot be, or no body at all: one
/// problem that says so.
pub fn resulting_intent(
    push: rpc::Push,
    held: Revision,
    intent: &rpc::HostIntent,
) -> Result<rpc::HostIntent, Vec<Problem>> {
    if push.revision.saturating_sub(held.get()) > LEAD_MAX {
        let message = format!("revision {} is far beyond {held}, which is held", push.revision);
        return Err(vec![problem("", message)]);
    }
    match push.body {
        Some(rpc::push::Body::Full(full)) => Ok(full),
        Some(rpc::push::Body::Delta(delta)) if delta.base_revision == held.get() => {
            Ok(with_delta(intent.clone(), delta))
        }
        Some(rpc::push::Body::Delta(delta)) => Err(vec![problem(
            "",
            format!("difference to revision {}, but {held} is held", delta.base_revision),
        )]),
        None => Err(vec![problem("", "push without a body")]),
    }
}

/// `intent` with the difference applied: removals first, then what was added or changed.
fn with_delta(mut intent: rpc::HostIntent, delta: rpc::HostDelta) -> rpc::HostIntent {
    // Sets: a state has thousands of each, and who pushes is not trusted to be brief.
    let (vlans, lists, ports) = (&delta.vlans, &delta.access_lists, &delta.ports);
    let gone: HashSet<u32> =
        delta.removed_vlans.iter().copied().chain(vlans.iter().map(|v| v.id)).collect();
    intent.vlans.retain(|v| !gone.contains(&v.id));
    let gone = names(&delta.removed_access_lists, lists.iter().map(|list| &list.name));
    intent.access_lists.retain(|list| !gone.contains(list.name.as_str()));
    let gone = names(&delta.removed_ports, ports.iter().map(|port| &port.name));
    intent.ports.retain(|port| !gone.contains(port.name.as_str()));
    intent.vlans.extend(delta.vlans);
    intent.access_lists.extend(delta.access_lists);
    intent.ports.extend(delta.ports);
    intent.teaming = delta.teaming.or(intent.teaming);
    intent
}

/// What is removed and what is replaced.
fn names<'n>(
    removed: &'n [String],
    replaced: impl Iterator<Item = &'n String>,
) -> HashSet<&'n str> {
    removed.iter().chain(replaced).map(String::as_str).collect()
}

/// The policy value of a host's whole state.
///
/// # Errors
/// Every problem of the message, none left out.
pub fn host_intent(message: &rpc::HostIntent) -> Result<HostIntent, Vec<Problem>> {
    let mut problems = Vec::new();
    let mut intent = HostIntent::default();
    for vlan in &message.vlans {
        match VlanId::new(vlan.id) {
            Ok(id) => {
                if intent.vlans.insert(id, vlan.name.clone()).is_some() {
                    problems.push(problem("vlan", format!("VLAN {id} is listed twice")));
                }
            }
            Err(e) => problems.push(problem("vlan", e)),
        }
    }
    for list in &message.access_lists {
        match access_list(list) {
            Ok((name, acl)) => {
                let path = format!("{} access-list {name}", acl.kind);
                if intent.acls.insert(name, acl).is_some() {
                    problems.push(problem(&path, "the list is there twice"));
                }
            }
            Err(mut more) => problems.append(&mut more),
        }
    }
    match message.teaming.as_ref().map(teaming).transpose() {
        Ok(teaming) => intent.teaming = teaming.unwrap_or_default(),
        Err(e) => problems.push(problem("", e)),
    }
    for message in &message.ports {
        match port(message) {
            Ok((name, port)) => {
                if intent.ports.insert(name, port).is_some() {
                    problems.push(problem(&message.name, "the port is listed twice"));
                }
            }
            Err(e) => problems.push(problem(&message.name, e)),
        }
    }
    if problems.is_empty() { Ok(intent) } else { Err(problems) }
}

fn access_list(message: &rpc::AccessList) -> Result<(Name, Acl), Vec<Problem>> {
    let path = format!("{} access-list {}", message.kind, message.name);
    let kind = match message.kind.as_str() {
        "mac" => AclKind::Mac,
        "ip" => AclKind::Ipv4,
        "ipv6" => AclKind::Ipv6,
        other => {
            return Err(vec![problem(&path, format!("unknown kind of access list `{other}`"))]);
        }
    };
    let name = message.name.parse::<Name>().map_err(|e| vec![problem(&path, e)])?;
    let mut acl = Acl::new(kind);
    let mut problems = Vec::new();
    for text in &message.entries {
        match lang::parse_entry(kind, text) {
            Ok((sequence, entry)) => {
                if acl.entries.insert(sequence, entry).is_some() {
                    problems.push(problem(&path, format!("entry {sequence} is listed twice")));
                }
            }
            Err(found) => problems.push(Problem { path: path.clone(), ..found }),
        }
    }
    if problems.is_empty() { Ok((name, acl)) } else { Err(problems) }
}

fn port(message: &rpc::Port) -> Result<(InterfaceName, PortIntent), String> {
    let name = message.name.parse::<InterfaceName>().map_err(text)?;
    let mode = match &message.mode {
        Some(rpc::port::Mode::AccessVlan(vlan)) => {
            PortMode::Access(VlanId::new(*vlan).map_err(text)?)
        }
        Some(rpc::port::Mode::Trunk(trunk)) => PortMode::Trunk {
            native: VlanId::new(trunk.native_vlan).map_err(text)?,
            allowed: trunk.allowed_vlans.parse::<VlanSet>().map_err(text)?,
        },
        None => return Err("the port has no switchport mode".to_owned()),
    };
    let role = match &message.role {
        Some(rpc::port::Role::Vethernet(role)) => PortRole::Vethernet(vethernet(message, role)?),
        Some(rpc::port::Role::Uplink(role)) => PortRole::Uplink(uplink(role)?),
        None => return Err("the port has no role".to_owned()),
    };
    let profile = match message.profile.as_str() {
        "" => None,
        profile => Some(profile.parse().map_err(text)?),
    };
    let port = PortIntent {
        profile,
        admin_up: message.admin_up,
        mode,
        mtu_bytes: u16::try_from(message.mtu_bytes)
            .map_err(|_| format!("mtu {} is out of range", message.mtu_bytes))?,
        acl_in: binding(message.acl_in.as_ref())?,
        acl_out: binding(message.acl_out.as_ref())?,
        role,
    };
    Ok((name, port))
}

fn vethernet(port: &rpc::Port, role: &rpc::VethernetRole) -> Result<VethernetRole, String> {
    let macs: Result<Vec<MacAddr>, _> = role.allowed_macs.iter().map(|m| m.parse()).collect();
    Ok(VethernetRole {
        vm: role.vm.clone(),
        adapter: role.adapter.clone(),
        mac: role.mac.parse().map_err(text)?,
        mac_allow: if role.any_mac { MacAllow::Any } else { MacAllow::List(macs.map_err(text)?) },
        uufb_disabled: port.uufb_disabled,
        promiscuous: port.promiscuous,
        bpdu_guard: port.bpdu_guard,
        pinned_nics: pinned_nics(&role.pinned_nics)?,
    })
}

fn pinned_nics(numbers: &[u32]) -> Result<Vec<u8>, String> {
    if numbers.len() > InterfaceName::NIC_MAX as usize {
        return Err(format!("pinned to {} NICs", numbers.len()));
    }
    numbers.iter().map(|n| within("NIC", *n, 1, InterfaceName::NIC_MAX)).collect()
}

fn uplink(role: &rpc::UplinkRole) -> Result<UplinkRole, String> {
    let channel = role.channel.as_ref().map(channel).transpose()?;
    let nic = nic(role.nic)?.ok_or("an uplink needs a NIC number, 1..32")?;
    let link_up_delay_s =
        within("link-up delay", role.link_up_delay_s, 0, Settings::LINK_UP_DELAY_S_MAX)?;
    let (host_traffic, lldp_transmit) = (role.host_traffic, role.lldp_transmit);
    Ok(UplinkRole { nic, channel, host_traffic, link_up_delay_s, lldp_transmit })
}

fn channel(of: &rpc::Channel) -> Result<Channel, String> {
    let mode = ChannelMode::from_name(&of.mode)
        .ok_or_else(|| format!("this dataplane does not know channel mode `{}`", of.mode))?;
    let links_max = Channel::MEMBERS_MAX;
    Ok(Channel {
        number: within("channel number", of.number, 1, InterfaceName::NIC_MAX)?,
        mode,
        lacp_rate: if of.lacp_fast { LacpRate::Fast } else { LacpRate::Normal },
        lacp_port_priority: within("lacp port-priority", of.lacp_port_priority, 1, u16::MAX)?,
        min_links: within("lacp min-links", of.min_links, 1, links_max)?,
        max_bundle: within("lacp max-bundle", of.max_bundle, 1, links_max)?,
        suspend_individual: of.suspend_individual,
        rank: within("failover rank", of.rank, 0, InterfaceName::NIC_MAX)?,
    })
}

/// What holds for all port-channels; a supervisor that does not say gets the defaults.
fn teaming(of: &rpc::Teaming) -> Result<Teaming, String> {
    let defaults = Teaming::default();
    let load_balance = match of.load_balance.as_str() {
        "" => defaults.load_balance,
        name => LoadBalance::from_name(name)
            .ok_or_else(|| format!("this dataplane does not know load balancing by `{name}`"))?,
    };
    let lacp_system_priority = match of.lacp_system_priority {
        0 => defaults.lacp_system_priority,
        priority => within("lacp system-priority", priority, 1, u16::MAX)?,
    };
    Ok(Teaming { load_balance, lacp_system_priority })
}

/// A number in its range.
fn within<T>(what: &str, number: u32, least: T, most: T) -> Result<T, String>
where
    T: TryFrom<u32> + PartialOrd + Display + Copy,
{
    T::try_from(number)
        .ok()
        .filter(|number| (least..=most).contains(number))
        .ok_or_else(|| format!("{what} {number} is out of range, expected {least}..{most}"))
}

/// A NIC number; 0 stands for none.
fn nic(number: u32) -> Result<Option<u8>, String> {
    match u8::try_from(number) {
        Ok(0) => Ok(None),
        Ok(nic) if nic <= InterfaceName::NIC_MAX => Ok(Some(nic)),
        _ => Err(format!("NIC {number} is out of range, expected 1..32")),
    }
}

fn binding(message: Option<&rpc::AclBinding>) -> Result<AclBinding, String> {
    let name = |text_of: &str| -> Result<Option<Name>, String> {
        if text_of.is_empty() { Ok(None) } else { text_of.parse().map(Some).map_err(text) }
    };
    let Some(message) = message else { return Ok(AclBinding::default()) };
    Ok(AclBinding { mac: name(&message.mac)?, ip: name(&message.ip)?, ipv6: name(&message.ipv6)? })
}

/// The problems of a refused push, as they go back to the supervisor: the first of them.
#[must_use]
pub fn rejected(revision: Revision, problems: &[Problem]) -> rpc::Rejected {
    let problems = problems
        .iter()
        .take(PROBLEMS_MAX)
        .map(|p| rpc::Problem { path: p.path.clone(), message: p.message.clone() })
        .collect();
    rpc::Rejected { revision: revision.get(), problems }
}

/// A vNIC that a state knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Its vEthernet.
    pub name: InterfaceName,
    /// Its address.
    pub mac: MacAddr,
    /// Its profile.
    pub profile: Option<Name>,
}

/// The vNIC `adapter` of `vm`, if the state knows it. With it a headless dataplane plugs a vNIC back
/// in without asking.
#[must_use]
pub fn known_vethernet(intent: &HostIntent, vm: &str, adapter: &str) -> Option<Known> {
    intent.ports.iter().find_map(|(name, port)| match &port.role {
        PortRole::Vethernet(role) if role.vm == vm && role.adapter == adapter => {
            Some(Known { name: *name, mac: role.mac, profile: port.profile.clone() })
        }
        _ => None,
    })
}

fn problem(path: &str, message: impl Display) -> Problem {
    Problem { span: None, path: path.to_owned(), message: message.to_string(), hint: String::new() }
}

fn text(error: impl Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests;
