//! `show logging`: events in the manner of NX-OS, `time switch %FACILITY-SEVERITY-EVENT: message`.

use proto::rpc::operator as rpc;

use crate::shell::time::logged;

/// What happened, the newest last.
#[must_use]
pub fn render(reply: &rpc::EventsReply) -> String {
    if reply.events.is_empty() {
        return "No events since the supervisor started.\n".to_owned();
    }
    reply.events.iter().map(line).collect()
}

/// What a watcher is told: an event, and before it how many are missing.
#[must_use]
pub fn watched(reply: &rpc::WatchEventsReply) -> String {
    let missed = match reply.missed {
        0 => String::new(),
        n => format!("... {n} events came faster than they were taken and are not shown\n"),
    };
    missed + &reply.event.as_ref().map(line).unwrap_or_default()
}

fn line(event: &rpc::Event) -> String {
    let rpc::Event { unix_time_ns, module, port, message, .. } = event;
    let time = logged(*unix_time_ns);
    let source = match module {
        0 => "supervisor".to_owned(),
        module => format!("module-{module}"),
    };
    let (facility, severity) = (facility(event), severity(&event.severity));
    let mnemonic = event.kind.replace('-', "_").to_ascii_uppercase();
    let about = match port.as_str() {
        port if message.contains(port) => String::new(),
        port => format!("{port}: "),
    };
    format!("{time} {source} %{facility}-{severity}-{mnemonic}: {about}{message}\n")
}

/// What an event is about.
fn facility(event: &rpc::Event) -> &'static str {
    let facilities =
        [("Ethernet", "ETHPORT"), ("port-channel", "ETH_PORT_CHANNEL"), ("Vethernet", "VETHPORT")];
    let of_port = facilities.iter().find(|(kind, _)| event.port.starts_with(kind));
    match of_port {
        Some((_, facility)) => facility,
        None if event.module == 0 => "SWITCH",
        None => "MODULE",
    }
}

/// The number of a severity (RFC 5424 section 6.2.1).
fn severity(word: &str) -> u8 {
    match word {
        "error" => 3,
        "warning" => 4,
        _ => 5,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(module: u32, severity: &str, port: &str, kind: &str, message: &str) -> rpc::Event {
        rpc::Event {
            unix_time_ns: 1_700_000_000_012_000_000,
            module,
            severity: severity.to_owned(),
            port: port.to_owned(),
            kind: kind.to_owned(),
            message: message.to_owned(),
        }
    }

    #[test]
    fn golden() {
        let events = vec![
            event(3, "notice", "", "module-online", "host h1 is online"),
            event(3, "warning", "Ethernet3/1", "link-down", "link is down"),
            event(3, "notice", "Vethernet1", "repinned", "Vethernet1 now sends by Ethernet3/2"),
            event(3, "error", "port-channel1", "channel-down", "0 of 2 members are up"),
            event(0, "notice", "", "config-applied", "configuration applied"),
        ];
        insta::assert_snapshot!(render(&rpc::EventsReply { events }));
    }

    #[test]
    fn what_is_missed_is_said() {
        let last = event(0, "notice", "", "config-applied", "x");
        let text = watched(&rpc::WatchEventsReply { event: Some(last.clone()), missed: 7 });
        assert_eq!(
            text,
            format!(
                "... 7 events came faster than they were taken and are not shown\n{}",
                line(&last)
            )
        );
        let text = watched(&rpc::WatchEventsReply { event: None, missed: 1 });
        assert_eq!(text.lines().count(), 1);
        assert_eq!(
            watched(&rpc::WatchEventsReply { event: Some(last.clone()), missed: 0 }),
            line(&last)
        );
    }

    #[test]
    fn nothing_is_said_to_be_nothing() {
        assert!(render(&rpc::EventsReply::default()).starts_with("No events"));
    }
}
