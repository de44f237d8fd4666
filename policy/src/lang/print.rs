//! A configuration as text, in one order and one form.
//!
//! The text is made of [`Section`]s whose lines know what they speak of; the diff compares those.

use crate::acl::AclKind;
use crate::config::{Config, Name, PortProfile, Settings};
use crate::place::{Direction, Place, Setting};
use crate::vlan_set::VlanSet;

use super::entry_text::print_entry;

/// A block of the text: a heading and the lines under it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Section {
    /// What it is.
    pub place: Place,
    /// Its first line.
    pub heading: String,
    /// The lines under it, without indentation.
    pub lines: Vec<Line>,
}

/// A line in a [`Section`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// What it speaks of; one line for each place.
    pub place: Place,
    /// The command.
    pub text: String,
}

/// The whole configuration as text: what `show running-config` shows. Empty for a switch out of
/// the box.
#[must_use]
pub fn print(config: &Config) -> String {
    let sections = sections(config);
    let mut out = String::new();
    let nameless =
        |section: &&Section| matches!(section.place, Place::Vlan(_)) && section.lines.is_empty();
    let vlans: VlanSet = sections
        .iter()
        .filter(nameless)
        .filter_map(|section| match section.place {
            Place::Vlan(vlan) => Some(vlan),
            _ => None,
        })
        .collect();
    let mut vlans = Some(vlans).filter(|vlans| !vlans.is_empty());
    for section in &sections {
        if is_global(section) {
            // One below the other.
            out.push_str(&section.heading);
            out.push('\n');
            continue;
        }
        // The VLANs without a name stand in one line before all others.
        if let Some(vlans) = vlans.take() {
            push_section(&mut out, &format!("vlan {vlans}"), &[]);
        }
        if !nameless(&section) {
            push_section(&mut out, &section.heading, &section.lines);
        }
    }
    out
}

/// Whether a section is one line about the whole switch.
const fn is_global(section: &Section) -> bool {
    matches!(section.place, Place::Hostname | Place::LacpSystemPriority | Place::LoadBalance)
}

fn push_section(out: &mut String, heading: &str, lines: &[Line]) {
    if !out.is_empty() {
        out.push('\n');
    }
    out.push_str(heading);
    out.push('\n');
    for line in lines {
        out.push_str("  ");
        out.push_str(&line.text);
        out.push('\n');
    }
}

/// The sections of a configuration, in the order of the text; each VLAN has one of its own.
#[must_use]
pub fn sections(config: &Config) -> Vec<Section> {
    let mut sections = Vec::new();
    let mut global = |place: Place, value: Option<String>| {
        if let Some(value) = value {
            let heading = format!("{place} {value}");
            sections.push(Section { place, heading, lines: Vec::new() });
        }
    };
    global(Place::Hostname, config.hostname.as_ref().map(Name::to_string));
    let priority = config.lacp_system_priority.map(|priority| priority.to_string());
    global(Place::LacpSystemPriority, priority);
    global(Place::LoadBalance, config.load_balance.map(|method| method.to_string()));
    for (vlan, settings) in &config.vlans {
        let named = settings
            .name
            .iter()
            .map(|name| Line { place: Place::VlanName(*vlan), text: format!("name {name}") });
        sections.push(Section {
            place: Place::Vlan(*vlan),
            heading: format!("vlan {vlan}"),
            lines: named.collect(),
        });
    }
    for (name, acl) in &config.acls {
        let kind = acl.kind;
        let mut lines = Vec::with_capacity(acl.entries.len() + 1);
        if acl.statistics {
            let place = Place::AclStatistics(kind, name.clone());
            lines.push(Line { place, text: "statistics per-entry".to_owned() });
        }
        lines.extend(acl.entries.iter().map(|(number, entry)| Line {
            place: Place::AclEntry(kind, name.clone(), *number),
            text: print_entry(kind, *number, entry),
        }));
        let heading = format!("{kind} access-list {name}");
        sections.push(Section { place: Place::Acl(kind, name.clone()), heading, lines });
    }
    sections.extend(config.profiles.iter().map(|(name, profile)| profile_section(name, profile)));
    sections.extend(config.interfaces.iter().map(|(name, interface)| {
        let lines = setting_lines(interface.inherit.as_ref(), &interface.settings);
        let place = |setting| Place::InterfaceSetting(*name, setting);
        Section {
            place: Place::Interface(*name),
            heading: format!("interface {name}"),
            lines: lines
                .into_iter()
                .map(|(setting, text)| Line { place: place(setting), text })
                .collect(),
        }
    }));
    sections
}

fn profile_section(name: &Name, profile: &PortProfile) -> Section {
    let mut lines = setting_lines(profile.inherit.as_ref(), &profile.settings);
    if let Some(max_ports) = profile.max_ports {
        lines.push((Setting::MaxPorts, format!("max-ports {max_ports}")));
    }
    if profile.enabled {
        lines.push((Setting::State, "state enabled".to_owned()));
    }
    lines.sort_by_key(|(setting, _)| *setting);
    let place = |setting| Place::ProfileSetting(name.clone(), setting);
    Section {
        place: Place::Profile(name.clone()),
        heading: format!("port-profile type {} {name}", profile.kind),
        lines: lines
            .into_iter()
            .map(|(setting, text)| Line { place: place(setting), text })
            .collect(),
    }
}

/// What is said of a port, a line for each thing, in the order of the text.
#[must_use]
pub fn setting_lines(inherit: Option<&Name>, settings: &Settings) -> Vec<(Setting, String)> {
    let mut lines: Vec<(Setting, String)> = Vec::new();
    let mut value = |setting: Setting, value: Option<String>| {
        if let Some(value) = value {
            lines.push((setting, format!("{setting} {value}")));
        }
    };
    value(Setting::Description, settings.description.clone());
    value(Setting::Inherit, inherit.map(Name::to_string));
    value(Setting::Mode, settings.mode.map(|mode| mode.to_string()));
    value(Setting::AccessVlan, settings.access_vlan.map(|vlan| vlan.to_string()));
    value(Setting::TrunkNativeVlan, settings.trunk_native_vlan.map(|vlan| vlan.to_string()));
    value(Setting::TrunkAllowedVlans, settings.trunk_allowed_vlans.as_ref().map(vlan_list));
    value(Setting::MacAllow, settings.mac_allow.as_ref().map(ToString::to_string));
    let on = |on: bool| if on { "enable" } else { "disable" }.to_owned();
    value(Setting::BpduGuard, settings.bpdu_guard.map(on));
    value(Setting::Mtu, settings.mtu_bytes.map(|mtu| mtu.to_string()));
    for kind in [AclKind::Ipv4, AclKind::Ipv6, AclKind::Mac] {
        for direction in [Direction::In, Direction::Out] {
            let bound = settings.acl(direction).get(kind);
            let setting = Setting::AccessGroup(kind, direction);
            value(setting, bound.map(|name| format!("{name} {direction}")));
        }
    }
    let mode = settings.channel_group.map(|mode| format!("mode {mode}"));
    value(Setting::ChannelGroup, mode);
    value(Setting::LacpRate, settings.lacp_rate.map(|rate| rate.to_string()));
    let priority = settings.lacp_port_priority.map(|priority| priority.to_string());
    value(Setting::LacpPortPriority, priority);
    value(Setting::LacpMinLinks, settings.lacp_min_links.map(|links| links.to_string()));
    value(Setting::LacpMaxBundle, settings.lacp_max_bundle.map(|links| links.to_string()));
    value(Setting::FailoverOrder, settings.failover_order.as_deref().map(nic_list));
    value(Setting::LinkUpDelay, settings.link_up_delay_s.map(|seconds| seconds.to_string()));
    value(Setting::Pinning, settings.pinning.as_ref().map(ToString::to_string));
    for (setting, flag) in [
        (Setting::Uufb, settings.uufb_disabled),
        (Setting::Promiscuous, settings.promiscuous),
        (Setting::LacpSuspendIndividual, settings.lacp_suspend_individual),
        (Setting::LldpTransmit, settings.lldp_transmit),
        (Setting::HostTraffic, settings.host_traffic),
        (Setting::Shutdown, settings.shutdown),
    ] {
        match flag {
            Some(true) => lines.push((setting, setting.to_string())),
            Some(false) => lines.push((setting, format!("no {setting}"))),
            None => {}
        }
    }
    lines.sort_by_key(|(setting, _)| *setting);
    lines
}

/// The value of `switchport trunk allowed vlan`.
pub(crate) fn vlan_list(vlans: &VlanSet) -> String {
    if *vlans == VlanSet::all() { "all".to_owned() } else { vlans.to_string() }
}

/// The value of `failover order`.
pub(crate) fn nic_list(nics: &[u8]) -> String {
    nics.iter().map(u8::to_string).collect::<Vec<_>>().join(" ")
}
