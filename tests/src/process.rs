//! Programs that run beside a test: daemons, `iperf3 -s`, a capture.
//!
//! *Invariants*
//! 1. A [`Process`] ends with its owner: SIGTERM, a deadline, SIGKILL, always to the pid that was
//!    started here and not yet waited for (so never to somebody else's).
//! 2. Everything it prints is in its log file, whose tail every error shows.

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{LabError, Result};
use crate::netns::command_line;
use crate::wait::wait_even_when_interrupted;

/// How long a program has to end after SIGTERM before it is killed.
const TERM_DEADLINE: Duration = Duration::from_secs(5);

/// How much of a log an error message shows.
const LOG_TAIL_BYTES: usize = 2_000;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A running program, ended on drop.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: PathBuf,
}

impl Process {
    /// Starts `command` with stdin closed and stdout and stderr in a new file of `log_dir`, in a
    /// process group of its own, so that Ctrl-C on the terminal reaches the lab alone.
    ///
    /// # Errors
    /// When the log file cannot be made or the program cannot be started.
    pub fn spawn(name: &str, mut command: Command, log_dir: &Path) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let log = log_dir.join(format!("{name}.{number}.log"));
        let action = || format!("cannot open the log {}", log.display());
        let stdout = File::create(&log).map_err(LabError::io(action()))?;
        let stderr = stdout.try_clone().map_err(LabError::io(action()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr)
            .process_group(0)
            .spawn()
            .map_err(LabError::io(format!("cannot start `{}`", command_line(&command))))?;
        Ok(Self { name: name.to_owned(), child, log })
    }

    /// The name that was given to it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id; stays its own until this value is dropped.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Everything that it printed so far.
    pub fn log(&self) -> String {
        fs::read(&self.log).map_or_else(
            |error| format!("(no log {}: {error})", self.log.display()),
            |bytes| String::from_utf8_lossy(&bytes).into_owned(),
        )
    }

    /// Exit status, when it has ended.
    ///
    /// # Errors
    /// When the system cannot say.
    pub fn exit_status(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().map_err(LabError::io(format!("cannot wait for {}", self.name)))
    }

    /// Fails, with the tail of the log, when it has ended.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] when it no longer runs.
    pub fn check_running(&mut self) -> Result<()> {
        match self.exit_status()? {
            None => Ok(()),
            Some(status) => Err(LabError::Unexpected(format!(
                "{} has ended ({status}); end of its log:\n{}",
                self.name,
                self.log_tail()
            ))),
        }
    }

    /// Sends a signal.
    ///
    /// # Errors
    /// When it has already ended.
    pub fn signal(&mut self, signal: Signal) -> Result<()> {
        self.check_running()?;
        kill(Pid::from_raw(self.pid().cast_signed()), signal)
            .map_err(LabError::errno(format!("cannot send {signal} to {}", self.name)))
    }

    /// Waits for its end.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it still runs after `deadline`.
    pub fn wait_exit(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let what = format!("the end of {}", self.name);
        wait_even_when_interrupted(what, deadline, || {
            self.exit_status().transpose().ok_or("it runs")
        })?
    }

    /// SIGTERM, and waits for its end.
    ///
    /// # Errors
    /// When it had ended before, or does not end in five seconds.
    pub fn terminate(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGTERM)?;
        self.wait_exit(TERM_DEADLINE)
    }

    /// SIGKILL, and waits for its end: the crash of a daemon.
    ///
    /// # Errors
    /// When it had ended before.
    pub fn kill9(&mut self) -> Result<ExitStatus> {
        self.signal(Signal::SIGKILL)?;
        self.wait_exit(TERM_DEADLINE)
    }

    fn log_tail(&self) -> String {
        let log = self.log();
        let start = log.floor_char_boundary(log.len().saturating_sub(LOG_TAIL_BYTES));
        log[start..].to_owned()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.exit_status(), Ok(None)) || self.terminate().is_ok() {
            return;
        }
        if let Err(error) = self.kill9() {
            eprintln!("lab: cannot end {} (pid {}): {error}", self.name, self.pid());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wait::SOON;

    fn shell(script: &str) -> (Process, tempfile::TempDir) {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        (Process::spawn("shell", command, dir.path()).unwrap(), dir)
    }

    #[test]
    fn the_log_has_both_streams() {
        let (mut process, _dir) = shell("echo out; echo err >&2; exit 3");
        assert_eq!(process.wait_exit(SOON).unwrap().code(), Some(3));
        assert_eq!(process.log(), "out\nerr\n");
        let error = process.check_running().unwrap_err().to_string();
        assert!(error.contains("exit status: 3") && error.contains("err"), "{error}");
    }

    #[test]
    fn drop_ends_it_even_when_it_ignores_sigterm() {
        let (process, _dir) = shell("trap '' TERM; echo ready; while :; do sleep 0.1; done");
        crate::wait::wait_until("the trap", SOON, || process.log() == "ready\n").unwrap();
        let proc_entry = Path::new("/proc").join(process.pid().to_string());
        drop(process);
        assert!(!proc_entry.exists());
    }
}
