//! What uplinks hear by LLDP and CDP, and what they say by LLDP.

use proto::EtherType;
use serde_json::Value;
use tests::daemons::rows;
use tests::frames::{Header, control};
use tests::wait::{SOON, wait_for_ok};
use tests::wire::Recording;

use crate::rig::{HOST, REMOTE, Rig};

const CONFIG: &str = "
vlan 10
port-profile type vethernet A
  switchport access vlan 10
  pinning id 1 backup 2
  state enabled
port-profile type vethernet B
  switchport access vlan 10
  pinning id 2 backup 1
  state enabled
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk allowed vlan 10
  channel-group auto mode on mac-pinning
  state enabled
interface Ethernet3/1-2
  inherit port-profile UPLINK
";

/// Long enough for a whole test.
const LONG_S: u8 = 255;

/// Waits until `show PROTOCOL neighbors` has these and no others: uplink, device, its port.
fn wait_neighbors(rig: &Rig, protocol: &str, expected: &[(&str, &str, &str)]) {
    wait_for_ok(format!("{protocol} neighbors {expected:?}"), SOON, || {
        let words = format!("{protocol} neighbors");
        let reply = rig.weft.show(&words).map_err(|error| error.to_string())?;
        let text = |row: &Value, field: &str| row[field].as_str().unwrap_or_default().to_owned();
        let now: Vec<_> = rows(&reply["neighbors"])
            .map(|row| (text(row, "port"), text(row, "system_name"), text(row, "port_id")))
            .collect();
        let same = now.iter().map(|(a, b, c)| (a.as_str(), b.as_str(), c.as_str()));
        if same.eq(expected.iter().copied()) { Ok(()) } else { Err(reply.to_string()) }
    })
    .expect("show neighbors");
}

/// Waits until `show topology` has this uplink, switch, port and protocol of a VM.
fn wait_topology(rig: &Rig, vm: &str, expected: [&str; 4]) {
    wait_for_ok(format!("{vm} behind {expected:?}"), SOON, || {
        let reply = rig.weft.show("topology").map_err(|error| error.to_string())?;
        let row = rows(&reply["rows"]).find(|row| row["vm"] == vm);
        let row = row.ok_or_else(|| reply.to_string())?;
        let links = row["links"].as_array().cloned().unwrap_or_default();
        let [link] = &links[..] else { return Err(row.to_string()) };
        let fields = [&link["port"], &link["switch"], &link["switch_port"], &link["protocol"]];
        let is_it = fields.into_iter().eq(expected.iter()) && row["host"] == HOST;
        if is_it { Ok(()) } else { Err(row.to_string()) }
    })
    .expect("show topology");
}

/// Speaks as the switch at an end.
fn say(rig: &Rig, nic: u8, frame: &[u8]) {
    rig.end(nic).injector.send(frame).expect("the switch speaks");
}

#[test]
fn the_switch_and_port_behind_each_vm_are_known_until_they_are_silent_or_gone() {
    let rig = Rig::start(CONFIG, &["a", "b"]);
    wait_neighbors(&rig, "lldp", &[]);
    wait_topology(&rig, "a", ["Ethernet3/1", "", "", ""]);

    let long = u16::from(LONG_S);
    say(&rig, 1, &control::lldp_of(REMOTE, "tor-1", "Ethernet1/7", long));
    say(&rig, 2, &control::cdp_of(REMOTE, "tor-2", "GigabitEthernet0/2", LONG_S));
    wait_neighbors(&rig, "lldp", &[("Ethernet3/1", "tor-1", "Ethernet1/7")]);
    wait_neighbors(&rig, "cdp", &[("Ethernet3/2", "tor-2", "GigabitEthernet0/2")]);
    wait_topology(&rig, "a", ["Ethernet3/1", "tor-1", "Ethernet1/7", "LLDP"]);
    wait_topology(&rig, "b", ["Ethernet3/2", "tor-2", "GigabitEthernet0/2", "CDP"]);
    rig.wait_event("neighbor-up", "Ethernet3/1", "tor-1 port Ethernet1/7");
    let page = rig.weft.weft(&["show", "topology"]).expect("show topology");
    let line = page.lines().find(|line| line.starts_with("a "));
    let names_all = |line: &str| line.contains("tor-1") && line.contains("Ethernet1/7");
    assert!(line.is_some_and(names_all), "{page}");

    // LLDP goes before CDP where a switch speaks both, as long as it does.
    say(&rig, 2, &control::lldp_of(REMOTE, "tor-2.example", "Gi0/2", 1));
    rig.wait_event("neighbor-up", "Ethernet3/2", "tor-2.example port Gi0/2");
    rig.wait_event("neighbor-down", "Ethernet3/2", "tor-2.example port Gi0/2");
    wait_neighbors(&rig, "lldp", &[("Ethernet3/1", "tor-1", "Ethernet1/7")]);
    wait_topology(&rig, "b", ["Ethernet3/2", "tor-2", "GigabitEthernet0/2", "CDP"]);

    // A time to live of 0 takes it back at once; CDP runs out by itself.
    say(&rig, 1, &control::lldp_of(REMOTE, "tor-1", "Ethernet1/7", 0));
    wait_neighbors(&rig, "lldp", &[]);
    say(&rig, 2, &control::cdp_of(REMOTE, "tor-2", "GigabitEthernet0/2", 1));
    wait_neighbors(&rig, "cdp", &[]);
    wait_topology(&rig, "b", ["Ethernet3/2", "", "", ""]);
    rig.finish();
}

#[test]
fn what_was_heard_is_forgotten_with_the_link_and_the_topology_follows_the_pins() {
    let rig = Rig::start(CONFIG, &["a", "b"]);
    let long = u16::from(LONG_S);
    say(&rig, 1, &control::lldp_of(REMOTE, "tor-1", "Ethernet1/7", long));
    say(&rig, 1, &control::cdp_of(REMOTE, "tor-1", "Ethernet1/7", LONG_S));
    say(&rig, 2, &control::lldp_of(REMOTE, "tor-2", "Ethernet1/8", long));
    wait_topology(&rig, "a", ["Ethernet3/1", "tor-1", "Ethernet1/7", "LLDP"]);
    wait_topology(&rig, "b", ["Ethernet3/2", "tor-2", "Ethernet1/8", "LLDP"]);
    wait_neighbors(&rig, "cdp", &[("Ethernet3/1", "tor-1", "Ethernet1/7")]);
    rig.cut(1);
    wait_neighbors(&rig, "cdp", &[]);
    wait_neighbors(&rig, "lldp", &[("Ethernet3/2", "tor-2", "Ethernet1/8")]);
    rig.wait_event("neighbor-down", "Ethernet3/1", "tor-1 port Ethernet1/7");
    wait_topology(&rig, "a", ["Ethernet3/2", "tor-2", "Ethernet1/8", "LLDP"]);
    rig.finish();
}

#[test]
fn an_uplink_that_transmits_lldp_says_which_host_and_port_it_is() {
    let rig = Rig::start(CONFIG, &[]);
    let (far, dir) = (rig.weft.lab().ns("far").expect("the far ends"), rig.weft.lab().dir());
    let recording = Recording::start(far, "p1", dir).expect("tcpdump");
    rig.weft
        .apply_text("interface Ethernet3/1\n  lldp transmit\n")
        .expect("the configuration is applied");
    let is_lldp = |frame: &[u8]| {
        Header::read(frame).is_some_and(|header| {
            header.dst == control::LLDP_NEAREST
                && header.ethertype == EtherType::LLDP
                && header.tags.is_empty()
        })
    };
    rig.end(1).sniffer.wait_count(2, SOON, is_lldp).expect("the uplink speaks");
    assert_eq!(rig.end(2).sniffer.count(is_lldp), 0, "the other is not told to");
    // Taken back when it is to speak no more.
    rig.weft
        .apply_text("interface Ethernet3/1\n  no lldp transmit\n")
        .expect("the configuration is applied");
    let ends = |frame: &[u8]| is_lldp(frame) && ttl_of(frame) == Some(0);
    let last = rig.end(1).sniffer.wait_count(1, SOON, ends).expect("the last LLDPDU");
    let recorded = recording.finish_after(&last[0].bytes).expect("a recording");

    let faults = "_ws.malformed || _ws.expert.severity >= 0x00400000";
    assert_eq!(recorded.count(&format!("lldp && ({faults})")).expect("tshark"), 0);
    let fields = ["lldp.tlv.system.name", "lldp.port.desc", "lldp.port.id", "lldp.time_to_live"];
    let said = recorded.fields("lldp && lldp.time_to_live > 0", &fields).expect("tshark");
    assert!(said.len() >= 2, "{said:?}");
    for row in said {
        assert_eq!(row, ["h1", "Ethernet3/1", "eth1", "121"]);
    }
    rig.finish();
}

/// Time to live of an LLDPDU, in seconds: the TLV of type 3.
fn ttl_of(frame: &[u8]) -> Option<u16> {
    let mut rest = frame.get(14..)?;
    while let [kind, len, behind @ ..] = rest {
        let (value, next) = behind.split_at_checked(usize::from(*len))?;
        if kind >> 1 == 3 {
            return Some(u16::from_be_bytes(value.try_into().ok()?));
        }
        rest = next;
    }
    None
}
