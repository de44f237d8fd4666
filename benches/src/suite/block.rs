//! One switch between its setup and its end.

use tests::error::LabError;
use thiserror::Error;

use super::case::{Case, Stream};
use super::noise::{Clock, Noise};
use super::plan::{Block, Plan, Task};
use super::results::{Figure, Load, RoundTrips};
use crate::measure::search::Limits;
use crate::measure::{latency, overload, rate, throughput};
use crate::switch::{StartError, Switch};
use crate::tester::{SinkKind, Tester, TesterError, Window};
use crate::wires::Wires;

/// Why a block gave no more figures.
#[derive(Debug, Error)]
pub enum BlockError {
    /// The switch does not stand between the wires.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A wire could not be made, or the switch has ended.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// The measurement failed.
    #[error(transparent)]
    Tester(#[from] TesterError),
    /// Nothing was delivered flat out, so there is no rate that others could be a part of.
    #[error("not measured: it delivered nothing flat out")]
    NoCapacity,
}

/// Takes what a block gives.
pub trait Recorder {
    /// The switch stands between the wires; this is what it says of itself.
    fn started(&mut self, about: String);

    /// A figure.
    fn record(&mut self, case: Case, figure: Figure, noise: Noise);
}

/// Sets a switch up between fresh wires, measures, and takes it down. `capacity_pps` is what it
/// delivered of the standard stream flat out, if that was measured.
///
/// # Errors
/// When something of it fails; what was measured before that is recorded.
pub fn measure(
    switch: &dyn Switch,
    block: &Block,
    plan: &Plan,
    capacity_pps: Option<u64>,
    recorder: &mut dyn Recorder,
) -> Result<(), BlockError> {
    let wires = Wires::new()?;
    let mut running = switch.start(&wires, &block.setting)?;
    recorder.started(running.describe());
    let tester = Tester::new(&wires, SinkKind::of(switch))?;
    let mut bench = Bench { tester, block, plan, recorder };
    match &block.task {
        Task::FlatOut(streams) => streams.iter().try_for_each(|stream| bench.flat_out(*stream))?,
        Task::Behaviour => bench.behaviour(capacity_pps.ok_or(BlockError::NoCapacity)?)?,
    }
    drop(bench);
    Ok(running.check()?)
}

/// What a measurement needs.
struct Bench<'a> {
    tester: Tester,
    block: &'a Block,
    plan: &'a Plan,
    recorder: &'a mut dyn Recorder,
}

impl Bench<'_> {
    /// Measures something, and what others did meanwhile.
    fn record(
        &mut self,
        stream: Stream,
        measure: impl FnOnce(&mut Tester) -> Result<Figure, TesterError>,
    ) -> Result<(), BlockError> {
        let clock = Clock::now()?;
        let figure = measure(&mut self.tester)?;
        let case = Case { setting: self.block.setting, stream };
        self.recorder.record(case, figure, clock.elapsed()?);
        Ok(())
    }

    fn flat_out(&mut self, stream: Stream) -> Result<(), BlockError> {
        let timing = self.plan.rate;
        self.record(stream, |tester| {
            let window = rate::measure(tester, &stream.flat_out(), timing)?;
            Ok(Figure::FlatOut {
                offered_pps: whole(window.offered_pps()),
                delivered_pps: whole(window.delivered_pps()),
                delivered_bps: whole(window.delivered_bps()),
            })
        })
    }

    fn behaviour(&mut self, capacity_pps: u64) -> Result<(), BlockError> {
        let (stream, plan) = (Stream::STANDARD, self.plan);
        let traffic = stream.flat_out();
        // The search goes no higher than anything was ever delivered: if the rate flat out was
        // disturbed, that at overload may have been more.
        let mut ceiling_pps = capacity_pps;
        self.record(stream, |tester| {
            let loads = overload::measure(tester, &traffic, plan.rate, capacity_pps)?;
            let loads: Vec<Load> = loads.iter().map(load).collect();
            let best = loads.iter().map(|load| load.delivered_pps);
            ceiling_pps = best.fold(ceiling_pps, u64::max);
            Ok(Figure::Overload(loads))
        })?;
        let Plan { resolution, attempts, .. } = *plan;
        let limits = Limits { resolution, attempts, ..Limits::below(ceiling_pps) };
        let mut borne_pps = ceiling_pps;
        self.record(stream, |tester| {
            let found = throughput::measure(tester, &traffic, plan.trial, limits, 0.0)?;
            let pps = |trial: crate::measure::trial::Trial| trial.wanted_pps;
            let partial_loss_pps = found.partial_loss.map(pps);
            borne_pps = partial_loss_pps.unwrap_or(borne_pps);
            Ok(Figure::Throughput {
                zero_loss_pps: found.zero_loss.map(pps),
                partial_loss_pps,
                trials: found.trials,
            })
        })?;
        self.record(stream, |tester| {
            let times = latency::measure_loads(tester, &traffic, plan.latency, borne_pps)?;
            let with_percent = latency::LOADS_PERCENT.into_iter().zip(&times);
            Ok(Figure::Latency(with_percent.map(|(p, latency)| round_trips(p, latency)).collect()))
        })
    }
}

fn load(load: &overload::Load) -> Load {
    let pps = |of: fn(&Window) -> f64| whole(of(&load.window));
    Load {
        factor: load.factor,
        offered_pps: pps(Window::offered_pps),
        delivered_pps: pps(Window::delivered_pps),
    }
}

fn round_trips(percent: u32, latency: &latency::Latency) -> RoundTrips {
    RoundTrips {
        percent,
        rate_pps: latency.rate_pps,
        delivered_pps: whole(latency.window.delivered_pps()),
        times: latency.round_trips,
    }
}

/// A rate in whole frames or bits.
fn whole(rate: f64) -> u64 {
    rate.round() as u64
}
