//! `show interface`.

use std::fmt::Write as _;

use proto::rpc::operator as rpc;

use super::lacp_system;
use crate::shell::table::{Align, Table};

/// How many of the vEthernets that send by an uplink are named.
const PINNED_MAX: usize = 12;

/// Everything that is known of each port.
#[must_use]
pub fn render(reply: &rpc::InterfacesReply) -> String {
    let ports: Vec<String> = reply.interfaces.iter().map(port).collect();
    ports.join("\n")
}

fn port(of: &rpc::Interface) -> String {
    let mut text = String::new();
    let mut line = |indent: usize, what: String| {
        // Writing to a String cannot fail.
        writeln!(text, "{:indent$}{what}", "").unwrap_or_default();
    };
    let reason = match of.reason.as_str() {
        "" => String::new(),
        reason => format!(" ({reason})"),
    };
    line(0, format!("{} is {}{reason}, admin {}", of.name, of.status, of.admin));
    if !of.description.is_empty() {
        line(2, format!("Port description is {}", of.description));
    }
    if !of.owner.is_empty() {
        line(
            2,
            format!("Owner is VM \"{}\", adapter {}, address {}", of.owner, of.adapter, of.mac),
        );
    } else if !of.adapter.is_empty() {
        line(2, format!("Hardware is {}", of.adapter));
    }
    if of.module != 0 {
        let kind = if of.kind.is_empty() { String::new() } else { format!(", {}", of.kind) };
        let pinned = match of.pinned_to.as_str() {
            "" => String::new(),
            uplink => format!(", sends by {uplink}"),
        };
        line(2, format!("Active on module {}{kind}{pinned}", of.module));
    }
    if !of.profile.is_empty() {
        line(2, format!("Port-Profile is {}", of.profile));
    }
    teamed(of).into_iter().for_each(|said| line(2, said));
    let vlans = match of.allowed_vlans.as_str() {
        "" => format!("VLAN {}", of.vlan),
        allowed => format!("VLAN {}, allowed {allowed}", of.vlan),
    };
    line(2, format!("Port mode is {}, {vlans}, MTU {} bytes", of.mode, of.mtu_bytes));
    let c = of.counters.unwrap_or_default();
    line(2, "Rx".to_owned());
    line(
        4,
        format!(
            "{} frames, {} bytes, {} multicast, {} broadcast",
            c.rx_frames, c.rx_bytes, c.rx_multicast, c.rx_broadcast
        ),
    );
    line(4, format!("{} forwarded, {} consumed, {} dropped", c.forwarded, c.consumed, c.dropped));
    line(2, "Tx".to_owned());
    line(
        4,
        format!(
            "{} frames, {} bytes, {} multicast, {} broadcast, {} dropped",
            c.tx_frames, c.tx_bytes, c.tx_multicast, c.tx_broadcast, c.tx_dropped
        ),
    );
    if !of.settings.is_empty() {
        text.push_str(&indented(&settings(&of.settings)));
    }
    text
}

/// What an uplink is part of, what is at the other end of its cable, and who sends by it.
fn teamed(of: &rpc::Interface) -> Vec<String> {
    let mut lines = Vec::new();
    if of.channel != 0 {
        let reason = match of.channel_reason.as_str() {
            "" => String::new(),
            reason => format!(" ({reason})"),
        };
        let rpc::Interface { channel, channel_mode: mode, channel_flag: flag, .. } = of;
        lines.push(format!("Belongs to port-channel{channel}, mode {mode}, flag {flag}{reason}"));
    }
    if let Some(lacp) = &of.lacp {
        let partner = lacp.partner.as_ref().filter(|_| lacp.last_received_unix_ns != 0);
        let partner = match partner {
            None => "the partner never spoke".to_owned(),
            Some(partner) => format!("partner {} port {:#x}", lacp_system(partner), partner.port),
        };
        let rpc::LacpPort { receive, mux, pdus_sent, pdus_received, .. } = lacp;
        lines.push(format!(
            "LACP receive {receive}, mux {mux}, {partner}, {pdus_sent} LACPDUs sent, \
             {pdus_received} received"
        ));
    }
    for neighbor in &of.neighbors {
        let name = match neighbor.system_name.as_str() {
            "" => &neighbor.chassis_id,
            name => name,
        };
        lines.push(format!("{} neighbor is {name}, port {}", neighbor.protocol, neighbor.port_id));
    }
    if !of.pinned.is_empty() {
        let first = of.pinned.iter().take(PINNED_MAX).map(String::as_str);
        let more = match of.pinned.len().saturating_sub(PINNED_MAX) {
            0 => String::new(),
            n => format!(" and {n} more, see `show pinning`"),
        };
        lines.push(format!("Pinned here: {}{more}", first.collect::<Vec<_>>().join(", ")));
    }
    lines
}

/// Effective settings with their origins, as a table.
pub(super) fn settings(settings: &[rpc::Setting]) -> String {
    let mut table =
        Table::new(&[("Setting", Align::Left), ("Value", Align::Left), ("Origin", Align::Left)]);
    for setting in settings {
        table.row([setting.name.clone(), setting.value.clone(), setting.origin.clone()]);
    }
    table.render()
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn golden() {
        insta::assert_snapshot!(render(&sample::interfaces()));
    }

    #[test]
    fn many_pins_are_counted() {
        let pinned: Vec<String> = (1..=PINNED_MAX + 3).map(|n| format!("Vethernet{n}")).collect();
        let lines = teamed(&rpc::Interface { pinned, ..rpc::Interface::default() });
        assert!(lines[0].starts_with("Pinned here: Vethernet1, "), "{lines:?}");
        assert!(lines[0].ends_with("Vethernet12 and 3 more, see `show pinning`"), "{lines:?}");
    }
}
