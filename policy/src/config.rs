//! The configuration of the whole switch as a value: what the language reads and prints.
//!
//! Every value that a user did not write is `None` here; defaults and inheritance are resolved
//! later, so that `show running-config` prints what was written and no more.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use proto::{InterfaceName, MacAddr, VlanId};

use crate::acl::{Acl, AclKind};
use crate::place::Direction;
use crate::teaming::{ChannelMode, LacpRate, LoadBalance};
use crate::vlan_set::VlanSet;

/// The name of a port-profile or an access list: 1..=63 characters out of letters, digits and
/// `-_.:`, the first a letter or a digit. Case matters.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name(String);

/// Text that cannot be a [`Name`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a name, expected 1..63 letters, digits, `-`, `_`, `.` or `:`, starting with a \
     letter or digit"
)]
pub struct NameError(pub String);

impl Name {
    /// The longest name.
    pub const LEN_MAX: usize = 63;

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Name {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let legal = |b: u8| b.is_ascii_alphanumeric() || b"-_.:".contains(&b);
        let first_legal = text.bytes().next().is_some_and(|b| b.is_ascii_alphanumeric());
        if first_legal && text.len() <= Self::LEN_MAX && text.bytes().all(legal) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NameError(text.to_owned()))
        }
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

/// Whether a character may stand in a description, a remark or the name of a VLAN: it can be seen,
/// and does not change how its neighbours look (no controls, no line separators, no invisible or
/// bidirectional formatting characters).
#[must_use]
pub const fn is_printable(c: char) -> bool {
    !matches!(
        c,
        '\u{0}'..='\u{1f}'
            | '\u{7f}'..='\u{a0}'
            | '\u{ad}'
            | '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{feff}'
            | '\u{e0000}'..='\u{e007f}'
    )
}

/// The configuration of one switch. [`Config::default`] is a switch out of the box.
///
/// VLAN 1 exists always, whether it is listed or not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Config {
    /// `hostname NAME`.
    pub hostname: Option<Name>,
    /// `lacp system-priority N`, 1..=65535.
    pub lacp_system_priority: Option<u16>,
    /// `port-channel load-balance ethernet METHOD`.
    pub load_balance: Option<LoadBalance>,
    /// `vlan N`.
    pub vlans: BTreeMap<VlanId, Vlan>,
    /// `mac|ip|ipv6 access-list NAME`: one name space for the three kinds.
    pub acls: BTreeMap<Name, Acl>,
    /// `port-profile type vethernet|ethernet NAME`.
    pub profiles: BTreeMap<Name, PortProfile>,
    /// `interface Ethernet3/1`, `interface Vethernet12`.
    pub interfaces: BTreeMap<InterfaceName, Interface>,
}

impl Config {
    /// Whether the VLAN exists: configured, or VLAN 1.
    #[must_use]
    pub fn has_vlan(&self, vlan: VlanId) -> bool {
        vlan == VlanId::DEFAULT || self.vlans.contains_key(&vlan)
    }
}

impl Vlan {
    /// The longest name, in characters.
    pub const NAME_LEN_MAX: usize = 32;

    /// The name that `show vlan` has: the configured one, or `VLAN0010`.
    #[must_use]
    pub fn shown_name(&self, id: VlanId) -> String {
        match &self.name {
            Some(name) => name.clone(),
            None if id == VlanId::DEFAULT => "default".to_owned(),
            None => format!("VLAN{:04}", id.get()),
        }
    }
}

/// A VLAN of the switch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Vlan {
    /// `name TEXT`, 1..=32 printable characters without blanks; `None`: `VLAN0010`.
    pub name: Option<String>,
}

/// What a port-profile is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ProfileKind {
    /// Ports of VMs.
    Vethernet,
    /// Uplinks.
    Ethernet,
}

impl fmt::Display for ProfileKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Vethernet => "vethernet",
            Self::Ethernet => "ethernet",
        })
    }
}

/// A named policy for ports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortProfile {
    /// What it is for; never changes.
    pub kind: ProfileKind,
    /// `inherit port-profile NAME`: of the same kind; at most [`PortProfile::DEPTH_MAX`] levels.
    pub inherit: Option<Name>,
    /// `state enabled`: ports may use it. Without it, a port that names it stays down.
    pub enabled: bool,
    /// `max-ports N`: how many vEthernets may use it at once, 1..=1024; `None`: no limit.
    pub max_ports: Option<u16>,
    /// What it says of its ports.
    pub settings: Settings,
}

impl PortProfile {
    /// The most ports that `max-ports` can allow.
    pub const MAX_PORTS_MAX: u16 = 1024;
    /// How many profiles a chain of `inherit` may have, the NX-OS limit.
    pub const DEPTH_MAX: usize = 4;
}

/// What is configured on one interface: overrides its profile.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Interface {
    /// `inherit port-profile NAME`. For a vEthernet the profile given at attach counts, and this,
    /// when present, replaces it.
    pub inherit: Option<Name>,
    /// Overrides.
    pub settings: Settings,
}

/// What can be said of a port, in a profile or on an interface; `None` = not said here.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// `description TEXT`, 1..=254 printable characters. Not inherited.
    pub description: Option<String>,
    /// `shutdown` / `no shutdown`. Default: up.
    pub shutdown: Option<bool>,
    /// `switchport mode access|trunk`. Default: access.
    pub mode: Option<SwitchportMode>,
    /// `switchport access vlan N`. Default: 1.
    pub access_vlan: Option<VlanId>,
    /// `switchport trunk native vlan N`. Default: 1.
    pub trunk_native_vlan: Option<VlanId>,
    /// `switchport trunk allowed vlan LIST|all|none|add LIST|remove LIST|except LIST`. Default:
    /// all.
    pub trunk_allowed_vlans: Option<VlanSet>,
    /// `mtu N`, payload bytes after the Ethernet header and tags, 576..=9216. Default: 1500.
    pub mtu_bytes: Option<u16>,
    /// `mac|ip [port] access-group NAME in`, `ipv6 port traffic-filter NAME in`.
    pub acl_in: AclBinding,
    /// `mac|ip [port] access-group NAME out`, `ipv6 port traffic-filter NAME out`.
    pub acl_out: AclBinding,
    /// `switchport uufb disable`: true = unknown unicast reaches this port. vEthernet only.
    pub uufb_disabled: Option<bool>,
    /// `switchport promiscuous`: gets a copy of every frame of its VLANs. vEthernet only.
    pub promiscuous: Option<bool>,
    /// `mac-address allow LIST|any|none`: further source addresses. vEthernet only.
    pub mac_allow: Option<MacAllow>,
    /// `spanning-tree bpduguard enable`: a BPDU from the VM shuts the port. vEthernet only.
    pub bpdu_guard: Option<bool>,
    /// `pinning id N [backup N ...]`: the uplinks that this vEthernet's frames leave by, the first
    /// of them that is up. vEthernet only.
    pub pinning: Option<Pinning>,
    /// `channel-group auto mode ...`. Ethernet only.
    pub channel_group: Option<ChannelMode>,
    /// `lacp rate fast|normal`. Ethernet only. Default: normal.
    pub lacp_rate: Option<LacpRate>,
    /// `lacp port-priority N`, 1..=65535. Ethernet only. Default: 32768.
    pub lacp_port_priority: Option<u16>,
    /// `lacp min-links N`, 1..=16. Ethernet only. Default: 1.
    pub lacp_min_links: Option<u8>,
    /// `lacp max-bundle N`, 1..=16. Ethernet only. Default: 8.
    pub lacp_max_bundle: Option<u8>,
    /// `lacp suspend-individual`: without it a group whose partners are silent falls back to one
    /// member. Ethernet only. Default: on.
    pub lacp_suspend_individual: Option<bool>,
    /// `failover order N ...`: NICs, the preferred one first; others follow by their numbers.
    /// Ethernet only.
    pub failover_order: Option<Vec<u8>>,
    /// `link-up delay SECONDS`, 0..=300: how long a link has to be up before it is used, unless
    /// there is no other. Ethernet only. Default: 5.
    pub link_up_delay_s: Option<u16>,
    /// `lldp transmit`: tells the physical switch who is there. Ethernet only. Default: off.
    pub lldp_transmit: Option<bool>,
    /// `host-traffic`: frames for the host's own MAC go to its kernel. Ethernet only. Default: off.
    pub host_traffic: Option<bool>,
}

impl Settings {
    /// The longest description, in characters.
    pub const DESCRIPTION_LEN_MAX: usize = 254;
    /// The smallest `mtu`: what every IPv4 host must be able to receive (RFC 791 section 3.1).
    pub const MTU_MIN: u16 = 576;
    /// The largest `mtu`.
    pub const MTU_MAX: u16 = 9216;
    /// What a port without `mtu` has.
    pub const MTU_DEFAULT: u16 = 1500;
    /// The longest `link-up delay`, in seconds.
    pub const LINK_UP_DELAY_S_MAX: u16 = 300;
    /// What a port without `link-up delay` has: what physical switches need to forward again after
    /// a link came back.
    pub const LINK_UP_DELAY_S_DEFAULT: u16 = 5;

    /// The access lists of one direction.
    #[must_use]
    pub const fn acl(&self, direction: Direction) -> &AclBinding {
        match direction {
            Direction::In => &self.acl_in,
            Direction::Out => &self.acl_out,
        }
    }

    /// The access lists of one direction, to change.
    pub const fn acl_mut(&mut self, direction: Direction) -> &mut AclBinding {
        match direction {
            Direction::In => &mut self.acl_in,
            Direction::Out => &mut self.acl_out,
        }
    }
}

/// The access lists of one direction of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AclBinding {
    /// For frames that are neither IPv4 nor IPv6.
    pub mac: Option<Name>,
    /// For IPv4.
    pub ip: Option<Name>,
    /// For IPv6.
    pub ipv6: Option<Name>,
}

impl AclBinding {
    /// The list of one kind.
    #[must_use]
    pub const fn get(&self, kind: AclKind) -> Option<&Name> {
        match kind {
            AclKind::Mac => self.mac.as_ref(),
            AclKind::Ipv4 => self.ip.as_ref(),
            AclKind::Ipv6 => self.ipv6.as_ref(),
        }
    }

    /// The list of one kind, to change.
    pub const fn get_mut(&mut self, kind: AclKind) -> &mut Option<Name> {
        match kind {
            AclKind::Mac => &mut self.mac,
            AclKind::Ipv4 => &mut self.ip,
            AclKind::Ipv6 => &mut self.ipv6,
        }
    }

    /// The lists that are bound, with their kinds.
    pub fn bound(&self) -> impl Iterator<Item = (AclKind, &Name)> {
        AclKind::ALL.into_iter().filter_map(|kind| self.get(kind).map(|name| (kind, name)))
    }
}

/// The uplinks that a vEthernet prefers: numbers of NICs or, in a group with `mac-pinning relative`,
/// places in the group from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pinning {
    /// `pinning id N`, 0..=32.
    pub id: u8,
    /// `backup N ...`, in this order; without repeats, at most 8.
    pub backups: Vec<u8>,
}

impl Pinning {
    /// The most backups.
    pub const BACKUPS_MAX: usize = 8;

    /// The first choice and then the others.
    pub fn ids(&self) -> impl Iterator<Item = u8> + '_ {
        std::iter::once(self.id).chain(self.backups.iter().copied())
    }
}

impl fmt::Display for Pinning {
    /// The value of `pinning id`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.id)?;
        for (i, backup) in self.backups.iter().enumerate() {
            write!(f, "{}{backup}", if i == 0 { " backup " } else { " " })?;
        }
        Ok(())
    }
}

/// Access or trunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SwitchportMode {
    /// One VLAN, untagged.
    Access,
    /// Several VLANs, tagged, but for the native one.
    Trunk,
}

/// Source addresses that a vEthernet may use beside its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MacAllow {
    /// Whatever is a legal source address.
    Any,
    /// These; ascending, without repeats, at most 64.
    List(Vec<MacAddr>),
}

impl MacAllow {
    /// The longest list.
    pub const LIST_LEN_MAX: usize = 64;
}

impl fmt::Display for MacAllow {
    /// The value of `mac-address allow`: `any`, `none`, or addresses.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::List(macs) if macs.is_empty() => f.write_str("none"),
            Self::List(macs) => {
                for (i, mac) in macs.iter().enumerate() {
                    let blank = if i == 0 { "" } else { " " };
                    write!(f, "{blank}{}", mac.nxos())?;
                }
                Ok(())
            }
        }
    }
}

impl fmt::Display for SwitchportMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Access => "access",
            Self::Trunk => "trunk",
        })
    }
}
