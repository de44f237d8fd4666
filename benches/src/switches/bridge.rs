//! The Linux bridge, its rules in nftables.
//!
//! As fast as it is known to go: static addresses and no learning, no VLAN filtering, no multicast
//! snooping, and frames forwarded by the core that brings them (`gro` says why).

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::process::Command;

use tests::error::{LabError, Result};
use tests::link;
use tests::netns::{Namespace, run_command};

use super::gro::Gro;
use super::probe;
use crate::plan::{MACS, rules};
use crate::switch::{Running, Setting, StartError, Switch};
use crate::wires::{Wire, Wires};

/// The bridge.
const BRIDGE: &str = "bench-br";
/// The port behind which the silent end systems are, and the other end of its cable.
const SILENT: [&str; 2] = ["bench-silent", "bench-nobody"];
/// The table of rules.
const TABLE: &str = "bench";

/// A Linux bridge.
#[derive(Debug)]
pub struct Bridge {
    rules: Rules,
}

/// How nftables has the rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Rules {
    /// One after the other, as an access list is written.
    List,
    /// One lookup in a set, as somebody would write it who may change the rules for speed.
    Set,
}

impl Bridge {
    /// With the rules one after the other.
    pub const LIST: Self = Self { rules: Rules::List };
    /// With the rules as one set.
    pub const SET: Self = Self { rules: Rules::Set };
}

/// A bridge between the wires; removed on drop.
#[derive(Debug)]
struct RunningBridge {
    // Field order is drop order.
    _gro: Gro,
    parts: Parts,
    filter: String,
}

/// What is made in the namespace.
#[derive(Debug)]
struct Parts {
    namespace: Namespace,
}

impl Switch for Bridge {
    fn name(&self) -> &'static str {
        match self.rules {
            Rules::List => "linux-bridge",
            Rules::Set => "linux-bridge-set",
        }
    }

    fn start(&self, wires: &Wires, setting: &Setting) -> Result<Box<dyn Running>, StartError> {
        if self.rules == Rules::Set && setting.rules < 2 {
            return Err(StartError::Unavailable("without rules it is linux-bridge".to_owned()));
        }
        let filter = if setting.rules == 0 { "no rules".to_owned() } else { nft_version()? };
        let dir = tempfile::tempdir().map_err(LabError::io("cannot make a folder"))?;
        let parts = Parts { namespace: wires.switch().share() };
        parts.make(setting, dir.path())?;
        if setting.rules > 0 {
            let file = dir.path().join("rules.nft");
            write(&file, &ruleset(setting.rules, self.rules))?;
            wires.switch().output("nft", &["-f", &file.display().to_string()])?;
        }
        let gro = Gro::on(wires.switch(), Wire::BOTH.map(Wire::switch))?;
        let running = RunningBridge { _gro: gro, parts, filter };
        probe::wait_forwards(wires, || Ok(()))?;
        Ok(Box::new(running))
    }
}

impl Parts {
    fn make(&self, setting: &Setting, dir: &Path) -> Result<()> {
        let ip = |args: String| self.namespace.ip(&args);
        ip(format!("link add name {BRIDGE} type bridge mcast_snooping 0 stp_state 0"))?;
        for port in Wire::BOTH.map(Wire::switch) {
            ip(format!("link set dev {port} master {BRIDGE}"))?;
            ip(format!("link set dev {port} type bridge_slave learning off"))?;
        }
        // A list of commands for bridge(8).
        let mut entries = String::new();
        for wire in Wire::BOTH.into_iter().take(setting.end_systems as usize) {
            let (mac, port) = (MACS[wire.index()], wire.switch());
            writeln!(entries, "fdb replace {mac} dev {port} master static").ok();
        }
        if setting.end_systems > 2 {
            let [port, end] = SILENT;
            link::cable((&self.namespace, port), (&self.namespace, end), 1500)?;
            ip(format!("link set dev {port} master {BRIDGE}"))?;
            for mac in super::silent_macs(setting.end_systems) {
                writeln!(entries, "fdb replace {mac} dev {port} master static").ok();
            }
        }
        let file = dir.join("fdb");
        write(&file, &entries)?;
        self.namespace.output("bridge", &["-batch", &file.display().to_string()])?;
        ip(format!("link set dev {BRIDGE} up")).map(drop)
    }

    fn remove(&self) -> Result<()> {
        // Without a table this is no error: it is added first.
        let table = format!("add table bridge {TABLE}; delete table bridge {TABLE}");
        if nft_version().is_ok() {
            self.namespace.output("nft", &[&table])?;
        }
        for interface in [BRIDGE, SILENT[0]] {
            if link::exists(&self.namespace, interface) {
                link::delete(&self.namespace, interface)?;
            }
        }
        Ok(())
    }
}

impl Drop for Parts {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            eprintln!("packet-rate: {error}");
        }
    }
}

impl Running for RunningBridge {
    fn describe(&self) -> String {
        format!("Linux {}, {}, on the sender's core", super::kernel(), self.filter)
    }

    fn check(&mut self) -> Result<(), LabError> {
        self.parts.namespace.ip(&format!("link show dev {BRIDGE}")).map(drop)
    }
}

/// `nftables v1.0.6`.
fn nft_version() -> Result<String, StartError> {
    let version = run_command(Command::new("nft").arg("--version"))
        .map_err(|_| StartError::Unavailable("nftables is not installed".to_owned()))?;
    Ok(version.split(" (").next().unwrap_or_default().trim().to_owned())
}

/// The list of [`crate::plan::rules`] as nft(8) reads it.
fn ruleset(count: u32, form: Rules) -> String {
    let mut denied = String::new();
    for rule in rules(count) {
        let (network, len, port) = (rule.network, rule.prefix_len, rule.port);
        match form {
            Rules::List => writeln!(denied, "ip saddr {network}/{len} tcp dport {port} drop"),
            Rules::Set => writeln!(denied, "{network}/{len} . {port},"),
        }
        .ok();
    }
    let (set, rules) = match form {
        Rules::List => (String::new(), denied),
        Rules::Set => (
            format!(
                "set denied {{ type ipv4_addr . inet_service; flags interval;\n\
                 elements = {{\n{denied}}}\n}}\n"
            ),
            "ip saddr . tcp dport @denied drop\n".to_owned(),
        ),
    };
    format!(
        "table bridge {TABLE} {{\n{set}\
         chain forward {{\ntype filter hook forward priority 0; policy accept;\n{rules}}}\n}}\n"
    )
}

fn write(file: &Path, text: &str) -> Result<()> {
    fs::write(file, text).map_err(LabError::io(format!("cannot write {}", file.display())))
}
