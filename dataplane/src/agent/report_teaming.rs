//! What a dataplane tells of its uplinks' teams: port-channels with their members, pins, and what is
//! known of partners.

use std::collections::BTreeMap;

use policy::snapshot::{Port, Role, Uplink as UplinkPolicy};
use policy::teaming::{Channel, ChannelMode};
use proto::frame::lacp::PortInfo;
use proto::rpc::switch;

use super::chassis::Chassis;
use super::control::Control;
use crate::control_plane::Seen;
use crate::lacp::{Flag, PortStatus};
use crate::neighbor::Neighbor;

impl<C: Chassis> Control<C> {
    /// The groups of uplinks that the configuration makes, as they work right now.
    pub(super) fn channels(&self) -> Vec<switch::PortChannel> {
        let seen = self.chassis.seen();
        let mut channels: BTreeMap<u8, switch::PortChannel> = BTreeMap::new();
        for port in self.snapshot.ports() {
            let Role::Uplink(of @ UplinkPolicy { channel: Some(channel), .. }) = &port.role else {
                continue;
            };
            let member = self.member_of(port, of, channel, &seen);
            let of_group = channels.entry(channel.number).or_insert_with(|| head(channel, &seen));
            of_group.members.push(member);
        }
        for channel in channels.values_mut() {
            finish(channel);
        }
        channels.into_values().collect()
    }

    /// What the uplinks hear by LLDP and CDP.
    pub(super) fn neighbors(&self) -> Vec<switch::Neighbor> {
        let seen = self.chassis.seen();
        let neighbor = |of: &Neighbor| {
            let said = &of.announcement;
            Some(switch::Neighbor {
                port: self.uplink_name(of.nic)?.to_string(),
                protocol: said.protocol.name().to_owned(),
                chassis_id: said.chassis_id.clone(),
                system_name: said.system_name.clone(),
                port_id: said.port_id.clone(),
                port_description: said.port_description.clone(),
                platform: said.platform.clone(),
                capabilities: said.capabilities.iter().map(|it| (*it).to_owned()).collect(),
                management_address: said
                    .management_address
                    .map(|it| it.to_string())
                    .unwrap_or_default(),
                native_vlan: said.native_vlan.map_or(0, |vlan| u32::from(vlan.get())),
                hold_time_s: u32::from(of.hold_time_s),
                heard_unix_ns: seen.unix_ns(of.heard_ns),
                mtu_bytes: said.mtu_bytes.unwrap_or(0),
            })
        };
        seen.neighbors.iter().filter_map(neighbor).collect()
    }

    fn member_of(
        &self,
        port: &Port,
        of: &UplinkPolicy,
        channel: &Channel,
        seen: &Seen,
    ) -> switch::Member {
        let uplink = self.uplinks.get(&of.nic);
        let changed_unix_ns = uplink.map_or(0, |uplink| uplink.changed_unix_ns);
        let spoken = seen.port(of.nic).filter(|_| channel.mode.is_lacp());
        let (is_up, why_down) = self.uplink_state(port.id);
        let (flag, reason, since_unix_ns) = if !port.admin_up {
            (Flag::Down, "administratively down".to_owned(), changed_unix_ns)
        } else if !is_up {
            (Flag::Down, why_down, changed_unix_ns)
        } else if let Some(status) = spoken {
            let reason = status.member.reason.map(|reason| reason.to_string()).unwrap_or_default();
            (status.member.flag, reason, seen.unix_ns(status.member.since_ns))
        } else if channel.mode.is_lacp() {
            (Flag::Suspended, "LACP has not begun".to_owned(), changed_unix_ns)
        } else {
            let (flag, reason) = self.standing(port, channel);
            (flag, reason, changed_unix_ns)
        };
        switch::Member {
            port: port.name.to_string(),
            flag: flag.letter().to_owned(),
            reason,
            since_unix_ns,
            lacp: spoken.map(|status| lacp_port(status, seen)),
        }
    }

    /// How a member stands of which no protocol decides.
    fn standing(&self, port: &Port, channel: &Channel) -> (Flag, String) {
        if self.team.group_of(port.id).is_some() {
            return (Flag::Bundled, String::new());
        }
        if !self.team.is_up(port.id) {
            return (Flag::Suspended, "waits for its link-up delay".to_owned());
        }
        match channel.mode {
            ChannelMode::ActiveStandby => {
                (Flag::Standby, "another member goes before it".to_owned())
            }
            _ => (Flag::Suspended, format!("fewer members than min-links {}", channel.min_links)),
        }
    }
}

/// A group without its members.
fn head(channel: &Channel, seen: &Seen) -> switch::PortChannel {
    let group = seen.groups.iter().find(|group| group.key == u16::from(channel.number));
    let group = group.filter(|_| channel.mode.is_lacp());
    switch::PortChannel {
        number: u32::from(channel.number),
        mode: channel.mode.to_string(),
        system: group.map(|group| group.system.to_string()).unwrap_or_default(),
        partner_system: group
            .and_then(|group| group.partner)
            .map(|(system, _)| system.to_string())
            .unwrap_or_default(),
        reason: group
            .and_then(|group| group.reason)
            .map(|reason| reason.to_string())
            .unwrap_or_default(),
        ..switch::PortChannel::default()
    }
}

/// A group is up when a member carries; else the first thing that keeps one back says why not.
fn finish(channel: &mut switch::PortChannel) {
    let carries = [Flag::Bundled, Flag::Individual].map(Flag::letter);
    channel.up = channel.members.iter().any(|member| carries.contains(&member.flag.as_str()));
    if channel.up {
        channel.reason.clear();
    } else if channel.reason.is_empty() {
        let reasons = channel.members.iter().map(|member| &member.reason);
        channel.reason = reasons.clone().next().cloned().unwrap_or_default();
    }
}

fn lacp_port(of: &PortStatus, seen: &Seen) -> switch::LacpPort {
    let counters = &of.counters;
    switch::LacpPort {
        actor: Some(lacp_info(&of.actor)),
        partner: Some(lacp_info(&of.partner)),
        receive: of.receive.name().to_owned(),
        mux: of.mux.name().to_owned(),
        periodic: of.periodic.name().to_owned(),
        selected: of.selected.name().to_owned(),
        actor_churn: of.actor_churn.actor_name().to_owned(),
        partner_churn: of.partner_churn.partner_name().to_owned(),
        pdus_sent: counters.pdus_sent,
        pdus_received: counters.pdus_received,
        markers_received: counters.markers_received,
        marker_responses_sent: counters.marker_responses_sent,
        illegal_received: counters.illegal_received,
        unknown_received: counters.unknown_received,
        last_received_unix_ns: counters.last_received_ns.map_or(0, |ns| seen.unix_ns(ns)),
        actor_churns: counters.actor_churns,
        partner_churns: counters.partner_churns,
    }
}

fn lacp_info(of: &PortInfo) -> switch::LacpInfo {
    switch::LacpInfo {
        system_priority: u32::from(of.system.priority),
        system: of.system.mac.to_string(),
        key: u32::from(of.key),
        port_priority: u32::from(of.port_priority),
        port: u32::from(of.port),
        state: u32::from(of.state.get()),
    }
}
