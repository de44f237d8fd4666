//! The network that the end-to-end tests of daemons and configuration run in: two hosts with two
//! uplinks each, a physical switch, VMs in two VLANs.
//!
//! | VM | host | VLAN | address | what is special |
//! |---|---|---|---|---|
//! | `a` | `h1` | 10 | 10.1.10.1 | |
//! | `b` | `h1` | 10 | 10.1.10.2 | may not ping `c`: access list `NO-PING-TO-C` |
//! | `c` | `h2` | 10 | 10.1.10.3 | |
//! | `d` | `h1` | 20 | 10.1.20.4 | |
//! | `e` | `h2` | 20 | 10.1.20.5 | |
//!
//! *Where it sits:* above [`crate::checks`]. Its functions panic instead of returning an error: then
//! the test fails with the daemons' logs and status on stderr ([`Watched`]).

use std::net::{IpAddr, Ipv4Addr};
use std::ops::{Deref, DerefMut};

use proto::MacAddr;
use serde_json::Value;

use crate::checks::Watched;
use crate::daemons::rows;
use crate::lab::Lab;
use crate::netns::Namespace;
use crate::pinger::Pinger;
use crate::topology::Topology;
use crate::traffic::wait_ping;
use crate::wait::{SOON, wait_for_ok};

/// The network.
const TOPOLOGY: &str = "
name: site
mgmt: { ipv4-subnet: 192.168.90.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    h2: { kind: host }
    tor:
      kind: switch
      ports:
        h1-1: { trunk: [10, 20] }
        h1-2: { trunk: [10, 20] }
        h2-1: { trunk: [10, 20] }
        h2-2: { trunk: [10, 20] }
    a: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-10, address: 10.1.10.1/24 } ] }
    b: { kind: vm, host: h1, nics: [ { name: eth0, profile: GUARDED, address: 10.1.10.2/24 } ] }
    c: { kind: vm, host: h2, nics: [ { name: eth0, profile: LAN-10, address: 10.1.10.3/24 } ] }
    d: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN-20, address: 10.1.20.4/24 } ] }
    e: { kind: vm, host: h2, nics: [ { name: eth0, profile: LAN-20, address: 10.1.20.5/24 } ] }
  links:
    - endpoints: [ 'h1:eth1', 'tor:h1-1' ]
    - endpoints: [ 'h1:eth2', 'tor:h1-2' ]
    - endpoints: [ 'h2:eth1', 'tor:h2-1' ]
    - endpoints: [ 'h2:eth2', 'tor:h2-2' ]
";

/// Its configuration, as `show running-config` has it.
pub const CONFIG: &str = "
vlan 10,20
ip access-list NO-PING-TO-C
  10 deny icmp any host 10.1.10.3
  20 permit ip any any
port-profile type vethernet LAN-10
  switchport access vlan 10
  state enabled
port-profile type vethernet GUARDED
  inherit port-profile LAN-10
  ip port access-group NO-PING-TO-C in
  state enabled
port-profile type vethernet LAN-20
  switchport access vlan 20
  state enabled
port-profile type ethernet UPLINK
  switchport mode trunk
  switchport trunk allowed vlan 10,20
  channel-group auto mode on mac-pinning
  state enabled
interface Ethernet3/1-2
  inherit port-profile UPLINK
interface Ethernet4/1-2
  inherit port-profile UPLINK
";

/// The VMs, in the order in which they are plugged in: `a` is Vethernet1.
pub const VMS: [&str; 5] = ["a", "b", "c", "d", "e"];

/// The network with the product running in it.
#[derive(Debug)]
pub struct Site(Watched);

/// An uplink of a host, under its three names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uplink {
    /// As the switch calls it: `Ethernet3/1`.
    pub name: String,
    /// As the host calls it: `eth1`.
    pub nic: String,
    /// The port of the physical switch at the other end: `h1-1`.
    pub switch_port: String,
}

impl Site {
    /// Builds it, applies [`CONFIG`] and plugs all VMs in; returns when every port is up and the
    /// supervisor knows.
    ///
    /// # Panics
    /// When anything of this fails; so all functions here.
    pub fn start() -> Self {
        let site = Self::start_empty();
        site.apply_text(CONFIG).expect("the configuration is applied");
        for vm in VMS {
            site.attach(vm).expect("the VM is plugged in");
        }
        site.wait_all_up();
        site
    }

    /// Builds it, with daemons that have no configuration.
    pub fn start_empty() -> Self {
        let topology = Topology::parse(TOPOLOGY).expect("a good topology");
        let lab = Lab::build(topology).expect("a lab");
        Self(Watched::start(lab).expect("the product runs"))
    }

    /// Waits until `show interface` says of every port that it is up.
    pub fn wait_all_up(&self) {
        wait_for_ok("every port to be up", SOON, || {
            let table = self.show("interface").map_err(|error| error.to_string())?;
            let down = rows(&table).find(|row| row["status"] != "up");
            down.map_or(Ok(()), |row| Err(row.to_string()))
        })
        .expect("every port comes up");
    }

    /// Namespace of a node.
    pub fn ns(&self, node: &str) -> &Namespace {
        self.lab().ns(node).expect("a node of the site")
    }

    /// Host of a VM.
    pub fn host_of(&self, vm: &str) -> &str {
        &self.lab().topology().vms[vm].host
    }

    /// The row of `show interface` for the vEthernet of a VM.
    pub fn vnic(&self, vm: &str) -> Value {
        let table = self.show("interface").expect("show interface");
        let row = rows(&table).find(|row| row["owner"] == vm).cloned();
        row.unwrap_or_else(|| panic!("no vEthernet of {vm}: {table:#}"))
    }

    /// Name of the vEthernet of a VM, and its address.
    pub fn identity(&self, vm: &str) -> (String, MacAddr) {
        let row = self.vnic(vm);
        let field = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        (field("name"), field("mac").parse().expect("a MAC address"))
    }

    /// A port in the status of a host, found by its VM or NIC.
    pub fn port(&self, host: &str, owner: &str) -> Value {
        let status = self.status(host).expect("the dataplane answers");
        let is_it = |port: &&Value| {
            let is_uplink = port["vm"] == "" && port["adapter"] == owner;
            port["vm"] == owner || is_uplink
        };
        let port = rows(&status["ports"]).find(is_it).cloned();
        port.unwrap_or_else(|| panic!("no port of {owner} on {host}: {status:#}"))
    }

    /// Waits until a port in the status of a host is up, or down.
    pub fn wait_link(&self, host: &str, owner: &str, up: bool) {
        wait_for_ok(format!("{owner} to have link_up = {up}"), SOON, || {
            let port = self.port(host, owner);
            if port["link_up"] == up { Ok(()) } else { Err(port.to_string()) }
        })
        .expect("the link changes");
    }

    /// The uplink that a VM sends by, as `show interface` has it.
    pub fn uplink_of(&self, vm: &str) -> Uplink {
        let name = self.vnic(vm)["pinned_to"].as_str().unwrap_or_default().to_owned();
        let (_, number) = name.split_once('/').unwrap_or_else(|| panic!("{vm} has no uplink"));
        let (nic, switch_port) = (format!("eth{number}"), format!("{}-{number}", self.host_of(vm)));
        Uplink { name, nic, switch_port }
    }

    /// Waits until `show interface` has a VM on another uplink than this one, and gives it.
    pub fn wait_moved(&self, vm: &str, from: &Uplink) -> Uplink {
        wait_for_ok(format!("{vm} to leave {}", from.name), SOON, || {
            match self.vnic(vm)["pinned_to"].as_str() {
                Some(now) if !now.is_empty() && now != from.name => Ok(()),
                other => Err(format!("{other:?}")),
            }
        })
        .expect("the pin moves");
        self.uplink_of(vm)
    }

    /// Waits for an event of this kind of this port, and gives its message.
    pub fn wait_event(&self, kind: &str, port: &str) -> String {
        wait_for_ok(format!("event {kind} of {port}"), SOON, || {
            let table = self.show("events").map_err(|error| error.to_string())?;
            let event = rows(&table).find(|event| event["kind"] == kind && event["port"] == port);
            let message = event.and_then(|event| event["message"].as_str());
            message.map(str::to_owned).ok_or_else(|| table.to_string())
        })
        .expect("the event comes")
    }

    /// Pings without end from one VM to another.
    pub fn pinger(&self, from: &str, to: &str) -> Pinger {
        Pinger::start(self.ns(from), ip(to), self.lab().dir()).expect("an answer")
    }

    /// Checks that one VM reaches another.
    pub fn assert_reaches(&self, from: &str, to: &str) {
        wait_ping(self.ns(from), ip(to)).expect("an answer");
    }

    /// Checks that both hosts run and frames of all their ports are conserved.
    pub fn assert_healthy(&mut self) {
        self.check_running().expect("all daemons run");
        for host in ["h1", "h2"] {
            self.wait_conserved(host).expect("frames are conserved");
        }
    }
}

impl Deref for Site {
    type Target = Watched;

    fn deref(&self) -> &Watched {
        &self.0
    }
}

impl DerefMut for Site {
    fn deref_mut(&mut self) -> &mut Watched {
        &mut self.0
    }
}

/// Address of a VM.
///
/// # Panics
/// When there is no such VM.
pub fn ip(vm: &str) -> IpAddr {
    let index = VMS.iter().position(|name| *name == vm).expect("a VM of the site");
    let last = u8::try_from(index + 1).expect("few VMs");
    IpAddr::V4(Ipv4Addr::new(10, 1, if last < 4 { 10 } else { 20 }, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_those_of_the_topology() {
        let topology = Topology::parse(TOPOLOGY).unwrap();
        assert_eq!(topology.vms.len(), VMS.len());
        for (name, vm) in &topology.vms {
            assert_eq!(vm.system.nics[0].addresses, [format!("{}/24", ip(name))]);
        }
    }
}
