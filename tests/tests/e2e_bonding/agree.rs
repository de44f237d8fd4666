//! Negotiation: whoever begins, at whatever rate.

use tests::guest::bond::status::BondStatus;
use tests::guest::bond::{BondConfig, LacpRate};
use tests::packet::Direction;

use crate::rig::{Rig, fast_bond};

/// LACPDUs of the side that speaks every second while the other one is counted.
const PERIODS: usize = 4;

#[test]
fn whoever_begins_both_agree_and_two_that_wait_do_not() {
    let mut rig = Rig::start();
    rig.configure(&["channel-group auto mode active", "lacp rate fast"]);
    rig.wait_flags("ss");
    rig.bond(&fast_bond());
    let (channel, bond) = rig.wait_carried("PP", &[0, 1]);
    assert_eq!((&channel["flags"], &channel["protocol"]), (&"SU".into(), &"LACP".into()));
    let aggregator = bond.aggregator.expect("an aggregator");
    assert_eq!((aggregator.ports, aggregator.partner_key), (2, 1));
    assert_active(&bond, true, true);

    // We wait to be spoken to: the members go on, and begin anew when the guest does.
    rig.uplinks(&["channel-group auto mode passive"]);
    rig.guest.delete_bond("bond0").expect("deleted");
    rig.wait_flags("ss");
    rig.bond(&fast_bond());
    let (channel, bond) = rig.wait_carried("PP", &[0, 1]);
    assert_eq!(channel["mode"], "passive");
    assert_active(&bond, true, false);

    // Now the guest waits too.
    rig.guest.set_bond_option("bond0", "lacp_active", "off").expect("passive");
    rig.wait_flags("ss");
    rig.wait_bond(&[]);
    for nic in 0..2 {
        rig.wait_member(nic, "s", "no LACP partner heard");
        rig.wait_lacp(nic, "periodic", "NO_PERIODIC");
    }
    rig.assert_cut_off();

    // And we begin.
    rig.uplinks(&["channel-group auto mode active"]);
    let (_, bond) = rig.wait_carried("PP", &[0, 1]);
    assert_active(&bond, false, true);
    rig.assert_healthy();
}

/// Checks which side is active, as the guest has it.
fn assert_active(bond: &BondStatus, guest: bool, ours: bool) {
    for member in &bond.members {
        let lacp = member.lacp.expect("LACP");
        let active = (lacp.actor.state.active(), lacp.partner.state.active());
        assert_eq!(active, (guest, ours), "{bond:?}");
    }
}

#[test]
fn each_side_speaks_as_often_as_the_other_asks() {
    let mut rig = Rig::start();
    // The guest has spoken before we do.
    rig.bond(&BondConfig { lacp_rate: LacpRate::Slow, ..fast_bond() });
    rig.configure(&["channel-group auto mode active", "lacp rate fast"]);
    rig.wait_carried("PP", &[0, 1]);
    rig.wait_lacp(0, "periodic", "SLOW_PERIODIC");
    assert_one_hurries(&rig, Direction::Out);

    // The other way round; that we ask for less disturbs nobody.
    rig.uplinks(&["lacp rate normal"]);
    rig.guest.delete_bond("bond0").expect("deleted");
    rig.bond(&fast_bond());
    rig.wait_lacp(0, "periodic", "FAST_PERIODIC");
    rig.wait_carried("PP", &[0, 1]);
    assert_one_hurries(&rig, Direction::In);
    rig.assert_healthy();
}

/// Checks that the side whose frames have this direction speaks every second, and that in the same
/// time the other one says nothing but, perhaps, the last word of the negotiation.
fn assert_one_hurries(rig: &Rig, often: Direction) {
    let seldom = if often == Direction::In { Direction::Out } else { Direction::In };
    rig.forget_frames();
    // What is left of the negotiation.
    rig.wait_lacpdus(often, 1);
    rig.forget_frames();
    rig.wait_lacpdus(often, PERIODS);
    for nic in 0..2 {
        let (often, seldom) = (rig.lacpdus(nic, often), rig.lacpdus(nic, seldom));
        assert!(often <= PERIODS + 2 && seldom <= 1, "NIC {nic}: {often} and {seldom}");
    }
}
