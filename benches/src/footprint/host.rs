//! One host of our switch whose number of ports grows.

use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use tests::daemons::{Deployment, rows};
use tests::error::{LabError, Result};
use tests::lab::Lab;
use tests::topology::{Nic, Topology};
use tests::wait::{SOON, wait_for_ok};

use crate::tap::weft::{HOST, config, start_pinned};

/// The node whose NICs the TAPs are. One namespace for all is enough: they say nothing.
const GUESTS: &str = "guests";

/// Attach commands at a time: each waits for a revision of the switch most of its time.
const ATTACHING: usize = 8;

const TOPOLOGY: &str = "
name: footprint
mgmt: { ipv4-subnet: 192.168.97.0/24 }
topology:
  nodes:
    vsm: { kind: supervisor }
    h1: { kind: host }
    guests: { kind: vm, host: h1, nics: [ { name: eth0, profile: LAN } ] }
    far: { kind: pc, nics: [ { name: eth0 } ] }
  links:
    - endpoints: [ 'h1:eth1', 'far:eth0' ]
";

/// The daemons of one host with an uplink, and TAPs of guests that say nothing.
#[derive(Debug)]
pub struct Host {
    deployment: Deployment,
    ports: u32,
}

impl Host {
    /// A host without guests, and with lists of so many rules for those to come.
    ///
    /// # Errors
    /// When a daemon does not start.
    pub fn start(rules: u32) -> Result<Self> {
        let topology = Topology::parse(TOPOLOGY)
            .map_err(|problems| LabError::Unexpected(problems.join("\n")))?;
        let deployment = start_pinned(Lab::build(topology)?)?;
        deployment.apply_text(&config(rules))?;
        Ok(Self { deployment, ports: 0 })
    }

    /// Plugs TAPs in until there are `ports`, and waits until all of them are up.
    ///
    /// # Errors
    /// When the dataplane refuses one.
    pub fn grow_to(&mut self, ports: u32) -> Result<()> {
        let (next, deployment) = (AtomicU32::new(self.ports), &self.deployment);
        let attach_some = || -> Result<()> {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= ports {
                    return Ok(());
                }
                tests::wait::check_interrupt()?;
                attach(deployment, number)?;
            }
        };
        thread::scope(|scope| -> Result<()> {
            let threads: Vec<_> = (0..ATTACHING).map(|_| scope.spawn(attach_some)).collect();
            threads.into_iter().try_for_each(|thread| match thread.join() {
                Ok(outcome) => outcome,
                Err(panic) => std::panic::resume_unwind(panic),
            })
        })?;
        self.ports = self.ports.max(ports);
        self.wait_up()
    }

    /// The daemons.
    pub fn deployment(&mut self) -> &mut Deployment {
        &mut self.deployment
    }

    /// Process id of the dataplane daemon.
    ///
    /// # Errors
    /// When it no longer runs.
    pub fn dataplane_pid(&mut self) -> Result<u32> {
        let dataplane = self.deployment.dataplane(HOST)?;
        dataplane.check_running()?;
        Ok(dataplane.pid())
    }

    /// Waits until every guest's port has its link, and the supervisor sees the host in step.
    fn wait_up(&self) -> Result<()> {
        wait_for_ok(format!("{} ports to be up", self.ports), SOON, || {
            let status = self.deployment.status(HOST).map_err(|error| error.to_string())?;
            let up = rows(&status["ports"]).filter(|port| port["vm"] == GUESTS);
            let up = up.filter(|port| port["link_up"] == true).count();
            if up == self.ports as usize { Ok(()) } else { Err(format!("{up} are up")) }
        })?;
        self.deployment.wait_in_sync()
    }
}

fn attach(deployment: &Deployment, number: u32) -> Result<()> {
    let name = format!("tap{number}");
    let nic = Nic { name, mac: None, addresses: Vec::new(), mtu: None };
    deployment.attach_nic(HOST, GUESTS, &nic, "LAN").map(drop)
}
