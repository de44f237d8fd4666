//! `channel-group auto mode active-standby`: one NIC carries everything, in the order that the
//! configuration says.

use std::time::{Duration, Instant};

use tests::checks::Counts;
use tests::frames::Frame;
use tests::wait::{SOON, wait_until};

use crate::rig::{ALL, REMOTE, Rig, fresh, mac};

const DELAY: Duration = Duration::from_secs(2);

const CONFIG: &str = "
vlan 10
port-profile type vethernet A
  switchport access vlan 10
  state enabled
port-profile type vethernet B
  inherit port-profile A
  state enabled
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk allowed vlan 10
  channel-group auto mode active-standby
  failover order 2 1
  link-up delay 2
  state enabled
interface Ethernet3/1-2
  inherit port-profile UPLINK
";

const VMS: [&str; 2] = ["a", "b"];

/// Frames of each kind.
const ROUNDS: u64 = 100;

#[test]
fn one_nic_carries_everything_and_the_other_nothing() {
    let mut rig = Rig::start(CONFIG, &VMS);
    rig.wait_flags("HP");
    let idle = rig.counts().port("eth1").clone();
    assert_eq!((idle.tx, idle.rx), (0, 0), "nothing has passed NIC 1 so far");
    assert_active(&rig, 2, 1);

    rig.cut(2);
    wait_all_on(&rig, "Ethernet3/1");
    rig.wait_flags("PD");
    rig.wait_announced();
    // Unicast may come by any uplink for a while after a move; broadcasts may not. NIC 2 has no
    // link here, so only NIC 1 is looked at.
    assert_carries(&rig, 1);

    let since = Instant::now();
    rig.mend(2);
    wait_all_on(&rig, "Ethernet3/2");
    let waited = since.elapsed();
    assert!(waited >= DELAY, "back {waited:?} after the link, not after {DELAY:?}");
    rig.wait_flags("HP");
    for vm in VMS {
        rig.wait_event("repinned", &rig.port(vm), "now sends by Ethernet3/2: fail-back");
    }
    rig.wait_announced();
    wait_grace_over(&rig);
    assert_active(&rig, 2, 1);
    rig.finish();
}

/// Waits until every VM sends by this uplink.
fn wait_all_on(rig: &Rig, uplink: &str) {
    for vm in VMS {
        let row = rig.wait_pin(vm, uplink, "active");
        assert_eq!(row["preferred"], "Ethernet3/2", "{row}");
    }
}

/// Waits until unicast by the NIC that stands by is refused again.
fn wait_grace_over(rig: &Rig) {
    let before = rig.counts();
    let since = || rig.counts().since(&before).port("eth1").clone();
    let mut sent = 0;
    wait_until("the time of grace to end", SOON, || {
        inject(rig, 1, mac("a"), 1);
        sent += 1;
        since().drops.contains_key("not-pinned-uplink")
    })
    .expect("unicast by the other uplink is refused");
    // The last ones may still be under way.
    wait_until("all to be counted", SOON, || since().rx == sent).expect("all are received");
}

/// Sends frames into an end; gives their numbers.
fn inject(rig: &Rig, nic: u8, dst: proto::MacAddr, count: u64) -> Vec<u64> {
    let vlan = proto::VlanId::new(10_u16).expect("a VLAN");
    let ids: Vec<u64> = (0..count).map(|_| fresh()).collect();
    let frames = ids.iter().map(|id| Frame::new(REMOTE, dst).vlan(vlan).marker(*id));
    rig.end(nic).injector.send_all(frames).expect("the far end sends");
    ids
}

/// Checks that frames go out and come in by this NIC, once each.
fn assert_carries(rig: &Rig, nic: u8) {
    let before = rig.counts();
    let mut expected = Counts::default();
    let name = format!("eth{nic}");
    for vm in VMS {
        for _ in 0..ROUNDS {
            let sent = [rig.send(vm, ALL), rig.send(vm, REMOTE)];
            assert_eq!(sent.map(|id| rig.wait_end(id)), [nic; 2], "{vm}");
        }
        expected.port(vm).rx += 2 * ROUNDS;
        expected.port(vm).forwarded += 2 * ROUNDS;
        expected.port(&name).tx += 2 * ROUNDS;
        for other in VMS.iter().filter(|other| **other != vm) {
            expected.port(other).tx += ROUNDS;
        }
    }
    let broadcasts = inject(rig, nic, ALL, ROUNDS);
    let unicasts = inject(rig, nic, mac("a"), ROUNDS);
    expected.port(&name).rx += 2 * ROUNDS;
    expected.port(&name).forwarded += 2 * ROUNDS;
    expected.port("a").tx += 2 * ROUNDS;
    expected.port("b").tx += ROUNDS;
    rig.wait_counts(&before, &expected);
    for (vm, place) in rig.vms() {
        let mine = if vm == "a" { &unicasts[..] } else { &[] };
        for id in broadcasts.iter().chain(mine) {
            wait_until(format!("frame {id} in {vm}"), SOON, || place.copies(*id) > 0)
                .expect("what comes in by the active NIC is delivered");
            assert_eq!(place.copies(*id), 1, "frame {id} in {vm}");
        }
    }
}

/// Checks that one NIC carries and that what comes in by the other is dropped: of the VMs' frames
/// none leaves by it, of those of the wire none reaches a VM.
fn assert_active(rig: &Rig, active: u8, standby: u8) {
    let before = rig.counts();
    let refused = [inject(rig, standby, ALL, ROUNDS), inject(rig, standby, mac("a"), ROUNDS)];
    let mut expected = Counts::default();
    let port = expected.port(&format!("eth{standby}"));
    port.rx = 2 * ROUNDS;
    port.drops.insert("not-designated-uplink".to_owned(), ROUNDS);
    port.drops.insert("not-pinned-uplink".to_owned(), ROUNDS);
    rig.wait_counts(&before, &expected);
    // These come by the same way to the same VMs, and later.
    assert_carries(rig, active);
    for (vm, place) in rig.vms() {
        for id in refused.iter().flatten() {
            assert_eq!(place.copies(*id), 0, "frame {id} reached {vm} by NIC {standby}");
        }
    }
}
