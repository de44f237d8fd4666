//! The numbers that have names in access lists.
//!
//! Where a number stands twice the first name is the one that is printed. Numbers are IANA's
//! (protocol-numbers, service-names-port-numbers, icmp-parameters, dscp-registry); names are
//! NX-OS's.

use crate::acl::{AclKind, IcmpMatch};

/// A table of names.
pub(super) type Names<T> = &'static [(&'static str, T)];

/// IP protocols in an `ip` list; `None`: all.
const PROTOCOLS_V4: Names<Option<u8>> = &[
    ("ip", None),
    ("ahp", Some(51)),
    ("eigrp", Some(88)),
    ("esp", Some(50)),
    ("gre", Some(47)),
    ("icmp", Some(1)),
    ("igmp", Some(2)),
    ("nos", Some(94)),
    ("ospf", Some(89)),
    ("pcp", Some(108)),
    ("pim", Some(103)),
    ("sctp", Some(132)),
    ("tcp", Some(6)),
    ("udp", Some(17)),
    ("vrrp", Some(112)),
];

/// IP protocols in an `ipv6` list; `icmp` is ICMPv6 there.
const PROTOCOLS_V6: Names<Option<u8>> = &[
    ("ipv6", None),
    ("ahp", Some(51)),
    ("eigrp", Some(88)),
    ("esp", Some(50)),
    ("gre", Some(47)),
    ("icmp", Some(58)),
    ("icmpv6", Some(58)),
    ("ospf", Some(89)),
    ("pcp", Some(108)),
    ("pim", Some(103)),
    ("sctp", Some(132)),
    ("tcp", Some(6)),
    ("udp", Some(17)),
    ("vrrp", Some(112)),
];

/// The protocols of a list of this kind.
pub(super) const fn protocols(kind: AclKind) -> Names<Option<u8>> {
    match kind {
        AclKind::Ipv6 => PROTOCOLS_V6,
        _ => PROTOCOLS_V4,
    }
}

/// TCP and UDP ports. Read only: a port prints as its number.
pub(super) const PORTS: Names<u16> = &[
    ("ftp-data", 20),
    ("ftp", 21),
    ("ssh", 22),
    ("telnet", 23),
    ("smtp", 25),
    ("tacacs", 49),
    ("domain", 53),
    ("bootps", 67),
    ("bootpc", 68),
    ("tftp", 69),
    ("www", 80),
    ("http", 80),
    ("pop3", 110),
    ("sunrpc", 111),
    ("ntp", 123),
    ("netbios-ns", 137),
    ("netbios-dgm", 138),
    ("netbios-ss", 139),
    ("imap", 143),
    ("snmp", 161),
    ("snmptrap", 162),
    ("bgp", 179),
    ("ldap", 389),
    ("https", 443),
    ("isakmp", 500),
    ("syslog", 514),
    ("rip", 520),
    ("radius", 1812),
    ("radius-acct", 1813),
    ("vxlan", 4789),
];

/// DSCPs (RFC 2474, RFC 2597, RFC 3246).
pub(super) const DSCPS: Names<u8> = &[
    ("default", 0),
    ("cs1", 8),
    ("af11", 10),
    ("af12", 12),
    ("af13", 14),
    ("cs2", 16),
    ("af21", 18),
    ("af22", 20),
    ("af23", 22),
    ("cs3", 24),
    ("af31", 26),
    ("af32", 28),
    ("af33", 30),
    ("cs4", 32),
    ("af41", 34),
    ("af42", 36),
    ("af43", 38),
    ("cs5", 40),
    ("ef", 46),
    ("cs6", 48),
    ("cs7", 56),
];

/// TCP flags, as bits of octet 13 of the header (RFC 9293 section 3.1).
pub(super) const TCP_FLAGS: Names<u8> = &[
    ("fin", 0x01),
    ("syn", 0x02),
    ("rst", 0x04),
    ("psh", 0x08),
    ("ack", 0x10),
    ("urg", 0x20),
    ("ece", 0x40),
    ("cwr", 0x80),
];

const fn icmp(icmp_type: u8) -> IcmpMatch {
    IcmpMatch { icmp_type, code: None }
}

const fn icmp_code(icmp_type: u8, code: u8) -> IcmpMatch {
    IcmpMatch { icmp_type, code: Some(code) }
}

const ICMP_V4: Names<IcmpMatch> = &[
    ("echo", icmp(8)),
    ("echo-reply", icmp(0)),
    ("unreachable", icmp(3)),
    ("net-unreachable", icmp_code(3, 0)),
    ("host-unreachable", icmp_code(3, 1)),
    ("protocol-unreachable", icmp_code(3, 2)),
    ("port-unreachable", icmp_code(3, 3)),
    ("packet-too-big", icmp_code(3, 4)),
    ("administratively-prohibited", icmp_code(3, 13)),
    ("source-quench", icmp(4)),
    ("redirect", icmp(5)),
    ("router-advertisement", icmp(9)),
    ("router-solicitation", icmp(10)),
    ("time-exceeded", icmp(11)),
    ("ttl-exceeded", icmp_code(11, 0)),
    ("reassembly-timeout", icmp_code(11, 1)),
    ("parameter-problem", icmp(12)),
    ("timestamp-request", icmp(13)),
    ("timestamp-reply", icmp(14)),
    ("mask-request", icmp(17)),
    ("mask-reply", icmp(18)),
    ("traceroute", icmp(30)),
];

const ICMP_V6: Names<IcmpMatch> = &[
    ("unreachable", icmp(1)),
    ("no-route", icmp_code(1, 0)),
    ("no-admin", icmp_code(1, 1)),
    ("destination-unreachable", icmp(1)),
    ("port-unreachable", icmp_code(1, 4)),
    ("packet-too-big", icmp(2)),
    ("time-exceeded", icmp(3)),
    ("hop-limit", icmp_code(3, 0)),
    ("reassembly-timeout", icmp_code(3, 1)),
    ("parameter-problem", icmp(4)),
    ("echo-request", icmp(128)),
    ("echo-reply", icmp(129)),
    ("mld-query", icmp(130)),
    ("mld-report", icmp(131)),
    ("mld-reduction", icmp(132)),
    ("router-solicitation", icmp(133)),
    ("router-advertisement", icmp(134)),
    ("nd-ns", icmp(135)),
    ("nd-na", icmp(136)),
    ("redirect", icmp(137)),
    ("mldv2", icmp(143)),
];

/// The ICMP messages of a list of this kind.
pub(super) const fn icmp_messages(kind: AclKind) -> Names<IcmpMatch> {
    match kind {
        AclKind::Ipv6 => ICMP_V6,
        _ => ICMP_V4,
    }
}

/// EtherTypes (IEEE Registration Authority). Read only: one prints as its number.
pub(super) const ETHER_TYPES: Names<u16> = &[
    ("arp", 0x0806),
    ("rarp", 0x8035),
    ("appletalk", 0x809b),
    ("aarp", 0x80f3),
    ("ipx", 0x8137),
    ("mpls-unicast", 0x8847),
    ("mpls-multicast", 0x8848),
    ("pppoe-discovery", 0x8863),
    ("pppoe-session", 0x8864),
    ("roce", 0x8915),
    ("eapol", 0x888e),
    ("ptp", 0x88f7),
];

/// The first name of a number.
pub(super) fn name_of<T: PartialEq>(names: Names<T>, value: &T) -> Option<&'static str> {
    names.iter().find(|(_, v)| v == value).map(|(name, _)| *name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn distinct<T>(names: Names<T>) {
        for (i, (name, _)) in names.iter().enumerate() {
            assert!(names[..i].iter().all(|(other, _)| other != name), "{name} stands twice");
            assert!(name.starts_with(|c: char| c.is_ascii_lowercase()), "{name}");
        }
    }

    #[test]
    fn every_name_stands_once() {
        for kind in [AclKind::Ipv4, AclKind::Ipv6] {
            distinct(protocols(kind));
            distinct(icmp_messages(kind));
        }
        distinct(PORTS);
        distinct(DSCPS);
        distinct(TCP_FLAGS);
        distinct(ETHER_TYPES);
    }
}
