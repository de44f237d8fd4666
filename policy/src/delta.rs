//! What changes for one host: as the message that is pushed, and as sentences for people.
//!
//! Invariant: `IntentDelta::between(old, new).apply(old) == new`; the push protocol rests on it.

use std::collections::{BTreeMap, BTreeSet};

use proto::{InterfaceName, VlanId};

use crate::acl::Acl;
use crate::config::Name;
use crate::intent::{HostIntent, PortIntent, PortMode, PortRole, UplinkRole};
use crate::teaming::{Channel, ChannelMode, Teaming};

/// The difference between two intents of one host; changed objects are here as a whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IntentDelta {
    /// VLANs that come or change their name.
    pub vlans: BTreeMap<VlanId, String>,
    /// VLANs that go.
    pub removed_vlans: BTreeSet<VlanId>,
    /// Access lists that come or change.
    pub acls: BTreeMap<Name, Acl>,
    /// Access lists that go.
    pub removed_acls: BTreeSet<Name>,
    /// Ports that come or change.
    pub ports: BTreeMap<InterfaceName, PortIntent>,
    /// Ports that go.
    pub removed_ports: BTreeSet<InterfaceName>,
    /// What holds for port-channels, if that changes.
    pub teaming: Option<Teaming>,
}

impl IntentDelta {
    /// What makes `new` out of `old`.
    #[must_use]
    pub fn between(old: &HostIntent, new: &HostIntent) -> Self {
        let (vlans, removed_vlans) = between(&old.vlans, &new.vlans);
        let (acls, removed_acls) = between(&old.acls, &new.acls);
        let (ports, removed_ports) = between(&old.ports, &new.ports);
        let teaming = (old.teaming != new.teaming).then_some(new.teaming);
        Self { vlans, removed_vlans, acls, removed_acls, ports, removed_ports, teaming }
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The intent that the delta makes out of `old`. What it removes may be missing already.
    #[must_use]
    pub fn apply(&self, old: &HostIntent) -> HostIntent {
        HostIntent {
            vlans: merged(&old.vlans, &self.vlans, &self.removed_vlans),
            acls: merged(&old.acls, &self.acls, &self.removed_acls),
            ports: merged(&old.ports, &self.ports, &self.removed_ports),
            teaming: self.teaming.unwrap_or(old.teaming),
        }
    }
}

fn between<K: Ord + Clone, V: PartialEq + Clone>(
    old: &BTreeMap<K, V>,
    new: &BTreeMap<K, V>,
) -> (BTreeMap<K, V>, BTreeSet<K>) {
    let changed = new.iter().filter(|(key, value)| old.get(*key) != Some(*value));
    let changed = changed.map(|(key, value)| (key.clone(), value.clone())).collect();
    let removed = old.keys().filter(|key| !new.contains_key(*key)).cloned().collect();
    (changed, removed)
}

fn merged<K: Ord + Clone, V: Clone>(
    old: &BTreeMap<K, V>,
    changed: &BTreeMap<K, V>,
    removed: &BTreeSet<K>,
) -> BTreeMap<K, V> {
    let mut new = old.clone();
    new.retain(|key, _| !removed.contains(key));
    new.extend(changed.iter().map(|(key, value)| (key.clone(), value.clone())));
    new
}

/// What changes at each port of a host, in sentences: `access vlan 10 -> 20`. A port whose access
/// list gets other rules changes, too; so does a member of a port-channel when something changes
/// that holds for all of them.
#[must_use]
pub fn port_changes(old: &HostIntent, new: &HostIntent) -> BTreeMap<InterfaceName, Vec<String>> {
    let names: BTreeSet<&InterfaceName> = old.ports.keys().chain(new.ports.keys()).collect();
    let mut changes = BTreeMap::new();
    for name in names {
        let sentences = match (old.ports.get(name), new.ports.get(name)) {
            (Some(before), Some(after)) => {
                let mut sentences = changed_facts(before, after);
                sentences.extend(changed_rules(old, new, after));
                sentences.extend(changed_teaming(old.teaming, new.teaming, after));
                sentences
            }
            (Some(_), None) => vec!["removed".to_owned()],
            (None, Some(_)) => vec!["added".to_owned()],
            (None, None) => Vec::new(),
        };
        if !sentences.is_empty() {
            changes.insert(*name, sentences);
        }
    }
    changes
}

fn changed_facts(before: &PortIntent, after: &PortIntent) -> Vec<String> {
    let (before, after) = (facts(before), facts(after));
    let whats: BTreeSet<&str> = before.keys().chain(after.keys()).copied().collect();
    let mut sentences = Vec::new();
    for what in whats {
        let none = || "none".to_owned();
        let (old, new) = (before.get(what), after.get(what));
        if old != new {
            let (old, new) = (old.cloned().unwrap_or_else(none), new.cloned().unwrap_or_else(none));
            sentences.push(format!("{what} {old} -> {new}"));
        }
    }
    sentences
}

/// The lists of a port that keep their name and change their rules.
fn changed_rules(old: &HostIntent, new: &HostIntent, port: &PortIntent) -> Vec<String> {
    let lists: BTreeSet<&Name> =
        port.acl_in.bound().chain(port.acl_out.bound()).map(|(_, name)| name).collect();
    let mut sentences = Vec::new();
    for name in lists {
        let (Some(before), Some(after)) = (old.acls.get(name), new.acls.get(name)) else {
            continue;
        };
        if before.entries != after.entries {
            let (changed, removed) = between(&before.entries, &after.entries);
            let count = changed.len() + removed.len();
            let noun = if count == 1 { "entry changes" } else { "entries change" };
            sentences.push(format!("{} access-list {name}: {count} {noun}", after.kind));
        }
    }
    sentences
}

/// What can be said of a port, each by its name.
fn facts(port: &PortIntent) -> BTreeMap<&'static str, String> {
    let mut facts = BTreeMap::new();
    let mut add = |what: &'static str, value: String| {
        facts.insert(what, value);
    };
    let on = |on: bool| if on { "on" } else { "off" }.to_owned();
    if let Some(profile) = &port.profile {
        add("port-profile", profile.to_string());
    }
    add("state", if port.admin_up { "up" } else { "shutdown" }.to_owned());
    match &port.mode {
        PortMode::Access(vlan) => {
            add("mode", "access".to_owned());
            add("access vlan", vlan.to_string());
        }
        PortMode::Trunk { native, allowed } => {
            add("mode", "trunk".to_owned());
            add("trunk native vlan", native.to_string());
            add("trunk vlans", allowed.to_string());
        }
    }
    add("mtu", port.mtu_bytes.to_string());
    for (binding, names) in [
        (&port.acl_in, ["mac access-list in", "ip access-list in", "ipv6 access-list in"]),
        (&port.acl_out, ["mac access-list out", "ip access-list out", "ipv6 access-list out"]),
    ] {
        for (list, what) in [&binding.mac, &binding.ip, &binding.ipv6].into_iter().zip(names) {
            if let Some(list) = list {
                add(what, list.to_string());
            }
        }
    }
    match &port.role {
        PortRole::Vethernet(role) => {
            add("VM", role.vm.clone());
            add("vNIC", role.adapter.clone());
            add("address", role.mac.to_string());
            add("further addresses", role.mac_allow.to_string());
            add("unknown unicast", on(role.uufb_disabled));
            add("promiscuous", on(role.promiscuous));
            add("BPDU guard", on(role.bpdu_guard));
            if !role.pinned_nics.is_empty() {
                let nics: Vec<String> = role.pinned_nics.iter().map(u8::to_string).collect();
                add("pinned to NIC", nics.join(", "));
            }
        }
        PortRole::Uplink(role) => {
            add("NIC", role.nic.to_string());
            add("host traffic", on(role.host_traffic));
            add("link-up delay", format!("{} s", role.link_up_delay_s));
            add("LLDP transmit", on(role.lldp_transmit));
            add_channel(role.channel, &mut add);
        }
    }
    facts
}

/// The part of an uplink in its group. One that works alone has what a member has by default, so
/// that it says no more than what is configured when it joins.
fn add_channel(channel: Option<Channel>, add: &mut impl FnMut(&'static str, String)) {
    let on = |on: bool| if on { "on" } else { "off" }.to_owned();
    if let Some(channel) = channel {
        add("channel-group mode", channel.mode.to_string());
        add("port-channel", channel.number.to_string());
    }
    let channel = channel.unwrap_or(Channel::new(0, ChannelMode::On));
    add("lacp rate", channel.lacp_rate.to_string());
    add("lacp port-priority", channel.lacp_port_priority.to_string());
    add("lacp min-links", channel.min_links.to_string());
    add("lacp max-bundle", channel.max_bundle.to_string());
    add("lacp suspend-individual", on(channel.suspend_individual));
    add("place in failover order", (u32::from(channel.rank) + 1).to_string());
}

/// What changes for all port-channels of the host, at a port of one.
fn changed_teaming(old: Teaming, new: Teaming, port: &PortIntent) -> Vec<String> {
    let PortRole::Uplink(UplinkRole { channel: Some(channel), .. }) = &port.role else {
        return Vec::new();
    };
    let mut sentences = Vec::new();
    if channel.mode.is_bundle() && old.load_balance != new.load_balance {
        sentences.push(format!("load-balance {} -> {}", old.load_balance, new.load_balance));
    }
    let (before, after) = (old.lacp_system_priority, new.lacp_system_priority);
    if channel.mode.is_lacp() && before != after {
        sentences.push(format!("lacp system-priority {before} -> {after}"));
    }
    sentences
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use proto::{MacAddr, ModuleId, VethId};

    use super::*;
    use crate::arbitrary;
    use crate::compile::{Binding, compile};
    use crate::config::Config;
    use crate::lang::{apply, parse};

    fn intent(config: &Config, veths: &[u32]) -> HostIntent {
        let profiles = ["WEB", "DB", "UP"];
        let bindings: Vec<Binding> = veths
            .iter()
            .map(|n| Binding {
                veth: VethId::new(*n).unwrap(),
                vm: format!("vm{n}"),
                adapter: "eth0".to_owned(),
                mac: MacAddr::from_u64(0x0200_0000_0000 | u64::from(*n)),
                profile: profiles[*n as usize % profiles.len()].parse().unwrap(),
                module: ModuleId::FIRST_HOST,
            })
            .collect();
        compile(config, ModuleId::FIRST_HOST, &[1, 2], bindings.iter())
    }

    #[test]
    fn says_what_changes_at_each_port() {
        let old = parse(
            "vlan 10,20\nip access-list X\n10 permit ip any any\n\
             port-profile type vethernet DB\nswitchport access vlan 10\n\
             ip port access-group X in\nstate enabled\n\
             port-profile type ethernet U\nstate enabled\ninterface eth3/1\n",
        )
        .unwrap();
        let edit = "port-profile DB\nswitchport access vlan 20\nip port access-group X out\n\
                    ip access-list X\n5 deny tcp any any\ninterface eth3/1\nmtu 9000\nshutdown\n";
        let new = apply(&old, edit).unwrap();
        let changes = port_changes(&intent(&old, &[1, 4]), &intent(&new, &[1, 7]));
        let lines: Vec<String> = changes
            .into_iter()
            .map(|(name, what)| format!("{name}: {}", what.join(", ")))
            .collect();
        assert_eq!(
            lines,
            [
                "Ethernet3/1: mtu 1500 -> 9000, state up -> shutdown",
                "Vethernet1: access vlan 10 -> 20, ip access-list out none -> X, \
                 ip access-list X: 1 entry changes",
                "Vethernet4: removed",
                "Vethernet7: added",
            ]
        );
    }

    #[test]
    fn says_what_changes_in_a_group() {
        let config = |text: &str| {
            let uplinks = "port-profile type ethernet U\nstate enabled\nswitchport mode trunk\n\
                           interface eth3/1-2\ninherit port-profile U\n";
            parse(&format!("{uplinks}{text}")).unwrap()
        };
        let changes = |old: &str, new: &str| -> Vec<String> {
            let changes = port_changes(&intent(&config(old), &[]), &intent(&config(new), &[]));
            changes.into_iter().map(|(name, what)| format!("{name}: {}", what.join(", "))).collect()
        };
        let group = "port-profile U\nchannel-group auto mode active\nlacp rate fast\n";
        assert_eq!(
            changes("", group),
            [
                "Ethernet3/1: channel-group mode none -> active, lacp rate normal -> fast, \
                 port-channel none -> 1",
                "Ethernet3/2: channel-group mode none -> active, lacp rate normal -> fast, \
                 port-channel none -> 1",
            ]
        );
        let other = format!(
            "{group}no lacp suspend-individual\nfailover order 2\ninterface eth3/2\nlacp \
             port-priority 1\nlink-up delay 9\nlldp transmit\n"
        );
        assert_eq!(
            changes(group, &other),
            [
                "Ethernet3/1: lacp suspend-individual on -> off, place in failover order 1 -> 2",
                "Ethernet3/2: LLDP transmit off -> on, lacp port-priority 32768 -> 1, \
                 lacp suspend-individual on -> off, link-up delay 5 s -> 9 s",
            ]
        );
        let global = "lacp system-priority 1\nport-channel load-balance ethernet source-dest-ip\n";
        let of_all = "load-balance source-mac -> source-dest-ip, lacp system-priority 32768 -> 1";
        assert_eq!(
            changes(group, &format!("{group}{global}")),
            [format!("Ethernet3/1: {of_all}"), format!("Ethernet3/2: {of_all}")]
        );
        let pins = "port-profile U\nchannel-group auto mode on mac-pinning\n";
        assert_eq!(changes(pins, &format!("{pins}{global}")), [""; 0]);
    }

    proptest! {
        #[test]
        fn a_delta_makes_new_out_of_old(
            (old, new) in arbitrary::config_pair(),
            veths in prop::collection::btree_set(1..9u32, 0..5),
            other_veths in prop::collection::btree_set(1..9u32, 0..5),
        ) {
            let veths: Vec<u32> = veths.into_iter().collect();
            let other_veths: Vec<u32> = other_veths.into_iter().collect();
            let (old, new) = (intent(&old, &veths), intent(&new, &other_veths));
            let delta = IntentDelta::between(&old, &new);
            prop_assert_eq!(delta.apply(&old), new.clone());
            prop_assert_eq!(delta.is_empty(), old == new);
            // Every port in the delta has a sentence that says why.
            let changes = port_changes(&old, &new);
            for name in delta.ports.keys().chain(&delta.removed_ports) {
                prop_assert!(changes.contains_key(name), "{name}");
            }
            prop_assert!(port_changes(&new, &new).is_empty());
        }
    }
}
