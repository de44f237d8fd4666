//! `show events`.

use proto::rpc::operator as rpc;

use super::module_number;
use crate::shell::table::{Align, Table};
use crate::shell::time::utc;

/// What happened, the newest last.
#[must_use]
pub fn render(reply: &rpc::EventsReply) -> String {
    let columns =
        ["Time", "Mod", "Severity", "Event", "Port", "Message"].map(|title| (title, Align::Left));
    let mut table = Table::new(&columns);
    for event in &reply.events {
        table.row([
            utc(event.unix_time_ns),
            module_number(event.module),
            event.severity.clone(),
            event.kind.clone(),
            event.port.clone(),
            event.message.clone(),
        ]);
    }
    table.render()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn golden() {
        let event = |module, severity: &str, port: &str, kind: &str, message: &str| rpc::Event {
            unix_time_ns: 1_700_000_000_000_000_000,
            module,
            severity: severity.to_owned(),
            port: port.to_owned(),
            kind: kind.to_owned(),
            message: message.to_owned(),
        };
        let events = vec![
            event(3, "notice", "", "module-online", "host h1 is online"),
            event(3, "warning", "Ethernet3/1", "link-down", "link is down"),
            event(0, "notice", "", "config-applied", "configuration applied"),
        ];
        insta::assert_snapshot!(render(&rpc::EventsReply { events }));
    }
}
