//! The measurement: ports are plugged in, the daemon settles, its time and memory are read.

use std::time::Duration;

use ::tests::error::Result;
use ::tests::wait::pause;
use serde::Serialize;

use super::host::Host;
use super::process::{Memory, cpu_time, memory};
use crate::samples::{Bar, Side};
use crate::switch::Setting;

/// Less of a core than this, in per cent, with [`Plan::idle_ports`] ports.
pub const IDLE_BAR_PERCENT: f64 = 1.0;

/// Less memory than this, in MB (10^6 bytes), with the most ports.
pub const MEMORY_BAR_MB: f64 = 150.0;

/// The daemon has settled when it used no more time in a window than this many times what it used
/// in the one before.
const SETTLED: f64 = 1.5;

/// Length of these windows, and the most of them.
const WINDOW: Duration = Duration::from_secs(1);
const WINDOWS_MAX: usize = 20;

/// What a run consists of.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Numbers of ports at which memory is read, ascending.
    pub ports: Vec<u32>,
    /// The one of them at which the idle daemon's time is measured.
    pub idle_ports: u32,
    /// For how long.
    pub idle: Duration,
}

impl Default for Plan {
    fn default() -> Self {
        Self { ports: vec![1, 100, 1000], idle_ports: 100, idle: Duration::from_secs(10) }
    }
}

/// The daemon at one number of ports.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Figures {
    /// TAP ports, beside the uplink.
    pub ports: u32,
    /// Memory of the dataplane daemon.
    pub memory: Memory,
    /// Time that it used while nothing happened, in per cent of one core, if it was measured here.
    pub idle_percent: Option<f64>,
}

/// All figures of a run.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// By number of ports, ascending.
    pub figures: Vec<Figures>,
    /// Growth of resident memory from the second-largest to the largest number of ports, in KiB
    /// a port.
    pub growth_kib: Option<f64>,
    /// Against the bars.
    pub bars: Vec<Bar>,
}

/// Measures. `tell` hears what is being done, a line at a time.
///
/// # Errors
/// When the daemons fail, or the run is interrupted.
pub fn run(plan: &Plan, mut tell: impl FnMut(&str)) -> Result<Report> {
    let mut host = Host::start(Setting::STANDARD.rules)?;
    let mut figures = Vec::new();
    for ports in &plan.ports {
        tell(&format!("{ports} ports"));
        host.grow_to(*ports)?;
        let pid = host.dataplane_pid()?;
        settle(pid)?;
        let idle_percent = match *ports == plan.idle_ports {
            true => Some(share_percent(pid, plan.idle)?),
            false => None,
        };
        figures.push(Figures { ports: *ports, memory: memory(pid)?, idle_percent });
    }
    host.deployment().check_running()?;
    Ok(report(figures))
}

/// Waits until the daemon has done what there was to do.
fn settle(pid: u32) -> Result<()> {
    let mut before = f64::INFINITY;
    for _ in 0..WINDOWS_MAX {
        let now = share_percent(pid, WINDOW)?;
        if before.is_finite() && before <= SETTLED * now && now <= SETTLED * before {
            break;
        }
        before = now;
    }
    Ok(())
}

/// Time that a process uses from now on, in per cent of one core.
fn share_percent(pid: u32, time: Duration) -> Result<f64> {
    let before = cpu_time(pid)?;
    let start = std::time::Instant::now();
    pause(time)?;
    let used = cpu_time(pid)?.saturating_sub(before);
    Ok(100.0 * used.as_secs_f64() / start.elapsed().as_secs_f64())
}

fn report(figures: Vec<Figures>) -> Report {
    let mut bars = Vec::new();
    for it in &figures {
        if let Some(percent) = it.idle_percent {
            let name = format!("idle dataplane with {} ports, % of a core", it.ports);
            bars.push(Bar::new(name, percent, Side::Below, IDLE_BAR_PERCENT));
        }
    }
    let growth_kib = match figures.as_slice() {
        [.., few, many] if many.ports > few.ports => {
            let grown = many.memory.rss_kib as f64 - few.memory.rss_kib as f64;
            Some(grown / f64::from(many.ports - few.ports))
        }
        _ => None,
    };
    if let Some(most) = figures.last() {
        let (name, mb) = (format!("memory with {} ports, MB", most.ports), mb(most.memory.rss_kib));
        bars.push(Bar::new(name, mb, Side::Below, MEMORY_BAR_MB));
    }
    Report { figures, growth_kib, bars }
}

fn mb(kib: u64) -> f64 {
    kib as f64 * 1024.0 / 1e6
}

/// The report as a text for people.
#[must_use]
pub fn text(report: &Report) -> String {
    let mut lines = vec![" ports    RSS MB    PSS MB   idle % of a core".to_owned()];
    for Figures { ports, memory, idle_percent } in &report.figures {
        let (rss, pss) = (mb(memory.rss_kib), mb(memory.pss_kib));
        let idle = idle_percent.map_or_else(|| "-".to_owned(), |percent| format!("{percent:.3}"));
        lines.push(format!("{ports:>6} {rss:>9.1} {pss:>9.1}   {idle}"));
    }
    if let Some(kib) = report.growth_kib {
        lines.push(format!("growth: {kib:.2} KiB a port"));
    }
    lines.push(String::new());
    lines.extend(report.bars.iter().map(Bar::line));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figures(ports: u32, rss_kib: u64, idle_percent: Option<f64>) -> Figures {
        Figures { ports, memory: Memory { rss_kib, pss_kib: rss_kib }, idle_percent }
    }

    #[test]
    fn growth_is_between_the_two_largest() {
        let all = vec![
            figures(1, 90_000, None),
            figures(100, 91_000, Some(0.4)),
            figures(1000, 100_000, None),
        ];
        let report = report(all);
        assert_eq!(report.growth_kib, Some(10.0));
        let met: Vec<_> = report.bars.iter().map(|bar| bar.met).collect();
        assert_eq!(met, [true, true]);
        assert!(text(&report).contains("growth: 10.00 KiB a port"));
    }

    #[test]
    fn the_memory_bar_is_in_decimal_megabytes() {
        let bar = |rss_kib| report(vec![figures(1000, rss_kib, None)]).bars[0].met;
        assert!(bar(146_484) && !bar(146_485));
    }
}
