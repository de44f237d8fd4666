//! `channel-group auto mode on mac-pinning`: where vEthernets are placed, where they go when a link
//! is lost, and when they come back.

use std::time::{Duration, Instant};

use crate::rig::{ALL, Rig};

/// `link-up delay` of [`CONFIG`].
const DELAY: Duration = Duration::from_secs(2);

const VETHERNETS: &str = "
vlan 10
port-profile type vethernet LAN
  switchport access vlan 10
  state enabled
port-profile type vethernet A
  inherit port-profile LAN
  pinning id 1 backup 2
  state enabled
port-profile type vethernet B
  inherit port-profile LAN
  pinning id 2 backup 1
  state enabled
port-profile type vethernet C
  inherit port-profile LAN
  state enabled
port-profile type vethernet D
  inherit port-profile LAN
  state enabled
";

const UPLINKS: &str = "
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk allowed vlan 10
  channel-group auto mode on mac-pinning
  link-up delay 2
  state enabled
interface Ethernet3/1-2
  inherit port-profile UPLINK
";

const NIC_1: &str = "Ethernet3/1";
const NIC_2: &str = "Ethernet3/2";

fn config() -> String {
    format!("{VETHERNETS}{UPLINKS}")
}

/// Checks uplink, home and reason of a VM, how often it has moved, and where its frames leave.
fn assert_pin(rig: &Rig, vm: &str, uplink: &str, home: &str, reason: &str, moves: u64) {
    let row = rig.wait_pin(vm, uplink, reason);
    assert_eq!((&row["preferred"], &row["moves"]), (&home.into(), &moves.into()), "{vm}: {row}");
    let has_moved = moves > 0;
    assert_eq!(row["moved_unix_ns"].as_u64() > Some(0), has_moved, "{vm}: {row}");
    assert_eq!(row["move_duration_ns"].as_u64() > Some(0), has_moved, "{vm}: {row}");
    let nic = uplink.rsplit('/').next().and_then(|nic| nic.parse::<u8>().ok());
    assert_eq!(Some(rig.leaves_by(vm)), nic, "{vm} sends by {uplink}");
}

#[test]
fn pins_move_to_the_backup_and_come_home_after_the_delay_without_a_frame_lost_or_doubled() {
    let mut rig = Rig::start(&config(), &["a", "b", "c", "d"]);
    assert_pin(&rig, "a", NIC_1, NIC_1, "static", 0);
    assert_pin(&rig, "b", NIC_2, NIC_2, "static", 0);
    assert_pin(&rig, "c", NIC_1, NIC_1, "automatic", 0);
    assert_pin(&rig, "d", NIC_2, NIC_2, "automatic", 0);

    rig.cut(1);
    assert_pin(&rig, "a", NIC_2, NIC_1, "backup", 1);
    assert_pin(&rig, "c", NIC_2, NIC_1, "automatic", 1);
    assert_pin(&rig, "b", NIC_2, NIC_2, "static", 0);
    assert_pin(&rig, "d", NIC_2, NIC_2, "automatic", 0);
    rig.wait_event("repinned", &rig.port("a"), "now sends by Ethernet3/2: failover");
    rig.wait_event("repinned", &rig.port("c"), "now sends by Ethernet3/2: failover");
    rig.wait_event("pins-moved", "", "2 vEthernets with 2 MAC addresses moved to Ethernet3/2 in ");

    let since = Instant::now();
    rig.mend(1);
    let sent = send_until_home(&rig, "a", NIC_1, "static");
    let waited = since.elapsed();
    assert!(waited >= DELAY, "home {waited:?} after the link, not after {DELAY:?}");
    assert_carried_once(&rig, &sent);
    assert_pin(&rig, "a", NIC_1, NIC_1, "static", 2);
    assert_pin(&rig, "c", NIC_1, NIC_1, "automatic", 2);
    assert_pin(&rig, "b", NIC_2, NIC_2, "static", 0);
    assert_pin(&rig, "d", NIC_2, NIC_2, "automatic", 0);
    rig.wait_event("repinned", &rig.port("a"), "now sends by Ethernet3/1: fail-back");
    rig.wait_event("pins-moved", "", "2 vEthernets with 2 MAC addresses moved to Ethernet3/1 in ");

    let table = rig.weft.weft(&["show", "pinning"]).expect("show pinning");
    let line = table.lines().find(|line| line.split_whitespace().nth(2) == Some("a"));
    let words: Vec<_> = line.unwrap_or_default().split_whitespace().collect();
    assert_eq!(words.get(4..8), Some(&["Eth3/1", "Eth3/1", "static", "2"][..]), "{table}");
    rig.finish();
}

/// Sends broadcasts from a VM, and goes on until `show pinning` has it on this uplink; gives the
/// numbers of the frames.
fn send_until_home(rig: &Rig, vm: &str, uplink: &str, reason: &str) -> Vec<u64> {
    let deadline = Instant::now() + Duration::from_secs(20);
    let mut sent = Vec::new();
    loop {
        sent.extend((0..5).map(|_| rig.send(vm, ALL)));
        let row = rig.pin(vm);
        if row["uplink"] == uplink && row["reason"] == reason {
            sent.push(rig.send(vm, ALL));
            return sent;
        }
        assert!(Instant::now() < deadline, "{vm} does not come home: {row}");
    }
}

/// Checks that each of the frames came out at exactly one end: first at NIC 2, then at NIC 1.
fn assert_carried_once(rig: &Rig, sent: &[u64]) {
    let last = *sent.last().expect("frames were sent");
    assert_eq!(rig.wait_end(last), 1, "the last one leaves by the home");
    let (home, away) = (rig.end(1).tally(), rig.end(2).tally());
    let copies: Vec<(usize, usize)> = sent
        .iter()
        .map(|id| (away.get(id).copied().unwrap_or(0), home.get(id).copied().unwrap_or(0)))
        .collect();
    let first_home = copies.iter().position(|copies| *copies == (0, 1)).expect("one at home");
    assert!(first_home > 0, "none left by NIC 2 while NIC 1 was held down");
    let expected: Vec<_> =
        (0..sent.len()).map(|at| if at < first_home { (1, 0) } else { (0, 1) }).collect();
    assert_eq!(copies, expected, "copies by NIC 2 and by NIC 1");
}

/// With a delay that no test waits for, whatever happens at once happens because of no delay.
#[test]
fn nobody_waits_for_a_link_that_is_the_only_one() {
    let long = config().replace("link-up delay 2", "link-up delay 300");
    let mut rig = Rig::start(&long, &["a", "b"]);
    rig.wait_flags("PP");
    rig.cut(1);
    assert_pin(&rig, "a", NIC_2, NIC_1, "backup", 1);
    rig.wait_flags("DP");
    rig.cut(2);
    rig.wait_flags("DD");
    assert_no_uplink(&rig, "a");

    // The first that comes is used at once, the second one has to wait.
    rig.mend(2);
    assert_pin(&rig, "a", NIC_2, NIC_1, "backup", 1);
    assert_pin(&rig, "b", NIC_2, NIC_2, "static", 0);
    rig.mend(1);
    rig.wait_flags("sP");
    let reply = rig.weft.show("port-channel summary").expect("show port-channel summary");
    assert_eq!(reply["channels"][0]["members"][0]["reason"], "waits for its link-up delay");
    assert_pin(&rig, "a", NIC_2, NIC_1, "backup", 1);

    // Until it is needed.
    rig.cut(2);
    rig.wait_flags("PD");
    assert_pin(&rig, "a", NIC_1, NIC_1, "static", 2);
    assert_pin(&rig, "b", NIC_1, NIC_2, "backup", 1);

    // A shorter delay counts also for a link that waits already.
    rig.mend(2);
    rig.wait_flags("Ps");
    rig.weft.apply_text("port-profile type ethernet UPLINK\n  link-up delay 0\n").expect("applied");
    assert_pin(&rig, "b", NIC_2, NIC_2, "static", 2);
    rig.finish();
}

/// Checks that what a VM sends is dropped because there is no uplink.
fn assert_no_uplink(rig: &Rig, vm: &str) {
    let row = rig.wait_pin(vm, "", "");
    assert_eq!(row["preferred"], NIC_1, "{row}");
    let before = rig.counts();
    rig.send(vm, crate::rig::REMOTE);
    let mut expected = before.since(&before);
    let port = expected.port(vm);
    port.rx = 1;
    port.drops.insert("no-uplink".to_owned(), 1);
    rig.wait_counts(&before, &expected);
}

/// `relative`: `pinning id` counts the uplinks of the group from 0, whatever their numbers.
#[test]
fn relative_pins_count_the_members_of_the_group() {
    let config = config()
        .replace("on mac-pinning", "on mac-pinning relative")
        .replace("Ethernet3/1-2", "Ethernet3/2-3")
        .replace("pinning id 1 backup 2", "pinning id 0 backup 1")
        .replace("pinning id 2 backup 1", "pinning id 1 backup 0");
    let (first, second) = (NIC_2, "Ethernet3/3");
    let mut rig = Rig::start(&config, &["a", "b"]);
    assert_pin(&rig, "a", first, first, "static", 0);
    assert_pin(&rig, "b", second, second, "static", 0);
    rig.cut(3);
    assert_pin(&rig, "b", first, second, "backup", 1);
    assert_pin(&rig, "a", first, first, "static", 0);
    rig.mend(3);
    assert_pin(&rig, "b", second, second, "static", 2);
    rig.finish();
}
