//! Instructions by stage of a frame's way.
//!
//! Each instruction belongs to the stage in whose source it stands, whatever it was inlined into;
//! what a stage calls belongs to it too, the standard library included. Where a function is called
//! by two stages, its cost is shared in proportion to what callgrind has counted for each call.

use std::collections::{BTreeMap, BTreeSet};

use super::callgrind::{Profile, Symbol};
use super::symbols::{Chains, Place};

/// A stage, and the source by which it is known.
#[derive(Debug)]
struct Stage {
    name: &'static str,
    /// A deeper stage takes over from one that calls it; one that is as deep does not, so that an
    /// access list that `replicate` asks stays a part of it.
    depth: u8,
    /// A part of the file's path.
    file: &'static str,
    /// A function in it; empty: any.
    function: &'static str,
}

const fn stage(name: &'static str, depth: u8, file: &'static str, function: &'static str) -> Stage {
    Stage { name, depth, file, function }
}

/// The stages in the order of the table. Of two that fit, the first is taken.
const STAGES: &[Stage] = &[
    stage("rx", 3, "pmd/src/memory_port.rs", "rx"),
    stage("parse", 4, "proto/src/frame/parse.rs", ""),
    stage("admit", 3, "dataplane/src/core/stage/admit.rs", ""),
    stage("link_local", 3, "dataplane/src/core/stage/link_local.rs", ""),
    stage("classify", 3, "dataplane/src/core/stage/classify.rs", ""),
    stage("guard", 3, "dataplane/src/core/stage/guard.rs", ""),
    stage("acl", 3, "dataplane/src/core/stage/acl.rs", ""),
    stage("lookup", 3, "dataplane/src/core/stage/lookup.rs", ""),
    stage("replicate", 3, "dataplane/src/core/stage/replicate.rs", ""),
    stage("count", 3, "dataplane/src/core/stage/count.rs", ""),
    stage("forward, the rest", 2, "dataplane/src/core/", ""),
    stage("edit", 3, "dataplane/src/worker/egress.rs", "edit"),
    stage("tx", 3, "dataplane/src/worker/egress.rs", "transmit"),
    stage("carry out", 2, "dataplane/src/worker/egress.rs", ""),
    stage("worker, the rest", 1, "dataplane/src/worker/mod.rs", ""),
];

/// What is in no stage: the loop of the measurement.
const OTHER: &str = "loop";

/// Calls deeper than this are counted where they are; no frame's way is.
const DEPTH_MAX: u32 = 64;

/// A stage's name and its instructions, in the order of [`names`], without those that cost
/// nothing.
pub type Table = Vec<(&'static str, f64)>;

/// Every name that a table can have, in order.
pub fn names() -> impl Iterator<Item = &'static str> {
    STAGES.iter().map(|stage| stage.name).chain([OTHER])
}

/// The addresses of a program's instructions in a profile.
#[must_use]
pub fn addresses(profile: &Profile, program: &str) -> BTreeSet<u64> {
    let ours = profile.functions.iter().filter(|(symbol, _)| symbol.object == program);
    ours.flat_map(|(_, function)| {
        let calls = function.calls.iter().map(|call| call.at);
        function.own.iter().map(|(address, _)| *address).chain(calls)
    })
    .collect()
}

/// Shares the instructions of a profile among the stages. `root` is the name, or its end, of the
/// function that is counted; `program` the file whose addresses `chains` are of.
#[must_use]
pub fn table(profile: &Profile, chains: &Chains, program: &str, root: &str) -> Table {
    let mut walk = Walk { profile, chains, program, costs: BTreeMap::new() };
    let mut symbols = profile.functions.keys();
    if let Some(symbol) = symbols.find(|symbol| symbol.function.ends_with(root)) {
        walk.function(symbol, 1.0, None, 0);
    }
    let cost = |name| walk.costs.get(name).map(|cost| (name, *cost));
    names().filter_map(cost).collect()
}

struct Walk<'a> {
    profile: &'a Profile,
    chains: &'a Chains,
    program: &'a str,
    costs: BTreeMap<&'static str, f64>,
}

impl Walk<'_> {
    /// Counts a function, or the share of it that one caller has, which is in stage `caller`.
    fn function(
        &mut self,
        symbol: &Symbol,
        share: f64,
        caller: Option<&'static Stage>,
        depth: u32,
    ) {
        let Some(function) = self.profile.functions.get(symbol) else { return };
        for (address, cost) in &function.own {
            self.add(self.stage_at(symbol, *address, caller), share * *cost as f64);
        }
        for call in &function.calls {
            let stage = self.stage_at(symbol, call.at, caller);
            let whole = self.profile.functions.get(&call.callee).map_or(0, |f| f.inclusive());
            if whole == 0 || depth == DEPTH_MAX {
                self.add(stage, share * call.inclusive as f64);
            } else {
                let part = call.inclusive as f64 / whole as f64;
                self.function(&call.callee, share * part, stage, depth + 1);
            }
        }
    }

    fn add(&mut self, stage: Option<&Stage>, cost: f64) {
        *self.costs.entry(stage.map_or(OTHER, |stage| stage.name)).or_default() += cost;
    }

    /// The stage of an instruction of a function that was called by `caller`.
    fn stage_at(
        &self,
        symbol: &Symbol,
        address: u64,
        caller: Option<&'static Stage>,
    ) -> Option<&'static Stage> {
        let is_ours = symbol.object == self.program;
        let chain = self.chains.get(&address).filter(|_| is_ours).map_or(&[][..], Vec::as_slice);
        chain.iter().rev().fold(caller, |stage, place| match stage_of(place) {
            Some(deeper) if stage.is_none_or(|stage| stage.depth < deeper.depth) => Some(deeper),
            _ => stage,
        })
    }
}

fn stage_of(place: &Place) -> Option<&'static Stage> {
    STAGES.iter().find(|stage| {
        let is_function = stage.function.is_empty() || stage.function == place.function;
        is_function && place.file.contains(stage.file)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROGRAM: &str = "/x";

    fn place(function: &str, file: &str) -> Place {
        Place { function: function.to_owned(), file: format!("/home/weft/{file}") }
    }

    /// A worker that inlines `forward`, which inlines two stages; both call `eval`, one of them
    /// three times as often.
    fn profile() -> (Profile, Chains) {
        let text = "\
ob=/x
fn=benches::count::inside::counted_round
0x1 0 7
cfn=Worker::round
calls=1 0x10 0
0x2 0 1093
fn=Worker::round
0x10 0 11
0x11 0 20
0x12 0 30
cfn=eval
calls=3 0x20 0
0x12 0 600
0x13 0 40
cfn=eval
calls=1 0x20 0
0x13 0 200
0x14 0 50
cob=/lib/libc.so.6
cfn=memcpy
calls=1 0x500 0
0x14 0 142
fn=eval
0x20 0 800
ob=/lib/libc.so.6
fn=memcpy
0x500 0 142
totals: 1100
";
        let worker = || place("round", "dataplane/src/worker/mod.rs");
        let forward = || place("forward", "dataplane/src/core/mod.rs");
        let core = || place("get", "library/core/src/slice.rs");
        let chains = Chains::from([
            (0x10, vec![worker()]),
            (0x11, vec![forward(), worker()]),
            (
                0x12,
                vec![core(), place("run", "dataplane/src/core/stage/acl.rs"), forward(), worker()],
            ),
            (
                0x13,
                vec![
                    place("permit", "dataplane/src/core/stage/acl.rs"),
                    place("run", "dataplane/src/core/stage/replicate.rs"),
                    forward(),
                    worker(),
                ],
            ),
            (
                0x14,
                vec![
                    place("transmit", "dataplane/src/worker/egress.rs"),
                    place("carry_out", "dataplane/src/worker/egress.rs"),
                    worker(),
                ],
            ),
            (0x20, vec![place("eval", "policy/src/acl/eval.rs")]),
        ]);
        (Profile::parse(text).unwrap(), chains)
    }

    #[test]
    fn every_instruction_is_in_one_stage() {
        let (profile, chains) = profile();
        let table = table(&profile, &chains, PROGRAM, "counted_round");
        let expected = [
            ("acl", 30.0 + 600.0),
            ("replicate", 40.0 + 200.0),
            ("forward, the rest", 20.0),
            ("tx", 50.0 + 142.0),
            ("worker, the rest", 11.0),
            ("loop", 7.0),
        ];
        assert_eq!(table, expected);
        let sum: f64 = table.iter().map(|(_, cost)| cost).sum();
        assert!((sum - profile.total as f64).abs() < 1e-6, "{sum}");
    }

    #[test]
    fn addresses_are_those_of_the_program() {
        let (profile, chains) = profile();
        let addresses = addresses(&profile, PROGRAM);
        assert!(chains.keys().all(|address| addresses.contains(address)));
        assert!(!addresses.contains(&0x500));
    }
}
