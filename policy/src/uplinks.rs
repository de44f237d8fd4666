//! The uplinks of one host and the groups that they work in: what `channel-group auto` means.
//!
//! A group are the uplinks of a host with the same mode and the same port-profile (the nearest
//! `inherit port-profile`; those without one count as having the same); all that pin are one group
//! whatever their profiles. A group has the lowest NIC number of its members, up or down, present
//! or not, as its own: other groups do not change it, nor does a NIC that is pulled.
//!
//! Where it sits: `validate` asks which uplinks have to agree, `compile` fills in what a host is
//! told. Not here: which members carry traffic; that is a state of the dataplane.

use std::collections::BTreeMap;

use proto::{InterfaceName, ModuleId};

use crate::config::{Config, Name, Pinning};
use crate::intent::UplinkRole;
use crate::resolve::{Effective, port_chain, resolve};
use crate::teaming::{Channel, ChannelMode};

/// A configured uplink.
pub(crate) struct Uplink<'c> {
    /// Its number on its host.
    pub(crate) nic: u8,
    /// Its name.
    pub(crate) name: InterfaceName,
    /// The profile that it names.
    pub(crate) profile: Option<&'c Name>,
    /// What holds for it.
    pub(crate) port: Effective,
    /// Administratively up: not shut down, and its profile is there and enabled.
    pub(crate) is_up: bool,
}

impl Uplink<'_> {
    /// How it works together with others, if it does.
    pub(crate) const fn mode(&self) -> Option<ChannelMode> {
        self.port.channel_group.value
    }

    /// The two are of one group; so is any with itself that has a mode.
    pub(crate) fn is_grouped_with(&self, other: &Self) -> bool {
        match (self.mode(), other.mode()) {
            (Some(ChannelMode::MacPinning { .. }), Some(ChannelMode::MacPinning { .. })) => true,
            (Some(mode), Some(others)) => mode == others && self.profile == other.profile,
            _ => false,
        }
    }

    /// Whether members are taken in an order: one after the other, or the first while the partners
    /// of an LACP group are silent.
    fn is_ordered(&self) -> bool {
        self.mode().is_some_and(|mode| {
            mode == ChannelMode::ActiveStandby
                || mode.is_lacp() && !self.port.lacp_suspend_individual.value
        })
    }

    /// Its place in the failover order. Those that are not listed come last, by their numbers.
    fn rank(&self) -> u8 {
        let order = &self.port.failover_order.value;
        let place = order.iter().position(|nic| *nic == self.nic).unwrap_or(order.len());
        u8::try_from(place).unwrap_or(u8::MAX)
    }
}

/// The uplinks of one host, ascending.
pub(crate) struct Uplinks<'c>(Vec<Uplink<'c>>);

impl<'c> Uplinks<'c> {
    /// The configured uplinks of a module.
    pub(crate) fn of(config: &'c Config, module: ModuleId) -> Self {
        let name = |nic| InterfaceName::Ethernet { module, nic };
        let uplinks = (1..=InterfaceName::NIC_MAX).filter_map(|nic| {
            let interface = config.interfaces.get(&name(nic))?;
            let profile = interface.inherit.as_ref();
            let (chain, is_usable) = port_chain(config, profile);
            let port = resolve(Some(interface), &chain);
            let is_up = is_usable && !port.shutdown.value;
            Some(Uplink { nic, name: name(nic), profile, port, is_up })
        });
        Self(uplinks.collect())
    }

    /// Every uplink.
    pub(crate) fn all(&self) -> &[Uplink<'c>] {
        &self.0
    }

    /// The groups, each with its members, by number.
    pub(crate) fn groups(&self) -> BTreeMap<u8, Vec<&Uplink<'c>>> {
        let mut groups: BTreeMap<u8, Vec<&Uplink<'c>>> = BTreeMap::new();
        for uplink in &self.0 {
            if let Some(number) = self.number(uplink) {
                groups.entry(number).or_default().push(uplink);
            }
        }
        groups
    }

    /// The number of an uplink's group; `None`: it works alone.
    fn number(&self, uplink: &Uplink<'_>) -> Option<u8> {
        self.0.iter().find(|first| first.is_grouped_with(uplink)).map(|first| first.nic)
    }

    /// What the host is told of one of its NICs; `None` when it is not configured.
    pub(crate) fn role(&self, nic: u8) -> Option<UplinkRole> {
        let uplink = self.0.iter().find(|uplink| uplink.nic == nic)?;
        let port = &uplink.port;
        let channel = self.number(uplink).zip(uplink.mode()).map(|(number, mode)| {
            let rank = if uplink.is_ordered() { uplink.rank() } else { 0 };
            let channel = Channel { rank, ..Channel::new(number, mode) };
            if !mode.is_lacp() {
                return channel;
            }
            Channel {
                lacp_rate: port.lacp_rate.value,
                lacp_port_priority: port.lacp_port_priority.value,
                min_links: port.lacp_min_links.value,
                max_bundle: port.lacp_max_bundle.value,
                suspend_individual: port.lacp_suspend_individual.value,
                ..channel
            }
        });
        Some(UplinkRole {
            nic,
            channel,
            host_traffic: port.host_traffic.value,
            link_up_delay_s: port.link_up_delay_s.value,
            lldp_transmit: port.lldp_transmit.value,
        })
    }

    /// The NICs that a `pinning` names on this host, in its order. Where the host has uplinks with
    /// `mac-pinning relative`, a number is a place among those, from 0; what is not there is left
    /// out.
    pub(crate) fn pinned_nics(&self, pinning: &Pinning) -> Vec<u8> {
        let relative: Vec<u8> = self
            .0
            .iter()
            .filter(|uplink| uplink.mode() == Some(ChannelMode::MacPinning { relative: true }))
            .map(|uplink| uplink.nic)
            .collect();
        if relative.is_empty() {
            return pinning.ids().filter(|nic| *nic > 0).collect();
        }
        pinning.ids().filter_map(|place| relative.get(usize::from(place)).copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lang::parse;
    use crate::teaming::LacpRate;

    const MODULE: ModuleId = ModuleId::FIRST_HOST;

    fn roles(text: &str) -> Vec<(u8, Option<(u8, u8)>)> {
        let config = parse(text).unwrap();
        let uplinks = Uplinks::of(&config, MODULE);
        let role = |nic| {
            let channel = uplinks.role(nic)?.channel;
            Some((nic, channel.map(|channel| (channel.number, channel.rank))))
        };
        (1..=InterfaceName::NIC_MAX).filter_map(role).collect()
    }

    #[test]
    fn a_group_is_one_profile_and_one_mode_and_all_that_pin() {
        let text = "port-profile type ethernet A\nchannel-group auto mode active\n\
                    port-profile type ethernet B\ninherit port-profile A\n\
                    port-profile type ethernet P\nchannel-group auto mode on mac-pinning\n\
                    port-profile type ethernet Q\nchannel-group auto mode on mac-pinning relative\n\
                    interface eth3/1,eth3/3\ninherit port-profile B\n\
                    interface eth3/2,eth3/4\ninherit port-profile A\n\
                    interface eth3/5\ninherit port-profile A\nchannel-group auto mode passive\n\
                    interface eth3/6\ninherit port-profile P\n\
                    interface eth3/7\ninherit port-profile Q\n\
                    interface eth3/8-9\nchannel-group auto mode on\n\
                    interface eth3/10\ninterface eth4/1\ninherit port-profile A\n";
        let numbers: Vec<_> =
            roles(text).into_iter().map(|(nic, of)| (nic, of.map(|(number, _)| number))).collect();
        let group = |nic, number| (nic, Some(number));
        assert_eq!(
            numbers,
            [
                group(1, 1),
                group(2, 2),
                group(3, 1),
                group(4, 2),
                group(5, 5),
                group(6, 6),
                group(7, 6),
                group(8, 8),
                group(9, 8),
                (10, None),
            ]
        );
    }

    #[test]
    fn a_member_that_is_down_keeps_the_number_of_its_group() {
        let text = "port-profile type ethernet A\nchannel-group auto mode active\nstate enabled\n\
                    interface eth3/2-3\ninherit port-profile A\ninterface eth3/2\nshutdown\n";
        assert_eq!(roles(text), [(2, Some((2, 0))), (3, Some((2, 0)))]);
    }

    #[test]
    fn ranks_follow_the_failover_order_where_there_is_one() {
        let text = |mode: &str| {
            format!(
                "port-profile type ethernet A\nchannel-group auto mode {mode}\n\
                 failover order 7 3\ninterface eth3/1,eth3/3,eth3/5\ninherit port-profile A\n"
            )
        };
        let ranks = |mode| -> Vec<u8> {
            roles(&text(mode)).into_iter().filter_map(|(_, of)| of.map(|(_, rank)| rank)).collect()
        };
        assert_eq!(ranks("active-standby"), [2, 1, 2]);
        assert_eq!(ranks("active\nno lacp suspend-individual"), [2, 1, 2]);
        assert_eq!(ranks("active"), [0, 0, 0]);
    }

    #[test]
    fn settings_of_lacp_are_told_where_lacp_is_spoken() {
        let text = |mode: &str| {
            format!(
                "interface eth3/4\nchannel-group auto mode {mode}\nlacp rate fast\n\
                 lacp port-priority 7\nlacp min-links 2\nlacp max-bundle 3\n\
                 no lacp suspend-individual\nlink-up delay 0\nlldp transmit\nhost-traffic\n"
            )
        };
        let role = |mode| {
            let config = parse(&text(mode)).unwrap();
            Uplinks::of(&config, MODULE).role(4).unwrap()
        };
        let passive = Channel {
            lacp_rate: LacpRate::Fast,
            lacp_port_priority: 7,
            min_links: 2,
            max_bundle: 3,
            suspend_individual: false,
            ..Channel::new(4, ChannelMode::Passive)
        };
        let expected = UplinkRole {
            nic: 4,
            channel: Some(passive),
            host_traffic: true,
            link_up_delay_s: 0,
            lldp_transmit: true,
        };
        assert_eq!(role("passive"), expected);
        let on = Some(Channel::new(4, ChannelMode::On));
        assert_eq!(role("on"), UplinkRole { channel: on, ..expected });
    }

    #[test]
    fn pinning_names_nics_or_places_among_those_that_are_relative() {
        let nics = |mode: &str, id, backups: &[u8]| {
            let text =
                format!("interface eth3/3,eth3/5,eth3/9\nchannel-group auto mode on {mode}\n");
            let config = parse(&text).unwrap();
            let pinning = Pinning { id, backups: backups.to_vec() };
            Uplinks::of(&config, MODULE).pinned_nics(&pinning)
        };
        assert_eq!(nics("mac-pinning", 5, &[0, 1, 3]), [5, 1, 3]);
        assert_eq!(nics("mac-pinning relative", 2, &[0, 3, 1]), [9, 3, 5]);
        assert_eq!(nics("mac-pinning relative", 8, &[]), [0; 0]);
    }
}
