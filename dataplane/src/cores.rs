//! Which cores the threads of the daemon run on when its workers are pinned.
//!
//! A worker under load has all of its core to itself: a thread that compiles a snapshot or writes a
//! report there takes milliseconds in which a receive ring overflows. So the other threads stay on
//! the cores that no worker has. Where there is none, the kernel decides, as without pinning.

use core_affinity::CoreId;
use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tracing::warn;

/// Takes a core for each of `workers` workers, the last one first, and binds the calling thread to
/// the others, and with it every thread that it starts from now on. Fewer cores than workers come
/// back when the process may not use as many.
pub(crate) fn divide(workers: usize) -> Vec<CoreId> {
    let cores = core_affinity::get_core_ids().unwrap_or_default();
    let (for_workers, for_others) = split(&cores, workers);
    if let Err(error) = bind(&for_others) {
        warn!(%error, "cannot keep other threads off the cores of the workers");
    }
    for_workers
}

fn split(cores: &[CoreId], workers: usize) -> (Vec<CoreId>, Vec<CoreId>) {
    let (for_others, for_workers) = cores.split_at(cores.len().saturating_sub(workers));
    (for_workers.iter().rev().copied().collect(), for_others.to_vec())
}

/// Binds the calling thread to these cores; to none: leaves it as it is.
fn bind(cores: &[CoreId]) -> nix::Result<()> {
    if cores.is_empty() {
        return Ok(());
    }
    let mut set = CpuSet::new();
    cores.iter().try_for_each(|core| set.set(core.id))?;
    // 0: the calling thread.
    sched_setaffinity(Pid::from_raw(0), &set)
}

#[cfg(test)]
mod tests {
    use nix::sched::sched_getaffinity;

    use super::*;

    fn cores(ids: &[usize]) -> Vec<CoreId> {
        ids.iter().map(|id| CoreId { id: *id }).collect()
    }

    #[test]
    fn workers_get_the_last_cores_and_the_others_the_rest() {
        assert_eq!(split(&cores(&[0, 1, 5, 7]), 2), (cores(&[7, 5]), cores(&[0, 1])));
        assert_eq!(split(&cores(&[0, 1]), 1), (cores(&[1]), cores(&[0])));
    }

    #[test]
    fn with_as_many_workers_as_cores_nobody_else_is_bound() {
        assert_eq!(split(&cores(&[2, 3]), 2), (cores(&[3, 2]), Vec::new()));
        assert_eq!(split(&cores(&[2]), 3), (cores(&[2]), Vec::new()));
        assert_eq!(split(&[], 1), (Vec::new(), Vec::new()));
    }

    #[test]
    fn threads_started_afterwards_keep_off_the_cores_of_workers() {
        let affinity = || sched_getaffinity(Pid::from_raw(0)).expect("the kernel knows");
        let check = move || {
            let before = core_affinity::get_core_ids().expect("cores");
            let taken = divide(1);
            let started = std::thread::spawn(affinity).join().expect("it ends");
            for core in &before {
                let is_free = before.len() == 1 || !taken.contains(core);
                assert_eq!(started.is_set(core.id), Ok(is_free), "core {}", core.id);
            }
        };
        // A thread of its own: what it is bound to goes with it.
        std::thread::spawn(check).join().expect("the check");
    }
}
