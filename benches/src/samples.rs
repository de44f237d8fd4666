//! Medians, percentiles and bars: what many measurements of one thing come to.

use serde::Serialize;

/// The middle of the figures, or the mean of the two in the middle; 0 of none.
#[must_use]
pub fn median(figures: &[f64]) -> f64 {
    let mut sorted = figures.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => 0.0,
        n if n % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

/// The smallest sample that at least this many of 1,000 do not exceed (nearest rank); `None` when
/// there are no samples.
#[must_use]
pub fn per_mille<T: Copy>(sorted: &[T], of_1000: usize) -> Option<T> {
    let rank = (sorted.len() * of_1000).div_ceil(1000);
    sorted.get(rank.saturating_sub(1)).copied()
}

/// Which side of its limit a figure must be on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// The limit or more.
    AtLeast,
    /// The limit or less.
    AtMost,
    /// Less than the limit.
    Below,
}

/// A figure that is held against a limit.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Bar {
    /// What is measured, with its unit.
    pub name: String,
    /// What came out.
    pub figure: f64,
    /// On which side of the limit it must be.
    pub side: Side,
    /// The limit.
    pub limit: f64,
    /// Whether it is.
    pub met: bool,
}

impl Bar {
    /// Holds a figure against its limit.
    #[must_use]
    pub fn new(name: impl Into<String>, figure: f64, side: Side, limit: f64) -> Self {
        let met = match side {
            Side::AtLeast => figure >= limit,
            Side::AtMost => figure <= limit,
            Side::Below => figure < limit,
        };
        Self { name: name.into(), figure, side, limit, met }
    }

    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let sign = match self.side {
            Side::AtLeast => ">=",
            Side::AtMost => "<=",
            Side::Below => "<",
        };
        let verdict = if self.met { "met" } else { "MISSED" };
        format!("{:<52} {:>9.3}   bar {sign} {:<7} {verdict}", self.name, self.figure, self.limit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle_whatever_the_order() {
        assert_eq!(median(&[9.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[4.0, 1.0, 2.0, 100.0]), 3.0);
        assert_eq!(median(&[]), 0.0);
    }

    #[test]
    fn percentiles_are_samples() {
        let samples: Vec<u32> = (1..=2000).collect();
        assert_eq!(per_mille(&samples, 500), Some(1000));
        assert_eq!(per_mille(&samples, 990), Some(1980));
        assert_eq!(per_mille(&samples, 999), Some(1998));
        assert_eq!(per_mille(&[7], 999), Some(7));
        assert_eq!(per_mille::<u32>(&[], 500), None);
    }

    #[test]
    fn a_bar_knows_its_side() {
        let met = |figure, side| Bar::new("x", figure, side, 1.0).met;
        assert!(met(1.0, Side::AtLeast) && !met(0.99, Side::AtLeast));
        assert!(met(1.0, Side::AtMost) && !met(1.01, Side::AtMost));
        assert!(met(0.99, Side::Below) && !met(1.0, Side::Below));
        assert!(Bar::new("x", 2.0, Side::AtMost, 1.0).line().contains("MISSED"));
    }
}
