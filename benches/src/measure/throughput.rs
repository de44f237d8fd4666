//! The throughput of RFC 2544, clause 26.1: the highest rate at which nothing is lost; and the
//! highest at which one frame in 100,000 is.
//!
//! The RFC allows no loss at all. On a virtual machine a hypervisor that takes a CPU away for some
//! milliseconds makes any switch lose frames, so the second rate stands beside the first, as tests of
//! network functions usually have it (the partial drop rate of ETSI GS NFV-TST 009).

use serde::Serialize;

use super::search::{Limits, Search};
use super::trial::{self, Trial};
use super::{Timing, then_stop};
use crate::tester::{Tester, TesterError, Traffic};

/// The part that may be lost for the second rate.
pub const PARTIAL_LOSS: f64 = 1e-5;

/// What was found.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Throughput {
    /// The fastest trial that lost no more than the tolerance; `None`: all did.
    pub zero_loss: Option<Trial>,
    /// What was allowed to be lost of it: 0 by the RFC.
    pub tolerance: f64,
    /// The fastest trial that lost no more than [`PARTIAL_LOSS`].
    pub partial_loss: Option<Trial>,
    /// How many trials it took.
    pub trials: usize,
}

/// Finds both rates of `traffic`, whose own rate does not count. `tolerance` is the part that may be
/// lost and still be called nothing: 0 by the RFC.
///
/// # Errors
/// When the tester fails.
pub fn measure(
    tester: &mut Tester,
    traffic: &Traffic,
    timing: Timing,
    limits: Limits,
    tolerance: f64,
) -> Result<Throughput, TesterError> {
    let search = then_stop(tester, |tester| {
        let mut search = Search::new(limits);
        tester.start(&Traffic { rate_pps: limits.ceiling_pps, ..*traffic })?;
        // The higher rate first: its trials narrow the search for the lower one.
        for tolerance in [PARTIAL_LOSS.max(tolerance), tolerance] {
            while let Some(pps) = search.next_pps(tolerance) {
                search.record(trial::run(tester, pps, timing)?);
            }
        }
        Ok(search)
    })?;
    Ok(Throughput {
        zero_loss: search.borne(tolerance),
        tolerance,
        partial_loss: search.borne(PARTIAL_LOSS),
        trials: search.trials().len(),
    })
}
