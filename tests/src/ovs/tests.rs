//! Tests of the partner: its answers read, and two of it on the ends of cables that fail.

use std::collections::BTreeSet;
use std::net::IpAddr;

use proto::MacAddr;

use super::*;
use crate::patch::{End, Pass, Patch, Way};
use crate::stream::{Stream, StreamConfig};
use crate::traffic::{ping_once, wait_ping};

/// More than the three seconds after which a silent partner is expired, and the three after that
/// until it is given up.
const FAST: Duration = Duration::from_secs(20);

#[test]
fn lacp_is_read() {
    let text = "---- bond0 ----\n  status: passive negotiated\n  sys_id: aa:50:c6:c6:c0:46\n  \
        sys_priority: 65534\n  aggregation key: 1\n  lacp_time: fast\n\n\
        member: p1: defaulted detached\n  port_id: 1\n  port_priority: 65535\n  \
        may_enable: false\n\n  actor sys_id: aa:50:c6:c6:c0:46\n  actor sys_priority: 65534\n  \
        actor port_id: 1\n  actor port_priority: 65535\n  actor key: 7\n  \
        actor state: timeout aggregation defaulted\n\n  partner sys_id: 00:00:00:00:00:00\n  \
        partner sys_priority: 0\n  partner port_id: 0\n  partner port_priority: 0\n  \
        partner key: 0\n  partner state:\n\n\
        member: p2: current attached\n  port_id: 2\n  port_priority: 65535\n  \
        may_enable: true\n\n  \
        actor sys_id: aa:50:c6:c6:c0:46\n  actor sys_priority: 65534\n  actor port_id: 2\n  \
        actor port_priority: 65535\n  actor key: 1\n  actor state: activity synchronized\n\n  \
        partner sys_id: da:89:f9:d3:80:43\n  partner sys_priority: 100\n  partner port_id: 3\n  \
        partner port_priority: 200\n  partner key: 5\n  partner state: collecting distributing\n";
    let status = show::read_lacp(text).unwrap();
    assert_eq!((status.lacp, status.lacp_time), (Lacp::Passive, LacpTime::Fast));
    assert!(status.negotiated);
    assert_eq!(status.carrying(), ["p2"]);
    let p1 = status.member("p1");
    assert_eq!((p1.receive, p1.attached, p1.actor.key), (Receive::Defaulted, false, 7));
    assert!(p1.actor.has(LacpFlag::Defaulted) && p1.partner.state.is_empty());
    let partner = LacpPort {
        system_id: "da:89:f9:d3:80:43".parse().unwrap(),
        system_priority: 100,
        port_id: 3,
        port_priority: 200,
        key: 5,
        state: [LacpFlag::Collecting, LacpFlag::Distributing].into(),
    };
    assert_eq!(status.member("p2").partner, partner);
    for line in ["  actor key: 7\n", "  sys_priority: 65534\n", "  may_enable: false\n"] {
        assert!(show::read_lacp(&text.replacen(line, "", 1)).is_err(), "{line}");
    }
    assert!(show::read_lacp(&text.replace("synchronized", "synchronised")).is_err());
}

#[test]
fn a_bond_and_its_counters_are_read() {
    let text = "---- bond0 ----\nbond_mode: balance-tcp\nlacp_status: configured\n\
        lacp_fallback_ab: true\nactive-backup primary: <none>\n\
        active member mac: b2:fd:fa:67:78:bc(p2)\n\n\
        member p1: disabled\n  may_enable: false\n\n\
        member p2: enabled\n  active member\n  may_enable: true\n  hash 12: 3 kB load\n";
    let status = show::read_bond(text).unwrap();
    assert_eq!((status.mode, status.lacp), (BondMode::BalanceTcp, Negotiation::Configured));
    assert!(status.fallback_ab);
    assert_eq!((status.enabled(), status.active()), (vec!["p2"], Some("p2")));
    let text = "---- bond0 statistics ----\n\nmember: p1:\n  TX PDUs: 6\n  RX PDUs: 5\n  \
        RX Bad PDUs: 1\n  RX Marker Request PDUs: 0\n  Link Expired: 2\n  Link Defaulted: 3\n  \
        Carrier Status Changed: 4\n";
    let expected =
        LacpCounters { sent: 6, received: 5, bad: 1, expired: 2, defaulted: 3, carrier_changes: 4 };
    assert_eq!(show::read_lacp_counters(text, "p1").unwrap(), expected);
    assert!(show::read_lacp_counters(text, "p2").is_err());
}

fn vlan(vid: u16) -> VlanId {
    VlanId::new(vid).unwrap()
}

fn trunk() -> PortMode {
    PortMode::Trunk { allowed: BTreeSet::from([vlan(10), vlan(20)]), native: None }
}

/// Two switches, `p1` and `p2` of the one joined to those of the other.
struct Rig {
    // Field order is drop order.
    a: OpenVswitch,
    b: OpenVswitch,
    cables: [Patch; 2],
    _namespaces: [Namespace; 2],
    _dir: tempfile::TempDir,
}

impl Rig {
    fn new(a: &BondConfig, b: &BondConfig) -> Self {
        let namespaces = ["ovs-a", "ovs-b"].map(|label| Namespace::create(label).unwrap());
        let dir = tempfile::tempdir().unwrap();
        let [left, right] = &namespaces;
        let cables =
            ["p1", "p2"].map(|port| Patch::cable((left, port), (right, port), 1500).unwrap());
        let [left, right] = [(left, a), (right, b)].map(|(namespace, config)| {
            let ovs = OpenVswitch::start(namespace, dir.path()).unwrap();
            ovs.add_bond("bond0", &["p1", "p2"], config).unwrap();
            ovs
        });
        Self { a: left, b: right, cables, _namespaces: namespaces, _dir: dir }
    }

    /// Waits until both sides carry by exactly these members.
    fn wait_carrying(&self, members: &[&str]) {
        for ovs in [&self.a, &self.b] {
            ovs.wait_lacp("bond0", FAST, |lacp| lacp.carrying() == members).unwrap();
        }
    }
}

const A: &str = "10.0.0.1";
const B: &str = "10.0.0.2";

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn two_negotiate_and_carry_tagged_traffic() {
    let system: MacAddr = "02:00:00:00:aa:01".parse().unwrap();
    let active = BondConfig {
        system_id: Some(system),
        system_priority: Some(100),
        ..BondConfig::lacp(trunk())
    };
    let passive = BondConfig {
        lacp: Lacp::Passive,
        lacp_time: LacpTime::Slow,
        mode: BondMode::BalanceSlb,
        ..BondConfig::lacp(trunk())
    };
    let rig = Rig::new(&active, &passive);
    rig.a
        .set_member("p2", &MemberConfig { port_id: Some(77), port_priority: Some(9), key: None })
        .unwrap();
    rig.wait_carrying(&["p1", "p2"]);
    let heard =
        rig.b.wait_lacp("bond0", FAST, |lacp| lacp.member("p2").partner.port_id == 77).unwrap();
    let partner = &heard.member("p2").partner;
    assert_eq!((partner.system_id, partner.system_priority), (system, 100));
    assert_eq!(partner.port_priority, 9);
    assert!(partner.has(LacpFlag::Activity) && partner.has(LacpFlag::Timeout));
    let us = rig.a.lacp("bond0").unwrap();
    assert!(!us.member("p1").partner.has(LacpFlag::Activity));
    assert_eq!(us.member("p1").partner.system_id, heard.system_id);
    let status =
        rig.b.wait_bond("bond0", FAST, |bond| bond.lacp == Negotiation::Negotiated).unwrap();
    assert_eq!((status.mode, status.enabled()), (BondMode::BalanceSlb, vec!["p1", "p2"]));
    assert!(status.active().is_some());
    let a = rig.a.end_host("a", vlan(10), "10.0.0.1/24").unwrap();
    let _b = rig.b.end_host("b", vlan(10), "10.0.0.2/24").unwrap();
    let _c = rig.b.end_host("c", vlan(20), "10.0.0.3/24").unwrap();
    wait_ping(&a, ip(B)).unwrap();
    assert!(!ping_once(&a, ip("10.0.0.3")).unwrap());
}

#[test]
fn a_link_that_is_cut_one_way_leaves_the_bond_and_comes_back() {
    let rig = Rig::new(&BondConfig::lacp(trunk()), &BondConfig::lacp(trunk()));
    rig.wait_carrying(&["p1", "p2"]);
    let a = rig.a.end_host("a", vlan(10), "10.0.0.1/24").unwrap();
    let _b = rig.b.end_host("b", vlan(10), "10.0.0.2/24").unwrap();
    rig.cables[0].set(Way::AToB, Pass::Nothing);
    rig.wait_carrying(&["p2"]);
    let deaf =
        rig.b.wait_lacp("bond0", FAST, |lacp| lacp.member("p1").receive == Receive::Defaulted);
    assert!(deaf.unwrap().member("p1").actor.has(LacpFlag::Defaulted));
    // The other side hears on, and hears that it is not heard.
    assert_eq!(rig.a.lacp("bond0").unwrap().member("p1").receive, Receive::Current);
    assert!(crate::link::has_carrier(rig.a.ns(), "p1"));
    wait_ping(&a, ip(B)).unwrap();
    rig.cables[0].set(Way::AToB, Pass::All);
    rig.wait_carrying(&["p1", "p2"]);
    let counters = rig.b.lacp_counters("bond0", "p1").unwrap();
    assert_eq!((counters.expired, counters.defaulted, counters.bad), (1, 1, 0));
    assert!(counters.sent > 1 && counters.received > 1, "{counters:?}");
    // Silence of LACP alone takes the link as well.
    rig.cables[1].set_both(Pass::AllButSlow);
    rig.wait_carrying(&["p1"]);
    wait_ping(&a, ip(B)).unwrap();
}

#[test]
fn a_lost_carrier_costs_a_few_datagrams_and_no_duplicate() {
    let rig = Rig::new(&BondConfig::lacp(trunk()), &BondConfig::lacp(trunk()));
    rig.wait_carrying(&["p1", "p2"]);
    let a = rig.a.end_host("a", vlan(10), "10.0.0.1/24").unwrap();
    let b = rig.b.end_host("b", vlan(10), "10.0.0.2/24").unwrap();
    wait_ping(&a, ip(B)).unwrap();
    // Each of the two needs half a processor for 20,000 a second.
    let config = StreamConfig { rate_pps: 5_000, ..StreamConfig::default() };
    let stream = Stream::start([(&a, ip(A)), (&b, ip(B))], &config).unwrap();
    stream.wait_received(2_000, FAST).unwrap();
    // It may have put all flows onto the member that was first.
    let used = |index: &usize| rig.cables[*index].counters(Way::AToB).carried;
    let busy = (0..2).max_by_key(used).unwrap();
    let lost = rig.cables[busy].pull(End::A).unwrap();
    stream.wait_received(2_000, FAST).unwrap();
    for report in stream.finish().unwrap() {
        println!("{report}; outage {:?}", report.outage(lost.not_before));
        assert_eq!(report.duplicates, 0, "{report}");
        assert!(report.lost() < report.sent / 2, "{report}");
        assert_eq!(report.lost_before(lost.not_before - Duration::from_millis(100)), 0);
    }
    assert_eq!(rig.a.bond("bond0").unwrap().enabled(), [["p2"], ["p1"]][busy]);
}

#[test]
fn a_member_with_another_key_or_in_another_bond_does_not_join() {
    let rig = Rig::new(&BondConfig::lacp(trunk()), &BondConfig::lacp(trunk()));
    rig.wait_carrying(&["p1", "p2"]);
    let same = rig.b.lacp("bond0").unwrap();
    rig.b.remove_member("p2").unwrap();
    let config = BondConfig { system_id: Some(same.system_id), ..BondConfig::lacp(trunk()) };
    rig.b.add_bond("bond1", &["p2"], &config).unwrap();
    rig.b.set_member("p2", &MemberConfig { key: Some(999), ..MemberConfig::default() }).unwrap();
    let partner = |lacp: &LacpStatus| lacp.member("p2").partner.clone();
    let status = rig.a.wait_lacp("bond0", FAST, |lacp| partner(lacp).key == 999).unwrap();
    assert_eq!(partner(&status).system_id, same.system_id);
    rig.a.wait_lacp("bond0", FAST, |lacp| lacp.carrying().len() == 1).unwrap();
    let other: MacAddr = "02:00:00:00:bb:02".parse().unwrap();
    rig.b.set_bond("bond1", &BondConfig { system_id: Some(other), ..config }).unwrap();
    rig.b
        .set_member("p2", &MemberConfig { key: Some(same.key), ..MemberConfig::default() })
        .unwrap();
    let stranger = |lacp: &LacpStatus| {
        (partner(lacp).system_id, partner(lacp).key) == (other, same.key)
            && lacp.carrying().len() == 1
    };
    rig.a.wait_lacp("bond0", FAST, stranger).unwrap();
    rig.b.remove_port("bond1").unwrap();
    rig.b.add_member("bond0", "p2").unwrap();
    rig.wait_carrying(&["p1", "p2"]);
}

#[test]
fn a_port_that_moves_to_another_bond_leaves_its_aggregate() {
    let rig = Rig::new(&BondConfig::lacp(trunk()), &BondConfig::lacp(trunk()));
    rig.wait_carrying(&["p1", "p2"]);
    link::cable((rig.b.ns(), "p3"), (rig.b.ns(), "p4"), 1500).unwrap();
    rig.b.add_bond("bond1", &["p3"], &BondConfig::lacp(trunk())).unwrap();
    rig.b.set_member("p3", &MemberConfig { key: Some(33), ..MemberConfig::default() }).unwrap();
    rig.b.move_member("p2", "bond1").unwrap();
    rig.b.set_member("p2", &MemberConfig { key: Some(33), ..MemberConfig::default() }).unwrap();
    let moved = |lacp: &LacpStatus| lacp.member("p2").partner.key == 33;
    // Which of the two partners keeps its link is Open vSwitch's choice: it prefers the one
    // whose partner was in sync when it last looked to the one of better priority.
    rig.a.wait_lacp("bond0", FAST, |lacp| moved(lacp) && lacp.carrying().len() == 1).unwrap();
    assert_eq!(rig.b.lacp("bond1").unwrap().members.len(), 2);
    rig.b.move_member("p2", "bond0").unwrap();
    rig.wait_carrying(&["p1", "p2"]);
}

#[test]
fn a_restart_is_a_negotiation_with_the_same_configuration() {
    let mut rig = Rig::new(&BondConfig::lacp(trunk()), &BondConfig::lacp(trunk()));
    rig.wait_carrying(&["p1", "p2"]);
    let before = rig.b.lacp("bond0").unwrap();
    rig.b.stop_vswitchd().unwrap();
    assert!(rig.b.vswitchd().is_err());
    let alone = rig.a.wait_lacp("bond0", FAST, |lacp| lacp.carrying().is_empty()).unwrap();
    assert!(alone.member("p1").receive != Receive::Current);
    rig.b.start_vswitchd().unwrap();
    rig.wait_carrying(&["p1", "p2"]);
    let after = rig.b.lacp("bond0").unwrap();
    assert_eq!((after.system_id, after.key), (before.system_id, before.key));
    rig.b.vswitchd().unwrap().kill9().unwrap();
    rig.b.start_vswitchd().unwrap();
    rig.wait_carrying(&["p1", "p2"]);
}

#[test]
fn a_bond_without_a_partner_falls_back_or_is_static() {
    let primary = Some("p2".to_owned());
    let fixed = BondConfig {
        primary: primary.clone(),
        ..BondConfig::fixed(BondMode::ActiveBackup, trunk())
    };
    let rig = Rig::new(&BondConfig::lacp(trunk()), &fixed);
    rig.b.wait_bond("bond0", FAST, |bond| bond.active() == Some("p2")).unwrap();
    let status = rig.b.bond("bond0").unwrap();
    assert_eq!((status.mode, status.lacp), (BondMode::ActiveBackup, Negotiation::Off));
    assert!(rig.b.lacp("bond0").is_err());
    let a = rig.a.end_host("a", vlan(10), "10.0.0.1/24").unwrap();
    let _b = rig.b.end_host("b", vlan(10), "10.0.0.2/24").unwrap();
    rig.a.wait_bond("bond0", FAST, |bond| bond.enabled().is_empty()).unwrap();
    assert!(!ping_once(&a, ip(B)).unwrap());
    let config = BondConfig { fallback_ab: true, primary, ..BondConfig::lacp(trunk()) };
    rig.a.set_bond("bond0", &config).unwrap();
    rig.a.wait_bond("bond0", FAST, |bond| bond.fallback_ab && bond.active() == Some("p2")).unwrap();
    wait_ping(&a, ip(B)).unwrap();
}

#[test]
fn what_cannot_be_is_said_and_nothing_is_left() {
    let namespace = Namespace::create("ovs").unwrap();
    let dir = tempfile::tempdir().unwrap();
    let mut ovs = OpenVswitch::start(&namespace, dir.path()).unwrap();
    let error = ovs.add_port("p9", &trunk()).unwrap_err().to_string();
    assert!(error.contains("p9") && error.contains("No such device"), "{error}");
    assert!(ovs.bond("bond9").is_err());
    let pids = [ovs.vswitchd().unwrap().pid(), ovs.database.pid()];
    drop(ovs);
    for pid in pids {
        assert!(!Path::new("/proc").join(pid.to_string()).exists());
    }
}
