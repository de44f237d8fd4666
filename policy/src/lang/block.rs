//! Headings and what stands under them: `hostname`, `vlan`, `port-profile`, `interface`.
//!
//! Not here: access lists ([`super::access_list`]) and the lines of settings
//! ([`super::setting`]).

use proto::{InterfaceName, VlanId};

use super::cursor::{Cursor, problem_at};
use super::edit::Target;
use super::interface::interfaces;
use super::nearest::nearest;
use super::read::{Block, Reader};
use super::setting::{self, Head, Sense};
use super::{INTERFACES_MAX, PROFILES_MAX, value};
use crate::config::{Interface, PortProfile, ProfileKind, Settings, Vlan, is_printable};
use crate::place::Place;
use crate::problem::Problem;

pub(super) fn hostname(reader: &mut Reader, cursor: &mut Cursor<'_, '_>) -> Result<(), Problem> {
    let name = value::name(cursor, "a host name")?;
    cursor.finish()?;
    reader.spans.set(Place::Hostname, cursor.span_before());
    reader.config.hostname = Some(name);
    Ok(())
}

pub(super) fn no_hostname(reader: &mut Reader, cursor: &mut Cursor<'_, '_>) -> Result<(), Problem> {
    if cursor.peek().is_some() {
        value::name(cursor, "a host name")?;
    }
    cursor.finish()?;
    reader.config.hostname = None;
    Ok(())
}

pub(super) fn vlan(reader: &mut Reader, cursor: &mut Cursor<'_, '_>) -> Result<(), Problem> {
    let before = reader.broken;
    reader.open_broken(Block::Vlans(Vec::new()));
    let span = cursor.span_to_end();
    let vlans: Vec<VlanId> = value::vlan_list(cursor)?.iter().collect();
    cursor.finish()?;
    reader.touch(vlans.len());
    for vlan in &vlans {
        reader.config.vlans.entry(*vlan).or_default();
        reader.spans.set(Place::Vlan(*vlan), span);
    }
    reader.broken = before;
    reader.block = Block::Vlans(vlans);
    Ok(())
}

pub(super) fn no_vlan(reader: &mut Reader, cursor: &mut Cursor<'_, '_>) -> Result<(), Problem> {
    let vlans = value::vlan_list(cursor)?;
    cursor.finish()?;
    let old = reader.config.vlans.len();
    reader.touch(old);
    reader.config.vlans.retain(|vlan, _| !vlans.contains(*vlan));
    if reader.config.vlans.len() != old {
        return Ok(());
    }
    Err(match vlans.iter().eq([VlanId::DEFAULT]) {
        true => cursor.problem_before("VLAN 1 exists always", "it cannot be removed"),
        false => cursor.problem_before(format!("there is no VLAN {vlans}"), ""),
    })
}

/// Reads an optional `type vethernet|ethernet` and the name.
fn profile_heading(
    cursor: &mut Cursor<'_, '_>,
) -> Result<(Option<ProfileKind>, crate::config::Name), Problem> {
    let kinds = [("vethernet", ProfileKind::Vethernet), ("ethernet", ProfileKind::Ethernet)];
    // With one word left it is the name, whatever it is.
    let kind = match cursor.left() > 1 {
        true => {
            cursor.keyword("type")?;
            Some(cursor.choose(&kinds)?)
        }
        false => None,
    };
    let name = value::name(cursor, "the name of a port-profile")?;
    if kind.is_none() && name.as_str() == "type" {
        // For completion: it may yet become the keyword.
        cursor.option(&kinds)?;
    }
    Ok((kind, name))
}

pub(super) fn profile(reader: &mut Reader, cursor: &mut Cursor<'_, '_>) -> Result<(), Problem> {
    let before = reader.broken;
    reader.open_broken(Block::Profile(None));
    let (kind, name) = profile_heading(cursor)?;
    let span = cursor.span_before();
    cursor.finish()?;
    match (reader.config.profiles.get(&name), kind) {
        (Some(old), Some(kind)) if old.kind != kind => {
            return Err(problem_at(
                span,
                format!("port-profile `{name}` is of type {}, not {kind}", old.kind),
                format!("give it another name, or remove it first: `no port-profile {name}`"),
            ));
        }
        (Some(_), _) => {}
        (None, None) => {
            let names = reader.config.profiles.keys().map(crate::config::Name::as_str);
            let hint = match nearest(name.as_str(), names) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("to make it write `port-profile type vethernet {name}`"),
            };
            return Err(problem_at(span, format!("there is no port-profile `{name}`"), hint));
        }
        (None, Some(_)) if reader.config.profiles.len() >= PROFILES_MAX => {
            return Err(problem_at(span, format!("more than {PROFILES_MAX} port-profiles"), ""));
        }
        (None, Some(kind)) => {
            let profile = PortProfile {
                kind,
                inherit: None,
                enabled: false,
                max_ports: None,
                settings: Settings::default(),
            };
            reader.config.profiles.insert(name.clone(), profile);
        }
    }
    reader.spans.set(Place::Profile(name.clone()), span);
    reader.broken = before;
    reader.block = Block::Profile(Some(name));
    Ok(())
}

pub(super) fn no_profile(reader: &mut Reader, cursor: &mut Cursor<'_, '_>) -> Result<(), Problem> {
    let (kind, name) = profile_heading(cursor)?;
    let span = cursor.span_before();
    cursor.finish()?;
    match reader.config.profiles.get(&name) {
        Some(old) if kind.is_none_or(|kind| kind == old.kind) => {
            reader.config.profiles.remove(&name);
            Ok(())
        }
        Some(old) => Err(problem_at(
            span,
            format!("port-profile `{name}` is of type {}", old.kind),
            format!("write `no port-profile {name}`"),
        )),
        None => {
            let names = reader.config.profiles.keys().map(crate::config::Name::as_str);
            let hint = nearest(name.as_str(), names).map(|near| format!("did you mean `{near}`?"));
            let message = format!("there is no port-profile `{name}`");
            Err(problem_at(span, message, hint.unwrap_or_default()))
        }
    }
}

pub(super) fn interface(reader: &mut Reader, cursor: &mut Cursor<'_, '_>) -> Result<(), Problem> {
    reader.block = Block::Interfaces(Vec::new());
    let found = interfaces(cursor)?;
    reader.touch(found.len());
    let new = found.iter().filter(|(name, _)| !reader.config.interfaces.contains_key(name)).count();
    if reader.config.interfaces.len() + new > INTERFACES_MAX {
        let message = format!("more than {INTERFACES_MAX} interfaces");
        return Err(problem_at(cursor.span_before(), message, ""));
    }
    for (name, span) in &found {
        reader.config.interfaces.entry(*name).or_default();
        reader.spans.set(Place::Interface(*name), *span);
    }
    reader.block = Block::Interfaces(found.into_iter().map(|(name, _)| name).collect());
    Ok(())
}

pub(super) fn no_interface(
    reader: &mut Reader,
    cursor: &mut Cursor<'_, '_>,
) -> Result<(), Problem> {
    let found = interfaces(cursor)?;
    reader.touch(found.len());
    let old = reader.config.interfaces.len();
    for (name, _) in &found {
        reader.config.interfaces.remove(name);
    }
    match (reader.config.interfaces.len() == old, found.first()) {
        (true, Some((name, span))) => {
            Err(problem_at(*span, format!("{name} has no configuration"), ""))
        }
        _ => Ok(()),
    }
}

/// `default interface LIST`: the interfaces stay, without settings.
pub(super) fn default_interface(
    reader: &mut Reader,
    cursor: &mut Cursor<'_, '_>,
) -> Result<(), Problem> {
    let found = interfaces(cursor)?;
    reader.touch(found.len());
    for (name, _) in found {
        if let Some(interface) = reader.config.interfaces.get_mut(&name) {
            *interface = Interface::default();
        }
    }
    Ok(())
}

impl Reader {
    /// `name TEXT` of a VLAN.
    pub(super) fn vlan_name(
        &mut self,
        cursor: &mut Cursor<'_, '_>,
        sense: Sense,
    ) -> Result<(), Problem> {
        let name = match (sense, cursor.peek()) {
            (Sense::No | Sense::Default, None) => None,
            _ => Some(cursor.value("the name of a VLAN", vlan_name)?),
        };
        cursor.finish()?;
        let Block::Vlans(vlans) = &self.block else { return Err(cursor.unexpected()) };
        if vlans.len() > 1 && sense == Sense::Set {
            return Err(cursor.problem_before(
                format!("{} VLANs cannot have one name", vlans.len()),
                "name each under its own `vlan N`",
            ));
        }
        for vlan in vlans {
            let place = self.config.vlans.entry(*vlan).or_default();
            place.name = name.clone().filter(|_| sense == Sense::Set);
            self.spans.set(Place::VlanName(*vlan), cursor.span_before());
        }
        Ok(())
    }

    /// A line of a port-profile or of interfaces.
    pub(super) fn setting(
        &mut self,
        cursor: &mut Cursor<'_, '_>,
        sense: Sense,
        head: Head,
    ) -> Result<(), Problem> {
        let edit = setting::edit(cursor, sense, head)?;
        let wrong = |(message, hint): (String, String)| problem_at(edit.span, message, hint);
        match &self.block {
            Block::Profile(Some(name)) => {
                if let Some(profile) = self.config.profiles.get_mut(name) {
                    let mut target = Target {
                        inherit: &mut profile.inherit,
                        settings: &mut profile.settings,
                        profile: Some((&mut profile.max_ports, &mut profile.enabled)),
                        inherits_unseen: false,
                    };
                    edit.apply(&mut target).map_err(wrong)?;
                    let place = Place::ProfileSetting(name.clone(), edit.setting);
                    self.spans.set(place, edit.span);
                }
            }
            Block::Interfaces(names) => {
                for name in names {
                    let Some(interface) = self.config.interfaces.get_mut(name) else { continue };
                    let mut target = Target {
                        inherit: &mut interface.inherit,
                        settings: &mut interface.settings,
                        profile: None,
                        inherits_unseen: matches!(name, InterfaceName::Vethernet(_)),
                    };
                    edit.apply(&mut target).map_err(wrong)?;
                    self.spans.set(Place::InterfaceSetting(*name, edit.setting), edit.span);
                }
            }
            Block::Top | Block::Vlans(_) | Block::Acl(..) | Block::Profile(None) => {}
        }
        Ok(())
    }
}

fn vlan_name(text: &str) -> Option<Result<String, String>> {
    let legal = text.chars().all(is_printable) && text.chars().count() <= Vlan::NAME_LEN_MAX;
    Some(match legal {
        true => Ok(text.to_owned()),
        false => {
            Err(format!("the name of a VLAN has at most {} visible characters", Vlan::NAME_LEN_MAX))
        }
    })
}
