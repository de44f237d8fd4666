//! The product inside a lab: supervisor, dataplanes and command line, as their users start them.
//!
//! *Where it sits:* above [`crate::lab`]; used by the `lab` program, the demo and the end-to-end
//! tests. Every command line of the product that the lab knows is in this file, and nowhere else.
//!
//! *Invariants*
//! 1. Programs are those of the same build as this one, or of `WEFT_BIN_DIR`; never from `PATH`.
//! 2. Hosts get their module numbers in the order of their names: each dataplane is started when
//!    the one before is registered.
//! 3. Dropping a [`Deployment`] ends the daemons (SIGTERM first), then the lab.

use std::collections::BTreeMap;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs, io};

use proto::MacAddr;
use serde_json::Value;

use crate::error::{LabError, Result};
use crate::lab::{Lab, unknown};
use crate::netns::run_command;
use crate::process::Process;
use crate::topology::Nic;
use crate::wait::{SOON, wait_for_ok};

/// TCP port on which the supervisor waits for dataplanes.
pub const SUPERVISOR_PORT: u16 = 7430;

const SUPERVISOR: &str = "weft-supervisor";
const DATAPLANE: &str = "weft-dataplane";
const CLI: &str = "weft";

/// Where the product's programs are.
#[derive(Debug, Clone)]
pub struct Programs {
    dir: PathBuf,
}

impl Programs {
    /// Looks for all three: in `WEFT_BIN_DIR`, else where cargo put this program.
    ///
    /// # Errors
    /// [`LabError::NoBinary`] for the first one that is missing.
    pub fn find() -> Result<Self> {
        let dir = match env::var_os("WEFT_BIN_DIR") {
            Some(dir) => PathBuf::from(dir),
            None => build_dir().map_err(LabError::io("cannot find this program's folder"))?,
        };
        for name in [SUPERVISOR, DATAPLANE, CLI] {
            if !dir.join(name).is_file() {
                let dir = dir.display().to_string();
                return Err(LabError::NoBinary { name: name.to_owned(), dir });
            }
        }
        Ok(Self { dir })
    }

    /// The dataplane's program.
    #[must_use]
    pub fn dataplane(&self) -> PathBuf {
        self.path(DATAPLANE)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.join(name)
    }
}

/// A program of the same build as this one, which need not be one of the product's.
///
/// # Errors
/// [`LabError::NoBinary`] when it was not built.
pub fn program_beside(name: &str) -> Result<PathBuf> {
    let dir = build_dir().map_err(LabError::io("cannot find this program's folder"))?;
    let path = dir.join(name);
    if path.is_file() {
        return Ok(path);
    }
    Err(LabError::NoBinary { name: name.to_owned(), dir: dir.display().to_string() })
}

/// `target/PROFILE`: this program is there or, when it is a test, in `deps` below.
fn build_dir() -> io::Result<PathBuf> {
    let program = env::current_exe()?;
    let dir = program.parent().unwrap_or(Path::new("/"));
    let above = dir.parent().filter(|_| dir.ends_with("deps"));
    Ok(above.unwrap_or(dir).to_owned())
}

/// A vNIC as the dataplane attached it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attached {
    /// What the command printed, in which the vEthernet's name is.
    pub output: String,
    /// MAC of the NIC inside the VM.
    pub mac: MacAddr,
}

/// The product running in a lab.
#[derive(Debug)]
pub struct Deployment {
    // Field order is drop order.
    dataplanes: BTreeMap<String, Process>,
    supervisor: Option<Process>,
    dataplane_options: Vec<String>,
    descriptors_max: Option<u64>,
    programs: Programs,
    lab: Lab,
}

impl Deployment {
    /// A deployment with no daemon started yet.
    ///
    /// # Errors
    /// When a program is missing.
    pub fn new(lab: Lab) -> Result<Self> {
        let programs = Programs::find()?;
        Ok(Self {
            dataplanes: BTreeMap::new(),
            supervisor: None,
            dataplane_options: Vec::new(),
            descriptors_max: None,
            programs,
            lab,
        })
    }

    /// Starts the supervisor and all dataplanes, and waits until all are registered.
    ///
    /// # Errors
    /// When one ends early or is not ready in ten seconds.
    pub fn start(lab: Lab) -> Result<Self> {
        let mut deployment = Self::new(lab)?;
        if deployment.lab.topology().supervisor.is_some() {
            deployment.start_supervisor()?;
        }
        let hosts: Vec<_> = deployment.lab.topology().hosts.keys().cloned().collect();
        for host in hosts {
            deployment.start_dataplane(&host)?;
            if deployment.supervisor.is_some() {
                deployment.wait_registered(&host)?;
            }
        }
        Ok(deployment)
    }

    /// Options that dataplanes started from now on get besides their own, such as `--workers`, `2`.
    pub fn set_dataplane_options(&mut self, options: &[&str]) {
        self.dataplane_options = options.iter().map(|option| (*option).to_owned()).collect();
    }

    /// How many descriptors daemons started from now on may have; they inherit it by default.
    pub fn set_descriptors_max(&mut self, descriptors: u64) {
        self.descriptors_max = Some(descriptors);
    }

    /// A daemon in the namespace of a node.
    fn daemon(&self, node: &str, program: &str) -> Result<Command> {
        let (namespace, program) = (self.lab.ns(node)?, self.programs.path(program));
        let Some(max) = self.descriptors_max else { return Ok(namespace.command(program)) };
        // It replaces itself by the program, as `ip netns exec` does.
        let mut command = namespace.command("prlimit");
        command.arg(format!("--nofile={max}")).arg(program);
        Ok(command)
    }

    /// The lab that it runs in.
    pub fn lab(&self) -> &Lab {
        &self.lab
    }

    /// Starts the supervisor on its folder, as it was left, and waits for its admin socket.
    ///
    /// # Errors
    /// When the lab has none, or it ends early or is not ready in ten seconds.
    pub fn start_supervisor(&mut self) -> Result<()> {
        let Some(name) = self.lab.topology().supervisor.clone() else {
            return Err(LabError::Unexpected("this lab has no node of kind supervisor".into()));
        };
        let dir = self.state_dir(&name)?;
        let socket = self.admin_socket();
        remove_stale_socket(&socket)?;
        let address = self.lab.management_address(&name)?;
        let mut command = self.daemon(&name, SUPERVISOR)?;
        command
            .arg("--data-dir")
            .arg(&dir)
            .args(["--listen-dataplane", &format!("{address}:{SUPERVISOR_PORT}")])
            .arg("--insecure-listen")
            .args(["--listen-admin", &unix(&socket)]);
        let mut process = Process::spawn(&name, command, self.lab.dir())?;
        wait_listening(&mut process, &socket)?;
        self.supervisor = Some(process);
        Ok(())
    }

    /// Starts the dataplane of a host on its folder, as it was left, and waits for its socket.
    ///
    /// # Errors
    /// When there is no such host, or it ends early or is not ready in ten seconds.
    pub fn start_dataplane(&mut self, host: &str) -> Result<()> {
        let hosts = &self.lab.topology().hosts;
        let node = hosts.get(host).ok_or_else(|| unknown("host", host, hosts.keys()))?;
        let dir = self.state_dir(host)?;
        let socket = self.dataplane_socket(host);
        remove_stale_socket(&socket)?;
        let mut command = self.daemon(host, DATAPLANE)?;
        command.arg("run").arg("--state-dir").arg(&dir).arg("--socket").arg(&socket);
        command.args(["--name", host, "--host-uuid", &node.uuid.to_string()]);
        if let Some(supervisor) = &self.lab.topology().supervisor {
            let address = self.lab.management_address(supervisor)?;
            command.args(["--supervisor", &format!("http://{address}:{SUPERVISOR_PORT}")]);
        }
        for uplink in &node.uplinks {
            command.args(["--uplink", uplink]);
        }
        command.args(&self.dataplane_options);
        let mut process = Process::spawn(host, command, self.lab.dir())?;
        wait_listening(&mut process, &socket)?;
        self.dataplanes.insert(host.to_owned(), process);
        Ok(())
    }

    /// The running supervisor, to stop, kill or read its log.
    ///
    /// # Errors
    /// When it was never started.
    pub fn supervisor(&mut self) -> Result<&mut Process> {
        let none = || LabError::Unexpected("no supervisor was started".into());
        self.supervisor.as_mut().ok_or_else(none)
    }

    /// The running dataplane of a host.
    ///
    /// # Errors
    /// When it was never started.
    pub fn dataplane(&mut self, host: &str) -> Result<&mut Process> {
        let missing = unknown("running dataplane", host, self.dataplanes.keys());
        self.dataplanes.get_mut(host).ok_or(missing)
    }

    /// Fails, with the log, when a daemon that was started no longer runs.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] for the first one.
    pub fn check_running(&mut self) -> Result<()> {
        self.supervisor
            .iter_mut()
            .chain(self.dataplanes.values_mut())
            .try_for_each(|daemon| daemon.check_running())
    }

    /// Waits until the supervisor shows the host's module with a live session.
    ///
    /// # Errors
    /// [`LabError::Timeout`], with the table as it was last.
    pub fn wait_registered(&self, host: &str) -> Result<()> {
        wait_for_ok(format!("module {host}"), SOON, || {
            let table = self.show("module").map_err(|error| error.to_string())?;
            let found =
                rows(&table).any(|row| row["name"] == host && row["status"].as_str() == Some("ok"));
            if found { Ok(()) } else { Err(table.to_string()) }
        })
    }

    /// Waits until every module runs the last revision that concerns it.
    ///
    /// # Errors
    /// [`LabError::Timeout`], with the table as it was last.
    pub fn wait_in_sync(&self) -> Result<()> {
        self.lab.topology().hosts.keys().try_for_each(|host| self.wait_registered(host))
    }

    /// Runs the command line against the supervisor and gives what it printed.
    ///
    /// # Errors
    /// [`LabError::Command`] with what it printed on stderr.
    pub fn weft(&self, args: &[&str]) -> Result<String> {
        run_command(self.cli().args(args))
    }

    /// Runs the command line, whatever its exit code.
    ///
    /// # Errors
    /// Only when it cannot be started.
    pub fn try_weft(&self, args: &[&str]) -> Result<Output> {
        self.cli().args(args).output().map_err(LabError::io(format!("cannot start {CLI}")))
    }

    /// `weft show WORDS --json`.
    ///
    /// # Errors
    /// When the command fails or prints no JSON.
    pub fn show(&self, words: &str) -> Result<Value> {
        let mut args = vec!["show"];
        args.extend(words.split_whitespace());
        args.push("--json");
        let text = self.weft(&args)?;
        serde_json::from_str(&text).map_err(|error| {
            LabError::Unexpected(format!("`weft show {words} --json` is no JSON: {error}: {text}"))
        })
    }

    /// Applies a configuration file; gives what the command printed.
    ///
    /// # Errors
    /// With the problems that the supervisor found.
    pub fn apply(&self, file: &Path) -> Result<String> {
        self.weft(&["apply", &file.display().to_string()])
    }

    /// Applies a configuration.
    ///
    /// # Errors
    /// As [`Deployment::apply`].
    pub fn apply_text(&self, text: &str) -> Result<String> {
        let file = self.lab.dir().join("candidate.cfg");
        fs::write(&file, text).map_err(LabError::io("cannot write the configuration"))?;
        self.apply(&file)
    }

    /// Attaches all NICs of a VM to its host's dataplane, waits for them and configures the VM.
    ///
    /// # Errors
    /// When the dataplane refuses, or a NIC does not appear.
    pub fn attach(&self, vm: &str) -> Result<Vec<Attached>> {
        let vms = &self.lab.topology().vms;
        let node = vms.get(vm).ok_or_else(|| unknown("VM", vm, vms.keys()))?;
        let attached = node
            .system
            .nics
            .iter()
            .zip(&node.profiles)
            .map(|(nic, profile)| self.attach_nic(&node.host, vm, nic, profile))
            .collect::<Result<_>>()?;
        self.lab.configure(vm)?;
        Ok(attached)
    }

    /// Attaches one NIC of a VM to a host's dataplane, and waits until it is in the VM.
    ///
    /// # Errors
    /// As [`Deployment::attach`].
    pub fn attach_nic(&self, host: &str, vm: &str, nic: &Nic, profile: &str) -> Result<Attached> {
        let namespace = self.lab.ns(vm)?;
        let mut command = self.local(host, "attach")?;
        command.args(["--profile", profile, "--vm", vm, "--kind", "tap"]);
        command.args(["--netns", namespace.name(), "--ifname", &nic.name]);
        if let Some(mac) = nic.mac {
            command.args(["--mac", &mac.to_string()]);
        }
        if let Some(mtu) = nic.mtu {
            command.args(["--mtu", &mtu.to_string()]);
        }
        let output = run_command(&mut command)?;
        let mac = wait_for_ok(format!("{} in {vm}", nic.name), SOON, || {
            crate::link::mac(namespace, &nic.name)
        })?;
        Ok(Attached { output, mac })
    }

    /// Attaches an interface of the host itself as the NIC of a VM that the lab need not know.
    ///
    /// # Errors
    /// When the dataplane refuses.
    pub fn attach_afxdp(
        &self,
        host: &str,
        vm: &str,
        (interface, mac): (&str, MacAddr),
        profile: &str,
    ) -> Result<()> {
        let mut command = self.local(host, "attach")?;
        command.args(["--profile", profile, "--vm", vm, "--kind", "afxdp"]);
        run_command(command.args(["--ifname", interface, "--mac", &mac.to_string()])).map(drop)
    }

    /// Detaches all NICs of a VM.
    ///
    /// # Errors
    /// When the dataplane refuses.
    pub fn detach(&self, vm: &str) -> Result<()> {
        let vms = &self.lab.topology().vms;
        let node = vms.get(vm).ok_or_else(|| unknown("VM", vm, vms.keys()))?;
        node.system.nics.iter().try_for_each(|nic| self.detach_nic(&node.host, vm, &nic.name))
    }

    /// Detaches one NIC from a host's dataplane.
    ///
    /// # Errors
    /// When the dataplane refuses.
    pub fn detach_nic(&self, host: &str, vm: &str, nic: &str) -> Result<()> {
        let mut command = self.local(host, "detach")?;
        run_command(command.args(["--vm", vm, "--adapter", nic])).map(drop)
    }

    /// Runs a command of a host's administrator to the dataplane, whatever its exit code: the verb
    /// and its options without `--socket`.
    ///
    /// # Errors
    /// Only when it cannot be started.
    pub fn try_local(&self, host: &str, verb: &str, args: &[&str]) -> Result<Output> {
        let action = || format!("cannot start {DATAPLANE}");
        self.local(host, verb)?.args(args).output().map_err(LabError::io(action()))
    }

    /// `weft-dataplane status --json` on a host.
    ///
    /// # Errors
    /// When the dataplane does not answer, or prints no JSON.
    pub fn status(&self, host: &str) -> Result<Value> {
        let text = run_command(self.local(host, "status")?.arg("--json"))?;
        serde_json::from_str(&text).map_err(|error| {
            LabError::Unexpected(format!("status of {host} is no JSON: {error}: {text}"))
        })
    }

    /// Folder in which a daemon keeps its state: it survives a restart of the daemon.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn state_dir(&self, node: &str) -> Result<PathBuf> {
        let dir = self.lab.dir().join(node);
        fs::create_dir_all(&dir).map_err(LabError::io(format!("cannot make {}", dir.display())))?;
        Ok(dir)
    }

    /// The local socket of a host's dataplane.
    pub fn dataplane_socket(&self, host: &str) -> PathBuf {
        self.lab.dir().join(host).join("dataplane.sock")
    }

    /// The supervisor's admin socket.
    pub fn admin_socket(&self) -> PathBuf {
        self.lab.dir().join("admin.sock")
    }

    /// `weft` with the supervisor's address and no words yet.
    pub fn cli(&self) -> Command {
        let mut command = Command::new(self.programs.path(CLI));
        command.args(["--server", &unix(&self.admin_socket())]);
        command
    }

    /// A command of the host's administrator to the dataplane, run on the host.
    fn local(&self, host: &str, verb: &str) -> Result<Command> {
        let mut command = self.lab.ns(host)?.command(self.programs.path(DATAPLANE));
        command.arg(verb).arg("--socket").arg(self.dataplane_socket(host));
        Ok(command)
    }
}

/// The rows of a table in JSON: an array, or the array of an object that has the most rows (beside
/// it may stand a list of sentences).
pub fn rows(table: &Value) -> impl Iterator<Item = &Value> {
    let array = match table {
        Value::Object(fields) => {
            let rows = |array: &&Vec<Value>| array.iter().filter(|row| row.is_object()).count();
            fields.values().filter_map(Value::as_array).max_by_key(rows)
        }
        other => other.as_array(),
    };
    array.into_iter().flatten()
}

fn unix(socket: &Path) -> String {
    format!("unix:{}", socket.display())
}

/// A killed daemon leaves its socket's file: without this, "it is there" would mean nothing.
fn remove_stale_socket(socket: &Path) -> Result<()> {
    match fs::remove_file(socket) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(LabError::io(format!("cannot remove {}", socket.display()))(error))
        }
        _ => Ok(()),
    }
}

fn wait_listening(process: &mut Process, socket: &Path) -> Result<()> {
    let what = format!("{} to listen on {}", process.name(), socket.display());
    wait_for_ok(what, SOON, || match process.check_running() {
        // Ended: no use to wait longer.
        Err(ended) => Ok(Err(ended)),
        Ok(()) => UnixStream::connect(socket).map(|_| Ok(())),
    })?
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn rows_are_found_bare_and_wrapped() {
        assert_eq!(rows(&json!([1, 2])).count(), 2);
        assert_eq!(rows(&json!({ "revision": 7, "modules": [{}, {}, {}] })).count(), 3);
        assert_eq!(rows(&json!("nothing")).count(), 0);
        assert_eq!(rows(&json!({ "duplicates": ["a"], "entries": [{}, {}] })).count(), 2);
    }

    #[test]
    fn programs_are_looked_for_beside_this_one_or_above_deps() {
        let dir = build_dir().unwrap();
        assert!(!dir.ends_with("deps"), "{}", dir.display());
        assert!(env::current_exe().unwrap().starts_with(&dir));
    }
}
