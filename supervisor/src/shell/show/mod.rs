//! The texts of the show commands: one command, one file, one golden output.

pub mod access_lists;
pub mod drops;
pub mod interface;
pub mod interface_brief;
pub mod interface_counters;
pub mod lacp_counters;
pub mod lacp_internal;
pub mod lacp_neighbor;
pub mod logging;
pub mod mac_address_table;
pub mod module;
pub mod neighbors;
pub mod neighbors_detail;
pub mod pinning;
pub mod port_channel_load_balance;
pub mod port_channel_summary;
pub mod port_profile;
pub mod revisions;
pub mod topology;
pub mod vlan;

use proto::rpc::operator as rpc;

/// A number as a table's value.
fn number(n: impl ToString) -> String {
    n.to_string()
}

/// A module number as a table's value; 0 is none.
fn module_number(module: u32) -> String {
    if module == 0 { String::new() } else { module.to_string() }
}

/// A module with what is known of it as a table's value: what an offline one said last may be old.
fn host(module: u32, status: &str) -> String {
    match status {
        "offline" => format!("{module} (offline)"),
        _ => module.to_string(),
    }
}

/// An interface as lists of NX-OS have it: `Eth3/1`, `Po1`, `Veth12`.
fn short(name: &str) -> String {
    let forms = [("Ethernet", "Eth"), ("port-channel", "Po"), ("Vethernet", "Veth")];
    let form = forms.iter().find_map(|(long, short)| Some((short, name.strip_prefix(long)?)));
    form.map_or_else(|| name.to_owned(), |(short, number)| format!("{short}{number}"))
}

/// A port-channel's number as a table's value; 0 is none.
fn channel_number(channel: u32) -> String {
    if channel == 0 { String::new() } else { channel.to_string() }
}

/// A LACP system: its priority in hexadecimal, and its address.
fn lacp_system(of: &rpc::LacpInfo) -> String {
    format!("{:04x},{}", of.system_priority, of.system.replace(':', "-"))
}

/// The two letters for how a side of a link behaves: see [`LACP_FLAGS`].
fn lacp_flags(of: &rpc::LacpInfo) -> String {
    let has = |wanted: &str| of.state_bits.iter().any(|bit| bit == wanted);
    let rate = if has("timeout") { 'F' } else { 'S' };
    let activity = if has("activity") { 'A' } else { 'P' };
    format!("{rate}{activity}")
}

/// What the letters of [`lacp_flags`] mean.
const LACP_FLAGS: &str = "\
    Flags:  S - Asks for slow LACPDUs   F - Asks for fast LACPDUs\n        \
    A - Active mode             P - Passive mode\n";

/// What is said when no port speaks LACP.
const NO_LACP: &str = "\
    No uplink speaks LACP: none has `channel-group auto mode active` or `passive`, or its host has \
    not reported yet.\n";

/// Where a port with LACP is: its port-channel, its host, its name.
fn lacp_place(port: &rpc::LacpPort) -> [String; 3] {
    [
        short(&format!("port-channel{}", port.channel)),
        host(port.module, &port.module_status),
        short(&port.port),
    ]
}

/// Why ports that speak LACP are not in their channel, each on a line; empty: all are.
fn lacp_reasons(ports: &[rpc::LacpPort]) -> String {
    let troubled = ports.iter().filter(|port| !port.reason.is_empty());
    let lines: String = troubled
        .map(|port| format!("  {} ({}): {}\n", port.port, port.flag, port.reason))
        .collect();
    if lines.is_empty() { lines } else { format!("\nNot in their port-channel:\n{lines}") }
}

#[cfg(test)]
mod sample;
