//! What was delivered when, and how much less of it around an event.

use std::time::{Duration, Instant};

/// How things stood at some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// When.
    pub at: Instant,
    /// Frames delivered so far.
    pub frames: u64,
    /// CPU time of the worker so far.
    pub ran: Duration,
    /// How long it has had work and no CPU so far.
    pub waited: Duration,
}

/// Frames by time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rate {
    /// Frames a second.
    pub pps: f64,
    /// Frames a second of the time in which the worker had work: what was delivered while there was
    /// something to deliver.
    pub loaded_pps: f64,
    /// Frames a second of the worker's CPU time: what was delivered while the worker could work.
    pub own_pps: f64,
}

/// Looks at the counters, in the order of time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline(Vec<Point>);

impl Timeline {
    /// Adds the latest look.
    pub fn push(&mut self, point: Point) {
        self.0.push(point);
    }

    /// First and last look.
    #[must_use]
    pub fn span(&self) -> Option<(Instant, Instant)> {
        Some((self.0.first()?.at, self.0.last()?.at))
    }

    /// The rate from the last look before `start` to the first one after `end`.
    #[must_use]
    pub fn rate(&self, start: Instant, end: Instant) -> Option<Rate> {
        let first = self.0.iter().rev().find(|point| point.at <= start)?;
        let last = self.0.iter().find(|point| point.at >= end)?;
        let mut sum = Sum::default();
        sum.add(first, last);
        sum.rate()
    }

    /// The rate of all the time that is in none of these periods.
    #[must_use]
    pub fn rate_outside(&self, periods: &[(Instant, Instant)]) -> Option<Rate> {
        let is_outside = |pair: &&[Point]| {
            periods.iter().all(|(start, end)| pair[1].at <= *start || pair[0].at >= *end)
        };
        let mut sum = Sum::default();
        for pair in self.0.windows(2).filter(is_outside) {
            sum.add(&pair[0], &pair[1]);
        }
        sum.rate()
    }

    /// The lowest rate of any `window` that begins in this time, in frames a second.
    #[must_use]
    pub fn lowest_pps(&self, start: Instant, end: Instant, window: Duration) -> Option<f64> {
        let begins = self.0.iter().filter(|point| (start..=end).contains(&point.at));
        let rates = begins.filter_map(|first| self.rate(first.at, first.at + window));
        rates.map(|rate| rate.pps).min_by(f64::total_cmp)
    }
}

/// What came to pass between pairs of looks.
#[derive(Debug, Default)]
struct Sum {
    frames: u64,
    time: Duration,
    ran: Duration,
    waited: Duration,
}

impl Sum {
    fn add(&mut self, first: &Point, last: &Point) {
        self.frames += last.frames.saturating_sub(first.frames);
        self.time += last.at.saturating_duration_since(first.at);
        self.ran += last.ran.saturating_sub(first.ran);
        self.waited += last.waited.saturating_sub(first.waited);
    }

    /// `None` when the worker did not run at all.
    fn rate(&self) -> Option<Rate> {
        let by = |time: Duration| self.frames as f64 / time.as_secs_f64();
        let has_run = !self.time.is_zero() && !self.ran.is_zero();
        has_run.then(|| Rate {
            pps: by(self.time),
            loaded_pps: by(self.ran + self.waited),
            own_pps: by(self.ran),
        })
    }
}

/// How much less than `steady` a rate is, in per cent; negative: it is more.
#[must_use]
pub fn dip_percent(rate: f64, steady: f64) -> f64 {
    100.0 * (1.0 - rate / steady)
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEP: Duration = Duration::from_millis(10);

    /// A look every 10 ms; 1,000 frames between two, but none in these steps, and then the worker
    /// has half of its CPU, a quarter is taken from it, and a quarter it has nothing to do.
    fn timeline(standstill: std::ops::Range<u32>) -> (Timeline, Instant) {
        let (began, mut timeline) = (Instant::now(), Timeline::default());
        let (mut frames, mut ran, mut waited) = (0, Duration::ZERO, Duration::ZERO);
        for step in 0..=100 {
            timeline.push(Point { at: began + STEP * step, frames, ran, waited });
            let stands_still = standstill.contains(&step);
            frames += if stands_still { 0 } else { 1000 };
            ran += if stands_still { STEP / 2 } else { STEP };
            waited += if stands_still { STEP / 4 } else { Duration::ZERO };
        }
        (timeline, began)
    }

    fn percent(rate: Option<Rate>) -> [i64; 3] {
        let rate = rate.unwrap();
        [rate.pps, rate.loaded_pps, rate.own_pps]
            .map(|pps| dip_percent(pps, 100_000.0).round() as i64)
    }

    #[test]
    fn a_standstill_shows_in_its_period_and_not_outside() {
        let (timeline, began) = timeline(40..45);
        let (start, end) = (began + STEP * 38, began + STEP * 48);
        assert_eq!(percent(timeline.rate(start, end)), [50, 43, 33]);
        assert_eq!(percent(timeline.rate_outside(&[(start, end)])), [0; 3]);
        assert_eq!(percent(timeline.rate_outside(&[]))[0], 5);
        assert_eq!(timeline.lowest_pps(start, end, STEP * 5), Some(0.0));
        let after = timeline.lowest_pps(end, end + STEP * 9, STEP * 5).unwrap();
        assert_eq!(dip_percent(after, 100_000.0).round(), 0.0);
    }

    #[test]
    fn a_period_between_two_looks_is_widened_to_them() {
        let (timeline, began) = timeline(0..0);
        let start = began + STEP * 3 + STEP / 3;
        assert_eq!(percent(timeline.rate(start, start + STEP / 3)), [0; 3]);
    }

    #[test]
    fn what_was_not_looked_at_has_no_rate() {
        let (timeline, began) = timeline(0..0);
        let late = began + STEP * 1000;
        assert_eq!(timeline.rate(began, late), None);
        assert_eq!(timeline.lowest_pps(late, late, STEP), None);
        assert_eq!(timeline.rate_outside(&[(began, late)]), None);
    }
}
