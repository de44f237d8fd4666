//! A member at the wrong place: its partner is another system, or another bond of the same.

use proto::MacAddr;
use tests::link;
use tests::ovs::{BondConfig, MemberConfig};
use tests::ovs_site::{BOND, OvsSite, PORTS, trunk};
use tests::port_channel::{member, unix_ns};

/// System of a partner that should not be there.
const OTHER_SYSTEM: MacAddr = MacAddr::new([0x02, 0xaa, 0, 0, 0, 0x99]);
const OTHER_BOND: &str = "bond1";
/// A port of each bond on which nobody speaks: one that has a single member says that it does not
/// aggregate, so that it would be another partner when the second cable goes.
const SPARES: [&str; 2] = ["s1", "s2"];
const KEY: u16 = 77;
const OTHER_KEY: u16 = 78;

/// Says the key of a member.
fn set_key(rig: &OvsSite, port: &str, key: u16) {
    let config = MemberConfig { key: Some(key), ..MemberConfig::default() };
    rig.ovs.set_member(port, &config).expect("changed");
}

#[test]
fn a_member_with_another_partner_stays_out_until_it_is_moved() {
    let mut rig = OvsSite::start(&["channel-group auto mode active", "lacp rate fast"]);
    let mid = rig.site.lab().ns("mid").expect("a namespace");
    for (spare, end) in SPARES.into_iter().zip(["z1", "z2"]) {
        link::cable((rig.ovs.ns(), spare), (mid, end), 1500).expect("a cable to nobody");
    }
    rig.bond(&BondConfig::lacp(trunk()));
    rig.ovs.add_member(BOND, SPARES[0]).expect("a member");
    ["p1", "p2", SPARES[0]].iter().for_each(|port| set_key(&rig, port, KEY));
    rig.wait_agreed();
    let channel = rig.wait_flags("PP");
    let partner = channel["partner_system"].clone();

    // The second cable goes to another switch.
    rig.ovs.remove_member("p2").expect("removed");
    let other = BondConfig { system_id: Some(OTHER_SYSTEM), ..BondConfig::lacp(trunk()) };
    rig.ovs.add_bond(OTHER_BOND, &["p2", SPARES[1]], &other).expect("another bond");
    ["p2", SPARES[1]].iter().for_each(|port| set_key(&rig, port, KEY));
    assert_out(&rig, &format!("another LACP partner: system fffe,02-aa-00-00-00-99 key {KEY}"));

    // To the right switch, but to another bond of it.
    rig.ovs.set_bond(OTHER_BOND, &BondConfig::lacp(trunk())).expect("changed");
    ["p2", SPARES[1]].iter().for_each(|port| set_key(&rig, port, OTHER_KEY));
    assert_out(&rig, &format!("key {OTHER_KEY}"));

    // The cable is put right.
    let moved = unix_ns();
    rig.ovs.remove_port(OTHER_BOND).expect("removed");
    rig.ovs.add_member(BOND, "p2").expect("a member");
    set_key(&rig, "p2", KEY);
    let channel = rig.wait_flags("PP");
    assert_eq!(channel["partner_system"], partner);
    rig.wait_carrying(BOND, &PORTS);
    rig.wait_agreed();
    rig.wait_traffic();
    // The other one was not touched by any of it.
    let since = |cable| member(&channel, cable)["since_unix_ns"].as_u64().expect("a time");
    assert!(since(0) < moved && moved < since(1), "{channel:#}");
    rig.assert_healthy();
}

/// Checks that the first cable alone is in, on both ends, and the other is kept out for a reason.
fn assert_out(rig: &OvsSite, reason: &str) {
    rig.wait_member(1, "s", reason);
    rig.wait_flags("Ps");
    rig.wait_carrying(BOND, &["p1"]);
    rig.wait_carrying(OTHER_BOND, &[]);
    rig.wait_traffic();
}
