//! The core against the reference model, on random hosts and frames.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policy::Snapshot;
use policy::ids::StableIds;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use proto::frame::TagEdit;
use proto::{DropReason, PortId, Revision};

use super::generate::{Case, NOW_NS, case, team};
use super::reference::{Expected, Host, Wire};
use crate::core::counters::{Cast, PortTotals};
use crate::core::{
    BURST_MAX, Batch, Event, Frame, NoTrace, Rule, State, StepTrace, TeamState, Trace, Verdict,
    View, forward, pinning, reserve,
};

/// How many hosts are tried; each gets up to 80 frames.
const CASES: u32 = 1500;

/// Reasons that only workers and drivers give.
const NOT_OF_THE_CORE: [DropReason; 3] =
    [DropReason::OffloadUnsupported, DropReason::TxQueueFull, DropReason::NoMemory];

/// A case made ready: what goes in, by whom it is forwarded, what has to come out.
struct Ready {
    view: View,
    frames: Vec<(PortId, Vec<u8>, u32)>,
    expected: Vec<Expected>,
}

impl Ready {
    /// With uplinks teamed at random.
    fn new(case: &Case) -> Self {
        let mut ids = StableIds::default();
        let snapshot = Snapshot::build(&case.intent(), Revision::new(1), &mut ids).unwrap();
        let host = case.host(&snapshot);
        let team = team(&host, &snapshot);
        Self::with(case, &host, snapshot, team)
    }

    /// With uplinks teamed as the configuration of the host says.
    fn teamed(case: &Case) -> Self {
        let mut ids = StableIds::default();
        let snapshot = Snapshot::build(&case.intent(), Revision::new(1), &mut ids).unwrap();
        let links = case.links(&snapshot);
        let (team, _) = pinning::compute(&snapshot, &links, &TeamState::default(), 0);
        let host = case.teamed_host(&snapshot, &team);
        Self::with(case, &host, snapshot, team)
    }

    fn with(case: &Case, host: &Host, snapshot: Snapshot, team: TeamState) -> Self {
        let mut sent = Vec::new();
        for frame in &case.frames {
            let (at, bytes) = case.resolve(frame);
            let segment_bytes = frame.segment_bytes.unwrap_or(bytes.len() as u32);
            let expected = host.expect(at, Wire { bytes: &bytes, segment_bytes }, NOW_NS);
            let at = at.and_then(|at| snapshot.ports().find(|port| port.name == at));
            let id = at.map_or(PortId::new(4000).unwrap(), |port| port.id);
            sent.push(((id, bytes, segment_bytes), expected));
        }
        // A burst comes from one port.
        sent.sort_by_key(|((id, ..), _)| *id);
        let (frames, expected) = sent.into_iter().unzip();
        let view = View::new(Arc::new(snapshot), Arc::new(team));
        Self { view, frames, expected }
    }

    /// The frames in bursts that end at these places too.
    fn bursts(&self, splits: &[usize]) -> Vec<(PortId, Vec<Frame<'_>>)> {
        let mut bursts: Vec<(PortId, Vec<Frame<'_>>)> = Vec::new();
        for (n, (at, bytes, segment_bytes)) in self.frames.iter().enumerate() {
            let frame = Frame { segment_bytes: *segment_bytes, ..Frame::whole(bytes) };
            match bursts.last_mut().filter(|_| !splits.contains(&n)) {
                Some((port, burst)) if port == at && burst.len() < BURST_MAX => burst.push(frame),
                _ => bursts.push((*at, vec![frame])),
            }
        }
        bursts
    }
}

/// What came out of the core for one frame.
type Seen = (Verdict, Vec<(PortId, TagEdit)>);

/// Runs a case through the core.
fn run<T: Trace + Default>(ready: &Ready, splits: &[usize]) -> Run<T> {
    let (mut state, mut batch) = (State::default(), Batch::default());
    reserve(&ready.view, &state, &mut batch);
    let (mut seen, mut guarded, mut traces) = (Vec::new(), BTreeSet::new(), Vec::new());
    for (at, frames) in ready.bursts(splits) {
        let mut trace = T::default();
        forward(&ready.view, NOW_NS, &mut state, at, &frames, &mut batch, &mut trace);
        for (n, verdict) in batch.verdicts().iter().enumerate() {
            let own = batch.outputs().iter().filter(|o| o.frame.index() == n);
            seen.push((*verdict, own.map(|o| (o.port, o.edit)).collect()));
        }
        for event in batch.events() {
            let Event::BpduGuard { port } = event else { continue };
            guarded.insert(*port);
        }
        traces.push((trace, frames.len()));
    }
    Run { seen, state, guarded, traces }
}

struct Run<T> {
    seen: Vec<Seen>,
    state: State,
    guarded: BTreeSet<PortId>,
    /// Of each burst, with its length.
    traces: Vec<(T, usize)>,
}

/// What every port has to have counted.
fn totals(ready: &Ready) -> BTreeMap<PortId, PortTotals> {
    let mut totals: BTreeMap<PortId, PortTotals> = BTreeMap::new();
    let id = |name| ready.view.snapshot.ports().find(|port| port.name == name).unwrap().id;
    for ((at, bytes, _), expected) in ready.frames.iter().zip(&ready.expected) {
        for (name, reason) in &expected.refusals {
            totals.entry(id(*name)).or_default().tx_drops[reason.index()] += 1;
        }
        let port = totals.entry(*at).or_default();
        let malformed = proto::frame::parse(bytes).is_none();
        let dst = bytes.first_chunk().map(|dst| proto::MacAddr::new(*dst));
        match dst.filter(|_| !malformed).map_or(Cast::Unicast, Cast::of) {
            Cast::Unicast => port.rx.unicast += 1,
            Cast::Multicast => port.rx.multicast += 1,
            Cast::Broadcast => port.rx.broadcast += 1,
        }
        port.rx.bytes += bytes.len() as u64;
        match expected.verdict {
            Verdict::Forward => port.forwarded += 1,
            Verdict::Punt(_) => port.consumed += 1,
            Verdict::Drop(reason) => port.drops[reason.index()] += 1,
        }
    }
    totals
}

/// The whole comparison for one case.
fn agrees(ready: Ready) -> Result<Vec<Expected>, TestCaseError> {
    let Run { seen, state, guarded, .. } = run::<NoTrace>(&ready, &[]);
    let snapshot = &ready.view.snapshot;
    for (n, ((verdict, outputs), expected)) in seen.iter().zip(&ready.expected).enumerate() {
        let name = |id: PortId| snapshot.port(id).unwrap().name;
        let outputs: Vec<_> = outputs.iter().map(|(port, edit)| (name(*port), *edit)).collect();
        prop_assert_eq!(verdict, &expected.verdict, "frame {}: {:?}", n, ready.frames[n]);
        prop_assert_eq!(&outputs, &expected.outputs, "frame {}: {:?}", n, ready.frames[n]);
    }
    prop_assert_eq!(seen.len(), ready.frames.len());
    let mut expected_totals = totals(&ready);
    for port in snapshot.ports() {
        let counted = state.counters.port(port.id).read();
        let expected = expected_totals.remove(&port.id).unwrap_or_default();
        prop_assert!(counted.is_conserved());
        prop_assert_eq!(counted, expected, "{}", port.name);
    }
    let strays: PortTotals = expected_totals.into_values().next().unwrap_or_default();
    prop_assert_eq!(state.counters.strays().read(), strays);
    let decisions: u64 = ready.expected.iter().map(|expected| expected.acl_decisions).sum();
    let rules = (0..1024).map(|n| state.counters.rule(policy::acl::RuleCounterId(n)));
    prop_assert_eq!(rules.sum::<u64>(), decisions);
    let with_guard = ready.frames.iter().zip(&ready.expected).filter(|(_, e)| e.bpdu_guard);
    prop_assert_eq!(guarded, with_guard.map(|((at, ..), _)| *at).collect());
    Ok(ready.expected)
}

#[test]
fn core_and_reference_model_agree_and_every_drop_reason_is_met() {
    let met = RefCell::new(BTreeMap::<DropReason, u32>::new());
    let mut runner = TestRunner::new(Config::with_cases(CASES));
    let outcome = runner.run(&case(), |case| {
        for expected in agrees(Ready::new(&case))? {
            if let Verdict::Drop(reason) = expected.verdict {
                *met.borrow_mut().entry(reason).or_default() += 1;
            }
        }
        Ok(())
    });
    outcome.unwrap();
    let met = met.into_inner();
    for reason in DropReason::ALL.iter().filter(|reason| !NOT_OF_THE_CORE.contains(reason)) {
        let count = met.get(reason).copied().unwrap_or(0);
        assert!(count >= 10, "{} was met {count} times: {met:?}", reason.name());
    }
}

/// Rows of the table by how many members the group has that the frame comes from or leaves by.
#[test]
fn core_and_reference_model_agree_on_hosts_teamed_by_configuration() {
    let met = RefCell::new(BTreeMap::<(Rule, bool), u32>::new());
    let mut runner = TestRunner::new(Config::with_cases(CASES));
    let outcome = runner.run(&case(), |case| {
        let ready = Ready::teamed(&case);
        let traced = run::<StepTrace>(&ready, &[]);
        let rules = traced
            .traces
            .iter()
            .flat_map(|(trace, frames)| (0..*frames).map(|n| trace.rules(n).first().copied()));
        for ((at, ..), rule) in ready.frames.iter().zip(rules) {
            let team = &ready.view.team;
            let group = team.group_of(*at).or(team.pin(*at).group).and_then(|id| team.group(id));
            if let (Some(rule), Some(group)) = (rule, group) {
                let channel = group.members().len() > 1;
                *met.borrow_mut().entry((rule, channel)).or_default() += 1;
            }
        }
        agrees(ready)?;
        Ok(())
    });
    outcome.unwrap();
    let met = met.into_inner();
    for rule in [Rule::F5, Rule::F6, Rule::R4, Rule::R5, Rule::R6, Rule::R7, Rule::R8] {
        for channel in [false, true] {
            let count = met.get(&(rule, channel)).copied().unwrap_or(0);
            assert!(count >= 10, "{rule:?}, port-channel {channel}: {count} times, {met:?}");
        }
    }
}

#[test]
fn every_row_of_the_table_is_met_and_tracing_changes_nothing() {
    let met = RefCell::new(BTreeSet::new());
    let mut runner = TestRunner::new(Config::with_cases(CASES / 10));
    let outcome = runner.run(&case(), |case| {
        let ready = Ready::new(&case);
        let traced = run::<StepTrace>(&ready, &[]);
        prop_assert_eq!(&traced.seen, &run::<NoTrace>(&ready, &[]).seen);
        for (trace, frames) in &traced.traces {
            for n in 0..*frames {
                let rules = trace.rules(n);
                prop_assert!(rules.len() <= 1, "one row decides: {rules:?}");
                met.borrow_mut().extend(rules);
            }
        }
        Ok(())
    });
    outcome.unwrap();
    let rows = Rule::ALL.iter().copied().filter(|rule| *rule != Rule::R9);
    assert_eq!(met.into_inner(), rows.collect());
}

/// The module's page says which stage gives which reason.
#[test]
fn the_module_page_names_every_drop_reason_of_the_core() {
    let page = include_str!("../mod.rs");
    let lines = page.lines().take_while(|line| line.starts_with("//!"));
    let page = lines.collect::<Vec<_>>().join(" ");
    let words: BTreeSet<&str> = page.split([' ', ',', ':']).collect();
    for reason in DropReason::ALL {
        let of_the_core = !NOT_OF_THE_CORE.contains(reason);
        assert_eq!(words.contains(reason.name()), of_the_core, "{}", reason.name());
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// forward(a ++ b) == forward(a) ++ forward(b).
    #[test]
    fn a_burst_may_be_split_anywhere(case in case()) {
        let ready = Ready::new(&case);
        let splits: Vec<_> = case.splits.iter().map(|s| s.index(ready.frames.len())).collect();
        let (split, whole) = (run::<NoTrace>(&ready, &splits), run::<NoTrace>(&ready, &[]));
        prop_assert_eq!(&split.seen, &whole.seen);
        prop_assert_eq!(&split.guarded, &whole.guarded);
        for port in ready.view.snapshot.ports() {
            let [a, b] = [&split, &whole].map(|run| run.state.counters.port(port.id).read());
            prop_assert_eq!(a, b);
        }
    }

    /// R9, whatever the configuration.
    #[test]
    fn r9_no_copy_goes_from_wire_to_wire(case in case(), teamed in any::<bool>()) {
        let ready = if teamed { Ready::teamed(&case) } else { Ready::new(&case) };
        let uplink = |id: PortId| ready.view.snapshot.port(id).is_some_and(|port| {
            matches!(port.role, policy::snapshot::Role::Uplink(_))
        });
        let seen = run::<NoTrace>(&ready, &[]).seen;
        for ((at, ..), (_, outputs)) in ready.frames.iter().zip(&seen) {
            let ports: BTreeSet<_> = outputs.iter().map(|(port, _)| *port).collect();
            prop_assert!(!uplink(*at) || !ports.iter().any(|port| uplink(*port)));
            prop_assert!(ports.iter().filter(|port| uplink(**port)).count() <= 1);
            prop_assert!(!ports.contains(at));
            prop_assert_eq!(ports.len(), outputs.len(), "one copy a port");
        }
    }
}
