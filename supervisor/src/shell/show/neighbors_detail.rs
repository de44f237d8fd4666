//! `show lldp neighbors detail` and `show cdp neighbors detail`.

use proto::rpc::operator as rpc;

use super::neighbors::none;
use super::short;
use crate::shell::time::age;

/// Everything that each switch at the other end of an uplink's cable says of itself.
#[must_use]
pub fn render(reply: &rpc::NeighborsReply) -> String {
    if reply.neighbors.is_empty() {
        return none();
    }
    let blocks: Vec<String> =
        reply.neighbors.iter().map(|of| block(reply.unix_time_ns, of)).collect();
    let total = reply.neighbors.len();
    format!("{}\nTotal entries displayed: {total}\n", blocks.join("\n"))
}

fn block(now_ns: u64, of: &rpc::Neighbor) -> String {
    let is_offline = of.module_status == "offline";
    let host = format!("module {}{}", of.module, if is_offline { " (offline)" } else { "" });
    let number = |n: u32| if n == 0 { String::new() } else { n.to_string() };
    let lines = [
        ("Chassis id", of.chassis_id.clone()),
        ("Port id", of.port_id.clone()),
        ("Local port", format!("{} ({}), {host}", short(&of.port), of.adapter)),
        ("Protocol", of.protocol.clone()),
        ("Port description", of.port_description.clone()),
        ("System name", of.system_name.clone()),
        ("System description", of.platform.clone()),
        ("Heard", format!("{} ago", age(now_ns, of.heard_unix_ns))),
        ("Hold time", format!("{}s", of.hold_time_s)),
        ("Capabilities", of.capabilities.join(", ")),
        ("Management address", of.management_address.clone()),
        ("Native VLAN", number(of.native_vlan)),
        ("MTU", number(of.mtu_bytes)),
    ];
    let said = lines.into_iter().filter(|(_, value)| !value.is_empty());
    said.map(|(name, value)| format!("{name}: {value}\n")).collect()
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
