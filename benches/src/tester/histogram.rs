//! Round-trip times: a log-linear histogram, filled by `sink.bpf.c`.
//!
//! Below 64 ns a bucket is one nanosecond wide; from there on every doubling has 64 buckets, so a
//! bucket is at most 1/64 of what it holds wide, and its middle at most 0.8 % wrong.

use serde::{Deserialize, Serialize};

/// Buckets of each doubling, in bits.
const SUB_BITS: u32 = 6;
/// Doublings above the first 64 ns; the last bucket also holds whatever is above 2^34 ns.
const OCTAVES: u32 = 28;
/// `max_entries` of the map.
pub(crate) const BUCKETS: u32 = (OCTAVES + 1) << SUB_BITS;

/// Probes by their round-trip time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Histogram {
    counts: Vec<u64>,
}

/// Round-trip times in nanoseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Percentiles {
    /// How many probes came back.
    pub probes: u64,
    /// Half of them were this fast.
    pub p50_ns: u64,
    /// 99 % of them were this fast.
    pub p99_ns: u64,
    /// 99.9 % of them were this fast.
    pub p999_ns: u64,
}

impl Histogram {
    /// Of the number of probes in each bucket.
    pub(crate) const fn new(counts: Vec<u64>) -> Self {
        Self { counts }
    }

    /// What was added since an earlier look.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        let pairs = self.counts.iter().zip(&earlier.counts);
        Self { counts: pairs.map(|(now, then)| now.saturating_sub(*then)).collect() }
    }

    /// How many probes came back.
    #[must_use]
    pub fn probes(&self) -> u64 {
        self.counts.iter().sum()
    }

    /// The time that the fraction `part` of all probes did not exceed (nearest rank), to 0.8 %;
    /// `None` without any probe.
    #[must_use]
    pub fn quantile_ns(&self, part: f64) -> Option<u64> {
        let rank = (self.probes() as f64 * part).ceil().max(1.0) as u64;
        let mut seen = 0;
        let bucket = self.counts.iter().position(|count| {
            seen += count;
            seen >= rank
        })?;
        Some(middle_of(bucket as u32))
    }

    /// The usual three; `None` without any probe.
    #[must_use]
    pub fn percentiles(&self) -> Option<Percentiles> {
        Some(Percentiles {
            probes: self.probes(),
            p50_ns: self.quantile_ns(0.5)?,
            p99_ns: self.quantile_ns(0.99)?,
            p999_ns: self.quantile_ns(0.999)?,
        })
    }
}

/// The middle of a bucket, in nanoseconds.
const fn middle_of(bucket: u32) -> u64 {
    let octave = bucket >> SUB_BITS;
    if octave == 0 {
        return bucket as u64;
    }
    let sub = (bucket & ((1 << SUB_BITS) - 1)) as u64;
    let width = 1u64 << (octave - 1);
    ((1 << SUB_BITS) + sub) * width + width / 2
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The bucket of a time, found from the buckets' middles alone.
    fn nearest_bucket(ns: u64) -> u32 {
        (0..BUCKETS).min_by_key(|bucket| middle_of(*bucket).abs_diff(ns)).unwrap()
    }

    fn histogram(times_ns: &[u64]) -> Histogram {
        let mut counts = vec![0; BUCKETS as usize];
        for ns in times_ns {
            counts[nearest_bucket(*ns) as usize] += 1;
        }
        Histogram::new(counts)
    }

    #[test]
    fn middles_grow_and_reach_seventeen_seconds() {
        for bucket in 1..BUCKETS {
            assert!(middle_of(bucket) > middle_of(bucket - 1), "{bucket}");
        }
        assert!(middle_of(BUCKETS - 1).abs_diff(1 << 34) < 1 << 27);
    }

    #[test]
    fn percentiles_are_by_nearest_rank() {
        let mut times: Vec<u64> = vec![10_000; 990];
        times.extend([100_000; 9]);
        times.push(5_000_000);
        let percentiles = histogram(&times).percentiles().unwrap();
        assert_eq!(percentiles.probes, 1000);
        for (found, true_ns) in [
            (percentiles.p50_ns, 10_000),
            (percentiles.p99_ns, 10_000),
            (percentiles.p999_ns, 100_000),
        ] {
            assert!(found.abs_diff(true_ns) * 100 <= true_ns, "{found}");
        }
        let slowest = histogram(&times).quantile_ns(1.0).unwrap();
        assert!(slowest.abs_diff(5_000_000) < 50_000, "{slowest}");
    }

    #[test]
    fn nothing_has_no_percentiles() {
        let one = histogram(&[7]);
        assert_eq!(one.quantile_ns(0.5), Some(7));
        assert_eq!(one.since(&one).percentiles(), None);
    }

    proptest! {
        #[test]
        fn no_time_is_off_by_more_than_one_percent(ns in 1u64..1 << 34) {
            let found = middle_of(nearest_bucket(ns));
            prop_assert!(found.abs_diff(ns) * 100 <= ns, "{ns} became {found}");
        }
    }
}
