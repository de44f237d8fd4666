//! How many members carry at least, and at most.

use tests::guest::End;
use tests::port_channel::unix_ns;

use crate::rig::{Rig, fast_bond};

#[test]
fn with_fewer_than_min_links_nothing_is_carried() {
    let mut rig = Rig::start();
    rig.configure(&["channel-group auto mode active", "lacp rate fast", "lacp min-links 2"]);
    rig.bond(&fast_bond());
    rig.wait_carried("PP", &[0, 1]);
    let pulled = unix_ns();
    rig.guest.set_carrier(1, End::Both, false).expect("pulled");
    let (channel, _) = rig.wait_carried("sD", &[]);
    assert_eq!((&channel["flags"], &channel["up"]), (&"SD".into(), &false.into()));
    assert_eq!(channel["reason"], "1 of min-links 2");
    rig.wait_member(0, "s", "1 of min-links 2");
    rig.wait_member(1, "D", "link not connected");
    rig.wait_event("member-down", 0, pulled, "1 of min-links 2");
    rig.assert_cut_off();
    rig.guest.set_carrier(1, End::Both, true).expect("plugged in");
    rig.wait_carried("PP", &[0, 1]);

    // One is enough now.
    rig.guest.set_carrier(1, End::Both, false).expect("pulled");
    rig.wait_flags("sD");
    rig.uplinks(&["no lacp min-links"]);
    rig.wait_carried("PD", &[0]);
    rig.assert_healthy();
}

#[test]
fn a_member_beyond_max_bundle_waits_and_takes_over() {
    let mut rig = Rig::start();
    rig.configure(&["channel-group auto mode active", "lacp rate fast", "lacp max-bundle 1"]);
    rig.bond(&fast_bond());
    let (channel, _) = rig.wait_carried("PH", &[0]);
    assert_eq!(channel["flags"], "SU");
    rig.wait_member(1, "H", "max-bundle");

    // The lower number is taken first, whoever was there before.
    rig.uplink(1, &["lacp port-priority 100"]);
    rig.wait_carried("HP", &[1]);

    // Without it the other one carries, until it is back.
    let pulled = unix_ns();
    rig.guest.set_carrier(1, End::Both, false).expect("pulled");
    rig.wait_carried("PD", &[0]);
    rig.wait_event("member-up", 0, pulled, "carries for port-channel1");
    rig.guest.set_carrier(1, End::Both, true).expect("plugged in");
    rig.wait_carried("HP", &[1]);

    // Room for both.
    rig.uplinks(&["no lacp max-bundle"]);
    rig.wait_carried("PP", &[0, 1]);
    rig.assert_healthy();
}
