//! What stands for hardware runs before the programs under test.
//!
//! *Why:* a wire, a physical switch and a generator of traffic do not wait for a processor. On a
//! busy machine their stand-ins would, and what they then lose or delay would look like a fault of
//! what is tested.
//!
//! *Where it sits:* under the threads of [`crate::patch`], [`crate::hub`] and [`crate::stream`],
//! and the daemon of [`crate::ovs`].

use std::process::Command;

use nix::unistd::gettid;

use crate::netns::run_command;

/// Puts the calling thread ahead of all ordinary ones: the lowest real-time priority (sched(7)).
/// For threads that work for microseconds at a time.
pub(crate) fn put_thread_ahead() {
    let thread = gettid().to_string();
    // Without the right to it (CAP_SYS_NICE) the lab works, on a machine that is not busy.
    run_command(Command::new("chrt").args(["--rr", "--pid", "1", &thread])).ok();
}

/// Gives the main thread of a program, and the threads that it will start, a larger share of the
/// processors, but not all of them.
pub(crate) fn favour_process(pid: u32) {
    let pid = pid.to_string();
    // As above.
    run_command(Command::new("renice").args(["--priority", "-10", "--pid", &pid])).ok();
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::thread;

    use super::*;

    /// Field 41 of `/proc/.../stat`: the scheduling policy; 2 is SCHED_RR.
    fn policy(stat: &str) -> Option<u32> {
        let (_, rest) = stat.rsplit_once(") ")?;
        rest.split(' ').nth(38)?.parse().ok()
    }

    /// Field 19: the nice value.
    fn nice(stat: &str) -> Option<i32> {
        let (_, rest) = stat.rsplit_once(") ")?;
        rest.split(' ').nth(16)?.parse().ok()
    }

    #[test]
    fn a_program_is_favoured() {
        let mut child = Command::new("sleep").arg("600").spawn().unwrap();
        favour_process(child.id());
        let stat = fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!((nice(&stat), policy(&stat)), (Some(-10), Some(0)));
    }

    #[test]
    fn a_thread_is_put_ahead_alone() {
        let ahead = thread::spawn(|| {
            put_thread_ahead();
            fs::read_to_string("/proc/thread-self/stat").unwrap()
        });
        assert_eq!(policy(&ahead.join().unwrap()), Some(2));
        assert_eq!(policy(&fs::read_to_string("/proc/thread-self/stat").unwrap()), Some(0));
    }
}
