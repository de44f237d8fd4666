//! Which processors a switch runs on, and evidence that it does.

use std::fs;

use ::tests::error::{LabError, Result};
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;

use crate::plan::{SWITCH_CPU, TESTER_CPU};

/// The processors of a measurement: whatever else the machine has, a switch gets these.
pub(crate) const BOTH: [usize; 2] = [TESTER_CPU, SWITCH_CPU];

/// Runs a closure on a thread of its own that may use these processors alone, and gives its result.
/// So may every program and every thread that it starts, whatever the caller is bound to.
///
/// # Errors
/// When the machine has no such processor.
///
/// # Panics
/// When the closure panics, with its payload.
pub(crate) fn run_on<T: Send>(cpus: &[usize], closure: impl FnOnce() -> T + Send) -> Result<T> {
    let bound = move || {
        let mut set = CpuSet::new();
        cpus.iter().try_for_each(|cpu| set.set(*cpu))?;
        // 0: the calling thread.
        sched_setaffinity(Pid::from_raw(0), &set)?;
        Ok(closure())
    };
    match std::thread::scope(|scope| scope.spawn(bound).join()) {
        Ok(result) => result.map_err(LabError::errno(format!("cannot run on CPUs {cpus:?}"))),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// Fails unless the process has a thread whose name begins with `prefix`, and each of these is bound
/// to [`SWITCH_CPU`] alone.
///
/// # Errors
/// [`LabError::Unexpected`] with the threads and where they may run.
pub(crate) fn check_pinned(pid: u32, prefix: &str) -> Result<()> {
    let threads = threads(pid)?;
    let mut forwarding = threads.iter().filter(|(name, _)| name.starts_with(prefix)).peekable();
    let wanted = SWITCH_CPU.to_string();
    if forwarding.peek().is_some() && forwarding.all(|(_, cpus)| *cpus == wanted) {
        return Ok(());
    }
    Err(LabError::Unexpected(format!(
        "no thread {prefix}* of process {pid}, or not bound to CPU {wanted}; its threads: {threads:?}"
    )))
}

/// Name and list of processors of each thread (proc(5), `status`).
fn threads(pid: u32) -> Result<Vec<(String, String)>> {
    let dir = format!("/proc/{pid}/task");
    let entries = fs::read_dir(&dir).map_err(LabError::io(format!("cannot read {dir}")))?;
    let mut threads = Vec::new();
    for entry in entries.flatten() {
        // A thread that has just ended has no status.
        let Ok(status) = fs::read_to_string(entry.path().join("status")) else { continue };
        let field = |name: &str| {
            status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or_default().trim()
        };
        threads.push((field("Name:").to_owned(), field("Cpus_allowed_list:").to_owned()));
    }
    Ok(threads)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_closure_and_what_it_starts_are_bound() {
        let this = std::process::id();
        let inner = run_on(&[SWITCH_CPU], || {
            std::thread::Builder::new()
                .name("bound-inner".to_owned())
                .spawn(move || check_pinned(this, "bound-inner"))
                .unwrap()
                .join()
                .unwrap()
        });
        inner.unwrap().unwrap();
        let error = check_pinned(this, "no-such-thread").unwrap_err().to_string();
        assert!(error.contains("no-such-thread"), "{error}");
    }
}
