//! Open vSwitch with its datapath in user space and TAP ports, super-frames on
//! (`userspace-tso-enable`): without them its TAPs lose the checksums that guests leave to the NIC.
//!
//! Ports that are no `type=dpdk` or `afxdp` are polled by the daemon's main thread, not by one of
//! those that `pmd-cpu-mask` places; so the whole daemon is put on [`SWITCH_CPU`]. The uplink is a
//! port of the kernel's (AF_PACKET), the only kind of its that takes super-frames.

use std::process::Command;

use tempfile::TempDir;
use tests::error::{LabError, Result};
use tests::link;
use tests::netns::{Namespace, run_command};
use tests::ovs::{OpenVswitch, Setup};
use tests::traffic::wait_ping;

use super::{ADDRESSES, Join, Joined, NIC};
use crate::plan::SWITCH_CPU;

/// Its end of the uplink.
const UPLINK: &str = "uplink";

/// Open vSwitch, as a kind of switch.
#[derive(Debug)]
pub struct Ovs;

#[derive(Debug)]
struct Running {
    // Field order is drop order.
    ovs: OpenVswitch,
    ends: [Namespace; 3],
    version: String,
    _switch: Namespace,
    _dir: TempDir,
}

impl Join for Ovs {
    fn name(&self) -> &'static str {
        "ovs"
    }

    fn start(&self) -> Result<Box<dyn Joined>> {
        let switch = Namespace::create("sw")?;
        let dir = tempfile::tempdir().map_err(LabError::io("cannot make a folder for logs"))?;
        let tso = "userspace-tso-enable=true".to_owned();
        let setup = Setup { other_config: vec![tso], favoured: false, ..Setup::default() };
        let mut ovs = OpenVswitch::start_as(&switch, dir.path(), setup)?;
        let [a, b] = super::pair()?;
        let ends = [a, b, Namespace::create("far")?];
        for (index, end) in ends[..2].iter().enumerate() {
            let port = format!("tap{index}");
            ovs.add_interface(&port, &["type=tap"])?;
            switch.ip(&format!("link set dev {port} netns {} name {NIC}", end.name()))?;
            super::address(end, index)?;
        }
        link::cable((&switch, UPLINK), (&ends[2], NIC), 1500)?;
        link::add_address(&ends[2], NIC, &super::cidr(2))?;
        ovs.add_interface(UPLINK, &["type=system"])?;
        pin(ovs.vswitchd()?.pid())?;
        let version = ovs.appctl(&["version"])?;
        let version = version.lines().next().unwrap_or_default().to_owned();
        for address in &ADDRESSES[1..] {
            wait_ping(&ends[0], (*address).into())?;
        }
        Ok(Box::new(Running { ovs, ends, version, _switch: switch, _dir: dir }))
    }
}

impl Joined for Running {
    fn end(&self, index: usize) -> Option<&Namespace> {
        self.ends.get(index)
    }

    fn describe(&self) -> String {
        format!("{}, type=tap, userspace-tso, uplink type=system", self.version)
    }

    fn check(&mut self) -> Result<()> {
        self.ovs.vswitchd()?.check_running()
    }
}

/// Puts all threads of the daemon on one CPU.
fn pin(pid: u32) -> Result<()> {
    let (pid, cpu) = (pid.to_string(), SWITCH_CPU.to_string());
    let mut taskset = Command::new("taskset");
    taskset.args(["--all-tasks", "--cpu-list", "--pid", &cpu, &pid]);
    run_command(&mut taskset).map(drop)
}
