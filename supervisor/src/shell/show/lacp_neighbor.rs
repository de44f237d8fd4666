//! `show lacp neighbor`: the partners.

use proto::rpc::operator as rpc;

use super::{LACP_FLAGS, NO_LACP, lacp_flags, lacp_place, lacp_reasons, lacp_system, number};
use crate::shell::table::{Align, Table};
use crate::shell::time::age;

/// What each port knows of its partner.
#[must_use]
pub fn render(reply: &rpc::LacpReply) -> String {
    if reply.ports.is_empty() {
        return NO_LACP.to_owned();
    }
    let mut table = Table::new(&[
        ("Channel", Align::Left),
        ("Mod", Align::Left),
        ("Port", Align::Left),
        ("Flag", Align::Left),
        ("Partner System-ID", Align::Left),
        ("Port-Pri", Align::Right),
        ("Port-Num", Align::Right),
        ("Oper-Key", Align::Right),
        ("State", Align::Right),
        ("Flags", Align::Left),
        ("Age", Align::Right),
    ]);
    for port in &reply.ports {
        let first = lacp_place(port).into_iter().chain([port.flag.clone()]);
        // Of a partner that never spoke only assumptions are known.
        let partner = port.partner.as_ref().filter(|_| port.last_received_unix_ns != 0);
        let partner = match partner {
            None => vec![String::new(); 6],
            Some(partner) => vec![
                lacp_system(partner),
                number(partner.port_priority),
                format!("{:#x}", partner.port),
                format!("{:#x}", partner.key),
                format!("{:#04x}", partner.state),
                lacp_flags(partner),
            ],
        };
        let last = age(reply.unix_time_ns, port.last_received_unix_ns);
        table.row(first.chain(partner).chain([last]));
    }
    format!("{LACP_FLAGS}\n{}{}", table.render(), lacp_reasons(&reply.ports))
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn golden() {
        insta::assert_snapshot!(render(&sample::lacp()));
    }

    #[test]
    fn none() {
        assert!(render(&rpc::LacpReply::default()).starts_with("No uplink speaks LACP"));
    }
}
