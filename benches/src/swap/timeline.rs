//! What was delivered when, and how much less of it around an event.

use std::time::{Duration, Instant};

/// Frames delivered until some moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// When.
    pub at: Instant,
    /// All frames so far.
    pub frames: u64,
}

/// Looks at a counter, in the order of time.
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

    /// Frames a second from the last look before `start` to the first one after `end`.
    #[must_use]
    pub fn rate_pps(&self, start: Instant, end: Instant) -> Option<f64> {
        let first = self.0.iter().rev().find(|point| point.at <= start)?;
        let last = self.0.iter().find(|point| point.at >= end)?;
        rate(first, last)
    }

    /// Frames a second of all the time that is in none of these periods.
    #[must_use]
    pub fn rate_outside_pps(&self, periods: &[(Instant, Instant)]) -> Option<f64> {
        let is_outside = |pair: &&[Point]| {
            periods.iter().all(|(start, end)| pair[1].at <= *start || pair[0].at >= *end)
        };
        let (mut frames, mut time) = (0, Duration::ZERO);
        for pair in self.0.windows(2).filter(is_outside) {
            frames += pair[1].frames - pair[0].frames;
            time += pair[1].at - pair[0].at;
        }
        (!time.is_zero()).then(|| frames as f64 / time.as_secs_f64())
    }

    /// The lowest rate of any `window` that begins in this time, in frames a second.
    #[must_use]
    pub fn lowest_pps(&self, start: Instant, end: Instant, window: Duration) -> Option<f64> {
        let begins = self.0.iter().filter(|point| (start..=end).contains(&point.at));
        let rates = begins.filter_map(|first| {
            rate(first, self.0.iter().find(|point| point.at >= first.at + window)?)
        });
        rates.min_by(f64::total_cmp)
    }
}

fn rate(first: &Point, last: &Point) -> Option<f64> {
    let time = last.at.saturating_duration_since(first.at);
    (!time.is_zero()).then(|| (last.frames - first.frames) as f64 / time.as_secs_f64())
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

    /// A look every 10 ms; 1,000 frames between two, but none in these steps.
    fn timeline(standstill: std::ops::Range<u32>) -> (Timeline, Instant) {
        let (began, mut frames, mut timeline) = (Instant::now(), 0, Timeline::default());
        for step in 0..=100 {
            timeline.push(Point { at: began + STEP * step, frames });
            frames += if standstill.contains(&step) { 0 } else { 1000 };
        }
        (timeline, began)
    }

    fn percent(rate: Option<f64>) -> i64 {
        dip_percent(rate.unwrap(), 100_000.0).round() as i64
    }

    #[test]
    fn a_standstill_shows_in_its_period_and_not_outside() {
        let (timeline, began) = timeline(40..45);
        let (start, end) = (began + STEP * 38, began + STEP * 48);
        assert_eq!(percent(timeline.rate_pps(start, end)), 50);
        assert_eq!(percent(timeline.rate_outside_pps(&[(start, end)])), 0);
        assert_eq!(percent(timeline.rate_outside_pps(&[])), 5);
        assert_eq!(percent(timeline.lowest_pps(start, end, STEP * 5)), 100);
        assert_eq!(percent(timeline.lowest_pps(end, end + STEP * 9, STEP * 5)), 0);
    }

    #[test]
    fn a_period_between_two_looks_is_widened_to_them() {
        let (timeline, began) = timeline(0..0);
        let start = began + STEP * 3 + STEP / 3;
        assert_eq!(percent(timeline.rate_pps(start, start + STEP / 3)), 0);
    }

    #[test]
    fn what_was_not_looked_at_has_no_rate() {
        let (timeline, began) = timeline(0..0);
        let late = began + STEP * 1000;
        assert_eq!(timeline.rate_pps(began, late), None);
        assert_eq!(timeline.lowest_pps(late, late, STEP), None);
        assert_eq!(timeline.rate_outside_pps(&[(began, late)]), None);
    }
}
