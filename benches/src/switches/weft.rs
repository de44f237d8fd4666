//! The product: a supervisor and a dataplane, configured and plugged in as their users do it.
//!
//! The end systems on the wires are vEthernets over AF_XDP; those that say nothing are TAP vNICs in
//! a namespace of their own. With one end system, wire B is an uplink whose native VLAN is that of
//! the vEthernet, so that its frames have no tag there either.

use std::fmt::Write;
use std::process::Command;
use std::sync::Mutex;
use std::thread;

use tests::daemons::{Deployment, Programs, rows};
use tests::error::{LabError, Result};
use tests::lab::Lab;
use tests::netns::run_command;
use tests::topology::{Nic, Topology};
use tests::wait::{SOON, wait_for_ok};

use super::raw::RING_LEN;
use super::{cpus, probe, silent_macs};
use crate::plan::{MACS, VLAN, rules};
use crate::switch::{Running, Setting, StartError, Switch};
use crate::wires::{Wire, Wires};

/// Nodes of the lab.
const SUPERVISOR: &str = "vsm";
pub(crate) const HOST: &str = "sw";
const SILENT: &str = "silent";

/// Name of the list that every port has inbound, when there are rules.
pub const ACCESS_LIST: &str = "BENCH";
/// Name of the profile of every port.
const PROFILE: &str = "BENCH";

/// Threads that forward are called `weft-worker-N`.
pub(crate) const FORWARDING_THREAD: &str = "weft-worker-";

/// Attaches at a time: more do not make it faster, the supervisor numbers one after the other.
const ATTACHES: usize = 4;

/// The product.
#[derive(Debug)]
pub struct Weft;

#[derive(Debug)]
struct RunningWeft {
    deployment: Deployment,
    description: String,
}

impl Switch for Weft {
    fn name(&self) -> &'static str {
        "weft"
    }

    fn start(&self, wires: &Wires, setting: &Setting) -> Result<Box<dyn Running>, StartError> {
        let mut deployment = cpus::run_on(&cpus::BOTH, || deploy(wires, setting))??;
        let pid = deployment.dataplane(HOST)?.pid();
        cpus::check_pinned(pid, FORWARDING_THREAD)?;
        probe::wait_forwards(wires, || deployment.check_running())?;
        let description = describe(&deployment)?;
        Ok(Box::new(RunningWeft { deployment, description }))
    }
}

impl Running for RunningWeft {
    fn describe(&self) -> String {
        self.description.clone()
    }

    fn check(&mut self) -> Result<(), LabError> {
        self.deployment.check_running()
    }
}

/// Starts the daemons in the switch's namespace, configures them and plugs everybody in, for whoever
/// wants to change the configuration later.
///
/// # Errors
/// When a daemon does not start or refuses something.
pub fn deploy(wires: &Wires, setting: &Setting) -> Result<Deployment> {
    let lab = Lab::build_around(topology(setting)?, &[(HOST, wires.switch())])?;
    let mut deployment = Deployment::new(lab)?;
    let ring_len = RING_LEN.to_string();
    let options = ["--workers", "1", "--pin-workers", "--ring-len", &ring_len];
    deployment.set_dataplane_options(&options);
    deployment.start_supervisor()?;
    deployment.start_dataplane(HOST)?;
    deployment.wait_registered(HOST)?;
    deployment.apply_text(&configuration(setting))?;
    for wire in Wire::BOTH.into_iter().take(setting.end_systems as usize) {
        let device = (wire.switch(), MACS[wire.index()]);
        deployment.attach_afxdp(HOST, wire.tester(), device, PROFILE)?;
    }
    attach_silent(&deployment, setting.end_systems)?;
    deployment.wait_in_sync()?;
    Ok(deployment)
}

fn topology(setting: &Setting) -> Result<Topology> {
    let silent = match setting.end_systems {
        0..=2 => String::new(),
        // A VM has at least one NIC; these are attached one by one, with the others.
        _ => format!(
            "    {SILENT}: {{ kind: vm, host: {HOST}, nics: [ {{ name: s0, profile: {PROFILE} }} ] }}\n"
        ),
    };
    let text = format!(
        "name: packet-rate\n\
         mgmt: {{ ipv4-subnet: 192.168.91.0/24 }}\n\
         topology:\n  nodes:\n    \
             {SUPERVISOR}: {{ kind: supervisor }}\n    {HOST}: {{ kind: host }}\n{silent}"
    );
    let wrong = |problems: Vec<String>| LabError::Unexpected(problems.join("\n"));
    let mut topology = Topology::parse(&text).map_err(wrong)?;
    if setting.end_systems == 1
        && let Some(host) = topology.hosts.get_mut(HOST)
    {
        // Its cable is there already.
        host.uplinks.push(Wire::B.switch().to_owned());
    }
    Ok(topology)
}

/// The configuration of a setting, in the product's language.
fn configuration(setting: &Setting) -> String {
    let mut text = format!("vlan {VLAN}\n");
    let mut group = String::new();
    if setting.rules > 0 {
        writeln!(text, "ip access-list {ACCESS_LIST}").ok();
        let mut number = 0;
        for rule in rules(setting.rules) {
            number += 10;
            let (network, len, port) = (rule.network, rule.prefix_len, rule.port);
            writeln!(text, "  {number} deny tcp {network}/{len} any eq {port}").ok();
        }
        writeln!(text, "  {} permit ip any any", number + 10).ok();
        group = format!("  ip port access-group {ACCESS_LIST} in\n");
    }
    write!(
        text,
        "port-profile type vethernet {PROFILE}\n  \
           switchport mode access\n  switchport access vlan {VLAN}\n{group}  \
           no shutdown\n  state enabled\n"
    )
    .ok();
    if setting.end_systems == 1 {
        write!(
            text,
            "port-profile type ethernet UPLINK\n  \
               switchport mode trunk\n  switchport trunk allowed vlan {VLAN}\n  \
               switchport trunk native vlan {VLAN}\n{group}  no shutdown\n  state enabled\n\
             interface Ethernet3/1\n  inherit port-profile UPLINK\n"
        )
        .ok();
    }
    text
}

/// Attaches the end systems that say nothing, several at a time.
fn attach_silent(deployment: &Deployment, end_systems: u32) -> Result<()> {
    let nics = silent_macs(end_systems).enumerate().map(|(number, mac)| Nic {
        name: format!("s{number}"),
        mac: Some(mac),
        addresses: Vec::new(),
        mtu: None,
    });
    let nics = Mutex::new(nics);
    let next = || nics.lock().ok()?.next();
    let attach = || {
        while let Some(nic) = next() {
            deployment.attach_nic(HOST, SILENT, &nic, PROFILE)?;
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..ATTACHES).map(|_| scope.spawn(attach)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })
}

/// `0.1.0, veth: native copy`, with the modes that the dataplane reports.
fn describe(deployment: &Deployment) -> Result<String> {
    let version = run_command(Command::new(Programs::find()?.dataplane()).arg("--version"))?;
    let version = version.split_whitespace().last().unwrap_or_default().to_owned();
    let kind = wait_for_ok("the mode of the ports", SOON, || {
        let status = deployment.status(HOST).map_err(|error| error.to_string())?;
        let port = rows(&status["ports"]).find(|port| port["vm"] == Wire::A.tester());
        let kind = port.and_then(|port| port["kind"].as_str()).filter(|kind| !kind.is_empty());
        kind.map(str::to_owned).ok_or_else(|| status.to_string())
    })?;
    Ok(format!("{version}, {kind}"))
}
