//! Every mistake in a topology file has its message; the examples of the repository are right.

use std::path::PathBuf;

use proto::VlanId;

use super::*;

const SMALL: &str = "
name: small
mgmt: { ipv4-subnet: 192.168.99.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    tor:
      kind: switch
      ports: { e1: { trunk: [10, 20], native: 10 }, e2: { access: 10 } }
    vm1:
      kind: vm
      host: h1
      gateway: 10.0.0.1
      routes: [ { to: 10.9.0.0/16, via: 10.0.0.9 } ]
      nics: [ { name: eth0, profile: WEB, address: 10.0.0.2/24, mac: '02:00:00:00:00:01' } ]
    desk: { kind: pc, nics: [ { name: eth0, address: 10.0.0.3/24 } ] }
  links:
    - endpoints: [ 'h1:eth1', 'tor:e1' ]
    - endpoints: [ 'desk:eth0', 'tor:e2' ]
      mtu: 9000
    - endpoints: [ 'h1:eth2', 'tor:e3' ]
";

/// The problems of [`SMALL`] with one text replaced by another.
fn problems(from: &str, to: &str) -> String {
    assert!(SMALL.contains(from), "`{from}` is not in the file");
    Topology::parse(&SMALL.replace(from, to)).unwrap_err().join("; ")
}

#[test]
fn a_good_file_is_read_whole() {
    let topology = Topology::parse(SMALL).unwrap();
    let vlan = |vid: u16| VlanId::new(vid).unwrap();
    assert_eq!(topology.supervisor.as_deref(), Some("vsm"));
    assert_eq!(topology.mgmt.unwrap().address(2), Some(Ipv4Addr::new(192, 168, 99, 2)));
    assert_eq!(topology.mgmt.unwrap().address(255), None);
    assert_eq!(topology.hosts["h1"].uplinks, ["eth1", "eth2"]);
    let ports = &topology.switches["tor"].ports;
    let trunk = PortMode::Trunk { allowed: [vlan(10), vlan(20)].into(), native: Some(vlan(10)) };
    assert_eq!(ports["e1"], trunk);
    assert_eq!(ports["e3"], PortMode::Access(vlan(1)));
    assert_eq!(topology.links[1].mtu, 9000);
    let vm = &topology.vms["vm1"];
    assert_eq!((vm.host.as_str(), vm.profiles[0].as_str()), ("h1", "WEB"));
    assert_eq!(vm.system.routes, [("10.9.0.0/16".to_owned(), "10.0.0.9".parse().unwrap())]);
    assert_eq!(topology.endsystem("desk").unwrap().nics[0].addresses, ["10.0.0.3/24"]);
}

#[test]
fn every_mistake_has_its_message() {
    let cases = [
        ("name: small", "name: Small One", "lab `Small One`: a name is 1 to 20"),
        ("192.168.99.0/24", "192.168.99.0", "mgmt: `192.168.99.0` is no IPv4 subnet"),
        ("192.168.99.0/24", "192.168.99.1/24", "192.168.99.1 is not the first address"),
        ("mgmt: { ipv4-subnet: 192.168.99.0/24 }", "", "supervisor `vsm`: needs a management"),
        ("vsm: { kind: supervisor }", "", "mgmt: there is no supervisor"),
        ("h1: { kind: host }", "h1: { kind: host, uuid: x }", "host `h1`: uuid:"),
        ("h1: { kind: host }", "h1: { kind: host, stp: true }", "host `h1`: `stp` is for switch"),
        ("host: h1", "host: h9", "vm `vm1`: there is no host `h9`"),
        ("host: h1", "host: tor", "vm `vm1`: `tor` is a switch, no host"),
        ("host: h1", "", "vm `vm1`: on which `host`?"),
        ("profile: WEB, ", "", "vm `vm1`, nic `eth0`: which `profile`?"),
        ("10.0.0.2/24", "10.0.0.2", "`10.0.0.2` is no address with a prefix length"),
        ("10.0.0.2/24", "10.0.0.2/33", "`10.0.0.2/33` is no address"),
        ("02:00:00:00:00:01", "03:00:00:00:00:01", "mac 03:00:00:00:00:01 cannot be a NIC's"),
        ("02:00:00:00:00:01", "02:00", "mac `02:00`:"),
        ("10.9.0.0/16", "10.9", "vm `vm1`: route to `10.9`: no IP prefix"),
        ("e2: { access: 10 }", "e2: { access: 4095 }", "switch `tor`, port `e2`: "),
        ("e2: { access: 10 }", "e2: { native: 10 }", "port `e2`: say `access: VLAN`"),
        ("e2: { access: 10 }", "e9: { access: 10 }", "port `e9`: no link goes there"),
        ("'h1:eth1', 'tor:e1'", "'h1:eth1', 'tor'", "link 1: `tor` is not `node:interface`"),
        ("'h1:eth1', 'tor:e1'", "'h1:eth1', 'vm1:e1'", "link 1: `vm1` is a vm, which has no"),
        ("'h1:eth1', 'tor:e1'", "'h7:eth1', 'tor:e1'", "link 1: there is no node `h7`"),
        ("'h1:eth1', 'tor:e1'", "'h1:eth1'", "link 1: has 1 endpoints, not 2"),
        ("'h1:eth2', 'tor:e3'", "'h1:eth1', 'tor:e3'", "link 3: `h1:eth1` has a cable already"),
        ("'h1:eth2'", "'h1:mgmt0'", "the lab itself makes an interface `mgmt0`"),
        ("'h1:eth2'", "'h1:a-name-that-is-long'", "an interface name has 1 to 15"),
        ("mtu: 9000", "mtu: 20", "link 2: mtu 20 is not in 68..=65000"),
        ("'desk:eth0'", "'desk:eth7'", "pc `desk`: a link goes to `eth7`, which is no nic"),
        ("'desk:eth0'", "'desk:eth7'", "pc `desk`, nic `eth0`: no link goes there"),
        ("kind: pc, nics: [ {", "kind: pc, nics: [ { profile: A,", "a PC has no profile"),
        ("nics: [ { name: eth0, address: 10.0.0.3/24 } ]", "", "pc `desk`: has no `nics`"),
        ("kind: host }", "kind: hosts }", "unknown variant `hosts`"),
        ("kind: host }", "kind: host, colour: red }", "unknown field `colour`"),
    ];
    for (from, to, expected) in cases {
        let problems = problems(from, to);
        assert!(problems.contains(expected), "`{from}` -> `{to}`:\n{problems}\nnot: {expected}");
    }
}

#[test]
fn all_problems_come_at_once() {
    let text = SMALL.replace("host: h1", "host: h9").replace("mtu: 9000", "mtu: 1");
    let problems = Topology::parse(&text).unwrap_err();
    assert_eq!(problems.len(), 2, "{problems:?}");
}

#[test]
fn hosts_of_different_names_have_different_ids() {
    let text = SMALL.replace("h1: { kind: host }", "h1: { kind: host }\n    h2: { kind: host }");
    let topology = Topology::parse(&text).unwrap();
    assert_ne!(topology.hosts["h1"].uuid, topology.hosts["h2"].uuid);
}

#[test]
fn the_examples_are_right() {
    let examples = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let mut checked = 0;
    for entry in fs::read_dir(examples).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            Topology::load(&path).unwrap();
            checked += 1;
        }
    }
    assert!(checked > 0);
}
