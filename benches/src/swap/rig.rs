//! The daemons between the wires with their many ports, and a change that concerns every port.

use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use tests::daemons::Deployment;
use tests::error::Result;
use tests::netns::run_command;

use crate::footprint::process::thread_times;
use crate::plan::TESTER_CPU;
use crate::switch::Setting;
use crate::switches::{cpus, probe, weft};
use crate::wires::Wires;

/// Between two looks whether the host runs the new revision.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// The rule that comes and goes, in front of all others.
const RULE: u32 = 5;

/// The daemons, with traffic able to pass.
#[derive(Debug)]
pub struct Rig {
    deployment: Deployment,
    dataplane: u32,
    has_rule: bool,
}

/// From the command until the dataplane has said that it forwards by the new snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Swap {
    /// When the command was given.
    pub start: Instant,
    /// When the supervisor showed the host in step again.
    pub end: Instant,
    /// What it took of the dataplane.
    pub cost: Cost,
}

/// Time of the dataplane's threads.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// CPU time of all threads that do not forward.
    pub control: Duration,
    /// CPU time of the worker.
    pub worker_ran: Duration,
    /// How long the worker was ready to run while somebody else had its CPU.
    pub worker_waited: Duration,
}

impl Cost {
    /// Of a dataplane daemon, since it was started.
    ///
    /// # Errors
    /// When there is no such process.
    pub fn so_far(pid: u32) -> Result<Self> {
        let mut cost = Self::default();
        for thread in thread_times(pid)? {
            if thread.name.starts_with(weft::FORWARDING_THREAD) {
                cost.worker_ran += thread.ran;
                cost.worker_waited += thread.waited;
            } else {
                cost.control += thread.ran;
            }
        }
        Ok(cost)
    }

    fn since(self, earlier: Self) -> Self {
        Self {
            control: self.control.saturating_sub(earlier.control),
            worker_ran: self.worker_ran.saturating_sub(earlier.worker_ran),
            worker_waited: self.worker_waited.saturating_sub(earlier.worker_waited),
        }
    }
}

impl Rig {
    /// Starts the daemons between the wires with so many ports.
    ///
    /// # Errors
    /// When a daemon does not start, or no frame passes.
    pub fn start(wires: &Wires, setting: &Setting) -> Result<Self> {
        let mut deployment = weft::deploy(wires, setting)?;
        let (pid, cpu) = (deployment.supervisor()?.pid().to_string(), TESTER_CPU.to_string());
        let mut taskset = Command::new("taskset");
        run_command(taskset.args(["--all-tasks", "--cpu-list", "--pid", &cpu, &pid]))?;
        probe::wait_forwards(wires, || deployment.check_running())?;
        let dataplane = deployment.dataplane(weft::HOST)?.pid();
        Ok(Self { deployment, dataplane, has_rule: false })
    }

    /// Adds a rule to the list of all ports, or takes it away again, and waits until the dataplane
    /// forwards by it.
    ///
    /// # Errors
    /// When the change is refused, or the dataplane does not take it in ten seconds.
    pub fn swap(&mut self) -> Result<Swap> {
        let change = match self.has_rule {
            false => format!("{RULE} deny tcp 10.251.0.0/24 any eq 7"),
            true => format!("no {RULE}"),
        };
        let (deployment, dataplane) = (&self.deployment, self.dataplane);
        let swap = cpus::run_on(&[TESTER_CPU], || -> Result<Swap> {
            let (before, start) = (Cost::so_far(dataplane)?, Instant::now());
            deployment
                .apply_text(&format!("ip access-list {}\n  {change}\n", weft::ACCESS_LIST))?;
            // Each look costs a process on the CPU of the generator.
            thread::sleep(LOOK_INTERVAL);
            deployment.wait_in_sync()?;
            let cost = Cost::so_far(dataplane)?.since(before);
            Ok(Swap { start, end: Instant::now(), cost })
        })??;
        self.has_rule = !self.has_rule;
        Ok(swap)
    }

    /// Process id of the dataplane.
    #[must_use]
    pub const fn dataplane_pid(&self) -> u32 {
        self.dataplane
    }

    /// Checks that the daemons run.
    ///
    /// # Errors
    /// With the end of the log of the one that does not.
    pub fn check(&mut self) -> Result<()> {
        self.deployment.check_running()
    }
}
