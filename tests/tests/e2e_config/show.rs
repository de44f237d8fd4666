//! Every `weft show`: in JSON with the fields that scripts rely on, as text with what they say.

use serde_json::Value;
use tests::daemons::rows;
use tests::site::{Site, ip};
use tests::traffic::ping_once;
use tests::wait::{SOON, wait_for_ok};

/// A command, the fields of the reply itself, and those of its rows.
type Fields = (&'static str, &'static [&'static str], &'static [&'static str]);

/// What scripts rely on: `proto/src/rpc/operator.proto`. A field that is renamed or goes away
/// breaks them.
const FIELDS: [Fields; 12] = [
    (
        "module",
        &["revision", "term"],
        &[
            "module",
            "name",
            "host_uuid",
            "kind",
            "version",
            "status",
            "ports",
            "target_revision",
            "running_revision",
            "problems",
            "address",
            "last_seen_ns",
        ],
    ),
    ("interface", &[], &INTERFACE),
    ("interface brief", &[], &INTERFACE),
    ("interface Vethernet1 counters", &[], &INTERFACE),
    (
        "port-profile",
        &[],
        &[
            "name",
            "kind",
            "enabled",
            "description",
            "inherits",
            "config",
            "evaluated",
            "interfaces",
            "children",
        ],
    ),
    ("vlan", &[], &["id", "name", "status", "ports"]),
    ("mac address-table", &["duplicates"], &["vlan", "mac", "kind", "port", "module"]),
    ("access-lists", &[], &["name", "kind", "entries", "bound"]),
    ("drops", &[], &["reason", "help", "interface", "module", "frames", "direction"]),
    (
        "drops --by-interface",
        &[],
        &["reason", "help", "interface", "module", "frames", "direction"],
    ),
    ("events", &[], &["unix_time_ns", "module", "severity", "port", "kind", "message"]),
    ("revisions", &[], &["revision", "unix_time_ns", "comment", "kind"]),
];

const INTERFACE: [&str; 18] = [
    "name",
    "module",
    "status",
    "reason",
    "admin",
    "mode",
    "vlan",
    "allowed_vlans",
    "mtu_bytes",
    "profile",
    "owner",
    "adapter",
    "mac",
    "kind",
    "pinned_to",
    "description",
    "counters",
    "settings",
];

const COUNTERS: [&str; 12] = [
    "rx_frames",
    "rx_bytes",
    "rx_multicast",
    "rx_broadcast",
    "tx_frames",
    "tx_bytes",
    "tx_multicast",
    "tx_broadcast",
    "forwarded",
    "consumed",
    "dropped",
    "tx_dropped",
];

/// Words that the text of each command must have.
const WORDS: [(&str, &[&str]); 9] = [
    ("module", &["h1", "Dataplane", "192.168.90.2", "Revision "]),
    ("interface", &["Vethernet1 is up", "Owner is VM \"a\"", "sends by Ethernet3/"]),
    ("interface brief", &["Vethernet5", "Ethernet4/2", "GUARDED"]),
    ("interface counters", &["Vethernet5", "RxFrames", "TxDropped"]),
    ("port-profile GUARDED", &["inherit: LAN-10", "NO-PING-TO-C in", "port-profile LAN-10"]),
    ("mac address-table", &["Vethernet3", "Total MAC addresses: 5"]),
    ("access-lists", &["10 deny icmp any 10.1.10.3/32 [match=", "port-profile GUARDED in"]),
    ("drops", &["acl-ingress", "The port's inbound access list denied the frame."]),
    ("logging", &["%MODULE-5-MODULE_ONLINE: ", "%SWITCH-5-CONFIG_APPLIED: "]),
];

#[test]
fn every_show_has_its_fields_in_json_and_its_words_in_text() {
    let mut site = Site::start();
    assert!(!ping_once(site.ns("b"), ip("c")).expect("ping"), "something has to be dropped");
    wait_for_ok("the drop to be reported", SOON, || {
        let drops = site.show("drops").map_err(|error| error.to_string())?;
        let is_there = rows(&drops).any(|row| row["reason"] == "acl-ingress");
        if is_there { Ok(()) } else { Err(drops.to_string()) }
    })
    .expect("show drops");
    for (command, of_reply, of_rows) in FIELDS {
        let reply = site.show(command).expect("JSON");
        of_reply.iter().for_each(|field| assert_has(&reply, field, command));
        assert!(rows(&reply).count() > 0, "show {command} is empty: {reply:#}");
        for row in rows(&reply) {
            of_rows.iter().for_each(|field| assert_has(row, field, command));
            if of_rows == INTERFACE {
                COUNTERS.iter().for_each(|field| assert_has(&row["counters"], field, command));
            }
        }
    }
    let running = site.show("running-config").expect("JSON");
    ["text", "revision"].iter().for_each(|field| assert_has(&running, field, "running-config"));
    for (command, words) in WORDS {
        let args: Vec<&str> = ["show"].into_iter().chain(command.split(' ')).collect();
        let text = site.weft(&args).expect("text");
        for word in words {
            assert!(text.contains(word), "show {command} has no `{word}`:\n{text}");
        }
    }
    site.assert_healthy();
}

fn assert_has(value: &Value, field: &str, command: &str) {
    assert!(value.get(field).is_some(), "show {command} has no `{field}`: {value:#}");
}

/// Counters add up over the whole way: what the hosts say of themselves is what is shown.
#[test]
fn counters_shown_are_those_of_the_hosts() {
    let site = Site::start();
    site.assert_reaches("a", "c");
    wait_for_ok("show interface to be as the hosts are", SOON, || {
        let table = site.show("interface counters").map_err(|error| error.to_string())?;
        for (vm, host) in [("a", "h1"), ("c", "h2")] {
            let port = site.port(host, vm);
            let row = rows(&table).find(|row| row["owner"] == vm).ok_or("no row")?;
            for field in ["rx_frames", "tx_frames", "forwarded", "consumed"] {
                if row["counters"][field] != port[field] || port["rx_frames"] == 0 {
                    return Err(format!("{vm} {field}: {row} / {port}"));
                }
            }
        }
        Ok(())
    })
    .expect("they agree");
}

#[test]
fn what_does_not_exist_is_refused_by_name() {
    let site = Site::start_empty();
    for (command, message) in [
        ("interface Vethernet99", "interface Vethernet99 does not exist"),
        ("port-profile NONE", "port-profile NONE does not exist"),
        ("access-lists NONE", "access list NONE does not exist"),
        ("running-config --revision 99", "99"),
        ("interface nonsense", "`nonsense` is not an interface"),
    ] {
        let args: Vec<&str> = ["show"].into_iter().chain(command.split(' ')).collect();
        let (code, printed, errors) = crate::ended(&site.try_weft(&args).expect("weft runs"));
        assert_eq!((code, printed.as_str()), (Some(1), ""), "show {command}: {errors}");
        assert!(errors.contains(message), "show {command}: {errors}");
    }
}
