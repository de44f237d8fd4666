//! `show lacp internal`: our side of each link, and the machines of IEEE 802.1AX.

use proto::rpc::operator as rpc;

use super::{
    LACP_FLAGS, NO_LACP, lacp_flags, lacp_place, lacp_reasons, lacp_system, number, short,
};
use crate::shell::table::{Align, Table};

/// Two tables: what we say, and how the machines stand.
#[must_use]
pub fn render(reply: &rpc::LacpReply) -> String {
    if reply.ports.is_empty() {
        return NO_LACP.to_owned();
    }
    let mut actors = Table::new(&[
        ("Channel", Align::Left),
        ("Mod", Align::Left),
        ("Port", Align::Left),
        ("Flag", Align::Left),
        ("Mode", Align::Left),
        ("System-ID", Align::Left),
        ("Port-Pri", Align::Right),
        ("Port-Num", Align::Right),
        ("Oper-Key", Align::Right),
        ("State", Align::Right),
        ("Flags", Align::Left),
    ]);
    let mut machines = Table::new(&[
        ("Port", Align::Left),
        ("Receive", Align::Left),
        ("Mux", Align::Left),
        ("Periodic", Align::Left),
        ("Selected", Align::Left),
        ("Actor-Churn", Align::Left),
        ("Partner-Churn", Align::Left),
        ("Churns", Align::Right),
    ]);
    for port in &reply.ports {
        let actor = port.actor.clone().unwrap_or_default();
        let says = [
            port.flag.clone(),
            port.mode.clone(),
            lacp_system(&actor),
            number(actor.port_priority),
            format!("{:#x}", actor.port),
            format!("{:#x}", actor.key),
            format!("{:#04x}", actor.state),
            lacp_flags(&actor),
        ];
        actors.row(lacp_place(port).into_iter().chain(says));
        machines.row([
            short(&port.port),
            port.receive.clone(),
            port.mux.clone(),
            port.periodic.clone(),
            port.selected.clone(),
            port.actor_churn.clone(),
            port.partner_churn.clone(),
            format!("{}/{}", port.actor_churns, port.partner_churns),
        ]);
    }
    let reasons = lacp_reasons(&reply.ports);
    format!("{LACP_FLAGS}\n{}\n{}{reasons}", actors.render(), machines.render())
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
        assert_eq!(render(&rpc::LacpReply::default()), NO_LACP);
    }
}
