//! Inheritance resolved: what holds for a port, and where each value comes from.
//!
//! A value is looked for on the interface, then in its profile, then in the profile that this one
//! inherits from, and so on; nobody says it: the default. `description` is not inherited.
//!
//! Where it sits: `compile` takes the values, `show` the values with their origins, `validate` the
//! chain. Not here: whether a VLAN or an access list that a value names exists.

use std::fmt;

use proto::VlanId;

use crate::acl::AclKind;
use crate::config::{
    Config, Interface, MacAllow, Name, Pinning, PortProfile, Settings, SwitchportMode,
};
use crate::intent::PortMode;
use crate::lang::{nic_list, vlan_list};
use crate::place::{Direction, Setting};
use crate::teaming::{Channel, ChannelMode, LacpRate, Teaming};
use crate::vlan_set::VlanSet;

/// Where the value of a setting comes from.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Origin {
    /// Nobody says it.
    Default,
    /// The profile of this name says it.
    Profile(Name),
    /// The interface itself says it.
    Interface,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Profile(name) => write!(f, "port-profile {name}"),
            Self::Interface => f.write_str("interface"),
        }
    }
}

/// A value with its origin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sourced<T> {
    /// The value.
    pub value: T,
    /// Who says it.
    pub origin: Origin,
}

/// Why a chain of `inherit port-profile` has no end.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// A profile that does not exist.
    #[error("port-profile `{0}` is not defined")]
    Unknown(Name),
    /// Profiles that inherit from one another; the first stands at the end again.
    #[error("port-profiles inherit in a circle: {}", arrows(.0))]
    Cycle(Vec<Name>),
    /// More than [`PortProfile::DEPTH_MAX`] profiles.
    #[error("inherits over more than {} levels: {}", PortProfile::DEPTH_MAX, arrows(.0))]
    TooDeep(Vec<Name>),
}

/// Names in a chain; a long one is cut.
fn arrows(names: &[Name]) -> String {
    const SHOWN_MAX: usize = 8;
    let shown = names.iter().take(SHOWN_MAX).map(Name::as_str);
    let cut = (names.len() > SHOWN_MAX).then_some("...");
    shown.chain(cut).collect::<Vec<_>>().join(" -> ")
}

/// How far a chain is followed to see whether it is a circle.
const FOLLOWED_MAX: usize = 64;

/// A profile and those it inherits from, the nearest first.
pub type Chain<'c> = Vec<(&'c Name, &'c PortProfile)>;

/// Follows `inherit port-profile` from a profile to its last ancestor.
///
/// # Errors
/// The chain is broken, goes in a circle, or is longer than [`PortProfile::DEPTH_MAX`].
pub fn chain<'c>(config: &'c Config, start: &Name) -> Result<Chain<'c>, ChainError> {
    let mut chain: Chain<'c> = Vec::new();
    let mut next = Some(start);
    while let Some(name) = next.filter(|_| chain.len() < FOLLOWED_MAX) {
        let Some((name, profile)) = config.profiles.get_key_value(name) else {
            return Err(ChainError::Unknown(name.clone()));
        };
        if let Some(first) = chain.iter().position(|(seen, _)| *seen == name) {
            let circle = chain[first..].iter().map(|(seen, _)| (*seen).clone());
            return Err(ChainError::Cycle(circle.chain([name.clone()]).collect()));
        }
        chain.push((name, profile));
        next = profile.inherit.as_ref();
    }
    if chain.len() > PortProfile::DEPTH_MAX {
        return Err(ChainError::TooDeep(chain.iter().map(|(name, _)| (*name).clone()).collect()));
    }
    Ok(chain)
}

/// The chain of the profile that a port names, if it names one, and whether that lets the port be
/// up: the chain ends well and the profile is enabled. A chain that does not says nothing.
pub(crate) fn port_chain<'c>(config: &'c Config, profile: Option<&Name>) -> (Chain<'c>, bool) {
    match profile.map(|name| chain(config, name)) {
        None => (Vec::new(), true),
        Some(Ok(chain)) => {
            let is_enabled = chain.first().is_some_and(|(_, profile)| profile.enabled);
            (chain, is_enabled)
        }
        Some(Err(_)) => (Vec::new(), false),
    }
}

/// What holds for one port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Effective {
    /// `description`, the interface's own.
    pub description: Option<String>,
    /// `shutdown`.
    pub shutdown: Sourced<bool>,
    /// `switchport mode`.
    pub mode: Sourced<SwitchportMode>,
    /// `switchport access vlan`.
    pub access_vlan: Sourced<VlanId>,
    /// `switchport trunk native vlan`.
    pub trunk_native_vlan: Sourced<VlanId>,
    /// `switchport trunk allowed vlan`.
    pub trunk_allowed_vlans: Sourced<VlanSet>,
    /// `mtu`, in bytes.
    pub mtu_bytes: Sourced<u16>,
    /// Access lists; none by default.
    pub access_groups: Vec<(AclKind, Direction, Sourced<Name>)>,
    /// `switchport uufb disable`.
    pub uufb_disabled: Sourced<bool>,
    /// `switchport promiscuous`.
    pub promiscuous: Sourced<bool>,
    /// `mac-address allow`; an empty list by default.
    pub mac_allow: Sourced<MacAllow>,
    /// `spanning-tree bpduguard`.
    pub bpdu_guard: Sourced<bool>,
    /// `pinning id`.
    pub pinning: Sourced<Option<Pinning>>,
    /// `channel-group auto`.
    pub channel_group: Sourced<Option<ChannelMode>>,
    /// `lacp rate`.
    pub lacp_rate: Sourced<LacpRate>,
    /// `lacp port-priority`.
    pub lacp_port_priority: Sourced<u16>,
    /// `lacp min-links`.
    pub lacp_min_links: Sourced<u8>,
    /// `lacp max-bundle`.
    pub lacp_max_bundle: Sourced<u8>,
    /// `lacp suspend-individual`.
    pub lacp_suspend_individual: Sourced<bool>,
    /// `failover order`; empty by default.
    pub failover_order: Sourced<Vec<u8>>,
    /// `link-up delay`, in seconds.
    pub link_up_delay_s: Sourced<u16>,
    /// `lldp transmit`.
    pub lldp_transmit: Sourced<bool>,
    /// `host-traffic`.
    pub host_traffic: Sourced<bool>,
}

/// Resolves a port: an interface, with the chain of its profile (see [`chain`]).
#[must_use]
pub fn resolve(interface: Option<&Interface>, chain: &Chain<'_>) -> Effective {
    let layers = Layers { interface: interface.map(|i| &i.settings), chain };
    let mut access_groups = Vec::new();
    for kind in AclKind::ALL {
        for direction in [Direction::In, Direction::Out] {
            if let Some(name) = layers.find(|s| s.acl(direction).get(kind).cloned()) {
                access_groups.push((kind, direction, name));
            }
        }
    }
    Effective {
        description: interface.and_then(|i| i.settings.description.clone()),
        shutdown: layers.or(|s| s.shutdown, false),
        mode: layers.or(|s| s.mode, SwitchportMode::Access),
        access_vlan: layers.or(|s| s.access_vlan, VlanId::DEFAULT),
        trunk_native_vlan: layers.or(|s| s.trunk_native_vlan, VlanId::DEFAULT),
        trunk_allowed_vlans: layers.or(|s| s.trunk_allowed_vlans.clone(), VlanSet::all()),
        mtu_bytes: layers.or(|s| s.mtu_bytes, Settings::MTU_DEFAULT),
        access_groups,
        uufb_disabled: layers.or(|s| s.uufb_disabled, false),
        promiscuous: layers.or(|s| s.promiscuous, false),
        mac_allow: layers.or(|s| s.mac_allow.clone(), MacAllow::List(Vec::new())),
        bpdu_guard: layers.or(|s| s.bpdu_guard, false),
        pinning: layers.or(|s| s.pinning.clone().map(Some), None),
        channel_group: layers.or(|s| s.channel_group.map(Some), None),
        lacp_rate: layers.or(|s| s.lacp_rate, LacpRate::default()),
        lacp_port_priority: layers.or(|s| s.lacp_port_priority, Teaming::LACP_PRIORITY_DEFAULT),
        lacp_min_links: layers.or(|s| s.lacp_min_links, 1),
        lacp_max_bundle: layers.or(|s| s.lacp_max_bundle, Channel::MAX_BUNDLE_DEFAULT),
        lacp_suspend_individual: layers.or(|s| s.lacp_suspend_individual, true),
        failover_order: layers.or(|s| s.failover_order.clone(), Vec::new()),
        link_up_delay_s: layers.or(|s| s.link_up_delay_s, Settings::LINK_UP_DELAY_S_DEFAULT),
        lldp_transmit: layers.or(|s| s.lldp_transmit, false),
        host_traffic: layers.or(|s| s.host_traffic, false),
    }
}

/// Where values are looked for, in this order.
struct Layers<'c> {
    interface: Option<&'c Settings>,
    chain: &'c Chain<'c>,
}

impl Layers<'_> {
    fn find<T>(&self, value: impl Fn(&Settings) -> Option<T>) -> Option<Sourced<T>> {
        if let Some(value) = self.interface.and_then(&value) {
            return Some(Sourced { value, origin: Origin::Interface });
        }
        self.chain.iter().find_map(|(name, profile)| {
            let value = value(&profile.settings)?;
            Some(Sourced { value, origin: Origin::Profile((*name).clone()) })
        })
    }

    fn or<T>(&self, value: impl Fn(&Settings) -> Option<T>, default: T) -> Sourced<T> {
        self.find(value).unwrap_or(Sourced { value: default, origin: Origin::Default })
    }
}

impl Effective {
    /// How VLANs meet tags at the port; a trunk carries only VLANs that exist.
    #[must_use]
    pub fn port_mode(&self, config: &Config) -> PortMode {
        match self.mode.value {
            SwitchportMode::Access => PortMode::Access(self.access_vlan.value),
            SwitchportMode::Trunk => {
                let mut exist: VlanSet = config.vlans.keys().copied().collect();
                exist.insert(VlanId::DEFAULT);
                PortMode::Trunk {
                    native: self.trunk_native_vlan.value,
                    allowed: self.trunk_allowed_vlans.value.intersection(&exist),
                }
            }
        }
    }

    /// Every setting of a port of this kind, as a line of the language, with its origin: what
    /// `show running-config interface ... expand` prints.
    #[must_use]
    pub fn lines(&self, kind: crate::config::ProfileKind) -> Vec<(Setting, String, Origin)> {
        let mut lines: Vec<(Setting, String, Origin)> = Vec::new();
        let mut add = |setting: Setting, value: String, origin: &Origin| {
            if setting.only_for().is_none_or(|only| only == kind) {
                lines.push((setting, value, origin.clone()));
            }
        };
        let text = |setting: Setting, value: &dyn fmt::Display| format!("{setting} {value}");
        add(Setting::Mode, text(Setting::Mode, &self.mode.value), &self.mode.origin);
        match self.mode.value {
            SwitchportMode::Access => {
                let vlan = &self.access_vlan;
                add(Setting::AccessVlan, text(Setting::AccessVlan, &vlan.value), &vlan.origin);
            }
            SwitchportMode::Trunk => {
                let (native, allowed) = (&self.trunk_native_vlan, &self.trunk_allowed_vlans);
                let setting = Setting::TrunkNativeVlan;
                add(setting, text(setting, &native.value), &native.origin);
                let setting = Setting::TrunkAllowedVlans;
                add(setting, text(setting, &vlan_list(&allowed.value)), &allowed.origin);
            }
        }
        add(Setting::Mtu, text(Setting::Mtu, &self.mtu_bytes.value), &self.mtu_bytes.origin);
        for (kind, direction, name) in &self.access_groups {
            let setting = Setting::AccessGroup(*kind, *direction);
            add(setting, format!("{setting} {} {direction}", name.value), &name.origin);
        }
        let allow = &self.mac_allow;
        add(Setting::MacAllow, text(Setting::MacAllow, &allow.value), &allow.origin);
        let guard = if self.bpdu_guard.value { "enable" } else { "disable" };
        add(Setting::BpduGuard, text(Setting::BpduGuard, &guard), &self.bpdu_guard.origin);
        if let Some(pinning) = &self.pinning.value {
            add(Setting::Pinning, text(Setting::Pinning, pinning), &self.pinning.origin);
        }
        if let Some(mode) = self.channel_group.value {
            let line = format!("{} mode {mode}", Setting::ChannelGroup);
            add(Setting::ChannelGroup, line, &self.channel_group.origin);
        }
        self.add_teaming(&mut add);
        for (setting, on) in [
            (Setting::Uufb, &self.uufb_disabled),
            (Setting::Promiscuous, &self.promiscuous),
            (Setting::HostTraffic, &self.host_traffic),
            (Setting::Shutdown, &self.shutdown),
        ] {
            add(setting, flag(setting, on.value), &on.origin);
        }
        lines.sort_by_key(|(setting, ..)| *setting);
        lines
    }

    /// The lines about the part of an uplink in its group: those of LACP where it is spoken, and
    /// whatever somebody says.
    fn add_teaming(&self, add: &mut impl FnMut(Setting, String, &Origin)) {
        let is_lacp = self.channel_group.value.is_some_and(ChannelMode::is_lacp);
        let is_shown = |origin: &Origin| is_lacp || *origin != Origin::Default;
        let (rate, priority) = (&self.lacp_rate, &self.lacp_port_priority);
        let (least, most) = (&self.lacp_min_links, &self.lacp_max_bundle);
        for (setting, value, origin) in [
            (Setting::LacpRate, &rate.value as &dyn fmt::Display, &rate.origin),
            (Setting::LacpPortPriority, &priority.value, &priority.origin),
            (Setting::LacpMinLinks, &least.value, &least.origin),
            (Setting::LacpMaxBundle, &most.value, &most.origin),
        ] {
            if is_shown(origin) {
                add(setting, format!("{setting} {value}"), origin);
            }
        }
        let (setting, individual) = (Setting::LacpSuspendIndividual, &self.lacp_suspend_individual);
        if is_shown(&individual.origin) {
            add(setting, flag(setting, individual.value), &individual.origin);
        }
        let (setting, order) = (Setting::FailoverOrder, &self.failover_order);
        if !order.value.is_empty() {
            add(setting, format!("{setting} {}", nic_list(&order.value)), &order.origin);
        }
        let (setting, delay) = (Setting::LinkUpDelay, &self.link_up_delay_s);
        add(setting, format!("{setting} {}", delay.value), &delay.origin);
        let (setting, transmit) = (Setting::LldpTransmit, &self.lldp_transmit);
        add(setting, flag(setting, transmit.value), &transmit.origin);
    }
}

/// The line of a setting that is on or off.
fn flag(setting: Setting, on: bool) -> String {
    match on {
        true => setting.to_string(),
        false => format!("no {setting}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ProfileKind;
    use crate::lang::parse;

    fn name(text: &str) -> Name {
        text.parse().unwrap()
    }

    #[test]
    fn the_nearest_that_says_it_counts() {
        let config = parse(
            "port-profile type vethernet A\nswitchport access vlan 10\nmtu 9000\nshutdown\n\
             description from A\nip port access-group X in\n\
             port-profile type vethernet B\ninherit port-profile A\nswitchport access vlan 20\n\
             no shutdown\n\
             interface veth1\nmtu 1600\n",
        )
        .unwrap();
        let chain = chain(&config, &name("B")).unwrap();
        let port = resolve(config.interfaces.values().next(), &chain);
        let from = |n| Origin::Profile(name(n));
        assert_eq!(
            (port.access_vlan.value.get(), port.access_vlan.origin.clone()),
            (20, from("B"))
        );
        assert_eq!(port.shutdown, Sourced { value: false, origin: from("B") });
        assert_eq!(port.mtu_bytes, Sourced { value: 1600, origin: Origin::Interface });
        assert_eq!(port.access_groups[0].2, Sourced { value: name("X"), origin: from("A") });
        assert_eq!(port.bpdu_guard, Sourced { value: false, origin: Origin::Default });
        assert_eq!(port.description, None);
        let lines: Vec<String> = port
            .lines(ProfileKind::Vethernet)
            .into_iter()
            .map(|(_, line, origin)| format!("{line} [{origin}]"))
            .collect();
        assert_eq!(
            lines,
            [
                "switchport mode access [default]",
                "switchport access vlan 20 [port-profile B]",
                "no switchport uufb disable [default]",
                "no switchport promiscuous [default]",
                "mac-address allow none [default]",
                "spanning-tree bpduguard disable [default]",
                "mtu 1600 [interface]",
                "ip port access-group X in [port-profile A]",
                "no shutdown [port-profile B]",
            ]
        );
    }

    #[test]
    fn a_trunk_carries_only_vlans_that_exist() {
        let config = parse(
            "vlan 10-12\ninterface eth3/1\nswitchport mode trunk\n\
                            switchport trunk allowed vlan 1,11-4000\n",
        )
        .unwrap();
        let port = resolve(config.interfaces.values().next(), &Vec::new());
        let PortMode::Trunk { native, allowed } = port.port_mode(&config) else { panic!() };
        assert_eq!((native.get(), allowed.to_string().as_str()), (1, "1,11-12"));
    }

    #[test]
    fn chains_that_do_not_end_well() {
        let profiles = |edges: &[(&str, &str)]| {
            let mut text = String::new();
            for (child, parent) in edges {
                text += &format!("port-profile type vethernet {child}\n");
                if !parent.is_empty() {
                    text += &format!("inherit port-profile {parent}\n");
                }
            }
            parse(&text).unwrap()
        };
        let config = profiles(&[("A", "B"), ("B", "C"), ("C", "B"), ("D", "X"), ("E", "E")]);
        for (start, message) in [
            ("A", "port-profiles inherit in a circle: B -> C -> B"),
            ("E", "port-profiles inherit in a circle: E -> E"),
            ("D", "port-profile `X` is not defined"),
            ("Y", "port-profile `Y` is not defined"),
        ] {
            let error = chain(&config, &name(start)).map(|_| ()).map_err(|e| e.to_string());
            assert_eq!(error, Err(message.to_owned()));
        }
        let config = profiles(&[("A", "B"), ("B", "C"), ("C", "D"), ("D", "E"), ("E", "")]);
        assert_eq!(chain(&config, &name("B")).map(|c| c.len()), Ok(4));
        let error = chain(&config, &name("A")).map(|_| ()).map_err(|e| e.to_string());
        let message = "inherits over more than 4 levels: A -> B -> C -> D -> E";
        assert_eq!(error, Err(message.to_owned()));
    }
}
