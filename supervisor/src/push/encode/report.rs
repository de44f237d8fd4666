//! A dataplane's counters as a [`Report`].
//!
//! Invariants: nothing here fails or panics. What makes no sense is left out, and every list and
//! text is bounded, so that a host that lies costs no more memory than a large one. Part of what is
//! said comes from the wire, by LLDP and CDP: whoever is on a cable can say it.

use policy::config::is_printable;
use proto::rpc::switch as rpc;
use proto::{InterfaceName, PortId, Revision, VethId, VlanId};

use super::{NICS_MAX, TEXT_LEN_MAX, clean};
use crate::report::{
    ChannelReport, Counters, Discovery, LacpInfo, LacpPort, Member, MemberFlag, Neighbor, Pin,
    PortReport, Report,
};

/// The most drop reasons of a port: several times what there are.
pub(super) const DROPS_MAX: usize = 256;
/// The most neighbors of a host: each NIC may share its cable with some.
pub(super) const NEIGHBORS_MAX: usize = 16 * NICS_MAX;
/// The most capabilities of a neighbor: LLDP and CDP have 16 bits for them.
pub(super) const CAPABILITIES_MAX: usize = 16;

/// What a host says of itself.
pub(super) fn report(message: rpc::Counters) -> Report {
    let mut report = Report {
        revision: Revision::new(message.revision),
        announcements: message.announcements,
        ..Report::default()
    };
    for port in message.ports.iter().take(PortId::COUNT) {
        if let Ok(name) = port.name.parse::<InterfaceName>() {
            report.ports.insert(name, port_report(port));
        }
    }
    for rule in message.rules {
        let matches = report.rules.entry((rule.access_list, rule.sequence)).or_default();
        *matches = matches.saturating_add(rule.matches);
    }
    for entry in &message.macs {
        if let (Ok(vlan), Ok(mac), Ok(port)) =
            (VlanId::new(entry.vlan), entry.mac.parse(), entry.port.parse())
        {
            report.macs.push((vlan, mac, port));
        }
    }
    for attachment in message.attachments.iter().take(PortId::COUNT) {
        if let Ok(veth) = VethId::new(attachment.vethernet) {
            report.kinds.insert(InterfaceName::Vethernet(veth), clean(&attachment.kind));
        }
    }
    for nic in &message.nics {
        if let Ok(number) = u8::try_from(nic.number) {
            report.nic_modes.insert(number, clean(&nic.driver_mode));
        }
    }
    for channel in message.channels.iter().take(NICS_MAX) {
        if let Some(number) = channel_number(channel.number) {
            report.channels.insert(number, self::channel(channel));
        }
    }
    for pin in message.pins.iter().take(PortId::COUNT) {
        if let Ok(name @ InterfaceName::Vethernet(_)) = pin.port.parse() {
            report.pins.insert(name, self::pin(pin));
        }
    }
    report.neighbors = message.neighbors.iter().take(NEIGHBORS_MAX).filter_map(neighbor).collect();
    report
}

fn port_report(port: &rpc::PortCounters) -> PortReport {
    let drops = |drops: &[rpc::DropCounter]| {
        drops.iter().take(DROPS_MAX).map(|drop| (clean(&drop.reason), drop.frames)).collect()
    };
    PortReport {
        link_up: port.link_up,
        reason: clean(&port.state_reason),
        counters: Counters {
            rx_frames: port.rx_frames,
            rx_bytes: port.rx_bytes,
            rx_multicast: port.rx_multicast,
            rx_broadcast: port.rx_broadcast,
            tx_frames: port.tx_frames,
            tx_bytes: port.tx_bytes,
            tx_multicast: port.tx_multicast,
            tx_broadcast: port.tx_broadcast,
            forwarded: port.forwarded,
            consumed: port.consumed,
        },
        drops: drops(&port.drops),
        tx_drops: drops(&port.tx_drops),
        pinned_to: clean(&port.pinned_to),
    }
}

/// Numbers of groups are those of NICs.
fn channel_number(number: u32) -> Option<u8> {
    u8::try_from(number).ok().filter(|n| (1..=InterfaceName::NIC_MAX).contains(n))
}

fn uplink(name: &str) -> Option<InterfaceName> {
    match name.parse() {
        Ok(name @ InterfaceName::Ethernet { .. }) => Some(name),
        _ => None,
    }
}

fn channel(message: &rpc::PortChannel) -> ChannelReport {
    let member = |member: &rpc::Member| {
        let of = Member {
            flag: MemberFlag::from_letter(&member.flag),
            reason: clean(&member.reason),
            since_unix_ns: member.since_unix_ns,
            lacp: member.lacp.as_ref().map(|lacp| Box::new(lacp_port(lacp))),
        };
        Some((uplink(&member.port)?, of))
    };
    ChannelReport {
        mode: clean(&message.mode),
        up: message.up,
        reason: clean(&message.reason),
        system: clean(&message.system),
        partner_system: clean(&message.partner_system),
        members: message.members.iter().take(NICS_MAX).filter_map(member).collect(),
    }
}

fn lacp_port(message: &rpc::LacpPort) -> LacpPort {
    let info = |info: &Option<rpc::LacpInfo>| info.as_ref().map(lacp_info).unwrap_or_default();
    LacpPort {
        actor: info(&message.actor),
        partner: info(&message.partner),
        receive: clean(&message.receive),
        mux: clean(&message.mux),
        periodic: clean(&message.periodic),
        selected: clean(&message.selected),
        actor_churn: clean(&message.actor_churn),
        partner_churn: clean(&message.partner_churn),
        pdus_sent: message.pdus_sent,
        pdus_received: message.pdus_received,
        markers_received: message.markers_received,
        marker_responses_sent: message.marker_responses_sent,
        illegal_received: message.illegal_received,
        unknown_received: message.unknown_received,
        last_received_unix_ns: message.last_received_unix_ns,
        actor_churns: message.actor_churns,
        partner_churns: message.partner_churns,
    }
}

fn lacp_info(message: &rpc::LacpInfo) -> LacpInfo {
    LacpInfo {
        system_priority: message.system_priority,
        system: clean(&message.system),
        key: message.key,
        port_priority: message.port_priority,
        port: message.port,
        state: message.state.to_le_bytes()[0],
    }
}

fn pin(message: &rpc::Pin) -> Pin {
    let uplink = |name: &str| match name.parse() {
        Ok(InterfaceName::Vethernet(_)) | Err(_) => None,
        Ok(name) => Some(name),
    };
    Pin {
        uplink: uplink(&message.uplink),
        preferred: uplink(&message.preferred),
        reason: clean(&message.reason),
        moves: message.moves,
        moved_unix_ns: message.moved_unix_ns,
        move_duration_ns: message.move_duration_ns,
    }
}

fn neighbor(message: &rpc::Neighbor) -> Option<Neighbor> {
    Some(Neighbor {
        port: uplink(&message.port)?,
        protocol: Discovery::from_name(&message.protocol)?,
        chassis_id: line(&message.chassis_id),
        system_name: line(&message.system_name),
        port_id: line(&message.port_id),
        port_description: line(&message.port_description),
        platform: line(&message.platform),
        capabilities: message
            .capabilities
            .iter()
            .take(CAPABILITIES_MAX)
            .map(|capability| line(capability))
            .collect(),
        management_address: line(&message.management_address),
        native_vlan: message.native_vlan,
        hold_time_s: message.hold_time_s,
        heard_unix_ns: message.heard_unix_ns,
        mtu_bytes: message.mtu_bytes,
    })
}

/// Text of a switch as one line: descriptions of systems often have several.
fn line(text: &str) -> String {
    let printable = |c: char| if is_printable(c) { c } else { ' ' };
    let text: String = text.chars().take(TEXT_LEN_MAX).map(printable).collect();
    text.split(' ').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}
