//! Open vSwitch without LACP: a static port-channel, and a member of ours that works alone.

use proto::MacAddr;
use tests::frames::Frame;
use tests::inject::Injector;
use tests::link;
use tests::ovs::{BondConfig, BondMode};
use tests::ovs_site::{BOND, NEGOTIATION, OvsSite, PORTS, trunk};
use tests::sniff::Sniffer;
use tests::traffic::wait_ping;
use tests::wait::SOON;

/// Broadcasts of the PC, each of which the VM gets once.
const BROADCASTS: u64 = 20;

/// What makes the uplinks wait for LACP; the line that goes only with a static group is taken away.
const ALONE: [&str; 4] = [
    "no link-up delay",
    "channel-group auto mode active",
    "lacp rate fast",
    "no lacp suspend-individual",
];

#[test]
fn without_lacp_a_channel_is_static_or_one_member_works_alone() {
    let mut rig = OvsSite::start(&["channel-group auto mode on", "link-up delay 0"]);
    rig.bond(&BondConfig::fixed(BondMode::BalanceSlb, trunk()));
    let channel = rig.wait_flags("PP");
    assert_eq!((&channel["flags"], &channel["protocol"]), (&"SU".into(), &"NONE".into()));
    rig.ovs.wait_bond(BOND, SOON, |bond| bond.enabled() == PORTS).expect("both carry");
    // Such a bond takes broadcasts by its active member alone, which we do not know; a VM that has
    // been asked knows whom to answer.
    wait_ping(&rig.pc, OvsSite::vm_address()).expect("the VM answers");
    rig.assert_answered_once();
    assert_broadcasts_come_once(&rig);

    // We wait for a partner that does not come: the first member works alone, the other waits.
    let primary = Some("p1".to_owned());
    let backup = BondConfig { primary, ..BondConfig::fixed(BondMode::ActiveBackup, trunk()) };
    rig.ovs.set_bond(BOND, &backup).expect("changed");
    rig.ovs.wait_bond(BOND, NEGOTIATION, |bond| bond.active() == Some("p1")).expect("p1");
    rig.ovs.purge_flows().expect("purged");
    rig.uplinks(&ALONE);
    assert_one_works_alone(&rig);

    // Two ports that know nothing of each other send us every broadcast twice, and ours back.
    rig.ovs.remove_port(BOND).expect("removed");
    for port in PORTS {
        rig.ovs.add_port(port, &trunk()).expect("a port");
    }
    assert_one_works_alone(&rig);

    // It has a partner at last.
    for port in PORTS {
        rig.ovs.remove_port(port).expect("removed");
    }
    rig.bond(&BondConfig::lacp(trunk()));
    rig.wait_flags("PP");
    rig.wait_carrying(BOND, &PORTS);
    rig.wait_traffic();
    rig.assert_healthy();
}

fn assert_one_works_alone(rig: &OvsSite) {
    let channel = rig.wait_flags("IH");
    assert_eq!((&channel["flags"], &channel["up"]), (&"SU".into(), &true.into()));
    rig.wait_member(0, "I", "individual, no LACP partner heard");
    rig.wait_member(1, "H", "standby, no LACP partner heard");
    rig.wait_traffic();
    rig.assert_answered_once();
    assert_broadcasts_come_once(rig);
}

/// Sends broadcasts from the PC, and checks that the VM gets one copy of each.
fn assert_broadcasts_come_once(rig: &OvsSite) {
    let sniffer = Sniffer::start(rig.vm(), "eth0").expect("a sniffer in the VM");
    let source = link::mac(&rig.pc, "eth0").expect("an address");
    let injector = Injector::open(&rig.pc, "eth0").expect("the PC sends");
    let frame = |id: u64| Frame::new(source, MacAddr::BROADCAST).marker(id);
    for id in 1..=BROADCASTS {
        injector.send(&frame(id)).expect("sent");
    }
    // One behind all of them; copies by the other member may still be on their way.
    injector.send(&frame(BROADCASTS + 1)).expect("sent");
    sniffer.before_marker(BROADCASTS + 1, SOON).expect("the last comes");
    rig.assert_answered_once();
    for id in 1..=BROADCASTS + 1 {
        assert_eq!(sniffer.count(|bytes| bytes == frame(id)), 1, "copies of broadcast {id}");
    }
}
