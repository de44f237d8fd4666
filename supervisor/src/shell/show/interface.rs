//! `show interface`.

use std::fmt::Write as _;

use proto::rpc::operator as rpc;

use crate::shell::table::{Align, Table};

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
}
