//! What is delivered when more is offered than can be: it must not collapse.

use serde::Serialize;

use super::{Timing, rate};
use crate::tester::{Tester, TesterError, Traffic, Window};

/// What is offered, in multiples of the capacity.
pub const FACTORS: [u32; 3] = [1, 2, 4];

/// What was delivered at one rate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Load {
    /// The multiple of the capacity that was to be offered.
    pub factor: u32,
    /// What was offered and delivered. A switch that works on the tester's CPU leaves the generator
    /// no time to offer more than it delivers; then less than the multiple was offered.
    pub window: Window,
    /// Delivered, as a part of the best delivered rate of all loads.
    pub of_best: f64,
}

/// Offers multiples of `capacity_pps`, the rate that the switch delivers at best.
///
/// # Errors
/// When the tester fails.
pub fn measure(
    tester: &mut Tester,
    traffic: &Traffic,
    timing: Timing,
    capacity_pps: u64,
) -> Result<Vec<Load>, TesterError> {
    let mut windows = Vec::new();
    for factor in FACTORS {
        let rate_pps = capacity_pps.saturating_mul(factor.into()).max(1);
        windows.push((factor, rate::measure(tester, &Traffic { rate_pps, ..*traffic }, timing)?));
    }
    Ok(compare(&windows))
}

/// Relates each window to the best one.
fn compare(windows: &[(u32, Window)]) -> Vec<Load> {
    let best = windows.iter().map(|(_, window)| window.delivered_pps()).fold(0.0, f64::max);
    let part = |pps: f64| if best > 0.0 { pps / best } else { 0.0 };
    let load = |&(factor, window): &(_, Window)| Load {
        factor,
        window,
        of_best: part(window.delivered_pps()),
    };
    windows.iter().map(load).collect()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::tester::Tally;

    #[test]
    fn loads_are_parts_of_the_best() {
        let window = |delivered| {
            let tally = |frames| Tally { frames, bytes: 60 * frames };
            Window {
                time: Duration::from_secs(1),
                offered: [tally(2000), tally(0)],
                delivered: [tally(delivered), tally(0)],
            }
        };
        let loads = compare(&[(1, window(1000)), (2, window(900)), (4, window(0))]);
        let parts: Vec<f64> = loads.iter().map(|load| load.of_best).collect();
        assert_eq!(parts, [1.0, 0.9, 0.0]);
        assert_eq!(compare(&[(1, window(0))])[0].of_best, 0.0);
    }
}
