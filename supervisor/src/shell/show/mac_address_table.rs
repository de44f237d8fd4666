//! `show mac address-table`.

use proto::rpc::operator as rpc;

use super::{module_number, number};
use crate::shell::table::{Align, Table};

/// The entries, and the addresses that are up twice.
#[must_use]
pub fn render(reply: &rpc::MacAddressTableReply) -> String {
    let columns = ["VLAN", "MAC-Address", "Type", "Port", "Mod"].map(|title| (title, Align::Left));
    let mut table = Table::new(&columns);
    for entry in &reply.entries {
        table.row([
            number(entry.vlan),
            entry.mac.clone(),
            entry.kind.clone(),
            entry.port.clone(),
            module_number(entry.module),
        ]);
    }
    let mut text = table.render();
    text.push_str(&format!("\nTotal MAC addresses: {}\n", reply.entries.len()));
    text.extend(reply.duplicates.iter().map(|sentence| format!("Duplicate: {sentence}\n")));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let entry = |mac: &str, port: &str, module| rpc::MacEntry {
            vlan: 10,
            mac: mac.to_owned(),
            kind: "static".to_owned(),
            port: port.to_owned(),
            module,
        };
        insta::assert_snapshot!(render(&rpc::MacAddressTableReply {
            entries: vec![
                entry("0257.4600.0001", "Vethernet1", 3),
                entry("0257.4600.0001", "Vethernet2", 4),
            ],
            duplicates: vec![
                "0257.4600.0001 in VLAN 10 is up at Vethernet1 (module 3) and Vethernet2 (module 4)"
                    .to_owned()
            ],
        }));
    }
}
