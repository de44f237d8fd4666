//! The forwarding table (`dataplane::core::Rule`), row by row, with the real programs on real
//! interfaces: TAP netdevs of VMs and AF_XDP on veth uplinks. Needs root.
//!
//! Each test builds one lab ([`rig`]) and sends the frames of many cases through it; every case
//! names all copies that may come out, and all counters that may move.

#[path = "e2e_forwarding/from_vm.rs"]
mod from_vm;
#[path = "e2e_forwarding/from_wire.rs"]
mod from_wire;
#[path = "e2e_forwarding/main_lab.rs"]
mod main_lab;
#[path = "e2e_forwarding/policy_lab.rs"]
mod policy_lab;
#[path = "e2e_forwarding/rig.rs"]
mod rig;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use proto::EtherType;
use tests::daemons::rows;
use tests::error::LabError;
use tests::frames::{Header, control};
use tests::link;
use tests::wait::{SOON, wait_for_ok};

use crate::from_wire::Designated;
use crate::main_lab::{A, ALL, B, C, REMOTE, T, UNKNOWN};
use crate::rig::{HOST, Rig, plain, push};

/// How long an uplink must stay silent: longer than spanning tree's hello time of two seconds, the
/// fastest of the protocols that a switch could speak of its own accord.
const QUIET: Duration = Duration::from_millis(2_500);

/// How long after a re-pin unicast by the old uplink is taken, less the time in which a busy machine
/// may come to look at a frame.
const GRACE: Duration = Duration::from_millis(1_500);

#[test]
fn f_rows_from_a_vm() {
    let mut rig = main_lab::start();
    rig.settle();
    rig.check(from_vm::f1_source());
    rig.check(from_vm::f2_link_local());
    rig.check(from_vm::f2_neighbour_of_link_local());
    rig.check(from_vm::f3_vlans());
    rig.check(from_vm::f4_known_unicast());
    rig.check(from_vm::f5_unknown_unicast());
    rig.check(from_vm::f6_flood());
    rig.lose_uplinks(&["eth1", "eth2"], None);
    rig.check(from_vm::without_uplinks());
}

#[test]
fn r_rows_from_the_wire() {
    let mut rig = main_lab::start();
    rig.settle();
    rig.check(from_wire::r1_control());
    rig.check(from_wire::r2_bpdus());
    rig.check(from_wire::r3_vlans());
    let designated = find_designated(&mut rig);
    rig.check(from_wire::r4_own_source(&designated));
    rig.check(from_wire::r5_r6_unicast());
    rig.check(from_wire::r7_unknown_unicast());
    rig.check(from_wire::r8_flood(&designated));
    assert_wire_to_wire_never(&mut rig);
}

/// Sends a broadcast of each VLAN into both uplinks and sees which one is let in: exactly one.
fn find_designated(rig: &mut Rig) -> Designated {
    let mut designated = BTreeMap::new();
    for (vid, witness) in [(10, "a"), (20, "c"), (main_lab::NATIVE, "t")] {
        let mut found = Vec::new();
        for uplink in ["eth1", "eth2"] {
            let frame = plain(REMOTE, ALL);
            rig.inject(uplink, &push(&frame, vid));
            rig.wait_received(1);
            let came = rig.settle();
            let copies = came[witness].iter().filter(|copy| copy.ends_with(&frame[12..]));
            if copies.count() == 1 {
                found.push(uplink);
            }
        }
        assert_eq!(found.len(), 1, "designated uplinks of VLAN {vid}: {found:?}");
        designated.insert(vid, found[0]);
    }
    Designated(designated)
}

/// R9, with every kind of destination, source and VLAN: whatever comes in by an uplink, nothing
/// goes out by any.
fn assert_wire_to_wire_never(rig: &mut Rig) {
    let mut sent = 0;
    for uplink in ["eth1", "eth2"] {
        for src in [REMOTE, A, T] {
            for dst in [A, B, C, T, UNKNOWN, REMOTE, ALL, main_lab::GROUP] {
                for vid in [None, Some(10), Some(20), Some(main_lab::NATIVE), Some(40), Some(50)] {
                    let frame = plain(src, dst);
                    rig.inject(uplink, &vid.map_or(frame.clone(), |vid| push(&frame, vid)));
                    sent += 1;
                }
            }
        }
    }
    rig.wait_received(sent);
    let came = rig.settle();
    for uplink in ["eth1", "eth2"] {
        assert!(came[uplink].is_empty(), "R9: {uplink} sent {:02x?}", came[uplink]);
    }
    assert!(!came["a"].is_empty(), "some of the frames were for a VM");
}

#[test]
fn an_uplink_says_nothing_but_who_has_come_and_no_bpdu_is_answered() {
    let mut rig = main_lab::start();
    let came = rig.settle();
    assert_announced(&came, "eth1", &[(A, Some(10)), (C, Some(20))]);
    assert_announced(&came, "eth2", &[(B, Some(10)), (T, Some(10)), (T, Some(20)), (T, None)]);
    let vlan_10 = proto::VlanId::new(10_u16).expect("a VLAN");
    let questions = [
        control::stp(REMOTE),
        control::stp_topology_change(REMOTE),
        control::rstp(REMOTE),
        control::mstp(REMOTE),
        control::pvst(REMOTE, vlan_10),
        control::pvst_untagged(REMOTE, vlan_10),
        control::lacp(REMOTE),
        control::lldp(REMOTE),
        control::cdp(REMOTE),
    ];
    for question in &questions {
        rig.inject("eth1", question);
        rig.inject("eth2", question);
    }
    for bpdu in &questions[..4] {
        // From a VM too; its source makes no difference to F2.
        rig.inject("a", bpdu);
    }
    for (place, deadline) in
        [("eth1", QUIET), ("eth2", Duration::ZERO), ("b", Duration::ZERO), ("t", Duration::ZERO)]
    {
        let heard = rig.sniffer(place).wait_count(1, deadline, |frame| !rig::is_fence(frame));
        assert!(matches!(heard, Err(LabError::Timeout { .. })), "{place} heard {heard:02x?}");
    }
    rig.weft.wait_conserved(HOST).expect("frames are conserved");
}

/// The frames that came out by an uplink are reverse ARP requests (RFC 903), broadcast, for exactly
/// these addresses and VLANs.
fn assert_announced(came: &rig::Came, uplink: &str, expected: &[(proto::MacAddr, Option<u16>)]) {
    let mut announced: Vec<_> = came[uplink]
        .iter()
        .map(|frame| {
            let header = Header::read(frame).expect("a frame");
            assert_eq!(header.ethertype, EtherType::RARP, "{uplink} sent {frame:02x?}");
            assert_eq!(header.dst, ALL, "{uplink} sent {frame:02x?}");
            (header.src, header.vid())
        })
        .collect();
    // It may be said more than once.
    announced.sort();
    announced.dedup();
    let mut expected = expected.to_vec();
    expected.sort();
    assert_eq!(announced, expected, "announced by {uplink}");
}

#[test]
fn the_uplink_that_is_left_takes_over_and_the_one_that_is_back_is_let_in_gently() {
    let mut rig = main_lab::start();
    rig.settle();
    let came = rig.lose_uplinks(&["eth1"], Some("eth2"));
    assert_announced(&came, "eth2", &[(A, Some(10)), (C, Some(20))]);
    rig.check(from_vm::without_eth1());
    rig.check(from_wire::without_eth1());
    // R6: for a moment after a re-pin, what the network still sends the old way is no duplicate.
    let back = Instant::now();
    link::up(rig.weft.lab().ns("wire").expect("the wire"), "eth1").expect("the link comes back");
    wait_pinned(&rig, "a", "Ethernet3/1");
    let last = push(&plain(REMOTE, A), 10);
    rig.inject("eth2", &last);
    let sent = back.elapsed();
    let came = rig.sniffer("a").wait_count(1, SOON, |frame| frame.ends_with(&last[16..]));
    // The re-pin came after `back`, so its time of grace ends later than this.
    assert!(came.is_ok() || sent > GRACE, "R6: no grace {sent:?} after the link: {came:?}");
    let dropped = |rig: &Rig| -> Result<u64, LabError> {
        let counts = rig.weft.counts(HOST)?;
        Ok(counts.0["eth2"].drops.get("not-pinned-uplink").copied().unwrap_or_default())
    };
    wait_for_ok("the time of grace to end", SOON, || {
        rig.inject("eth2", &push(&plain(REMOTE, A), 10));
        match dropped(&rig) {
            Ok(0) => Err("a still gets what eth2 brings".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    })
    .expect("R6 holds again");
    rig.weft.wait_conserved(HOST).expect("frames are conserved");
}

/// Waits until a VM's port says that it sends by this uplink.
fn wait_pinned(rig: &Rig, vm: &str, uplink: &str) {
    wait_for_ok(format!("{vm} to be pinned to {uplink}"), SOON, || {
        let status = rig.weft.status(HOST).map_err(|error| error.to_string())?;
        let mut ports = rows(&status["ports"]);
        match ports.find(|port| port["vm"] == vm && port["pinned_to"] == uplink) {
            Some(_) => Ok(()),
            None => Err(status.to_string()),
        }
    })
    .expect("the pin moves");
}

#[test]
fn policy_of_ports() {
    let mut rig = policy_lab::start();
    rig.settle();
    rig.check(policy_lab::access_lists());
    rig.check(policy_lab::mtu());
    rig.check(policy_lab::relaxed_sources());
    rig.check(policy_lab::promiscuous());
    rig.check(policy_lab::uplink_without_native_vlan());
    rig.inject("guard", &control::rstp(policy_lab::GUARD));
    wait_for_ok("the guarded port to be shut", SOON, || {
        let status = rig.weft.status(HOST).map_err(|error| error.to_string())?;
        let ports = status["ports"].as_array().cloned().unwrap_or_default();
        match ports.into_iter().find(|port| port["vm"] == "guard") {
            Some(port)
                if port["link_up"] == false
                    && port["reason"].as_str().is_some_and(|why| why.contains("BPDU guard")) =>
            {
                Ok(())
            }
            other => Err(format!("{other:?}")),
        }
    })
    .expect("BPDU guard acts");
}
