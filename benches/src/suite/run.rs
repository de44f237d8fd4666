//! Rounds, blocks, switches: the order of a run.
//!
//! In every round each block is gone through, and in every block each switch in turn, so that
//! whatever the machine does at a time meets all of them. The order of the switches moves on by one
//! in each round: none is always the one behind the same other.

use std::time::{Duration, Instant};

use ::tests::error::LabError;
use ::tests::wait::check_interrupt;

use super::block::{self, BlockError, Recorder};
use super::case::{Case, Stream};
use super::noise::Noise;
use super::plan::Plan;
use super::results::{Figure, Measured, Method, Record, Results};
use crate::measure::Timing;
use crate::report::machine::Machine;
use crate::switch::{StartError, Switch};

/// Measures. `tell` hears what is being done, a line at a time.
///
/// # Errors
/// When the run is interrupted. What a switch cannot do is in the results.
pub fn run(
    switches: &[Box<dyn Switch>],
    plan: &Plan,
    machine: Machine,
    tell: &mut dyn FnMut(&str),
) -> Result<Results, LabError> {
    let start = Instant::now();
    let mut course = Course { switches: measured(switches, plan), records: Vec::new(), tell };
    for round in 0..plan.rounds {
        for block in &plan.blocks {
            for (index, switch) in turn(switches, round) {
                if !block.includes(switch.name()) {
                    continue;
                }
                let case = Case { setting: block.setting, stream: Stream::STANDARD };
                let capacity_pps = course.capacity_pps(round, switch.name(), case);
                let mut recorder = Turn { course: &mut course, round, index };
                let done =
                    block::measure(switch.as_ref(), block, plan, capacity_pps, &mut recorder);
                check_interrupt()?;
                if let Err(error) = done {
                    recorder.missing(&error);
                }
            }
        }
    }
    Ok(Results {
        machine,
        method: method(plan, start.elapsed()),
        switches: course.switches,
        records: course.records,
    })
}

/// The switches in the order of a round, with their places in the list.
fn turn(
    switches: &[Box<dyn Switch>],
    round: u32,
) -> impl Iterator<Item = (usize, &Box<dyn Switch>)> {
    let all = switches.iter().enumerate();
    all.cycle().skip(round as usize % switches.len().max(1)).take(switches.len())
}

fn measured(switches: &[Box<dyn Switch>], plan: &Plan) -> Vec<Measured> {
    let names = switches.iter().map(|switch| switch.name());
    let measured = |name: &str| Measured {
        name: name.to_owned(),
        about: String::new(),
        missing: match plan.measures(name) {
            true => Vec::new(),
            false => vec!["no part of this run".to_owned()],
        },
    };
    names.map(measured).collect()
}

fn method(plan: &Plan, took: Duration) -> Method {
    let window_ms = |timing: Timing| timing.window.as_millis() as u64;
    Method {
        rounds: plan.rounds,
        rate_ms: window_ms(plan.rate),
        trial_ms: window_ms(plan.trial),
        latency_ms: window_ms(plan.latency),
        resolution: plan.resolution,
        attempts: plan.attempts,
        took_s: took.as_secs(),
    }
}

/// A run so far.
struct Course<'a> {
    switches: Vec<Measured>,
    records: Vec<Record>,
    tell: &'a mut dyn FnMut(&str),
}

impl Course<'_> {
    /// What a switch delivered flat out in a round.
    fn capacity_pps(&self, round: u32, switch: &str, case: Case) -> Option<u64> {
        self.records.iter().find_map(|record| match record.figure {
            Figure::FlatOut { delivered_pps, .. }
                if record.round == round && record.switch == switch && record.case == case =>
            {
                Some(delivered_pps).filter(|pps| *pps > 0)
            }
            _ => None,
        })
    }
}

/// A switch whose turn it is.
struct Turn<'a, 'b> {
    course: &'a mut Course<'b>,
    round: u32,
    index: usize,
}

impl Turn<'_, '_> {
    fn missing(&mut self, error: &BlockError) {
        let switch = &mut self.course.switches[self.index];
        let reason = match error {
            BlockError::Start(StartError::Unavailable(why)) => why.clone(),
            _ => format!("round {}: {error}", self.round + 1),
        };
        (self.course.tell)(&format!("{}: {reason}", switch.name));
        if !switch.missing.contains(&reason) {
            switch.missing.push(reason);
        }
    }
}

impl Recorder for Turn<'_, '_> {
    fn started(&mut self, about: String) {
        self.course.switches[self.index].about = about;
    }

    fn record(&mut self, case: Case, figure: Figure, noise: Noise) {
        let switch = self.course.switches[self.index].name.clone();
        (self.course.tell)(&format!(
            "round {} {switch}, {case}: {} (others {:.0} %, stolen {:.0} %)",
            self.round + 1,
            text(&figure),
            noise.others_percent,
            noise.steal_percent
        ));
        let round = self.round;
        self.course.records.push(Record { round, switch, case, figure, noise });
    }
}

/// A figure, for whoever watches.
fn text(figure: &Figure) -> String {
    let mpps = |pps: u64| format!("{:.3}", pps as f64 / 1e6);
    match figure {
        Figure::FlatOut { offered_pps, delivered_pps, .. } => {
            format!("{} of {} Mpps", mpps(*delivered_pps), mpps(*offered_pps))
        }
        Figure::Throughput { zero_loss_pps, partial_loss_pps, trials } => {
            let rate = |pps: &Option<u64>| pps.map_or_else(|| "none".to_owned(), mpps);
            let (zero, partial) = (rate(zero_loss_pps), rate(partial_loss_pps));
            format!("no loss {zero} Mpps, 1e-5 {partial} Mpps, {trials} trials")
        }
        Figure::Overload(loads) => {
            let load = |load: &super::results::Load| {
                format!("{}x {}", load.factor, mpps(load.delivered_pps))
            };
            format!("{} Mpps", loads.iter().map(load).collect::<Vec<_>>().join(", "))
        }
        Figure::Latency(all) => {
            let time = |at: &super::results::RoundTrips| {
                let p50 = at.times.map_or(0, |times| times.p50_ns);
                format!("{} %: p50 {:.1} us", at.percent, p50 as f64 / 1e3)
            };
            all.iter().map(time).collect::<Vec<_>>().join(", ")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switches;

    #[test]
    fn each_round_begins_with_another_switch() {
        let all = switches::all();
        let names = |round| -> Vec<_> {
            turn(&all, round).map(|(index, switch)| (index, switch.name())).collect()
        };
        let mut first = names(0);
        let second = names(1);
        assert_eq!(first[1], second[0]);
        first.rotate_left(1);
        assert_eq!(first, second);
        assert_eq!(names(all.len() as u32), names(0));
        assert_eq!(turn(&[], 3).count(), 0);
    }
}
