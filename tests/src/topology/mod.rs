//! What a lab consists of: a YAML file in the manner of containerlab.
//!
//! ```yaml
//! name: small
//! mgmt:
//!   ipv4-subnet: 192.168.99.0/24        # supervisor .1, hosts .2, .3, ... by name
//! topology:
//!   nodes:
//!     vsm:  { kind: supervisor }
//!     h1:   { kind: host }               # runs a dataplane; its links are its uplinks
//!     tor:  { kind: switch, stp: false, ports: { e1: { trunk: [10, 20] }, e2: { access: 10 } } }
//!     vm1:  { kind: vm, host: h1, gateway: 10.0.0.1,
//!             nics: [ { name: eth0, profile: WEB, address: 10.0.0.2/24 } ] }
//!     desk: { kind: pc, nics: [ { name: eth0, address: 10.0.0.3/24 } ] }
//!   links:
//!     - endpoints: [ "h1:eth1", "tor:e1" ]
//!     - endpoints: [ "desk:eth0", "tor:e2" ]
//!       mtu: 9000                        # default 1500
//! ```
//!
//! *Where it sits:* read by the `lab` program, the demo and the tests; built by
//! [`crate::lab::Lab`]. A [`Topology`] has been checked: every name in it exists and fits.
//!
//! *Not here:* what the switch is told (`examples/*.cfg`, the product's language).

mod check;
pub(crate) use check::MGMT_INTERFACE;
mod file;

use std::collections::BTreeMap;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use proto::{HostId, MacAddr};

use crate::error::{LabError, Result};
use crate::switch::PortMode;

/// A network to build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topology {
    /// Name of the lab: lower-case letters, digits and hyphens, at most 20.
    pub name: String,
    /// Management network; there is one exactly when there is a supervisor.
    pub mgmt: Option<Subnet>,
    /// Name of the supervisor's node.
    pub supervisor: Option<String>,
    /// Hosts, in the order of their names, which is the order in which they get module numbers.
    pub hosts: BTreeMap<String, Host>,
    /// Physical switches.
    pub switches: BTreeMap<String, Switch>,
    /// VMs, routers among them.
    pub vms: BTreeMap<String, Vm>,
    /// Physical PCs.
    pub pcs: BTreeMap<String, Endsystem>,
    /// Cables.
    pub links: Vec<Link>,
}

/// An IPv4 network with the length of its prefix.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Subnet {
    /// Network address.
    pub network: Ipv4Addr,
    /// 8..=29.
    pub prefix_len: u8,
}

impl Subnet {
    /// The n-th address of the network; `None` when it does not have that many.
    pub fn address(self, n: u32) -> Option<Ipv4Addr> {
        let size = 1_u32 << (32 - u32::from(self.prefix_len));
        (n > 0 && n < size - 1).then(|| Ipv4Addr::from(u32::from(self.network) + n))
    }
}

/// A hypervisor host: runs one dataplane.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Identity of the module; made of the host's name when the file says none.
    pub uuid: HostId,
    /// Interfaces that are uplinks, in the order of the links: the first is NIC 1.
    pub uplinks: Vec<String>,
}

/// A physical switch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// Whether it speaks spanning tree.
    pub stp: bool,
    /// Ports that have a cable; one that the file does not configure is access VLAN 1.
    pub ports: BTreeMap<String, PortMode>,
}

/// A VM: its NICs hang on the dataplane of its host.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vm {
    /// Name of its host.
    pub host: String,
    /// Port-profile of each NIC of `system`, in the same order.
    pub profiles: Vec<String>,
    /// What runs in it.
    pub system: Endsystem,
}

/// The IP side of a VM or PC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endsystem {
    /// Its interfaces.
    pub nics: Vec<Nic>,
    /// Next hop of everything else.
    pub gateway: Option<IpAddr>,
    /// Further routes: prefix and next hop.
    pub routes: Vec<(String, IpAddr)>,
    /// Whether it forwards between its NICs: a router.
    pub forward: bool,
}

/// An interface of a VM or PC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Nic {
    /// Name inside.
    pub name: String,
    /// Its MAC, when it may not be allotted.
    pub mac: Option<MacAddr>,
    /// Addresses with prefix length.
    pub addresses: Vec<String>,
    /// MTU in bytes, when not 1500.
    pub mtu: Option<u16>,
}

/// One end of a cable.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Endpoint {
    /// Name of the node.
    pub node: String,
    /// Name of the interface.
    pub interface: String,
}

/// A cable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its two ends.
    pub ends: [Endpoint; 2],
    /// MTU in bytes.
    pub mtu: u16,
}

impl Topology {
    /// Reads and checks a file.
    ///
    /// # Errors
    /// [`LabError::Topology`] with every problem found.
    pub fn load(path: &Path) -> Result<Self> {
        let name = path.display().to_string();
        let text = fs::read_to_string(path).map_err(LabError::io(format!("cannot read {name}")))?;
        Self::parse(&text).map_err(|problems| LabError::Topology { file: name, problems })
    }

    /// Reads and checks a text, for tests that bring their own network.
    ///
    /// # Errors
    /// Every problem found, one a line.
    pub fn parse(text: &str) -> Result<Self, Vec<String>> {
        let file = serde_saphyr::from_str(text).map_err(|error| vec![error.to_string()])?;
        check::check(file)
    }

    /// The IP side of a VM or PC.
    pub fn endsystem(&self, node: &str) -> Option<&Endsystem> {
        self.vms.get(node).map(|vm| &vm.system).or_else(|| self.pcs.get(node))
    }
}

#[cfg(test)]
mod tests;
