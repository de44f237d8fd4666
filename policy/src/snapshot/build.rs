//! From an intent to a snapshot: the only way to make one.
//!
//! The supervisor has validated the configuration; a dataplane checks again what its core relies
//! on, because what comes over a wire or from a disk is not trusted.

use std::collections::BTreeMap;

use proto::{DropReason, InterfaceName, PortId, Revision, VlanId};

use super::{AclIndex, Acls, Port, Role, Snapshot, SourceGuard, Vethernet, Vlan, VlanMode};
use crate::acl::{AclKind, CompiledAcl};
use crate::config::{AclBinding, MacAllow, Name};
use crate::fib::Fib;
use crate::ids::StableIds;
use crate::intent::{HostIntent, PortIntent, PortMode, PortRole};
use crate::problem::Problem;
use crate::teaming::Teaming;

/// Where each access list stands in the snapshot, and of what kind it is.
type AclIndexes = BTreeMap<Name, (AclIndex, AclKind)>;

/// Smallest and largest MTU of a port, in bytes.
const MTU_RANGE: std::ops::RangeInclusive<u16> = 576..=9216;

impl Snapshot {
    /// A switch without ports: what a host that never met a supervisor forwards by.
    #[must_use]
    pub fn empty() -> Self {
        Self {
            revision: Revision::NONE,
            ports: Box::default(),
            vlans: Box::default(),
            fib: Fib::default(),
            acls: Box::default(),
            rules_end: 0,
            teaming: Teaming::default(),
        }
    }

    /// Compiles an intent. `ids` says which slots and counters its ports and rules have had before,
    /// and learns the new ones.
    ///
    /// # Errors
    /// Every problem of the intent; then `ids` is as it was.
    pub fn build(
        intent: &HostIntent,
        revision: Revision,
        ids: &mut StableIds,
    ) -> Result<Self, Vec<Problem>> {
        let mut builder = Builder { intent, ids: ids.clone(), problems: Vec::new() };
        let snapshot = builder.build(revision);
        if builder.problems.is_empty() {
            *ids = builder.ids;
            Ok(snapshot)
        } else {
            Err(builder.problems)
        }
    }
}

/// A snapshot that is being made.
pub(super) struct Builder<'a> {
    pub(super) intent: &'a HostIntent,
    ids: StableIds,
    problems: Vec<Problem>,
}

impl Builder<'_> {
    fn build(&mut self, revision: Revision) -> Snapshot {
        let intent = self.intent;
        self.ids.retain_ports(|name| intent.ports.contains_key(name));
        self.ids.retain_rules(&intent.acls);
        let (acls, indexes) = self.acls();
        let ports = self.ports(&indexes);
        self.check_teaming();
        self.check_groups(&ports);
        self.check_loose_uplinks(&ports);
        let fib = self.fib(&ports);
        let vlans = flood_lists(&ports);
        let rules_end = self.ids.rules_end();
        let teaming = self.intent.teaming;
        Snapshot { revision, ports: by_slot(ports), vlans, fib, acls, rules_end, teaming }
    }

    pub(super) fn problem(&mut self, path: impl ToString, message: String) {
        let (path, hint) = (path.to_string(), String::new());
        self.problems.push(Problem { span: None, path, message, hint });
    }

    fn acls(&mut self) -> (Box<[CompiledAcl]>, AclIndexes) {
        let (mut compiled, mut indexes) = (Vec::new(), BTreeMap::new());
        for (name, acl) in &self.intent.acls {
            let Ok(index) = u16::try_from(compiled.len()) else {
                self.problem(name, "more access lists than a host can have".to_owned());
                break;
            };
            match CompiledAcl::compile(name, acl, &mut self.ids) {
                Ok(acl) => {
                    indexes.insert(name.clone(), (AclIndex(index), acl.kind()));
                    compiled.push(acl);
                }
                Err(error) => {
                    self.problem(format!("{} access-list {name}", acl.kind), error.to_string())
                }
            }
        }
        (compiled.into(), indexes)
    }

    fn ports(&mut self, acls: &AclIndexes) -> Vec<Port> {
        let mut ports = Vec::new();
        for (name, port) in &self.intent.ports {
            let id = match self.ids.allot_port(*name) {
                Ok(id) => id,
                Err(problem) => {
                    self.problems.push(problem);
                    continue;
                }
            };
            if !MTU_RANGE.contains(&port.mtu_bytes) {
                let range = format!("{}..{}", MTU_RANGE.start(), MTU_RANGE.end());
                self.problem(
                    name,
                    format!("mtu {} is out of range, expected {range}", port.mtu_bytes),
                );
            }
            let acl_in = self.binding(name, &port.acl_in, acls);
            let acl_out = self.binding(name, &port.acl_out, acls);
            let role = self.role(name, port);
            ports.push(Port {
                id,
                name: *name,
                admin_up: port.admin_up,
                role,
                vlan_mode: vlan_mode(&port.mode),
                mtu_bytes: port.mtu_bytes,
                acl_in,
                acl_out,
            });
        }
        ports
    }

    fn binding(&mut self, port: &InterfaceName, binding: &AclBinding, acls: &AclIndexes) -> Acls {
        let mut find = |name: &Option<Name>, kind: AclKind| {
            let name = name.as_ref()?;
            match acls.get(name) {
                Some((index, found)) if *found == kind => Some(*index),
                Some((_, found)) => {
                    let message = format!("{found} access-list {name} is bound as {kind}");
                    self.problem(port, message);
                    None
                }
                None => {
                    self.problem(port, format!("{kind} access-list {name} is not defined"));
                    None
                }
            }
        };
        Acls {
            mac: find(&binding.mac, AclKind::Mac),
            ip: find(&binding.ip, AclKind::Ipv4),
            ipv6: find(&binding.ipv6, AclKind::Ipv6),
        }
    }

    fn role(&mut self, name: &InterfaceName, port: &PortIntent) -> Role {
        match (&port.role, name) {
            (PortRole::Vethernet(_), InterfaceName::Vethernet(_)) => {}
            (PortRole::Uplink(role), InterfaceName::Ethernet { nic, .. }) if role.nic == *nic => {}
            _ => self.problem(name, "the name of the port does not fit its role".to_owned()),
        }
        match &port.role {
            PortRole::Vethernet(role) => {
                if !role.mac.is_valid_source() {
                    let reason = DropReason::SourceMacInvalid.help();
                    self.problem(
                        name,
                        format!("{} cannot be the address of a vNIC: {reason}", role.mac),
                    );
                }
                if let MacAllow::List(list) = &role.mac_allow {
                    for mac in list.iter().filter(|mac| !mac.is_valid_source()) {
                        self.problem(name, format!("{mac} cannot be a source address to allow"));
                    }
                }
                self.check_pins(name, &role.pinned_nics);
                Role::Vethernet(Vethernet {
                    mac: role.mac,
                    source: source_guard(&role.mac_allow),
                    uufb_disabled: role.uufb_disabled,
                    promiscuous: role.promiscuous,
                    bpdu_guard: role.bpdu_guard,
                    pinned_nics: role.pinned_nics.clone().into(),
                })
            }
            PortRole::Uplink(role) => Role::Uplink(self.uplink(name, role)),
        }
    }

    /// The local table. An address stands in each VLAN that its port carries and that the intent
    /// names: a trunk that allows all 4094 VLANs does not fill the table with VLANs nobody has
    /// configured. A vNIC's own address comes before what a neighbour may use beside its own.
    fn fib(&mut self, ports: &[Port]) -> Fib {
        let (intent, mut fib) = (self.intent, Fib::default());
        let names: BTreeMap<PortId, InterfaceName> = ports.iter().map(|p| (p.id, p.name)).collect();
        let vlans_of = |port: &Port| {
            let carried = intent.vlans.keys().filter(|vlan| port.vlan_mode.carries(**vlan));
            carried.copied().collect::<Vec<VlanId>>()
        };
        let vethernets = || {
            ports.iter().filter(|port| port.admin_up).filter_map(|port| match &port.role {
                Role::Vethernet(vethernet) => Some((port, vethernet)),
                Role::Uplink(_) => None,
            })
        };
        for (port, vethernet) in vethernets() {
            for vlan in vlans_of(port) {
                if let Err(owner) = fib.insert(vlan, vethernet.mac, port.id) {
                    let owner = names.get(&owner).map(ToString::to_string).unwrap_or_default();
                    let message =
                        format!("{} is the address of {owner} in VLAN {vlan} too", vethernet.mac);
                    self.problem(port.name, message);
                    break;
                }
            }
        }
        for (port, vethernet) in vethernets() {
            let SourceGuard::List(list) = &vethernet.source else { continue };
            // The address of a virtual router is where its master is, on whatever host: to hold a
            // backup for it would swallow the master's frames, and its announcements (R4).
            for mac in list.iter().filter(|mac| !mac.is_virtual_router()) {
                for vlan in vlans_of(port) {
                    // Whoever has it already keeps it: its owner, or the first that may use it.
                    fib.insert(vlan, *mac, port.id).ok();
                }
            }
        }
        fib
    }
}

fn vlan_mode(mode: &PortMode) -> VlanMode {
    match mode {
        PortMode::Access(vlan) => VlanMode::Access(*vlan),
        PortMode::Trunk { native, allowed } => {
            VlanMode::Trunk { native: *native, allowed: Box::new(allowed.clone()) }
        }
    }
}

fn source_guard(allow: &MacAllow) -> SourceGuard {
    match allow {
        MacAllow::Any => SourceGuard::Any,
        MacAllow::List(list) if list.is_empty() => SourceGuard::Own,
        MacAllow::List(list) => {
            let mut list = list.clone();
            list.sort_unstable();
            list.dedup();
            SourceGuard::List(list.into())
        }
    }
}

fn flood_lists(ports: &[Port]) -> Box<[Vlan]> {
    let mut vlans = vec![Vlan::default(); usize::from(VlanId::MAX.get()) + 1];
    let mut up: Vec<&Port> = ports.iter().filter(|port| port.admin_up).collect();
    up.sort_unstable_by_key(|port| port.id);
    for port in up {
        for id in VlanId::all().filter(|vlan| port.vlan_mode.carries(*vlan)) {
            let Some(vlan) = vlans.get_mut(usize::from(id.get())) else { continue };
            match &port.role {
                Role::Uplink(_) => vlan.uplinks.push(port.id),
                Role::Vethernet(vethernet) => {
                    vlan.flood.push(port.id);
                    if vethernet.promiscuous {
                        vlan.promiscuous.push(port.id);
                    }
                    if vethernet.uufb_disabled {
                        vlan.uufb.push(port.id);
                    }
                }
            }
        }
    }
    vlans.into()
}

fn by_slot(ports: Vec<Port>) -> Box<[Option<Port>]> {
    let slots = ports.iter().map(|port| port.id.index() + 1).max().unwrap_or(0);
    let mut dense: Vec<Option<Port>> = (0..slots).map(|_| None).collect();
    for port in ports {
        let slot = port.id.index();
        if let Some(place) = dense.get_mut(slot) {
            *place = Some(port);
        }
    }
    dense.into()
}
