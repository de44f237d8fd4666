//! One of both ends starts anew, with and without a word.

use tests::guest::bond::status::BondStatus;
use tests::guest::bond::{BondConfig, LacpRate};
use tests::packet::Direction;
use tests::port_channel::unix_ns;
use tests::wait::SOON;

use crate::rig::{NEGOTIATION, Rig, fast_bond};

#[test]
fn a_partner_that_restarts_is_left_and_joined_again() {
    let mut rig = Rig::start();
    rig.configure(&["channel-group auto mode active", "lacp rate fast"]);
    rig.bond(&fast_bond());
    let (before, _) = rig.wait_carried("PP", &[0, 1]);
    let switched_off = unix_ns();
    rig.guest.restart().expect("the guest boots again");
    for nic in 0..2 {
        rig.wait_event("member-down", nic, switched_off, "LACP partner is silent");
        rig.wait_member(nic, "s", "no LACP partner heard");
    }
    rig.assert_cut_off();
    let back = unix_ns();
    rig.bond(&fast_bond());
    let (after, _) = rig.wait_carried("PP", &[0, 1]);
    assert_eq!(before["partner_system"], after["partner_system"]);
    for nic in 0..2 {
        rig.wait_event("member-up", nic, back, "carries for port-channel1");
    }
    rig.assert_healthy();
}

/// The guest asks for an LACPDU every 30 seconds, so a silence would take 90: what it learns
/// sooner, it has been told.
#[test]
fn we_say_goodbye_and_after_a_crash_begin_anew_without_a_supervisor_too() {
    let mut rig = Rig::start();
    rig.configure(&["channel-group auto mode active"]);
    rig.bond(&BondConfig { lacp_rate: LacpRate::Slow, ..fast_bond() });
    let (_, first) = rig.wait_carried("PP", &[0, 1]);

    rig.site.dataplane("h1").expect("a dataplane").terminate().expect("it ends");
    rig.guest
        .wait_bond("bond0", SOON, |bond| bond.aggregated().is_empty())
        .expect("the goodbye is heard");
    rig.site.start_dataplane("h1").expect("it starts");
    rig.wait_carried("PP", &[0, 1]);

    // A crash. The guest goes on until it hears from us again; that is the first thing we do.
    rig.site.supervisor().expect("a supervisor").kill9().expect("killed");
    rig.site.dataplane("h1").expect("a dataplane").kill9().expect("killed");
    let left = rig.guest.bond_status("bond0").expect("a bond");
    assert_eq!(left.aggregated(), ["eth0", "eth1"], "who has told the guest?");
    rig.forget_frames();
    rig.site.start_dataplane("h1").expect("it starts");
    rig.wait_lacpdus(Direction::In, 2);
    let second = rig
        .guest
        .wait_bond("bond0", NEGOTIATION, |bond| bond.aggregated() == ["eth0", "eth1"])
        .expect("without a supervisor");
    rig.assert_carried_by(&[0, 1]);
    let system = |bond: &BondStatus| bond.aggregator.map(|aggregator| aggregator.partner_mac);
    assert_eq!(system(&first), system(&second), "the host is another LACP system");

    rig.site.start_supervisor().expect("it starts");
    rig.site.wait_registered("h1").expect("registered");
    rig.wait_carried("PP", &[0, 1]);
    rig.assert_healthy();
}
