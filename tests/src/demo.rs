//! The demonstration: the classroom network of `examples/practica.yaml` from nothing to working
//! traffic, with a check mark a line.
//!
//! *Where it sits:* behind `lab demo` and `make demo`; the nodes and addresses that it names are
//! those of the example, and the configuration is the `.cfg` file beside the `.yaml`.
//!
//! *Not here:* the parts of the report, one file each: `start`, `traffic`, `failures`.

mod failures;
mod start;
mod traffic;

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

use crate::checks::print_evidence;
use crate::daemons::{Deployment, rows};
use crate::error::{LabError, Result};
use crate::netns::Namespace;
use crate::pinger::Pinger;
use crate::report::Report;
use crate::topology::Topology;

const PC2: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 10, 12));
const PC3: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 20, 13));
const PC4: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 30, 14));
const R1_LAN_A: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 10, 1));
const R2_LAN_C: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 30, 2));
const TEACHER: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 10, 10, 100));

/// How many answers a round-trip time is the median of.
const PINGS: usize = 30;

/// Runs the demonstration and prints its report; says whether every check passed. Nothing is left
/// of the lab when it returns.
///
/// # Errors
/// When something fails without which nothing else can be shown, or the user interrupts.
pub fn run(topology: &Path) -> Result<bool> {
    let config = topology.with_extension("cfg");
    let mut report = Report::new();
    println!("Weft, a distributed virtual switch: {}", topology.display());
    let mut deployment = start::bring_up(&mut report, Topology::load(topology)?)?;
    let shown = show_all(&mut report, &mut deployment, &config);
    if report.has_failed() {
        print_evidence(&deployment);
    }
    shown?;
    start::take_down(&mut report, deployment)?;
    Ok(report.finish())
}

fn show_all(report: &mut Report, deployment: &mut Deployment, config: &Path) -> Result<()> {
    start::configure(report, deployment, config)?;
    traffic::lans(report, deployment)?;
    traffic::routers(report, deployment)?;
    traffic::access_list(report, deployment, config)?;
    failures::uplink(report, deployment)?;
    failures::supervisor(report, deployment)?;
    start::look_back(report, deployment)
}

/// Pings for a moment and gives the median round-trip time.
fn rtt(deployment: &Deployment, from: &Namespace, to: IpAddr) -> Result<String> {
    let mut pinger = Pinger::start(from, to, deployment.lab().dir())?;
    pinger.wait_replies(PINGS)?;
    let outcome = pinger.finish()?;
    Ok(format!("RTT {}", milliseconds(outcome.rtt)))
}

fn milliseconds(time: Duration) -> String {
    let time_ms = time.as_secs_f64() * 1e3;
    if time_ms < 10.0 { format!("{time_ms:.2} ms") } else { format!("{time_ms:.0} ms") }
}

/// Runs `weft` and shows the command with what it printed.
fn show(report: &mut Report, deployment: &Deployment, words: &str) -> Result<()> {
    let args: Vec<&str> = words.split(' ').collect();
    let output = deployment.weft(&args)?;
    report.show(&format!("weft {words}"), &output);
    Ok(())
}

/// The row of `show interface` for a vNIC, or for the NIC of a module.
fn interface(deployment: &Deployment, is_it: impl Fn(&Value) -> bool) -> Result<Value> {
    let table = deployment.show("interface")?;
    let row = rows(&table).find(|row| is_it(row)).cloned();
    row.ok_or_else(|| LabError::Unexpected(format!("no such interface: {table}")))
}

/// The row of a VM's first vNIC.
fn vnic(deployment: &Deployment, vm: &str) -> Result<Value> {
    interface(deployment, |row| row["owner"] == vm)
}

/// The path as an operator would type it: relative when it is below the working directory.
fn typed(path: &Path) -> PathBuf {
    let here = std::env::current_dir().unwrap_or_default();
    path.strip_prefix(here).unwrap_or(path).to_owned()
}
