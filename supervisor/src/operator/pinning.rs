//! `show pinning`: which uplink each vEthernet sends by, and how it came there.

use proto::InterfaceName;
use proto::rpc::operator as rpc;

use crate::inventory::Binding;
use crate::push::fleet::Module;
use crate::report::Pin;
use crate::state::State;

/// All pins, as the hosts report them.
pub(super) fn pinning(state: &State) -> rpc::PinningReply {
    let of_module = |module| {
        let Module { report, .. }: &Module = module;
        report.pins.iter().map(move |(port, of)| pin(state, module, *port, of))
    };
    let sent = |module: &Module| rpc::Announcements {
        module: u32::from(module.record.module.get()),
        module_status: module.status().to_owned(),
        sent: module.report.announcements,
    };
    rpc::PinningReply {
        pins: state.modules().values().flat_map(of_module).collect(),
        announcements: state.modules().values().map(sent).collect(),
    }
}

/// The vEthernets of a host that send by an uplink or, with others, by the group it is in.
pub(super) fn on_uplink(module: &Module, uplink: InterfaceName) -> Vec<String> {
    let group = module.report.membership(uplink).map(|(number, ..)| number);
    let group = group.map(|number| InterfaceName::PortChannel(u16::from(number)));
    let sends_here =
        |pin: &Pin| pin.uplink == Some(uplink) || group.is_some() && pin.uplink == group;
    let pins = module.report.pins.iter().filter(|(_, pin)| sends_here(pin));
    pins.map(|(port, _)| port.to_string()).collect()
}

fn pin(state: &State, module: &Module, port: InterfaceName, of: &Pin) -> rpc::Pin {
    let number = module.record.module;
    let binding: Option<&Binding> = match port {
        InterfaceName::Vethernet(veth) => state.bindings().get(&veth),
        _ => None,
    };
    let binding = binding.filter(|binding| binding.module == Some(number));
    let name = |name: Option<InterfaceName>| name.map(|name| name.to_string()).unwrap_or_default();
    rpc::Pin {
        module: u32::from(number.get()),
        module_status: module.status().to_owned(),
        port: port.to_string(),
        owner: binding.map(|b| b.vm.clone()).unwrap_or_default(),
        adapter: binding.map(|b| b.adapter.clone()).unwrap_or_default(),
        uplink: name(of.uplink),
        preferred: name(of.preferred),
        reason: of.reason.clone(),
        moves: of.moves,
        moved_unix_ns: of.moved_unix_ns,
        move_duration_ns: of.move_duration_ns,
    }
}
