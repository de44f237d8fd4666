//! `show mac address-table`: the local tables of all hosts in one, and addresses that are up twice.

use std::collections::BTreeMap;

use proto::rpc::operator as rpc;
use proto::{InterfaceName, MacAddr, ModuleId, VlanId};

use crate::push::fleet::Module;
use crate::state::State;

/// The tables of one host, or of all (0).
pub(super) fn macs(state: &State, only: u32) -> rpc::MacAddressTableReply {
    let mut rows: Vec<(VlanId, MacAddr, InterfaceName, ModuleId)> = Vec::new();
    let mut places: BTreeMap<(VlanId, MacAddr), Vec<(InterfaceName, ModuleId)>> = BTreeMap::new();
    for module in state.modules().values() {
        let number = module.record.module;
        for (vlan, mac, port) in &module.report.macs {
            rows.push((*vlan, *mac, *port, number));
            if is_up(module, *port) {
                places.entry((*vlan, *mac)).or_default().push((*port, number));
            }
        }
    }
    rows.sort_unstable();
    let row =
        |(vlan, mac, port, module): (VlanId, MacAddr, InterfaceName, ModuleId)| rpc::MacEntry {
            vlan: u32::from(vlan.get()),
            mac: mac.nxos(),
            kind: "static".to_owned(),
            port: port.to_string(),
            module: u32::from(module.get()),
        };
    let wanted = |entry: &rpc::MacEntry| only == 0 || entry.module == only;
    rpc::MacAddressTableReply {
        entries: rows.into_iter().map(row).filter(wanted).collect(),
        duplicates: places.iter().filter(|(_, at)| at.len() > 1).map(sentence).collect(),
    }
}

fn is_up(module: &Module, port: InterfaceName) -> bool {
    module.session.is_some() && module.report.ports.get(&port).is_some_and(|p| p.link_up)
}

fn sentence(
    ((vlan, mac), places): (&(VlanId, MacAddr), &Vec<(InterfaceName, ModuleId)>),
) -> String {
    let places: Vec<String> =
        places.iter().map(|(port, module)| format!("{port} (module {module})")).collect();
    format!("{} in VLAN {vlan} is up at {}", mac.nxos(), places.join(" and "))
}
