//! One access list: numbered entries, first match wins, implicit deny at the end.
//!
//! An IPv4 list speaks of IPv4 frames only, an IPv6 list of IPv6 frames only, and a MAC list of all
//! other frames (NX-OS port access lists). A list that is not bound permits.

use std::collections::BTreeMap;
use std::fmt;

use proto::{Dscp, EtherType, IpProto, MacAddr, VlanId};

/// The number of an entry, 1..=4294967294, unique in its list; entries are tried in its order.
pub type Sequence = u32;

/// What a list speaks of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum AclKind {
    /// `mac access-list`: frames that are neither IPv4 nor IPv6.
    Mac,
    /// `ip access-list`: IPv4.
    Ipv4,
    /// `ipv6 access-list`: IPv6.
    Ipv6,
}

impl AclKind {
    /// The three kinds, in order.
    pub const ALL: [Self; 3] = [Self::Mac, Self::Ipv4, Self::Ipv6];
}

impl fmt::Display for AclKind {
    /// The first word of its configuration command: `mac`, `ip`, `ipv6`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Mac => "mac",
            Self::Ipv4 => "ip",
            Self::Ipv6 => "ipv6",
        })
    }
}

/// A named access list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Acl {
    /// What it speaks of; decides which entries are legal.
    pub kind: AclKind,
    /// `statistics per-entry`: count matches (the counters exist always; this shows them).
    pub statistics: bool,
    /// Entries by number.
    pub entries: BTreeMap<Sequence, Entry>,
}

impl Acl {
    /// An empty list, which denies everything.
    #[must_use]
    pub const fn new(kind: AclKind) -> Self {
        Self { kind, statistics: false, entries: BTreeMap::new() }
    }

    /// The rules in order, without the remarks.
    pub fn rules(&self) -> impl Iterator<Item = (Sequence, &Rule)> {
        self.entries.iter().filter_map(|(sequence, entry)| match entry {
            Entry::Rule(rule) => Some((*sequence, rule)),
            Entry::Remark(_) => None,
        })
    }
}

/// A numbered line of a list.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// `permit ...` or `deny ...`.
    Rule(Rule),
    /// `remark TEXT`, 1..=100 printable characters.
    Remark(String),
}

/// What a rule does with a frame that it matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Action {
    /// Let it pass.
    Permit,
    /// Drop it.
    Deny,
}

/// One rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// What it does.
    pub action: Action,
    /// Which frames it matches.
    pub matches: Match,
    /// `log`: matches are reported as events, rate limited.
    pub log: bool,
}

/// Which frames a rule matches.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// In a MAC list.
    Mac(MacMatch),
    /// In an IPv4 or IPv6 list.
    Ip(IpMatch),
}

/// Conditions of a MAC rule; all must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MacMatch {
    /// Source address.
    pub src: MacPattern,
    /// Destination address.
    pub dst: MacPattern,
    /// EtherType; `None`: any.
    pub ether_type: Option<EtherType>,
    /// VLAN of the frame in the switch; `None`: any.
    pub vlan: Option<VlanId>,
}

/// A MAC address of which the bits set in `wildcard` do not count. Bits of `address` under the
/// wildcard are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MacPattern {
    /// The value to compare.
    pub address: MacAddr,
    /// NX-OS wildcard: 1 = do not care.
    pub wildcard: MacAddr,
}

impl MacPattern {
    /// Matches every address.
    pub const ANY: Self = Self { address: MacAddr::ZERO, wildcard: MacAddr::BROADCAST };

    /// Matches one address.
    #[must_use]
    pub const fn host(address: MacAddr) -> Self {
        Self { address, wildcard: MacAddr::ZERO }
    }
}

/// Conditions of an IP rule; all must hold.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IpMatch {
    /// Protocol; `None`: any (`ip` or `ipv6` in the language).
    pub proto: Option<IpProto>,
    /// Source address.
    pub src: AddressMatch,
    /// Destination address.
    pub dst: AddressMatch,
    /// Source port; only with TCP and UDP.
    pub src_port: Option<PortMatch>,
    /// Destination port; only with TCP and UDP.
    pub dst_port: Option<PortMatch>,
    /// TCP flags; only with TCP.
    pub tcp: Option<TcpMatch>,
    /// ICMP type and code; only with ICMP in an IPv4 list, ICMPv6 in an IPv6 list.
    pub icmp: Option<IcmpMatch>,
    /// `dscp N|NAME`.
    pub dscp: Option<Dscp>,
    /// `fragments`: true = only fragments that are not the first.
    pub fragments: bool,
}

/// An address of which the bits set in `wildcard` do not count. IPv4 stands in the low 32 bits of
/// both. Bits of `value` under the wildcard are 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressMatch {
    /// The value to compare.
    pub value: u128,
    /// NX-OS wildcard: 1 = do not care. For IPv4 the upper 96 bits are 0.
    pub wildcard: u128,
}

impl AddressMatch {
    /// Matches every IPv4 address.
    pub const ANY_V4: Self = Self { value: 0, wildcard: 0xffff_ffff };
    /// Matches every IPv6 address.
    pub const ANY_V6: Self = Self { value: 0, wildcard: u128::MAX };
}

/// A condition on a port number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PortMatch {
    /// `eq N`.
    Eq(u16),
    /// `neq N`.
    Neq(u16),
    /// `lt N`: below N; N above 0.
    Lt(u16),
    /// `gt N`: above N; N below 65535.
    Gt(u16),
    /// `range A B`: A..=B, A not above B.
    Range(u16, u16),
}

/// A condition on TCP flags.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TcpMatch {
    /// `established`: ACK or RST is set.
    Established,
    /// Named flags (`syn`, `ack` ...): all of these bits are set. Bits as in the TCP header.
    Flags(u8),
}

/// A condition on an ICMP message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct IcmpMatch {
    /// Type.
    pub icmp_type: u8,
    /// Code; `None`: any.
    pub code: Option<u8>,
}
