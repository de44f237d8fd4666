use super::*;

/// Two members that agree with their partner, as Linux 6.1 prints it, with a third that nobody has
/// spoken to.
const LACP: &str = "\
Ethernet Channel Bonding Driver: v6.1.0-56-cloud-amd64

Bonding Mode: IEEE 802.3ad Dynamic link aggregation
Transmit Hash Policy: layer2 (0)
MII Status: up
MII Polling Interval (ms): 100
Up Delay (ms): 0
Down Delay (ms): 0
Peer Notification Delay (ms): 0

802.3ad info
LACP active: on
LACP rate: fast
Min links: 0
Aggregator selection policy (ad_select): stable
System priority: 65535
System MAC address: 02:67:00:00:00:00
Active Aggregator Info:
\tAggregator ID: 1
\tNumber of ports: 1
\tActor Key: 15
\tPartner Key: 16
\tPartner Mac Address: 02:67:00:00:00:02

Slave Interface: eth0
MII Status: up
Speed: 10000 Mbps
Duplex: full
Link Failure Count: 0
Permanent HW addr: 02:67:00:00:00:00
Slave queue ID: 0
Aggregator ID: 1
Actor Churn State: none
Partner Churn State: monitoring
Actor Churned Count: 0
Partner Churned Count: 0
details actor lacp pdu:
    system priority: 65535
    system mac address: 02:67:00:00:00:00
    port key: 15
    port priority: 255
    port number: 1
    port state: 63
details partner lacp pdu:
    system priority: 32768
    system mac address: 02:67:00:00:00:02
    oper key: 16
    port priority: 254
    port number: 7
    port state: 61

Slave Interface: eth1
MII Status: down
Speed: 10000 Mbps
Duplex: full
Link Failure Count: 3
Permanent HW addr: 02:67:00:00:00:01
Slave queue ID: 0
Aggregator ID: 2
Actor Churn State: churned
Partner Churn State: churned
Actor Churned Count: 1
Partner Churned Count: 1
details actor lacp pdu:
    system priority: 65535
    system mac address: 02:67:00:00:00:00
    port key: 15
    port priority: 255
    port number: 2
    port state: 79
details partner lacp pdu:
    system priority: 65535
    system mac address: 00:00:00:00:00:00
    oper key: 1
    port priority: 255
    port number: 1
    port state: 1
";

fn mac(last: u8) -> MacAddr {
    MacAddr::new([0x02, 0x67, 0, 0, 0, last])
}

#[test]
fn every_field_of_a_bond_by_lacp_is_read() {
    let bond = BondStatus::parse(LACP).unwrap();
    assert_eq!(bond.mode, "IEEE 802.3ad Dynamic link aggregation");
    assert!(bond.up);
    let aggregator =
        Aggregator { id: 1, ports: 1, actor_key: 15, partner_key: 16, partner_mac: mac(2) };
    assert_eq!(bond.aggregator, Some(aggregator));
    let expected = Member {
        name: "eth0".to_owned(),
        up: true,
        link_failures: 0,
        lacp: Some(MemberLacp {
            aggregator: 1,
            actor_churn: Churn::None,
            partner_churn: Churn::Monitoring,
            actor: LacpParty {
                system_priority: 65535,
                system_mac: mac(0),
                key: 15,
                port_priority: 255,
                port: 1,
                state: PortState(63),
            },
            partner: LacpParty {
                system_priority: 32768,
                system_mac: mac(2),
                key: 16,
                port_priority: 254,
                port: 7,
                state: PortState(61),
            },
        }),
    };
    assert_eq!(bond.member("eth0"), Some(&expected));
    let silent = bond.member("eth1").unwrap();
    assert_eq!((silent.up, silent.link_failures), (false, 3));
    assert!(silent.lacp.unwrap().actor.state.defaulted());
    assert_eq!((bond.aggregated(), bond.distributing()), (vec!["eth0"], vec!["eth0"]));
    let deaf = BondStatus::parse(&LACP.replacen("port state: 61", "port state: 13", 1)).unwrap();
    assert_eq!((deaf.aggregated(), deaf.distributing()), (vec![], vec!["eth0"]));
}

#[test]
fn a_member_counts_only_while_both_sides_agree() {
    let aggregated = |from: &str, to: &str| {
        let text = LACP.replacen(from, to, 1);
        assert_ne!(text, LACP, "{from}");
        BondStatus::parse(&text).unwrap().aggregated().len()
    };
    assert_eq!(aggregated("Link Failure Count: 0", "Link Failure Count: 9"), 1);
    // Not distributing; partner defaulted, expired; partner not in sync; not collecting.
    for state in [31, 63 + 64, 63 + 128] {
        assert_eq!(aggregated("port state: 63", &format!("port state: {state}")), 0, "{state}");
    }
    for state in [61 - 8, 61 - 16] {
        assert_eq!(aggregated("port state: 61", &format!("port state: {state}")), 0, "{state}");
    }
}

#[test]
fn a_bond_without_lacp_has_no_aggregator() {
    let text = "\
Bonding Mode: fault-tolerance (active-backup)
Primary Slave: None
Currently Active Slave: eth1
MII Status: up

Slave Interface: eth0
MII Status: going back
Link Failure Count: 1

Slave Interface: eth1
MII Status: up
Link Failure Count: 0
";
    let bond = BondStatus::parse(text).unwrap();
    assert_eq!(bond.active_member.as_deref(), Some("eth1"));
    assert_eq!((bond.aggregator, bond.members.len()), (None, 2));
    assert_eq!((bond.members[0].up, bond.members[0].lacp), (false, None));
    let none = text.replace("Slave: eth1", "Slave: None");
    assert_eq!(BondStatus::parse(&none).unwrap().active_member, None);
}

#[test]
fn what_is_missing_or_odd_is_said() {
    let missing = BondStatus::parse("").unwrap_err();
    assert!(missing.contains("no line `Bonding Mode`"), "{missing}");
    let odd = BondStatus::parse(&LACP.replace("port number: 7", "port number: x")).unwrap_err();
    assert!(odd.contains("bad value `x` of `partner port number`"), "{odd}");
}

#[test]
fn states_are_shown_by_their_names() {
    let shown = format!("{:?}", PortState(0x85));
    assert_eq!(shown, r#"{"activity", "aggregation", "expired"}"#);
}
