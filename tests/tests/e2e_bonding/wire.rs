//! What engineers see: the tables of the shell, and our frames as tshark reads them.

use proto::MacAddr;
use serde_json::Value;
use tests::frames::Frame;
use tests::inject::Injector;
use tests::link;
use tests::wire::{Recorded, Recording};

use crate::rig::{CABLES, Rig, fast_bond};

/// Marks the end of the recording.
const LAST: u64 = 0x4c41_5354;

/// What a frame of ours must not have.
const COMPLAINTS: &str = "_ws.malformed || _ws.expert";

#[test]
fn our_control_frames_are_well_formed_and_tables_say_what_was_agreed() {
    let mut rig = Rig::start();
    let recording = Recording::start(rig.ns("far"), CABLES[0].1, rig.dir()).expect("recording");
    rig.configure(&["channel-group auto mode active", "lacp rate fast", "lldp transmit"]);
    rig.uplink(0, &["lacp port-priority 4711"]);
    rig.wait_flags("ss");
    rig.bond(&fast_bond());
    let (channel, bond) = rig.wait_carried("PP", &[0, 1]);
    let partner = bond.members[0].lacp.expect("LACP").actor;
    assert_tables(&rig, &channel, partner.system_mac, partner.key);
    // A goodbye, too.
    rig.uplink(0, &["shutdown"]);
    rig.wait_carried("DP", &[1]);

    let last = Frame::new(rig.guest.mac(0), MacAddr::BROADCAST).marker(LAST);
    let injector = Injector::open(rig.ns("far"), CABLES[0].1).expect("an injector");
    injector.send(&last).expect("sent");
    let recorded = recording.finish_after(&last).expect("recorded");
    let ours = link::mac(rig.ns("h1"), CABLES[0].0).expect("an address");
    assert_lacp(&recorded, ours, &channel, partner.system_mac);
    assert_lldp(&recorded, ours);
    rig.assert_healthy();
}

/// `show port-channel summary` and `show lacp ...` as people read them.
fn assert_tables(rig: &Rig, channel: &Value, partner: MacAddr, key: u16) {
    let show = |words: &str| {
        let args: Vec<&str> = ["show"].into_iter().chain(words.split(' ')).collect();
        rig.site.weft(&args).expect("a table")
    };
    let line = |table: &str, with: &str| {
        let found = table.lines().find(|line| line.contains(with)).map(str::to_owned);
        found.unwrap_or_else(|| panic!("no {with} in:\n{table}"))
    };
    let summary = show("port-channel summary");
    let row = line(&summary, "Po1(SU)");
    for word in ["LACP", "active", "Eth3/1(P)", "Eth3/2(P)"] {
        assert!(row.contains(word), "no {word} in:\n{summary}");
    }
    let neighbors = show("lacp neighbor");
    let dashed = partner.to_string().replace(':', "-");
    for (port, number) in [("Eth3/1", "0x1"), ("Eth3/2", "0x2")] {
        let row = line(&neighbors, port);
        for word in ["Po1", " P ", &dashed, number, &format!("{key:#x}")] {
            assert!(row.contains(word), "no {word} in:\n{neighbors}");
        }
    }
    let internal = show("lacp internal");
    let row = line(&internal, "Po1");
    let system = channel["system"].as_str().expect("our system");
    for word in ["Eth3/1", "active", system, "4711", "0x1", "0x3f"] {
        assert!(row.contains(word), "no {word} in:\n{internal}");
    }
    let machines = line(&internal, "COLLECTING_DISTRIBUTING");
    for word in ["CURRENT", "FAST_PERIODIC", "SELECTED", "NO_ACTOR_CHURN", "NO_PARTNER_CHURN"] {
        assert!(machines.contains(word), "no {word} in:\n{internal}");
    }
    let counters = show("lacp counters");
    for port in ["Eth3/1", "Eth3/2"] {
        let row = line(&counters, port);
        let numbers: Vec<u64> = row.split_whitespace().filter_map(|w| w.parse().ok()).collect();
        // Module, then LACPDUs both ways, markers, responses, errors, unknown ones.
        let [_, sent, received, others @ ..] = &numbers[..] else { panic!("{counters}") };
        assert!(*sent > 2 && *received > 2 && others == [0, 0, 0, 0], "{counters}");
    }
}

fn assert_lacp(recorded: &Recorded, ours: MacAddr, channel: &Value, partner: MacAddr) {
    let filter = &format!("slow && eth.src == {ours}");
    recorded
        .check_every(
            filter,
            5,
            &format!(
                "!({COMPLAINTS}) && lacp.version == 1 && eth.dst == 01:80:c2:00:00:02 && \
                 frame.len == 124 && lacp.actor.port_priority in {{4711, 32768}} && \
                 lacp.actor.port == 1 && lacp.actor.key == 1 && lacp.actor.state.activity == 1 && \
                 lacp.actor.state.timeout == 1 && lacp.actor.state.aggregation == 1"
            ),
        )
        .expect("LACPDUs as they must be");
    let fields = ["lacp.actor.sys_priority", "lacp.actor.sysid", "lacp.partner.sysid"];
    let agreed = format!("{filter} && lacp.actor.state.distributing == 1");
    let rows = recorded.fields(&agreed, &fields).expect("fields");
    let [priority, system, of_partner] = &rows.first().expect("agreed LACPDUs")[..] else {
        panic!("{rows:?}")
    };
    let priority: u16 = priority.parse().expect("a priority");
    assert_eq!(channel["system"], format!("{priority:04x},{}", system.replace(':', "-")).as_str());
    assert_eq!(of_partner, &partner.to_string());
    // The first frame knows no partner; the last one says that we are gone.
    let states = recorded
        .fields(filter, &["lacp.actor.state.synchronization", "lacp.actor.state.defaulted"])
        .expect("fields");
    let (first, last) = (states.first().expect("one"), states.last().expect("one"));
    assert_eq!(first[1], "1", "{states:?}");
    assert_eq!(last[0], "0", "{states:?}");
}

fn assert_lldp(recorded: &Recorded, ours: MacAddr) {
    let filter = format!("lldp && eth.src == {ours}");
    let every = format!("!({COMPLAINTS}) && eth.dst == 01:80:c2:00:00:0e");
    recorded.check_every(&filter, 2, &every).expect("LLDPDUs as they must be");
    let fields = ["lldp.tlv.system.name", "lldp.port.id", "lldp.port.desc", "lldp.time_to_live"];
    let rows = recorded.fields(&filter, &fields).expect("fields");
    let first = rows.first().expect("an LLDPDU");
    assert_eq!(first[0], "h1");
    assert_eq!(first[1], "eth1");
    assert_eq!(first[2], "Ethernet3/1");
    // The shutdown frame.
    assert_eq!(rows.last().expect("an LLDPDU")[3], "0");
}
