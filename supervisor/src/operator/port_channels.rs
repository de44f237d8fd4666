//! `show port-channel`: the groups of uplinks of all hosts, and what spreads flows over them.
//!
//! What a host reports counts. Of what only the configuration knows so far it is said that nobody
//! has reported it. A host that is offline may well forward on: its channels have the flag `R`, and
//! say how they were.

use std::collections::{BTreeMap, BTreeSet};

use policy::intent::{PortIntent, PortRole};
use policy::teaming::{Channel, ChannelMode, LoadBalance};
use proto::InterfaceName;
use proto::frame::FlowHash;
use proto::rpc::operator as rpc;

use crate::push::fleet::Module;
use crate::report::{Member, MemberFlag};
use crate::state::State;

/// What is said of a port that its host does not mention.
const NOT_REPORTED: &str = "the host has not reported it yet";
/// The flag of whatever is on a host that is offline.
const REMOVED: &str = "R";

/// All groups.
pub(super) fn port_channels(state: &State) -> rpc::PortChannelsReply {
    let channels = state.modules().values().flat_map(|module| {
        let known = module.report.channels.keys().copied();
        let configured = configured(module).map(|(_, _, channel)| channel.number);
        let numbers: BTreeSet<u8> = known.chain(configured).collect();
        numbers.into_iter().map(|number| channel(module, number))
    });
    let method = state.config().0.load_balance.unwrap_or_default();
    rpc::PortChannelsReply {
        channels: channels.collect(),
        load_balance: Some(load_balance(method)),
    }
}

/// The group that an uplink works in or will work in, and its part in it.
pub(super) fn of_uplink(
    module: &Module,
    name: InterfaceName,
) -> Option<(rpc::PortChannel, rpc::ChannelMember)> {
    let reported = module.report.membership(name).map(|(number, ..)| number);
    let number = reported.or_else(|| {
        configured(module).find(|(port, ..)| *port == name).map(|(_, _, channel)| channel.number)
    })?;
    let channel = channel(module, number);
    let port = name.to_string();
    let member = channel.members.iter().find(|member| member.port == port).cloned()?;
    Some((channel, member))
}

/// The flag of a member, as far as it is known.
pub(super) fn flag(module: &Module, member: &Member) -> String {
    let flag = if module.session.is_some() { member.flag.letter() } else { REMOVED };
    flag.to_owned()
}

/// The uplinks of a host that are to work in groups.
fn configured(module: &Module) -> impl Iterator<Item = (InterfaceName, &PortIntent, Channel)> {
    module.intent.ports.iter().filter_map(|(name, port)| match &port.role {
        PortRole::Uplink(role) => Some((*name, port, role.channel?)),
        PortRole::Vethernet(_) => None,
    })
}

fn channel(module: &Module, number: u8) -> rpc::PortChannel {
    let report = module.report.channels.get(&number);
    let mut members: BTreeMap<InterfaceName, rpc::ChannelMember> = BTreeMap::new();
    let (mut profile, mut mode) = (String::new(), String::new());
    for (name, port, channel) in configured(module).filter(|(.., c)| c.number == number) {
        if let (true, Some(name)) = (profile.is_empty(), &port.profile) {
            profile = name.to_string();
        }
        mode = channel.mode.to_string();
        members.insert(name, member(module, name, None));
    }
    if let Some(report) = report {
        mode.clone_from(&report.mode);
        let of = |(name, of): (&InterfaceName, &Member)| (*name, member(module, *name, Some(of)));
        members.extend(report.members.iter().map(of));
    }
    let up = report.is_some_and(|report| report.up);
    let state = match module.session {
        None => REMOVED,
        Some(_) if up => "U",
        Some(_) => "D",
    };
    let reason = match report {
        None => because(module, "", NOT_REPORTED),
        Some(report) => because(module, if report.up { "up" } else { "down" }, &report.reason),
    };
    let is_lacp = ChannelMode::from_name(&mode).is_some_and(ChannelMode::is_lacp);
    rpc::PortChannel {
        module: u32::from(module.record.module.get()),
        module_status: module.status().to_owned(),
        number: u32::from(number),
        name: InterfaceName::PortChannel(u16::from(number)).to_string(),
        flags: format!("S{state}"),
        kind: "Eth".to_owned(),
        protocol: if is_lacp { "LACP" } else { "NONE" }.to_owned(),
        mode,
        up,
        reason,
        system: report.map(|report| report.system.clone()).unwrap_or_default(),
        partner_system: report.map(|report| report.partner_system.clone()).unwrap_or_default(),
        profile,
        members: members.into_values().collect(),
    }
}

fn member(module: &Module, name: InterfaceName, of: Option<&Member>) -> rpc::ChannelMember {
    let port = name.to_string();
    let Some(member) = of else {
        let flag = if module.session.is_some() { MemberFlag::Down.letter() } else { REMOVED };
        let reason = because(module, "", NOT_REPORTED);
        return rpc::ChannelMember { port, flag: flag.to_owned(), reason, since_unix_ns: 0 };
    };
    rpc::ChannelMember {
        port,
        flag: flag(module, member),
        reason: because(module, member.flag.word(), &member.reason),
        since_unix_ns: member.since_unix_ns,
    }
}

/// The reason that a host gives, unless it is away: then what it said last.
fn because(module: &Module, was: &str, reason: &str) -> String {
    let number = module.record.module;
    match (&module.session, was) {
        (Some(_), _) => reason.to_owned(),
        (None, "") => format!("module {number} is offline"),
        (None, was) if reason.is_empty() => format!("module {number} is offline, was {was}"),
        (None, was) => format!("module {number} is offline, was {was}: {reason}"),
    }
}

/// What makes a flow, also of frames that lack what the method asks for.
fn load_balance(method: LoadBalance) -> rpc::LoadBalance {
    let (non_ip, fragments) = match method {
        LoadBalance::Flow(FlowHash::SourceDestIp) => ("source-dest-mac", "source-dest-ip"),
        LoadBalance::Flow(FlowHash::SourceDestIpPort) => ("source-dest-mac", "source-dest-ip"),
        LoadBalance::Flow(FlowHash::SourceDestIpPortVlan) => {
            ("source-dest-mac-vlan", "source-dest-ip-vlan")
        }
        LoadBalance::Flow(FlowHash::SourceMac | FlowHash::SourceDestMac)
        | LoadBalance::SourceVirtualPortId => (method.name(), method.name()),
    };
    rpc::LoadBalance {
        method: method.to_string(),
        non_ip: non_ip.to_owned(),
        fragments: fragments.to_owned(),
    }
}
