//! `show pinning`.

use proto::rpc::operator as rpc;

use super::{host, number, short};
use crate::shell::table::{Align, Table};
use crate::shell::time::{milliseconds, utc};

/// Which uplink each vEthernet sends by, and how many frames told of moves.
#[must_use]
pub fn render(reply: &rpc::PinningReply) -> String {
    if reply.pins.is_empty() {
        return "No pins: no vNIC is plugged in, or its host has not reported yet.\n".to_owned();
    }
    let mut table = Table::new(&[
        ("Port", Align::Left),
        ("Mod", Align::Left),
        ("Owner", Align::Left),
        ("Adapter", Align::Left),
        ("Uplink", Align::Left),
        ("Home", Align::Left),
        ("Reason", Align::Left),
        ("Moves", Align::Right),
        ("Last-Moved", Align::Left),
        ("Took", Align::Right),
    ]);
    for pin in &reply.pins {
        let took = match pin.moves {
            0 => String::new(),
            _ => milliseconds(pin.move_duration_ns),
        };
        table.row([
            pin.port.clone(),
            host(pin.module, &pin.module_status),
            pin.owner.clone(),
            pin.adapter.clone(),
            short(&pin.uplink),
            short(&pin.preferred),
            pin.reason.clone(),
            number(pin.moves),
            utc(pin.moved_unix_ns),
            took,
        ]);
    }
    let sent = |of: &rpc::Announcements| {
        format!("module {}: {}", host(of.module, &of.module_status), of.sent)
    };
    let sent: Vec<String> = reply.announcements.iter().map(sent).collect();
    format!("{}\nAnnouncements of addresses sent: {}\n", table.render(), sent.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pin(module: u32, port: &str, uplink: &str, reason: &str) -> rpc::Pin {
        rpc::Pin {
            module,
            module_status: if module == 3 { "ok" } else { "offline" }.to_owned(),
            port: port.to_owned(),
            owner: "vm1".to_owned(),
            adapter: "eth0".to_owned(),
            uplink: uplink.to_owned(),
            reason: reason.to_owned(),
            ..rpc::Pin::default()
        }
    }

    #[test]
    fn golden() {
        let moved = rpc::Pin {
            preferred: "Ethernet3/1".to_owned(),
            moves: 2,
            moved_unix_ns: 1_700_000_000_000_000_000,
            move_duration_ns: 1_234_567,
            ..pin(3, "Vethernet1", "Ethernet3/2", "backup")
        };
        let pins = vec![
            moved,
            pin(3, "Vethernet2", "", "automatic"),
            pin(4, "Vethernet12", "port-channel1", "port-channel"),
        ];
        let announcements = |module, sent| rpc::Announcements {
            module,
            module_status: if module == 3 { "ok" } else { "offline" }.to_owned(),
            sent,
        };
        let announcements = vec![announcements(3, 12), announcements(4, 0)];
        insta::assert_snapshot!(render(&rpc::PinningReply { pins, announcements }));
    }

    #[test]
    fn none() {
        assert!(render(&rpc::PinningReply::default()).starts_with("No pins"));
    }
}
