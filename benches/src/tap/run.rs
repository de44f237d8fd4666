//! Measures several kinds of switch in interleaved rounds: A B C, A B C, ... Each is started anew
//! in each round, so that a round is also another start.

use std::collections::BTreeMap;
use std::time::Duration;

use ::tests::error::{LabError, Result};
use ::tests::traffic::iperf3_streams;
use ::tests::wait::check_interrupt;
use serde::Serialize;

use super::rtt::{self, Rtt};
use super::{ADDRESSES, Join, Joined, Route};
use crate::samples::{Bar, Side, median};

/// Numbers of TCP connections that are measured.
pub const STREAMS: [u32; 2] = [1, 8];

/// The least share of the copy loop's throughput.
pub const TCP_BAR: f64 = 0.95;

/// What a run consists of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Rounds; the medians of three or more mean something.
    pub rounds: u32,
    /// Time of one TCP measurement, in whole seconds.
    pub tcp: Duration,
    /// Round trips of one measurement.
    pub trips: usize,
    /// The ways that TCP is measured.
    pub routes: Vec<Route>,
    /// The numbers of its connections.
    pub streams: Vec<u32>,
}

impl Default for Plan {
    fn default() -> Self {
        Self {
            rounds: 3,
            tcp: Duration::from_secs(5),
            trips: 5_000,
            routes: Route::ALL.to_vec(),
            streams: STREAMS.to_vec(),
        }
    }
}

/// TCP of one kind of switch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Tcp {
    /// The way.
    pub route: Route,
    /// Connections at once.
    pub streams: u32,
    /// Payload in Gbit/s at the receiver, one figure a round.
    pub gbits: Vec<f64>,
    /// Segments that were sent again, one figure a round.
    pub retransmits: Vec<u64>,
    /// Median of the rounds.
    pub median_gbits: f64,
}

/// What was measured of one kind of switch.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Figures {
    /// Its name.
    pub name: &'static str,
    /// Its version and ports.
    pub about: String,
    /// Why it is not measured: then there are no figures.
    pub missing: Option<String>,
    /// TCP by way and number of connections.
    pub tcp: Vec<Tcp>,
    /// Round trips from TAP to TAP, one figure a round.
    pub rtt: Vec<Rtt>,
    /// Medians of the rounds' percentiles: p50, p99 and p99.9 in microseconds.
    pub rtt_medians_us: [f64; 3],
}

impl Figures {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            about: String::new(),
            missing: None,
            tcp: Vec::new(),
            rtt: Vec::new(),
            rtt_medians_us: [0.0; 3],
        }
    }

    /// Median throughput of a way, in Gbit/s.
    #[must_use]
    pub fn gbits(&self, route: Route, streams: u32) -> Option<f64> {
        let is_it = |tcp: &&Tcp| (tcp.route, tcp.streams) == (route, streams);
        self.tcp.iter().find(is_it).map(|tcp| tcp.median_gbits)
    }

    fn add_tcp(&mut self, (route, streams): (Route, u32), gbits: f64, retransmits: u64) {
        let is_it = |tcp: &Tcp| (tcp.route, tcp.streams) == (route, streams);
        let at = self.tcp.iter().position(is_it).unwrap_or_else(|| {
            let none = Tcp {
                route,
                streams,
                gbits: Vec::new(),
                retransmits: Vec::new(),
                median_gbits: 0.0,
            };
            self.tcp.push(none);
            self.tcp.len() - 1
        });
        let tcp = &mut self.tcp[at];
        tcp.gbits.push(gbits);
        tcp.retransmits.push(retransmits);
        tcp.median_gbits = median(&tcp.gbits);
    }

    fn add_rtt(&mut self, rtt: Rtt) {
        self.rtt.push(rtt);
        let of = |field: fn(&Rtt) -> f64| median(&self.rtt.iter().map(field).collect::<Vec<_>>());
        self.rtt_medians_us = [of(|r| r.p50_us), of(|r| r.p99_us), of(|r| r.p999_us)];
    }
}

/// All figures of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// By kind of switch, ours first.
    pub switches: Vec<Figures>,
    /// Ours against the bars, as far as what they need was measured.
    pub bars: Vec<Bar>,
}

/// Measures. `tell` hears what is being done, a line at a time.
///
/// # Errors
/// When our switch or the copy loop fails, or the run is interrupted. A rival that fails is left
/// out, with the reason in the report.
pub fn run(kinds: &[Box<dyn Join>], plan: &Plan, mut tell: impl FnMut(&str)) -> Result<Report> {
    let mut figures: Vec<Figures> = kinds.iter().map(|kind| Figures::new(kind.name())).collect();
    for round in 1..=plan.rounds {
        for (kind, figures) in kinds.iter().zip(&mut figures) {
            check_interrupt()?;
            if figures.missing.is_some() {
                continue;
            }
            tell(&format!("round {round} of {}: {}", plan.rounds, kind.name()));
            let outcome = kind.start().and_then(|mut joined| {
                figures.about = joined.describe();
                measure(joined.as_mut(), plan, figures)
            });
            match outcome {
                Ok(()) => {}
                Err(LabError::Interrupted) => return Err(LabError::Interrupted),
                Err(error) if ["weft", "copy"].contains(&kind.name()) => return Err(error),
                Err(error) => {
                    *figures = Figures::new(kind.name());
                    figures.missing = Some(error.to_string());
                }
            }
        }
    }
    let bars = bars(&figures);
    Ok(Report { switches: figures, bars })
}

/// One round of one switch.
fn measure(joined: &mut dyn Joined, plan: &Plan, figures: &mut Figures) -> Result<()> {
    let logs = tempfile::tempdir().map_err(LabError::io("cannot make a folder for logs"))?;
    for route in &plan.routes {
        let (from, to) = route.ends();
        let (Some(from), Some(to_ns)) = (joined.end(from), joined.end(to)) else { continue };
        let to = (to_ns, ADDRESSES[to].into());
        for streams in &plan.streams {
            check_interrupt()?;
            let measured = iperf3_streams(from, to, *streams, plan.tcp, logs.path())?;
            figures.add_tcp((*route, *streams), measured.bits_per_sec / 1e9, measured.retransmits);
        }
    }
    if let (true, Some(a), Some(b)) = (plan.trips > 0, joined.end(0), joined.end(1)) {
        figures.add_rtt(rtt::measure(a, (b, ADDRESSES[1]), plan.trips)?);
    }
    joined.check()
}

/// Ours against the bars.
fn bars(figures: &[Figures]) -> Vec<Bar> {
    let by_name: BTreeMap<_, _> = figures.iter().map(|it| (it.name, it)).collect();
    let mut bars = Vec::new();
    let Some(weft) = by_name.get("weft") else { return bars };
    for streams in STREAMS {
        let gbits = |it: &&Figures| it.gbits(Route::TapToTap, streams).filter(|it| *it > 0.0);
        let copy = by_name.get("copy").and_then(gbits);
        let (Some(ours), Some(limit)) = (gbits(weft), copy) else { continue };
        let name = format!("TCP tap to tap, {streams} stream(s), weft / copy");
        bars.push(Bar::new(name, ours / limit, Side::AtLeast, TCP_BAR));
    }
    if let Some(ovs) = by_name.get("ovs")
        && let ([ours, ..], [theirs, ..]) = (weft.rtt_medians_us, ovs.rtt_medians_us)
        && ours > 0.0
        && theirs > 0.0
    {
        bars.push(Bar::new("RTT p50, weft / ovs", ours / theirs, Side::AtMost, 1.0));
    }
    bars
}

/// The report as a text for people.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut lines = vec![format!(
        "{:<15} {:>7} {:>10}  {:<}",
        "TCP", "streams", "Gbit/s", "each round (segments sent again)"
    )];
    for figures in &report.switches {
        lines.push(match &figures.missing {
            None => format!("{}: {}", figures.name, figures.about),
            Some(reason) => format!("{}: not measured: {reason}", figures.name),
        });
        for tcp in &figures.tcp {
            let each = tcp.gbits.iter().zip(&tcp.retransmits);
            let each: Vec<_> = each.map(|(gbits, again)| format!("{gbits:.2} ({again})")).collect();
            let (route, each) = (tcp.route.to_string(), each.join(" "));
            let (streams, median) = (tcp.streams, tcp.median_gbits);
            lines.push(format!("  {route:<13} {streams:>7} {median:>10.2}  {each}"));
        }
    }
    lines.push(String::new());
    lines.push("RTT tap to tap, us     p50       p99     p99.9".to_owned());
    for figures in report.switches.iter().filter(|figures| !figures.rtt.is_empty()) {
        let [p50, p99, p999] = figures.rtt_medians_us;
        lines.push(format!("  {:<13} {p50:>9.1} {p99:>9.1} {p999:>9.1}", figures.name));
    }
    lines.push(String::new());
    lines.extend(report.bars.iter().map(Bar::line));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(name: &'static str, gbits: [f64; 3], p50_us: f64) -> Figures {
        let mut figures = Figures::new(name);
        for gbits in gbits {
            figures.add_tcp((Route::TapToTap, 1), gbits, 0);
            let rtt = Rtt { p50_us, p99_us: 90.0, p999_us: 99.0, trips: 10, lost: 0 };
            figures.add_rtt(rtt);
        }
        figures
    }

    #[test]
    fn bars_are_ratios_of_medians() {
        let all = [
            figures("weft", [9.0, 1.0, 10.0], 30.0),
            figures("copy", [10.0, 99.0, 2.0], 20.0),
            figures("ovs", [8.0; 3], 60.0),
        ];
        let bars = bars(&all);
        let short: Vec<_> = bars.iter().map(|bar| (bar.figure, bar.met)).collect();
        assert_eq!(short, [(0.9, false), (0.5, true)]);
    }

    #[test]
    fn what_was_not_measured_has_no_bar() {
        assert!(bars(&[]).is_empty());
        assert!(bars(&[figures("weft", [1.0; 3], 1.0), Figures::new("ovs")]).is_empty());
    }

    #[test]
    fn the_text_has_every_switch_and_why_one_is_missing() {
        let mut ovs = Figures::new("ovs");
        ovs.missing = Some("run `make setup`".to_owned());
        let report = Report { switches: vec![figures("weft", [1.0; 3], 30.0), ovs], bars: vec![] };
        let text = text(&report);
        assert!(text.contains("1.00 (0) 1.00 (0)") && text.contains("run `make setup`"), "{text}");
    }
}
