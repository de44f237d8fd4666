//! A member at the wrong place: its partner is another system, or another port-channel of the same.

use proto::MacAddr;
use tests::guest::bond::BondConfig;
use tests::port_channel::{member, unix_ns};

use crate::rig::{Rig, fast_bond};

/// System of a partner that should not be there.
const OTHER_SYSTEM: MacAddr = MacAddr::new([0x02, 0xaa, 0, 0, 0, 0x99]);

#[test]
fn a_member_with_another_partner_stays_out_until_it_is_moved() {
    let mut rig = Rig::start();
    rig.configure(&["channel-group auto mode active", "lacp rate fast"]);
    rig.bond(&BondConfig { nics: vec![0], ..fast_bond() });
    let channel = rig.wait_flags("Ps");
    let partner = channel["partner_system"].clone();

    // Another switch.
    let wrong = BondConfig { name: "bond1".to_owned(), nics: vec![1], ..fast_bond() };
    let other = BondConfig { ad_actor_system: Some(OTHER_SYSTEM), ..wrong.clone() };
    rig.guest.bond(&other).expect("a second bond");
    let system = "another LACP partner: system ffff,02-aa-00-00-00-99 key";
    assert_out(&rig, system);

    // Another port-channel of the right switch.
    rig.guest.delete_bond("bond1").expect("deleted");
    let other =
        BondConfig { ad_actor_system: Some(rig.guest.mac(0)), ad_user_port_key: 7, ..wrong };
    rig.guest.bond(&other).expect("a second bond");
    let key = rig.guest.bond_status("bond1").expect("a bond").aggregator.expect("one").actor_key;
    let right = rig.wait_bond(&[0]).aggregator.expect("one").actor_key;
    assert_ne!(key, right);
    assert_out(&rig, &format!("key {key}"));

    // The cable is put right.
    let moved = unix_ns();
    rig.guest.remove_member("bond1", 1).expect("released");
    rig.guest.add_member("bond0", 1).expect("a member");
    let (channel, bond) = rig.wait_carried("PP", &[0, 1]);
    assert_eq!(channel["partner_system"], partner);
    assert_eq!(bond.aggregator.expect("an aggregator").ports, 2);
    rig.wait_event("member-up", 1, moved, "carries for port-channel1");
    // The other one was not touched by any of it.
    let since = |nic| member(&channel, nic)["since_unix_ns"].as_u64().expect("a time");
    assert!(since(0) < moved && moved < since(1), "{channel:#}");
    rig.assert_healthy();
}

/// Checks that NIC 0 alone is in, on both ends, and that NIC 1 is kept out for this reason.
fn assert_out(rig: &Rig, reason: &str) {
    rig.wait_member(1, "s", reason);
    rig.wait_carried("Ps", &[0]);
    let bond = rig.guest.bond_status("bond1").expect("a bond");
    assert!(bond.aggregated().is_empty(), "{bond:?}");
}
