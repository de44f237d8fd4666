//! The entries of access lists, printed in their canonical form.
//!
//! Options come in one order: ports, TCP flags or ICMP type, `dscp`, `fragments`, `log`.
//! Protocols, DSCPs and ICMP messages print by name where they have one, ports and EtherTypes by
//! number: their names differ between systems.

use std::fmt::Write as _;
use std::net::{Ipv4Addr, Ipv6Addr};

use super::names;
use crate::acl::{
    AclKind, Action, AddressMatch, Entry, IpMatch, MacMatch, MacPattern, Match, PortMatch,
    Sequence, TcpMatch,
};

/// One entry as a line: `10 permit tcp any host 10.0.0.1 eq 80`.
#[must_use]
pub fn print_entry(kind: AclKind, sequence: Sequence, entry: &Entry) -> String {
    let mut line = format!("{sequence} ");
    match entry {
        Entry::Remark(text) => {
            line.push_str("remark ");
            line.push_str(text);
        }
        Entry::Rule(rule) => {
            line.push_str(match rule.action {
                Action::Permit => "permit",
                Action::Deny => "deny",
            });
            match &rule.matches {
                Match::Mac(matches) => push_mac(&mut line, matches),
                Match::Ip(matches) => push_ip(&mut line, kind, matches),
            }
            if rule.log {
                line.push_str(" log");
            }
        }
    }
    line
}

/// Adds a blank and a piece of text.
fn push(line: &mut String, text: impl std::fmt::Display) {
    // Writing to a String cannot fail, so there is no error to report.
    write!(line, " {text}").unwrap_or_default();
}

fn push_mac(line: &mut String, matches: &MacMatch) {
    push_pattern(line, matches.src);
    push_pattern(line, matches.dst);
    if let Some(ether_type) = matches.ether_type {
        push(line, format_args!("0x{:x}", ether_type.get()));
    }
    if let Some(vlan) = matches.vlan {
        push(line, format_args!("vlan {vlan}"));
    }
}

fn push_pattern(line: &mut String, pattern: MacPattern) {
    if pattern == MacPattern::ANY {
        push(line, "any");
    } else if pattern == MacPattern::host(pattern.address) {
        push(line, format_args!("host {}", pattern.address.nxos()));
    } else {
        push(line, format_args!("{} {}", pattern.address.nxos(), pattern.wildcard.nxos()));
    }
}

fn push_ip(line: &mut String, kind: AclKind, matches: &IpMatch) {
    let number = matches.proto.map(proto::IpProto::get);
    match (names::name_of(names::protocols(kind), &number), number) {
        (Some(name), _) => push(line, name),
        (None, Some(number)) => push(line, number),
        // Both tables begin with the name of "every protocol".
        (None, None) => push(line, kind),
    }
    push_address(line, kind, matches.src);
    push_port(line, matches.src_port);
    push_address(line, kind, matches.dst);
    push_port(line, matches.dst_port);
    match matches.tcp {
        Some(TcpMatch::Established) => push(line, "established"),
        Some(TcpMatch::Flags(flags)) => {
            for (name, _) in names::TCP_FLAGS.iter().filter(|(_, bit)| flags & bit != 0) {
                push(line, name);
            }
        }
        None => {}
    }
    if let Some(message) = matches.icmp {
        match (names::name_of(names::icmp_messages(kind), &message), message.code) {
            (Some(name), _) => push(line, name),
            (None, Some(code)) => push(line, format_args!("{} {code}", message.icmp_type)),
            (None, None) => push(line, message.icmp_type),
        }
    }
    if let Some(dscp) = matches.dscp {
        match names::name_of(names::DSCPS, &dscp.get()) {
            Some(name) => push(line, format_args!("dscp {name}")),
            None => push(line, format_args!("dscp {dscp}")),
        }
    }
    if matches.fragments {
        push(line, "fragments");
    }
}

fn push_address(line: &mut String, kind: AclKind, address: AddressMatch) {
    let v6 = kind == AclKind::Ipv6;
    let (any, bits) = match v6 {
        true => (AddressMatch::ANY_V6, 128),
        false => (AddressMatch::ANY_V4, 32),
    };
    if address == any {
        return push(line, "any");
    }
    // The bits under the wildcard are the low ones exactly when the wildcard is 2^n - 1.
    let is_prefix = address.wildcard & address.wildcard.wrapping_add(1) == 0;
    match is_prefix {
        true => {
            let length = bits - address.wildcard.trailing_ones();
            push(line, format_args!("{}/{length}", literal(address.value, v6)));
        }
        false => {
            push(line, literal(address.value, v6));
            push(line, literal(address.wildcard, v6));
        }
    }
}

fn literal(value: u128, v6: bool) -> String {
    match (v6, u32::try_from(value)) {
        (false, Ok(value)) => Ipv4Addr::from(value).to_string(),
        _ => Ipv6Addr::from(value).to_string(),
    }
}

fn push_port(line: &mut String, port: Option<PortMatch>) {
    match port {
        None => {}
        Some(PortMatch::Eq(n)) => push(line, format_args!("eq {n}")),
        Some(PortMatch::Neq(n)) => push(line, format_args!("neq {n}")),
        Some(PortMatch::Lt(n)) => push(line, format_args!("lt {n}")),
        Some(PortMatch::Gt(n)) => push(line, format_args!("gt {n}")),
        Some(PortMatch::Range(a, b)) => push(line, format_args!("range {a} {b}")),
    }
}
