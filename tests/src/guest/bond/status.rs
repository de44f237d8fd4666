//! What the bonding driver says of a bond: `/proc/net/bonding/NAME`, read into types
//! (`drivers/net/bonding/bond_procfs.c` of Linux).
//!
//! The file is a paragraph on the bond, then one a member (a "slave interface"), each of lines
//! `name: value`; in mode 802.3ad each has what it says of itself (actor) and has heard of the
//! other side (partner), as it would be in its next LACPDU.

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;

use proto::MacAddr;

/// A bond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BondStatus {
    /// Mode in the driver's words.
    pub mode: String,
    /// Whether the bond has a carrier.
    pub up: bool,
    /// Member that carries, in mode active-backup.
    pub active_member: Option<String>,
    /// The aggregator whose ports carry, in mode 802.3ad.
    pub aggregator: Option<Aggregator>,
    /// Members in the order in which they joined.
    pub members: Vec<Member>,
}

/// The active aggregator of a bond.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aggregator {
    /// Its number; members have that of theirs.
    pub id: u16,
    /// How many ports are attached to it.
    pub ports: u16,
    /// Key of the actor.
    pub actor_key: u16,
    /// Key of the partner.
    pub partner_key: u16,
    /// System id of the partner; all zero without one.
    pub partner_mac: MacAddr,
}

/// A member of a bond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Name of the interface.
    pub name: String,
    /// Whether its carrier is up (`MII Status`).
    pub up: bool,
    /// How often its carrier was lost.
    pub link_failures: u32,
    /// What LACP says of it, in mode 802.3ad.
    pub lacp: Option<MemberLacp>,
}

/// The LACP machine of a member.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MemberLacp {
    /// Aggregator that it is attached to.
    pub aggregator: u16,
    /// Whether this side takes too long to come into synchronization.
    pub actor_churn: Churn,
    /// Whether the other side does.
    pub partner_churn: Churn,
    /// What it says of itself.
    pub actor: LacpParty,
    /// What it has heard of its partner, or assumes.
    pub partner: LacpParty,
}

/// A churn machine's verdict (IEEE 802.1AX clause 6.4.17).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Churn {
    /// In synchronization.
    None,
    /// Not yet known.
    Monitoring,
    /// Out of synchronization for too long.
    Churned,
}

/// One side of a link, as LACPDUs describe it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LacpParty {
    /// System priority.
    pub system_priority: u16,
    /// System id.
    pub system_mac: MacAddr,
    /// Key.
    pub key: u16,
    /// Port priority.
    pub port_priority: u16,
    /// Port number.
    pub port: u16,
    /// State octet.
    pub state: PortState,
}

/// The state octet of an actor or a partner (IEEE 802.1AX clause 6.4.2.3).
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct PortState(pub u8);

impl PortState {
    /// Names of the bits from the lowest.
    const NAMES: [&str; 8] = [
        "activity",
        "timeout",
        "aggregation",
        "synchronization",
        "collecting",
        "distributing",
        "defaulted",
        "expired",
    ];

    /// Speaks without being spoken to.
    pub fn active(self) -> bool {
        self.bit(0)
    }

    /// Wants to hear every second.
    pub fn short_timeout(self) -> bool {
        self.bit(1)
    }

    /// May be aggregated with others.
    pub fn aggregatable(self) -> bool {
        self.bit(2)
    }

    /// Is attached to the right aggregator.
    pub fn in_sync(self) -> bool {
        self.bit(3)
    }

    /// Takes frames.
    pub fn collecting(self) -> bool {
        self.bit(4)
    }

    /// Sends frames.
    pub fn distributing(self) -> bool {
        self.bit(5)
    }

    /// Has heard no partner, and assumes one.
    pub fn defaulted(self) -> bool {
        self.bit(6)
    }

    /// Has not heard its partner in time.
    pub fn expired(self) -> bool {
        self.bit(7)
    }

    fn bit(self, bit: u8) -> bool {
        self.0 & (1 << bit) != 0
    }
}

impl fmt::Debug for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let set = (0_u8..).zip(Self::NAMES).filter(|(bit, _)| self.bit(*bit));
        f.debug_set().entries(set.map(|(_, name)| name)).finish()
    }
}

impl BondStatus {
    /// Names of the members by which the driver sends: attached to the active aggregator, and
    /// distributing. A member whose partner does not take its frames may be among them for
    /// seconds, as the standard has it.
    pub fn distributing(&self) -> Vec<&str> {
        self.members_with(|lacp| lacp.actor.state.distributing())
    }

    /// Names of the members that carry by agreement with a partner: those of
    /// [`BondStatus::distributing`] whose partner was heard and takes what they send.
    pub fn aggregated(&self) -> Vec<&str> {
        self.members_with(|lacp| {
            let (actor, partner) = (lacp.actor.state, lacp.partner.state);
            actor.distributing()
                && !actor.defaulted()
                && !actor.expired()
                && partner.in_sync()
                && partner.collecting()
        })
    }

    /// Names of the members of the active aggregator that are so.
    fn members_with(&self, so: impl Fn(&MemberLacp) -> bool) -> Vec<&str> {
        let active = self.aggregator.map(|aggregator| aggregator.id);
        let members = self.members.iter().filter(|member| {
            let lacp = member.lacp.as_ref();
            member.up && lacp.is_some_and(|lacp| Some(lacp.aggregator) == active && so(lacp))
        });
        members.map(|member| member.name.as_str()).collect()
    }

    /// The member of this name (`eth0`).
    pub fn member(&self, name: &str) -> Option<&Member> {
        self.members.iter().find(|member| member.name == name)
    }

    /// Reads the text of the file.
    ///
    /// # Errors
    /// With the line that is missing or cannot be understood.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut paragraphs = Paragraph::split(text).into_iter();
        let bond = paragraphs.next().unwrap_or_default();
        Ok(Self {
            mode: bond.get("Bonding Mode")?,
            up: bond.up()?,
            active_member: bond.find("Currently Active Slave")?.filter(|name| name != "None"),
            aggregator: bond.find("Aggregator ID")?.map(|id| bond.aggregator(id)).transpose()?,
            members: paragraphs.map(|paragraph| paragraph.member()).collect::<Result<_, _>>()?,
        })
    }
}

/// The lines of a bond or a member; those on actor and partner have that word in front.
#[derive(Debug, Default)]
struct Paragraph<'a> {
    lines: HashMap<String, &'a str>,
}

impl<'a> Paragraph<'a> {
    /// The paragraph of the bond, then those of its members.
    fn split(text: &'a str) -> Vec<Self> {
        let mut paragraphs = vec![Self::default()];
        let mut party = "";
        for line in text.lines() {
            let Some((name, value)) = line.trim().split_once(':') else { continue };
            match name {
                "Slave Interface" => {
                    paragraphs.push(Self::default());
                    party = "";
                }
                "details actor lacp pdu" => party = "actor ",
                "details partner lacp pdu" => party = "partner ",
                _ => {}
            }
            if let Some(paragraph) = paragraphs.last_mut() {
                paragraph.lines.insert(format!("{party}{name}"), value.trim());
            }
        }
        paragraphs
    }

    fn find<T: FromStr>(&self, name: &str) -> Result<Option<T>, String> {
        let Some(text) = self.lines.get(name) else { return Ok(None) };
        text.parse().map(Some).map_err(|_| format!("bad value `{text}` of `{name}`"))
    }

    fn get<T: FromStr>(&self, name: &str) -> Result<T, String> {
        self.find(name)?.ok_or_else(|| format!("no line `{name}`"))
    }

    fn up(&self) -> Result<bool, String> {
        // "up", "down", and on the way "going down" and "going back".
        Ok(self.get::<String>("MII Status")? == "up")
    }

    fn aggregator(&self, id: u16) -> Result<Aggregator, String> {
        Ok(Aggregator {
            id,
            ports: self.get("Number of ports")?,
            actor_key: self.get("Actor Key")?,
            partner_key: self.get("Partner Key")?,
            partner_mac: self.get("Partner Mac Address")?,
        })
    }

    fn member(&self) -> Result<Member, String> {
        // "N/A" while a member has no aggregator.
        let aggregator = self.find::<String>("Aggregator ID")?.filter(|id| id != "N/A");
        Ok(Member {
            name: self.get("Slave Interface")?,
            up: self.up()?,
            link_failures: self.get("Link Failure Count")?,
            lacp: aggregator.map(|_| self.lacp()).transpose()?,
        })
    }

    fn lacp(&self) -> Result<MemberLacp, String> {
        Ok(MemberLacp {
            aggregator: self.get("Aggregator ID")?,
            actor_churn: self.get("Actor Churn State")?,
            partner_churn: self.get("Partner Churn State")?,
            actor: self.party("actor", "port key")?,
            partner: self.party("partner", "oper key")?,
        })
    }

    fn party(&self, party: &str, key: &str) -> Result<LacpParty, String> {
        let line = |name: &str| format!("{party} {name}");
        Ok(LacpParty {
            system_priority: self.get(&line("system priority"))?,
            system_mac: self.get(&line("system mac address"))?,
            key: self.get(&line(key))?,
            port_priority: self.get(&line("port priority"))?,
            port: self.get(&line("port number"))?,
            state: PortState(self.get(&line("port state"))?),
        })
    }
}

impl FromStr for Churn {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "none" => Ok(Self::None),
            "monitoring" => Ok(Self::Monitoring),
            "churned" => Ok(Self::Churned),
            _ => Err(()),
        }
    }
}

#[cfg(test)]
mod tests;
