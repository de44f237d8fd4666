//! Rates as the generator's schedule has them. The token bucket itself is in `generator.bpf.c`.

use std::num::NonZeroU64;

/// Fractions of a nanosecond in an interval, in bits: at 15 million frames a second an interval is
/// right to one part in four million.
const FRACTION_BITS: u32 = 16;

const NS_PER_SEC: u64 = 1_000_000_000;

/// When frames are sent: `interval` of `struct schedule`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Not at all.
    Halted,
    /// As fast as the machine can.
    FlatOut,
    /// So many a second.
    Rate(NonZeroU64),
}

impl Pace {
    /// Of frames a second, 0 standing for flat out.
    pub(crate) fn of_pps(rate_pps: u64) -> Self {
        NonZeroU64::new(rate_pps).map_or(Self::FlatOut, Self::Rate)
    }

    /// As the program has it.
    pub(crate) fn interval(self) -> u64 {
        match self {
            Self::Halted => u64::MAX,
            Self::FlatOut => 0,
            // Never 0, which would be flat out.
            Self::Rate(pps) => ((NS_PER_SEC << FRACTION_BITS) / pps).max(1),
        }
    }
}

/// Nanoseconds between probes; 0 for none.
pub(crate) fn probe_interval_ns(probes_pps: u32) -> u64 {
    NS_PER_SEC.checked_div(probes_pps.into()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn zero_is_flat_out_and_nothing_else_is() {
        assert_eq!(Pace::of_pps(0).interval(), 0);
        assert_eq!(Pace::of_pps(1).interval(), 1_000_000_000 << 16);
        assert_eq!(Pace::of_pps(u64::MAX).interval(), 1);
        assert_eq!(Pace::Halted.interval(), u64::MAX);
        assert_eq!((probe_interval_ns(0), probe_interval_ns(1000)), (0, 1_000_000));
    }

    proptest! {
        #[test]
        fn an_interval_gives_its_rate_back(pps in 1u64..20_000_000) {
            let interval = Pace::of_pps(pps).interval();
            let back = (1_000_000_000u64 << 16) as f64 / interval as f64;
            prop_assert!((back / pps as f64 - 1.0).abs() < 1e-6, "{back}");
        }
    }
}
