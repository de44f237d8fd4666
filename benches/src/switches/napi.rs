//! The kernel's own reception on the ends of the wires: NAPI, and on which processor it runs.
//!
//! A veth that is sent to by XDP takes frames only while it polls, which an XDP program or generic
//! receive offload turns on. The poll runs where the sender does, inline, unless it is given a
//! thread of its own; that one can be bound to the processor of the switch, so that a switch that
//! is made of the kernel has the same processor as one that is a program.

use std::fmt;
use std::fs;

use nix::sched::{CpuSet, sched_setaffinity};
use nix::unistd::Pid;
use tests::error::{LabError, Result};
use tests::netns::Namespace;

use crate::plan::SWITCH_CPU;

/// Generic receive offload on two interfaces; off again on drop, as cables are made.
#[derive(Debug)]
pub(super) struct Gro {
    namespace: Namespace,
    interfaces: [&'static str; 2],
}

impl Gro {
    /// Turns it on.
    ///
    /// # Errors
    /// With the words of `ethtool`.
    pub(super) fn on(namespace: &Namespace, interfaces: [&'static str; 2]) -> Result<Self> {
        let gro = Self { namespace: namespace.share(), interfaces };
        gro.set("on")?;
        Ok(gro)
    }

    fn set(&self, state: &str) -> Result<()> {
        self.interfaces.iter().try_for_each(|interface| {
            self.namespace.output("ethtool", &["-K", interface, "gro", state]).map(drop)
        })
    }
}

impl Drop for Gro {
    fn drop(&mut self) {
        if let Err(error) = self.set("off") {
            eprintln!("packet-rate: {error}");
        }
    }
}

/// Polling by threads bound to [`SWITCH_CPU`] on two interfaces; inline again on drop.
#[derive(Debug)]
pub(super) struct ThreadedNapi {
    namespace: Namespace,
    interfaces: [&'static str; 2],
}

impl ThreadedNapi {
    /// Gives the interfaces, which must poll already, threads and binds them.
    ///
    /// # Errors
    /// When the kernel has no such threads.
    pub(super) fn on(namespace: &Namespace, interfaces: [&'static str; 2]) -> Result<Self> {
        let napi = Self { namespace: namespace.share(), interfaces };
        napi.set("1")?;
        interfaces.iter().try_for_each(|interface| bind(interface))?;
        Ok(napi)
    }

    fn set(&self, state: &str) -> Result<()> {
        self.interfaces.iter().try_for_each(|interface| {
            let command = format!("echo {state} > /sys/class/net/{interface}/threaded");
            self.namespace.output("sh", &["-c", &command]).map(drop)
        })
    }
}

impl Drop for ThreadedNapi {
    fn drop(&mut self) {
        if let Err(error) = self.set("0") {
            eprintln!("packet-rate: {error}");
        }
    }
}

impl fmt::Display for ThreadedNapi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "threaded NAPI on CPU {SWITCH_CPU}")
    }
}

/// Binds the threads `napi/INTERFACE-ID`. Those of another measurement with the same names want the
/// same processor.
fn bind(interface: &str) -> Result<()> {
    let prefix = format!("napi/{interface}-");
    let mut set = CpuSet::new();
    set.set(SWITCH_CPU).map_err(LabError::errno(format!("no CPU {SWITCH_CPU}")))?;
    let mut bound = 0;
    for entry in fs::read_dir("/proc").map_err(LabError::io("cannot read /proc"))?.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        // A process that has just ended has no name.
        let Ok(name) = fs::read_to_string(entry.path().join("comm")) else { continue };
        if name.starts_with(&prefix) {
            sched_setaffinity(Pid::from_raw(pid), &set)
                .map_err(LabError::errno(format!("cannot bind {}", name.trim())))?;
            bound += 1;
        }
    }
    if bound == 0 {
        return Err(LabError::Unexpected(format!("{interface} has no thread that polls")));
    }
    Ok(())
}
