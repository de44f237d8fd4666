//! The measurement: swaps at a rate at which nothing is lost, then swaps flat out.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ::tests::error::LabError;
use ::tests::wait::pause;
use serde::Serialize;

use super::rig::{Cost, Rig, Swap};
use super::timeline::{Point, Timeline, dip_percent};
use crate::measure::Timing;
use crate::measure::trial::{self, Trial};
use crate::plan::FrameSize;
use crate::samples::{Bar, Side, median};
use crate::switch::Setting;
use crate::tester::{Directions, SinkKind, Tester, TesterError, Traffic};
use crate::wires::Wires;

/// Less than this may be missing of the throughput while a swap goes on, in per cent.
pub const DIP_BAR_PERCENT: f64 = 5.0;

/// The least time over which a dip is measured.
const WINDOW: Duration = Duration::from_millis(100);

/// Between two looks at the counters.
const LOOK_INTERVAL: Duration = Duration::from_millis(10);

/// How much lower the next rate is when a trial without a swap loses frames, and how often it is
/// lowered.
const LOWER: f64 = 0.8;
const LOWER_MAX: usize = 6;

/// What a run consists of.
#[derive(Debug, Clone, Copy)]
pub struct Plan {
    /// Ports of the dataplane and rules of their list.
    pub setting: Setting,
    /// Swaps at each of the two loads.
    pub swaps: u32,
    /// Time from one to the next.
    pub gap: Duration,
    /// The part of the capacity at which nothing is lost.
    pub share: f64,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            setting: Setting { rules: 100, end_systems: 1000 },
            swaps: 10,
            gap: Duration::from_millis(500),
            share: 0.7,
        }
    }
}

/// One swap flat out.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Dip {
    /// From the command until the dataplane was in step, in milliseconds.
    pub took_ms: f64,
    /// What was missing of the throughput in that time, at least 100 ms, in per cent of what there
    /// was between swaps.
    pub dip_percent: f64,
    /// The same of the worst 100 ms in it.
    pub worst_percent: f64,
    /// What was missing while the worker had work. The supervisor shares the generator's CPU: while
    /// it computes the change there is less load, and what is not offered cannot be delivered.
    pub loaded_percent: f64,
    /// What was missing while the worker had its CPU: the swap itself.
    pub own_percent: f64,
    /// CPU time of the dataplane's threads that do not forward, in milliseconds.
    pub control_cpu_ms: f64,
    /// How long the worker did not have its CPU though it had work, in milliseconds.
    pub worker_waited_ms: f64,
}

/// All figures of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Ports of the dataplane.
    pub ports: u32,
    /// Frames delivered a second flat out, without swaps.
    pub capacity_pps: f64,
    /// Three trials at the lower rate: before the swaps, with them, after them.
    pub trials: [Trial; 3],
    /// Swaps flat out.
    pub dips: Vec<Dip>,
    /// What was missing in the worst 100 ms without any swap, flat out: how steady the machine is.
    pub worst_quiet_percent: f64,
    /// Against the bars.
    pub bars: Vec<Bar>,
}

/// Measures. `tell` hears what is being done, a line at a time.
///
/// # Errors
/// When the daemons or the tester fail, or the run is interrupted.
pub fn run(plan: &Plan, mut tell: impl FnMut(&str)) -> Result<Report, TesterError> {
    tell(&format!("{} ports", plan.setting.end_systems));
    let wires = Wires::new()?;
    let mut rig = Rig::start(&wires, &plan.setting)?;
    let mut tester = Tester::new(&wires, SinkKind::Tc)?;
    tester.start(&traffic())?;
    tell("throughput without a swap");
    let dataplane = rig.dataplane_pid();
    let (quiet, _) = watch(&mut tester, dataplane, || Ok(pause(plan.gap * plan.swaps)?))?;
    let (began, ended) = or_short(quiet.span())?;
    let capacity_pps = or_short(quiet.rate(began, ended))?.pps;
    let quiet_lowest = or_short(quiet.lowest_pps(began, ended, WINDOW))?;
    tell(&format!("{} swaps flat out", plan.swaps));
    let (timeline, swaps) = watch(&mut tester, dataplane, || swap_all(&mut rig, plan))?;
    tell(&format!("{} swaps at a rate at which nothing is lost", plan.swaps));
    let trials = lossless(&mut tester, &mut rig, plan, capacity_pps)?;
    tester.stop()?;
    rig.check()?;
    Ok(report(
        plan,
        capacity_pps,
        trials,
        dips(&timeline, &swaps)?,
        dip_percent(quiet_lowest, capacity_pps),
    ))
}

/// The frames of the bars, flat out.
fn traffic() -> Traffic {
    Traffic {
        size: FrameSize::Fixed(64),
        flows: 1000,
        directions: Directions::AToB,
        rate_pps: 0,
        probes_pps: 0,
    }
}

/// The swaps of a run, one after the other.
fn swap_all(rig: &mut Rig, plan: &Plan) -> Result<Vec<Swap>, TesterError> {
    let mut swaps = Vec::new();
    pause(plan.gap)?;
    for _ in 0..plan.swaps {
        swaps.push(rig.swap()?);
        pause(plan.gap)?;
    }
    Ok(swaps)
}

/// Looks at the counters while something is done on a thread of its own.
fn watch<T: Send>(
    tester: &mut Tester,
    dataplane: u32,
    work: impl FnOnce() -> Result<T, TesterError> + Send,
) -> Result<(Timeline, T), TesterError> {
    let (done, mut timeline) = (AtomicBool::new(false), Timeline::default());
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            let result = work();
            done.store(true, Ordering::Relaxed);
            result
        });
        let mut looks = || -> Result<(), TesterError> {
            while !worker.is_finished() && !done.load(Ordering::Relaxed) {
                let sample = tester.read()?;
                let frames = sample.delivered.iter().map(|tally| tally.frames).sum();
                let Cost { worker_ran: ran, worker_waited: waited, .. } = Cost::so_far(dataplane)?;
                timeline.push(Point { at: sample.at, frames, ran, waited });
                pause(LOOK_INTERVAL)?;
            }
            Ok(())
        };
        let looked = looks();
        let worked = worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        looked.and(worked)
    })
    .map(|value| (timeline, value))
}

/// Three trials at a rate at which the first one loses nothing, if there is one.
fn lossless(
    tester: &mut Tester,
    rig: &mut Rig,
    plan: &Plan,
    capacity_pps: f64,
) -> Result<[Trial; 3], TesterError> {
    let mut pps = (capacity_pps * plan.share) as u64;
    let timing = Timing { window: plan.gap * plan.swaps, ..Timing::STANDARD };
    let mut before = trial::run(tester, pps, timing)?;
    for _ in 0..LOWER_MAX {
        if before.loss() == 0.0 {
            break;
        }
        pps = (pps as f64 * LOWER) as u64;
        before = trial::run(tester, pps, timing)?;
    }
    let (during, _) = trial::during(tester, pps, timing.warm_up, || swap_all(rig, plan))?;
    Ok([before, during, trial::run(tester, pps, timing)?])
}

fn or_short<T>(value: Option<T>) -> Result<T, TesterError> {
    let short = || LabError::Unexpected("the time was too short to measure".to_owned());
    value.ok_or_else(|| short().into())
}

/// What was missing during each swap.
fn dips(timeline: &Timeline, swaps: &[Swap]) -> Result<Vec<Dip>, TesterError> {
    let period = |swap: &Swap| (swap.start, swap.end.max(swap.start + WINDOW));
    let periods: Vec<_> = swaps.iter().map(period).collect();
    let steady = or_short(timeline.rate_outside(&periods))?;
    let dip = |(swap, (start, end)): (&Swap, &(Instant, Instant))| {
        let last = (*end - WINDOW).max(*start);
        let rate = or_short(timeline.rate(*start, *end))?;
        let worst = or_short(timeline.lowest_pps(*start, last + LOOK_INTERVAL * 2, WINDOW))?;
        Ok(Dip {
            took_ms: ms(swap.end - swap.start),
            dip_percent: dip_percent(rate.pps, steady.pps),
            worst_percent: dip_percent(worst, steady.pps),
            loaded_percent: dip_percent(rate.loaded_pps, steady.loaded_pps),
            own_percent: dip_percent(rate.own_pps, steady.own_pps),
            control_cpu_ms: ms(swap.cost.control),
            worker_waited_ms: ms(swap.cost.worker_waited),
        })
    };
    swaps.iter().zip(&periods).map(dip).collect()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn report(
    plan: &Plan,
    capacity_pps: f64,
    trials: [Trial; 3],
    dips: Vec<Dip>,
    worst_quiet_percent: f64,
) -> Report {
    let ports = plan.setting.end_systems;
    let median_of = |field: fn(&Dip) -> f64| median(&dips.iter().map(field).collect::<Vec<_>>());
    let bars = vec![
        Bar::new(
            format!("frames lost to {} swaps with {ports} ports", plan.swaps),
            lost_to_swaps(&trials),
            Side::AtMost,
            0.0,
        ),
        Bar::new(
            format!("throughput dip of a swap with {ports} ports, %"),
            median_of(|dip| dip.dip_percent),
            Side::Below,
            DIP_BAR_PERCENT,
        ),
        Bar::new(
            "  the same while the worker had work, %",
            median_of(|dip| dip.loaded_percent),
            Side::Below,
            DIP_BAR_PERCENT,
        ),
    ];
    Report { ports, capacity_pps, trials, dips, worst_quiet_percent, bars }
}

/// Frames that the trial with swaps lost beyond the larger share that one without lost: a machine that
/// needs the CPU for milliseconds makes a receive ring overflow, swap or none.
fn lost_to_swaps([before, during, after]: &[Trial; 3]) -> f64 {
    let share = before.loss().max(after.loss());
    (lost(during) as f64 - share * during.offered as f64).max(0.0)
}

fn lost(trial: &Trial) -> u64 {
    trial.offered.saturating_sub(trial.delivered)
}

/// The report as a text for people.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut lines = vec![format!(
        "{} ports, flat out {:.3} Mpps; worst 100 ms without a swap {:.1} % less",
        report.ports,
        report.capacity_pps / 1e6,
        report.worst_quiet_percent
    )];
    for (name, trial) in ["before", "with swaps", "after"].iter().zip(&report.trials) {
        let Trial { offered_pps, offered, .. } = trial;
        let (mpps, lost) = (offered_pps / 1e6, lost(trial));
        lines.push(format!("  {name:<11} {mpps:.3} Mpps, {offered} frames, {lost} lost"));
    }
    lines.push("swap flat out: what is missing of the frames, in %".to_owned());
    lines.push(
        "      took ms     all   worst 100 ms   with work   with CPU   control CPU ms   \
         worker without CPU ms"
            .to_owned(),
    );
    for (number, dip) in report.dips.iter().enumerate() {
        let Dip { took_ms, dip_percent, worst_percent, loaded_percent, own_percent, .. } = dip;
        let (control, waited) = (dip.control_cpu_ms, dip.worker_waited_ms);
        lines.push(format!(
            "{:>4} {took_ms:>8.1} {dip_percent:>7.2} {worst_percent:>14.2} {loaded_percent:>11.2} \
             {own_percent:>10.2} {control:>16.1} {waited:>23.1}",
            number + 1
        ));
    }
    lines.push(String::new());
    lines.extend(report.bars.iter().map(Bar::line));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trial(delivered: u64) -> Trial {
        Trial { wanted_pps: 1000, offered_pps: 1000.0, offered: 500, delivered }
    }

    fn report_of(delivered: u64, dips: &[f64]) -> Report {
        let dip = |dip_percent: &f64| Dip {
            took_ms: 80.0,
            dip_percent: *dip_percent,
            worst_percent: 50.0,
            loaded_percent: 3.0,
            own_percent: 2.0,
            control_cpu_ms: 20.0,
            worker_waited_ms: 1.0,
        };
        let trials = [trial(500), trial(delivered), trial(500)];
        report(&Plan::default(), 1e6, trials, dips.iter().map(dip).collect(), 1.0)
    }

    #[test]
    fn the_bars_are_on_lost_frames_and_on_the_median_dip() {
        let met = |report: Report| report.bars.iter().map(|bar| bar.met).collect::<Vec<_>>();
        assert_eq!(met(report_of(500, &[1.0, 90.0, 4.9])), [true; 3]);
        assert_eq!(met(report_of(499, &[5.0])), [false, false, true]);
    }

    #[test]
    fn what_is_lost_without_swaps_too_is_not_lost_to_them() {
        // Of 500 frames each.
        let lost = |delivered: [u64; 3]| lost_to_swaps(&delivered.map(trial));
        assert_eq!(lost([500, 490, 500]), 10.0);
        assert_eq!(lost([500, 490, 496]), 6.0);
        assert_eq!(lost([480, 490, 500]), 0.0);
    }

    #[test]
    fn dips_are_against_the_time_between_swaps() {
        let (began, mut timeline, mut frames) = (Instant::now(), Timeline::default(), 0);
        for step in 0..200 {
            let since = LOOK_INTERVAL * step;
            timeline.push(Point { at: began + since, frames, ran: since, waited: since });
            frames += if (50..55).contains(&step) { 500 } else { 1000 };
        }
        let start = began + LOOK_INTERVAL * 50;
        let cost = Cost { worker_waited: Duration::from_millis(7), ..Cost::default() };
        let swap = Swap { start, end: start + LOOK_INTERVAL * 5, cost };
        let [dip] = dips(&timeline, &[swap]).unwrap()[..] else { panic!("one dip") };
        assert_eq!((dip.took_ms.round(), dip.dip_percent.round()), (50.0, 25.0));
        assert_eq!((dip.worst_percent.round(), dip.worker_waited_ms), (25.0, 7.0));
    }

    #[test]
    fn the_text_has_every_trial_and_swap() {
        let text = text(&report_of(498, &[1.0, 2.0]));
        assert!(text.contains("with swaps  0.001 Mpps, 500 frames, 2 lost"), "{text}");
        assert!(text.contains("MISSED") && text.lines().count() == 12, "{text}");
    }
}
