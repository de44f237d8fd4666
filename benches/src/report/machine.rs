//! On which machine, when, and of which commit.

use std::fs;
use std::path::Path;
use std::process::Command;

use ::tests::netns::run_command;
use serde::{Deserialize, Serialize};

/// The machine of a run. What cannot be found out is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Machine {
    /// Time of the run, UTC (ISO 8601).
    pub date: String,
    /// The commit that was measured; with a `+` when files differed from it.
    pub commit: String,
    /// Model of its CPU.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// Memory in MiB.
    pub memory_mib: u64,
    /// Release of its kernel.
    pub kernel: String,
    /// Its distribution.
    pub system: String,
    /// What it runs on: the hypervisor's name, or `bare metal`.
    pub platform: String,
}

impl Machine {
    /// This one, now.
    #[must_use]
    pub fn this() -> Self {
        let read = |file: &str| fs::read_to_string(file).unwrap_or_default();
        let cpu_info = read("/proc/cpuinfo");
        Self {
            date: said("date", &["-u", "+%Y-%m-%dT%H:%MZ"]),
            commit: commit(),
            cpu: field(&cpu_info, "model name", ':'),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: memory_mib(&read("/proc/meminfo")),
            kernel: said("uname", &["-r"]),
            system: field(&read("/etc/os-release"), "PRETTY_NAME", '=').replace('"', ""),
            platform: platform(&cpu_info),
        }
    }

    /// One line.
    #[must_use]
    pub fn line(&self) -> String {
        format!(
            "{}, {} cores, {} MiB, {}, Linux {}, {}",
            self.cpu, self.cores, self.memory_mib, self.platform, self.kernel, self.system
        )
    }
}

/// What a command says; empty when it fails.
fn said(program: &str, arguments: &[&str]) -> String {
    let said = run_command(Command::new(program).args(arguments));
    said.unwrap_or_default().trim().to_owned()
}

fn commit() -> String {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR"));
    let git = |arguments: &[&str]| {
        run_command(Command::new("git").arg("-C").arg(sources).args(arguments)).ok()
    };
    let Some(commit) = git(&["rev-parse", "--short=12", "HEAD"]) else { return String::new() };
    // The report itself lies in the tree, and is written anew by each run.
    let changed =
        git(&["status", "--porcelain", "--untracked-files=no", "--", ":/", ":!/docs/bench"]);
    let clean = changed.is_some_and(|files| files.trim().is_empty());
    format!("{}{}", commit.trim(), if clean { "" } else { "+" })
}

/// The value of the first line that begins with a name.
fn field(text: &str, name: &str, separator: char) -> String {
    let value = text.lines().find_map(|line| {
        let (left, right) = line.split_once(separator)?;
        (left.trim() == name).then(|| right.trim().to_owned())
    });
    value.unwrap_or_default()
}

fn memory_mib(meminfo: &str) -> u64 {
    let total = field(meminfo, "MemTotal", ':');
    total.split(' ').next().and_then(|kib| kib.parse::<u64>().ok()).unwrap_or(0) / 1024
}

fn platform(cpu_info: &str) -> String {
    // Bit 31 of CPUID leaf 1, ECX: reserved for hypervisors to set.
    let is_guest = field(cpu_info, "flags", ':').split(' ').any(|flag| flag == "hypervisor");
    // It ends with 1 when there is nothing to detect.
    let name = said("systemd-detect-virt", &["--vm"]);
    match (is_guest, name.as_str()) {
        (_, name) if !name.is_empty() && name != "none" => format!("virtual machine ({name})"),
        (true, _) => "virtual machine".to_owned(),
        (false, _) => "bare metal".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_found() {
        assert_eq!(field("a : 1\nmodel name\t: X Y: 2\n", "model name", ':'), "X Y: 2");
        assert_eq!(field("", "model name", ':'), "");
        assert_eq!(memory_mib("MemTotal:        8123456 kB\n"), 7933);
        assert_eq!(platform("flags : fpu\n").contains("machine"), platform("").contains("machine"));
    }

    #[test]
    fn this_machine_has_cores_and_a_kernel() {
        let machine = Machine::this();
        assert!(machine.cores > 0 && machine.memory_mib > 0, "{machine:?}");
        assert!(!machine.kernel.is_empty() && machine.date.ends_with('Z'), "{machine:?}");
        assert!(machine.line().contains(&machine.kernel));
    }
}
