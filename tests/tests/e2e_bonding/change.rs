//! The configuration changes while members carry, and partners come that do not aggregate at all.

use serde_json::Value;
use tests::guest::End;
use tests::guest::bond::status::{BondStatus, Churn, MemberLacp};
use tests::guest::bond::{BondConfig, BondMode, HashPolicy};
use tests::port_channel::{member, unix_ns};
use tests::traffic::wait_ping;
use tests::wait::SOON;

use crate::rig::{Rig, fast_bond, guest_address};

#[test]
fn a_member_is_shut_down_and_comes_back_and_other_changes_disturb_nobody() {
    let mut rig = Rig::start();
    rig.configure(&["channel-group auto mode active", "lacp rate fast"]);
    rig.bond(&fast_bond());
    let (channel, bond) = rig.wait_carried("PP", &[0, 1]);

    rig.uplinks(&["description to the guest", "lacp rate normal", "lldp transmit"]);
    rig.uplink(1, &["description second cable"]);
    wait_short_timeout(&rig, false);
    rig.uplinks(&["lacp rate fast", "no lldp transmit"]);
    wait_short_timeout(&rig, true);
    let (undisturbed, and_bond) = rig.wait_carried("PP", &[0, 1]);
    assert_eq!(sinces(&channel), sinces(&undisturbed));
    assert_eq!(bond.aggregator, and_bond.aggregator);
    for member in &and_bond.members {
        let lacp = member.lacp.expect("LACP");
        let churned = [lacp.actor_churn, lacp.partner_churn].contains(&Churn::Churned);
        assert!(member.link_failures == 0 && !churned, "{and_bond:?}");
    }

    let shut = unix_ns();
    rig.uplink(0, &["shutdown"]);
    rig.wait_member(0, "D", "administratively down");
    rig.wait_carried("DP", &[1]);
    rig.wait_event("member-down", 0, shut, "administratively down");
    rig.uplink(0, &["no shutdown"]);
    let (back, _) = rig.wait_carried("PP", &[0, 1]);
    assert_eq!(sinces(&back)[1], sinces(&channel)[1], "the other member was disturbed");
    rig.assert_healthy();
}

/// Waits until the guest knows that we ask for a fast rate on both links, or for a slow one.
fn wait_short_timeout(rig: &Rig, short: bool) {
    let has_heard = |bond: &BondStatus| {
        let of = |lacp: MemberLacp| lacp.partner.state.short_timeout() == short;
        bond.members.iter().all(|member| member.lacp.is_some_and(of))
    };
    rig.guest.wait_bond("bond0", SOON, has_heard).expect("the guest is told at once");
}

fn sinces(channel: &Value) -> [Value; 2] {
    [0, 1].map(|nic| member(channel, nic)["since_unix_ns"].clone())
}

#[test]
fn a_member_works_alone_until_a_partner_speaks() {
    let mut rig = Rig::start();
    let lines = ["channel-group auto mode active", "lacp rate fast", "no lacp suspend-individual"];
    rig.configure(&lines);
    rig.vlan("eth0", 10);
    let channel = rig.wait_flags("IH");
    assert_eq!(channel["up"], true);
    rig.wait_member(1, "H", "standby, no LACP partner heard");
    rig.assert_carried_by(&[0]);
    rig.guest.sh("ip link delete eth0.10").expect("deleted");
    let spoke = unix_ns();
    rig.bond(&fast_bond());
    rig.wait_carried("PP", &[0, 1]);
    for nic in 0..2 {
        rig.wait_event("member-up", nic, spoke, "carries for port-channel1");
    }

    // It falls silent for good: one works alone again.
    rig.guest.delete_bond("bond0").expect("deleted");
    rig.guest.sh("ip link set eth0 up; ip link set eth1 up").expect("up");
    rig.vlan("eth0", 10);
    rig.wait_flags("IH");
    rig.assert_carried_by(&[0]);
    rig.uplinks(&["lacp suspend-individual"]);
    rig.wait_flags("ss");
    rig.assert_cut_off();
    rig.assert_healthy();
}

#[test]
fn a_static_port_channel_carries_several_vlans() {
    let mut rig = Rig::start();
    rig.configure(&["channel-group auto mode on", "link-up delay 0"]);
    rig.site.attach("b").expect("the VM is plugged in");
    rig.bond(&BondConfig {
        mode: BondMode::BalanceXor,
        xmit_hash_policy: HashPolicy::VlanSrcMac,
        ..fast_bond()
    });
    rig.vlan("bond0", 20);
    let channel = rig.wait_flags("PP");
    assert_eq!((&channel["protocol"], &channel["mode"]), (&"NONE".into(), &"on".into()));
    rig.assert_carried_by(&[0, 1]);
    let address = guest_address(20).parse().expect("an address");
    wait_ping(rig.ns("b"), address).expect("an answer in VLAN 20");
    rig.guest.set_carrier(0, End::Both, false).expect("pulled");
    rig.wait_flags("DP");
    rig.assert_carried_by(&[1]);
    wait_ping(rig.ns("b"), address).expect("an answer in VLAN 20");
    rig.assert_healthy();
}
