//! One rate for some time, and every frame of it accounted for.

use std::time::{Duration, Instant};

use serde::Serialize;

use super::{Timing, drain, pause};
use crate::tester::{Tester, TesterError};

/// The part of the wanted rate that must be offered for a trial to count.
const REACHED: f64 = 0.99;

/// What became of the frames of a trial (RFC 2544, clause 24).
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Trial {
    /// The rate that was wanted, frames a second of all directions.
    pub wanted_pps: u64,
    /// The rate that was offered: less when the generator did not get the CPU that it needed.
    pub offered_pps: f64,
    /// Frames offered.
    pub offered: u64,
    /// Frames delivered.
    pub delivered: u64,
}

impl Trial {
    /// The part of the frames that was lost, 0 to 1.
    #[must_use]
    pub fn loss(&self) -> f64 {
        let lost = self.offered.saturating_sub(self.delivered);
        if lost == 0 { 0.0 } else { lost as f64 / self.offered as f64 }
    }

    /// Whether the wanted rate was offered. If it was not, others were on the generator's CPU, and
    /// the trial says nothing about this rate.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.offered_pps >= self.wanted_pps as f64 * REACHED
    }
}

/// Offers `rate_pps` of the traffic that was started: a warm-up at this rate, in which the switch
/// may learn, then silence, then the trial, then silence, so that every frame is in the switch or
/// not.
///
/// # Errors
/// When the tester fails.
pub fn run(tester: &mut Tester, rate_pps: u64, timing: Timing) -> Result<Trial, TesterError> {
    let (trial, ()) = during(tester, rate_pps, timing.warm_up, || pause(timing.window))?;
    Ok(trial)
}

/// As [`run`], for as long as something else takes.
///
/// # Errors
/// As [`run`], and with those of `work`.
pub fn during<T>(
    tester: &mut Tester,
    rate_pps: u64,
    warm_up: Duration,
    work: impl FnOnce() -> Result<T, TesterError>,
) -> Result<(Trial, T), TesterError> {
    tester.set_rate(rate_pps)?;
    pause(warm_up)?;
    tester.halt()?;
    drain(tester)?;
    let before = tester.read()?;
    let start = Instant::now();
    tester.set_rate(rate_pps)?;
    let value = work()?;
    tester.halt()?;
    let time = start.elapsed();
    drain(tester)?;
    let window = tester.read()?.since(&before);
    let offered = window.offered_all().frames;
    let trial = Trial {
        wanted_pps: rate_pps,
        offered_pps: offered as f64 / time.as_secs_f64(),
        offered,
        delivered: window.delivered_all().frames,
    };
    Ok((trial, value))
}
