//! Names for the parts of a configuration: what a problem, a difference or a provenance speaks of.
//!
//! Where it sits: the language notes for every [`Place`] that a text touched where it stands
//! ([`Spans`]); validation asks there for line and column; the diff uses places as keys.

use std::collections::BTreeMap;
use std::fmt;

use proto::{InterfaceName, VlanId};

use crate::acl::{AclKind, Sequence};
use crate::config::{Name, ProfileKind};
use crate::problem::Span;

/// Which way a frame passes a port, as the configuration says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Direction {
    /// From the port into the switch.
    In,
    /// From the switch out of the port.
    Out,
}

impl fmt::Display for Direction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::In => "in",
            Self::Out => "out",
        })
    }
}

/// One thing that can be said inside a port-profile or an interface, in the order it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Setting {
    /// `description`.
    Description,
    /// `inherit port-profile`.
    Inherit,
    /// `switchport mode`.
    Mode,
    /// `switchport access vlan`.
    AccessVlan,
    /// `switchport trunk native vlan`.
    TrunkNativeVlan,
    /// `switchport trunk allowed vlan`.
    TrunkAllowedVlans,
    /// `switchport uufb disable`.
    Uufb,
    /// `switchport promiscuous`.
    Promiscuous,
    /// `mac-address allow`.
    MacAllow,
    /// `spanning-tree bpduguard`.
    BpduGuard,
    /// `mtu`.
    Mtu,
    /// `mac|ip port access-group`, `ipv6 port traffic-filter`.
    AccessGroup(AclKind, Direction),
    /// `channel-group auto`.
    ChannelGroup,
    /// `lacp rate`.
    LacpRate,
    /// `lacp port-priority`.
    LacpPortPriority,
    /// `lacp min-links`.
    LacpMinLinks,
    /// `lacp max-bundle`.
    LacpMaxBundle,
    /// `lacp suspend-individual`.
    LacpSuspendIndividual,
    /// `failover order`.
    FailoverOrder,
    /// `link-up delay`.
    LinkUpDelay,
    /// `lldp transmit`.
    LldpTransmit,
    /// `pinning id`.
    Pinning,
    /// `host-traffic`.
    HostTraffic,
    /// `max-ports`; port-profiles only.
    MaxPorts,
    /// `shutdown`.
    Shutdown,
    /// `state enabled`; port-profiles only.
    State,
}

impl Setting {
    /// The only kind of port that the setting makes sense for; `None`: both.
    #[must_use]
    pub const fn only_for(self) -> Option<ProfileKind> {
        match self {
            Self::Uufb
            | Self::Promiscuous
            | Self::MacAllow
            | Self::BpduGuard
            | Self::Pinning
            | Self::MaxPorts => Some(ProfileKind::Vethernet),
            Self::ChannelGroup
            | Self::LacpRate
            | Self::LacpPortPriority
            | Self::LacpMinLinks
            | Self::LacpMaxBundle
            | Self::LacpSuspendIndividual
            | Self::FailoverOrder
            | Self::LinkUpDelay
            | Self::LldpTransmit
            | Self::HostTraffic => Some(ProfileKind::Ethernet),
            _ => None,
        }
    }
}

impl fmt::Display for Setting {
    /// The words of its command, without the value.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Description => "description",
            Self::Inherit => "inherit port-profile",
            Self::Mode => "switchport mode",
            Self::AccessVlan => "switchport access vlan",
            Self::TrunkNativeVlan => "switchport trunk native vlan",
            Self::TrunkAllowedVlans => "switchport trunk allowed vlan",
            Self::Uufb => "switchport uufb disable",
            Self::Promiscuous => "switchport promiscuous",
            Self::MacAllow => "mac-address allow",
            Self::BpduGuard => "spanning-tree bpduguard",
            Self::Mtu => "mtu",
            Self::AccessGroup(AclKind::Ipv6, _) => "ipv6 port traffic-filter",
            Self::AccessGroup(AclKind::Ipv4, _) => "ip port access-group",
            Self::AccessGroup(AclKind::Mac, _) => "mac port access-group",
            Self::ChannelGroup => "channel-group auto",
            Self::LacpRate => "lacp rate",
            Self::LacpPortPriority => "lacp port-priority",
            Self::LacpMinLinks => "lacp min-links",
            Self::LacpMaxBundle => "lacp max-bundle",
            Self::LacpSuspendIndividual => "lacp suspend-individual",
            Self::FailoverOrder => "failover order",
            Self::LinkUpDelay => "link-up delay",
            Self::LldpTransmit => "lldp transmit",
            Self::Pinning => "pinning id",
            Self::HostTraffic => "host-traffic",
            Self::MaxPorts => "max-ports",
            Self::Shutdown => "shutdown",
            Self::State => "state enabled",
        };
        f.write_str(words)
    }
}

/// A part of a configuration.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// `hostname`.
    Hostname,
    /// `lacp system-priority`.
    LacpSystemPriority,
    /// `port-channel load-balance ethernet`.
    LoadBalance,
    /// A VLAN.
    Vlan(VlanId),
    /// The name of a VLAN.
    VlanName(VlanId),
    /// An access list.
    Acl(AclKind, Name),
    /// `statistics per-entry` of an access list.
    AclStatistics(AclKind, Name),
    /// An entry of an access list.
    AclEntry(AclKind, Name, Sequence),
    /// A port-profile.
    Profile(Name),
    /// A line of a port-profile.
    ProfileSetting(Name, Setting),
    /// An interface.
    Interface(InterfaceName),
    /// A line of an interface.
    InterfaceSetting(InterfaceName, Setting),
}

impl fmt::Display for Place {
    /// As a user names it; lines of a block by the block.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hostname => f.write_str("hostname"),
            Self::LacpSystemPriority => f.write_str("lacp system-priority"),
            Self::LoadBalance => f.write_str("port-channel load-balance ethernet"),
            Self::Vlan(vlan) | Self::VlanName(vlan) => write!(f, "vlan {vlan}"),
            Self::Acl(kind, name) | Self::AclStatistics(kind, name) => {
                write!(f, "{kind} access-list {name}")
            }
            Self::AclEntry(kind, name, sequence) => {
                write!(f, "{kind} access-list {name} {sequence}")
            }
            Self::Profile(name) | Self::ProfileSetting(name, _) => {
                write!(f, "port-profile {name}")
            }
            Self::Interface(name) | Self::InterfaceSetting(name, _) => write!(f, "{name}"),
        }
    }
}

/// Where in a text the parts of a configuration stand: only those that the text touched.
#[derive(Clone, Debug, Default)]
pub struct Spans(BTreeMap<Place, Span>);

impl Spans {
    /// Where the part stands; `None` when the text does not speak of it.
    #[must_use]
    pub fn get(&self, place: &Place) -> Option<Span> {
        self.0.get(place).copied()
    }

    /// Notes where a part stands; a later place in the text replaces an earlier one.
    pub fn set(&mut self, place: Place, span: Span) {
        self.0.insert(place, span);
    }
}
