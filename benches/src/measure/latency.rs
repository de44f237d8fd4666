//! Round-trip times of probes under load.
//!
//! A probe goes from the generator by the switch to the far end of the tester, and back by the switch
//! to the near one. The times contain two passes through the switch and four veths; both clocks are
//! the kernel's at the moments of sending and arriving.

use serde::Serialize;

use super::{Timing, drain, pause, then_stop};
use crate::tester::{Percentiles, Tester, TesterError, Traffic, Window};

/// Probes a second.
pub const PROBES_PPS: u32 = 1000;

/// The loads of a report, in percent of a rate.
pub const LOADS_PERCENT: [u32; 2] = [10, 80];

/// Round-trip times at one load.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Latency {
    /// The load, frames a second.
    pub rate_pps: u64,
    /// What was offered and delivered meanwhile.
    pub window: Window,
    /// The times; `None` when no probe came back.
    pub round_trips: Option<Percentiles>,
}

/// Sends `traffic` at its rate with probes in it, and takes their times after a warm-up.
///
/// # Errors
/// When the tester fails.
pub fn measure(
    tester: &mut Tester,
    traffic: &Traffic,
    timing: Timing,
) -> Result<Latency, TesterError> {
    let traffic = Traffic { probes_pps: PROBES_PPS, ..*traffic };
    let (window, times) = then_stop(tester, |tester| {
        tester.start(&traffic)?;
        pause(timing.warm_up)?;
        let (before, times_before) = (tester.read()?, tester.round_trips()?);
        pause(timing.window)?;
        let window = tester.read()?.since(&before);
        Ok((window, tester.round_trips()?.since(&times_before)))
    })?;
    drain(tester)?;
    Ok(Latency { rate_pps: traffic.rate_pps, window, round_trips: times.percentiles() })
}

/// Measures at [`LOADS_PERCENT`] of a rate.
///
/// # Errors
/// When the tester fails.
pub fn measure_loads(
    tester: &mut Tester,
    traffic: &Traffic,
    timing: Timing,
    full_pps: u64,
) -> Result<Vec<Latency>, TesterError> {
    let at = |percent: u32| {
        let rate_pps = (full_pps.saturating_mul(percent.into()) / 100).max(1);
        measure(tester, &Traffic { rate_pps, ..*traffic }, timing)
    };
    LOADS_PERCENT.into_iter().map(at).collect()
}
