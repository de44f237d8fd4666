//! `show lldp neighbors` and `show cdp neighbors`.

use proto::rpc::operator as rpc;

use super::{host, short};
use crate::shell::table::{Align, Table};
use crate::shell::time::age;

/// The longest description of a platform in a line, in characters.
const PLATFORM_LEN_MAX: usize = 32;

/// A line for each switch at the other end of an uplink's cable.
#[must_use]
pub fn render(reply: &rpc::NeighborsReply) -> String {
    if reply.neighbors.is_empty() {
        return none();
    }
    let mut table = Table::new(&[
        ("Device-ID", Align::Left),
        ("Local-Intf", Align::Left),
        ("Mod", Align::Left),
        ("Hold-time", Align::Right),
        ("Age", Align::Right),
        ("Capability", Align::Left),
        ("Platform", Align::Left),
        ("Port-ID", Align::Left),
    ]);
    for of in &reply.neighbors {
        table.row([
            device(of),
            short(&of.port),
            host(of.module, &of.module_status),
            of.hold_time_s.to_string(),
            age(reply.unix_time_ns, of.heard_unix_ns),
            of.capabilities.join(" "),
            of.platform.chars().take(PLATFORM_LEN_MAX).collect(),
            of.port_id.clone(),
        ]);
    }
    let total = reply.neighbors.len();
    format!("{}\nTotal entries displayed: {total}\n", table.render())
}

/// The name of a switch, or else its identity.
fn device(of: &rpc::Neighbor) -> String {
    let name = if of.system_name.is_empty() { &of.chassis_id } else { &of.system_name };
    name.clone()
}

/// What is said when nothing was heard.
pub(super) fn none() -> String {
    "No neighbors: no uplink hears one, or its host has not reported yet.\n".to_owned()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn golden() {
        insta::assert_snapshot!(render(&sample::neighbors()));
    }

    #[test]
    fn nothing_heard() {
        assert!(render(&rpc::NeighborsReply::default()).starts_with("No neighbors"));
    }
}
