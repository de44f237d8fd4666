//! CPU time and memory of a process, as proc(5) has them.

use std::fs;
use std::path::Path;
use std::time::Duration;

use ::tests::error::{LabError, Result};
use serde::Serialize;

/// Resident memory of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Memory {
    /// All its pages in memory (`VmRSS`), in KiB.
    pub rss_kib: u64,
    /// The same, where a page that several processes have counts in part for each (`Pss`), in KiB.
    pub pss_kib: u64,
}

/// Time of one thread so far, to the nanosecond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ThreadTime {
    /// Its name.
    pub name: String,
    /// On a CPU.
    pub ran: Duration,
    /// Ready to run, while others had the CPU.
    pub waited: Duration,
}

/// CPU time that all threads of a process have used so far.
///
/// # Errors
/// When there is no such process.
pub fn cpu_time(pid: u32) -> Result<Duration> {
    Ok(thread_times(pid)?.iter().map(|thread| thread.ran).sum())
}

/// Time of each thread of a process so far.
///
/// # Errors
/// When there is no such process.
pub fn thread_times(pid: u32) -> Result<Vec<ThreadTime>> {
    let threads = format!("/proc/{pid}/task");
    let entries = fs::read_dir(&threads).map_err(LabError::io(threads.clone()))?;
    let mut times = Vec::new();
    for entry in entries.flatten() {
        let read = |file| fs::read_to_string(entry.path().join(file));
        // A thread that ends meanwhile takes its time along; the daemon's live as long as it does.
        let (Ok(name), Ok(text)) = (read("comm"), read("schedstat")) else { continue };
        let (ran, waited) = schedstat(&text)
            .ok_or_else(|| LabError::Unexpected(format!("schedstat of {name}: {text}")))?;
        times.push(ThreadTime { name: name.trim().to_owned(), ran, waited });
    }
    Ok(times)
}

/// Resident memory of a process now.
///
/// # Errors
/// When there is no such process.
pub fn memory(pid: u32) -> Result<Memory> {
    let field = |file: &str, name: &str| -> Result<u64> {
        let path = Path::new("/proc").join(pid.to_string()).join(file);
        let path = path.display();
        let text = fs::read_to_string(path.to_string()).map_err(LabError::io(path.to_string()))?;
        kib(&text, name).ok_or_else(|| LabError::Unexpected(format!("{path} has no {name}")))
    };
    Ok(Memory { rss_kib: field("status", "VmRSS")?, pss_kib: field("smaps_rollup", "Pss")? })
}

/// The first two fields of `schedstat`: nanoseconds on a CPU and waiting for one.
fn schedstat(text: &str) -> Option<(Duration, Duration)> {
    let mut fields = text.split_whitespace().map(|field| field.parse().map(Duration::from_nanos));
    Some((fields.next()?.ok()?, fields.next()?.ok()?))
}

/// `NAME:   1234 kB` of one of the files that have such lines.
fn kib(text: &str, name: &str) -> Option<u64> {
    let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    value.trim().strip_suffix(" kB")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "VmHWM:\t  9 kB\nVmRSS:\t  1234 kB\nPss_Dirty:  7 kB\nPss:   8 kB\nThreads: 3\n";
        assert_eq!(kib(text, "VmRSS"), Some(1234));
        assert_eq!(kib(text, "Pss"), Some(8));
        assert_eq!(kib(text, "Threads"), None);
    }

    #[test]
    fn time_on_a_cpu_comes_before_time_without_one() {
        let (ran, waited) = (Duration::from_nanos(1500), Duration::from_nanos(20));
        assert_eq!(schedstat("1500 20 3\n"), Some((ran, waited)));
        assert_eq!(schedstat("1500"), None);
    }

    #[test]
    fn this_process_uses_memory_and_time() {
        let own = std::process::id();
        let before = cpu_time(own).unwrap();
        let used = memory(own).unwrap();
        assert!(used.rss_kib > 100 && used.pss_kib > 0, "{used:?}");
        let start = std::time::Instant::now();
        while start.elapsed() < Duration::from_millis(20) {}
        assert!(cpu_time(own).unwrap() > before);
    }
}
