//! What uplinks have to agree on, and which settings of teaming fit together.
//!
//! Where it sits: the part of `validate` that looks at the outcome as a whole. A setting is held
//! against the mode that is in force where it is said: LACP settings in a port-profile without
//! `channel-group` are no mistake, a child may bring the mode. What a port-profile gets wrong is
//! reported there, and not again for everything that inherits from it.
//!
//! Not a mistake, on purpose: more `lacp min-links` than members (the port-channel is down until
//! they are there); `pinning id` or `failover order` with a NIC that a host does not have (VMs
//! move, hosts differ).

use std::collections::{BTreeMap, BTreeSet};

use proto::{InterfaceName, ModuleId};

use super::Checker;
use crate::acl::AclKind;
use crate::config::{Pinning, ProfileKind, Settings};
use crate::intent::PortMode;
use crate::place::{Direction, Place, Setting};
use crate::resolve::{Effective, Origin, chain, resolve};
use crate::teaming::{Channel, ChannelMode};
use crate::uplinks::{Uplink, Uplinks};
use crate::vlan_set::VlanSet;

impl Checker<'_> {
    /// Everything that has to do with teaming.
    pub(super) fn teaming(&mut self) {
        let config = self.config;
        for (name, profile) in &config.profiles {
            if profile.kind != ProfileKind::Ethernet {
                continue;
            }
            if let Ok(chain) = chain(config, name) {
                let place = |setting| Place::ProfileSetting(name.clone(), setting);
                self.mode_fits(&place, &Origin::Profile(name.clone()), &resolve(None, &chain));
            }
        }
        let modules: BTreeSet<ModuleId> = config
            .interfaces
            .keys()
            .filter_map(|name| match name {
                InterfaceName::Ethernet { module, .. } => Some(*module),
                InterfaceName::PortChannel(_) | InterfaceName::Vethernet(_) => None,
            })
            .collect();
        for module in modules {
            let uplinks = Uplinks::of(config, module);
            for uplink in uplinks.all() {
                let place = |setting| Place::InterfaceSetting(uplink.name, setting);
                self.mode_fits(&place, &Origin::Interface, &uplink.port);
            }
            for members in uplinks.groups().values() {
                self.group(members);
            }
            self.common_vlans(&uplinks);
        }
        self.places_in_groups();
    }

    /// The settings of a port fit its mode, as far as one of the two is said at `level`.
    fn mode_fits(&mut self, place: &impl Fn(Setting) -> Place, level: &Origin, port: &Effective) {
        let group = &port.channel_group;
        let blame = |setting: Setting, origin: &Origin| {
            let is_said = *origin != Origin::Default;
            let is_said_here = is_said && (origin == level || group.origin == *level);
            let place = place(if origin == level { setting } else { Setting::ChannelGroup });
            is_said_here.then_some(place)
        };
        if let Some(mode) = group.value.filter(|mode| !mode.is_lacp()) {
            for (setting, origin) in [
                (Setting::LacpRate, &port.lacp_rate.origin),
                (Setting::LacpPortPriority, &port.lacp_port_priority.origin),
                (Setting::LacpMinLinks, &port.lacp_min_links.origin),
                (Setting::LacpMaxBundle, &port.lacp_max_bundle.origin),
                (Setting::LacpSuspendIndividual, &port.lacp_suspend_individual.origin),
            ] {
                if let Some(place) = blame(setting, origin) {
                    let whose = match origin {
                        Origin::Profile(name) if origin != level => format!(" of {name}"),
                        _ => String::new(),
                    };
                    let message =
                        format!("`{setting}`{whose} needs LACP, and the mode here is `{mode}`");
                    let hint = "write `channel-group auto mode active`, or take the line out";
                    self.problem(&place, message, hint);
                }
            }
        }
        let (order, individual) = (&port.failover_order, &port.lacp_suspend_individual);
        let here = blame(Setting::FailoverOrder, &order.origin).or_else(|| {
            let is_said_here = *level == individual.origin && order.origin != Origin::Default;
            is_said_here.then(|| place(Setting::LacpSuspendIndividual))
        });
        if let Some((place, mode)) = here.zip(group.value) {
            self.order_fits(&place, mode, individual.value);
        }
        let (least, most) = (&port.lacp_min_links, &port.lacp_max_bundle);
        let place = match (least.origin == *level, most.origin == *level) {
            (true, _) => place(Setting::LacpMinLinks),
            (false, true) => place(Setting::LacpMaxBundle),
            (false, false) => return,
        };
        if least.value > most.value && group.value.is_none_or(ChannelMode::is_lacp) {
            let default = if most.origin == Origin::Default { ", the default" } else { "" };
            let message = format!(
                "`lacp min-links {}` is more than `lacp max-bundle {}`{default}: the port-channel \
                 would never be up",
                least.value, most.value
            );
            self.problem(&place, message, "lower the one or raise the other");
        }
    }

    /// A failover order has something to say in this mode.
    fn order_fits(&mut self, place: &Place, mode: ChannelMode, suspend_individual: bool) {
        if mode == ChannelMode::ActiveStandby || mode.is_lacp() && !suspend_individual {
            return;
        }
        let (why, hint) = if mode.is_lacp() {
            (
                "with `lacp suspend-individual` no member works alone".to_owned(),
                "write `no lacp suspend-individual`: then the first of the order carries \
                 everything while the partners are silent",
            )
        } else {
            (
                format!("the mode here is `{mode}`"),
                "write `channel-group auto mode active-standby`, or take the line out",
            )
        };
        self.problem(place, format!("`failover order` has no effect: {why}"), hint);
    }

    /// The members of a group agree on what holds for the group. A port-channel is one port, and
    /// so is a group of which one member carries everything.
    fn group(&mut self, members: &[&Uplink<'_>]) {
        let Some((first, mode)) = members.first().and_then(|first| Some((first, first.mode()?)))
        else {
            return;
        };
        if let ChannelMode::MacPinning { .. } = mode {
            let other = members.iter().find(|member| member.mode() != Some(mode));
            if let Some(other) = other {
                let message = format!(
                    "pins by `{}`, and {} by `{mode}`: `pinning id` would mean a NIC or a place",
                    other.mode().map_or("", ChannelMode::name),
                    first.name
                );
                let hint = "use one of the two for all uplinks of a host";
                self.problem(&self.place_of_mode(other), message, hint);
            }
            return;
        }
        if mode.is_bundle()
            && let Some(excess) = members.get(usize::from(Channel::MEMBERS_MAX))
        {
            let message = format!(
                "the port-channel of {} has {} members, at most {} can be",
                first.name,
                members.len(),
                Channel::MEMBERS_MAX
            );
            let hint = "give some of them another port-profile";
            self.problem(&Place::Interface(excess.name), message, hint);
        }
        if mode.is_lacp() {
            let settings =
                [Setting::LacpMinLinks, Setting::LacpMaxBundle, Setting::LacpSuspendIndividual];
            self.agree(members, &settings);
        }
        if mode != ChannelMode::On {
            self.agree(members, &[Setting::FailoverOrder]);
        }
        // One that is shut down may be changed before it comes back.
        let up: Vec<&Uplink<'_>> = members.iter().copied().filter(|member| member.is_up).collect();
        let mut settings = vec![
            Setting::Mode,
            Setting::AccessVlan,
            Setting::TrunkNativeVlan,
            Setting::TrunkAllowedVlans,
            Setting::Mtu,
        ];
        for kind in AclKind::ALL {
            settings.extend([Direction::In, Direction::Out].map(|d| Setting::AccessGroup(kind, d)));
        }
        self.agree(&up, &settings);
    }

    /// Where the mode of an uplink is said.
    fn place_of_mode(&self, uplink: &Uplink<'_>) -> Place {
        match uplink.port.channel_group.origin {
            Origin::Interface => Place::InterfaceSetting(uplink.name, Setting::ChannelGroup),
            Origin::Profile(_) | Origin::Default => Place::Interface(uplink.name),
        }
    }

    /// The members of a group have the same values. They have the same port-profile, so whoever
    /// differs does by a line of its own interface.
    fn agree(&mut self, members: &[&Uplink<'_>], settings: &[Setting]) {
        type Lines = BTreeMap<Setting, (String, Origin)>;
        let of_kind = |member: &Uplink<'_>| -> Lines {
            let lines = member.port.lines(ProfileKind::Ethernet).into_iter();
            lines.map(|(setting, line, origin)| (setting, (line, origin))).collect()
        };
        let lines: Vec<Lines> = members.iter().map(|member| of_kind(member)).collect();
        for setting in settings {
            let said = |of: &Lines| of.get(setting).map(|(line, _)| line.clone());
            let is_own = |of: &Lines| {
                of.get(setting).is_some_and(|(_, origin)| *origin == Origin::Interface)
            };
            let usual = lines.iter().position(|of| !is_own(of)).unwrap_or(0);
            let Some((like, (other, expected))) = members
                .get(usual)
                .zip(lines.get(usual))
                .map(|(member, of)| (of, (member.name, said(of))))
            else {
                return;
            };
            for (member, of) in members.iter().zip(&lines) {
                let line = said(of);
                if line == expected || is_of_other_mode(*setting, of.keys(), like.keys()) {
                    continue;
                }
                let text = |line: Option<String>| line.unwrap_or_else(|| format!("no {setting}"));
                let message = format!(
                    "`{}`, but {other} of the same group has `{}`",
                    text(line),
                    text(expected.clone())
                );
                let hint = "a group is one port to the network: write it in the port-profile, for \
                            all members";
                self.problem(&Place::InterfaceSetting(member.name, *setting), message, hint);
            }
        }
    }

    /// Uplinks of one host that carry a common VLAN work together in one group: else a broadcast
    /// of the wire would arrive once for each of them, and a frame could go out by one and come
    /// back by the other.
    fn common_vlans(&mut self, uplinks: &Uplinks<'_>) {
        let carried: Vec<(&Uplink<'_>, VlanSet)> = uplinks
            .all()
            .iter()
            .filter(|uplink| uplink.is_up)
            .map(|uplink| match uplink.port.port_mode(self.config) {
                PortMode::Access(vlan) => (uplink, [vlan].into_iter().collect()),
                PortMode::Trunk { allowed, .. } => (uplink, allowed),
            })
            .collect();
        for (i, (uplink, vlans)) in carried.iter().enumerate() {
            let clash = carried.iter().take(i).find_map(|(other, others)| {
                let common = vlans.intersection(others);
                (!uplink.is_grouped_with(other) && !common.is_empty()).then_some((other, common))
            });
            let Some((other, common)) = clash else { continue };
            let s = if common.len() == 1 { "" } else { "s" };
            let message = format!(
                "carries VLAN{s} {common} as {} does, and the two are in no common group: frames \
                 of the wire would arrive twice",
                other.name
            );
            let hint = match (uplink.mode(), other.mode()) {
                (Some(mode), Some(others)) if mode == others => format!(
                    "a group has one port-profile: give both the same one, as they have the same \
                     mode, `{mode}`, or let them carry different VLANs"
                ),
                (Some(mode), Some(others)) => format!(
                    "a group has one mode: give both `{mode}` or both `{others}`, or let them \
                     carry different VLANs"
                ),
                _ => "write `channel-group auto mode on mac-pinning` in the port-profile of both, \
                      or let them carry different VLANs"
                    .to_owned(),
            };
            self.problem(&Place::Interface(uplink.name), message, hint);
        }
    }

    /// A `pinning id 0` has a meaning only where an uplink may count by places.
    fn places_in_groups(&mut self) {
        let config = self.config;
        let relative = Some(ChannelMode::MacPinning { relative: true });
        let profiles = config.profiles.values().map(|profile| &profile.settings);
        let interfaces = config.interfaces.values().map(|interface| &interface.settings);
        if profiles.chain(interfaces).any(|settings| settings.channel_group == relative) {
            return;
        }
        let is_zero = |settings: &Settings| {
            settings.pinning.as_ref().is_some_and(|pinning| Pinning::ids(pinning).any(|id| id == 0))
        };
        let mut places = Vec::new();
        for (name, profile) in &config.profiles {
            if profile.kind == ProfileKind::Vethernet && is_zero(&profile.settings) {
                places.push(Place::ProfileSetting(name.clone(), Setting::Pinning));
            }
        }
        for (name, interface) in &config.interfaces {
            if matches!(name, InterfaceName::Vethernet(_)) && is_zero(&interface.settings) {
                places.push(Place::InterfaceSetting(*name, Setting::Pinning));
            }
        }
        for place in places {
            let message = "there is no NIC 0";
            let hint = "NICs count from 1; 0 is a place in a group with `channel-group auto mode on \
                        mac-pinning relative`, and no uplink has that";
            self.problem(&place, message, hint);
        }
    }
}

/// A setting of VLANs that only one of the two has lines for: the one is an access port, the other
/// a trunk, which is a difference of its own.
fn is_of_other_mode<'s>(
    setting: Setting,
    mut one: impl Iterator<Item = &'s Setting>,
    mut other: impl Iterator<Item = &'s Setting>,
) -> bool {
    let of_vlans = [Setting::AccessVlan, Setting::TrunkNativeVlan, Setting::TrunkAllowedVlans];
    of_vlans.contains(&setting)
        && one.any(|has| *has == setting) != other.any(|has| *has == setting)
}
