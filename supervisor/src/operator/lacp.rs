//! `show lacp`: both sides of each link, the machines, and what was sent and received.

use proto::InterfaceName;
use proto::rpc::operator as rpc;

use super::port_channels;
use crate::event::Now;
use crate::push::fleet::Module;
use crate::report::{LacpInfo, Member};
use crate::state::State;

/// The bits of the state octet, the lowest first (IEEE 802.1AX-2020 clause 6.4.2.3).
const STATE_BITS: [&str; 8] = [
    "activity",
    "timeout",
    "aggregation",
    "synchronization",
    "collecting",
    "distributing",
    "defaulted",
    "expired",
];

/// All ports that speak LACP, as their hosts report them.
pub(super) fn lacp(state: &State, now: Now) -> rpc::LacpReply {
    let of_module = |module: &Module| -> Vec<rpc::LacpPort> {
        let channels = module.report.channels.values();
        let members = channels.flat_map(|channel| channel.members.keys());
        members.filter_map(|name| port(module, *name)).collect()
    };
    rpc::LacpReply {
        unix_time_ns: now.unix_ns,
        ports: state.modules().values().flat_map(of_module).collect(),
    }
}

/// One port, if it speaks LACP.
pub(super) fn port(module: &Module, name: InterfaceName) -> Option<rpc::LacpPort> {
    let (number, channel, member): (u8, _, &Member) = module.report.membership(name)?;
    let lacp = member.lacp.as_deref()?;
    Some(rpc::LacpPort {
        module: u32::from(module.record.module.get()),
        module_status: module.status().to_owned(),
        port: name.to_string(),
        channel: u32::from(number),
        mode: channel.mode.clone(),
        flag: port_channels::flag(module, member),
        reason: member.reason.clone(),
        actor: Some(info(&lacp.actor)),
        partner: Some(info(&lacp.partner)),
        receive: lacp.receive.clone(),
        mux: lacp.mux.clone(),
        periodic: lacp.periodic.clone(),
        selected: lacp.selected.clone(),
        actor_churn: lacp.actor_churn.clone(),
        partner_churn: lacp.partner_churn.clone(),
        pdus_sent: lacp.pdus_sent,
        pdus_received: lacp.pdus_received,
        markers_received: lacp.markers_received,
        marker_responses_sent: lacp.marker_responses_sent,
        illegal_received: lacp.illegal_received,
        unknown_received: lacp.unknown_received,
        last_received_unix_ns: lacp.last_received_unix_ns,
        actor_churns: lacp.actor_churns,
        partner_churns: lacp.partner_churns,
    })
}

fn info(of: &LacpInfo) -> rpc::LacpInfo {
    let is_set = |bit: usize| of.state >> bit & 1 == 1;
    let bits = STATE_BITS.iter().enumerate().filter(|(bit, _)| is_set(*bit));
    rpc::LacpInfo {
        system_priority: of.system_priority,
        system: of.system.clone(),
        key: of.key,
        port_priority: of.port_priority,
        port: of.port,
        state: u32::from(of.state),
        state_bits: bits.map(|(_, name)| (*name).to_owned()).collect(),
    }
}
