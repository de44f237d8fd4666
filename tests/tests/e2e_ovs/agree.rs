//! Negotiation from both sides' first frame, whoever begins, at whatever rate, and however the
//! partner spreads its flows.

use tests::ovs::{BondConfig, BondMode, Lacp, LacpFlag, LacpTime};
use tests::ovs_site::{BOND, NEGOTIATION, OvsSite, PORTS, trunk};

/// Our lines, and what Open vSwitch is told.
type Combination = ([&'static str; 2], Lacp, LacpTime, BondMode);

const ACTIVE: &str = "channel-group auto mode active";
const PASSIVE: &str = "channel-group auto mode passive";
const FAST: &str = "lacp rate fast";
const NORMAL: &str = "lacp rate normal";

/// One of the two begins.
const COMBINATIONS: [Combination; 6] = [
    ([ACTIVE, FAST], Lacp::Active, LacpTime::Fast, BondMode::BalanceTcp),
    ([ACTIVE, NORMAL], Lacp::Active, LacpTime::Fast, BondMode::BalanceSlb),
    ([ACTIVE, FAST], Lacp::Passive, LacpTime::Slow, BondMode::BalanceTcp),
    ([ACTIVE, NORMAL], Lacp::Passive, LacpTime::Slow, BondMode::ActiveBackup),
    ([PASSIVE, NORMAL], Lacp::Active, LacpTime::Slow, BondMode::BalanceTcp),
    ([PASSIVE, FAST], Lacp::Active, LacpTime::Fast, BondMode::BalanceSlb),
];

fn bond(lacp: Lacp, lacp_time: LacpTime, mode: BondMode) -> BondConfig {
    BondConfig { lacp, lacp_time, mode, ..BondConfig::lacp(trunk()) }
}

#[test]
fn both_agree_when_one_begins_and_not_when_both_wait() {
    let mut rig = OvsSite::start(&[ACTIVE, FAST]);
    rig.wait_flags("ss");
    rig.bond(&BondConfig::lacp(trunk()));
    for combination @ (lines, lacp, time, mode) in COMBINATIONS {
        println!("{combination:?}");
        // Nothing is left of what was agreed before.
        rig.set_links(false);
        rig.wait_flags("DD");
        rig.uplinks(&lines);
        rig.ovs.set_bond(BOND, &bond(lacp, time, mode)).expect("changed");
        rig.set_links(true);
        let channel = rig.wait_flags("PP");
        assert_eq!((&channel["flags"], &channel["protocol"]), (&"SU".into(), &"LACP".into()));
        rig.wait_carrying(BOND, &PORTS);
        rig.wait_agreed();
        assert_wishes(&rig, combination);
        rig.wait_traffic();
    }

    // A bond that is new has heard nobody, and does not begin.
    rig.ovs.remove_port(BOND).expect("removed");
    rig.uplinks(&[PASSIVE, FAST]);
    rig.bond(&bond(Lacp::Passive, LacpTime::Fast, BondMode::BalanceTcp));
    for cable in 0..2 {
        rig.wait_member(cable, "s", "no LACP partner heard");
    }
    let channel = rig.wait_flags("ss");
    assert_eq!(channel["up"], false);
    rig.assert_cut_off();
    let lacp = rig.ovs.lacp(BOND).expect("LACP");
    assert!(lacp.carrying().is_empty() && !lacp.negotiated, "{lacp:#?}");

    rig.uplinks(&[ACTIVE, FAST]);
    rig.wait_flags("PP");
    rig.wait_carrying(BOND, &PORTS);
    rig.wait_traffic();
    rig.assert_healthy();
}

/// Checks that Open vSwitch has heard what we want, and is what it was told to be.
fn assert_wishes(rig: &OvsSite, (lines, lacp, time, mode): Combination) {
    let status = rig.ovs.lacp(BOND).expect("LACP");
    for member in status.members.values() {
        let [active, fast] = [LacpFlag::Activity, LacpFlag::Timeout];
        let wanted = (lines[0] == ACTIVE, lines[1] == FAST);
        assert_eq!((member.partner.has(active), member.partner.has(fast)), wanted, "{status:#?}");
        let told = (lacp == Lacp::Active, time == LacpTime::Fast);
        assert_eq!((member.actor.has(active), member.actor.has(fast)), told, "{status:#?}");
    }
    let spread = |bond: &tests::ovs::BondStatus| {
        // Of an active-backup bond the other member is ready, too.
        bond.mode == mode && bond.enabled() == PORTS
    };
    rig.ovs.wait_bond(BOND, NEGOTIATION, spread).expect("the bond as told");
}
