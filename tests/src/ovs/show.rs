//! What `ovs-appctl` tells of LACP and of a bond, as values.
//!
//! Its answers are lines `name: value`, those of a member behind a line `member NAME: ...`.

use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

use proto::MacAddr;

use super::bond::{BondMode, Lacp, LacpTime, value};
use crate::error::{LabError, Result};

/// Where the receive machine of a member is (IEEE 802.1AX-2020 figure 6-15).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Receive {
    /// The partner speaks.
    Current,
    /// It has fallen silent.
    Expired,
    /// It has been silent for long, or has never spoken.
    Defaulted,
}

impl Receive {
    const NAMES: [(Self, &'static str); 3] =
        [(Self::Current, "current"), (Self::Expired, "expired"), (Self::Defaulted, "defaulted")];
}

/// A bit of the state in a LACPDU (IEEE 802.1AX-2020 clause 6.4.2.3 item o).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LacpFlag {
    /// It speaks unasked.
    Activity,
    /// It wants to hear every second.
    Timeout,
    /// It may be aggregated.
    Aggregation,
    /// It is in the right aggregate.
    Synchronized,
    /// It takes frames.
    Collecting,
    /// It sends frames.
    Distributing,
    /// It goes by a default partner.
    Defaulted,
    /// Its partner has fallen silent.
    Expired,
}

impl LacpFlag {
    const NAMES: [(Self, &'static str); 8] = [
        (Self::Activity, "activity"),
        (Self::Timeout, "timeout"),
        (Self::Aggregation, "aggregation"),
        (Self::Synchronized, "synchronized"),
        (Self::Collecting, "collecting"),
        (Self::Distributing, "distributing"),
        (Self::Defaulted, "defaulted"),
        (Self::Expired, "expired"),
    ];
}

/// One side of a member: what it says of itself, or what was heard of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LacpPort {
    /// Id of its system; zeros for a partner that is not known.
    pub system_id: MacAddr,
    /// Priority of its system.
    pub system_priority: u16,
    /// Number of the port.
    pub port_id: u16,
    /// Priority of the port.
    pub port_priority: u16,
    /// Key of the port.
    pub key: u16,
    /// The bits that are set.
    pub state: BTreeSet<LacpFlag>,
}

impl LacpPort {
    /// Whether a bit of the state is set.
    pub fn has(&self, flag: LacpFlag) -> bool {
        self.state.contains(&flag)
    }
}

/// A member, as LACP sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LacpMember {
    /// Where its receive machine is.
    pub receive: Receive,
    /// Whether it belongs to the aggregate.
    pub attached: bool,
    /// Whether it may carry frames.
    pub may_enable: bool,
    /// What Open vSwitch says.
    pub actor: LacpPort,
    /// What was heard from the other end of the link.
    pub partner: LacpPort,
}

/// A bond, as LACP sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LacpStatus {
    /// Active or passive.
    pub lacp: Lacp,
    /// Whether a partner has agreed on any member.
    pub negotiated: bool,
    /// Id of the system.
    pub system_id: MacAddr,
    /// Priority of the system.
    pub system_priority: u16,
    /// Key of the bond.
    pub key: u16,
    /// How often the partner is to speak.
    pub lacp_time: LacpTime,
    /// By interface.
    pub members: BTreeMap<String, LacpMember>,
}

impl LacpStatus {
    /// The members that may carry frames.
    pub fn carrying(&self) -> Vec<&str> {
        let carrying =
            self.members.iter().filter(|(_, member)| member.attached && member.may_enable);
        carrying.map(|(name, _)| name.as_str()).collect()
    }

    /// A member.
    ///
    /// # Panics
    /// When there is none of this name.
    pub fn member(&self, interface: &str) -> &LacpMember {
        &self.members[interface]
    }
}

/// What LACP counted on a member since it was added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LacpCounters {
    /// LACPDUs sent.
    pub sent: u64,
    /// LACPDUs received.
    pub received: u64,
    /// LACPDUs received that could not be read.
    pub bad: u64,
    /// How often the partner fell silent.
    pub expired: u64,
    /// How often the partner was given up.
    pub defaulted: u64,
    /// How often the link came or went.
    pub carrier_changes: u64,
}

/// How far LACP of a bond has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Negotiation {
    /// It has a partner.
    Negotiated,
    /// It has none.
    Configured,
    /// It does not speak LACP.
    Off,
}

impl Negotiation {
    const NAMES: [(Self, &'static str); 3] =
        [(Self::Negotiated, "negotiated"), (Self::Configured, "configured"), (Self::Off, "off")];
}

/// A member, as the bond sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BondMember {
    /// Whether it carries frames.
    pub enabled: bool,
    /// Whether it is the active one: takes broadcasts, or all of an active-backup bond.
    pub active: bool,
    /// Whether link and LACP allow it to carry frames.
    pub may_enable: bool,
}

/// A bond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BondStatus {
    /// How it uses its members.
    pub mode: BondMode,
    /// How far LACP has come.
    pub lacp: Negotiation,
    /// Whether it would be an active-backup bond without a partner.
    pub fallback_ab: bool,
    /// By interface.
    pub members: BTreeMap<String, BondMember>,
}

impl BondStatus {
    /// The members that carry frames.
    pub fn enabled(&self) -> Vec<&str> {
        let enabled = self.members.iter().filter(|(_, member)| member.enabled);
        enabled.map(|(name, _)| name.as_str()).collect()
    }

    /// The active member.
    pub fn active(&self) -> Option<&str> {
        self.members.iter().find(|(_, member)| member.active).map(|(name, _)| name.as_str())
    }
}

/// Reads the answer of `lacp/show BOND`.
pub(super) fn read_lacp(text: &str) -> Result<LacpStatus> {
    let answer = Answer::read(text);
    let bond = &answer.bond;
    let (lacp, negotiated) =
        bond.word("status")?.split_once(' ').unwrap_or((bond.word("status")?, ""));
    let members =
        answer.members.iter().map(|(name, lines)| Ok((name.clone(), lacp_member(lines)?)));
    Ok(LacpStatus {
        lacp: value(&Lacp::NAMES, lacp).ok_or_else(|| bond.unreadable("status"))?,
        negotiated: negotiated == "negotiated",
        system_id: bond.parse("sys_id")?,
        system_priority: bond.parse("sys_priority")?,
        key: bond.parse("aggregation key")?,
        lacp_time: bond.value("lacp_time", &LacpTime::NAMES)?,
        members: members.collect::<Result<_>>()?,
    })
}

fn lacp_member(lines: &Lines) -> Result<LacpMember> {
    let status = lines.word("member")?;
    let (receive, attached) = status.split_once(' ').ok_or_else(|| lines.unreadable("member"))?;
    Ok(LacpMember {
        receive: value(&Receive::NAMES, receive).ok_or_else(|| lines.unreadable("member"))?,
        attached: attached == "attached",
        may_enable: lines.parse("may_enable")?,
        actor: lacp_port(lines, "actor")?,
        partner: lacp_port(lines, "partner")?,
    })
}

fn lacp_port(lines: &Lines, side: &str) -> Result<LacpPort> {
    let name = |field: &str| format!("{side} {field}");
    let flag =
        |word: &str| value(&LacpFlag::NAMES, word).ok_or_else(|| lines.unreadable(&name("state")));
    Ok(LacpPort {
        system_id: lines.parse(&name("sys_id"))?,
        system_priority: lines.parse(&name("sys_priority"))?,
        port_id: lines.parse(&name("port_id"))?,
        port_priority: lines.parse(&name("port_priority"))?,
        key: lines.parse(&name("key"))?,
        state: lines.word(&name("state"))?.split_whitespace().map(flag).collect::<Result<_>>()?,
    })
}

/// Reads the answer of `lacp/show-stats BOND`.
pub(super) fn read_lacp_counters(text: &str, member: &str) -> Result<LacpCounters> {
    let answer = Answer::read(text);
    let lines = answer.members.get(member).ok_or_else(|| unexpected("a member", member, text))?;
    Ok(LacpCounters {
        sent: lines.parse("TX PDUs")?,
        received: lines.parse("RX PDUs")?,
        bad: lines.parse("RX Bad PDUs")?,
        expired: lines.parse("Link Expired")?,
        defaulted: lines.parse("Link Defaulted")?,
        carrier_changes: lines.parse("Carrier Status Changed")?,
    })
}

/// Reads the answer of `bond/show BOND`.
pub(super) fn read_bond(text: &str) -> Result<BondStatus> {
    let answer = Answer::read(text);
    let member = |lines: &Lines| {
        Ok(BondMember {
            enabled: lines.word("member")? == "enabled",
            active: lines.0.contains_key("active member"),
            may_enable: lines.parse("may_enable")?,
        })
    };
    let members = answer.members.iter().map(|(name, lines)| Ok((name.clone(), member(lines)?)));
    Ok(BondStatus {
        mode: answer.bond.value("bond_mode", &BondMode::NAMES)?,
        lacp: answer.bond.value("lacp_status", &Negotiation::NAMES)?,
        fallback_ab: answer.bond.parse("lacp_fallback_ab")?,
        members: members.collect::<Result<_>>()?,
    })
}

/// Lines by their names; a line without a colon is a name alone.
#[derive(Debug, Default)]
struct Lines(BTreeMap<String, String>);

impl Lines {
    fn word(&self, name: &str) -> Result<&str> {
        self.0.get(name).map(String::as_str).ok_or_else(|| self.unreadable(name))
    }

    fn parse<T: FromStr>(&self, name: &str) -> Result<T> {
        self.word(name)?.parse().map_err(|_| self.unreadable(name))
    }

    fn value<T: Copy>(&self, name: &str, names: &[(T, &'static str)]) -> Result<T> {
        value(names, self.word(name)?).ok_or_else(|| self.unreadable(name))
    }

    fn unreadable(&self, name: &str) -> LabError {
        unexpected("a line", name, &format!("{:#?}", self.0))
    }
}

/// The lines of a bond and those of each member, whose first is called `member`.
#[derive(Debug, Default)]
struct Answer {
    bond: Lines,
    members: BTreeMap<String, Lines>,
}

impl Answer {
    fn read(text: &str) -> Self {
        let mut answer = Self::default();
        let mut current: Option<String> = None;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, rest) = line.split_once(':').unwrap_or((line, ""));
            let rest = rest.trim().to_owned();
            // `member p1: enabled` (bond), `member: p1: current attached` (LACP).
            let of_bond = name.strip_prefix("member ").map(|member| (member, rest.as_str()));
            let of_lacp = || Some(rest.split_once(':').unwrap_or((&rest, "")));
            let member = of_bond.or_else(|| of_lacp().filter(|_| name == "member"));
            if let Some((member, status)) = member {
                let lines = answer.members.entry(member.to_owned()).or_default();
                lines.0.insert("member".to_owned(), status.trim().to_owned());
                current = Some(member.to_owned());
                continue;
            }
            let lines = match &current {
                Some(member) => answer.members.entry(member.clone()).or_default(),
                None => &mut answer.bond,
            };
            lines.0.insert(name.to_owned(), rest);
        }
        answer
    }
}

fn unexpected(kind: &str, name: &str, text: &str) -> LabError {
    LabError::Unexpected(format!("Open vSwitch shows {kind} `{name}` that cannot be read: {text}"))
}
