//! `show port-profile`: what a profile says itself, what it comes to, and who uses it.

use policy::config::{Name, PortProfile};
use policy::lang;
use policy::place::Place;
use policy::resolve::{chain, resolve};
use proto::InterfaceName;
use proto::rpc::operator as rpc;

use super::interfaces::{names, settings};
use crate::state::State;

/// One profile, or all of them.
pub(super) fn profiles(state: &State, only: Option<&Name>) -> Vec<rpc::PortProfile> {
    let config = state.config().0;
    let sections = lang::sections(config);
    let wanted = config.profiles.iter().filter(|(name, _)| only.is_none_or(|o| o == *name));
    let show = |(name, profile): (&Name, &PortProfile)| {
        let own = sections.iter().find(|s| s.place == Place::Profile(name.clone()));
        let lines = own.into_iter().flat_map(|s| &s.lines).map(|line| line.text.clone());
        let effective = resolve(None, &chain(config, name).unwrap_or_default());
        let children = config.profiles.iter().filter(|(_, p)| p.inherit.as_ref() == Some(name));
        let users = names(state).into_iter().filter(|port| uses(state, *port, name));
        rpc::PortProfile {
            name: name.to_string(),
            kind: profile.kind.to_string(),
            enabled: profile.enabled,
            description: profile.settings.description.clone().unwrap_or_default(),
            inherits: profile.inherit.as_ref().map(Name::to_string).unwrap_or_default(),
            config: lines.collect(),
            evaluated: settings(effective.lines(profile.kind)),
            interfaces: users.map(|port| port.to_string()).collect(),
            children: children.map(|(child, _)| child.to_string()).collect(),
        }
    };
    wanted.map(show).collect()
}

/// Whether a port gets its settings from a profile, not through another one.
fn uses(state: &State, port: InterfaceName, profile: &Name) -> bool {
    let configured = state.config().0.interfaces.get(&port).and_then(|i| i.inherit.as_ref());
    let attached = match port {
        InterfaceName::Vethernet(veth) => state.bindings().get(&veth).map(|b| &b.profile),
        _ => None,
    };
    configured.or(attached) == Some(profile)
}
