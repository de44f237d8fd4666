//! Counters of the tester, and what two looks at them say.

use std::ops::{Add, Sub};
use std::time::{Duration, Instant};

use aya::maps::{MapData, PerCpuArray};
use serde::Serialize;

use crate::bpf::BpfError;

/// Frames, and their bytes without check sequence.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Tally {
    /// Frames.
    pub frames: u64,
    /// Bytes.
    pub bytes: u64,
}

impl Tally {
    /// `struct tally` of the programs, of all CPUs together.
    pub(crate) fn of_cpus(values: &[[u64; 2]]) -> Self {
        let tally = |&[frames, bytes]: &[u64; 2]| Self { frames, bytes };
        values.iter().map(tally).fold(Self::default(), Add::add)
    }
}

/// Reads a map of tallies: one for each end that sends.
pub(crate) fn read_tallies(
    map: &PerCpuArray<MapData, [u64; 2]>,
    name: &'static str,
) -> Result<[Tally; 2], BpfError> {
    let read = |end: u32| -> Result<Tally, BpfError> {
        let values = map.get(&end, 0).map_err(|e| BpfError::Map(name, e))?;
        Ok(Tally::of_cpus(&values))
    };
    Ok([read(0)?, read(1)?])
}

impl Add for Tally {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self { frames: self.frames + other.frames, bytes: self.bytes + other.bytes }
    }
}

impl Sub for Tally {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        Self {
            frames: self.frames.saturating_sub(other.frames),
            bytes: self.bytes.saturating_sub(other.bytes),
        }
    }
}

/// The counters at one moment, by the wire at which frames were sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// When.
    pub at: Instant,
    /// What was sent.
    pub offered: [Tally; 2],
    /// What arrived at the other wire.
    pub delivered: [Tally; 2],
}

impl Sample {
    /// What happened since an earlier sample.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Window {
        let difference = |now: [Tally; 2], then: [Tally; 2]| [now[0] - then[0], now[1] - then[1]];
        Window {
            time: self.at.duration_since(earlier.at),
            offered: difference(self.offered, earlier.offered),
            delivered: difference(self.delivered, earlier.delivered),
        }
    }
}

/// What was sent and what arrived in some time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Window {
    /// How long it was.
    pub time: Duration,
    /// What was sent, by the wire at which it was sent.
    pub offered: [Tally; 2],
    /// What arrived, by the wire at which it was sent.
    pub delivered: [Tally; 2],
}

impl Window {
    /// All that was sent.
    #[must_use]
    pub fn offered_all(&self) -> Tally {
        self.offered[0] + self.offered[1]
    }

    /// All that arrived.
    #[must_use]
    pub fn delivered_all(&self) -> Tally {
        self.delivered[0] + self.delivered[1]
    }

    /// Frames sent a second.
    #[must_use]
    pub fn offered_pps(&self) -> f64 {
        self.rate(self.offered_all().frames)
    }

    /// Frames arrived a second.
    #[must_use]
    pub fn delivered_pps(&self) -> f64 {
        self.rate(self.delivered_all().frames)
    }

    /// Bits arrived a second, without preamble, check sequence and gap.
    #[must_use]
    pub fn delivered_bps(&self) -> f64 {
        self.rate(self.delivered_all().bytes) * 8.0
    }

    fn rate(&self, count: u64) -> f64 {
        let seconds = self.time.as_secs_f64();
        if seconds > 0.0 { count as f64 / seconds } else { 0.0 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_is_the_difference_of_two_samples() {
        let tally = |frames| Tally { frames, bytes: 60 * frames };
        let at = Instant::now();
        let first = Sample { at, offered: [tally(10), tally(0)], delivered: [tally(5); 2] };
        let second = Sample {
            at: at + Duration::from_secs(2),
            offered: [tally(110), tally(100)],
            delivered: [tally(55); 2],
        };
        let window = second.since(&first);
        assert_eq!(window.offered, [tally(100), tally(100)]);
        assert_eq!((window.offered_pps(), window.delivered_pps()), (100.0, 50.0));
        assert_eq!(window.delivered_bps(), 50.0 * 60.0 * 8.0);
        assert_eq!(first.since(&first).offered_pps(), 0.0);
    }
}
