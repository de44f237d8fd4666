//! The guest, against itself: two bonds of one guest, wired to each other through the lab.
//!
//! What these tests show is relied on when the guest is a partner of the product: that it boots,
//! that its bonding driver speaks LACP over our wires, and that wires are cut as they say.

use std::time::Duration;

use tests::guest::bond::status::{BondStatus, Churn, MemberLacp};
use tests::guest::bond::{BondConfig, LacpRate};
use tests::guest::{End, Guest, GuestConfig, Pass, Way};
use tests::link;
use tests::netns::Namespace;
use tests::wait::SOON;

/// Negotiation, or the loss of a partner that is to speak every second, on a busy machine.
const NEGOTIATION: Duration = Duration::from_secs(30);

/// NICs 0 and 1 are wired to NICs 2 and 3 by two cables.
struct Rig {
    guest: Guest,
    wires: Namespace,
}

impl Rig {
    fn boot() -> Self {
        let wires = Namespace::create("wires").unwrap();
        for (a, b) in [("a0", "b0"), ("a1", "b1")] {
            link::cable((&wires, a), (&wires, b), 1500).unwrap();
        }
        let config = GuestConfig::new("bonds");
        let config = ["a0", "a1", "b0", "b1"]
            .iter()
            .fold(config, |config, interface| config.nic(&wires, interface));
        let guest = Guest::boot(config).unwrap();
        Self { guest, wires }
    }

    /// Makes `bond0` of NICs 0 and 1, `bond1` of 2 and 3, and waits until both are agreed.
    fn bonds(&self) -> (BondStatus, BondStatus) {
        for (name, nics) in [("bond0", [0, 1]), ("bond1", [2, 3])] {
            let config = BondConfig { lacp_rate: LacpRate::Fast, ..BondConfig::lacp(name, &nics) };
            self.guest.bond(&config).unwrap();
        }
        (self.wait("bond0", &["eth0", "eth1"]), self.wait("bond1", &["eth2", "eth3"]))
    }

    /// Waits until exactly these members of a bond carry by agreement.
    fn wait(&self, bond: &str, members: &[&str]) -> BondStatus {
        self.guest.wait_bond(bond, NEGOTIATION, |bond| bond.aggregated() == members).unwrap()
    }

    /// An address in VLAN 10 on each bond, each in a namespace of the guest.
    fn vlans(&self) {
        for (bond, address) in [("bond0", "10.0.0.1/24"), ("bond1", "10.0.0.2/24")] {
            let interface = self.guest.vlan(bond, 10, None).unwrap();
            let inside = format!("ip -n {bond}");
            self.guest
                .sh(&format!(
                    "ip netns add {bond}
                     ip link set {interface} netns {bond}
                     {inside} link set {interface} up
                     {inside} address add {address} dev {interface}"
                ))
                .unwrap();
        }
    }

    fn ping(&self) {
        self.guest.sh("ip netns exec bond0 /usr/bin/ping -c 3 -i 0.2 -w 10 10.0.0.2").unwrap();
    }
}

#[test]
fn two_bonds_agree_and_carry_vlans_and_again_after_a_restart() {
    let rig = Rig::boot();
    for _ in 0..2 {
        let (bond0, bond1) = rig.bonds();
        let (one, other) = (bond0.aggregator.unwrap(), bond1.aggregator.unwrap());
        assert_eq!((one.ports, one.partner_mac), (2, rig.guest.mac(2)));
        assert_eq!((other.ports, other.partner_mac), (2, rig.guest.mac(0)));
        let lacp = bond1.member("eth3").unwrap().lacp.unwrap();
        assert_eq!((lacp.partner.port, lacp.partner.system_mac), (2, rig.guest.mac(0)));
        assert!(lacp.actor.state.short_timeout() && lacp.partner.state.active());
        assert_ne!(lacp.actor_churn, Churn::Churned);
        rig.vlans();
        rig.ping();
        rig.guest.restart().unwrap();
        assert!(rig.guest.bond_status("bond0").is_err(), "a bond has survived a restart");
    }
}

#[test]
fn a_cut_of_one_direction_is_seen_by_silence_and_a_carrier_at_once() {
    let rig = Rig::boot();
    rig.bonds();
    rig.vlans();

    // NIC 2 hears nothing, and says so to NIC 0, whose carrier is there.
    rig.guest.pass(2, Way::ToGuest, Pass::Nothing);
    rig.wait("bond1", &["eth3"]);
    // The standard lets the other end send until it hears that its partner is out of sync, or
    // nothing more (6.4.15); only then data takes the other member.
    let alone = |bond: &BondStatus| bond.distributing() == ["eth1"];
    let bond0 = rig.guest.wait_bond("bond0", NEGOTIATION, alone).unwrap();
    assert!(bond0.member("eth0").unwrap().up);
    assert!(rig.guest.counters(2, Way::ToGuest).stopped > 0);
    assert_eq!(rig.guest.counters(2, Way::FromGuest).stopped, 0);
    rig.ping();
    rig.guest.pass(2, Way::ToGuest, Pass::AllButSlow);
    rig.guest.pass(3, Way::ToGuest, Pass::OnlySlow);
    rig.wait("bond1", &["eth3"]);
    rig.guest.pass(2, Way::ToGuest, Pass::All);
    rig.guest.pass(3, Way::ToGuest, Pass::All);
    rig.wait("bond1", &["eth2", "eth3"]);
    rig.wait("bond0", &["eth0", "eth1"]);

    // The guest's end alone, then the cable.
    rig.guest.set_carrier(0, End::Guest, false).unwrap();
    let bond0 = rig.guest.wait_bond("bond0", SOON, |b| !b.member("eth0").unwrap().up).unwrap();
    assert_eq!(bond0.member("eth0").unwrap().link_failures, 1);
    // The other end still has its carrier, and finds out by the silence.
    assert!(link::has_carrier(&rig.wires, "b0"));
    let alone = |bond: &BondStatus| bond.distributing() == ["eth3"];
    rig.guest.wait_bond("bond1", NEGOTIATION, alone).unwrap();
    rig.ping();
    rig.guest.set_carrier(0, End::Lab, false).unwrap();
    assert!(!link::has_carrier(&rig.wires, "b0"));
    rig.guest.set_carrier(0, End::Both, true).unwrap();
    rig.wait("bond0", &["eth0", "eth1"]);
    rig.wait("bond1", &["eth2", "eth3"]);
    rig.ping();
}

#[test]
fn members_leave_come_and_move_and_a_partner_may_be_passive() {
    let rig = Rig::boot();
    rig.bonds();
    rig.guest.remove_member("bond0", 1).unwrap();
    rig.wait("bond1", &["eth2"]);
    rig.guest.add_member("bond0", 1).unwrap();
    rig.wait("bond1", &["eth2", "eth3"]);

    // Wires changed at one end: port 2 of the partner now comes by eth2, port 1 by eth3.
    let partner_port = |bond: &BondStatus, name: &str| {
        bond.member(name).and_then(|member| member.lacp).map(|lacp| lacp.partner.port)
    };
    rig.guest.unplug(2).unwrap();
    rig.guest.plug(3, &rig.wires, "b0").unwrap();
    rig.guest.plug(2, &rig.wires, "b1").unwrap();
    rig.guest
        .wait_bond("bond1", NEGOTIATION, |bond| {
            partner_port(bond, "eth2") == Some(2)
                && partner_port(bond, "eth3") == Some(1)
                && bond.aggregated().len() == 2
        })
        .unwrap();

    // A held guest answers when it goes on.
    rig.guest.pause(true).unwrap();
    rig.guest.pause(false).unwrap();

    rig.guest.set_bond_option("bond0", "lacp_active", "off").unwrap();
    rig.guest
        .wait_bond("bond1", NEGOTIATION, |bond| {
            let passive = |lacp: MemberLacp| !lacp.partner.state.active();
            bond.members.iter().all(|member| member.lacp.is_some_and(passive))
                && bond.aggregated().len() == 2
        })
        .unwrap();
    rig.guest.delete_bond("bond1").unwrap();
    rig.guest.bond(&BondConfig::active_backup("spare", &[2, 3])).unwrap();
    let spare = rig.guest.bond_status("spare").unwrap();
    assert_eq!(spare.active_member.as_deref(), Some("eth2"));
    rig.guest.set_carrier(2, End::Guest, false).unwrap();
    let moved = |bond: &BondStatus| bond.active_member.as_deref() == Some("eth3");
    rig.guest.wait_bond("spare", SOON, moved).unwrap();
}

#[test]
fn commands_programs_and_modules_are_as_asked_for() {
    let config = GuestConfig::new("tools").loose_nic().mtu(9000);
    let guest = Guest::boot(config.module("bridge").module("veth").program("ethtool")).unwrap();
    let output = guest.run("echo out; echo error >&2; false; (exit 3)").unwrap();
    assert_eq!((output.code, &*output.stdout, &*output.stderr), (3, "out\n", "error\n"));
    let error = guest.sh("echo before\nfalse\necho behind").unwrap_err().to_string();
    assert!(error.contains("exit code 1") && !error.contains("behind\n"), "{error}");
    let late = guest.run_for("sleep 60", Duration::from_secs(1)).unwrap();
    assert_eq!(late.code, 137);
    let long = guest.sh("seq 1 20000").unwrap();
    assert!(long.ends_with("\n20000\n") && long.len() > 100_000, "{}", long.len());
    assert!(guest.sh("ip -V").unwrap().contains("iproute2"));
    assert!(guest.sh("ethtool -k eth0").unwrap().contains("tx-checksumming: off"));
    assert!(guest.sh("ip link show eth0").unwrap().contains("mtu 9000"));
    guest.sh("ip link add br0 type bridge; ip link add v0 type veth peer name v1").unwrap();
    let error = guest.bond(&BondConfig::lacp("bond0", &[7])).unwrap_err().to_string();
    assert!(error.contains("eth7") && error.contains("kernel:"), "{error}");
    assert!(guest.set_carrier(0, End::Lab, false).is_err());
    let carrier = || guest.sh("cat /sys/class/net/eth0/carrier").unwrap();
    assert_eq!(carrier(), "1\n");
    guest.set_carrier(0, End::Guest, false).unwrap();
    guest.restart().unwrap();
    assert_eq!(carrier(), "0\n");
}

#[test]
fn a_boot_that_fails_shows_the_console() {
    let config = GuestConfig::new("broken").module("bonding").module("garp").module("veth oops=1");
    // An unknown parameter is only warned about, a bad value of a known one is an error.
    assert!(Guest::boot(config).unwrap().console().contains("unknown parameter 'oops'"));
    let config = GuestConfig::new("broken").module("bridge").module("tun").module("bonding_x");
    let error = Guest::boot(config).unwrap_err().to_string();
    assert!(error.contains("no module `bonding_x`"), "{error}");
    let config = GuestConfig::new("broken").module("nf_conntrack expect_hashsize=none");
    let error = Guest::boot(config).unwrap_err().to_string();
    assert!(
        error.contains("cannot load module nf_conntrack") && error.contains("end of the console")
    );
}
