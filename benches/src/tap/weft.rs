//! Our switch with its real daemons: one worker on a core of its own, two VMs on TAPs with the
//! access list of the bars inbound, and an uplink over AF_XDP.

use std::fmt::Write;

use ::tests::daemons::Deployment;
use ::tests::error::{LabError, Result};
use ::tests::lab::Lab;
use ::tests::netns::Namespace;
use ::tests::topology::Topology;
use ::tests::traffic::wait_ping;

use super::{ADDRESSES, Join, Joined, NIC};
use crate::plan::{self, VLAN};
use crate::switch::Setting;
use crate::switches::cpus;

/// The host whose dataplane is measured.
pub const HOST: &str = "h1";

/// One worker on the last CPU that it may use.
pub const WORKER_OPTIONS: [&str; 3] = ["--workers", "1", "--pin-workers"];

/// Nodes that are end systems, in the order of [`ADDRESSES`].
const ENDS: [&str; 3] = ["a", "b", "far"];

/// Our switch, as a kind of switch.
#[derive(Debug)]
pub struct Weft;

#[derive(Debug)]
struct Running {
    deployment: Deployment,
    version: String,
}

impl Join for Weft {
    fn name(&self) -> &'static str {
        "weft"
    }

    fn start(&self) -> Result<Box<dyn Joined>> {
        let topology = Topology::parse(&topology())
            .map_err(|problems| LabError::Unexpected(problems.join("\n")))?;
        let deployment = start_pinned(Lab::build(topology)?)?;
        deployment.apply_text(&config(Setting::STANDARD.rules))?;
        for vm in &ENDS[..2] {
            deployment.attach(vm)?;
        }
        for address in &ADDRESSES[1..] {
            wait_ping(deployment.lab().ns(ENDS[0])?, (*address).into())?;
        }
        let version = deployment.weft(&["--version"])?.trim().to_owned();
        Ok(Box::new(Running { deployment, version }))
    }
}

impl Joined for Running {
    fn end(&self, index: usize) -> Option<&Namespace> {
        self.deployment.lab().ns(ENDS.get(index)?).ok()
    }

    fn describe(&self) -> String {
        let rules = Setting::STANDARD.rules;
        format!("{}, one worker, {rules} rules in on each TAP, uplink AF_XDP", self.version)
    }

    fn check(&mut self) -> Result<()> {
        self.deployment.check_running()
    }
}

/// Starts the daemons with one worker, on [`plan::SWITCH_CPU`].
///
/// # Errors
/// As [`Deployment::start`].
pub fn start_pinned(lab: Lab) -> Result<Deployment> {
    cpus::run_on(&cpus::BOTH, || {
        let mut deployment = Deployment::new(lab)?;
        deployment.set_dataplane_options(&WORKER_OPTIONS);
        deployment.start_supervisor()?;
        deployment.start_dataplane(HOST)?;
        deployment.wait_registered(HOST)?;
        cpus::check_pinned(deployment.dataplane(HOST)?.pid(), "weft-worker-")?;
        Ok(deployment)
    })?
}

/// The access list of the measurements, `BENCH`, and the profiles `LAN` and `UPLINK`. The VLAN is
/// untagged on the uplink, so that its far end can be any Linux, with or without VLAN devices.
#[must_use]
pub fn config(rules: u32) -> String {
    let mut text = format!("vlan {VLAN}\n");
    let mut group = "";
    if rules > 0 {
        group = "  ip port access-group BENCH in\n";
        text.push_str(&access_list(rules));
    }
    // Writing to a string does not fail.
    write!(
        text,
        "port-profile type vethernet LAN\n  switchport access vlan {VLAN}\n{group}  state enabled\n\
         port-profile type ethernet UPLINK\n  switchport mode trunk\n  \
         switchport trunk allowed vlan {VLAN}\n  switchport trunk native vlan {VLAN}\n  \
         state enabled\n\
         interface Ethernet3/1\n  inherit port-profile UPLINK\n"
    )
    .ok();
    text
}

/// The list of so many rules, the last of which permits everything.
#[must_use]
pub fn access_list(rules: u32) -> String {
    let mut text = "ip access-list BENCH\n".to_owned();
    for rule in plan::rules(rules) {
        let plan::Rule { network, prefix_len, port } = rule;
        // Writing to a string does not fail.
        writeln!(text, "  deny tcp {network}/{prefix_len} any eq {port}").ok();
    }
    text + "  permit ip any any\n"
}

fn topology() -> String {
    let vm = |index: usize| {
        let (name, mac, address) = (ENDS[index], plan::MACS[index], super::cidr(index));
        format!(
            "    {name}: {{ kind: vm, host: {HOST}, nics: [ {{ name: {NIC}, profile: LAN, \
             mac: '{mac}', address: {address} }} ] }}\n"
        )
    };
    format!(
        "name: taps
mgmt: {{ ipv4-subnet: 192.168.96.0/24 }}
topology:
  nodes:
    vsm: {{ kind: supervisor }}
    {HOST}: {{ kind: host }}
{}{}    {}: {{ kind: pc, nics: [ {{ name: {NIC}, address: {} }} ] }}
  links:
    - endpoints: [ '{HOST}:eth1', 'far:{NIC}' ]
",
        vm(0),
        vm(1),
        ENDS[2],
        super::cidr(2)
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_topology_is_a_good_one() {
        let topology = Topology::parse(&topology()).unwrap();
        assert_eq!((topology.vms.len(), topology.pcs.len()), (2, 1));
    }

    #[test]
    fn a_list_has_as_many_rules_as_it_says() {
        assert_eq!(config(100).matches("  deny tcp 10.").count(), 99);
        assert_eq!(config(100).matches("  permit ip any any\n").count(), 1);
        assert!(!config(0).contains("access-group") && !config(0).contains("permit"));
    }
}
