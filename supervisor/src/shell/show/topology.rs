//! `show topology`: the way from a VM to a physical switch port, a line for each cable.

use proto::rpc::operator as rpc;

use super::{host, short};
use crate::shell::table::{Align, Table};

/// The table.
#[must_use]
pub fn render(reply: &rpc::TopologyReply) -> String {
    if reply.rows.is_empty() {
        return "No topology: no vNIC is plugged in.\n".to_owned();
    }
    let mut table = Table::new(&[
        ("VM", Align::Left),
        ("vNIC", Align::Left),
        ("Port", Align::Left),
        ("VLAN", Align::Left),
        ("Mod", Align::Left),
        ("Host", Align::Left),
        ("Uplink", Align::Left),
        ("Link", Align::Left),
        ("NIC", Align::Left),
        ("Switch", Align::Left),
        ("Switch-Port", Align::Left),
        ("Protocol", Align::Left),
    ]);
    for row in &reply.rows {
        // A vNIC without an uplink has a line too.
        let nowhere = [rpc::TopologyLink::default()];
        let links = if row.links.is_empty() { &nowhere[..] } else { &row.links[..] };
        for link in links {
            let flag =
                if link.flag.is_empty() { String::new() } else { format!("({})", link.flag) };
            table.row([
                row.vm.clone(),
                row.adapter.clone(),
                short(&row.vethernet),
                row.vlan.clone(),
                host(row.module, &row.module_status),
                row.host.clone(),
                short(&row.uplink),
                short(&link.port) + &flag,
                link.adapter.clone(),
                link.switch.clone(),
                link.switch_port.clone(),
                link.protocol.clone(),
            ]);
        }
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(port: &str, flag: &str, switch: &str, switch_port: &str) -> rpc::TopologyLink {
        rpc::TopologyLink {
            port: port.to_owned(),
            flag: flag.to_owned(),
            adapter: "ens1".to_owned(),
            protocol: if switch.is_empty() { "" } else { "LLDP" }.to_owned(),
            switch: switch.to_owned(),
            switch_port: switch_port.to_owned(),
            ..rpc::TopologyLink::default()
        }
    }

    fn row(n: u32, module: u32, uplink: &str, links: Vec<rpc::TopologyLink>) -> rpc::TopologyRow {
        rpc::TopologyRow {
            vm: format!("vm{n}"),
            adapter: "eth0".to_owned(),
            vethernet: format!("Vethernet{n}"),
            vlan: "10".to_owned(),
            module,
            module_status: if module == 3 { "ok" } else { "offline" }.to_owned(),
            host: format!("h{module}"),
            uplink: uplink.to_owned(),
            links,
        }
    }

    #[test]
    fn golden() {
        let channel =
            vec![link("Ethernet3/1", "P", "tor1", "Ethernet1/7"), link("Ethernet3/2", "D", "", "")];
        let alone = vec![link("Ethernet4/1", "", "tor2", "Ethernet1/8")];
        let rows = vec![
            row(1, 3, "port-channel1", channel),
            row(2, 3, "", Vec::new()),
            row(12, 4, "Ethernet4/1", alone),
        ];
        insta::assert_snapshot!(render(&rpc::TopologyReply { rows }));
    }

    #[test]
    fn none() {
        assert!(render(&rpc::TopologyReply::default()).starts_with("No topology"));
    }
}
