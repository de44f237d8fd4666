//! The lines that a port-profile and an interface have in common: what is said of a port.
//!
//! A line is read once into an [`Edit`], which is then applied to every object that it is for (a
//! range of interfaces has several).

use proto::MacAddr;
use proto::VlanId;

use super::cursor::{Cursor, problem_at};
use super::value;
use crate::acl::AclKind;
use crate::config::{MacAllow, Name, Pinning, Settings, SwitchportMode};
use crate::place::{Direction, Setting};
use crate::problem::{Problem, Span};
use crate::teaming::ChannelMode;
use crate::vlan_set::VlanSet;

/// How a command is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sense {
    /// As it stands.
    Set,
    /// `no ...`.
    No,
    /// `default ...`: as if it had never been said.
    Default,
}

/// What one line does.
#[derive(Clone, Debug)]
pub(super) struct Edit {
    /// What it speaks of.
    pub(super) setting: Setting,
    /// Where its value stands, or its last word.
    pub(super) span: Span,
    change: Change,
}

#[derive(Clone, Debug)]
enum Change {
    Reset,
    Description(String),
    Inherit(Name),
    InheritNot(Name),
    Mode(SwitchportMode),
    AccessVlan(VlanId),
    NativeVlan(VlanId),
    AllowedVlans(VlanSet),
    AllowedVlansAdd(VlanSet),
    AllowedVlansRemove(VlanSet),
    Flag(bool),
    MacAllow(MacAllow),
    Number(u16),
    AccessGroup(Name),
    AccessGroupNot(Name),
    Channel(ChannelMode),
}

/// An object that a line of settings can be applied to.
#[derive(Debug)]
pub(super) struct Target<'c> {
    /// Its `inherit port-profile`.
    pub(super) inherit: &'c mut Option<Name>,
    /// Its settings.
    pub(super) settings: &'c mut Settings,
    /// `max-ports` and `state enabled`, in a profile.
    pub(super) profile: Option<(&'c mut Option<u16>, &'c mut bool)>,
    /// Values that it does not say itself come from elsewhere: from a profile that is not known
    /// at this line.
    pub(super) inherits_unseen: bool,
}

/// The first words of these lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Head {
    Description,
    Inherit,
    Switchport,
    MacAddress,
    SpanningTree,
    Mtu,
    Acl(AclKind),
    Channel,
    Pinning,
    HostTraffic,
    Shutdown,
    MaxPorts,
    State,
}

/// The first words in an interface; a profile has [`PROFILE_HEADS`] besides.
pub(super) const HEADS: [(&str, Head); 13] = [
    ("description", Head::Description),
    ("inherit", Head::Inherit),
    ("switchport", Head::Switchport),
    ("mac-address", Head::MacAddress),
    ("spanning-tree", Head::SpanningTree),
    ("mtu", Head::Mtu),
    ("ip", Head::Acl(AclKind::Ipv4)),
    ("ipv6", Head::Acl(AclKind::Ipv6)),
    ("mac", Head::Acl(AclKind::Mac)),
    ("channel-group", Head::Channel),
    ("pinning", Head::Pinning),
    ("host-traffic", Head::HostTraffic),
    ("shutdown", Head::Shutdown),
];

/// The first words that only a profile has.
pub(super) const PROFILE_HEADS: [(&str, Head); 2] =
    [("max-ports", Head::MaxPorts), ("state", Head::State)];

/// Reads the rest of a line, behind its first word.
pub(super) fn edit(cursor: &mut Cursor<'_, '_>, sense: Sense, head: Head) -> Result<Edit, Problem> {
    let start = cursor.position();
    let (setting, change) = match head {
        Head::Description => description(cursor, sense)?,
        Head::Inherit => inherit(cursor, sense)?,
        Head::Switchport => switchport(cursor, sense)?,
        Head::MacAddress => mac_allow(cursor, sense)?,
        Head::SpanningTree => bpdu_guard(cursor, sense)?,
        Head::Mtu => {
            let change = optional(cursor, sense, |c| {
                let (what, range) = ("an MTU (576..9216)", Settings::MTU_MIN..=Settings::MTU_MAX);
                value::ranged(c, what, range).map(Change::Number)
            })?;
            (Setting::Mtu, change)
        }
        Head::Acl(kind) => access_group(cursor, sense, kind)?,
        Head::Channel => channel_group(cursor, sense)?,
        Head::Pinning => {
            cursor.keyword("id")?;
            let change = optional(cursor, sense, |c| {
                value::ranged(c, "a NIC number (1..32)", 1..=32).map(Change::Number)
            })?;
            (Setting::Pinning, change)
        }
        Head::HostTraffic => (Setting::HostTraffic, flag(sense)),
        Head::Shutdown => (Setting::Shutdown, flag(sense)),
        Head::MaxPorts => {
            let change = optional(cursor, sense, |c| {
                value::ranged(c, "a number of ports (1..1024)", 1..=1024).map(Change::Number)
            })?;
            (Setting::MaxPorts, change)
        }
        Head::State => {
            cursor.keyword("enabled")?;
            (Setting::State, flag(sense))
        }
    };
    cursor.finish()?;
    let words = cursor.line();
    let span = match words.words.get(start) {
        Some(_) => value_span(cursor, &change),
        None => words.span_from(start.saturating_sub(1)),
    };
    Ok(Edit { setting, span, change })
}

/// The value of a line: the name of an access list stands before its direction, others stand last.
fn value_span(cursor: &Cursor<'_, '_>, change: &Change) -> Span {
    let words = &cursor.line().words;
    match change {
        Change::AccessGroup(_) | Change::AccessGroupNot(_) if words.len() >= 2 => {
            cursor.line().span(&words[words.len() - 2])
        }
        _ => cursor.span_before(),
    }
}

/// A flag: `no` says that it is off, `default` that nothing is said.
const fn flag(sense: Sense) -> Change {
    match sense {
        Sense::Set => Change::Flag(true),
        Sense::No => Change::Flag(false),
        Sense::Default => Change::Reset,
    }
}

/// A value, which `no` and `default` may repeat but need not.
fn optional(
    cursor: &mut Cursor<'_, '_>,
    sense: Sense,
    read: impl FnOnce(&mut Cursor<'_, '_>) -> Result<Change, Problem>,
) -> Result<Change, Problem> {
    if sense == Sense::Set {
        return read(cursor);
    }
    if cursor.peek().is_some() {
        read(cursor)?;
    }
    Ok(Change::Reset)
}

fn description(cursor: &mut Cursor<'_, '_>, sense: Sense) -> Result<(Setting, Change), Problem> {
    let change = optional(cursor, sense, |c| {
        let text = value::printable(c, "a description", Settings::DESCRIPTION_LEN_MAX)?;
        Ok(Change::Description(text))
    })?;
    Ok((Setting::Description, change))
}

fn inherit(cursor: &mut Cursor<'_, '_>, sense: Sense) -> Result<(Setting, Change), Problem> {
    cursor.keyword("port-profile")?;
    if sense != Sense::Set && cursor.peek().is_none() {
        return Ok((Setting::Inherit, Change::Reset));
    }
    let name = value::name(cursor, "the name of a port-profile")?;
    let change = match sense {
        Sense::Set => Change::Inherit(name),
        _ => Change::InheritNot(name),
    };
    Ok((Setting::Inherit, change))
}

fn switchport(cursor: &mut Cursor<'_, '_>, sense: Sense) -> Result<(Setting, Change), Problem> {
    #[derive(Clone, Copy)]
    enum Word {
        Mode,
        Access,
        Trunk,
        Uufb,
        Promiscuous,
    }
    let words = [
        ("mode", Word::Mode),
        ("access", Word::Access),
        ("trunk", Word::Trunk),
        ("uufb", Word::Uufb),
        ("promiscuous", Word::Promiscuous),
    ];
    match cursor.choose(&words)? {
        Word::Mode => {
            let change = optional(cursor, sense, |c| port_mode(c).map(Change::Mode))?;
            Ok((Setting::Mode, change))
        }
        Word::Access => {
            cursor.keyword("vlan")?;
            let change = optional(cursor, sense, |c| vlan(c).map(Change::AccessVlan))?;
            Ok((Setting::AccessVlan, change))
        }
        Word::Trunk => trunk(cursor, sense),
        Word::Uufb => {
            cursor.keyword("disable")?;
            Ok((Setting::Uufb, flag(sense)))
        }
        Word::Promiscuous => Ok((Setting::Promiscuous, flag(sense))),
    }
}

fn port_mode(cursor: &mut Cursor<'_, '_>) -> Result<SwitchportMode, Problem> {
    let modes = [("access", SwitchportMode::Access), ("trunk", SwitchportMode::Trunk)];
    if let Some(word) = cursor.peek()
        && word.text.eq_ignore_ascii_case("private-vlan")
    {
        return Err(cursor.problem(
            "`switchport mode private-vlan` is not supported",
            "use `access`, and an access list to part the ports of a VLAN",
        ));
    }
    cursor.choose(&modes)
}

fn vlan(cursor: &mut Cursor<'_, '_>) -> Result<VlanId, Problem> {
    value::number(cursor, "a VLAN (1..4094)", VlanId::new)
}

fn trunk(cursor: &mut Cursor<'_, '_>, sense: Sense) -> Result<(Setting, Change), Problem> {
    let native = cursor.choose(&[("native", true), ("allowed", false)])?;
    cursor.keyword("vlan")?;
    if native {
        let change = optional(cursor, sense, |c| vlan(c).map(Change::NativeVlan))?;
        return Ok((Setting::TrunkNativeVlan, change));
    }
    let change = optional(cursor, sense, allowed_vlans)?;
    Ok((Setting::TrunkAllowedVlans, change))
}

fn allowed_vlans(cursor: &mut Cursor<'_, '_>) -> Result<Change, Problem> {
    #[derive(Clone, Copy)]
    enum Word {
        All,
        None,
        Add,
        Remove,
        Except,
    }
    let list = cursor.option_value("a VLAN list such as 10,20-22", |text| {
        text.starts_with(|c: char| c.is_ascii_digit())
            .then(|| text.parse::<VlanSet>().map_err(|e| e.to_string()))
    })?;
    if let Some(list) = list {
        return Ok(Change::AllowedVlans(list));
    }
    let words = [
        ("all", Word::All),
        ("none", Word::None),
        ("add", Word::Add),
        ("remove", Word::Remove),
        ("except", Word::Except),
    ];
    Ok(match cursor.choose(&words)? {
        Word::All => Change::AllowedVlans(VlanSet::all()),
        Word::None => Change::AllowedVlans(VlanSet::EMPTY),
        Word::Add => Change::AllowedVlansAdd(value::vlan_list(cursor)?),
        Word::Remove => Change::AllowedVlansRemove(value::vlan_list(cursor)?),
        Word::Except => Change::AllowedVlans(VlanSet::all().difference(&value::vlan_list(cursor)?)),
    })
}

fn mac_allow(cursor: &mut Cursor<'_, '_>, sense: Sense) -> Result<(Setting, Change), Problem> {
    cursor.keyword("allow")?;
    let change = optional(cursor, sense, |c| mac_list(c).map(Change::MacAllow))?;
    Ok((Setting::MacAllow, change))
}

fn mac_list(cursor: &mut Cursor<'_, '_>) -> Result<MacAllow, Problem> {
    let mut macs: Vec<MacAddr> = Vec::new();
    while let Some(mac) = cursor.option_value("a MAC address", value::mac)? {
        if !mac.is_valid_source() {
            return Err(cursor.problem_before(
                format!("{} is a group address or zero", mac.nxos()),
                "no frame may come from it; give the address of one station",
            ));
        }
        if let Err(place) = macs.binary_search(&mac) {
            macs.insert(place, mac);
        }
        if macs.len() > MacAllow::LIST_LEN_MAX {
            return Err(cursor.problem_before(
                format!("more than {} addresses", MacAllow::LIST_LEN_MAX),
                "write `mac-address allow any`",
            ));
        }
    }
    if !macs.is_empty() {
        return Ok(MacAllow::List(macs));
    }
    match cursor.choose(&[("any", true), ("none", false)])? {
        true => Ok(MacAllow::Any),
        false => Ok(MacAllow::List(Vec::new())),
    }
}

fn bpdu_guard(cursor: &mut Cursor<'_, '_>, sense: Sense) -> Result<(Setting, Change), Problem> {
    cursor.keyword("bpduguard")?;
    let change = optional(cursor, sense, |c| {
        c.choose(&[("enable", true), ("disable", false)]).map(Change::Flag)
    })?;
    Ok((Setting::BpduGuard, change))
}

fn access_group(
    cursor: &mut Cursor<'_, '_>,
    sense: Sense,
    kind: AclKind,
) -> Result<(Setting, Change), Problem> {
    let filter = [("access-group", ()), ("traffic-filter", ())];
    let filter = if kind == AclKind::Ipv6 { &filter[..] } else { &filter[..1] };
    cursor.option(&[("port", ())])?;
    cursor.choose(filter)?;
    let directions = [("in", Direction::In), ("out", Direction::Out)];
    if sense != Sense::Set && cursor.left() < 2 {
        let direction = cursor.choose(&directions)?;
        return Ok((Setting::AccessGroup(kind, direction), Change::Reset));
    }
    let name = value::name(cursor, "the name of an access list")?;
    let direction = cursor.choose(&directions)?;
    let change = match sense {
        Sense::Set => Change::AccessGroup(name),
        _ => Change::AccessGroupNot(name),
    };
    Ok((Setting::AccessGroup(kind, direction), change))
}

fn channel_group(cursor: &mut Cursor<'_, '_>, sense: Sense) -> Result<(Setting, Change), Problem> {
    cursor.keyword("auto")?;
    let change = optional(cursor, sense, |c| {
        c.keyword("mode")?;
        let place = c.span_to_end();
        let unsupported = |mode: &str| {
            problem_at(
                place,
                format!("`channel-group auto mode {mode}` is not supported"),
                "use `channel-group auto mode on mac-pinning`, which needs no setting in the \
                 physical switches",
            )
        };
        #[derive(Clone, Copy)]
        enum Mode {
            On,
            Active,
            Passive,
            ActiveStandby,
        }
        let modes = [
            ("on", Mode::On),
            ("active", Mode::Active),
            ("passive", Mode::Passive),
            ("active-standby", Mode::ActiveStandby),
        ];
        match c.choose(&modes)? {
            Mode::Active => return Err(unsupported("active")),
            Mode::Passive => return Err(unsupported("passive")),
            Mode::ActiveStandby => return Err(unsupported("active-standby")),
            Mode::On => {}
        }
        match c.option(&[("mac-pinning", true), ("sub-group", false)])? {
            Some(true) => {}
            Some(false) => return Err(unsupported("on sub-group")),
            None if c.peek().is_none() => return Err(unsupported("on")),
            None => return Err(c.unexpected()),
        }
        if let Some(word) = c.peek()
            && word.text.eq_ignore_ascii_case("relative")
        {
            return Err(unsupported("on mac-pinning relative"));
        }
        Ok(Change::Channel(ChannelMode::MacPinning { relative: false }))
    })?;
    Ok((Setting::ChannelGroup, change))
}

impl Edit {
    /// Applies the line to one object.
    ///
    /// # Errors
    /// The line speaks of something that the object does not have; one sentence, and what to do.
    pub(super) fn apply(&self, target: &mut Target<'_>) -> Result<(), (String, String)> {
        let direction = match self.setting {
            Setting::AccessGroup(_, direction) => direction,
            _ => Direction::In,
        };
        let kind = match self.setting {
            Setting::AccessGroup(kind, _) => kind,
            _ => AclKind::Mac,
        };
        match &self.change {
            Change::Reset => self.reset(target),
            Change::Flag(on) => self.set_flag(target, *on),
            Change::Number(number) => self.set_number(target, *number),
            Change::Description(text) => target.settings.description = Some(text.clone()),
            Change::Inherit(name) => *target.inherit = Some(name.clone()),
            Change::InheritNot(name) => clear_named(target.inherit, name, "port-profile")?,
            Change::Mode(mode) => target.settings.mode = Some(*mode),
            Change::AccessVlan(vlan) => target.settings.access_vlan = Some(*vlan),
            Change::NativeVlan(vlan) => target.settings.trunk_native_vlan = Some(*vlan),
            Change::AllowedVlans(vlans) => {
                target.settings.trunk_allowed_vlans = Some(vlans.clone());
            }
            Change::AllowedVlansAdd(vlans) => {
                let old = own_allowed_vlans(target)?;
                target.settings.trunk_allowed_vlans = Some(old.union(vlans));
            }
            Change::AllowedVlansRemove(vlans) => {
                let old = own_allowed_vlans(target)?;
                target.settings.trunk_allowed_vlans = Some(old.difference(vlans));
            }
            Change::MacAllow(allow) => target.settings.mac_allow = Some(allow.clone()),
            Change::AccessGroup(name) => {
                *target.settings.acl_mut(direction).get_mut(kind) = Some(name.clone());
            }
            Change::AccessGroupNot(name) => {
                let bound = target.settings.acl_mut(direction).get_mut(kind);
                clear_named(bound, name, "access list")?;
            }
            Change::Channel(mode) => target.settings.channel_group = Some(*mode),
        }
        Ok(())
    }

    fn set_flag(&self, target: &mut Target<'_>, on: bool) {
        let settings = &mut *target.settings;
        match self.setting {
            Setting::Shutdown => settings.shutdown = Some(on),
            Setting::Uufb => settings.uufb_disabled = Some(on),
            Setting::Promiscuous => settings.promiscuous = Some(on),
            Setting::BpduGuard => settings.bpdu_guard = Some(on),
            Setting::HostTraffic => settings.host_traffic = Some(on),
            Setting::State => {
                if let Some((_, enabled)) = &mut target.profile {
                    **enabled = on;
                }
            }
            _ => {}
        }
    }

    fn set_number(&self, target: &mut Target<'_>, number: u16) {
        match self.setting {
            Setting::Mtu => target.settings.mtu_bytes = Some(number),
            Setting::Pinning => {
                let id = u8::try_from(number).ok();
                target.settings.pinning = id.map(|id| Pinning { id, backups: Vec::new() });
            }
            Setting::MaxPorts => {
                if let Some((max_ports, _)) = &mut target.profile {
                    **max_ports = Some(number);
                }
            }
            _ => {}
        }
    }

    fn reset(&self, target: &mut Target<'_>) {
        let settings = &mut *target.settings;
        match self.setting {
            Setting::Description => settings.description = None,
            Setting::Inherit => *target.inherit = None,
            Setting::Mode => settings.mode = None,
            Setting::AccessVlan => settings.access_vlan = None,
            Setting::TrunkNativeVlan => settings.trunk_native_vlan = None,
            Setting::TrunkAllowedVlans => settings.trunk_allowed_vlans = None,
            Setting::Uufb => settings.uufb_disabled = None,
            Setting::Promiscuous => settings.promiscuous = None,
            Setting::MacAllow => settings.mac_allow = None,
            Setting::BpduGuard => settings.bpdu_guard = None,
            Setting::Mtu => settings.mtu_bytes = None,
            Setting::AccessGroup(kind, way) => *settings.acl_mut(way).get_mut(kind) = None,
            Setting::ChannelGroup => settings.channel_group = None,
            Setting::Pinning => settings.pinning = None,
            Setting::HostTraffic => settings.host_traffic = None,
            Setting::Shutdown => settings.shutdown = None,
            Setting::MaxPorts => {
                if let Some((max_ports, _)) = &mut target.profile {
                    **max_ports = None;
                }
            }
            Setting::State => {
                if let Some((_, enabled)) = &mut target.profile {
                    **enabled = false;
                }
            }
        }
    }
}

/// `no ... NAME`: removes that name and no other, lest a slip removes another list's protection.
fn clear_named(slot: &mut Option<Name>, name: &Name, what: &str) -> Result<(), (String, String)> {
    match slot {
        Some(old) if old != name => {
            Err((format!("the {what} here is `{old}`, not `{name}`"), format!("write `{old}`")))
        }
        _ => {
            *slot = None;
            Ok(())
        }
    }
}

/// The list that `add` and `remove` start from: its own, or all VLANs.
fn own_allowed_vlans(target: &Target<'_>) -> Result<VlanSet, (String, String)> {
    match &target.settings.trunk_allowed_vlans {
        Some(vlans) => Ok(vlans.clone()),
        None if !target.inherits_unseen && target.inherit.is_none() => Ok(VlanSet::all()),
        None => Err((
            "`add` and `remove` need a list of its own here, and it has none".to_owned(),
            "write the whole list: `switchport trunk allowed vlan LIST`".to_owned(),
        )),
    }
}
