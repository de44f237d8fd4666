//! Fewer members than are needed, and a member that is shut down.

use tests::ovs::{BondConfig, LacpTime};
use tests::patch::End;
use tests::wait::SOON;

use crate::rig::{BOND, PORTS, Rig, trunk};

#[test]
fn too_few_members_carry_nothing_and_a_shutdown_is_told() {
    let lines = ["channel-group auto mode active", "lacp rate fast", "lacp min-links 2"];
    let mut rig = Rig::start(&lines);
    // A silence would be noticed after ninety seconds: what it learns sooner, it has been told.
    rig.bond(&BondConfig { lacp_time: LacpTime::Slow, ..BondConfig::lacp(trunk()) });
    wait_whole(&rig);

    rig.cables[1].pull(End::A).expect("pulled");
    let channel = rig.wait_flags("sD");
    assert_eq!((&channel["flags"], &channel["up"]), (&"SD".into(), &false.into()));
    assert_eq!(channel["reason"], "1 of min-links 2");
    rig.wait_member(0, "s", "1 of min-links 2");
    rig.wait_carrying(BOND, &[]);
    rig.assert_cut_off();
    rig.cables[1].put_back().expect("put back");
    wait_whole(&rig);

    rig.uplinks(&["no lacp min-links"]);
    rig.uplink(0, &["shutdown"]);
    rig.ovs.wait_lacp(BOND, SOON, |lacp| lacp.carrying() == ["p2"]).expect("the goodbye is heard");
    rig.wait_member(0, "D", "administratively down");
    rig.wait_flags("DP");
    rig.wait_traffic();
    rig.uplink(0, &["no shutdown"]);
    wait_whole(&rig);
    rig.assert_healthy();
}

/// Waits until both members carry, on both ends.
fn wait_whole(rig: &Rig) {
    rig.wait_flags("PP");
    rig.wait_carrying(BOND, &PORTS);
    rig.wait_agreed();
    rig.wait_traffic();
}
