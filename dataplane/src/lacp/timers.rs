//! Times of the standard, and the rate limits that bound what a port sends.
//!
//! A timer is the time at which it expires; `None` is one that does not run.

/// A second.
pub(super) const SECOND_NS: u64 = 1_000_000_000;
/// `Fast_Periodic_Time` (IEEE 802.1AX-2020 clause 6.4, constants).
pub(super) const FAST_PERIODIC_NS: u64 = SECOND_NS;
/// `Slow_Periodic_Time`.
pub(super) const SLOW_PERIODIC_NS: u64 = 30 * SECOND_NS;
/// `Short_Timeout_Time`.
pub(super) const SHORT_TIMEOUT_NS: u64 = 3 * SECOND_NS;
/// `Long_Timeout_Time`.
pub(super) const LONG_TIMEOUT_NS: u64 = 90 * SECOND_NS;
/// `Churn_Detection_Time`.
pub(super) const CHURN_DETECTION_NS: u64 = 60 * SECOND_NS;
/// `Aggregate_Wait_Time`.
pub(super) const AGGREGATE_WAIT_NS: u64 = 2 * SECOND_NS;
/// LACPDUs that a port may send in a `Fast_Periodic_Time` (transmit machine).
pub(super) const LACPDUS_A_SECOND: usize = 3;
/// Frames of one slow protocol that a port may send in a second (IEEE 802.3-2018 annex 57A.2).
pub(super) const MARKERS_A_SECOND: usize = 10;

/// Whether the timer has expired.
pub(super) const fn is_due(timer: Option<u64>, now_ns: u64) -> bool {
    matches!(timer, Some(at_ns) if at_ns <= now_ns)
}

/// When a timer that starts now expires.
pub(super) const fn after(now_ns: u64, time_ns: u64) -> Option<u64> {
    Some(now_ns.saturating_add(time_ns))
}

/// Lets `N` events pass in any second.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limiter<const N: usize> {
    /// When the last ones passed, oldest first.
    passed_ns: [Option<u64>; N],
}

impl<const N: usize> Limiter<N> {
    pub(super) const fn new() -> Self {
        Self { passed_ns: [None; N] }
    }

    /// When the next event may pass; `None`: at once.
    pub(super) fn opens_at_ns(&self, now_ns: u64) -> Option<u64> {
        let oldest_ns = self.passed_ns.first().copied().flatten()?;
        let opens_at_ns = oldest_ns.saturating_add(SECOND_NS);
        (opens_at_ns > now_ns).then_some(opens_at_ns)
    }

    /// Counts an event, if it may pass now.
    pub(super) fn pass(&mut self, now_ns: u64) -> bool {
        let passes = self.opens_at_ns(now_ns).is_none();
        if passes {
            self.passed_ns.rotate_left(1);
            if let Some(last) = self.passed_ns.last_mut() {
                *last = Some(now_ns);
            }
        }
        passes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limiter_bounds_every_window_of_a_second() {
        let mut limiter = Limiter::<3>::new();
        assert!(limiter.pass(100) && limiter.pass(200) && limiter.pass(300));
        assert_eq!(limiter.opens_at_ns(300), Some(SECOND_NS + 100));
        assert!(!limiter.pass(SECOND_NS + 99));
        assert!(limiter.pass(SECOND_NS + 100));
        assert!(!limiter.pass(SECOND_NS + 199));
        assert!(limiter.pass(SECOND_NS + 200));
    }
}
