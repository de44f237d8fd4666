//! From the file to a [`Topology`]: every problem is found, and each names its node or link.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use proto::{HostId, VlanId};

use super::file::{self, File, Kind, Node};
use super::{Endpoint, Endsystem, Host, Link, Nic, Subnet, Switch, Topology, Vm};
use crate::mutate::SplitMix64;
use crate::switch::PortMode;

/// Interface names fit `IFNAMSIZ` (linux/if.h) with its terminating zero.
const INTERFACE_NAME_MAX: usize = 15;
/// Node names stand in namespace names, file names and NX-OS host names.
const NODE_NAME_MAX: usize = 20;
/// MTU of a cable that says none.
const MTU_DEFAULT: u16 = 1500;
/// RFC 791 and the kernel's limit for an AF_PACKET frame in one buffer.
const MTU_RANGE: std::ops::RangeInclusive<u16> = 68..=65_000;
/// The management interface of a host or supervisor.
pub(crate) const MGMT_INTERFACE: &str = "mgmt0";

/// Problems found so far; the checks go on after each.
#[derive(Debug, Default)]
struct Problems(Vec<String>);

impl Problems {
    fn add(&mut self, problem: impl Into<String>) {
        self.0.push(problem.into());
    }
}

pub(super) fn check(file: File) -> Result<Topology, Vec<String>> {
    let mut problems = Problems::default();
    check_name("lab", &file.name, &mut problems);
    let kinds: BTreeMap<String, Kind> =
        file.topology.nodes.iter().map(|(name, node)| (name.clone(), node.kind)).collect();
    let links = links(&file.topology.links, &kinds, &mut problems);
    let mut topology = Topology {
        name: file.name,
        mgmt: file.mgmt.and_then(|mgmt| subnet(&mgmt.ipv4_subnet, &mut problems)),
        supervisor: None,
        hosts: BTreeMap::new(),
        switches: BTreeMap::new(),
        vms: BTreeMap::new(),
        pcs: BTreeMap::new(),
        links,
    };
    for (name, node) in file.topology.nodes {
        check_name("node", &name, &mut problems);
        check_fields(&name, &node, &mut problems);
        add_node(&mut topology, name, node, &kinds, &mut problems);
    }
    check_mgmt(&topology, &mut problems);
    check_pc_links(&topology, &mut problems);
    if problems.0.is_empty() { Ok(topology) } else { Err(problems.0) }
}

fn add_node(
    topology: &mut Topology,
    name: String,
    node: Node,
    kinds: &BTreeMap<String, Kind>,
    problems: &mut Problems,
) {
    match node.kind {
        Kind::Supervisor => {
            if let Some(other) = topology.supervisor.replace(name.clone()) {
                problems.add(format!("nodes `{other}` and `{name}`: there can be one supervisor"));
            }
        }
        Kind::Host => {
            let uuid = host_id(&name, node.uuid.as_deref(), problems);
            let uplinks = interfaces_of(&topology.links, &name);
            topology.hosts.insert(name, Host { uuid, uplinks });
        }
        Kind::Switch => {
            let ports = switch_ports(&name, &node, &topology.links, problems);
            topology.switches.insert(name, Switch { stp: node.stp.unwrap_or(false), ports });
        }
        Kind::Vm => {
            let vm = vm(&name, node, kinds, problems);
            topology.vms.insert(name, vm);
        }
        Kind::Pc => {
            for nic in node.nics.iter().flatten().filter(|nic| nic.profile.is_some()) {
                problems.add(format!("pc `{name}`, nic `{}`: a PC has no profile", nic.name));
            }
            let pc = endsystem(&name, node, problems);
            topology.pcs.insert(name, pc);
        }
    }
}

fn check_name(what: &str, name: &str, problems: &mut Problems) {
    let fits = (1..=NODE_NAME_MAX).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-');
    if !fits {
        problems.add(format!(
            "{what} `{name}`: a name is 1 to {NODE_NAME_MAX} lower-case letters, digits and hyphens"
        ));
    }
}

/// Fields that another kind of node has, but not this one.
fn check_fields(name: &str, node: &Node, problems: &mut Problems) {
    let vm_or_pc: &[Kind] = &[Kind::Vm, Kind::Pc];
    let fields: [(&str, bool, &[Kind]); 8] = [
        ("uuid", node.uuid.is_some(), &[Kind::Host]),
        ("stp", node.stp.is_some(), &[Kind::Switch]),
        ("ports", node.ports.is_some(), &[Kind::Switch]),
        ("host", node.host.is_some(), &[Kind::Vm]),
        ("nics", node.nics.is_some(), vm_or_pc),
        ("gateway", node.gateway.is_some(), vm_or_pc),
        ("routes", node.routes.is_some(), vm_or_pc),
        ("forward", node.forward.is_some(), vm_or_pc),
    ];
    for (field, present, kinds) in fields {
        if present && !kinds.contains(&node.kind) {
            let owners: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
            let kind = node.kind.name();
            problems.add(format!("{kind} `{name}`: `{field}` is for {}", owners.join(" and ")));
        }
    }
}

fn subnet(text: &str, problems: &mut Problems) -> Option<Subnet> {
    let parsed = text.split_once('/').and_then(|(network, len)| {
        Some((network.parse::<Ipv4Addr>().ok()?, len.parse::<u8>().ok()?))
    });
    let Some((network, prefix_len)) = parsed.filter(|(_, len)| (8..=29).contains(len)) else {
        problems.add(format!("mgmt: `{text}` is no IPv4 subnet with a prefix of 8 to 29"));
        return None;
    };
    if u32::from(network).trailing_zeros() < 32 - u32::from(prefix_len) {
        problems.add(format!("mgmt: {network} is not the first address of `{text}`"));
        return None;
    }
    Some(Subnet { network, prefix_len })
}

fn check_mgmt(topology: &Topology, problems: &mut Problems) {
    match (&topology.supervisor, topology.mgmt) {
        (Some(supervisor), None) => problems.add(format!(
            "supervisor `{supervisor}`: needs a management network (`mgmt: {{ ipv4-subnet: ... }}`)"
        )),
        (None, Some(_)) => problems.add("mgmt: there is no supervisor to manage anything"),
        (Some(_), Some(subnet)) => {
            let last = u32::try_from(topology.hosts.len()).unwrap_or(u32::MAX).saturating_add(1);
            if subnet.address(last).is_none() {
                problems.add(format!("mgmt: no room for {} hosts", topology.hosts.len()));
            }
        }
        (None, None) => {}
    }
}

fn host_id(name: &str, uuid: Option<&str>, problems: &mut Problems) -> HostId {
    match uuid.map(str::parse) {
        None => named_host_id(name),
        Some(Ok(uuid)) => uuid,
        Some(Err(error)) => {
            problems.add(format!("host `{name}`: uuid: {error}"));
            named_host_id(name)
        }
    }
}

/// A UUID that a host of this name always gets: version 8 of RFC 9562, mixed from the name.
fn named_host_id(name: &str) -> HostId {
    let seed =
        name.bytes().fold(0, |seed, byte| SplitMix64::new(seed ^ u64::from(byte)).next_u64());
    let mut random = SplitMix64::new(seed);
    let mut octets = [0; 16];
    octets[..8].copy_from_slice(&random.next_u64().to_be_bytes());
    octets[8..].copy_from_slice(&random.next_u64().to_be_bytes());
    octets[6] = 0x80 | (octets[6] & 0x0f);
    octets[8] = 0x80 | (octets[8] & 0x3f);
    HostId::new(octets)
}

fn vm(name: &str, node: Node, kinds: &BTreeMap<String, Kind>, problems: &mut Problems) -> Vm {
    let host = node.host.clone().unwrap_or_default();
    match kinds.get(&host) {
        Some(Kind::Host) => {}
        Some(kind) => problems.add(format!("vm `{name}`: `{host}` is a {}, no host", kind.name())),
        None if host.is_empty() => problems.add(format!("vm `{name}`: on which `host`?")),
        None => problems.add(format!("vm `{name}`: there is no host `{host}`")),
    }
    let mut profiles = Vec::new();
    for nic in node.nics.iter().flatten() {
        if nic.profile.is_none() {
            problems.add(format!("vm `{name}`, nic `{}`: which `profile`?", nic.name));
        }
        profiles.push(nic.profile.clone().unwrap_or_default());
    }
    Vm { host, profiles, system: endsystem(name, node, problems) }
}

fn endsystem(name: &str, node: Node, problems: &mut Problems) -> Endsystem {
    let kind = node.kind.name();
    let mut seen = BTreeSet::new();
    let nics: Vec<_> =
        node.nics.into_iter().flatten().map(|raw| nic(kind, name, raw, problems)).collect();
    for nic in &nics {
        if !seen.insert(&nic.name) {
            problems.add(format!("{kind} `{name}`: two nics `{}`", nic.name));
        }
    }
    if nics.is_empty() {
        problems.add(format!("{kind} `{name}`: has no `nics`"));
    }
    let routes = node.routes.into_iter().flatten().map(|route| {
        if !is_prefix(&route.to) {
            problems.add(format!("{kind} `{name}`: route to `{}`: no IP prefix", route.to));
        }
        (route.to, route.via)
    });
    Endsystem {
        nics,
        gateway: node.gateway,
        routes: routes.collect(),
        forward: node.forward.unwrap_or(false),
    }
}

fn nic(kind: &str, node: &str, raw: file::Nic, problems: &mut Problems) -> Nic {
    let place = format!("{kind} `{node}`, nic `{}`", raw.name);
    check_interface(&place, &raw.name, problems);
    let mac = raw.mac.and_then(|text| match text.parse::<proto::MacAddr>() {
        Ok(mac) if mac.is_valid_source() => Some(mac),
        Ok(mac) => {
            problems.add(format!("{place}: mac {mac} cannot be a NIC's"));
            None
        }
        Err(error) => {
            problems.add(format!("{place}: mac `{text}`: {error}"));
            None
        }
    });
    let addresses: Vec<_> =
        raw.address.into_iter().chain(raw.addresses.into_iter().flatten()).collect();
    for address in addresses.iter().filter(|address| !is_prefix(address)) {
        problems.add(format!("{place}: `{address}` is no address with a prefix length"));
    }
    check_mtu(&place, raw.mtu, problems);
    Nic { name: raw.name, mac, addresses, mtu: raw.mtu }
}

/// Whether a text is an address with the length of its prefix.
fn is_prefix(text: &str) -> bool {
    let Some((address, len)) = text.split_once('/') else { return false };
    match (address.parse::<IpAddr>(), len.parse::<u8>()) {
        (Ok(IpAddr::V4(_)), Ok(len)) => len <= 32,
        (Ok(IpAddr::V6(_)), Ok(len)) => len <= 128,
        _ => false,
    }
}

fn check_interface(place: &str, name: &str, problems: &mut Problems) {
    let odd = |c: char| c == '/' || c == ':' || c.is_whitespace() || c.is_control();
    if name.is_empty() || name.len() > INTERFACE_NAME_MAX || name.contains(odd) {
        problems.add(format!(
            "{place}: an interface name has 1 to {INTERFACE_NAME_MAX} characters and no `/`, `:` \
             or blank"
        ));
    } else if name == "lo" || name == MGMT_INTERFACE {
        problems.add(format!("{place}: the lab itself makes an interface `{name}`"));
    }
}

fn check_mtu(place: &str, mtu: Option<u16>, problems: &mut Problems) {
    if let Some(mtu) = mtu.filter(|mtu| !MTU_RANGE.contains(mtu)) {
        let (low, high) = (MTU_RANGE.start(), MTU_RANGE.end());
        problems.add(format!("{place}: mtu {mtu} is not in {low}..={high}"));
    }
}

fn links(raw: &[file::Link], kinds: &BTreeMap<String, Kind>, problems: &mut Problems) -> Vec<Link> {
    let mut used = BTreeSet::new();
    let mut links = Vec::new();
    for (index, link) in raw.iter().enumerate() {
        let place = format!("link {}", index + 1);
        check_mtu(&place, link.mtu, problems);
        let ends: Vec<_> = link
            .endpoints
            .iter()
            .filter_map(|text| endpoint(&place, text, kinds, problems))
            .collect();
        if link.endpoints.len() != 2 {
            problems.add(format!("{place}: has {} endpoints, not 2", link.endpoints.len()));
        }
        for end in &ends {
            if !used.insert(end.clone()) {
                let Endpoint { node, interface } = end;
                problems.add(format!("{place}: `{node}:{interface}` has a cable already"));
            }
        }
        if let Ok(ends) = ends.try_into() {
            links.push(Link { ends, mtu: link.mtu.unwrap_or(MTU_DEFAULT) });
        }
    }
    links
}

fn endpoint(
    place: &str,
    text: &str,
    kinds: &BTreeMap<String, Kind>,
    problems: &mut Problems,
) -> Option<Endpoint> {
    let Some((node, interface)) = text.split_once(':') else {
        problems.add(format!("{place}: `{text}` is not `node:interface`"));
        return None;
    };
    check_interface(&format!("{place}, `{text}`"), interface, problems);
    match kinds.get(node) {
        Some(Kind::Host | Kind::Switch | Kind::Pc) => {
            Some(Endpoint { node: node.to_owned(), interface: interface.to_owned() })
        }
        Some(kind) => {
            problems.add(format!("{place}: `{node}` is a {}, which has no cables", kind.name()));
            None
        }
        None => {
            problems.add(format!("{place}: there is no node `{node}`"));
            None
        }
    }
}

/// Interfaces of a node that have a cable, in the order of the links.
fn interfaces_of(links: &[Link], node: &str) -> Vec<String> {
    let ends = links.iter().flat_map(|link| &link.ends);
    ends.filter(|end| end.node == node).map(|end| end.interface.clone()).collect()
}

fn switch_ports(
    name: &str,
    node: &Node,
    links: &[Link],
    problems: &mut Problems,
) -> BTreeMap<String, PortMode> {
    let wired = interfaces_of(links, name);
    let mut ports: BTreeMap<_, _> =
        wired.iter().map(|port| (port.clone(), PortMode::Access(VlanId::DEFAULT))).collect();
    for (port, raw) in node.ports.iter().flatten() {
        let place = format!("switch `{name}`, port `{port}`");
        if !wired.contains(port) {
            problems.add(format!("{place}: no link goes there"));
        }
        if let Some(mode) = port_mode(&place, raw, problems) {
            ports.insert(port.clone(), mode);
        }
    }
    ports
}

fn port_mode(place: &str, raw: &file::Port, problems: &mut Problems) -> Option<PortMode> {
    let mut vlan = |vid: u16| match VlanId::new(vid) {
        Ok(vlan) => Some(vlan),
        Err(error) => {
            problems.add(format!("{place}: {error}"));
            None
        }
    };
    match (raw.access, &raw.trunk, raw.native) {
        (Some(vid), None, None) => Some(PortMode::Access(vlan(vid)?)),
        (None, Some(vids), native) => Some(PortMode::Trunk {
            allowed: vids.iter().filter_map(|vid| vlan(*vid)).collect(),
            native: native.and_then(vlan),
        }),
        _ => {
            problems
                .add(format!("{place}: say `access: VLAN`, or `trunk: [VLANS]` (`native: VLAN`)"));
            None
        }
    }
}

/// Every NIC of a PC needs its cable, and every cable its NIC.
fn check_pc_links(topology: &Topology, problems: &mut Problems) {
    for (name, pc) in &topology.pcs {
        let wired = interfaces_of(&topology.links, name);
        for nic in pc.nics.iter().filter(|nic| !wired.contains(&nic.name)) {
            problems.add(format!("pc `{name}`, nic `{}`: no link goes there", nic.name));
        }
        for interface in wired.iter().filter(|i| pc.nics.iter().all(|nic| nic.name != **i)) {
            problems.add(format!("pc `{name}`: a link goes to `{interface}`, which is no nic"));
        }
    }
}
