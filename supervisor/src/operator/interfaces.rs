//! `show interface`: what each port is, how it stands, what holds for it and where that comes from.
//!
//! The ports are the NICs of all hosts, all vNICs that ever got a number, and whatever else is
//! configured. Of a host that is offline the last known counters are shown.

use std::collections::BTreeSet;

use policy::config::{Interface, Name, ProfileKind};
use policy::intent::PortMode;
use policy::place::Setting;
use policy::resolve::{Effective, Origin, chain, resolve};
use proto::rpc::operator as rpc;
use proto::{InterfaceName, ModuleId};

use super::{counters, lacp, neighbors, pinning, port_channels};
use crate::inventory::{Binding, Nic};
use crate::push::fleet::Module;
use crate::report::PortReport;
use crate::state::State;

/// One port, or all of them.
pub(super) fn interfaces(state: &State, only: Option<InterfaceName>) -> Vec<rpc::Interface> {
    let names = match only {
        Some(name) => names(state).into_iter().filter(|n| *n == name).collect(),
        None => names(state),
    };
    names.into_iter().map(|name| Facts::of(state, name).show(state)).collect()
}

/// Every port, in the order of names.
pub(super) fn names(state: &State) -> BTreeSet<InterfaceName> {
    let mut names: BTreeSet<InterfaceName> = state.config().0.interfaces.keys().copied().collect();
    names.extend(state.bindings().values().map(Binding::interface));
    for module in state.modules().values() {
        let number = module.record.module;
        let nic = |nic: &Nic| InterfaceName::Ethernet { module: number, nic: nic.number };
        names.extend(module.record.nics.iter().map(nic));
        names.extend(module.intent.ports.keys());
    }
    names
}

/// A setting as `show` has it: the words of the command and its value apart.
pub(super) fn settings(lines: Vec<(Setting, String, Origin)>) -> Vec<rpc::Setting> {
    let setting = |(setting, line, origin): (Setting, String, Origin)| {
        let name = setting.to_string();
        let value = match line.strip_prefix(&name) {
            Some("") => "yes",
            Some(value) => value.trim_start(),
            None => "no",
        };
        rpc::Setting { value: value.to_owned(), name, origin: origin.to_string() }
    };
    lines.into_iter().map(setting).collect()
}

/// What is known of a port.
struct Facts<'s> {
    name: InterfaceName,
    configured: Option<&'s Interface>,
    binding: Option<&'s Binding>,
    profile: Option<&'s Name>,
    module: Option<&'s Module>,
}

impl<'s> Facts<'s> {
    fn of(state: &'s State, name: InterfaceName) -> Self {
        let configured = state.config().0.interfaces.get(&name);
        let binding = match name {
            InterfaceName::Vethernet(veth) => state.bindings().get(&veth),
            _ => None,
        };
        let number: Option<ModuleId> = match name {
            InterfaceName::Ethernet { module, .. } => Some(module),
            _ => binding.and_then(|b| b.module),
        };
        Self {
            name,
            configured,
            binding,
            profile: configured
                .and_then(|i| i.inherit.as_ref())
                .or_else(|| binding.map(|b| &b.profile)),
            module: number.and_then(|n| state.modules().get(&n)),
        }
    }

    const fn kind(&self) -> ProfileKind {
        match self.name {
            InterfaceName::Vethernet(_) => ProfileKind::Vethernet,
            _ => ProfileKind::Ethernet,
        }
    }

    fn effective(&self, state: &State) -> Effective {
        let chain = self.profile.and_then(|name| chain(state.config().0, name).ok());
        resolve(self.configured, &chain.unwrap_or_default())
    }

    fn report(&self) -> Option<&'s PortReport> {
        self.module?.report.ports.get(&self.name)
    }

    /// Whether the configuration wants it up: what its host is told, or would be if it were there.
    fn is_admin_up(&self, effective: &Effective) -> bool {
        let port = self.module.and_then(|m| m.intent.ports.get(&self.name));
        let is_named = self.configured.is_some() || self.binding.is_some();
        port.map_or(is_named && !effective.shutdown.value, |port| port.admin_up)
    }

    /// `up`, `down` or `unknown`, and why it is not up.
    fn status(&self, state: &State, is_admin_up: bool) -> (&'static str, String) {
        let Some(module) = self.module.filter(|m| m.intent.ports.contains_key(&self.name)) else {
            return ("down", self.why_absent());
        };
        if !is_admin_up {
            return ("down", self.why_admin_down(state));
        }
        let known = match self.report() {
            // One that is up may have something to say all the same.
            Some(report) if report.link_up => ("up", report.reason.clone()),
            Some(report) => ("down", report.reason.clone()),
            None => ("unknown", "the host has not reported it yet".to_owned()),
        };
        match &module.session {
            Some(_) => known,
            None => {
                let number = module.record.module;
                let reason = match known.0 {
                    "unknown" => format!("module {number} is offline"),
                    was => format!("module {number} is offline, was {was}"),
                };
                ("unknown", reason)
            }
        }
    }

    /// Why no host has the port.
    fn why_absent(&self) -> String {
        match (self.name, self.module) {
            (InterfaceName::Ethernet { module, .. }, None) => {
                format!("absent: module {module} has never come")
            }
            (InterfaceName::Ethernet { nic, .. }, Some(module)) => {
                if module.record.nics.iter().any(|n| n.number == nic) {
                    "not configured: left to the host".to_owned()
                } else {
                    format!("absent: module {} has no NIC {nic}", module.record.module)
                }
            }
            _ if self.binding.is_some() => "inactive: the vNIC is not plugged in".to_owned(),
            _ => "absent: no vNIC has this number".to_owned(),
        }
    }

    fn why_admin_down(&self, state: &State) -> String {
        let config = state.config().0;
        match self.profile {
            Some(name) if config.profiles.get(name).is_some_and(|p| !p.enabled) => {
                format!("port-profile {name} is not enabled")
            }
            _ => "administratively down".to_owned(),
        }
    }

    fn carrier(&self) -> String {
        let Some(module) = self.module else { return String::new() };
        match self.name {
            InterfaceName::Ethernet { nic, .. } => module.report.nic_modes.get(&nic),
            name => module.report.kinds.get(&name),
        }
        .cloned()
        .unwrap_or_default()
    }

    fn show(&self, state: &State) -> rpc::Interface {
        let effective = self.effective(state);
        let is_admin_up = self.is_admin_up(&effective);
        let (status, reason) = self.status(state, is_admin_up);
        let (vlan, allowed_vlans) = match effective.port_mode(state.config().0) {
            PortMode::Access(vlan) => (vlan.to_string(), String::new()),
            PortMode::Trunk { native, allowed } => {
                (format!("{native} (native)"), allowed.to_string())
            }
        };
        let adapter = match self.name {
            InterfaceName::Ethernet { .. } => {
                self.module.map(|module| neighbors::adapter(module, self.name))
            }
            _ => self.binding.map(|b| b.adapter.clone()),
        };
        let interface = rpc::Interface {
            name: self.name.to_string(),
            module: self.module.map_or(0, |m| u32::from(m.record.module.get())),
            status: status.to_owned(),
            reason,
            admin: if is_admin_up { "up" } else { "down" }.to_owned(),
            mode: effective.mode.value.to_string(),
            vlan,
            allowed_vlans,
            mtu_bytes: u32::from(effective.mtu_bytes.value),
            profile: self.profile.map(ToString::to_string).unwrap_or_default(),
            owner: self.binding.map(|b| b.vm.clone()).unwrap_or_default(),
            adapter: adapter.unwrap_or_default(),
            mac: self.binding.map(|b| b.mac.to_string()).unwrap_or_default(),
            kind: self.carrier(),
            pinned_to: self.report().map(|r| r.pinned_to.clone()).unwrap_or_default(),
            description: effective.description.clone().unwrap_or_default(),
            counters: Some(self.report().map(counters::of_port).unwrap_or_default()),
            settings: settings(effective.lines(self.kind())),
            ..rpc::Interface::default()
        };
        match (self.name, self.module) {
            (InterfaceName::Ethernet { .. }, Some(module)) => self.teamed(module, interface),
            _ => interface,
        }
    }

    /// An uplink with its group, what it hears and who sends by it.
    fn teamed(&self, module: &Module, uplink: rpc::Interface) -> rpc::Interface {
        let (channel, member) = port_channels::of_uplink(module, self.name).unwrap_or_default();
        let heard = neighbors::at(module, self.name).into_iter();
        rpc::Interface {
            channel: channel.number,
            channel_mode: channel.mode,
            channel_flag: member.flag,
            channel_reason: member.reason,
            lacp: lacp::port(module, self.name),
            neighbors: heard.map(|neighbor| neighbors::show(module, neighbor)).collect(),
            pinned: pinning::on_uplink(module, self.name),
            ..uplink
        }
    }
}
