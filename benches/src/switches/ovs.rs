//! Open vSwitch with the datapath in user space, its ports AF_XDP sockets, its rules OpenFlow.
//!
//! [`tests::ovs`] runs its daemons. What is here also serves [`super::ovs_dpdk`], which differs in
//! the daemon and the type of the ports.

use std::fmt::Write;

use tests::error::{LabError, Result};
use tests::link;
use tests::ovs::{BRIDGE, OpenVswitch, Setup, tools_dir};

use super::{cpus, probe, xdp};
use crate::plan::{MACS, SWITCH_CPU, rules};
use crate::switch::{Running, Setting, StartError, Switch};
use crate::wires::{Wire, Wires};

/// Priorities of the flows that forward, and of the first rule; rules go down from there.
const FORWARD_PRIORITY: u32 = 10;
const FIRST_RULE_PRIORITY: u32 = 60_000;

/// Threads that forward are called `pmd-cCORE/id:N`.
const FORWARDING_THREAD: &str = "pmd-c";

/// Open vSwitch with ports of `type=afxdp`.
#[derive(Debug)]
pub struct OpenVswitchAfxdp;

impl Switch for OpenVswitchAfxdp {
    fn name(&self) -> &'static str {
        "ovs-afxdp"
    }

    fn start(&self, wires: &Wires, setting: &Setting) -> Result<Box<dyn Running>, StartError> {
        if !tools_dir().join("ovs-ofctl").is_file() {
            return Err(StartError::Unavailable("Open vSwitch: run `make setup`".to_owned()));
        }
        let setup = Setup { other_config: vec![pmd_mask()], favoured: false, ..Setup::default() };
        let add = |ovs: &OpenVswitch, wire: Wire| {
            let number = format!("ofport_request={}", of_port(wire));
            let columns = ["type=afxdp", "options:xdp-mode=native", &number];
            ovs.add_interface(wire.switch(), &columns)
        };
        let mut running = RunningOvs::start(wires, setting, setup, add)?;
        running.description = running.describe_afxdp()?;
        Ok(Box::new(running))
    }
}

/// The setting that gives the datapath its only core.
pub(super) fn pmd_mask() -> String {
    format!("pmd-cpu-mask={:#x}", 1_u64 << SWITCH_CPU)
}

/// OpenFlow number of a wire's port.
pub(super) const fn of_port(wire: Wire) -> usize {
    wire.index() + 1
}

/// The daemons, with a port on each wire; ended on drop.
#[derive(Debug)]
pub(super) struct RunningOvs {
    // Field order is drop order.
    ovs: OpenVswitch,
    wires: Ends,
    folders: Vec<tempfile::TempDir>,
    pub(super) description: String,
}

/// Takes away what the daemon leaves behind when it is killed: XDP programs, and the interfaces of
/// the bridge and of the datapath.
#[derive(Debug)]
struct Ends(tests::netns::Namespace);

impl RunningOvs {
    /// Starts the daemons, adds a port on each wire by `add_port`, and sets the flows.
    pub(super) fn start(
        wires: &Wires,
        setting: &Setting,
        setup: Setup,
        add_port: impl Fn(&OpenVswitch, Wire) -> Result<()> + Sync,
    ) -> Result<Self> {
        let dir = tempfile::tempdir().map_err(LabError::io("cannot make a folder"))?;
        let ends = Ends(wires.switch().share());
        let ovs = cpus::run_on(&cpus::BOTH, || {
            let ovs = OpenVswitch::start_as(wires.switch(), dir.path(), setup)?;
            Wire::BOTH.into_iter().try_for_each(|wire| add_port(&ovs, wire))?;
            ovs.set_flows(&flows(setting))?;
            Ok::<_, LabError>(ovs)
        })??;
        let mut running = Self { ovs, wires: ends, folders: vec![dir], description: String::new() };
        probe::wait_forwards(wires, || running.check())?;
        cpus::check_pinned(running.ovs.vswitchd()?.pid(), FORWARDING_THREAD)?;
        Ok(running)
    }

    /// Takes a folder that the daemons use; it is removed when they have ended.
    pub(super) fn keep(&mut self, folder: tempfile::TempDir) {
        self.folders.push(folder);
    }

    /// `3.1.0`.
    pub(super) fn version(&self) -> Result<String> {
        // `ovs-vswitchd (Open vSwitch) 3.1.0`, and perhaps that of DPDK on another line.
        let text = self.ovs.appctl(&["version"])?;
        let first = text.lines().next().unwrap_or_default();
        Ok(first.split_whitespace().last().unwrap_or_default().to_owned())
    }

    /// Driver of a port of DPDK, with its version: `DPDK 22.11.11 net_af_xdp`.
    pub(super) fn driver(&self, port: &str) -> Result<String> {
        let driver = self.ovs.vsctl(&["get", "interface", port, "status:if_descr"])?;
        Ok(driver.trim().trim_matches('"').to_owned())
    }

    /// What the daemon says of a port, in brackets behind its name: `afxdp: n_rxq=1, ...`.
    fn port_status(&self, port: &str) -> Result<String> {
        let text = self.ovs.appctl(&["dpif/show"])?;
        let line = text.lines().find(|line| line.trim_start().starts_with(port));
        let status = line.and_then(|line| line.split_once('(')).map(|(_, status)| status.trim());
        Ok(status.unwrap_or_default().trim_end_matches(')').to_owned())
    }

    fn describe_afxdp(&self) -> Result<String> {
        let status = self.port_status(Wire::A.switch())?;
        // `native` is without zero-copy, which has a name of its own.
        let mode = status.split(", ").find_map(|word| word.strip_prefix("xdp-mode-in-use="));
        let mode = if mode == Some("native") { "native copy" } else { mode.unwrap_or_default() };
        Ok(format!("{}, type=afxdp, {mode}", self.version()?))
    }
}

impl Running for RunningOvs {
    fn describe(&self) -> String {
        self.description.clone()
    }

    fn check(&mut self) -> Result<(), LabError> {
        self.ovs.vswitchd()?.check_running()
    }
}

impl Drop for RunningOvs {
    fn drop(&mut self) {
        // Ended by a signal, it would leave its XDP programs where they are.
        if self.check().is_ok()
            && let Err(error) = self.ovs.leave()
        {
            eprintln!("packet-rate: {}: {error}", self.wires.0.name());
        }
    }
}

impl Drop for Ends {
    fn drop(&mut self) {
        for interface in Wire::BOTH.map(Wire::switch) {
            let removed = match xdp::has_program(&self.0, interface) {
                Ok(false) => continue,
                Ok(true) => self.0.ip(&format!("link set dev {interface} xdp off")).map(drop),
                Err(error) => Err(error),
            };
            if let Err(error) = removed {
                eprintln!("packet-rate: {error}");
            }
        }
        for interface in [BRIDGE, "ovs-netdev"] {
            if link::exists(&self.0, interface)
                && let Err(error) = link::delete(&self.0, interface)
            {
                eprintln!("packet-rate: {error}");
            }
        }
    }
}

/// The flows of a setting, in the language of ovs-ofctl(8): what the rules deny is dropped; the
/// rest goes by the destination's address, and to the uplink when that is unknown.
fn flows(setting: &Setting) -> String {
    let mut flows = String::new();
    for (rule, priority) in rules(setting.rules).zip((0..=FIRST_RULE_PRIORITY).rev()) {
        let (network, len, port) = (rule.network, rule.prefix_len, rule.port);
        // Writing to a String cannot fail.
        writeln!(
            flows,
            "priority={priority},tcp,nw_src={network}/{len},tp_dst={port},actions=drop"
        )
        .ok();
    }
    for wire in Wire::BOTH.into_iter().take(setting.end_systems as usize) {
        let (from, to, mac) = (of_port(wire.other()), of_port(wire), MACS[wire.index()]);
        let priority = FORWARD_PRIORITY;
        writeln!(flows, "priority={priority},in_port={from},dl_dst={mac},actions=output:{to}").ok();
    }
    if setting.end_systems == 1 {
        let (from, to) = (of_port(Wire::A), of_port(Wire::B));
        writeln!(flows, "priority=1,in_port={from},actions=output:{to}").ok();
    }
    for mac in super::silent_macs(setting.end_systems) {
        writeln!(flows, "priority={FORWARD_PRIORITY},dl_dst={mac},actions=LOCAL").ok();
    }
    flows
}
