//! The lines that a port-profile and an interface have in common: what is said of a port.
//!
//! Where it sits: the reader asks [`edit`] what a line says. Not here: what that does
//! ([`super::edit`]); the lines about teaming ([`super::teaming`]).

use proto::{MacAddr, VlanId};

use super::cursor::Cursor;
use super::edit::{Change, Edit};
use super::{teaming, value};
use crate::acl::AclKind;
use crate::config::{MacAllow, Settings, SwitchportMode};
use crate::place::{Direction, Setting};
use crate::problem::{Problem, Span};
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
    Lacp,
    Failover,
    LinkUp,
    Lldp,
    Pinning,
    HostTraffic,
    Shutdown,
    MaxPorts,
    State,
}

/// The first words in an interface; a profile has [`PROFILE_HEADS`] besides.
pub(super) const HEADS: [(&str, Head); 17] = [
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
    ("lacp", Head::Lacp),
    ("failover", Head::Failover),
    ("link-up", Head::LinkUp),
    ("lldp", Head::Lldp),
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
        Head::Channel => teaming::channel_group(cursor, sense)?,
        Head::Lacp => teaming::lacp(cursor, sense)?,
        Head::Failover => teaming::failover_order(cursor, sense)?,
        Head::LinkUp => teaming::link_up_delay(cursor, sense)?,
        Head::Lldp => teaming::lldp(cursor, sense)?,
        Head::Pinning => teaming::pinning(cursor, sense)?,
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
        Some(_) => value_span(cursor, start, &change),
        None => words.span_from(start.saturating_sub(1)),
    };
    Ok(Edit { setting, span, change })
}

/// The value of a line: the name of an access list stands before its direction, a list behind the
/// second word, others stand last.
fn value_span(cursor: &Cursor<'_, '_>, start: usize, change: &Change) -> Span {
    let words = &cursor.line().words;
    match change {
        Change::AccessGroup(_) | Change::AccessGroupNot(_) if words.len() >= 2 => {
            cursor.line().span(&words[words.len() - 2])
        }
        Change::FailoverOrder(_) | Change::Pinning(_) => cursor.line().span_from(start + 1),
        Change::Channel(_) => cursor.line().span_from(start + 2),
        _ => cursor.span_before(),
    }
}

/// A flag: `no` says that it is off, `default` that nothing is said.
pub(super) const fn flag(sense: Sense) -> Change {
    match sense {
        Sense::Set => Change::Flag(true),
        Sense::No => Change::Flag(false),
        Sense::Default => Change::Reset,
    }
}

/// A value, which `no` and `default` may repeat but need not.
pub(super) fn optional(
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
