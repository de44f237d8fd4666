//! The plain first-match list: slow, and obviously right.
//!
//! Where it sits: the compiled form is tested against it on random lists and frames. Semantics that
//! a reader may wonder about:
//!
//! * An IPv4 rule matches IPv4 frames only, an IPv6 rule IPv6 frames only, a MAC rule all others.
//! * A rule that asks for ports, flags or an ICMP type matches only a frame that shows them. A
//!   later fragment, or a header cut short, shows none: it falls through to the rules that ask for
//!   less, and to the implicit deny. So a fragment cannot slip through a permit that was meant for
//!   one port, as it does in IOS, where such a permit lets later fragments pass on their addresses.
//!   A deny that asks for a port does not stop them either, as in IOS: `deny ... fragments` does.
//! * Ports are those of TCP, UDP and SCTP, flags those of TCP, a type that of ICMP (IPv4) or
//!   ICMPv6, also when the rule does not say the protocol.
//! * `fragments` matches later fragments only.

use proto::frame::{Fragment, FrameKey, L3};
use proto::{IpProto, VlanId};

use super::rule::{
    Acl, AclKind, Action, IpMatch, MacMatch, MacPattern, Match, PortMatch, Rule, Sequence, TcpMatch,
};

/// TCP flag bits of `established` (RFC 9293 section 3.1): RST and ACK.
const ESTABLISHED: u8 = 0x04 | 0x10;

/// What the list says of a frame: action and number of the first rule that matches, 0 and deny when
/// none does.
#[must_use]
pub fn first_match(acl: &Acl, key: &FrameKey, vlan: VlanId) -> (Action, Sequence) {
    let matched = acl.rules().find(|(_, rule)| matches(acl.kind, rule, key, vlan));
    matched.map_or((Action::Deny, 0), |(sequence, rule)| (rule.action, sequence))
}

/// Whether one rule of a list of this kind matches a frame that belongs to `vlan`.
#[must_use]
pub fn matches(kind: AclKind, rule: &Rule, key: &FrameKey, vlan: VlanId) -> bool {
    match (&rule.matches, kind) {
        (Match::Mac(mac), AclKind::Mac) => mac_matches(mac, key, vlan),
        (Match::Ip(ip), AclKind::Ipv4) => key.l3 == L3::Ipv4 && ip_matches(ip, key),
        (Match::Ip(ip), AclKind::Ipv6) => key.l3 == L3::Ipv6 && ip_matches(ip, key),
        _ => false,
    }
}

fn mac_matches(mac: &MacMatch, key: &FrameKey, vlan: VlanId) -> bool {
    let fits = |pattern: &MacPattern, address: proto::MacAddr| {
        (address.as_u64() ^ pattern.address.as_u64()) & !pattern.wildcard.as_u64() == 0
    };
    key.l3 == L3::Other
        && fits(&mac.src, key.src)
        && fits(&mac.dst, key.dst)
        && mac.ether_type.is_none_or(|wanted| wanted == key.ether_type)
        && mac.vlan.is_none_or(|wanted| wanted == vlan)
}

fn ip_matches(ip: &IpMatch, key: &FrameKey) -> bool {
    let asks_l4 =
        ip.src_port.is_some() || ip.dst_port.is_some() || ip.tcp.is_some() || ip.icmp.is_some();
    (key.ip_src ^ ip.src.value) & !ip.src.wildcard == 0
        && (key.ip_dst ^ ip.dst.value) & !ip.dst.wildcard == 0
        && ip.proto.is_none_or(|wanted| wanted == key.proto)
        && ip.dscp.is_none_or(|wanted| wanted.get() == key.dscp_bits)
        && (!ip.fragments || key.fragment == Fragment::Later)
        && (!asks_l4 || l4_matches(ip, key))
}

fn l4_matches(ip: &IpMatch, key: &FrameKey) -> bool {
    let has_ports = [IpProto::TCP, IpProto::UDP, IpProto::SCTP].contains(&key.proto);
    let icmp_of_family = if key.l3 == L3::Ipv6 { IpProto::ICMPV6 } else { IpProto::ICMP };
    key.has_l4
        && key.fragment != Fragment::Later
        && ip.src_port.is_none_or(|port| has_ports && port_matches(port, key.l4_src))
        && ip.dst_port.is_none_or(|port| has_ports && port_matches(port, key.l4_dst))
        && ip.tcp.is_none_or(|tcp| key.proto == IpProto::TCP && flags_match(tcp, key.tcp_flags))
        && ip.icmp.is_none_or(|icmp| {
            key.proto == icmp_of_family
                && key.l4_src == u16::from(icmp.icmp_type)
                && icmp.code.is_none_or(|code| key.l4_dst == u16::from(code))
        })
}

const fn flags_match(tcp: TcpMatch, flags: u8) -> bool {
    match tcp {
        TcpMatch::Established => flags & ESTABLISHED != 0,
        TcpMatch::Flags(wanted) => flags & wanted == wanted,
    }
}

const fn port_matches(port: PortMatch, value: u16) -> bool {
    match port {
        PortMatch::Eq(wanted) => value == wanted,
        PortMatch::Neq(unwanted) => value != unwanted,
        PortMatch::Lt(bound) => value < bound,
        PortMatch::Gt(bound) => value > bound,
        PortMatch::Range(first, last) => first <= value && value <= last,
    }
}
