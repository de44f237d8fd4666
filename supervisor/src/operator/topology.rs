//! `show topology`: VM, vNIC, vEthernet, host, uplink, physical switch and its port in one table.
//!
//! It joins three sources: what is plugged in (the switch knows), which uplink carries it (the
//! host's pins and channels), and what is at the other end of that cable (LLDP, and CDP where LLDP
//! says nothing).

use policy::intent::PortMode;
use proto::rpc::operator as rpc;
use proto::{InterfaceName, MacAddr};

use super::{neighbors, port_channels};
use crate::inventory::Binding;
use crate::push::fleet::Module;
use crate::report::{Discovery, Neighbor};
use crate::state::State;

/// All vNICs that are plugged in.
pub(super) fn topology(state: &State) -> rpc::TopologyReply {
    let row = |binding: &Binding| {
        let module = state.modules().get(&binding.module?)?;
        Some(row(module, binding))
    };
    rpc::TopologyReply { rows: state.bindings().values().filter_map(row).collect() }
}

fn row(module: &Module, binding: &Binding) -> rpc::TopologyRow {
    let port = binding.interface();
    let uplink = module.report.pins.get(&port).and_then(|pin| pin.uplink);
    rpc::TopologyRow {
        vm: binding.vm.clone(),
        adapter: binding.adapter.clone(),
        vethernet: port.to_string(),
        vlan: match module.intent.ports.get(&port).map(|port| &port.mode) {
            None => String::new(),
            Some(PortMode::Access(vlan)) => vlan.to_string(),
            Some(PortMode::Trunk { native, .. }) => format!("{native} (native)"),
        },
        module: u32::from(module.record.module.get()),
        module_status: module.status().to_owned(),
        host: module.record.name.clone(),
        uplink: uplink.map(|uplink| uplink.to_string()).unwrap_or_default(),
        links: uplink.map(|uplink| links(module, uplink)).unwrap_or_default(),
    }
}

/// The cables of an uplink or a port-channel.
fn links(module: &Module, uplink: InterfaceName) -> Vec<rpc::TopologyLink> {
    let ports: Vec<InterfaceName> = match uplink {
        InterfaceName::PortChannel(number) => {
            let number = u8::try_from(number).ok();
            let channel = number.and_then(|number| module.report.channels.get(&number));
            channel.map(|channel| channel.members.keys().copied().collect()).unwrap_or_default()
        }
        port => vec![port],
    };
    ports.into_iter().flat_map(|port| cables(module, port)).collect()
}

/// What is at the other end of a port's cable: a line for each neighbor, and one if there is none.
fn cables(module: &Module, port: InterfaceName) -> Vec<rpc::TopologyLink> {
    let member = module.report.membership(port).map(|(_, _, member)| member);
    let link = rpc::TopologyLink {
        port: port.to_string(),
        flag: member.map(|member| port_channels::flag(module, member)).unwrap_or_default(),
        adapter: neighbors::adapter(module, port),
        ..rpc::TopologyLink::default()
    };
    let mut heard = neighbors::at(module, port);
    if heard.iter().any(|neighbor| neighbor.protocol == Discovery::Lldp) {
        heard.retain(|neighbor| neighbor.protocol == Discovery::Lldp);
    }
    if heard.is_empty() {
        return vec![link];
    }
    let to = |neighbor: &Neighbor| rpc::TopologyLink {
        protocol: neighbor.protocol.name().to_owned(),
        switch: first_said(&neighbor.system_name, &neighbor.chassis_id),
        switch_port: switch_port(neighbor),
        management_address: neighbor.management_address.clone(),
        ..link.clone()
    };
    heard.into_iter().map(to).collect()
}

/// A port as the people of that switch know it: an address is no name.
fn switch_port(of: &Neighbor) -> String {
    match of.port_id.parse::<MacAddr>() {
        Ok(_) => first_said(&of.port_description, &of.port_id),
        Err(_) => first_said(&of.port_id, &of.port_description),
    }
}

fn first_said(one: &str, other: &str) -> String {
    if one.is_empty() { other } else { one }.to_owned()
}
