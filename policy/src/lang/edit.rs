//! What one line of settings does to a port-profile or an interface.
//!
//! Where it sits: [`super::setting`] and [`super::teaming`] read a line into an [`Edit`], the
//! reader applies it to every object that the line is for (a range of interfaces has several).

use proto::VlanId;

use crate::acl::AclKind;
use crate::config::{MacAllow, Name, Pinning, Settings, SwitchportMode};
use crate::place::{Direction, Setting};
use crate::problem::Span;
use crate::teaming::{ChannelMode, LacpRate};
use crate::vlan_set::VlanSet;

/// What one line does.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    /// What it speaks of.
    pub(super) setting: Setting,
    /// Where its value stands, or its last word.
    pub(super) span: Span,
    pub(super) change: Change,
}

/// The change itself, with its value.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Reset,
    Description(String),
    Inherit(Name),
    InheritNot(Name),
    Mode(SwitchportMode),
    AccessVlan(VlanId),
    NativeVlan(VlanId),
    AllowedVlans(VlanSet),
    AllowedVlansAdd(VlanSet),
    AllowedVlansRemove(VlanSet),
    Flag(bool),
    MacAllow(MacAllow),
    Number(u16),
    Links(u8),
    AccessGroup(Name),
    AccessGroupNot(Name),
    Channel(ChannelMode),
    LacpRate(LacpRate),
    FailoverOrder(Vec<u8>),
    Pinning(Pinning),
}

/// An object that a line of settings can be applied to.
#[derive(Debug)]
pub(super) struct Target<'c> {
    /// Its `inherit port-profile`.
    pub(super) inherit: &'c mut Option<Name>,
    /// Its settings.
    pub(super) settings: &'c mut Settings,
    /// `max-ports` and `state enabled`, in a profile.
    pub(super) profile: Option<(&'c mut Option<u16>, &'c mut bool)>,
    /// Values that it does not say itself come from elsewhere: from a profile that is not known
    /// at this line.
    pub(super) inherits_unseen: bool,
}

impl Edit {
    /// Applies the line to one object.
    ///
    /// # Errors
    /// The line speaks of something that the object does not have; one sentence, and what to do.
    pub(super) fn apply(&self, target: &mut Target<'_>) -> Result<(), (String, String)> {
        let direction = match self.setting {
            Setting::AccessGroup(_, direction) => direction,
            _ => Direction::In,
        };
        let kind = match self.setting {
            Setting::AccessGroup(kind, _) => kind,
            _ => AclKind::Mac,
        };
        match &self.change {
            Change::Reset => self.reset(target),
            Change::Flag(on) => self.set_flag(target, *on),
            Change::Number(number) => self.set_number(target, *number),
            Change::Description(text) => target.settings.description = Some(text.clone()),
            Change::Inherit(name) => *target.inherit = Some(name.clone()),
            Change::InheritNot(name) => clear_named(target.inherit, name, "port-profile")?,
            Change::Mode(mode) => target.settings.mode = Some(*mode),
            Change::AccessVlan(vlan) => target.settings.access_vlan = Some(*vlan),
            Change::NativeVlan(vlan) => target.settings.trunk_native_vlan = Some(*vlan),
            Change::AllowedVlans(vlans) => {
                target.settings.trunk_allowed_vlans = Some(vlans.clone());
            }
            Change::AllowedVlansAdd(vlans) => {
                let old = own_allowed_vlans(target)?;
                target.settings.trunk_allowed_vlans = Some(old.union(vlans));
            }
            Change::AllowedVlansRemove(vlans) => {
                let old = own_allowed_vlans(target)?;
                target.settings.trunk_allowed_vlans = Some(old.difference(vlans));
            }
            Change::MacAllow(allow) => target.settings.mac_allow = Some(allow.clone()),
            Change::AccessGroup(name) => {
                *target.settings.acl_mut(direction).get_mut(kind) = Some(name.clone());
            }
            Change::AccessGroupNot(name) => {
                let bound = target.settings.acl_mut(direction).get_mut(kind);
                clear_named(bound, name, "access list")?;
            }
            Change::Channel(mode) => target.settings.channel_group = Some(*mode),
            Change::LacpRate(rate) => target.settings.lacp_rate = Some(*rate),
            Change::Links(links) => self.set_links(target, *links),
            Change::FailoverOrder(nics) => target.settings.failover_order = Some(nics.clone()),
            Change::Pinning(pinning) => target.settings.pinning = Some(pinning.clone()),
        }
        Ok(())
    }

    fn set_flag(&self, target: &mut Target<'_>, on: bool) {
        let settings = &mut *target.settings;
        match self.setting {
            Setting::Shutdown => settings.shutdown = Some(on),
            Setting::Uufb => settings.uufb_disabled = Some(on),
            Setting::Promiscuous => settings.promiscuous = Some(on),
            Setting::BpduGuard => settings.bpdu_guard = Some(on),
            Setting::LacpSuspendIndividual => settings.lacp_suspend_individual = Some(on),
            Setting::LldpTransmit => settings.lldp_transmit = Some(on),
            Setting::HostTraffic => settings.host_traffic = Some(on),
            Setting::State => {
                if let Some((_, enabled)) = &mut target.profile {
                    **enabled = on;
                }
            }
            _ => {}
        }
    }

    fn set_number(&self, target: &mut Target<'_>, number: u16) {
        match self.setting {
            Setting::Mtu => target.settings.mtu_bytes = Some(number),
            Setting::LacpPortPriority => target.settings.lacp_port_priority = Some(number),
            Setting::LinkUpDelay => target.settings.link_up_delay_s = Some(number),
            Setting::MaxPorts => {
                if let Some((max_ports, _)) = &mut target.profile {
                    **max_ports = Some(number);
                }
            }
            _ => {}
        }
    }

    fn set_links(&self, target: &mut Target<'_>, links: u8) {
        match self.setting {
            Setting::LacpMinLinks => target.settings.lacp_min_links = Some(links),
            Setting::LacpMaxBundle => target.settings.lacp_max_bundle = Some(links),
            _ => {}
        }
    }

    fn reset(&self, target: &mut Target<'_>) {
        let settings = &mut *target.settings;
        match self.setting {
            Setting::Description => settings.description = None,
            Setting::Inherit => *target.inherit = None,
            Setting::Mode => settings.mode = None,
            Setting::AccessVlan => settings.access_vlan = None,
            Setting::TrunkNativeVlan => settings.trunk_native_vlan = None,
            Setting::TrunkAllowedVlans => settings.trunk_allowed_vlans = None,
            Setting::Uufb => settings.uufb_disabled = None,
            Setting::Promiscuous => settings.promiscuous = None,
            Setting::MacAllow => settings.mac_allow = None,
            Setting::BpduGuard => settings.bpdu_guard = None,
            Setting::Mtu => settings.mtu_bytes = None,
            Setting::AccessGroup(kind, way) => *settings.acl_mut(way).get_mut(kind) = None,
            Setting::ChannelGroup => settings.channel_group = None,
            Setting::LacpRate => settings.lacp_rate = None,
            Setting::LacpPortPriority => settings.lacp_port_priority = None,
            Setting::LacpMinLinks => settings.lacp_min_links = None,
            Setting::LacpMaxBundle => settings.lacp_max_bundle = None,
            Setting::LacpSuspendIndividual => settings.lacp_suspend_individual = None,
            Setting::FailoverOrder => settings.failover_order = None,
            Setting::LinkUpDelay => settings.link_up_delay_s = None,
            Setting::LldpTransmit => settings.lldp_transmit = None,
            Setting::Pinning => settings.pinning = None,
            Setting::HostTraffic => settings.host_traffic = None,
            Setting::Shutdown => settings.shutdown = None,
            Setting::MaxPorts => {
                if let Some((max_ports, _)) = &mut target.profile {
                    **max_ports = None;
                }
            }
            Setting::State => {
                if let Some((_, enabled)) = &mut target.profile {
                    **enabled = false;
                }
            }
        }
    }
}

/// `no ... NAME`: removes that name and no other, lest a slip removes another list's protection.
fn clear_named(slot: &mut Option<Name>, name: &Name, what: &str) -> Result<(), (String, String)> {
    match slot {
        Some(old) if old != name => {
            Err((format!("the {what} here is `{old}`, not `{name}`"), format!("write `{old}`")))
        }
        _ => {
            *slot = None;
            Ok(())
        }
    }
}

/// The list that `add` and `remove` start from: its own, or all VLANs.
fn own_allowed_vlans(target: &Target<'_>) -> Result<VlanSet, (String, String)> {
    match &target.settings.trunk_allowed_vlans {
        Some(vlans) => Ok(vlans.clone()),
        None if !target.inherits_unseen && target.inherit.is_none() => Ok(VlanSet::all()),
        None => Err((
            "`add` and `remove` need a list of its own here, and it has none".to_owned(),
            "write the whole list: `switchport trunk allowed vlan LIST`".to_owned(),
        )),
    }
}
