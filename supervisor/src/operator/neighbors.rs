//! `show lldp neighbors` and `show cdp neighbors`: the physical switches that uplinks hear.

use proto::InterfaceName;
use proto::rpc::operator as rpc;

use crate::event::Now;
use crate::push::fleet::Module;
use crate::report::{Discovery, Neighbor};
use crate::state::State;

/// What is heard by one protocol or both, at one uplink or all.
pub(super) fn neighbors(
    state: &State,
    now: Now,
    protocol: Option<Discovery>,
    only: Option<InterfaceName>,
) -> rpc::NeighborsReply {
    let of_module = |module| {
        let wanted = heard(module).into_iter().filter(move |neighbor| {
            protocol.is_none_or(|protocol| neighbor.protocol == protocol)
                && only.is_none_or(|port| neighbor.port == port)
        });
        wanted.map(move |neighbor| show(module, neighbor))
    };
    rpc::NeighborsReply {
        unix_time_ns: now.unix_ns,
        neighbors: state.modules().values().flat_map(of_module).collect(),
    }
}

/// What one uplink hears.
pub(super) fn at(module: &Module, port: InterfaceName) -> Vec<&Neighbor> {
    heard(module).into_iter().filter(|neighbor| neighbor.port == port).collect()
}

/// The host's own name for the NIC behind an uplink; may be empty.
pub(super) fn adapter(module: &Module, port: InterfaceName) -> String {
    let InterfaceName::Ethernet { nic, .. } = port else { return String::new() };
    let nics = &module.record.nics;
    nics.iter().find(|n| n.number == nic).map(|n| n.ifname.clone()).unwrap_or_default()
}

/// All that a host hears, by port and protocol.
fn heard(module: &Module) -> Vec<&Neighbor> {
    let mut heard: Vec<&Neighbor> = module.report.neighbors.iter().collect();
    heard.sort_by_key(|neighbor| {
        let Neighbor { port, protocol, chassis_id, port_id, .. } = *neighbor;
        (*port, *protocol, chassis_id, port_id)
    });
    heard
}

/// A neighbor as operators see it.
pub(super) fn show(module: &Module, of: &Neighbor) -> rpc::Neighbor {
    rpc::Neighbor {
        module: u32::from(module.record.module.get()),
        module_status: module.status().to_owned(),
        port: of.port.to_string(),
        adapter: adapter(module, of.port),
        protocol: of.protocol.name().to_owned(),
        chassis_id: of.chassis_id.clone(),
        system_name: of.system_name.clone(),
        port_id: of.port_id.clone(),
        port_description: of.port_description.clone(),
        platform: of.platform.clone(),
        capabilities: of.capabilities.clone(),
        management_address: of.management_address.clone(),
        native_vlan: of.native_vlan,
        hold_time_s: of.hold_time_s,
        heard_unix_ns: of.heard_unix_ns,
        mtu_bytes: of.mtu_bytes,
    }
}
