//! What a rule asks of each 16-bit piece of a frame's key.
//!
//! The classifier cuts a key into *chunks* of 16 bits and looks each up by itself. So here a rule is
//! cut the same way: for each chunk the values that it accepts, as a union of few [`Product`]s, each
//! a set of high bytes times a set of low bytes. Every condition of the language fits exactly: an
//! address with any wildcard is one product a chunk, a port range at most three.
//!
//! Where it sits: `eval` makes the chunks of a frame, this file those of a rule, in the order that
//! [`chunk`] names; `vectors` knows nothing of either's meaning. Not here: which rule wins.

use proto::{IpProto, MacAddr};

use super::rule::{
    AclKind, AddressMatch, IpMatch, MacMatch, MacPattern, Match, PortMatch, TcpMatch,
};

/// Positions of the chunks that are not part of an address, and how many there are of each kind.
pub(super) mod chunk {
    /// Chunks of an IPv4 key: 2 for each address, then those of L4.
    pub(in crate::acl) const IPV4_COUNT: usize = 4 + L4_COUNT;
    /// Chunks of an IPv6 key: 8 for each address, then those of L4.
    pub(in crate::acl) const IPV6_COUNT: usize = 16 + L4_COUNT;
    /// Chunks of a MAC key: 3 for each address, EtherType, VLAN.
    pub(in crate::acl) const MAC_COUNT: usize = 8;
    /// Behind the addresses of an IP key: source port or ICMP type, destination port or ICMP code,
    /// shape (high byte: protocol; low byte: the constants below), TCP flags.
    pub(in crate::acl) const L4_COUNT: usize = 4;
    /// In the low byte of the shape: the fields of L4 are real.
    pub(in crate::acl) const HAS_L4: u8 = 1;
    /// In the low byte of the shape: a fragment that is not the first.
    pub(in crate::acl) const LATER: u8 = 2;
    /// In the low byte of the shape: where the DSCP starts.
    pub(in crate::acl) const DSCP_SHIFT: u32 = 2;
}

/// TCP flag bits of `established` (RFC 9293 section 3.1): RST and ACK.
const ESTABLISHED: u8 = 0x04 | 0x10;

/// A set of byte values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct ByteSet([u64; 4]);

impl ByteSet {
    pub(super) const ALL: Self = Self([u64::MAX; 4]);
    pub(super) const NONE: Self = Self([0; 4]);

    /// The bytes for which `accepts` is true.
    pub(super) fn of(accepts: impl Fn(u8) -> bool) -> Self {
        let mut set = Self::NONE;
        for byte in (0..=u8::MAX).filter(|byte| accepts(*byte)) {
            set.0[usize::from(byte / 64)] |= 1 << (byte % 64);
        }
        set
    }

    pub(super) const fn contains(self, byte: u8) -> bool {
        self.0[(byte / 64) as usize] >> (byte % 64) & 1 != 0
    }

    pub(super) fn intersection(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }
}

/// The values whose high byte and low byte each stand in a set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Product {
    pub(super) high: ByteSet,
    pub(super) low: ByteSet,
}

/// What a rule accepts in one chunk.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Everything.
    Any,
    /// The union of these, of which none is empty. Empty: nothing.
    Union(Vec<Product>),
}

impl Condition {
    fn new(products: impl IntoIterator<Item = Product>) -> Self {
        let mut union = Vec::new();
        for product in products {
            if product.high == ByteSet::ALL && product.low == ByteSet::ALL {
                return Self::Any;
            }
            if product.high != ByteSet::NONE && product.low != ByteSet::NONE {
                union.push(product);
            }
        }
        Self::Union(union)
    }

    /// Values that agree with `value` in the bits that `wildcard` does not set.
    fn masked(value: u16, wildcard: u16) -> Self {
        let byte = |value: u8, wildcard: u8| ByteSet::of(|b| (b ^ value) & !wildcard == 0);
        let ([vh, vl], [wh, wl]) = (value.to_be_bytes(), wildcard.to_be_bytes());
        Self::new([Product { high: byte(vh, wh), low: byte(vl, wl) }])
    }

    /// `first..=last`; nothing when `last` is below `first`.
    fn range(first: u16, last: u16) -> Vec<Product> {
        let ([fh, fl], [lh, ll]) = (first.to_be_bytes(), last.to_be_bytes());
        let row = |high: u8, low: ByteSet| Product { high: ByteSet::of(|b| b == high), low };
        if fh == lh {
            return vec![row(fh, ByteSet::of(|b| fl <= b && b <= ll))];
        }
        let middle = ByteSet::of(|b| fh < b && b < lh);
        if first > last {
            return Vec::new();
        }
        vec![
            row(fh, ByteSet::of(|b| fl <= b)),
            Product { high: middle, low: ByteSet::ALL },
            row(lh, ByteSet::of(|b| b <= ll)),
        ]
    }

    fn port(port: Option<PortMatch>) -> Self {
        match port {
            None => Self::Any,
            Some(PortMatch::Eq(wanted)) => Self::masked(wanted, 0),
            Some(PortMatch::Neq(unwanted)) => {
                let [high, low] = unwanted.to_be_bytes();
                Self::new([
                    Product { high: ByteSet::of(|b| b != high), low: ByteSet::ALL },
                    Product { high: ByteSet::of(|b| b == high), low: ByteSet::of(|b| b != low) },
                ])
            }
            Some(PortMatch::Lt(bound)) => {
                Self::new(bound.checked_sub(1).map_or(Vec::new(), |last| Self::range(0, last)))
            }
            Some(PortMatch::Gt(bound)) => {
                let first = bound.checked_add(1);
                Self::new(first.map_or(Vec::new(), |first| Self::range(first, u16::MAX)))
            }
            Some(PortMatch::Range(first, last)) => Self::new(Self::range(first, last)),
        }
    }

    /// Whether nothing is accepted, so that the rule can never match.
    fn is_never(&self) -> bool {
        matches!(self, Self::Union(products) if products.is_empty())
    }
}

/// The conditions of one rule, a condition for each chunk; `None` when it can never match.
///
/// A rule that does not belong into a list of this kind never matches.
pub(super) fn conditions(kind: AclKind, matches: &Match) -> Option<Box<[Condition]>> {
    let conditions = match (kind, matches) {
        (AclKind::Mac, Match::Mac(mac)) => of_mac(mac),
        (AclKind::Ipv4, Match::Ip(ip)) => of_ip(ip, 32, IpProto::ICMP)?,
        (AclKind::Ipv6, Match::Ip(ip)) => of_ip(ip, 128, IpProto::ICMPV6)?,
        _ => return None,
    };
    (!conditions.iter().any(Condition::is_never)).then(|| conditions.into())
}

fn of_mac(mac: &MacMatch) -> Vec<Condition> {
    let mut conditions = Vec::with_capacity(chunk::MAC_COUNT);
    for MacPattern { address, wildcard } in [mac.src, mac.dst] {
        let pieces = |address: MacAddr| {
            let [a, b, c, d, e, f] = address.octets();
            [[a, b], [c, d], [e, f]].map(u16::from_be_bytes)
        };
        let both = pieces(address).into_iter().zip(pieces(wildcard));
        conditions.extend(both.map(|(value, wildcard)| Condition::masked(value, wildcard)));
    }
    let exactly = |value: Option<u16>| value.map_or(Condition::Any, |v| Condition::masked(v, 0));
    conditions.push(exactly(mac.ether_type.map(proto::EtherType::get)));
    conditions.push(exactly(mac.vlan.map(proto::VlanId::get)));
    conditions
}

fn of_ip(ip: &IpMatch, address_bits: u32, icmp: IpProto) -> Option<Vec<Condition>> {
    let mut conditions = Vec::with_capacity(chunk::IPV6_COUNT);
    for AddressMatch { value, wildcard } in [ip.src, ip.dst] {
        let above = u128::MAX.checked_shl(address_bits).unwrap_or(0);
        if value & !wildcard & above != 0 {
            return None;
        }
        conditions.extend((0..address_bits / 16).rev().map(|piece| {
            let cut = |whole: u128| (whole >> (piece * 16)) as u16;
            Condition::masked(cut(value), cut(wildcard))
        }));
    }
    let mut ports = [Condition::port(ip.src_port), Condition::port(ip.dst_port)];
    if let Some(wanted) = ip.icmp {
        if ip.src_port.is_some() || ip.dst_port.is_some() {
            return None;
        }
        let code = wanted.code.map(|code| PortMatch::Eq(u16::from(code)));
        ports = [
            Condition::port(Some(PortMatch::Eq(u16::from(wanted.icmp_type)))),
            Condition::port(code),
        ];
    }
    conditions.extend(ports);
    conditions.push(shape(ip, icmp));
    let flags = |accepts: &dyn Fn(u8) -> bool| {
        Condition::new([Product { high: ByteSet::ALL, low: ByteSet::of(accepts) }])
    };
    conditions.push(match ip.tcp {
        None => Condition::Any,
        Some(TcpMatch::Established) => flags(&|b| b & ESTABLISHED != 0),
        Some(TcpMatch::Flags(wanted)) => flags(&|b| b & wanted == wanted),
    });
    Some(conditions)
}

/// Protocol, DSCP, fragmentation, and whether the L4 fields must be real.
fn shape(ip: &IpMatch, icmp: IpProto) -> Condition {
    let asks_ports = ip.src_port.is_some() || ip.dst_port.is_some();
    let asks_l4 = asks_ports || ip.tcp.is_some() || ip.icmp.is_some();
    let mut high = ByteSet::of(|b| ip.proto.is_none_or(|wanted| wanted.get() == b));
    let mut only = |protocols: &[IpProto]| {
        high = high.intersection(ByteSet::of(|b| protocols.contains(&IpProto::new(b))));
    };
    if asks_ports {
        only(&[IpProto::TCP, IpProto::UDP, IpProto::SCTP]);
    }
    if ip.tcp.is_some() {
        only(&[IpProto::TCP]);
    }
    if ip.icmp.is_some() {
        only(&[icmp]);
    }
    let low = ByteSet::of(|b| {
        let later = b & chunk::LATER != 0;
        ip.dscp.is_none_or(|wanted| wanted.get() == b >> chunk::DSCP_SHIFT)
            && (!ip.fragments || later)
            && (!asks_l4 || (b & chunk::HAS_L4 != 0 && !later))
    });
    Condition::new([Product { high, low }])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(condition: &Condition, value: u16) -> bool {
        let [high, low] = value.to_be_bytes();
        match condition {
            Condition::Any => true,
            Condition::Union(products) => {
                products.iter().any(|p| p.high.contains(high) && p.low.contains(low))
            }
        }
    }

    #[test]
    fn ports_are_accepted_exactly() {
        for port in [
            PortMatch::Eq(0x1234),
            PortMatch::Neq(0x1200),
            PortMatch::Lt(0),
            PortMatch::Lt(0x0100),
            PortMatch::Lt(0x01ff),
            PortMatch::Gt(u16::MAX),
            PortMatch::Gt(0xfeff),
            PortMatch::Range(0x0110, 0x0120),
            PortMatch::Range(0x0110, 0x0320),
            PortMatch::Range(0x0100, 0x02ff),
            PortMatch::Range(5, 4),
            PortMatch::Range(0x0500, 0x0400),
            PortMatch::Range(0, u16::MAX),
        ] {
            let condition = Condition::port(Some(port));
            for value in 0..=u16::MAX {
                let expected = match port {
                    PortMatch::Eq(n) => value == n,
                    PortMatch::Neq(n) => value != n,
                    PortMatch::Lt(n) => value < n,
                    PortMatch::Gt(n) => value > n,
                    PortMatch::Range(a, b) => (a..=b).contains(&value),
                };
                assert_eq!(accepts(&condition, value), expected, "{port:?} {value}");
            }
        }
    }

    #[test]
    fn wildcards_need_not_be_contiguous() {
        let (value, wildcard) = (0x0a05, 0x5501);
        let condition = Condition::masked(value, wildcard);
        for other in 0..=u16::MAX {
            assert_eq!(accepts(&condition, other), (other ^ value) & !wildcard == 0);
        }
        assert_eq!(Condition::masked(77, u16::MAX), Condition::Any);
    }
}
