//! Network namespaces that remove themselves.
//!
//! *Where it sits:* the floor of the lab; every node is one [`Namespace`].
//!
//! *Invariants*
//! 1. A name is `wlab-PID-N-LABEL`: unique on the machine, and it says which process owns it.
//! 2. Dropping a namespace ends the processes left in it and deletes it, also while a panic
//!    unwinds. What a killed process left behind is removed by [`sweep_stale`].
//! 3. The thread that calls into a namespace never changes its own: [`Namespace::run`] uses a
//!    thread of its own, commands go through `ip netns exec`.
//!
//! *Not here:* interfaces ([`crate::link`]), long-running programs ([`crate::process`]).

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sched::{CloneFlags, setns};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::error::{LabError, Result};

/// Every namespace of every lab starts with this.
pub const PREFIX: &str = "wlab";

/// Where iproute2 keeps named namespaces.
const NETNS_DIR: &str = "/run/netns";

static NEXT: AtomicU32 = AtomicU32::new(0);

/// A named network namespace, removed on drop.
#[derive(Debug)]
pub struct Namespace {
    name: String,
    /// Whether dropping this handle removes it: of the one that made it alone.
    owner: bool,
}

impl Namespace {
    /// Makes a namespace with loopback up and IPv6 off on every interface to come, so that the
    /// kernel says nothing of its own on a wire (see [`Namespace::enable_ipv6`]).
    ///
    /// # Errors
    /// When `ip netns add` fails: not root, or no iproute2.
    pub fn create(label: &str) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("{PREFIX}-{}-{number}-{label}", std::process::id());
        run_command(Command::new("ip").args(["netns", "add", &name]))?;
        let namespace = Self { name, owner: true };
        namespace.sysctl("net/ipv6/conf/all/disable_ipv6", "1")?;
        namespace.sysctl("net/ipv6/conf/default/disable_ipv6", "1")?;
        namespace.ip("link set dev lo up")?;
        Ok(namespace)
    }

    /// The name, as `ip netns` knows it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// A second handle, for what works in the namespace and does not own it: dropping that one
    /// removes nothing, and once the owner is gone its functions fail.
    #[must_use]
    pub fn share(&self) -> Self {
        Self { name: self.name.clone(), owner: false }
    }

    /// Whether this handle's drop removes the namespace.
    pub(crate) fn is_owner(&self) -> bool {
        self.owner
    }

    /// The file that stands for the namespace.
    pub fn path(&self) -> PathBuf {
        Path::new(NETNS_DIR).join(&self.name)
    }

    /// A command that will run inside; `ip netns exec` replaces itself by the program, so the pid
    /// of the child is the program's.
    pub fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// Runs a program inside to its end and gives its stdout.
    ///
    /// # Errors
    /// [`LabError::Command`] when it does not start or does not exit with 0.
    pub fn output(&self, program: &str, args: &[&str]) -> Result<String> {
        run_command(self.command(program).args(args))
    }

    /// Runs a program inside to its end, whatever its exit code.
    ///
    /// # Errors
    /// Only when it cannot be started.
    pub fn try_output(&self, program: &str, args: &[&str]) -> Result<Output> {
        self.command(program)
            .args(args)
            .output()
            .map_err(LabError::io(format!("cannot start {program} in {}", self.name)))
    }

    /// `ip -n NAME ARGS`, the arguments separated by blanks.
    ///
    /// # Errors
    /// [`LabError::Command`] with the words of `ip`.
    pub fn ip(&self, args: &str) -> Result<String> {
        run_command(Command::new("ip").args(["-n", &self.name]).args(args.split_whitespace()))
    }

    /// Runs a closure inside, on a thread of its own, and gives its result. A socket that it opens
    /// stays in the namespace and can be used from any thread.
    ///
    /// # Errors
    /// When the namespace is gone or may not be entered.
    ///
    /// # Panics
    /// When the closure panics, with its payload.
    pub fn run<T: Send>(&self, inside: impl FnOnce() -> T + Send) -> Result<T> {
        let file = File::open(self.path())
            .map_err(LabError::io(format!("cannot open namespace {}", self.name)))?;
        let enter = move || {
            setns(&file, CloneFlags::CLONE_NEWNET)?;
            Ok(inside())
        };
        match thread::scope(|scope| scope.spawn(enter).join()) {
            Ok(result) => {
                result.map_err(LabError::errno(format!("cannot enter namespace {}", self.name)))
            }
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }

    /// Writes a network sysctl, given as its path under `/proc/sys` (`net/ipv4/ip_forward`).
    ///
    /// # Errors
    /// When the kernel has no such setting or refuses the value.
    pub fn sysctl(&self, key: &str, value: &str) -> Result<()> {
        let path = Path::new("/proc/sys").join(key);
        self.run(|| fs::write(&path, value))?.map_err(LabError::io(format!("sysctl {key}={value}")))
    }

    /// Turns IPv6 on, here and on every interface, with its router solicitations and MLD reports.
    ///
    /// # Errors
    /// As [`Namespace::sysctl`].
    pub fn enable_ipv6(&self) -> Result<()> {
        self.sysctl("net/ipv6/conf/all/disable_ipv6", "0")?;
        self.sysctl("net/ipv6/conf/default/disable_ipv6", "0")
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        if !self.owner {
            return;
        }
        if let Err(error) = remove(&self.name) {
            eprintln!("lab: cannot remove namespace {}: {error}", self.name);
        }
    }
}

/// Removes the namespaces whose owner is dead; gives their names.
///
/// # Errors
/// When one is there and cannot be removed.
pub fn sweep_stale() -> Result<Vec<String>> {
    let entries = match fs::read_dir(NETNS_DIR) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(LabError::io(format!("cannot list {NETNS_DIR}"))(error)),
    };
    let mut removed = Vec::new();
    for entry in entries.flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some(owner) = owner_pid(&name) else { continue };
        if is_alive(owner) {
            continue;
        }
        match remove(&name) {
            Ok(()) => removed.push(name),
            // Another process swept it at the same time.
            Err(_) if !entry.path().exists() => {}
            Err(error) => return Err(error),
        }
    }
    Ok(removed)
}

/// Runs a command to its end and gives its stdout.
///
/// # Errors
/// [`LabError::Command`] when it does not start or does not exit with 0.
pub fn run_command(command: &mut Command) -> Result<String> {
    let line = command_line(command);
    let output = command.output().map_err(LabError::io(format!("cannot start `{line}`")))?;
    let stdout = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(stdout);
    }
    let stderr = String::from_utf8_lossy(&output.stderr).trim().to_owned();
    Err(LabError::Command {
        command: line,
        status: output.status.to_string(),
        stderr: if stderr.is_empty() { stdout.trim().to_owned() } else { stderr },
    })
}

/// Whether a process runs: one that has ended and was not waited for does not.
pub(crate) fn is_alive(pid: u32) -> bool {
    // proc(5): the state stands behind the name in parentheses, which may contain anything.
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with(['Z', 'X']))
}

/// The command line as one would type it, for messages.
pub fn command_line(command: &Command) -> String {
    let mut line = command.get_program().to_string_lossy().into_owned();
    for arg in command.get_args() {
        line.push(' ');
        line.push_str(&arg.to_string_lossy());
    }
    line
}

/// The owner's pid out of `wlab-PID-N-LABEL`.
fn owner_pid(name: &str) -> Option<u32> {
    name.strip_prefix(PREFIX)?.strip_prefix('-')?.split('-').next()?.parse().ok()
}

/// Ends what still runs inside and deletes the namespace.
fn remove(name: &str) -> Result<()> {
    let pids = run_command(Command::new("ip").args(["netns", "pids", name]))?;
    for pid in pids.split_whitespace().filter_map(|word| word.parse().ok()) {
        // A process that ended meanwhile is what we want.
        if pid != std::process::id().cast_signed() {
            kill(Pid::from_raw(pid), Signal::SIGKILL).ok();
        }
    }
    run_command(Command::new("ip").args(["netns", "del", name])).map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_names_of_labs_have_an_owner() {
        assert_eq!(owner_pid("wlab-123-0-pc1"), Some(123));
        assert_eq!(owner_pid("wlab-123-0-my-pc"), Some(123));
        assert_eq!(owner_pid("wlabx-123-0-pc1"), None);
        assert_eq!(owner_pid("wlab-x-0-pc1"), None);
        assert_eq!(owner_pid("customer"), None);
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = Command::new("true").spawn().unwrap();
        assert!(is_alive(std::process::id()));
        let ended = || !is_alive(child.id());
        crate::wait::wait_until("the child's end", crate::wait::SOON, ended).unwrap();
        assert!(Path::new("/proc").join(child.id().to_string()).exists());
        child.wait().unwrap();
    }

    #[test]
    fn a_closure_runs_inside_and_its_thread_alone() {
        let ours = fs::read_link("/proc/thread-self/ns/net").unwrap();
        let namespace = Namespace::create("run").unwrap();
        let inside = namespace.run(|| fs::read_link("/proc/thread-self/ns/net").unwrap()).unwrap();
        assert_ne!(inside, ours);
        assert_eq!(fs::read_link("/proc/thread-self/ns/net").unwrap(), ours);
    }

    #[test]
    fn a_second_handle_works_and_removes_nothing() {
        let namespace = Namespace::create("share").unwrap();
        let second = namespace.share();
        second.ip("link add name eth0 type veth peer name eth1").unwrap();
        drop(second);
        assert!(namespace.ip("link show dev eth0").is_ok());
        let second = namespace.share();
        drop(namespace);
        assert!(second.ip("link show dev lo").is_err());
    }

    #[test]
    fn drop_removes_the_namespace_and_what_runs_in_it() {
        let namespace = Namespace::create("drop").unwrap();
        let path = namespace.path();
        let mut child = namespace.command("sleep").arg("600").spawn().unwrap();
        crate::wait::wait_until("sleep to be inside", crate::wait::SOON, || {
            run_command(Command::new("ip").args(["netns", "pids", namespace.name()]))
                .is_ok_and(|pids| pids.trim() == child.id().to_string())
        })
        .unwrap();
        drop(namespace);
        assert!(!path.exists());
        assert!(!child.wait().unwrap().success());
    }

    #[test]
    fn a_panic_removes_the_namespace_too() {
        let (sender, receiver) = std::sync::mpsc::channel();
        let result = thread::spawn(move || {
            let namespace = Namespace::create("panic").unwrap();
            sender.send(namespace.path()).unwrap();
            panic!("on purpose");
        })
        .join();
        assert!(result.is_err());
        assert!(!receiver.recv().unwrap().exists());
    }

    #[test]
    fn the_sweep_removes_those_of_dead_owners_only() {
        let mut dead = Command::new("true").spawn().unwrap();
        let dead_pid = dead.id();
        dead.wait().unwrap();
        let stale = format!("{PREFIX}-{dead_pid}-0-stale");
        run_command(Command::new("ip").args(["netns", "add", &stale])).unwrap();
        let alive = Namespace::create("alive").unwrap();
        // Another test's sweep may have been quicker, so look at the result, not at the list.
        sweep_stale().unwrap();
        assert!(!Path::new(NETNS_DIR).join(stale).exists());
        assert!(alive.path().exists());
    }
}
