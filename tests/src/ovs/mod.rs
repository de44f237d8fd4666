//! Open vSwitch: a partner of our port-channels that people do run upstream, with its own LACP and
//! its own bonding.
//!
//! *Where it sits:* beside [`crate::switch`] and [`crate::guest`], on the far end of uplinks: one
//! bridge with the datapath in user space (`datapath_type=netdev`), whose ports are veth ends in a
//! namespace of the lab. `packaging/setup.sh` unpacks Debian's programs ([`tools_dir`]). What they
//! tell about LACP and the bond is read by `show`.
//!
//! *Invariants*
//! 1. Its database, its sockets and its logs are its own; nothing of this machine's Open vSwitch,
//!    if it has one, is touched, and no kernel module is used.
//! 2. Its daemons end with it, by their pids; what a killed test leaves behind is ended with its
//!    namespace ([`crate::netns::sweep_stale`]).
//! 3. A configuration has been taken over when the function that made it returns.
//!
//! ```no_run
//! use std::collections::BTreeSet;
//! use tests::ovs::{BondConfig, OpenVswitch};
//! use tests::switch::PortMode;
//! # fn test(lab: &tests::lab::Lab) -> Result<(), tests::error::LabError> {
//! # let vlan = proto::VlanId::new(10_u16).expect("a VLAN");
//! // `tor` is a node of kind `pc` with the NICs `p1` and `p2`, far ends of two uplinks.
//! let ovs = OpenVswitch::start(lab.ns("tor")?, lab.dir())?;
//! let trunk = PortMode::Trunk { allowed: BTreeSet::from([vlan]), native: None };
//! ovs.add_bond("bond0", &["p1", "p2"], &BondConfig::lacp(trunk))?;
//! let pc = ovs.end_host("pc", vlan, "10.0.0.9/24")?;
//! ovs.wait_lacp("bond0", tests::wait::SOON, |lacp| lacp.carrying().len() == 2)?;
//! tests::traffic::wait_ping(&pc, "10.0.0.1".parse().expect("an address"))?;
//! # Ok(())
//! # }
//! ```

mod bond;
mod setup;
mod show;
#[cfg(test)]
mod tests;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use proto::VlanId;

pub use self::bond::{BondConfig, BondMode, Lacp, LacpTime, MemberConfig};
pub use self::setup::Setup;
pub use self::show::{
    BondMember, BondStatus, LacpCounters, LacpFlag, LacpMember, LacpPort, LacpStatus, Negotiation,
    Receive,
};
use crate::error::{LabError, Result};
use crate::link;
use crate::netns::{Namespace, run_command};
use crate::priority::favour_process;
use crate::process::Process;
use crate::switch::PortMode;
use crate::wait::{SOON, wait_for_ok};

/// The one bridge.
pub const BRIDGE: &str = "br0";

/// MTU of the cables to end hosts.
const END_HOST_MTU: u16 = 1500;

/// How long `ovs-vsctl` waits for the switch to take a configuration over, in seconds.
const TAKE_OVER_SECONDS: &str = "--timeout=10";

/// Number of switches of this process so far: part of their folders and addresses.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// The folder in which `packaging/setup.sh` has put the programs.
pub fn tools_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/openvswitch")
}

/// A running switch with one bridge, [`BRIDGE`]; it ends on drop.
#[derive(Debug)]
pub struct OpenVswitch {
    // Field order is drop order: the switch ends before its database.
    switch: Option<Process>,
    database: Process,
    namespace: Namespace,
    setup: Setup,
    /// Database and sockets.
    dir: PathBuf,
    log_dir: PathBuf,
    end_hosts: AtomicU16,
}

impl OpenVswitch {
    /// Starts the daemons in a namespace, with a bridge that has no ports yet and learns addresses.
    /// Logs and sockets are put into `dir`, usually that of the lab.
    ///
    /// # Errors
    /// When `make setup` was not run, or a daemon does not come up.
    pub fn start(namespace: &Namespace, dir: &Path) -> Result<Self> {
        Self::start_as(namespace, dir, Setup::default())
    }

    /// Starts the daemons as [`OpenVswitch::start`] does, with settings of the caller.
    ///
    /// # Errors
    /// As [`OpenVswitch::start`].
    pub fn start_as(namespace: &Namespace, dir: &Path, setup: Setup) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let log_dir = dir.to_owned();
        let dir = dir.join(format!("ovs{number}"));
        fs::create_dir_all(&dir).map_err(LabError::io(format!("cannot make {}", dir.display())))?;
        let mut create = Command::new(program("ovsdb-tool")?);
        create.arg("create").arg(dir.join("conf.db")).arg(program("vswitch.ovsschema")?);
        run_command(&mut create)?;
        let mut command = daemon(namespace, "ovsdb-server", &dir)?;
        command.arg(format!("--remote=punix:{}", dir.join("db.sock").display()));
        command.arg(format!("--unixctl={}", dir.join("db.ctl").display()));
        command.arg(dir.join("conf.db"));
        let mut ovs = Self {
            switch: None,
            database: Process::spawn("ovsdb-server", command, &log_dir)?,
            namespace: namespace.share(),
            setup,
            dir,
            log_dir,
            end_hosts: AtomicU16::new(0),
        };
        ovs.wait_database()?;
        if !ovs.setup.other_config.is_empty() {
            // Some settings are read at the daemon's start and never again.
            let columns = ovs.setup.other_config.iter().map(|set| format!("other_config:{set}"));
            let mut args = ["--no-wait", "set", "Open_vSwitch", "."].map(str::to_owned).to_vec();
            args.extend(columns);
            ovs.vsctl(&args)?;
        }
        ovs.start_vswitchd()?;
        // A fixed address: it is the default of a bond's system id, and outlives a restart.
        let [high, low] = number.to_be_bytes();
        let address = format!("other_config:hwaddr=\"02:6f:76:73:{high:02x}:{low:02x}\"");
        let netdev = "datapath_type=netdev";
        ovs.vsctl(&["add-br", BRIDGE, "--", "set", "bridge", BRIDGE, netdev, &address])?;
        Ok(ovs)
    }

    /// The namespace whose interfaces are its ports.
    pub fn ns(&self) -> &Namespace {
        &self.namespace
    }

    /// Adds an interface of the namespace as a port of its own.
    ///
    /// # Errors
    /// With the words of `ovs-vsctl`; so all functions that configure.
    pub fn add_port(&self, interface: &str, mode: &PortMode) -> Result<()> {
        let mut args = vec!["add-port", BRIDGE, interface, "--", "set", "port", interface];
        let columns = bond::vlan_columns(mode);
        args.extend(columns.iter().map(String::as_str));
        self.vsctl(&args).map(drop)?;
        self.check_interfaces(&[interface])
    }

    /// Adds a port of any type: `columns` are those of its interface, such as `type=afxdp`.
    pub fn add_interface(&self, port: &str, columns: &[&str]) -> Result<()> {
        let args = ["add-port", BRIDGE, port, "--", "set", "interface", port];
        self.vsctl(&[&args, columns].concat())?;
        self.check_interfaces(&[port])
    }

    /// Makes these the only flows of the bridge, one a line in the language of ovs-ofctl(8), and
    /// lets no frame pass that none of them matches.
    pub fn set_flows(&self, flows: &str) -> Result<()> {
        self.vsctl(&["set", "bridge", BRIDGE, "fail_mode=secure"])?;
        let file = self.dir.join("flows");
        fs::write(&file, flows).map_err(LabError::io("cannot write the flows"))?;
        let management = self.dir.join(format!("{BRIDGE}.mgmt"));
        let mut command = Command::new(program("ovs-ofctl")?);
        command.arg("replace-flows").arg(format!("unix:{}", management.display())).arg(file);
        run_command(&mut command).map(drop)
    }

    /// Adds a bond of interfaces of the namespace; of one alone, it is a port that speaks LACP.
    pub fn add_bond(&self, bond: &str, members: &[&str], config: &BondConfig) -> Result<()> {
        let mut args: Vec<String> = Vec::new();
        let mut references = Vec::new();
        for (number, member) in members.iter().enumerate() {
            let id = format!("--id=@i{number}");
            args.extend(
                [&id, "create", "interface", &format!("name={member}"), "--"].map(Into::into),
            );
            references.push(format!("@i{number}"));
        }
        let (name, interfaces) =
            (format!("name={bond}"), format!("interfaces=[{}]", references.join(",")));
        args.extend(["--id=@bond", "create", "port", &name, &interfaces].map(Into::into));
        args.extend(config.columns());
        args.extend(["--", "add", "bridge", BRIDGE, "ports", "@bond"].map(Into::into));
        self.vsctl(&args)?;
        self.check_interfaces(members)
    }

    /// Changes a bond; what `config` does not say goes back to its default.
    pub fn set_bond(&self, bond: &str, config: &BondConfig) -> Result<()> {
        let mut args = ["set", "port", bond].map(str::to_owned).to_vec();
        args.extend(config.columns());
        self.vsctl(&args).map(drop)
    }

    /// Has it decide anew on every flow. Version 3.1 may keep a flow on the member that was active
    /// before the bond was changed, for as long as the flow is in use.
    pub fn purge_flows(&self) -> Result<()> {
        self.appctl(&["revalidator/purge"]).map(drop)
    }

    /// Changes what LACP says of one member; what `config` does not say goes back to its default.
    pub fn set_member(&self, interface: &str, config: &MemberConfig) -> Result<()> {
        self.vsctl(&["set", "interface", interface, &config.column()]).map(drop)
    }

    /// Adds an interface to a bond.
    pub fn add_member(&self, bond: &str, interface: &str) -> Result<()> {
        self.vsctl(&["add-bond-iface", bond, interface])?;
        self.check_interfaces(&[interface])
    }

    /// Takes an interface out of its bond. One member has to stay.
    pub fn remove_member(&self, interface: &str) -> Result<()> {
        self.vsctl(&["del-bond-iface", interface]).map(drop)
    }

    /// Moves an interface from its bond to another, in one step.
    pub fn move_member(&self, interface: &str, bond: &str) -> Result<()> {
        self.vsctl(&["del-bond-iface", interface, "--", "add-bond-iface", bond, interface])?;
        self.check_interfaces(&[interface])
    }

    /// Removes a port, or a bond with its members.
    pub fn remove_port(&self, port: &str) -> Result<()> {
        self.vsctl(&["del-port", BRIDGE, port]).map(drop)
    }

    /// Makes an end host behind the switch: a namespace whose `eth0` is in a VLAN, by an access
    /// port, and has an address with its prefix length (`10.0.0.9/24`).
    ///
    /// # Errors
    /// As [`link::cable`].
    pub fn end_host(&self, label: &str, vlan: VlanId, address: &str) -> Result<Namespace> {
        let number = self.end_hosts.fetch_add(1, Ordering::Relaxed);
        let port = format!("host{number}");
        let host = Namespace::create(label)?;
        link::cable((&host, "eth0"), (&self.namespace, &port), END_HOST_MTU)?;
        if address.contains(':') {
            host.enable_ipv6()?;
        }
        link::add_address(&host, "eth0", address)?;
        self.add_port(&port, &PortMode::Access(vlan))?;
        Ok(host)
    }

    /// What LACP knows of a bond.
    ///
    /// # Errors
    /// When the bond is not there or speaks no LACP, or its answer cannot be read.
    pub fn lacp(&self, bond: &str) -> Result<LacpStatus> {
        show::read_lacp(&self.appctl(&["lacp/show", bond])?)
    }

    /// What LACP counted on a member of a bond.
    ///
    /// # Errors
    /// As [`OpenVswitch::lacp`], and when it has no such member.
    pub fn lacp_counters(&self, bond: &str, member: &str) -> Result<LacpCounters> {
        show::read_lacp_counters(&self.appctl(&["lacp/show-stats", bond])?, member)
    }

    /// How a bond of at least two members distributes.
    ///
    /// # Errors
    /// When the bond is not there, or its answer cannot be read.
    pub fn bond(&self, bond: &str) -> Result<BondStatus> {
        show::read_bond(&self.appctl(&["bond/show", bond])?)
    }

    /// Waits until LACP on a bond is as it should be.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what it is instead.
    pub fn wait_lacp(
        &self,
        bond: &str,
        deadline: Duration,
        mut good: impl FnMut(&LacpStatus) -> bool,
    ) -> Result<LacpStatus> {
        wait_for_ok(format!("LACP on {bond}"), deadline, || match self.lacp(bond) {
            Ok(status) if good(&status) => Ok(status),
            Ok(status) => Err(format!("{status:#?}")),
            Err(error) => Err(error.to_string()),
        })
    }

    /// Waits until a bond is as it should be.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with what it is instead.
    pub fn wait_bond(
        &self,
        bond: &str,
        deadline: Duration,
        mut good: impl FnMut(&BondStatus) -> bool,
    ) -> Result<BondStatus> {
        wait_for_ok(bond, deadline, || match self.bond(bond) {
            Ok(status) if good(&status) => Ok(status),
            Ok(status) => Err(format!("{status:#?}")),
            Err(error) => Err(error.to_string()),
        })
    }

    /// The daemon that forwards and speaks LACP, to be stopped, continued or killed.
    ///
    /// # Errors
    /// When it is not running.
    pub fn vswitchd(&mut self) -> Result<&mut Process> {
        self.switch.as_mut().ok_or_else(|| LabError::Unexpected("no ovs-vswitchd runs".to_owned()))
    }

    /// Ends the daemon; the links keep their carriers, and the partner hears nothing more.
    ///
    /// # Errors
    /// When it does not end in five seconds.
    pub fn stop_vswitchd(&mut self) -> Result<()> {
        self.vswitchd()?.terminate()?;
        self.switch = None;
        Ok(())
    }

    /// Ends the daemon so that it takes its ports away: ended by a signal, it leaves the interfaces
    /// that it made and the XDP programs that it attached.
    ///
    /// # Errors
    /// When it is not running, or does not end in ten seconds.
    pub fn leave(&mut self) -> Result<()> {
        self.vswitchd()?.check_running()?;
        self.appctl(&["exit", "--cleanup"])?;
        self.vswitchd()?.wait_exit(SOON)?;
        self.switch = None;
        Ok(())
    }

    /// Starts the daemon after [`OpenVswitch::stop_vswitchd`] or a kill, with the configuration
    /// that it had.
    ///
    /// # Errors
    /// When it does not take its configuration over within ten seconds.
    pub fn start_vswitchd(&mut self) -> Result<()> {
        self.switch = None;
        let mut command = match &self.setup.program {
            None => daemon(&self.namespace, "ovs-vswitchd", &self.dir)?,
            Some(program) => in_own_folders(self.namespace.command(program), &self.dir),
        };
        command.envs(self.setup.environment.iter().map(|(name, value)| (name, value)));
        command.arg(format!("--unixctl={}", self.dir.join("switch.ctl").display()));
        command.arg(self.remote());
        self.switch = Some(Process::spawn("ovs-vswitchd", command, &self.log_dir)?);
        // Few threads are enough for a lab; any change waits until the daemon has taken all over.
        let few = ["other_config:n-handler-threads=1", "other_config:n-revalidator-threads=1"];
        let pid = self.vswitchd()?.pid();
        let started = format!("external_ids:lab-pid={pid}");
        self.vsctl(&["set", "Open_vSwitch", ".", few[0], few[1], &started])?;
        if self.setup.favoured {
            favour_process(pid);
        }
        Ok(())
    }

    /// Ends the daemon and starts it again.
    ///
    /// # Errors
    /// As [`OpenVswitch::stop_vswitchd`] and [`OpenVswitch::start_vswitchd`].
    pub fn restart_vswitchd(&mut self) -> Result<()> {
        self.stop_vswitchd()?;
        self.start_vswitchd()
    }

    /// Runs `ovs-vsctl` on its database, for what has no function here, and waits until the daemon
    /// has taken the change over.
    ///
    /// # Errors
    /// With its words.
    pub fn vsctl<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> Result<String> {
        let mut command = Command::new(program("ovs-vsctl")?);
        command.args([format!("--db={}", self.remote()), TAKE_OVER_SECONDS.to_owned()]).args(args);
        run_command(&mut command)
    }

    /// Runs `ovs-appctl` on the daemon that forwards: `fdb/show`, `coverage/show`, ...
    ///
    /// # Errors
    /// With its words.
    pub fn appctl(&self, args: &[&str]) -> Result<String> {
        let mut command = Command::new(program("ovs-appctl")?);
        command
            .arg("--target")
            .arg(self.dir.join("switch.ctl"))
            .args([TAKE_OVER_SECONDS])
            .args(args);
        run_command(&mut command)
    }

    fn remote(&self) -> String {
        format!("unix:{}", self.dir.join("db.sock").display())
    }

    /// Waits for the database, and makes its only row.
    fn wait_database(&mut self) -> Result<()> {
        wait_for_ok("ovsdb-server", SOON, || {
            self.database.check_running().map_err(|error| error.to_string())?;
            self.vsctl(&["--no-wait", "init"]).map_err(|error| error.to_string())
        })
        .map(drop)
    }

    /// Fails when the switch could not open an interface: the database takes any name.
    fn check_interfaces(&self, interfaces: &[&str]) -> Result<()> {
        for interface in interfaces {
            let error = self.vsctl(&["get", "interface", interface, "error"])?;
            if error.trim() != "[]" {
                return Err(LabError::Unexpected(format!(
                    "Open vSwitch cannot use {interface} in {}: {}",
                    self.namespace.name(),
                    error.trim()
                )));
            }
        }
        Ok(())
    }
}

/// One of the unpacked files.
fn program(name: &str) -> Result<PathBuf> {
    let path = tools_dir().join(name);
    if path.is_file() {
        return Ok(path);
    }
    let message = format!("no {} for Open vSwitch: run `make setup`", path.display());
    Err(LabError::Unexpected(message))
}

/// A daemon in the namespace, with what it would put into the system's folders in one of its own.
fn daemon(namespace: &Namespace, name: &str, dir: &Path) -> Result<Command> {
    Ok(in_own_folders(namespace.command(program(name)?), dir))
}

fn in_own_folders(mut command: Command, dir: &Path) -> Command {
    for folder in ["OVS_RUNDIR", "OVS_LOGDIR", "OVS_DBDIR", "OVS_SYSCONFDIR"] {
        command.env(folder, dir);
    }
    command
}
