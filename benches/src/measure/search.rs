//! Which rate to try next, to find the highest one that a switch bears.
//!
//! A binary search over all trials so far: for a second tolerance it goes on from what the first one
//! has found. No I/O here.

use super::trial::Trial;

/// What is searched, and how closely.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Where the search begins, frames a second: the most that the switch could deliver.
    pub ceiling_pps: u64,
    /// It ends when the rate that is borne and the one that is not differ by this part.
    pub resolution: f64,
    /// Trials at a rate that must all fail before it counts as not borne. RFC 2544 has one; on a
    /// virtual machine, whose CPUs are taken away now and then, one more tells the switch's losses
    /// from the machine's.
    pub attempts: usize,
}

impl Limits {
    /// To 1 %, with two attempts, below a rate.
    #[must_use]
    pub const fn below(ceiling_pps: u64) -> Self {
        Self { ceiling_pps, resolution: 0.01, attempts: 2 }
    }

    /// The part of the ceiling below which nothing is searched.
    const FLOOR: u64 = 64;
}

/// A search, and the trials that it has led to.
#[derive(Debug, Clone)]
pub struct Search {
    limits: Limits,
    trials: Vec<Trial>,
}

impl Search {
    /// Without any trial.
    #[must_use]
    pub const fn new(limits: Limits) -> Self {
        Self { limits, trials: Vec::new() }
    }

    /// Takes the result of a trial.
    pub fn record(&mut self, trial: Trial) {
        self.trials.push(trial);
    }

    /// All trials, in the order in which they were made.
    #[must_use]
    pub fn trials(&self) -> &[Trial] {
        &self.trials
    }

    /// The rate of the next trial; `None` when the highest rate is known at which a part of at most
    /// `tolerance` is lost.
    #[must_use]
    pub fn next_pps(&self, tolerance: f64) -> Option<u64> {
        let borne = self.borne(tolerance).map_or(0, |trial| trial.wanted_pps);
        let ceiling = self.limits.ceiling_pps;
        if borne >= ceiling {
            return None;
        }
        let failures = |pps| self.trials.iter().filter(|t| t.wanted_pps == pps).count();
        let above = |trial: &&Trial| trial.wanted_pps > borne;
        let tried = self.trials.iter().filter(above).map(|trial| trial.wanted_pps);
        let Some(lowest) = tried.min() else { return Some(ceiling) };
        if failures(lowest) < self.limits.attempts {
            return Some(lowest);
        }
        let gap = lowest - borne;
        let close = gap as f64 <= self.limits.resolution * lowest as f64;
        let hopeless = lowest <= ceiling / Limits::FLOOR;
        (gap > 1 && !close && !hopeless).then(|| borne + gap / 2)
    }

    /// The trial with the highest rate at which a part of at most `tolerance` was lost.
    #[must_use]
    pub fn borne(&self, tolerance: f64) -> Option<Trial> {
        let borne = self.trials.iter().filter(|trial| trial.loss() <= tolerance);
        borne.max_by_key(|trial| trial.wanted_pps).copied()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A switch that loses what is above `capacity`, and from `blemished` on one frame of 10^6.
    fn trial(wanted_pps: u64, blemished: u64, capacity: u64) -> Trial {
        let offered = wanted_pps * 10;
        let lost = (wanted_pps.saturating_sub(capacity) * 10).max(if wanted_pps >= blemished {
            offered / 1_000_000 + 1
        } else {
            0
        });
        Trial { wanted_pps, offered_pps: wanted_pps as f64, offered, delivered: offered - lost }
    }

    fn search(limits: Limits, blemished: u64, capacity: u64) -> Search {
        let mut search = Search::new(limits);
        for tolerance in [1e-5, 0.0] {
            while let Some(pps) = search.next_pps(tolerance) {
                search.record(trial(pps, blemished, capacity));
                assert!(search.trials().len() < 100, "{search:?}");
            }
        }
        search
    }

    #[test]
    fn a_switch_that_bears_the_ceiling_needs_one_trial() {
        let search = search(Limits::below(1_000_000), u64::MAX, u64::MAX);
        assert_eq!(search.trials().len(), 1);
        assert_eq!(search.borne(0.0).unwrap().wanted_pps, 1_000_000);
    }

    #[test]
    fn a_rate_counts_as_borne_when_a_later_attempt_is_clean() {
        let mut search = Search::new(Limits::below(1000));
        assert_eq!(search.next_pps(0.0), Some(1000));
        search.record(trial(1000, 0, u64::MAX));
        assert_eq!(search.next_pps(0.0), Some(1000));
        search.record(trial(1000, u64::MAX, u64::MAX));
        assert_eq!(search.next_pps(0.0), None);
        assert_eq!(search.borne(0.0).unwrap().wanted_pps, 1000);
    }

    #[test]
    fn a_switch_that_always_loses_is_given_up() {
        let search = search(Limits::below(1_000_000), 0, 0);
        assert_eq!(search.borne(1e-5), None);
        assert!(search.trials().len() <= 2 * 8, "{}", search.trials().len());
    }

    proptest! {
        #[test]
        fn both_rates_are_found_to_one_percent(
            capacity in 100_000u64..1_500_000,
            part in 0.2f64..1.0,
        ) {
            let blemished = (capacity as f64 * part) as u64;
            let search = search(Limits::below(1_000_000), blemished, capacity);
            for (tolerance, truth) in [(0.0, blemished), (1e-5, capacity)] {
                let truth = truth.min(1_000_000) as f64;
                let found = search.borne(tolerance).unwrap().wanted_pps as f64;
                prop_assert!(found <= truth * 1.001 && found >= truth * 0.988, "{found} {truth}");
            }
            prop_assert!(search.trials().len() <= 45);
        }
    }
}
