//! `show interface brief`.

use proto::rpc::operator as rpc;

use super::{channel_number, module_number, number};
use crate::shell::table::{Align, Table};

/// A line for each port.
#[must_use]
pub fn render(reply: &rpc::InterfacesReply) -> String {
    let mut table = Table::new(&[
        ("Interface", Align::Left),
        ("Mod", Align::Left),
        ("VLAN", Align::Left),
        ("Mode", Align::Left),
        ("Status", Align::Left),
        ("MTU", Align::Right),
        ("Port-Profile", Align::Left),
        ("Owner", Align::Left),
        ("Adapter", Align::Left),
        ("Port-Ch", Align::Left),
        ("Reason", Align::Left),
    ]);
    for of in &reply.interfaces {
        table.row([
            of.name.clone(),
            module_number(of.module),
            of.vlan.clone(),
            of.mode.clone(),
            of.status.clone(),
            number(of.mtu_bytes),
            of.profile.clone(),
            of.owner.clone(),
            of.adapter.clone(),
            channel_number(of.channel),
            of.reason.clone(),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn golden() {
        insta::assert_snapshot!(render(&sample::interfaces()));
    }
}
