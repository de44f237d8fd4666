//! Negotiation, from both ends.

use tests::guest::bond::{BondConfig, LacpRate};

use crate::rig::{NEGOTIATION, Rig};

#[test]
fn a_linux_bond_and_our_port_channel_agree_and_carry() {
    let mut rig = Rig::start();
    rig.configure(&["channel-group auto mode active", "lacp rate fast"]);
    rig.wait_flags("ss");
    rig.bond(&BondConfig { lacp_rate: LacpRate::Fast, ..BondConfig::lacp("bond0", &[0, 1]) });
    let channel = rig.wait_flags("PP");
    assert_eq!((&channel["up"], &channel["protocol"]), (&true.into(), &"LACP".into()));
    let bond = rig
        .guest
        .wait_bond("bond0", NEGOTIATION, |bond| bond.aggregated() == ["eth0", "eth1"])
        .expect("the bond is whole");
    let aggregator = bond.aggregator.expect("an aggregator");
    assert_eq!((aggregator.ports, aggregator.partner_key), (2, 1));
    rig.assert_reaches();
    rig.assert_healthy();
}
