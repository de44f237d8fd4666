//! The configuration of the whole switch and the vNICs that are registered, compiled to what one
//! host has to know.
//!
//! Where it sits: the supervisor calls [`compile`] for each module after every commit, attach and
//! detach, and [`check_binding`] and [`check_bindings`] before it accepts one.
//!
//! Invariants: a [`HostIntent`] is consistent by itself: every access list that a port names and
//! every VLAN that it carries is in it. A port whose settings cannot be resolved, which validation
//! does not let pass, is administratively down: it fails closed.

use std::collections::BTreeMap;

use proto::{InterfaceName, MacAddr, ModuleId, VethId};

use crate::acl::Acl;
use crate::config::{AclBinding, Config, Interface, Name, ProfileKind, is_printable};
use crate::intent::{HostIntent, PortIntent, PortMode, PortRole, VethernetRole};
use crate::place::Direction;
use crate::problem::Problem;
use crate::resolve::{Effective, port_chain, resolve};
use crate::teaming::Teaming;
use crate::uplinks::Uplinks;
use crate::validate::near;

/// A vNIC that is registered with the switch: it has a number and a profile, and is on a host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Binding {
    /// Its vEthernet.
    pub veth: VethId,
    /// The VM, 1..=[`Binding::NAME_LEN_MAX`] visible characters.
    pub vm: String,
    /// The vNIC in the VM, 1..=[`Binding::NAME_LEN_MAX`] visible characters.
    pub adapter: String,
    /// Its address.
    pub mac: MacAddr,
    /// The profile that it was attached with.
    pub profile: Name,
    /// The host that it is on.
    pub module: ModuleId,
}

impl Binding {
    /// The longest name of a VM or a vNIC, in characters.
    pub const NAME_LEN_MAX: usize = 64;

    /// The name of its port.
    #[must_use]
    pub const fn interface(&self) -> InterfaceName {
        InterfaceName::Vethernet(self.veth)
    }

    /// The profile that counts: the one of its interface configuration, else the attached one.
    #[must_use]
    pub fn effective_profile<'c>(&'c self, config: &'c Config) -> &'c Name {
        let interface = config.interfaces.get(&self.interface());
        interface.and_then(|interface| interface.inherit.as_ref()).unwrap_or(&self.profile)
    }
}

/// What the host with number `module` and these NICs has to know: its uplinks, the vNICs that are
/// on it, and the VLANs and access lists that those refer to. A NIC that no configuration names is
/// no port: its host leaves it to the kernel.
#[must_use]
pub fn compile<'b>(
    config: &Config,
    module: ModuleId,
    nics: &[u8],
    bindings: impl Iterator<Item = &'b Binding>,
) -> HostIntent {
    let defaults = Teaming::default();
    let teaming = Teaming {
        load_balance: config.load_balance.unwrap_or_default(),
        lacp_system_priority: config.lacp_system_priority.unwrap_or(defaults.lacp_system_priority),
    };
    let mut intent = HostIntent { teaming, ..HostIntent::default() };
    let uplinks = Uplinks::of(config, module);
    for nic in nics {
        let name = InterfaceName::Ethernet { module, nic: *nic };
        let interface = config.interfaces.get(&name);
        let Some((interface, role)) = interface.zip(uplinks.role(*nic)) else { continue };
        let source = Source::new(config, Some(interface), interface.inherit.as_ref());
        intent.ports.insert(name, source.port_intent(config, PortRole::Uplink(role)));
    }
    for binding in bindings.filter(|binding| binding.module == module) {
        let name = binding.interface();
        let profile = binding.effective_profile(config);
        let source = Source::new(config, config.interfaces.get(&name), Some(profile));
        let pinning = source.port.pinning.value.as_ref();
        let pinned_nics = pinning.map(|pinning| uplinks.pinned_nics(pinning));
        let role = PortRole::Vethernet(VethernetRole {
            vm: binding.vm.clone(),
            adapter: binding.adapter.clone(),
            mac: binding.mac,
            mac_allow: source.port.mac_allow.value.clone(),
            uufb_disabled: source.port.uufb_disabled.value,
            promiscuous: source.port.promiscuous.value,
            bpdu_guard: source.port.bpdu_guard.value,
            pinned_nics: pinned_nics.unwrap_or_default(),
        });
        intent.ports.insert(name, source.port_intent(config, role));
    }
    add_referenced(&mut intent, config);
    intent
}

/// Where the settings of a port come from.
struct Source<'c> {
    profile: Option<&'c Name>,
    port: Effective,
    /// The profile exists, its chain ends, and it is enabled.
    is_usable: bool,
}

impl<'c> Source<'c> {
    fn new(config: &'c Config, interface: Option<&Interface>, profile: Option<&'c Name>) -> Self {
        let (chain, is_usable) = port_chain(config, profile);
        Self { profile, port: resolve(interface, &chain), is_usable }
    }

    fn port_intent(&self, config: &Config, role: PortRole) -> PortIntent {
        let mut is_whole = true;
        let mut groups = |wanted: Direction| {
            let mut binding = AclBinding::default();
            for (kind, direction, name) in &self.port.access_groups {
                if *direction != wanted {
                    continue;
                }
                match config.acls.get(&name.value) {
                    Some(acl) if acl.kind == *kind => {
                        *binding.get_mut(*kind) = Some(name.value.clone());
                    }
                    _ => is_whole = false,
                }
            }
            binding
        };
        let (acl_in, acl_out) = (groups(Direction::In), groups(Direction::Out));
        let mode = self.port.port_mode(config);
        if let PortMode::Access(vlan) = mode {
            is_whole &= config.has_vlan(vlan);
        }
        PortIntent {
            profile: self.profile.cloned(),
            admin_up: self.is_usable && is_whole && !self.port.shutdown.value,
            mode,
            mtu_bytes: self.port.mtu_bytes.value,
            acl_in,
            acl_out,
            role,
        }
    }
}

/// Adds the VLANs and the access lists that the ports refer to.
fn add_referenced(intent: &mut HostIntent, config: &Config) {
    let HostIntent { vlans, acls, ports, .. } = intent;
    for port in ports.values() {
        let mut add_vlan = |vlan| {
            let name = config.vlans.get(&vlan).cloned().unwrap_or_default().shown_name(vlan);
            vlans.entry(vlan).or_insert(name);
        };
        match &port.mode {
            PortMode::Access(vlan) => add_vlan(*vlan),
            PortMode::Trunk { allowed, .. } => allowed.iter().for_each(add_vlan),
        }
        for (_, name) in port.acl_in.bound().chain(port.acl_out.bound()) {
            if let Some(acl) = config.acls.get(name).filter(|_| !acls.contains_key(name)) {
                // What `show` prints of it is no business of a host: it counts always.
                acls.insert(name.clone(), Acl { statistics: false, ..acl.clone() });
            }
        }
    }
}

/// Whether a vNIC may be attached as `binding` says, beside `others` (which may hold an older
/// registration of the same vEthernet).
///
/// # Errors
/// What is wrong with it, and what to do.
pub fn check_binding<'b>(
    config: &Config,
    binding: &Binding,
    others: impl Iterator<Item = &'b Binding>,
) -> Result<(), Problem> {
    let problem = |message: String, hint: &str| Problem {
        span: None,
        path: binding.interface().to_string(),
        message,
        hint: hint.to_owned(),
    };
    for (what, name) in [("VM", &binding.vm), ("vNIC", &binding.adapter)] {
        let length = name.chars().count();
        let is_legal = (1..=Binding::NAME_LEN_MAX).contains(&length)
            && name.chars().all(is_printable)
            && name.trim() == name;
        if !is_legal {
            let shown: String = name.chars().take(Binding::NAME_LEN_MAX).collect();
            let message = format!("{shown:?} is not the name of a {what}");
            return Err(problem(message, "use 1..64 visible characters"));
        }
    }
    if !binding.mac.is_valid_source() {
        let message = format!("{} is a group address or zero", binding.mac);
        return Err(problem(message, "give the vNIC the address of one station"));
    }
    let Some(profile) = config.profiles.get(&binding.profile) else {
        let known = config.profiles.iter().filter(|(_, p)| p.kind == ProfileKind::Vethernet);
        let message = format!("port-profile `{}` is not defined", binding.profile);
        return Err(problem(message, &near(&binding.profile, known.map(|(name, _)| name))));
    };
    if profile.kind != ProfileKind::Vethernet {
        let message = format!("port-profile `{}` is of type {}", binding.profile, profile.kind);
        return Err(problem(message, "a VM needs one of type vethernet"));
    }
    let mut used = 0u16;
    for other in others.filter(|other| other.veth != binding.veth) {
        used = used.saturating_add(u16::from(other.profile == binding.profile));
        if other.module == binding.module && other.mac == binding.mac {
            meet(config, binding, other).map_err(|vlan| {
                let message = format!(
                    "{} is the address of {} (VM {}) in {vlan} on this host already",
                    binding.mac,
                    other.interface(),
                    other.vm
                );
                problem(message, "give one of the two another address")
            })?;
        }
    }
    if let Some(max_ports) = profile.max_ports.filter(|max_ports| used >= *max_ports) {
        let message =
            format!("port-profile `{}` has {max_ports} ports, all in use", binding.profile);
        return Err(problem(message, "raise its `max-ports`, or detach another VM"));
    }
    Ok(())
}

/// Two vNICs carry no common VLAN; else one of them.
fn meet(config: &Config, a: &Binding, b: &Binding) -> Result<(), String> {
    let mode = |binding: &Binding| {
        let interface = config.interfaces.get(&binding.interface());
        Source::new(config, interface, Some(binding.effective_profile(config)))
            .port
            .port_mode(config)
    };
    let (a, b) = (mode(a), mode(b));
    let common = match (&a, &b) {
        (PortMode::Access(vlan), other) | (other, PortMode::Access(vlan)) => {
            other.carries(*vlan).then_some(*vlan)
        }
        (PortMode::Trunk { allowed: a, .. }, PortMode::Trunk { allowed: b, .. }) => {
            a.intersection(b).iter().next()
        }
    };
    common.map_or(Ok(()), |vlan| Err(format!("VLAN {vlan}")))
}

/// Whether a new configuration still has what the vNICs that are attached need.
#[must_use]
pub fn check_bindings(config: &Config, bindings: &[Binding]) -> Vec<Problem> {
    let mut users: BTreeMap<&Name, Vec<&Binding>> = BTreeMap::new();
    for binding in bindings {
        users.entry(&binding.profile).or_default().push(binding);
    }
    let mut problems = Vec::new();
    for (name, users) in users {
        let message = match config.profiles.get(name) {
            None => "is removed".to_owned(),
            Some(profile) if profile.kind != ProfileKind::Vethernet => {
                format!("becomes of type {}", profile.kind)
            }
            Some(profile) => match profile.max_ports {
                Some(max_ports) if users.len() > usize::from(max_ports) => {
                    format!("gets `max-ports {max_ports}`")
                }
                _ => continue,
            },
        };
        let first = users.first().map(|b| format!("{} (VM {})", b.interface(), b.vm));
        let others = match users.len() {
            0 | 1 => String::new(),
            n => format!(" and {} more", n - 1),
        };
        problems.push(Problem {
            span: None,
            path: format!("port-profile {name}"),
            message: format!("{message}, but is in use by {}{others}", first.unwrap_or_default()),
            hint: "detach them first, or attach them to another port-profile".to_owned(),
        });
    }
    problems
}

#[cfg(test)]
mod tests;
