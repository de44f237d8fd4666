use proptest::collection::vec;
use proptest::prelude::*;
use proto::frame::Fragment;
use proto::{EtherType, IpProto, MacAddr};

use super::super::reference;
use super::super::rule::{
    AddressMatch, Entry, IcmpMatch, IpMatch, MacMatch, MacPattern, PortMatch, Rule, TcpMatch,
};
use super::*;
use crate::arbitrary;

/// So few bytes for rows that every field is looked up by byte and ranges become several entries.
const TIGHT: usize = 64;

fn name() -> Name {
    "LIST".parse().expect("a name")
}

fn list(kind: AclKind, rules: impl IntoIterator<Item = Rule>) -> Acl {
    let mut acl = Acl::new(kind);
    acl.entries.extend((1u32..).map(|n| n * 10).zip(rules.into_iter().map(Entry::Rule)));
    acl
}

fn compiled(acl: &Acl) -> CompiledAcl {
    CompiledAcl::compile(&name(), acl, &mut StableIds::default()).expect("a list that compiles")
}

/// The same list with tables that are as small as they can be.
fn compiled_tight(acl: &Acl) -> CompiledAcl {
    let mut list = compiled(acl);
    let (counters, implicit) = (list.rules.clone(), list.implicit);
    (list.search, list.decisions, list.otherwise) = compile_rules(acl, &counters, implicit, TIGHT);
    list
}

/// What the list must say.
fn expected(acl: &Acl, compiled: &CompiledAcl, key: &FrameKey, vlan: VlanId) -> Decision {
    let (action, sequence) = reference::first_match(acl, key, vlan);
    let (_, counter) = compiled.rules().find(|(s, _)| *s == sequence).expect("a counter");
    let log = matches!(acl.entries.get(&sequence), Some(Entry::Rule(rule)) if rule.log);
    Decision { action, sequence, counter, log }
}

/// A frame of the list's kind with no field set.
fn blank(kind: AclKind) -> FrameKey {
    let l3 = match kind {
        AclKind::Mac => L3::Other,
        AclKind::Ipv4 => L3::Ipv4,
        AclKind::Ipv6 => L3::Ipv6,
    };
    FrameKey { l3, ..FrameKey::EMPTY }
}

/// Random bits of a frame, and how it differs from one that the rule matches.
#[derive(Clone, Debug)]
struct Variation {
    rule: usize,
    addresses: [u128; 2],
    ports: [u16; 2],
    bits: u32,
    spoil: u8,
}

fn variations() -> impl Strategy<Value = Vec<Variation>> {
    let one = (any::<usize>(), any::<[u128; 2]>(), any::<[u16; 2]>(), any::<u32>(), 0..24u8)
        .prop_map(|(rule, addresses, ports, bits, spoil)| Variation {
            rule,
            addresses,
            ports,
            bits,
            spoil,
        });
    vec(one, 1..40)
}

/// A port that fits, on the edge when the random number is even.
fn fitting(port: Option<PortMatch>, random: u16) -> u16 {
    let edge = random.is_multiple_of(2);
    match port {
        None => random,
        Some(PortMatch::Eq(n)) => n,
        Some(PortMatch::Neq(n)) => {
            if edge {
                n.wrapping_add(1)
            } else {
                random
            }
        }
        Some(PortMatch::Lt(n)) => n.saturating_sub(1).min(if edge { u16::MAX } else { random }),
        Some(PortMatch::Gt(n)) => n.saturating_add(1).max(if edge { 0 } else { random }),
        Some(PortMatch::Range(a, b)) if edge => {
            if random.is_multiple_of(4) {
                a
            } else {
                b
            }
        }
        Some(PortMatch::Range(a, b)) => random.clamp(a.min(b), b),
    }
}

/// A frame that the rule matches, unless it is spoilt in one field.
fn frame(kind: AclKind, rule: Option<&Rule>, how: &Variation) -> (FrameKey, VlanId) {
    let mut key = blank(kind);
    let mut vlan = VlanId::new(u32::from(how.ports[0] % 4094) + 1).expect("in range");
    match rule.map(|rule| &rule.matches) {
        Some(Match::Mac(mac)) => {
            let fill = |pattern: MacPattern, random: u128| {
                let wild = pattern.wildcard.as_u64();
                MacAddr::from_u64(pattern.address.as_u64() & !wild | random as u64 & wild)
            };
            key.src = fill(mac.src, how.addresses[0]);
            key.dst = fill(mac.dst, how.addresses[1]);
            key.ether_type = mac.ether_type.unwrap_or_else(|| EtherType::new(how.ports[1]));
            vlan = mac.vlan.unwrap_or(vlan);
        }
        Some(Match::Ip(ip)) => fill_ip(&mut key, ip, how),
        None => {}
    }
    match how.spoil {
        0 => key.ip_src ^= 1 << (how.bits % if kind == AclKind::Ipv6 { 128 } else { 32 }),
        1 => key.ip_dst ^= 1 << (how.bits % if kind == AclKind::Ipv6 { 128 } else { 32 }),
        2 => key.l4_src = key.l4_src.wrapping_add(1),
        3 => key.l4_dst = key.l4_dst.wrapping_sub(1),
        4 => key.proto = IpProto::new(how.bits as u8),
        5 => key.fragment = Fragment::Later,
        6 => (key.fragment, key.has_l4) = (Fragment::Later, false),
        7 => key.fragment = Fragment::First,
        8 => key.has_l4 = false,
        9 => key.tcp_flags = how.bits as u8,
        10 => key.dscp_bits = how.bits as u8 & 63,
        11 => key.src = MacAddr::from_u64(key.src.as_u64() ^ 1 << (how.bits % 48)),
        12 => key.dst = MacAddr::from_u64(key.dst.as_u64() ^ 1 << (how.bits % 48)),
        13 => key.ether_type = EtherType::new(how.ports[0]),
        14 => vlan = VlanId::DEFAULT,
        15 => key.l3 = [L3::Other, L3::Ipv4, L3::Ipv6][how.bits as usize % 3],
        _ => {}
    }
    (key, vlan)
}

fn fill_ip(key: &mut FrameKey, ip: &IpMatch, how: &Variation) {
    // A frame's IPv4 address has 32 bits, whatever a rule has.
    let bits = if key.l3 == L3::Ipv6 { u128::MAX } else { u128::from(u32::MAX) };
    let fill = |a: AddressMatch, random: u128| (a.value & !a.wildcard | random & a.wildcard) & bits;
    let icmp_proto = if key.l3 == L3::Ipv6 { IpProto::ICMPV6 } else { IpProto::ICMP };
    let usual = [IpProto::TCP, IpProto::UDP, IpProto::SCTP, icmp_proto];
    let guess = match ip {
        IpMatch { icmp: Some(_), .. } => icmp_proto,
        IpMatch { tcp: Some(_), .. } => IpProto::TCP,
        _ => usual[how.bits as usize % 4],
    };
    key.ip_src = fill(ip.src, how.addresses[0]);
    key.ip_dst = fill(ip.dst, how.addresses[1]);
    key.proto = ip.proto.unwrap_or(guess);
    key.dscp_bits = ip.dscp.map_or((how.bits >> 8) as u8 & 63, proto::Dscp::get);
    key.has_l4 = true;
    key.l4_src = fitting(ip.src_port, how.ports[0]);
    key.l4_dst = fitting(ip.dst_port, how.ports[1]);
    if let Some(IcmpMatch { icmp_type, code }) = ip.icmp {
        key.l4_src = u16::from(icmp_type);
        key.l4_dst = u16::from(code.unwrap_or(how.ports[1] as u8));
    }
    key.tcp_flags = match ip.tcp {
        Some(TcpMatch::Flags(flags)) => flags | (how.bits >> 16) as u8,
        Some(TcpMatch::Established) => 0x10 | (how.bits >> 16) as u8,
        None => (how.bits >> 16) as u8,
    };
    if ip.fragments {
        (key.fragment, key.has_l4, key.l4_src, key.l4_dst) = (Fragment::Later, false, 0, 0);
    }
}

/// Rules as a user can write them, and some that only a peer can send: conditions on L4 without
/// the protocol, ranges that end before they start, bits under a wildcard.
fn rule(kind: AclKind) -> impl Strategy<Value = Rule> {
    (arbitrary::rule(kind), 0..40u8, any::<u16>()).prop_map(move |(mut rule, twist, random)| {
        match (&mut rule.matches, twist) {
            (Match::Ip(ip), 0) => ip.proto = None,
            (Match::Ip(ip), 1) => ip.src_port = Some(PortMatch::Range(random, 500)),
            (Match::Ip(ip), 2) => ip.dst_port = Some(PortMatch::Lt(0)),
            (Match::Ip(ip), 3) => ip.src.value |= u128::from(random),
            (Match::Ip(ip), 4) => ip.fragments = !ip.fragments,
            (Match::Ip(ip), 5) if kind == AclKind::Ipv4 => ip.src.value |= 1 << 100,
            (Match::Mac(mac), 6) => mac.src.address = MacAddr::from_u64(u64::from(random)),
            _ => {}
        }
        rule
    })
}

fn check_list(acl: &Acl, frames: &[Variation]) -> Result<(), TestCaseError> {
    let rules: Vec<&Rule> = acl.rules().map(|(_, rule)| rule).collect();
    let (plain, tight) = (compiled(acl), compiled_tight(acl));
    for how in frames {
        let rule = how.rule.checked_rem(rules.len()).map(|at| rules[at]);
        let (key, vlan) = frame(acl.kind, rule, how);
        let expected = expected(acl, &plain, &key, vlan);
        prop_assert_eq!(*plain.eval(&key, vlan), expected, "{:?} {:?}", key, vlan);
        prop_assert_eq!(*tight.eval(&key, vlan), expected, "by byte: {:?} {:?}", key, vlan);
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn short_mac_lists_are_first_match(rules in vec(rule(AclKind::Mac), 0..12), f in variations()) {
        check_list(&list(AclKind::Mac, rules), &f)?;
    }

    #[test]
    fn short_ipv4_lists_are_first_match(
        rules in vec(rule(AclKind::Ipv4), 0..12), f in variations(),
    ) {
        check_list(&list(AclKind::Ipv4, rules), &f)?;
    }

    #[test]
    fn short_ipv6_lists_are_first_match(
        rules in vec(rule(AclKind::Ipv6), 0..12), f in variations(),
    ) {
        check_list(&list(AclKind::Ipv6, rules), &f)?;
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Rows of one group of words, of several, and joins.
    #[test]
    fn long_lists_are_first_match(
        kind in arbitrary::acl_kind(),
        seed in vec(any::<(u64, u64)>(), 200..400),
        f in variations(),
    ) {
        let rules = seed.into_iter().map(|(a, b)| random_rule(kind, a, b));
        check_list(&list(kind, rules), &f)?;
    }
}

/// A rule with something wild in every field, from two random numbers.
fn random_rule(kind: AclKind, a: u64, b: u64) -> Rule {
    let spread = |n: u64, salt: u64| (n ^ salt).wrapping_mul(0x9e37_79b9_7f4a_7c15).rotate_left(29);
    let wide = |n: u64| u128::from(spread(n, 1)) << 64 | u128::from(spread(n, 2));
    let action = if a & 1 == 0 { Action::Permit } else { Action::Deny };
    let matches = if kind == AclKind::Mac {
        let pattern = |n: u64| MacPattern {
            address: MacAddr::from_u64(spread(n, 3)),
            wildcard: MacAddr::from_u64(spread(n, 4) | spread(n, 5)),
        };
        let (ether_type, vlan) = (None, VlanId::new((b % 4) as u32).ok());
        Match::Mac(MacMatch { src: pattern(a), dst: pattern(b), ether_type, vlan })
    } else {
        let all = if kind == AclKind::Ipv6 { u128::MAX } else { u128::from(u32::MAX) };
        let address = |n: u64| {
            let wildcard = (wide(n) | wide(n ^ 77)) & all;
            AddressMatch { value: wide(n ^ 99) & all & !wildcard, wildcard }
        };
        let first = (b >> 16) as u16 % 60_000;
        Match::Ip(IpMatch {
            proto: Some(if b & 2 == 0 { IpProto::TCP } else { IpProto::UDP }),
            src: address(a),
            dst: address(b),
            src_port: (a & 12 == 0).then_some(PortMatch::Gt((a >> 32) as u16 / 2)),
            dst_port: Some(PortMatch::Range(first, first + (a >> 16) as u16 % 5000)),
            tcp: None,
            icmp: None,
            dscp: None,
            fragments: false,
        })
    };
    Rule { action, matches, log: b & 1 == 0 }
}

/// A sequence of numbers without a pattern (Steele, Lea, Flood: SplitMix64).
fn numbers() -> impl Iterator<Item = u64> {
    (1u64..).map(|n| {
        let z = n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z ^ z >> 27
    })
}

#[test]
fn more_than_one_block_of_words() {
    let mut random = numbers();
    let mut next = || random.next().expect("endless");
    let rules = (0..9000).map(|_| random_rule(AclKind::Ipv4, next(), next()));
    let acl = list(AclKind::Ipv4, rules.collect::<Vec<_>>());
    let compiled = compiled(&acl);
    let rules: Vec<&Rule> = acl.rules().map(|(_, rule)| rule).collect();
    let mut late = 0;
    for _ in 0..300 {
        let addresses = [u128::from(next()), u128::from(next())];
        let ports = [next() as u16, next() as u16];
        // The last rules, so that the first match is often behind the first 4,096.
        let rule = rules[8000 + next() as usize % 1000];
        let how = Variation { rule: 0, addresses, ports, bits: 0, spoil: 99 };
        let (key, vlan) = frame(AclKind::Ipv4, Some(rule), &how);
        let decision = *compiled.eval(&key, vlan);
        assert_eq!(decision, expected(&acl, &compiled, &key, vlan));
        late += usize::from(decision.sequence > 4096 * 10);
    }
    assert!(late > 30, "{late} matches behind the first block");
}

#[test]
fn hostile_lists_stay_within_bounds() {
    for kind in AclKind::ALL {
        let mut random = numbers();
        let mut next = || random.next().expect("endless");
        let rules: Vec<Rule> = (0..2000).map(|_| random_rule(kind, next(), next())).collect();
        let size = compiled(&list(kind, rules)).size_bytes();
        assert!(size < 32 << 20, "{kind}: {size} bytes");
    }
}

#[test]
fn a_list_with_one_outcome_has_no_tables() {
    let empty = compiled(&Acl::new(AclKind::Ipv4));
    assert_eq!(empty.constant().map(|d| (d.action, d.sequence)), Some((Action::Deny, 0)));
    let everything = Match::Ip(IpMatch {
        proto: None,
        src: AddressMatch::ANY_V4,
        dst: AddressMatch::ANY_V4,
        src_port: None,
        dst_port: None,
        tcp: None,
        icmp: None,
        dscp: None,
        fragments: false,
    });
    let permit = Rule { action: Action::Permit, matches: everything, log: true };
    let open = compiled(&list(AclKind::Ipv4, [permit.clone(), permit]));
    let decision = open.constant().expect("one outcome");
    assert_eq!((decision.action, decision.sequence, decision.log), (Action::Permit, 10, true));
    assert_eq!(*open.eval(&blank(AclKind::Ipv4), VlanId::DEFAULT), decision);
    // An IPv6 frame is not what an IPv4 list speaks of.
    assert_eq!(open.eval(&blank(AclKind::Ipv6), VlanId::DEFAULT).sequence, 0);
    assert_eq!(open.rules().map(|(s, _)| s).collect::<Vec<_>>(), [10, 20, 0]);
}

#[test]
fn refuses_foreign_rules_and_endless_lists() {
    let rule = random_rule(AclKind::Mac, 1, 2);
    let compile = |acl| CompiledAcl::compile(&name(), &acl, &mut StableIds::default()).map(drop);
    let error = compile(list(AclKind::Ipv6, [rule.clone()])).expect_err("a MAC rule");
    assert_eq!(error.to_string(), "entry 10 does not belong into a list of kind `ipv6`");
    let long = list(AclKind::Mac, std::iter::repeat_n(rule, CompiledAcl::RULES_MAX + 1));
    let error = compile(long).expect_err("too long");
    assert_eq!(error.to_string(), "has 16385 rules, at most 16384 are possible");
}
