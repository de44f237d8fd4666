//! The entries of access lists, read: `[SEQUENCE] permit|deny ...` and `[SEQUENCE] remark TEXT`.

use std::net::{Ipv4Addr, Ipv6Addr};

use proto::{Dscp, EtherType, IpProto, MacAddr, VlanId};

use super::cursor::{Cursor, Matched, match_keyword};
use super::names::{self, Names};
use super::value;
use crate::acl::{
    AclKind, Action, AddressMatch, Entry, IcmpMatch, IpMatch, MacMatch, MacPattern, Match,
    PortMatch, Rule, Sequence, TcpMatch,
};
use crate::problem::Problem;

/// The longest remark, in characters.
pub(crate) const REMARK_LEN_MAX: usize = 100;

#[derive(Clone, Copy)]
enum Head {
    Rule(Action),
    Remark,
}

const HEADS: [(&str, Head); 3] = [
    ("permit", Head::Rule(Action::Permit)),
    ("deny", Head::Rule(Action::Deny)),
    ("remark", Head::Remark),
];

/// Reads the number of an entry, when there is one.
pub(super) fn sequence(cursor: &mut Cursor<'_, '_>) -> Result<Option<Sequence>, Problem> {
    cursor.option_value("a sequence number", |text| {
        value::digits(text).then(|| match text.parse::<Sequence>() {
            Ok(number) if (1..Sequence::MAX).contains(&number) => Ok(number),
            _ => Err(format!("sequence number {text} is out of range, expected 1..4294967294")),
        })
    })
}

/// Reads an entry behind its number, to the end of the line.
pub(super) fn entry(cursor: &mut Cursor<'_, '_>, kind: AclKind) -> Result<Entry, Problem> {
    let entry = match cursor.choose(&HEADS)? {
        Head::Remark => Entry::Remark(value::printable(cursor, "a remark", REMARK_LEN_MAX)?),
        Head::Rule(action) => {
            let (matches, log) = match kind {
                AclKind::Mac => mac_match(cursor)?,
                AclKind::Ipv4 | AclKind::Ipv6 => ip_match(cursor, kind)?,
            };
            Entry::Rule(Rule { action, matches, log })
        }
    };
    cursor.finish()?;
    Ok(entry)
}

/// Which optional part of a rule was there already.
struct Once(Vec<&'static str>);

impl Once {
    fn take(&mut self, cursor: &Cursor<'_, '_>, part: &'static str) -> Result<(), Problem> {
        if self.0.contains(&part) {
            return Err(cursor.problem_before(format!("{part} is said twice"), ""));
        }
        self.0.push(part);
        Ok(())
    }
}

#[derive(Clone, Copy)]
enum MacOption {
    EtherType,
    Vlan,
    Log,
}

fn mac_match(cursor: &mut Cursor<'_, '_>) -> Result<(Match, bool), Problem> {
    let (src, dst) = (mac_pattern(cursor)?, mac_pattern(cursor)?);
    let mut matches = MacMatch { src, dst, ether_type: None, vlan: None };
    let (mut log, mut once) = (false, Once(Vec::new()));
    let options =
        [("ethertype", MacOption::EtherType), ("vlan", MacOption::Vlan), ("log", MacOption::Log)];
    while cursor.peek().is_some() {
        if let Some(ether_type) = ether_type(cursor)? {
            once.take(cursor, "the EtherType")?;
            matches.ether_type = Some(ether_type);
            continue;
        }
        match cursor.option(&options)? {
            Some(MacOption::EtherType) => {
                once.take(cursor, "the EtherType")?;
                matches.ether_type = match ether_type(cursor)? {
                    Some(value) => Some(value),
                    None => return Err(cursor.unexpected()),
                };
            }
            Some(MacOption::Vlan) => {
                once.take(cursor, "the VLAN")?;
                matches.vlan = Some(value::number(cursor, "a VLAN (1..4094)", VlanId::new)?);
            }
            Some(MacOption::Log) => {
                once.take(cursor, "`log`")?;
                log = true;
            }
            None => break,
        }
    }
    Ok((Match::Mac(matches), log))
}

/// `arp` or `0x806`: a plain decimal number would be too easy to mistake.
fn ether_type(cursor: &mut Cursor<'_, '_>) -> Result<Option<EtherType>, Problem> {
    let number = cursor.option_value("an EtherType as 0x806", |text| {
        let hex = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X"))?;
        let legal = (1..=4).contains(&hex.len()) && hex.bytes().all(|b| b.is_ascii_hexdigit());
        Some(match u16::from_str_radix(hex, 16) {
            Ok(number) if legal => Ok(EtherType::new(number)),
            _ => Err(format!("`{text}` is not an EtherType, expected 0x0..0xffff")),
        })
    })?;
    if number.is_some() {
        return Ok(number);
    }
    Ok(cursor.option(names::ETHER_TYPES)?.map(EtherType::new))
}

fn mac_pattern(cursor: &mut Cursor<'_, '_>) -> Result<MacPattern, Problem> {
    if let Some(address) = cursor.option_value("a MAC address", value::mac)? {
        let wildcard = cursor.value("a wildcard mask as 0000.0000.ffff", value::mac)?;
        let address = MacAddr::from_u64(address.as_u64() & !wildcard.as_u64());
        return Ok(MacPattern { address, wildcard });
    }
    match cursor.choose(&[("any", true), ("host", false)])? {
        true => Ok(MacPattern::ANY),
        false => Ok(MacPattern::host(cursor.value("a MAC address", value::mac)?)),
    }
}

/// What a rule can say behind its addresses.
#[derive(Clone, Copy)]
enum IpOption {
    Established,
    Flag(u8),
    Icmp(IcmpMatch),
    Dscp,
    Fragments,
    Log,
}

fn ip_match(cursor: &mut Cursor<'_, '_>, kind: AclKind) -> Result<(Match, bool), Problem> {
    let proto = protocol(cursor, kind)?;
    let src = address(cursor, kind)?;
    let src_port = port(cursor, proto)?;
    let dst = address(cursor, kind)?;
    let dst_port = port(cursor, proto)?;
    let mut matches = IpMatch {
        proto,
        src,
        dst,
        src_port,
        dst_port,
        tcp: None,
        icmp: None,
        dscp: None,
        fragments: false,
    };
    let log = ip_options(cursor, kind, &mut matches)?;
    let has_ports = matches.src_port.is_some() || matches.dst_port.is_some();
    if matches.fragments && (has_ports || matches.tcp.is_some() || matches.icmp.is_some()) {
        return Err(cursor.problem_before(
            "`fragments` cannot stand with ports, TCP flags or an ICMP type",
            "fragments after the first have none of them; write one rule for each",
        ));
    }
    Ok((Match::Ip(matches), log))
}

fn ip_options(
    cursor: &mut Cursor<'_, '_>,
    kind: AclKind,
    matches: &mut IpMatch,
) -> Result<bool, Problem> {
    let (is_tcp, is_icmp) =
        (matches.proto == Some(IpProto::TCP), matches.proto == Some(icmp_proto(kind)));
    let mut choices: Vec<(&'static str, IpOption)> = Vec::new();
    if is_tcp {
        choices.push(("established", IpOption::Established));
        choices.extend(names::TCP_FLAGS.iter().map(|(n, bit)| (*n, IpOption::Flag(*bit))));
    }
    if is_icmp {
        choices.extend(names::icmp_messages(kind).iter().map(|(n, m)| (*n, IpOption::Icmp(*m))));
    }
    choices.extend([
        ("dscp", IpOption::Dscp),
        ("fragments", IpOption::Fragments),
        ("log", IpOption::Log),
    ]);
    let (mut log, mut once) = (false, Once(Vec::new()));
    loop {
        if is_icmp && let Some(number) = icmp_number(cursor)? {
            once.take(cursor, "the ICMP type")?;
            matches.icmp = Some(number);
            continue;
        }
        match cursor.option(&choices)? {
            Some(IpOption::Established) => {
                once.take(cursor, "`established`")?;
                set_tcp(cursor, matches, TcpMatch::Established)?;
            }
            Some(IpOption::Flag(bit)) => set_tcp(cursor, matches, TcpMatch::Flags(bit))?,
            Some(IpOption::Icmp(message)) => {
                once.take(cursor, "the ICMP type")?;
                matches.icmp = Some(message);
            }
            Some(IpOption::Dscp) => {
                once.take(cursor, "`dscp`")?;
                matches.dscp = Some(dscp(cursor)?);
            }
            Some(IpOption::Fragments) => {
                once.take(cursor, "`fragments`")?;
                matches.fragments = true;
            }
            Some(IpOption::Log) => {
                once.take(cursor, "`log`")?;
                log = true;
            }
            None => {
                misplaced_option(cursor, kind, is_tcp, is_icmp)?;
                return Ok(log);
            }
        }
    }
}

/// Says of a TCP or ICMP option in a rule of another protocol what it needs.
fn misplaced_option(
    cursor: &Cursor<'_, '_>,
    kind: AclKind,
    is_tcp: bool,
    is_icmp: bool,
) -> Result<(), Problem> {
    let Some(word) = cursor.peek() else { return Ok(()) };
    let whole = |known: &str| known.eq_ignore_ascii_case(word.text);
    let flag = names::TCP_FLAGS.iter().any(|(name, _)| whole(name)) || whole("established");
    let needs = match word.text {
        _ if flag && !is_tcp => "tcp",
        _ if !is_icmp && names::icmp_messages(kind).iter().any(|(name, _)| whole(name)) => "icmp",
        _ => return Ok(()),
    };
    Err(cursor.problem(
        format!("`{}` needs the protocol {needs}", word.text),
        format!("write `permit {needs} ...` or `deny {needs} ...`"),
    ))
}

fn set_tcp(cursor: &Cursor<'_, '_>, matches: &mut IpMatch, new: TcpMatch) -> Result<(), Problem> {
    matches.tcp = Some(match (matches.tcp, new) {
        (None, new) => new,
        (Some(TcpMatch::Flags(old)), TcpMatch::Flags(bit)) if old & bit == 0 => {
            TcpMatch::Flags(old | bit)
        }
        (Some(TcpMatch::Flags(_)), TcpMatch::Flags(_)) => {
            return Err(cursor.problem_before("the TCP flag is said twice", ""));
        }
        _ => {
            return Err(cursor.problem_before(
                "`established` cannot stand with TCP flags",
                "it means that ACK or RST is set; write one rule for each",
            ));
        }
    });
    Ok(())
}

const fn icmp_proto(kind: AclKind) -> IpProto {
    match kind {
        AclKind::Ipv6 => IpProto::ICMPV6,
        _ => IpProto::ICMP,
    }
}

fn protocol(cursor: &mut Cursor<'_, '_>, kind: AclKind) -> Result<Option<IpProto>, Problem> {
    let number = cursor.option_value("a protocol number (0..255)", |text| {
        value::digits(text).then(|| match text.parse::<u8>() {
            Ok(number) => Ok(IpProto::new(number)),
            Err(_) => Err(format!("protocol {text} is out of range, expected 0..255")),
        })
    })?;
    if number.is_some() {
        return Ok(number);
    }
    if kind == AclKind::Ipv4
        && let Some(word) = cursor.peek()
        && word.text.eq_ignore_ascii_case("ipv6")
    {
        return Err(cursor.problem(
            "`ipv6` is no protocol of an ip access-list",
            "write `ip` for all protocols, or use an ipv6 access-list",
        ));
    }
    Ok(cursor.choose(names::protocols(kind))?.map(IpProto::new))
}

/// An address as it is written: value and wildcard, when the prefix length is there.
struct Literal {
    value: u128,
    wildcard: Option<u128>,
}

fn address(cursor: &mut Cursor<'_, '_>, kind: AclKind) -> Result<AddressMatch, Problem> {
    let v6 = kind == AclKind::Ipv6;
    let (what, what_mask, all) = match v6 {
        true => ("an IPv6 address", "a wildcard mask as ::ffff", AddressMatch::ANY_V6),
        false => ("an IPv4 address", "a wildcard mask as 0.0.0.255", AddressMatch::ANY_V4),
    };
    let make = |value: u128, wildcard: u128| AddressMatch {
        value: value & !wildcard & all.wildcard,
        wildcard: wildcard & all.wildcard,
    };
    if let Some(literal) = cursor.option_value(what, |text| literal(text, v6))? {
        if let Some(wildcard) = literal.wildcard {
            return Ok(make(literal.value, wildcard));
        }
        let position = cursor.position();
        return match cursor.option_value(what_mask, |text| plain_literal(text, v6))? {
            Some(wildcard) => Ok(make(literal.value, wildcard)),
            None => {
                let mut problem = cursor.unexpected();
                let address = &cursor.line().words[position - 1].text;
                let length = if v6 { 128 } else { 32 };
                problem.hint =
                    format!("for one address write `host {address}` or `{address}/{length}`");
                Err(problem)
            }
        };
    }
    match cursor.choose(&[("any", true), ("host", false)])? {
        true => Ok(all),
        false => Ok(make(cursor.value(what, |text| plain_literal(text, v6))?, 0)),
    }
}

/// An address with or without a prefix length.
fn literal(text: &str, v6: bool) -> Option<Result<Literal, String>> {
    let Some((address, length)) = text.split_once('/') else {
        return plain_literal(text, v6)
            .map(|value| value.map(|value| Literal { value, wildcard: None }));
    };
    let value = match plain_literal(address, v6)? {
        Ok(value) => value,
        Err(problem) => return Some(Err(problem)),
    };
    let bits: u32 = if v6 { 128 } else { 32 };
    let length = Some(length).filter(|l| value::digits(l)).and_then(|l| l.parse::<u32>().ok());
    Some(match length {
        Some(length) if length <= bits => {
            let wildcard = u128::MAX.checked_shr(128 - bits + length).unwrap_or(0);
            Ok(Literal { value, wildcard: Some(wildcard) })
        }
        _ => Err(format!("`{text}` has a bad prefix length, expected 0..{bits}")),
    })
}

/// An address without a prefix length. A word with the right separator is meant as one.
fn plain_literal(text: &str, v6: bool) -> Option<Result<u128, String>> {
    if v6 {
        let meant = text.contains(':');
        let value = text.parse::<Ipv6Addr>().map(u128::from);
        return meant.then(|| value.map_err(|_| format!("`{text}` is not an IPv6 address")));
    }
    let meant = text.starts_with(|c: char| c.is_ascii_digit());
    let value = text.parse::<Ipv4Addr>().map(|a| u128::from(u32::from(a)));
    meant.then(|| value.map_err(|_| format!("`{text}` is not an IPv4 address, expected A.B.C.D")))
}

#[derive(Clone, Copy)]
enum PortOp {
    Eq,
    Neq,
    Lt,
    Gt,
    Range,
}

const PORT_OPS: Names<PortOp> = &[
    ("eq", PortOp::Eq),
    ("neq", PortOp::Neq),
    ("lt", PortOp::Lt),
    ("gt", PortOp::Gt),
    ("range", PortOp::Range),
];

fn port(cursor: &mut Cursor<'_, '_>, proto: Option<IpProto>) -> Result<Option<PortMatch>, Problem> {
    if proto != Some(IpProto::TCP) && proto != Some(IpProto::UDP) {
        if let Some(word) = cursor.peek()
            && let Matched::One(_) = match_keyword(word.text, PORT_OPS)
        {
            return Err(cursor.problem(
                format!("`{}` needs the protocol tcp or udp", word.text),
                "only TCP and UDP have ports",
            ));
        }
        return Ok(None);
    }
    let Some(op) = cursor.option(PORT_OPS)? else { return Ok(None) };
    let first = port_number(cursor)?;
    Ok(Some(match op {
        PortOp::Eq => PortMatch::Eq(first),
        PortOp::Neq => PortMatch::Neq(first),
        PortOp::Lt if first == 0 => {
            return Err(cursor.problem_before("no port is below 0", "leave the rule out"));
        }
        PortOp::Lt => PortMatch::Lt(first),
        PortOp::Gt if first == u16::MAX => {
            return Err(cursor.problem_before("no port is above 65535", "leave the rule out"));
        }
        PortOp::Gt => PortMatch::Gt(first),
        PortOp::Range => {
            let last = port_number(cursor)?;
            if last < first {
                return Err(cursor.problem_before(
                    format!("the range {first} {last} ends before it starts"),
                    format!("write `range {last} {first}`"),
                ));
            }
            PortMatch::Range(first, last)
        }
    }))
}

fn port_number(cursor: &mut Cursor<'_, '_>) -> Result<u16, Problem> {
    let number = cursor.option_value("a port number", |text| {
        value::digits(text).then(|| {
            text.parse().map_err(|_| format!("port {text} is out of range, expected 0..65535"))
        })
    })?;
    match number {
        Some(number) => Ok(number),
        None => cursor.choose(names::PORTS),
    }
}

fn dscp(cursor: &mut Cursor<'_, '_>) -> Result<Dscp, Problem> {
    let number = value::option_number(cursor, "a DSCP (0..63)", Dscp::new)?;
    match number {
        Some(number) => Ok(number),
        None => {
            let value = cursor.choose(names::DSCPS)?;
            Dscp::new(value).map_err(|e| cursor.problem_before(e.to_string(), ""))
        }
    }
}

/// `TYPE [CODE]` in numbers.
fn icmp_number(cursor: &mut Cursor<'_, '_>) -> Result<Option<IcmpMatch>, Problem> {
    let octet = |text: &str| {
        value::digits(text)
            .then(|| text.parse().map_err(|_| format!("`{text}` is out of range, expected 0..255")))
    };
    let Some(icmp_type) = cursor.option_value("an ICMP type (0..255)", octet)? else {
        return Ok(None);
    };
    let code = cursor.option_value("an ICMP code (0..255)", octet)?;
    Ok(Some(IcmpMatch { icmp_type, code }))
}
