//! Whether a configuration makes sense as a whole: every mistake, with its place in the text that
//! brought it.
//!
//! Where it sits: after `lang`, before `compile`. [`check`] does both for a text that a user wants
//! to apply. Not a mistake, on purpose: a trunk's native VLAN that is not among the allowed ones
//! (the usual way to drop untagged frames); an allowed VLAN that does not exist (it begins to pass
//! when it is made); a profile that is not enabled (its ports stay down).

mod teaming;

use std::collections::{BTreeMap, BTreeSet};

use proto::{EtherType, InterfaceName, ModuleId, VlanId};

use crate::acl::{AclKind, Match};
use crate::config::{Config, Name, ProfileKind, Settings};
use crate::lang::{Broken, PROBLEMS_MAX, Parsed, list, nearest, read_leniently, setting_lines};
use crate::place::{Direction, Place, Setting, Spans};
use crate::problem::Problem;
use crate::resolve::{ChainError, chain};
use crate::teaming::ChannelMode;

/// What is wrong with a configuration; empty: nothing.
#[must_use]
pub fn validate(config: &Config) -> Vec<Problem> {
    validate_at(config, &Spans::default())
}

/// What is wrong with a configuration that came from a text; problems point into it.
#[must_use]
pub fn validate_at(config: &Config, spans: &Spans) -> Vec<Problem> {
    let mut checker = Checker { config, spans, broken: Broken::default(), problems: Vec::new() };
    checker.parts();
    checker.teaming();
    sorted(checker.problems)
}

/// Applies a text over a configuration and validates the outcome.
///
/// # Errors
/// Everything that is wrong, in the order of the text; problems of the outcome that no line of the
/// text is to blame for stand last. Where the text itself has mistakes, what may only follow from
/// them is left out.
pub fn check(base: &Config, text: &str) -> Result<Parsed, Vec<Problem>> {
    let (parsed, problems, broken) = read_leniently(base, text);
    let is_text_good = problems.is_empty();
    let Parsed { config, spans } = &parsed;
    let mut checker = Checker { config, spans, broken, problems };
    checker.parts();
    if is_text_good {
        checker.teaming();
    }
    if checker.problems.is_empty() {
        return Ok(parsed);
    }
    Err(sorted(checker.problems))
}

fn sorted(mut problems: Vec<Problem>) -> Vec<Problem> {
    problems.sort_by_key(|problem| (problem.span.is_none(), problem.span));
    problems
}

struct Checker<'c> {
    config: &'c Config,
    spans: &'c Spans,
    /// The text has headings that could not be read.
    broken: Broken,
    problems: Vec<Problem>,
}

impl Checker<'_> {
    fn problem(&mut self, place: &Place, message: impl Into<String>, hint: impl Into<String>) {
        self.problems.push(Problem {
            span: self.spans.get(place),
            path: place.to_string(),
            message: message.into(),
            hint: hint.into(),
        });
    }

    /// [`near`], for as many problems as anybody reads: looking for it takes time.
    fn near<'n>(&self, name: &Name, names: impl Iterator<Item = &'n Name>) -> String {
        if self.problems.len() < PROBLEMS_MAX { near(name, names) } else { String::new() }
    }

    /// Everything that can be said of one object at a time.
    fn parts(&mut self) {
        self.vlan_names();
        self.entries();
        let config = self.config;
        let mut circles = BTreeSet::new();
        for (name, profile) in &config.profiles {
            let place = |setting| Place::ProfileSetting(name.clone(), setting);
            self.inherit(&place, profile.inherit.as_ref(), profile.kind, Some(profile.kind));
            self.chain(name, &place(Setting::Inherit), &mut circles);
            if profile.max_ports.is_some() {
                self.only_for(&place(Setting::MaxPorts), Setting::MaxPorts, profile.kind);
            }
            self.settings(&place, &profile.settings, profile.kind);
        }
        for (name, interface) in &config.interfaces {
            let place = |setting| Place::InterfaceSetting(*name, setting);
            let kind = match name {
                InterfaceName::Vethernet(_) => ProfileKind::Vethernet,
                InterfaceName::Ethernet { module, .. } => {
                    self.host_module(name, *module);
                    ProfileKind::Ethernet
                }
                InterfaceName::PortChannel(_) => {
                    self.problem(
                        &Place::Interface(*name),
                        "port-channels are not configured one by one",
                        format!(
                            "write `channel-group auto mode` and {} in the uplinks' port-profile",
                            list(&ChannelMode::ALL.map(ChannelMode::name), "or")
                        ),
                    );
                    continue;
                }
            };
            self.inherit(&place, interface.inherit.as_ref(), kind, None);
            self.settings(&place, &interface.settings, kind);
        }
    }

    fn host_module(&mut self, name: &InterfaceName, module: ModuleId) {
        if module < ModuleId::FIRST_HOST {
            self.problem(
                &Place::Interface(*name),
                format!("module {module} is a supervisor and has no uplinks"),
                "hosts are modules 3 and up",
            );
        }
    }

    fn vlan_names(&mut self) {
        let mut owners: BTreeMap<&str, VlanId> = BTreeMap::new();
        for (vlan, settings) in &self.config.vlans {
            let Some(name) = settings.name.as_deref() else { continue };
            if let Some(owner) = owners.get(name) {
                let message = format!("`{name}` is the name of VLAN {owner} already");
                self.problem(&Place::VlanName(*vlan), message, "give it another name");
            } else {
                owners.insert(name, *vlan);
            }
        }
    }

    /// Entries that can never match.
    fn entries(&mut self) {
        for (name, acl) in self.config.acls.iter().filter(|(_, acl)| acl.kind == AclKind::Mac) {
            for (number, rule) in acl.rules() {
                let Match::Mac(matches) = &rule.matches else { continue };
                let (protocol, list) = match matches.ether_type {
                    Some(EtherType::IPV4) => ("IPv4", "ip"),
                    Some(EtherType::IPV6) => ("IPv6", "ipv6"),
                    _ => continue,
                };
                let place = Place::AclEntry(acl.kind, name.clone(), number);
                let message = format!("the entry never matches: a mac list sees no {protocol}");
                self.problem(&place, message, format!("use an {list} access-list"));
            }
        }
    }

    /// The profile that an object names exists and is of its kind.
    fn inherit(
        &mut self,
        place: &impl Fn(Setting) -> Place,
        inherit: Option<&Name>,
        kind: ProfileKind,
        own: Option<ProfileKind>,
    ) {
        let Some(parent) = inherit else { return };
        let place = place(Setting::Inherit);
        match self.config.profiles.get(parent) {
            None if self.broken.profiles => {}
            None => {
                let hint = self.near(parent, self.config.profiles.keys());
                self.problem(&place, format!("port-profile `{parent}` is not defined"), hint);
            }
            Some(profile) if profile.kind != kind => {
                let what = match own {
                    Some(_) => format!("a port-profile of type {kind}"),
                    None => format!("an interface of type {kind}"),
                };
                let message = format!("port-profile `{parent}` is of type {}", profile.kind);
                self.problem(&place, message, format!("{what} can only inherit from its own type"));
            }
            Some(_) => {}
        }
    }

    /// The chain of a profile ends, and soon enough. A circle is reported once.
    fn chain(&mut self, name: &Name, place: &Place, circles: &mut BTreeSet<Vec<Name>>) {
        let error = match chain(self.config, name) {
            // Reported where the missing profile is named.
            Ok(_) | Err(ChainError::Unknown(_)) => return,
            Err(error) => error,
        };
        if let ChainError::Cycle(names) = &error {
            let mut members = names.clone();
            members.sort();
            members.dedup();
            if !members.contains(name) || !circles.insert(members) {
                return;
            }
        }
        let hint = match error {
            ChainError::Cycle(_) => "take `inherit port-profile` out of one of them",
            _ => "put the settings of several port-profiles into one",
        };
        self.problem(place, error.to_string(), hint);
    }

    fn only_for(&mut self, place: &Place, setting: Setting, kind: ProfileKind) {
        if let Some(only) = setting.only_for().filter(|only| *only != kind) {
            let message = format!("`{setting}` is for ports of type {only}, this one is {kind}");
            self.problem(place, message, "take the line out");
        }
    }

    fn settings(
        &mut self,
        place: &impl Fn(Setting) -> Place,
        settings: &Settings,
        kind: ProfileKind,
    ) {
        for (setting, _) in setting_lines(None, settings) {
            self.only_for(&place(setting), setting, kind);
        }
        for (setting, vlan) in [
            (Setting::AccessVlan, settings.access_vlan),
            (Setting::TrunkNativeVlan, settings.trunk_native_vlan),
        ] {
            let Some(vlan) = vlan else { continue };
            if !self.config.has_vlan(vlan) && !self.broken.vlans {
                let message = format!("VLAN {vlan} is not defined");
                self.problem(
                    &place(setting),
                    message,
                    format!("define it with `vlan {vlan}`, or use another"),
                );
            }
        }
        for direction in [Direction::In, Direction::Out] {
            for (kind, name) in settings.acl(direction).bound() {
                self.access_group(&place(Setting::AccessGroup(kind, direction)), kind, name);
            }
        }
    }

    fn access_group(&mut self, place: &Place, kind: AclKind, name: &Name) {
        match self.config.acls.get(name) {
            None if self.broken.acls => {}
            None => {
                let lists = self.config.acls.iter().filter(|(_, acl)| acl.kind == kind);
                let hint = self.near(name, lists.map(|(name, _)| name));
                self.problem(place, format!("{kind} access-list `{name}` is not defined"), hint);
            }
            Some(acl) if acl.kind != kind => {
                let message = format!("access list `{name}` is of kind {}, not {kind}", acl.kind);
                let setting = Setting::AccessGroup(acl.kind, Direction::In);
                self.problem(place, message, format!("bind it with `{setting}`"));
            }
            Some(_) => {}
        }
    }
}

/// A hint at the name that may have been meant.
pub(crate) fn near<'n>(name: &Name, names: impl Iterator<Item = &'n Name>) -> String {
    match nearest(name.as_str(), names.map(Name::as_str)) {
        Some(near) => format!("did you mean `{near}`?"),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests;
