//! The lab itself, without any daemon of the product: what it builds carries traffic as the real
//! thing would, and nothing is left of it. Needs root.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tests::lab::Lab;
use tests::netns::Namespace;
use tests::topology::Topology;
use tests::traffic::{iperf3, ping_count, ping_once, tcp_transfer, wait_ping};

/// PCs a and b in VLAN 10, c in VLAN 20 with an address of the same subnet; d behind a second
/// switch, in VLAN 10, over a trunk; e in VLAN 20, to which r routes.
const PCS: &str = "
name: pcs
topology:
  nodes:
    one: { kind: switch, ports: { a: { access: 10 }, b: { access: 10 }, c: { access: 20 },
           e: { access: 20 },
           r0: { access: 10 }, r1: { access: 20 }, up: { trunk: [10, 20] } } }
    two: { kind: switch, ports: { d: { access: 10 }, up: { trunk: [10, 20] } } }
    a: { kind: pc, gateway: 10.0.0.9, nics: [ { name: eth0, address: 10.0.0.1/24 } ] }
    b: { kind: pc, nics: [ { name: eth0, addresses: [ 10.0.0.2/24, '2001:db8::2/64' ] } ] }
    c: { kind: pc, nics: [ { name: eth0, address: 10.0.0.3/24 } ] }
    e: { kind: pc, gateway: 10.1.0.9, nics: [ { name: eth0, address: 10.1.0.5/24 } ] }
    d: { kind: pc, nics: [ { name: eth0, addresses: [ 10.0.0.4/24, '2001:db8::4/64' ] } ] }
    r: { kind: pc, forward: true, nics: [ { name: eth0, address: 10.0.0.9/24 },
                                          { name: eth1, address: 10.1.0.9/24 } ] }
  links:
    - endpoints: [ 'a:eth0', 'one:a' ]
    - endpoints: [ 'b:eth0', 'one:b' ]
    - endpoints: [ 'c:eth0', 'one:c' ]
    - endpoints: [ 'd:eth0', 'two:d' ]
    - endpoints: [ 'e:eth0', 'one:e' ]
    - endpoints: [ 'r:eth0', 'one:r0' ]
    - endpoints: [ 'r:eth1', 'one:r1' ]
    - endpoints: [ 'one:up', 'two:up' ]
";

fn lab() -> Lab {
    Lab::build(Topology::parse(PCS).unwrap()).unwrap()
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

#[test]
fn pcs_of_one_vlan_reach_each_other_and_those_of_another_do_not() {
    let lab = lab();
    let a = lab.ns("a").unwrap();
    wait_ping(a, ip("10.0.0.2")).unwrap();
    assert!(!ping_once(a, ip("10.0.0.3")).unwrap());
    assert_eq!(ping_count(a, ip("10.0.0.2"), 5).unwrap(), 5);
    assert_eq!(lab.switch("one").unwrap().moves(), 0);
}

#[test]
fn a_trunk_joins_two_switches() {
    let lab = lab();
    wait_ping(lab.ns("a").unwrap(), ip("10.0.0.4")).unwrap();
    wait_ping(lab.ns("b").unwrap(), ip("2001:db8::4")).unwrap();
    assert!(lab.switch("two").unwrap().counters("up").unwrap().received > 0);
}

#[test]
fn a_router_joins_two_vlans() {
    let lab = lab();
    wait_ping(lab.ns("a").unwrap(), ip("10.1.0.5")).unwrap();
}

#[test]
fn tcp_content_crosses_two_switches_whole() {
    let lab = lab();
    let (a, d) = (lab.ns("a").unwrap(), lab.ns("d").unwrap());
    let address: SocketAddr = "10.0.0.4:7000".parse().unwrap();
    tcp_transfer(a, (d, address), 10_000_000, 1).unwrap();
    let measured = iperf3(a, (d, ip("10.0.0.4")), Duration::from_secs(1), lab.dir()).unwrap();
    println!("PC to PC over two switches: {measured:?}");
    // Far below what it does, far above what a switch that loses frames would leave of TCP.
    assert!(measured.bits_per_sec > 50e6, "{measured:?}");
}

#[test]
fn nothing_is_left_of_a_lab() {
    let lab = lab();
    let paths: Vec<_> = lab.nodes().map(|(_, namespace)| namespace.path()).collect();
    let dir = lab.dir().to_owned();
    assert!(paths.iter().all(|path| path.exists()) && dir.exists());
    drop(lab);
    assert!(!paths.iter().any(|path| path.exists()) && !dir.exists());
}

#[test]
fn a_name_that_is_not_there_is_answered_with_those_that_are() {
    let error = lab().ns("z").unwrap_err().to_string();
    assert_eq!(error, "no node `z` in this lab; there are: a, b, c, d, e, one, r, two");
}

#[test]
fn a_lab_around_a_namespace_takes_its_own_things_out_of_it() {
    const HOST: &str = "
name: around
mgmt: { ipv4-subnet: 192.168.92.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
";
    let mine = Namespace::create("mine").unwrap();
    let links = || mine.ip("-br link").unwrap().lines().count();
    let before = links();
    let lab = Lab::build_around(Topology::parse(HOST).unwrap(), &[("h1", &mine)]).unwrap();
    assert_eq!(lab.ns("h1").unwrap().name(), mine.name());
    assert_eq!(links(), before + 1);
    wait_ping(lab.ns("vsm").unwrap(), lab.management_address("h1").unwrap().into()).unwrap();
    drop(lab);
    assert_eq!(links(), before);
}
