//! `show vlan`: the VLANs of the switch and the ports that carry them.

use std::collections::BTreeSet;

use policy::config::Vlan;
use proto::VlanId;
use proto::rpc::operator as rpc;

use crate::state::State;

/// All VLANs.
pub(super) fn vlans(state: &State) -> rpc::VlansReply {
    let config = state.config().0;
    let ids: BTreeSet<VlanId> = config.vlans.keys().copied().chain([VlanId::DEFAULT]).collect();
    let show = |id: VlanId| {
        let ports = state.modules().values().flat_map(|module| &module.intent.ports);
        let members = ports.filter(|(_, port)| port.mode.carries(id));
        let unnamed = Vlan::default();
        rpc::Vlan {
            id: u32::from(id.get()),
            name: config.vlans.get(&id).unwrap_or(&unnamed).shown_name(id),
            status: "active".to_owned(),
            ports: members.map(|(name, _)| name.to_string()).collect(),
        }
    };
    rpc::VlansReply { vlans: ids.into_iter().map(show).collect() }
}
