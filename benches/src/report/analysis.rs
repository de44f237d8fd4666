//! Medians of rounds, and of ratios within rounds.
//!
//! A machine is faster in one round than in another, for whatever reason; two switches that were
//! measured in the same round met the same machine. So the ratio is taken in each round, and the
//! median of ratios is the result.

use crate::samples::median;
use crate::suite::case::Case;
use crate::suite::results::{Figure, Results};
use crate::tester::Percentiles;

/// A figure over the rounds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The median: the result.
    pub median: f64,
    /// The smallest of a round.
    pub min: f64,
    /// The largest of a round.
    pub max: f64,
}

impl Spread {
    /// Of the figures of the rounds; `None` of none.
    #[must_use]
    pub fn of(figures: &[f64]) -> Option<Self> {
        let min = figures.iter().copied().reduce(f64::min)?;
        let max = figures.iter().copied().reduce(f64::max)?;
        Some(Self { median: median(figures), min, max })
    }

    /// In another unit.
    #[must_use]
    pub fn scaled(self, by: f64) -> Self {
        Self { median: self.median * by, min: self.min * by, max: self.max * by }
    }
}

/// What is read out of a figure; `None` when it is of another kind.
pub type Reading<'a> = &'a dyn Fn(&Figure) -> Option<f64>;

/// One of the round-trip times.
pub type Time = fn(&Percentiles) -> u64;

/// Those of a report, and how they are called.
pub const TIMES: [(&str, Time); 3] = [
    ("p50", |times| times.p50_ns),
    ("p99", |times| times.p99_ns),
    ("p99.9", |times| times.p999_ns),
];

/// A reading of a switch in each round, with the round.
#[must_use]
pub fn by_round(results: &Results, switch: &str, case: Case, read: Reading<'_>) -> Vec<(u32, f64)> {
    let ours = results.records.iter().filter(|it| it.switch == switch && it.case == case);
    ours.filter_map(|it| Some((it.round, read(&it.figure)?))).collect()
}

/// A reading of a switch over the rounds.
#[must_use]
pub fn spread(results: &Results, switch: &str, case: Case, read: Reading<'_>) -> Option<Spread> {
    let figures: Vec<f64> =
        by_round(results, switch, case, read).into_iter().map(|(_, figure)| figure).collect();
    Spread::of(&figures)
}

/// What a switch delivers flat out as a part of what another does in the same round and case.
#[must_use]
pub fn ratio(results: &Results, switch: &str, to: &str, case: Case) -> Option<Spread> {
    let others = by_round(results, to, case, &delivered_pps);
    let ratios: Vec<f64> = by_round(results, switch, case, &delivered_pps)
        .into_iter()
        .filter_map(|(round, pps)| {
            let (_, other) = others.iter().find(|(other, _)| *other == round)?;
            (*other > 0.0).then(|| pps / other)
        })
        .collect();
    Spread::of(&ratios)
}

/// Frames a second delivered flat out.
#[must_use]
pub fn delivered_pps(figure: &Figure) -> Option<f64> {
    match figure {
        Figure::FlatOut { delivered_pps, .. } => Some(*delivered_pps as f64),
        _ => None,
    }
}

/// Bits a second delivered flat out.
#[must_use]
pub fn delivered_bps(figure: &Figure) -> Option<f64> {
    match figure {
        Figure::FlatOut { delivered_bps, .. } => Some(*delivered_bps as f64),
        _ => None,
    }
}

/// The highest rate without loss; 0 when every rate had some.
#[must_use]
pub fn zero_loss_pps(figure: &Figure) -> Option<f64> {
    match figure {
        Figure::Throughput { zero_loss_pps, .. } => Some(zero_loss_pps.unwrap_or(0) as f64),
        _ => None,
    }
}

/// The highest rate with one frame in 100,000 lost; 0 when every rate had more.
#[must_use]
pub fn partial_loss_pps(figure: &Figure) -> Option<f64> {
    match figure {
        Figure::Throughput { partial_loss_pps, .. } => Some(partial_loss_pps.unwrap_or(0) as f64),
        _ => None,
    }
}

/// What is delivered at a multiple of the capacity, as a part of the best of all multiples.
pub fn of_best(factor: u32) -> impl Fn(&Figure) -> Option<f64> {
    move |figure| {
        let Figure::Overload(loads) = figure else { return None };
        let best = loads.iter().map(|load| load.delivered_pps).max().filter(|best| *best > 0)?;
        let load = loads.iter().find(|load| load.factor == factor)?;
        Some(load.delivered_pps as f64 / best as f64)
    }
}

/// What was offered at a multiple of the capacity, in multiples of what was delivered at best: less
/// than the multiple when the generator got no further.
pub fn offered_of_best(factor: u32) -> impl Fn(&Figure) -> Option<f64> {
    move |figure| {
        let Figure::Overload(loads) = figure else { return None };
        let best = loads.iter().map(|load| load.delivered_pps).max().filter(|best| *best > 0)?;
        let load = loads.iter().find(|load| load.factor == factor)?;
        Some(load.offered_pps as f64 / best as f64)
    }
}

/// A time of the probes at a part of the rate, in microseconds.
pub fn round_trip_us(percent: u32, time: Time) -> impl Fn(&Figure) -> Option<f64> {
    move |figure| {
        let Figure::Latency(all) = figure else { return None };
        let times = all.iter().find(|at| at.percent == percent)?.times?;
        Some(time(&times) as f64 / 1e3)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::suite::plan::{BRIDGE, OVS_DPDK, RAW, WEFT};

    #[test]
    fn a_ratio_is_taken_in_each_round() {
        // Rounds of 1.9 of 2.0, 1.0 of 1.0, 3.0 of 4.0: a ratio of medians would be 0.95.
        let rates = [(1_900_000, 2_000_000), (1_000_000, 1_000_000), (3_000_000, 4_000_000)];
        let mut results = sample::empty();
        for (round, (weft, raw)) in rates.into_iter().enumerate() {
            results.records.push(sample::flat_out(round as u32, WEFT, Case::STANDARD, weft));
            results.records.push(sample::flat_out(round as u32, RAW, Case::STANDARD, raw));
        }
        // In a round without the other, there is no ratio.
        results.records.push(sample::flat_out(3, WEFT, Case::STANDARD, 9_000_000));
        let ratio = ratio(&results, WEFT, RAW, Case::STANDARD).unwrap();
        assert_eq!(ratio, Spread { median: 0.95, min: 0.75, max: 1.0 });
        let own = spread(&results, WEFT, Case::STANDARD, &delivered_pps).unwrap();
        assert_eq!((own.median, own.min, own.max), (2.45e6, 1e6, 9e6));
        assert_eq!(super::ratio(&results, WEFT, BRIDGE, Case::STANDARD), None);
        assert_eq!(super::ratio(&results, WEFT, RAW, Case::with_rules(0)), None);
    }

    #[test]
    fn readings_are_of_one_kind() {
        let results = sample::results();
        let read = |read: Reading<'_>| spread(&results, WEFT, Case::STANDARD, read);
        assert_eq!(read(&zero_loss_pps).unwrap().median, 1_200_000.0);
        assert_eq!(read(&partial_loss_pps).unwrap().median, 1_300_000.0);
        assert_eq!(read(&of_best(4)).unwrap().median, 0.95);
        assert_eq!(read(&of_best(8)), None);
        assert_eq!(read(&round_trip_us(10, |times| times.p99_ns)).unwrap().median, 80.0);
        assert_eq!(spread(&results, OVS_DPDK, Case::STANDARD, &delivered_pps), None);
    }

    #[test]
    fn a_switch_that_always_loses_has_rate_zero() {
        let figure =
            Figure::Throughput { zero_loss_pps: None, partial_loss_pps: Some(7), trials: 3 };
        assert_eq!(zero_loss_pps(&figure), Some(0.0));
        assert_eq!(partial_loss_pps(&figure), Some(7.0));
        assert_eq!(of_best(1)(&Figure::Overload(Vec::new())), None);
    }
}
