//! The thread that speaks with the physical switches: LACP, LLDP and CDP on every uplink.
//!
//! *Where it sits:* the control thread says which uplinks there are and which have carrier; this
//! thread hears and sends their control frames by sockets of its own, runs the sans-IO machines
//! ([`crate::lacp`], [`crate::neighbor`]), and tells which members may carry data. Workers have no
//! part in it, so a data plane under overload loses no LACPDU to a full queue, and neither does a
//! control thread that builds a large snapshot delay one.
//!
//! *Invariants:* (1) it needs no supervisor; (2) it never waits for another thread; (3) everything
//! that is shown is one immutable value, replaced as a whole ([`Seen`]).

mod nic;
mod speaker;

use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Instant;

use arc_swap::ArcSwap;
use crossbeam::channel::{Sender, bounded};
use nix::sys::eventfd::{EfdFlags, EventFd};
use policy::teaming::Channel;
use proto::HostId;
use proto::frame::lacp::SystemId;
use tracing::error;

use self::speaker::Speaker;
use crate::lacp::{GroupStatus, PortStatus};
use crate::neighbor::Neighbor;
use crate::notice::Notice;

/// Orders that may wait. Each is taken at once, so this is never full for long.
const COMMANDS_MAX: usize = 256;

/// What there is to speak on, and who speaks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whose LACPDUs they are.
    pub system: SystemId,
    /// The host, for LLDP.
    pub host: HostId,
    /// Its name, for LLDP.
    pub name: String,
    /// The uplinks that are in use.
    pub nics: Vec<NicSettings>,
}

/// One uplink.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NicSettings {
    /// Its number: the N of `Ethernet3/N`.
    pub nic: u8,
    /// The host's name for it.
    pub ifname: String,
    /// Its name in the switch.
    pub port: String,
    /// Its part in a group in which LACP decides; `None`: it speaks no LACP.
    pub lacp: Option<LacpSettings>,
    /// Tells by LLDP who is there.
    pub lldp_transmit: bool,
}

/// The part of an uplink in a port-channel with LACP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LacpSettings {
    /// Its group and how that works.
    pub channel: Channel,
    /// Not shut down.
    pub admin_up: bool,
}

/// What this thread is told.
#[derive(Debug)]
enum Command {
    /// From now on it is so.
    Configure(Settings),
    /// The netdev of an uplink has carrier, or has lost it.
    Link { nic: u8, up: bool },
    /// Say goodbye to every partner, and end.
    Stop,
}

/// What is known of partners and neighbours.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// The port-channels that run LACP, by ascending number.
    pub groups: Vec<GroupStatus>,
    /// Their members.
    pub ports: Vec<PortStatus>,
    /// What was heard by LLDP and CDP.
    pub neighbors: Vec<Neighbor>,
    /// What the clock that its times are of stood at 0 at, in wall-clock time.
    pub epoch_unix_ns: u64,
}

impl Seen {
    /// Wall-clock time of a time in it, in nanoseconds since 1970.
    #[must_use]
    pub const fn unix_ns(&self, ns: u64) -> u64 {
        self.epoch_unix_ns.saturating_add(ns)
    }

    /// The LACP port of an uplink.
    #[must_use]
    pub fn port(&self, nic: u8) -> Option<&PortStatus> {
        self.ports.iter().find(|port| port.nic == nic)
    }
}

/// The handle of the thread; dropped, it ends.
#[derive(Debug)]
pub struct ControlPlane {
    commands: Sender<Command>,
    wake: Arc<EventFd>,
    seen: Arc<ArcSwap<Seen>>,
    thread: Option<JoinHandle<()>>,
}

impl ControlPlane {
    /// Starts the thread, without uplinks. It tells what happens by `notices`.
    ///
    /// # Errors
    /// The system lacks descriptors or threads.
    pub fn start(notices: Sender<Notice>) -> std::io::Result<Self> {
        let (commands, orders) = bounded(COMMANDS_MAX);
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        let (wake, seen) = (Arc::new(wake), Arc::new(ArcSwap::default()));
        let speaker =
            Speaker::new(orders, Arc::clone(&wake), notices, Arc::clone(&seen), Instant::now());
        let thread = std::thread::Builder::new()
            .name("weft-lacp".to_owned())
            .spawn(move || speaker.run())?;
        Ok(Self { commands, wake, seen, thread: Some(thread) })
    }

    /// What there is to speak on. A port whose settings stay the same goes on undisturbed.
    pub fn configure(&self, settings: Settings) {
        self.order(Command::Configure(settings));
    }

    /// The netdev of an uplink has carrier, or has lost it.
    pub fn link(&self, nic: u8, up: bool) {
        self.order(Command::Link { nic, up });
    }

    /// What is known by now.
    #[must_use]
    pub fn seen(&self) -> Arc<Seen> {
        self.seen.load_full()
    }

    fn order(&self, command: Command) {
        if self.commands.send(command).is_err() {
            error!("the control plane has ended");
        }
        // Full means that it is awake already.
        self.wake.write(1).ok();
    }
}

impl Drop for ControlPlane {
    fn drop(&mut self) {
        self.order(Command::Stop);
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!("the control plane panicked");
        }
    }
}
