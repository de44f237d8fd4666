//! Access lists alone: random lists, and frames that match some of their rules.
//!
//! Lists are random 5-tuples: prefixes of 8 to 32 bits or hosts, half of the rules with a
//! destination port or a range, a quarter with a source port. Frames take turns, 1,024 of them, so
//! that no branch can be learned.

use std::hint::black_box;

use policy::acl::{
    Acl, AclKind, Action, AddressMatch, CompiledAcl, Entry, IpMatch, Match, PortMatch, Rule,
};
use policy::ids::StableIds;
use proto::frame::{Fragment, FrameKey, L3};
use proto::{EtherType, IpProto, MacAddr, VlanId};

use super::Workload;
use super::random::Random;

/// Frames of a round.
pub const FRAMES: usize = 1024;
/// Where the numbers of lists and frames start.
const SEED: u64 = 7;

/// Which frames, and which lists.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hits {
    /// Each matches a rule of the first tenth.
    Start,
    /// Each matches a rule of the last tenth.
    End,
    /// Each matches any of the rules.
    Mixed,
    /// Nothing is likely to match.
    Miss,
    /// As [`Hits::Mixed`], in lists with random wildcards instead of prefixes.
    Wild,
}

impl Hits {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Start, Self::End, Self::Mixed, Self::Miss, Self::Wild];

    /// A name for the tables.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::End => "end",
            Self::Mixed => "mixed",
            Self::Miss => "miss",
            Self::Wild => "wild",
        }
    }
}

/// A compiled list, and frames for it.
#[derive(Debug)]
pub struct AclEval {
    acl: CompiledAcl,
    keys: Vec<FrameKey>,
}

impl AclEval {
    /// A list of `rules` rules.
    ///
    /// # Panics
    /// The list has more rules than a list can have.
    #[must_use]
    pub fn new(rules: usize, hits: Hits) -> Self {
        let mut random = Random::new(SEED);
        let acl = list_of(&mut random, rules, hits == Hits::Wild);
        let all: Vec<&Rule> = acl.rules().map(|(_, rule)| rule).collect();
        let part = match hits {
            Hits::Start => &all[..rules / 10],
            Hits::End => &all[rules - rules / 10..],
            Hits::Miss => &[],
            Hits::Mixed | Hits::Wild => &all[..],
        };
        let rule_of = |at: usize| part.get(at % part.len().max(1)).copied();
        let keys = (0..FRAMES).map(|at| key(&mut random, rule_of(at))).collect();
        Self { acl: compile(&acl), keys }
    }

    /// How large the tables are.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        self.acl.size_bytes()
    }
}

impl Workload for AclEval {
    fn frames(&self) -> u64 {
        self.keys.len() as u64
    }

    fn round(&mut self) -> u64 {
        let permits = |key| self.acl.eval(key, VlanId::DEFAULT).action == Action::Permit;
        self.keys.iter().filter(|key| permits(black_box(*key))).count() as u64
    }
}

/// A random list with prefixes, for compiling.
#[must_use]
pub fn list(rules: usize) -> Acl {
    list_of(&mut Random::new(SEED), rules, false)
}

/// Compiles a list.
///
/// # Panics
/// The list has more rules than a list can have.
#[must_use]
pub fn compile(acl: &Acl) -> CompiledAcl {
    let name = "BENCH".parse().expect("a legal name");
    CompiledAcl::compile(&name, acl, &mut StableIds::default()).expect("a legal list")
}

fn list_of(random: &mut Random, rules: usize, is_wild: bool) -> Acl {
    let mut acl = Acl::new(AclKind::Ipv4);
    let numbers = (1..=rules as u32).map(|n| n * 10);
    acl.entries.extend(numbers.map(|n| (n, Entry::Rule(rule(random, is_wild)))));
    acl
}

fn address(random: &mut Random, is_wild: bool) -> AddressMatch {
    let all = u64::from(u32::MAX);
    let wildcard = if is_wild {
        random.next() & random.next() & all
    } else {
        all >> [8, 12, 16, 20, 24, 24, 28, 32, 32, 32][random.below(10) as usize]
    };
    // Four /8 networks, as a data centre has them, so that rules overlap.
    let network = (10 + random.below(4)) << 24;
    let value = (network | random.below(1 << 24)) & !wildcard;
    AddressMatch { value: u128::from(value), wildcard: u128::from(wildcard) }
}

fn rule(random: &mut Random, is_wild: bool) -> Rule {
    let first = random.below(50_000) as u16;
    let well_known = [22, 53, 80, 123, 179, 443, 3306, 5432, 8080, 8443];
    let dst_port = match random.below(4) {
        0 => Some(PortMatch::Eq(well_known[random.below(10) as usize])),
        1 => Some(PortMatch::Range(first, first + random.below(2000) as u16)),
        _ => None,
    };
    let proto = if random.below(3) == 0 { IpProto::UDP } else { IpProto::TCP };
    let matches = IpMatch {
        proto: Some(proto),
        src: address(random, is_wild),
        dst: address(random, is_wild),
        src_port: (random.below(4) == 0).then_some(PortMatch::Gt(1023)),
        dst_port,
        tcp: None,
        icmp: None,
        dscp: None,
        fragments: false,
    };
    let action = if random.below(3) == 0 { Action::Deny } else { Action::Permit };
    Rule { action, matches: Match::Ip(matches), log: false }
}

/// A frame that the rule matches, or one that nothing is likely to.
fn key(random: &mut Random, rule: Option<&Rule>) -> FrameKey {
    let mut key = FrameKey {
        ip_src: u128::from(random.below(1 << 32)),
        ip_dst: u128::from(random.below(1 << 32)),
        dst: MacAddr::from_u64(0x0200_0000_0001),
        src: MacAddr::from_u64(0x0200_0000_0002),
        tag: None,
        ether_type: EtherType::IPV4,
        l3_offset: 14,
        l3: L3::Ipv4,
        fragment: Fragment::Whole,
        proto: IpProto::TCP,
        dscp_bits: 0,
        has_l4: true,
        tcp_flags: 0x10,
        l4_src: 1024 + random.below(60_000) as u16,
        l4_dst: random.below(1 << 16) as u16,
        l4_offset: 34,
    };
    if let Some(Match::Ip(ip)) = rule.map(|rule| &rule.matches) {
        let fill = |a: AddressMatch, low: u128| a.value | low & a.wildcard;
        (key.ip_src, key.ip_dst) = (fill(ip.src, key.ip_src), fill(ip.dst, key.ip_dst));
        key.proto = ip.proto.unwrap_or(key.proto);
        key.l4_dst = match ip.dst_port {
            Some(PortMatch::Eq(port) | PortMatch::Range(port, _)) => port,
            _ => key.l4_dst,
        };
    }
    key
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_hit_what_they_are_meant_to() {
        let sequences = |hits| -> Vec<u32> {
            let work = AclEval::new(100, hits);
            let eval = |key| work.acl.eval(key, VlanId::DEFAULT).sequence;
            work.keys.iter().map(eval).collect()
        };
        // A frame for a rule may match one before it.
        assert!(sequences(Hits::Start).iter().all(|n| (10..=100).contains(n)));
        assert!(sequences(Hits::End).iter().any(|n| *n > 900));
        assert!(sequences(Hits::Mixed).iter().all(|n| *n > 0));
        let missed = sequences(Hits::Miss).iter().filter(|n| **n == 0).count();
        assert!(missed > FRAMES * 9 / 10, "{missed} frames match nothing");
    }
}
