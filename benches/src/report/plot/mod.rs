//! The plots of a report.

mod latency;
mod rates;
mod rules;

use super::svg::Role;
use crate::suite::plan::{BRIDGE, BRIDGE_SET, OVS, OVS_DPDK, WEFT};
use crate::suite::results::Results;

/// Width of all plots, in pixels.
const WIDTH: f64 = 800.0;

/// A plot.
#[derive(Debug)]
pub struct Plot {
    /// Name of its file.
    pub file: &'static str,
    /// What it shows, for the page.
    pub title: &'static str,
    /// The file.
    pub text: String,
}

/// Those for which there are figures.
#[must_use]
pub fn all(results: &Results) -> Vec<Plot> {
    let plots = [
        ("rates.svg", "Frames delivered a second, by switch", rates::draw(results)),
        ("rules.svg", "Frames delivered a second, by number of rules", rules::draw(results)),
        ("latency.svg", "Round-trip times under load", latency::draw(results)),
    ];
    plots
        .into_iter()
        .filter_map(|(file, title, text)| Some(Plot { file, title, text: text? }))
        .collect()
}

/// The colour of a switch.
fn role(switch: &str) -> Role {
    match switch {
        WEFT => Role::Ours,
        OVS | OVS_DPDK => Role::First,
        BRIDGE | BRIDGE_SET => Role::Second,
        _ => Role::Limit,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::sample;
    use crate::report::svg::tests::check_well_formed;

    #[test]
    fn all_are_drawn_and_well_formed() {
        let plots = all(&sample::results());
        let files: Vec<_> = plots.iter().map(|plot| plot.file).collect();
        assert_eq!(files, ["rates.svg", "rules.svg", "latency.svg"]);
        for plot in &plots {
            check_well_formed(&plot.text);
            assert!(!plot.text.contains("NaN") && !plot.text.contains("inf"), "{}", plot.text);
            assert!(plot.text.contains(">weft"), "{}", plot.file);
        }
    }

    #[test]
    fn without_figures_there_is_no_plot() {
        assert!(all(&sample::empty()).is_empty());
    }
}
