//! What a rule asks of each field of a frame's key.
//!
//! The classifier reads a key as a few *fields* and looks them up in chunks of two bytes. So here a
//! rule is written the same way: for each field the values that it accepts, as a union of few
//! [`Product`]s, each a set of values for every byte. All conditions of the language fit exactly:
//! an address with any wildcard is one product, a port range at most three.
//!
//! Where it sits: `eval` cuts the key of a frame in chunks, this file says what a rule asks, in the
//! order and with the widths that [`field`] gives; `tables` knows nothing of their meaning. Not
//! here: which rule wins.

use proto::{IpProto, MacAddr};

use super::rule::{
    AclKind, AddressMatch, IpMatch, MacMatch, MacPattern, Match, PortMatch, TcpMatch,
};

/// The fields of a key by kind of list: how many bytes each has, in order.
pub(super) mod field {
    use super::AclKind;

    /// Source address, destination address, then the fields of L4: source port or ICMP type,
    /// destination port or ICMP code, shape, TCP flags in the low byte. The high byte of the shape
    /// is the protocol, the low byte is made of the constants below.
    pub(in crate::acl) const IPV4: [usize; 6] = [4, 4, 2, 2, 2, 2];
    /// As [`IPV4`], with longer addresses.
    pub(in crate::acl) const IPV6: [usize; 6] = [16, 16, 2, 2, 2, 2];
    /// Source, destination, EtherType, VLAN.
    pub(in crate::acl) const MAC: [usize; 4] = [6, 6, 2, 2];
    /// The most fields of a kind.
    pub(in crate::acl) const COUNT_MAX: usize = IPV4.len();

    /// Chunks of two bytes in a key of [`IPV4`]; here and below a power of two.
    pub(in crate::acl) const IPV4_CHUNKS: usize = 8;
    /// Chunks of two bytes in a key of [`IPV6`]; the last 12 are not used.
    pub(in crate::acl) const IPV6_CHUNKS: usize = 32;
    /// Chunks of two bytes in a key of [`MAC`].
    pub(in crate::acl) const MAC_CHUNKS: usize = 8;

    /// In the low byte of the shape: the other fields of L4 are real.
    pub(in crate::acl) const HAS_L4: u8 = 1;
    /// In the low byte of the shape: a fragment that is not the first.
    pub(in crate::acl) const LATER: u8 = 2;
    /// In the low byte of the shape: where the DSCP starts.
    pub(in crate::acl) const DSCP_SHIFT: u32 = 2;

    /// The widths of a kind's fields.
    pub(in crate::acl) const fn widths(kind: AclKind) -> &'static [usize] {
        match kind {
            AclKind::Mac => &MAC,
            AclKind::Ipv4 => &IPV4,
            AclKind::Ipv6 => &IPV6,
        }
    }
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

    /// One byte.
    fn exactly(byte: u8) -> Self {
        let mut set = Self::NONE;
        set.0[usize::from(byte / 64)] = 1 << (byte % 64);
        set
    }

    /// Bytes that agree with `value` in the bits that `wildcard` does not set.
    fn masked(value: u8, wildcard: u8) -> Self {
        match wildcard {
            0 => Self::exactly(value),
            u8::MAX => Self::ALL,
            _ => Self::of(|byte| (byte ^ value) & !wildcard == 0),
        }
    }

    pub(super) const fn contains(self, byte: u8) -> bool {
        self.0[(byte / 64) as usize] >> (byte % 64) & 1 != 0
    }

    pub(super) fn intersection(self, other: Self) -> Self {
        Self(std::array::from_fn(|word| self.0[word] & other.0[word]))
    }
}

/// Values of which each byte stands in its set; as many sets as the field has bytes.
pub(super) type Product = Box<[ByteSet]>;

/// What a rule accepts in one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Condition {
    /// Everything.
    Any,
    /// The union of these, of which none is empty. Empty: nothing.
    Union(Vec<Product>),
}

impl Condition {
    fn new<const N: usize>(products: impl IntoIterator<Item = [ByteSet; N]>) -> Self {
        let mut union: Vec<Product> = Vec::new();
        for product in products {
            if product.iter().all(|set| *set == ByteSet::ALL) {
                return Self::Any;
            }
            if !product.contains(&ByteSet::NONE) {
                union.push(product.into());
            }
        }
        Self::Union(union)
    }

    /// Values that agree with `value` in the bits that `wildcard` does not set.
    fn masked<const N: usize>(value: [u8; N], wildcard: [u8; N]) -> Self {
        let product: [_; N] = std::array::from_fn(|at| ByteSet::masked(value[at], wildcard[at]));
        Self::new([product])
    }

    /// One value, or all.
    fn exactly(value: Option<u16>) -> Self {
        value.map_or(Self::Any, |value| Self::masked(value.to_be_bytes(), [0; 2]))
    }

    fn port(port: Option<PortMatch>) -> Self {
        match port {
            None => Self::Any,
            Some(PortMatch::Eq(wanted)) => Self::exactly(Some(wanted)),
            Some(PortMatch::Neq(unwanted)) => {
                let [high, low] = unwanted.to_be_bytes();
                Self::new([
                    [ByteSet::of(|b| b != high), ByteSet::ALL],
                    [ByteSet::exactly(high), ByteSet::of(|b| b != low)],
                ])
            }
            Some(PortMatch::Lt(bound)) => {
                Self::new(bound.checked_sub(1).map_or(Vec::new(), |last| range(0, last)))
            }
            Some(PortMatch::Gt(bound)) => {
                let first = bound.checked_add(1);
                Self::new(first.map_or(Vec::new(), |first| range(first, u16::MAX)))
            }
            Some(PortMatch::Range(first, last)) => Self::new(range(first, last)),
        }
    }

    /// Whether nothing is accepted, so that the rule can never match.
    fn is_never(&self) -> bool {
        matches!(self, Self::Union(products) if products.is_empty())
    }
}

/// The values `first..=last`; none when `last` is below `first`.
fn range(first: u16, last: u16) -> Vec<[ByteSet; 2]> {
    let ([first_high, first_low], [last_high, last_low]) =
        (first.to_be_bytes(), last.to_be_bytes());
    if first > last {
        return Vec::new();
    }
    if first_high == last_high {
        let low = ByteSet::of(|b| first_low <= b && b <= last_low);
        return vec![[ByteSet::exactly(first_high), low]];
    }
    vec![
        [ByteSet::exactly(first_high), ByteSet::of(|b| first_low <= b)],
        [ByteSet::of(|b| first_high < b && b < last_high), ByteSet::ALL],
        [ByteSet::exactly(last_high), ByteSet::of(|b| b <= last_low)],
    ]
}

/// The conditions of one rule, one for each field; `None` when it can never match.
///
/// A rule that does not belong into a list of this kind never matches.
pub(super) fn conditions(kind: AclKind, matches: &Match) -> Option<Box<[Condition]>> {
    let conditions = match (kind, matches) {
        (AclKind::Mac, Match::Mac(mac)) => of_mac(mac).into(),
        (AclKind::Ipv4, Match::Ip(ip)) => of_ipv4(ip)?,
        (AclKind::Ipv6, Match::Ip(ip)) => of_ipv6(ip)?,
        _ => return None,
    };
    (!conditions.iter().any(Condition::is_never)).then(|| conditions.into())
}

fn of_mac(mac: &MacMatch) -> [Condition; 4] {
    let address = |pattern: MacPattern| {
        let octets = MacAddr::octets;
        Condition::masked(octets(pattern.address), octets(pattern.wildcard))
    };
    [
        address(mac.src),
        address(mac.dst),
        Condition::exactly(mac.ether_type.map(proto::EtherType::get)),
        Condition::exactly(mac.vlan.map(proto::VlanId::get)),
    ]
}

fn of_ipv4(ip: &IpMatch) -> Option<Vec<Condition>> {
    let mut conditions = Vec::with_capacity(field::IPV4.len());
    for AddressMatch { value, wildcard } in [ip.src, ip.dst] {
        // No IPv4 address has a bit above its 32.
        if (value & !wildcard) >> 32 != 0 {
            return None;
        }
        let octets = |whole: u128| (whole as u32).to_be_bytes();
        conditions.push(Condition::masked(octets(value), octets(wildcard)));
    }
    conditions.extend(of_l4(ip, IpProto::ICMP)?);
    Some(conditions)
}

fn of_ipv6(ip: &IpMatch) -> Option<Vec<Condition>> {
    let address =
        |a: AddressMatch| Condition::masked(a.value.to_be_bytes(), a.wildcard.to_be_bytes());
    let mut conditions = vec![address(ip.src), address(ip.dst)];
    conditions.extend(of_l4(ip, IpProto::ICMPV6)?);
    Some(conditions)
}

/// Source port, destination port, shape, TCP flags; `None` when they exclude each other.
fn of_l4(ip: &IpMatch, icmp_proto: IpProto) -> Option<[Condition; 4]> {
    let mut ports = [Condition::port(ip.src_port), Condition::port(ip.dst_port)];
    if let Some(icmp) = ip.icmp {
        if ip.src_port.is_some() || ip.dst_port.is_some() {
            return None;
        }
        ports = [Some(icmp.icmp_type), icmp.code].map(|n| Condition::exactly(n.map(u16::from)));
    }
    let flags = match ip.tcp {
        None => Condition::Any,
        Some(tcp) => Condition::new([[ByteSet::ALL, ByteSet::of(|b| flags_match(tcp, b))]]),
    };
    let [src_port, dst_port] = ports;
    Some([src_port, dst_port, shape(ip, icmp_proto), flags])
}

const fn flags_match(tcp: TcpMatch, flags: u8) -> bool {
    match tcp {
        TcpMatch::Established => flags & ESTABLISHED != 0,
        TcpMatch::Flags(wanted) => flags & wanted == wanted,
    }
}

/// Protocol, DSCP, fragmentation, and whether the other fields of L4 must be real.
fn shape(ip: &IpMatch, icmp_proto: IpProto) -> Condition {
    let asks_ports = ip.src_port.is_some() || ip.dst_port.is_some();
    let asks_l4 = asks_ports || ip.tcp.is_some() || ip.icmp.is_some();
    let mut protocols = ip.proto.map_or(ByteSet::ALL, |wanted| ByteSet::exactly(wanted.get()));
    let mut only = |possible: &[IpProto]| {
        let possible = ByteSet::of(|b| possible.contains(&IpProto::new(b)));
        protocols = protocols.intersection(possible);
    };
    if asks_ports {
        only(&[IpProto::TCP, IpProto::UDP, IpProto::SCTP]);
    }
    if ip.tcp.is_some() {
        only(&[IpProto::TCP]);
    }
    if ip.icmp.is_some() {
        only(&[icmp_proto]);
    }
    let low = ByteSet::of(|b| {
        let later = b & field::LATER != 0;
        ip.dscp.is_none_or(|wanted| wanted.get() == b >> field::DSCP_SHIFT)
            && (!ip.fragments || later)
            && (!asks_l4 || (b & field::HAS_L4 != 0 && !later))
    });
    Condition::new([[protocols, low]])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(condition: &Condition, value: u16) -> bool {
        let fits = |product: &Product| {
            value.to_be_bytes().iter().zip(product).all(|(byte, set)| set.contains(*byte))
        };
        match condition {
            Condition::Any => true,
            Condition::Union(products) => products.iter().any(fits),
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
        let (value, wildcard) = (0x0a05u16, 0x5501u16);
        let condition = Condition::masked(value.to_be_bytes(), wildcard.to_be_bytes());
        for other in 0..=u16::MAX {
            assert_eq!(accepts(&condition, other), (other ^ value) & !wildcard == 0);
        }
        assert_eq!(Condition::masked([77, 1], [u8::MAX; 2]), Condition::Any);
    }
}
