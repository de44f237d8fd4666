//! `show vlan`.

use proto::rpc::operator as rpc;

use super::number;
use crate::shell::table::{Align, Table};

/// The width of the column of ports, as on an NX-OS terminal of 80 columns.
const PORTS_WIDTH_MAX: usize = 40;

/// The VLANs with the ports that carry them.
#[must_use]
pub fn render(reply: &rpc::VlansReply) -> String {
    let columns = ["VLAN", "Name", "Status", "Ports"].map(|title| (title, Align::Left));
    let mut table = Table::new(&columns).wrap_last(PORTS_WIDTH_MAX);
    for vlan in &reply.vlans {
        let (name, status) = (vlan.name.clone(), vlan.status.clone());
        table.row([number(vlan.id), name, status, vlan.ports.join(", ")]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let vlan = |id, name: &str, ports: &[&str]| rpc::Vlan {
            id,
            name: name.to_owned(),
            status: "active".to_owned(),
            ports: ports.iter().map(|p| (*p).to_owned()).collect(),
        };
        let ports = ["Ethernet3/1", "Ethernet3/2", "Vethernet1", "Vethernet2", "Vethernet3"];
        let vlans = vec![vlan(1, "default", &[]), vlan(10, "LAN-A", &ports)];
        insta::assert_snapshot!(render(&rpc::VlansReply { vlans }));
    }
}
