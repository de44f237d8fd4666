//! What must be reached at the standard setting, and whether it is.

use super::analysis::{self, Spread};
use crate::suite::case::Case;
use crate::suite::plan::{BRIDGE, BRIDGE_SET, OVS, OVS_DPDK, RAW, WEFT};
use crate::suite::results::Results;

/// The least part of the raw forward: the policy must disappear beside the I/O.
pub const OF_RAW: f64 = 0.95;
/// The least part of the best that is delivered when four times the capacity is offered.
pub const AT_OVERLOAD: f64 = 0.90;
/// Those that must be left behind, with the same rules.
pub const RIVALS: [&str; 4] = [OVS, OVS_DPDK, BRIDGE, BRIDGE_SET];

/// A figure that is held against a limit.
#[derive(Debug, Clone, PartialEq)]
pub struct Check {
    /// What it is.
    pub name: String,
    /// What came out; `None`: not measured.
    pub figure: Option<Spread>,
    /// It must be this or more; of a rival, more.
    pub limit: f64,
    /// Whether it must be more.
    pub ahead: bool,
}

impl Check {
    /// Whether it is reached by the median; `None`: not measured.
    #[must_use]
    pub fn is_met(&self) -> Option<bool> {
        let Spread { median, .. } = self.figure?;
        Some(if self.ahead { median > self.limit } else { median >= self.limit })
    }

    /// The limit, as it is written.
    #[must_use]
    pub fn bar(&self) -> String {
        format!("{} {:.2}", if self.ahead { ">" } else { "≥" }, self.limit)
    }

    /// The verdict in words.
    #[must_use]
    pub fn verdict(&self) -> &'static str {
        match self.is_met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "not measured",
        }
    }

    /// One line for people.
    #[must_use]
    pub fn line(&self) -> String {
        let figure = self.figure.map_or_else(|| "–".to_owned(), |it| format!("{:.3}", it.median));
        format!("{:<52} {figure:>7}   bar {}  {}", self.name, self.bar(), self.verdict())
    }
}

/// All of them.
#[must_use]
pub fn all(results: &Results) -> Vec<Check> {
    let mut all = vec![Check {
        name: format!("{WEFT} / {RAW}"),
        figure: analysis::ratio(results, WEFT, RAW, Case::STANDARD),
        limit: OF_RAW,
        ahead: false,
    }];
    all.extend(RIVALS.map(|rival| Check {
        name: format!("{WEFT} / {rival}"),
        figure: analysis::ratio(results, WEFT, rival, Case::STANDARD),
        limit: 1.0,
        ahead: true,
    }));
    all.push(Check {
        name: format!("{WEFT}, delivered at 4x the capacity / best"),
        figure: analysis::spread(results, WEFT, Case::STANDARD, &analysis::of_best(4)),
        limit: AT_OVERLOAD,
        ahead: false,
    });
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;

    #[test]
    fn verdicts_follow_the_medians() {
        let results = sample::results();
        let all = all(&results);
        let verdict =
            |name: &str| all.iter().find(|check| check.name.ends_with(name)).unwrap().verdict();
        assert_eq!(verdict("raw-afxdp"), "MISSED");
        assert_eq!(verdict("ovs-afxdp"), "met");
        assert_eq!(verdict("ovs-dpdk"), "not measured");
        assert_eq!(verdict("best"), "met");
    }

    #[test]
    fn as_fast_as_a_rival_is_not_ahead() {
        let figure = Spread::of(&[1.0]);
        let check = |ahead| Check { name: String::new(), figure, limit: 1.0, ahead };
        assert_eq!((check(true).is_met(), check(false).is_met()), (Some(false), Some(true)));
        assert!(check(true).line().contains("> 1.00"));
    }
}
