//! A lab that stands: namespaces, cables and physical switches of a [`Topology`].
//!
//! *Where it sits:* between the topology and the daemons ([`crate::daemons`]) that run in it. A
//! test that needs no daemon uses it alone.
//!
//! *Invariants*
//! 1. Dropping a lab takes down everything that it built, in the order switches, namespaces,
//!    folder; also when building failed half-way.
//! 2. VMs have a namespace and no interface: the dataplane makes their NICs at attach, and
//!    [`Lab::configure`] then gives them their addresses.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::Path;

use crate::error::{LabError, Result};
use crate::link;
use crate::netns::{self, Namespace};
use crate::switch::PhysicalSwitch;
use crate::topology::{Endsystem, MGMT_INTERFACE, Topology};

/// The bridge of the management network.
const MGMT_BRIDGE: &str = "mgmtbr";

/// MTU of the management network.
const MGMT_MTU: u16 = 1500;

/// A lab's folder is `weft-lab.PID.RANDOM` in the system's folder for temporary files.
const FOLDER_PREFIX: &str = "weft-lab.";

/// A built network, taken down on drop.
#[derive(Debug)]
pub struct Lab {
    // Field order is drop order: a switch stops before its namespace goes.
    switches: BTreeMap<String, PhysicalSwitch>,
    nodes: BTreeMap<String, Namespace>,
    mgmt: Option<Namespace>,
    dir: tempfile::TempDir,
    topology: Topology,
}

impl Lab {
    /// Builds the network, after removing what killed labs left behind.
    ///
    /// # Errors
    /// When not root, or a tool (`ip`, `ethtool`) is missing or refuses.
    pub fn build(topology: Topology) -> Result<Self> {
        Self::build_around(topology, &[])
    }

    /// Builds the network around namespaces that somebody else has made and will remove: each is
    /// the node of that name. Whatever the lab puts into one of them is taken out on drop.
    ///
    /// # Errors
    /// As [`Lab::build`].
    pub fn build_around(topology: Topology, existing: &[(&str, &Namespace)]) -> Result<Self> {
        sweep()?;
        let dir = tempfile::Builder::new()
            .prefix(&format!("{FOLDER_PREFIX}{}.", std::process::id()))
            .tempdir()
            .map_err(LabError::io("cannot make a folder for the lab"))?;
        let mut lab =
            Self { switches: BTreeMap::new(), nodes: BTreeMap::new(), mgmt: None, dir, topology };
        for (name, namespace) in existing {
            lab.nodes.insert((*name).to_owned(), namespace.share());
        }
        lab.make_namespaces()?;
        lab.wire()?;
        lab.make_management()?;
        lab.start_switches()?;
        for pc in lab.topology.pcs.keys() {
            lab.configure(pc)?;
        }
        Ok(lab)
    }

    /// What was built.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }

    /// A folder for logs, sockets and state, removed with the lab.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Namespace of a node.
    ///
    /// # Errors
    /// [`LabError::Unknown`], with the names of all nodes.
    pub fn ns(&self, node: &str) -> Result<&Namespace> {
        self.nodes.get(node).ok_or_else(|| unknown("node", node, self.nodes.keys()))
    }

    /// Every node with its namespace.
    pub fn nodes(&self) -> impl Iterator<Item = (&str, &Namespace)> {
        self.nodes.iter().map(|(name, namespace)| (name.as_str(), namespace))
    }

    /// A physical switch.
    ///
    /// # Errors
    /// [`LabError::Unknown`], with the names of all switches.
    pub fn switch(&self, node: &str) -> Result<&PhysicalSwitch> {
        self.switches.get(node).ok_or_else(|| unknown("switch", node, self.switches.keys()))
    }

    /// Address of the supervisor or a host on the management network.
    ///
    /// # Errors
    /// When the lab has no such network or the node is not on it.
    pub fn management_address(&self, node: &str) -> Result<Ipv4Addr> {
        let mut nodes = self.topology.supervisor.iter().chain(self.topology.hosts.keys());
        let index = nodes.position(|name| name == node).and_then(|index| u32::try_from(index).ok());
        self.topology
            .mgmt
            .zip(index)
            .and_then(|(subnet, index)| subnet.address(index + 1))
            .ok_or_else(|| unknown("node on the management network", node, self.nodes.keys()))
    }

    /// Gives a VM or PC its MACs, MTUs, addresses, routes and forwarding. Its NICs must be there:
    /// a PC has them from the start, a VM after attach.
    ///
    /// # Errors
    /// When a NIC is missing or `ip` refuses.
    pub fn configure(&self, node: &str) -> Result<()> {
        let namespace = self.ns(node)?;
        let Some(system) = self.topology.endsystem(node) else {
            return Err(unknown("VM or PC", node, self.topology.vms.keys()));
        };
        if uses_ipv6(system) {
            namespace.enable_ipv6()?;
        }
        if system.forward {
            namespace.sysctl("net/ipv4/ip_forward", "1")?;
            namespace.sysctl("net/ipv6/conf/all/forwarding", "1")?;
        }
        let is_pc = self.topology.pcs.contains_key(node);
        for nic in &system.nics {
            // A VM's MAC and MTU are the dataplane's business: it made the NIC with them.
            if let (true, Some(mac)) = (is_pc, nic.mac) {
                link::set_mac(namespace, &nic.name, mac)?;
            }
            if let (true, Some(mtu)) = (is_pc, nic.mtu) {
                link::set_mtu(namespace, &nic.name, mtu)?;
            }
            for address in &nic.addresses {
                link::add_address(namespace, &nic.name, address)?;
            }
            link::up(namespace, &nic.name)?;
        }
        if let Some(gateway) = system.gateway {
            link::add_route(namespace, "default", gateway)?;
        }
        for (to, via) in &system.routes {
            link::add_route(namespace, to, *via)?;
        }
        Ok(())
    }

    fn make_namespaces(&mut self) -> Result<()> {
        let topology = &self.topology;
        let names = topology
            .supervisor
            .iter()
            .chain(topology.hosts.keys())
            .chain(topology.switches.keys())
            .chain(topology.vms.keys())
            .chain(topology.pcs.keys());
        for name in names {
            if !self.nodes.contains_key(name) {
                self.nodes.insert(name.clone(), Namespace::create(name)?);
            }
        }
        Ok(())
    }

    fn wire(&self) -> Result<()> {
        for cable in &self.topology.links {
            let [a, b] = &cable.ends;
            let a = (self.ns(&a.node)?, a.interface.as_str());
            let b = (self.ns(&b.node)?, b.interface.as_str());
            link::cable(a, b, cable.mtu)?;
        }
        Ok(())
    }

    /// A bridge in a namespace of its own, and a cable from it to the supervisor and each host.
    fn make_management(&mut self) -> Result<()> {
        let Some(subnet) = self.topology.mgmt else { return Ok(()) };
        let mgmt = Namespace::create("mgmt")?;
        mgmt.ip(&format!("link add name {MGMT_BRIDGE} type bridge"))?;
        link::up(&mgmt, MGMT_BRIDGE)?;
        let nodes: Vec<_> =
            self.topology.supervisor.iter().chain(self.topology.hosts.keys()).collect();
        for (index, node) in nodes.into_iter().enumerate() {
            let port = format!("port{index}");
            let namespace = self.ns(node)?;
            link::cable((namespace, MGMT_INTERFACE), (&mgmt, &port), MGMT_MTU)?;
            mgmt.ip(&format!("link set dev {port} master {MGMT_BRIDGE}"))?;
            let address = self.management_address(node)?;
            let with_len = format!("{address}/{}", subnet.prefix_len);
            link::add_address(namespace, MGMT_INTERFACE, &with_len)?;
        }
        self.mgmt = Some(mgmt);
        Ok(())
    }

    fn start_switches(&mut self) -> Result<()> {
        for (name, switch) in &self.topology.switches {
            let ports = switch.ports.iter().map(|(port, mode)| (port.clone(), mode.clone()));
            let running = PhysicalSwitch::start(self.ns(name)?, ports, switch.stp)?;
            self.switches.insert(name.clone(), running);
        }
        Ok(())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        // What is in a namespace of the lab's own goes with it.
        for (_, namespace) in self.nodes().filter(|(_, namespace)| !namespace.is_owner()) {
            if link::exists(namespace, MGMT_INTERFACE)
                && let Err(error) = link::delete(namespace, MGMT_INTERFACE)
            {
                eprintln!("lab: {error}");
            }
        }
    }
}

/// Error for a name that is not among the known ones.
pub(crate) fn unknown<'a>(
    kind: &'static str,
    name: &str,
    known: impl Iterator<Item = &'a String>,
) -> LabError {
    let known = known.map(String::as_str).collect::<Vec<_>>().join(", ");
    LabError::Unknown { kind, name: name.to_owned(), known }
}

fn uses_ipv6(system: &Endsystem) -> bool {
    let mut addresses = system.nics.iter().flat_map(|nic| &nic.addresses);
    addresses.any(|address| address.contains(':'))
}

/// Removes what labs left behind whose process was killed: programs, namespaces, folders. Gives
/// the names of the namespaces.
///
/// # Errors
/// When something is there and cannot be removed.
pub fn sweep() -> Result<Vec<String>> {
    let namespaces = netns::sweep_stale()?;
    let temporary = std::env::temp_dir();
    let action = || format!("cannot sweep {}", temporary.display());
    for entry in fs::read_dir(&temporary).map_err(LabError::io(action()))?.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(FOLDER_PREFIX).and_then(|rest| rest.split('.').next());
        let Some(owner) = owner.and_then(|pid| pid.parse::<u32>().ok()) else { continue };
        if netns::is_alive(owner) {
            continue;
        }
        match fs::remove_dir_all(entry.path()) {
            // Another lab swept it at the same time.
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(LabError::io(action())(error));
            }
            _ => {}
        }
    }
    Ok(namespaces)
}
