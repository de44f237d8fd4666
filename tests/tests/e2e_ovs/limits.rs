//! Fewer members than are needed, and a member that is shut down.

use tests::ovs::{BondConfig, LacpTime};
use tests::ovs_site::{BOND, OvsSite, trunk};
use tests::patch::End;
use tests::wait::SOON;

#[test]
fn too_few_members_carry_nothing_and_a_shutdown_is_told() {
    let lines = ["channel-group auto mode active", "lacp rate fast", "lacp min-links 2"];
    let mut rig = OvsSite::start(&lines);
    // A silence would be noticed after ninety seconds: what it learns sooner, it has been told.
    rig.bond(&BondConfig { lacp_time: LacpTime::Slow, ..BondConfig::lacp(trunk()) });
    rig.wait_whole();

    rig.cables[1].pull(End::A).expect("pulled");
    let channel = rig.wait_flags("sD");
    assert_eq!((&channel["flags"], &channel["up"]), (&"SD".into(), &false.into()));
    assert_eq!(channel["reason"], "1 of min-links 2");
    rig.wait_member(0, "s", "1 of min-links 2");
    rig.wait_carrying(BOND, &[]);
    rig.assert_cut_off();
    rig.cables[1].put_back().expect("put back");
    rig.wait_whole();

    rig.uplinks(&["no lacp min-links"]);
    rig.uplink(0, &["shutdown"]);
    rig.ovs.wait_lacp(BOND, SOON, |lacp| lacp.carrying() == ["p2"]).expect("the goodbye is heard");
    rig.wait_member(0, "D", "administratively down");
    rig.wait_flags("DP");
    rig.wait_traffic();
    rig.uplink(0, &["no shutdown"]);
    rig.wait_whole();
    rig.assert_healthy();
}
