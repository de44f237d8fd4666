//! How much CPU others used while something was measured: programs that are not ours, and the
//! hypervisor.
//!
//! The kernel counts for each process its own time and that of its children that have ended
//! (proc(5), `stat`). Ours are this process and all that descend from it; the kernel's own threads
//! are nobody's, since they forward for some of the switches. What the hypervisor takes away is the
//! steal time of `/proc/stat`. Both count in hundredths of a second, so a figure of a window of one
//! second is right to some percent.

use std::collections::BTreeMap;
use std::fs;
use std::time::Instant;

use ::tests::error::{LabError, Result};
use serde::{Deserialize, Serialize};

/// `USER_HZ`: the unit of all times in `/proc`, the same on every machine that Weft runs on.
const TICKS_PER_SEC: f64 = 100.0;

/// The parent of all threads of the kernel.
const KTHREADD: u32 = 2;

/// What others used, in percent of one core.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Noise {
    /// Programs that are not ours.
    pub others_percent: f64,
    /// The hypervisor, of all cores together.
    pub steal_percent: f64,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    at: Instant,
    others_ticks: u64,
    steal_ticks: u64,
}

impl Clock {
    /// Reads them.
    ///
    /// # Errors
    /// When there is no `/proc`.
    pub fn now() -> Result<Self> {
        let stat =
            fs::read_to_string("/proc/stat").map_err(LabError::io("cannot read /proc/stat"))?;
        let processes = processes()?;
        Ok(Self {
            at: Instant::now(),
            others_ticks: others(&processes, std::process::id()),
            steal_ticks: steal(&stat),
        })
    }

    /// What others used since.
    ///
    /// # Errors
    /// As [`Clock::now`].
    pub fn elapsed(&self) -> Result<Noise> {
        let now = Self::now()?;
        let seconds = now.at.duration_since(self.at).as_secs_f64();
        let percent = |now: u64, then: u64| {
            let percent = now.saturating_sub(then) as f64 / TICKS_PER_SEC / seconds * 100.0;
            if seconds > 0.0 { (percent * 10.0).round() / 10.0 } else { 0.0 }
        };
        Ok(Noise {
            others_percent: percent(now.others_ticks, self.others_ticks),
            steal_percent: percent(now.steal_ticks, self.steal_ticks),
        })
    }
}

/// A process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Process {
    parent: u32,
    /// Its time, and that of the children that it has waited for.
    ticks: u64,
}

fn processes() -> Result<BTreeMap<u32, Process>> {
    let entries = fs::read_dir("/proc").map_err(LabError::io("cannot list /proc"))?;
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    // One that has just ended has no file.
    let read = |pid: u32| {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        Some((pid, parse(&stat)?))
    };
    Ok(pids.filter_map(read).collect())
}

/// Reads the line of a process.
fn parse(stat: &str) -> Option<Process> {
    // The name in parentheses may contain anything. Behind it: the state, the parent (field 4), and
    // times in the fields 14 to 17.
    let (_, rest) = stat.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks: Option<u64> =
        fields.get(11..15)?.iter().map(|field| field.parse::<u64>().ok()).sum();
    Some(Process { parent: fields.get(1)?.parse().ok()?, ticks: ticks? })
}

/// The time of all processes but the kernel's threads and those that descend from `us`.
fn others(processes: &BTreeMap<u32, Process>, us: u32) -> u64 {
    let is_other = |pid: u32| {
        let mut at = pid;
        // No chain is longer than there are processes.
        for _ in 0..processes.len() {
            if at == us || at == KTHREADD {
                return false;
            }
            let Some(process) = processes.get(&at) else { break };
            at = process.parent;
        }
        true
    };
    let others = processes.iter().filter(|(pid, _)| is_other(**pid));
    others.map(|(_, process)| process.ticks).sum()
}

/// Steal time of all cores: the eighth number of the first line.
fn steal(stat: &str) -> u64 {
    let all = stat.lines().next().unwrap_or_default();
    all.split_whitespace().nth(8).and_then(|field| field.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_read_whatever_the_name_is() {
        let stat = "7 (a) b (c) R 3 7 7 0 -1 4194560 1 2 3 4 100 20 3 4 20 0 1 0 99 0 0";
        assert_eq!(parse(stat), Some(Process { parent: 3, ticks: 127 }));
        assert_eq!(parse("7 (short) R 3"), None);
    }

    #[test]
    fn ours_and_the_kernel_s_are_not_others() {
        let process = |parent, ticks| Process { parent, ticks };
        let all = BTreeMap::from([
            (1, process(0, 1)),
            (2, process(0, 10)),
            (30, process(2, 100)),
            (40, process(1, 1000)),
            (50, process(40, 10_000)),
            (60, process(50, 100_000)),
            (70, process(40, 1_000_000)),
        ]);
        assert_eq!(others(&all, 50), 1_001_001);
    }

    #[test]
    fn steal_is_the_eighth_number() {
        assert_eq!(steal("cpu  1 2 3 4 5 6 7 88 9 10\ncpu0 1 1 1 1 1 1 1 1 1 1\n"), 88);
        assert_eq!(steal(""), 0);
    }

    #[test]
    fn our_own_work_is_no_noise() {
        let processes = processes().unwrap();
        let us = std::process::id();
        assert!(processes.contains_key(&us));
        let with_us: u64 = others(&processes, u32::MAX);
        assert!(with_us >= others(&processes, us));
        let clock = Clock::now().unwrap();
        assert!(clock.elapsed().unwrap().steal_percent >= 0.0);
    }
}
