//! What an access list costs per frame, by number of rules: the curve must be flat.
//!
//! `cargo bench -p benches --bench acl_eval`. Lists are random 5-tuples: prefixes of 8 to 32 bits
//! or hosts, half of the rules with a destination port or a range, a quarter with a source port.
//! Frames take turns, 1,024 of them, so that no branch can be learned: `start`, `end` and `miss`
//! match a rule of the first or the last tenth, or none. `wild` lists have random wildcards.
//!
//! `acl_eval --count CASE RULES ROUNDS` evaluates and times nothing, for callgrind
//! and `time` on machines whose clock is shared: the difference of two runs is what frames cost.
//!
//! User time and instructions per frame, the loop of the benchmark (16 instructions) included, on
//! two shared virtual cores of an AMD EPYC at 2.6 GHz, the best of five runs:
//!
//! | rules | start | end | mixed | miss | wild | tables |
//! |---|---|---|---|---|---|---|
//! | 10 | 17 ns, 234 | 17 ns, 234 | 17 ns, 234 | 16 ns, 218 | 20 ns, 255 | 25 KiB |
//! | 100 | 20 ns, 255 | 19 ns, 255 | 21 ns, 255 | 19 ns, 239 | 23 ns, 255 | 125 KiB |
//! | 1,000 | 25 ns, 388 | 34 ns, 524 | 30 ns, 453 | 30 ns, 516 | 73 ns, 897 | 811 KiB |
//! | 4,000 | 35 ns, 446 | 87 ns, 932 | 51 ns, 507 | 21 ns, 359 | 93 ns, 1,011 | 6.0 MiB |

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput};
use policy::acl::{
    Acl, AclKind, Action, AddressMatch, CompiledAcl, Entry, IpMatch, Match, PortMatch, Rule,
};
use policy::ids::StableIds;
use proto::frame::{Fragment, FrameKey, L3};
use proto::{EtherType, IpProto, MacAddr, VlanId};

const FRAMES: usize = 1024;
const RULES: [usize; 4] = [10, 100, 1000, 4000];

/// Numbers without a pattern (Steele, Lea, Flood: SplitMix64), the same in each run.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// How the addresses of a list's rules look.
#[derive(Clone, Copy)]
enum Addresses {
    Prefixes,
    Wild,
}

fn address(random: &mut Random, addresses: Addresses) -> AddressMatch {
    let all = u64::from(u32::MAX);
    let wildcard = match addresses {
        Addresses::Prefixes => {
            all >> [8, 12, 16, 20, 24, 24, 28, 32, 32, 32][random.below(10) as usize]
        }
        Addresses::Wild => random.next() & random.next() & all,
    };
    // Four /8 networks, as a data centre has them, so that rules overlap.
    let network = (10 + random.below(4)) << 24;
    let value = (network | random.below(1 << 24)) & !wildcard;
    AddressMatch { value: u128::from(value), wildcard: u128::from(wildcard) }
}

fn rule(random: &mut Random, addresses: Addresses) -> Rule {
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
        src: address(random, addresses),
        dst: address(random, addresses),
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

fn list(random: &mut Random, rules: usize, addresses: Addresses) -> Acl {
    let mut acl = Acl::new(AclKind::Ipv4);
    let numbers = (1..=rules as u32).map(|n| n * 10);
    acl.entries.extend(numbers.map(|n| (n, Entry::Rule(rule(random, addresses)))));
    acl
}

fn compile(acl: &Acl) -> CompiledAcl {
    let name = "BENCH".parse().expect("a legal name");
    CompiledAcl::compile(&name, acl, &mut StableIds::default()).expect("a legal list")
}

/// A frame that the rule matches, or one that nothing is likely to.
fn frame(random: &mut Random, rule: Option<&Rule>) -> FrameKey {
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

/// What is measured: which lists and which frames.
const CASES: [&str; 5] = ["start", "end", "mixed", "miss", "wild"];

/// A list and frames for it.
fn case(name: &str, rules: usize) -> (CompiledAcl, Vec<FrameKey>) {
    let mut random = Random(7);
    let addresses = if name == "wild" { Addresses::Wild } else { Addresses::Prefixes };
    let acl = list(&mut random, rules, addresses);
    let all: Vec<&Rule> = acl.rules().map(|(_, rule)| rule).collect();
    let part = match name {
        "start" => &all[..rules / 10],
        "end" => &all[rules - rules / 10..],
        "miss" => &[],
        _ => &all[..],
    };
    let frame_of = |at: usize| frame(&mut random, part.get(at % part.len().max(1)).copied());
    (compile(&acl), (0..FRAMES).map(frame_of).collect())
}

fn evaluate(acl: &CompiledAcl, frames: &[FrameKey]) -> usize {
    let permits = |key| acl.eval(key, VlanId::DEFAULT).action == Action::Permit;
    frames.iter().filter(|key| permits(black_box(*key))).count()
}

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("acl_eval");
    group.throughput(Throughput::Elements(FRAMES as u64));
    for rules in RULES {
        for name in CASES {
            let (acl, frames) = case(name, rules);
            let id = BenchmarkId::new(name, rules);
            group.bench_function(id, |b| b.iter(|| evaluate(&acl, &frames)));
        }
    }
    group.finish();
    let mut group = criterion.benchmark_group("acl_compile");
    for rules in RULES {
        let acl = list(&mut Random(7), rules, Addresses::Prefixes);
        group.bench_function(BenchmarkId::from_parameter(rules), |b| b.iter(|| compile(&acl)));
    }
    group.finish();
}

/// Evaluates the frames of a case so often, and says how large its tables are.
fn count(name: &str, rules: usize, rounds: usize) {
    let (acl, frames) = case(name, rules);
    let permitted: usize = (0..rounds).map(|_| evaluate(&acl, &frames)).sum();
    let (count, size) = (rounds * FRAMES, acl.size_bytes() >> 10);
    println!("{name} {rules}: {count} frames, {permitted} permitted, tables of {size} KiB");
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, flag, name, rules, rounds, ..] = &arguments[..]
        && flag == "--count"
    {
        count(name, rules.parse().expect("a number"), rounds.parse().expect("a number"));
        return;
    }
    let mut criterion = Criterion::default().configure_from_args();
    bench(&mut criterion);
    criterion.final_summary();
}
