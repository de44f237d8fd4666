//! A guest: a whole Linux of its own kernel, in QEMU, wired to interfaces of the lab.
//!
//! *Why:* the bonding driver, the kernel's 802.3ad, is a partner that our port-channels meet in the
//! field, and the kernels that tests run on need not have it. Debian's does.
//!
//! *Where it sits:* beside [`crate::switch`], on the far end of uplinks. From the floor up:
//! [`cpio`] and [`image`] (what it boots), `machine` and `qmp` (QEMU and its monitor), [`agent`]
//! (commands), [`relay`] (the wires of its NICs), [`bond`] (the bonding driver).
//!
//! *Invariants*
//! 1. Plain emulation (TCG): a boot takes some three seconds anywhere, with or without KVM.
//! 2. NIC `n`, in the order of [`GuestConfig::nic`], is `eth<n>` in the guest, with the MAC address
//!    of [`Guest::mac`]. No offload is on: a frame of the guest is a frame of the wire.
//! 3. QEMU runs in a namespace of its own, without interfaces, and ends with its [`Guest`]; what a
//!    killed test leaves behind is ended by [`crate::netns::sweep_stale`].
//!
//! ```no_run
//! use std::time::Duration;
//! use tests::guest::bond::{BondConfig, LacpRate};
//! use tests::guest::{Guest, GuestConfig};
//! # fn test(wire: &tests::netns::Namespace) -> Result<(), tests::error::LabError> {
//! // `p1` and `p2` are the far ends of two uplinks' cables.
//! let guest = Guest::boot(GuestConfig::new("partner").nic(wire, "p1").nic(wire, "p2"))?;
//! guest.bond(&BondConfig { lacp_rate: LacpRate::Fast, ..BondConfig::lacp("bond0", &[0, 1]) })?;
//! guest.vlan("bond0", 10, Some("10.0.0.9/24"))?;
//! guest.wait_bond("bond0", Duration::from_secs(10), |bond| bond.aggregated().len() == 2)?;
//! println!("{}", guest.sh("ping -c 1 10.0.0.1")?);
//! # Ok(())
//! # }
//! ```

pub mod agent;
pub mod bond;
pub mod cpio;
pub mod image;
pub mod relay;

mod machine;
mod qmp;

use std::fs;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use proto::MacAddr;
use serde_json::json;
use tempfile::TempDir;

use self::agent::Agent;
pub use self::agent::Output;
use self::machine::{Machine, Running};
use self::qmp::Qmp;
use self::relay::Relay;
pub use self::relay::{Pass, Way, WayCounters};
use crate::error::{LabError, Result};
use crate::netns::{Namespace, run_command};
use crate::packet::{Hear, PacketSocket};
use crate::process::Process;
use crate::wait::wait_for_ok;

/// How long a boot may take; it takes three seconds on an idle machine.
const BOOT_DEADLINE: Duration = Duration::from_secs(120);

/// How long commands in the guest may take if nothing else is said.
const RUN_LIMIT: Duration = Duration::from_secs(30);

/// How much of the console an error shows.
const CONSOLE_TAIL_BYTES: usize = 3_000;

/// What `init.sh` prints when it takes commands.
const READY: &str = "guest: ready";

/// What the console has when a boot has failed: of the kernel, of `init.sh`.
const FAILURES: [&str; 2] = ["Kernel panic", "guest: cannot load"];

/// Number of guests of this process so far: part of their MAC addresses.
static NEXT: AtomicU16 = AtomicU16::new(0);

/// A guest to boot.
#[derive(Debug)]
pub struct GuestConfig<'a> {
    name: String,
    nics: Vec<Option<(&'a Namespace, String)>>,
    mtu: u16,
    memory_mib: u16,
    modules: Vec<String>,
    programs: Vec<String>,
}

impl<'a> GuestConfig<'a> {
    /// A guest without NICs; its name is for messages and logs.
    pub fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            nics: Vec::new(),
            mtu: 1500,
            memory_mib: 256,
            modules: Vec::new(),
            programs: Vec::new(),
        }
    }

    /// Adds a NIC, wired to an interface. Give the far end of a cable, not the interface that the
    /// product uses: what the interface receives goes to the guest.
    #[must_use]
    pub fn nic(mut self, namespace: &'a Namespace, interface: &str) -> Self {
        self.nics.push(Some((namespace, interface.to_owned())));
        self
    }

    /// Adds a NIC whose wire ends nowhere until [`Guest::plug`].
    #[must_use]
    pub fn loose_nic(mut self) -> Self {
        self.nics.push(None);
        self
    }

    /// MTU that the NICs have and allow; 1500 if not said.
    #[must_use]
    pub fn mtu(mut self, mtu: u16) -> Self {
        self.mtu = mtu;
        self
    }

    /// Loads one more module at boot (`bridge`, `openvswitch`), with its parameters behind a blank.
    #[must_use]
    pub fn module(mut self, module: &str) -> Self {
        self.modules.push(module.to_owned());
        self
    }

    /// Gives the guest a program of this machine (`iperf3`, or a path) with its libraries.
    #[must_use]
    pub fn program(mut self, program: &str) -> Self {
        self.programs.push(program.to_owned());
        self
    }
}

/// Whose carrier is to go or to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// The NIC in the guest: what its bonding driver sees by `miimon`.
    Guest,
    /// The lab's side: the far end of the cable goes down, so the uplink loses its carrier.
    Lab,
    /// Both: the cable is pulled.
    Both,
}

/// A running guest; dropping it ends QEMU.
#[derive(Debug)]
pub struct Guest {
    name: String,
    // In the order in which they are to end.
    nics: Vec<Nic>,
    agent: Mutex<Agent>,
    qmp: Mutex<Qmp>,
    process: Mutex<Process>,
    machine: Machine,
    _dir: TempDir,
}

#[derive(Debug)]
struct Nic {
    mac: MacAddr,
    wire: Mutex<Wire>,
}

#[derive(Debug)]
struct Wire {
    relay: Relay,
    /// Namespace and interface that it is plugged into.
    place: Option<(String, String)>,
    /// Whether the NIC in the guest has its carrier.
    guest_carrier: bool,
}

impl Guest {
    /// Boots a guest and waits until it takes commands.
    ///
    /// # Errors
    /// When `make setup` was not run, an interface is not there, or the boot takes longer than two
    /// minutes; then with the end of the console.
    pub fn boot(config: GuestConfig<'_>) -> Result<Self> {
        let dir = tempfile::tempdir().map_err(LabError::io("cannot make a folder for a guest"))?;
        let number = NEXT.fetch_add(1, Ordering::Relaxed).to_be_bytes();
        let macs: Vec<_> = (0_u8..)
            .take(config.nics.len())
            .map(|index| MacAddr::new([0x02, 0x67, number[0], number[1], 0, index]))
            .collect();
        let machine = Machine::new(&config.name, config.memory_mib, &macs, config.mtu, dir.path())?;
        let initrd = image::initrd(&config.modules, &config.programs)?;
        fs::write(dir.path().join("initrd"), initrd)
            .map_err(LabError::io(format!("cannot write the initrd of {}", config.name)))?;
        let sockets = machine.sockets(macs.len())?;
        let Running { process, qmp, agent } = machine.start()?;
        let mut nics = Vec::new();
        for (index, (socket, mac)) in sockets.into_iter().zip(macs).enumerate() {
            let place = config.nics[index].as_ref();
            let interface =
                place.map(|(namespace, interface)| open(namespace, interface)).transpose()?;
            let relay = Relay::start(socket, &machine.nic_socket(index), interface)?;
            let place = place.map(|(ns, interface)| (ns.name().to_owned(), interface.clone()));
            nics.push(Nic { mac, wire: Mutex::new(Wire { relay, place, guest_carrier: true }) });
        }
        let guest = Self {
            name: config.name,
            nics,
            agent: Mutex::new(agent),
            qmp: Mutex::new(qmp),
            process: Mutex::new(process),
            machine,
            _dir: dir,
        };
        guest.wait_ready()?;
        Ok(guest)
    }

    /// Name of the guest.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Runs shell commands (dash, with iproute2 and busybox) for at most 30 seconds, whatever
    /// their exit code. Each call is a new shell; what it leaves in the background stays.
    ///
    /// # Errors
    /// When the guest does not answer.
    pub fn run(&self, commands: &str) -> Result<Output> {
        self.run_for(commands, RUN_LIMIT)
    }

    /// As [`Guest::run`], killed after `limit` (exit code 137; rounded up to whole seconds).
    ///
    /// # Errors
    /// When the guest does not answer.
    pub fn run_for(&self, commands: &str, limit: Duration) -> Result<Output> {
        lock(&self.process).check_running()?;
        lock(&self.agent).run(commands, limit)
    }

    /// Runs shell commands that must succeed, each of them (`set -e`), and gives their stdout.
    ///
    /// # Errors
    /// [`LabError::Command`] with their stderr.
    pub fn sh(&self, commands: &str) -> Result<String> {
        let output = self.run(&format!("set -e\n{commands}"))?;
        if output.code == 0 {
            return Ok(output.stdout);
        }
        let stderr = output.stderr.trim();
        Err(LabError::Command {
            command: format!("{}: {commands}", self.name),
            status: format!("exit code {}", output.code),
            stderr: if stderr.is_empty() { output.stdout } else { stderr.to_owned() },
        })
    }

    /// What the kernel and the first process have printed since the last start.
    pub fn console(&self) -> String {
        self.machine.console()
    }

    /// The MAC address that a NIC was made with; the bonding driver gives its members that of the
    /// first one while they are members.
    ///
    /// # Panics
    /// When there is no such NIC; so all functions below.
    pub fn mac(&self, nic: usize) -> MacAddr {
        self.nics[nic].mac
    }

    /// Opens or closes one direction of a NIC's wire.
    pub fn pass(&self, nic: usize, way: Way, pass: Pass) {
        lock(&self.nics[nic].wire).relay.set(way, pass);
    }

    /// Counters of one direction of a NIC's wire.
    pub fn counters(&self, nic: usize, way: Way) -> WayCounters {
        lock(&self.nics[nic].wire).relay.counters(way)
    }

    /// Plugs the wire of a NIC into another interface; carriers stay as they are.
    ///
    /// # Errors
    /// When there is no such interface.
    pub fn plug(&self, nic: usize, namespace: &Namespace, interface: &str) -> Result<()> {
        let mut wire = lock(&self.nics[nic].wire);
        let socket = open(namespace, interface)?;
        wire.relay.plug(Some(socket))?;
        wire.place = Some((namespace.name().to_owned(), interface.to_owned()));
        Ok(())
    }

    /// Takes the wire of a NIC out of its interface; carriers stay as they are.
    ///
    /// # Errors
    /// When the wire's thread has failed.
    pub fn unplug(&self, nic: usize) -> Result<()> {
        let mut wire = lock(&self.nics[nic].wire);
        wire.place = None;
        wire.relay.plug(None)
    }

    /// Takes the carrier from one end of a NIC's wire or from both, or gives it back.
    ///
    /// # Errors
    /// When the lab's end is meant and the wire is not plugged in.
    pub fn set_carrier(&self, nic: usize, end: End, on: bool) -> Result<()> {
        if end != End::Guest {
            let place = lock(&self.nics[nic].wire).place.clone();
            let (namespace, interface) = place.ok_or_else(|| {
                LabError::Unexpected(format!("NIC {nic} of {} is not plugged in", self.name))
            })?;
            let state = if on { "up" } else { "down" };
            let args = ["-n", &namespace, "link", "set", "dev", &interface, state];
            run_command(Command::new("ip").args(args))?;
        }
        if end != End::Lab {
            lock(&self.nics[nic].wire).guest_carrier = on;
            self.set_link(nic, on)?;
        }
        Ok(())
    }

    fn set_link(&self, nic: usize, up: bool) -> Result<()> {
        let arguments = json!({ "name": format!("nic{nic}"), "up": up });
        lock(&self.qmp).execute("set_link", &arguments).map(drop)
    }

    /// Switches the guest off and on, and waits until it takes commands again: bonds, addresses
    /// and processes are gone; wires, gates and carriers are as before (the lab's end of a wire
    /// does not lose its carrier).
    ///
    /// A reset by QEMU would take three times as long: while the kernel is unpacked over code that
    /// was translated, each page is given up word by word.
    ///
    /// # Errors
    /// As [`Guest::boot`].
    pub fn restart(&self) -> Result<()> {
        lock(&self.process).kill9()?;
        let Running { process, qmp, agent } = self.machine.start()?;
        *lock(&self.process) = process;
        *lock(&self.qmp) = qmp;
        *lock(&self.agent) = agent;
        for (index, nic) in self.nics.iter().enumerate() {
            let mut wire = lock(&nic.wire);
            wire.relay.reconnect(&self.machine.nic_socket(index))?;
            if !wire.guest_carrier {
                self.set_link(index, false)?;
            }
        }
        self.wait_ready()
    }

    /// Holds the guest's processor, or lets it go on: a partner that is silent and keeps its
    /// carrier. Commands wait until it goes on.
    ///
    /// # Errors
    /// When QEMU does not answer.
    pub fn pause(&self, paused: bool) -> Result<()> {
        let command = if paused { "stop" } else { "cont" };
        lock(&self.qmp).execute(command, &json!({})).map(drop)
    }

    /// Waits for the end of a boot, brings the NICs up, and sees that they are those of
    /// invariant 2.
    fn wait_ready(&self) -> Result<()> {
        let result = wait_for_ok(format!("the boot of {}", self.name), BOOT_DEADLINE, || {
            if let Err(ended) = lock(&self.process).check_running() {
                return Ok(Err(ended));
            }
            let console = self.console();
            if FAILURES.iter().any(|failure| console.contains(failure)) {
                return Ok(Err(LabError::Unexpected("the guest has failed".to_owned())));
            }
            if console.contains(READY) { Ok(Ok(())) } else { Err("no answer yet") }
        });
        result.and_then(|inner| inner).map_err(|error| {
            let console = self.console();
            let start =
                console.floor_char_boundary(console.len().saturating_sub(CONSOLE_TAIL_BYTES));
            let tail = &console[start..];
            LabError::Unexpected(format!("{error}\nend of the console of {}:\n{tail}", self.name))
        })?;
        for (index, nic) in self.nics.iter().enumerate() {
            let set_up =
                format!("cat /sys/class/net/eth{index}/address; ip link set eth{index} up");
            let address = self.sh(&set_up)?;
            if address.trim() != nic.mac.to_string() {
                let message = format!("eth{index} of {} has the address {address}", self.name);
                return Err(LabError::Unexpected(message));
            }
        }
        Ok(())
    }
}

fn open(namespace: &Namespace, interface: &str) -> Result<PacketSocket> {
    PacketSocket::open(namespace, interface, Hear::Incoming)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing behind these locks is left half done by a panic of a test's thread.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
