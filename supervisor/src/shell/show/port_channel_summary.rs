//! `show port-channel summary`.

use proto::rpc::operator as rpc;

use super::{host, number, short};
use crate::shell::table::{Align, Table};

/// Where the list of members is broken.
const MEMBERS_WIDTH_MAX: usize = 48;

const FLAGS: &str = "\
    Flags:  D - Down                    P - Up in port-channel (members)\n        \
    I - Individual              H - Hot-standby\n        \
    s - Suspended               R - Module removed (its host is offline)\n        \
    S - Switched                U - In use (port-channel)\n";

/// The port-channels with their members, and why some are not in use.
#[must_use]
pub fn render(reply: &rpc::PortChannelsReply) -> String {
    if reply.channels.is_empty() {
        return "No port-channels: no uplink has `channel-group auto mode`.\n".to_owned();
    }
    let mut table = Table::new(&[
        ("Group", Align::Left),
        ("Port-Channel", Align::Left),
        ("Mod", Align::Left),
        ("Type", Align::Left),
        ("Protocol", Align::Left),
        ("Mode", Align::Left),
        ("Member Ports", Align::Left),
    ])
    .wrap_last(MEMBERS_WIDTH_MAX);
    for channel in &reply.channels {
        let member =
            |member: &rpc::ChannelMember| format!("{}({})", short(&member.port), member.flag);
        table.row([
            number(channel.number),
            format!("{}({})", short(&channel.name), channel.flags),
            host(channel.module, &channel.module_status),
            channel.kind.clone(),
            channel.protocol.clone(),
            channel.mode.clone(),
            channel.members.iter().map(member).collect::<Vec<_>>().join(", "),
        ]);
    }
    format!("{FLAGS}\n{}{}", table.render(), reasons(&reply.channels))
}

/// Why channels and members are not in use, each on a line.
fn reasons(channels: &[rpc::PortChannel]) -> String {
    let mut lines = String::new();
    for channel in channels {
        if !channel.reason.is_empty() {
            let (name, module) = (&channel.name, channel.module);
            lines.push_str(&format!("  {name} of module {module}: {}\n", channel.reason));
        }
        // Members of a host that is offline would say the same once more.
        let is_online = channel.module_status != "offline";
        for member in channel.members.iter().filter(|m| is_online && !m.reason.is_empty()) {
            lines.push_str(&format!("  {}: {}\n", member.port, member.reason));
        }
    }
    if lines.is_empty() { lines } else { format!("\nNot in use:\n{lines}") }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    #[test]
    fn golden() {
        insta::assert_snapshot!(render(&sample::port_channels()));
    }

    #[test]
    fn none() {
        assert!(render(&rpc::PortChannelsReply::default()).starts_with("No port-channels"));
    }
}
