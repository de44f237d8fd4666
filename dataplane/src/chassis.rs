//! The machinery below the control thread: packet memory, workers, devices, the published view.
//!
//! Where it sits: [`Control`](crate::agent::Control) calls it through
//! [`agent::Chassis`](crate::agent::Chassis); it owns the worker threads. Invariants: a port is given to
//! exactly one worker; a device is closed only after its worker has let go of it; the XDP filter of an
//! uplink follows the view it was published with.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use core_affinity::CoreId;
use crossbeam::channel::{Sender, bounded};
use pmd::budget::MemoryBudget;
use pmd::memory::ChunkSize;
use pmd::tap::{Tap, TapConfig};
use pmd::xdp::{Filter, VLAN_WORDS, XdpPort};
use pmd::xsk::{BindMode, XskConfig, XskPort};
use pmd::{MemoryConfig, PacketMemory, Port};
use policy::VlanSet;
use policy::acl::RuleCounterId;
use policy::snapshot::{Role, VlanMode};
use proto::rpc::local;
use proto::{DropReason, MacAddr, PortId, VlanId};
use tracing::{debug, error, warn};

use crate::agent::chassis::{Chassis as ChassisTrait, Close, Device, DeviceError, Opened};
use crate::control_plane::{self, ControlPlane};
use crate::core::counters::{PortTotals, TrafficTotals};
use crate::core::{Counters, TeamState, View};
use crate::notice::Notice;
use crate::publish::Publisher;
use crate::worker::{Command, Exchange, Setup, Worker};

/// Orders that may wait for a worker. It obeys once a round, so this is never full for long.
const COMMANDS_MAX: usize = 1024;
/// Notices that may wait for the control thread.
const NOTICES_MAX: usize = 1024;
/// How long a worker may take to look at a new view, or to let go of a port.
const PATIENCE: Duration = Duration::from_secs(2);

/// How large the dataplane is made.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// Worker threads, 1 or more.
    pub workers: usize,
    /// Entries of each AF_XDP ring, a power of two.
    pub ring_len: u32,
    /// AF_XDP queues that the packet memory has room for.
    pub afxdp_queues: u32,
    /// TAP queues that the packet memory has room for.
    pub tap_queues: u32,
}

/// Why the machinery does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No packet memory.
    #[error("no packet memory: {0}")]
    Memory(#[from] pmd::memory::MemoryError),
    /// No descriptors.
    #[error("cannot prepare the workers: {0}")]
    Workers(#[from] nix::Error),
    /// No thread.
    #[error("cannot start a worker: {0}")]
    Thread(#[from] std::io::Error),
}

/// One worker thread.
#[derive(Debug)]
struct Hand {
    commands: Sender<Command>,
    counters: Arc<Counters>,
    thread: Option<JoinHandle<()>>,
}

/// What stays here of an open port.
#[derive(Debug)]
struct OpenPort {
    worker: usize,
    back: Back,
}

/// The side of a device that its worker does not have.
#[derive(Debug)]
enum Back {
    Tap(pmd::tap::TapHandle),
    Xsk { xdp: Box<XdpPort>, uplink: bool, host: Option<MacAddr> },
}

/// The machinery of one host.
#[derive(Debug)]
pub struct Chassis {
    memory: Arc<PacketMemory>,
    exchange: Arc<Exchange>,
    hands: Vec<Hand>,
    publisher: Publisher,
    view: Arc<View>,
    control_plane: ControlPlane,
    open: BTreeMap<PortId, OpenPort>,
    /// What the XDP programs of closed ports have dropped, so that totals never go back.
    past_kernel_drops: BTreeMap<PortId, KernelDrops>,
    size: Size,
    clock: Instant,
}

/// Frames of an uplink that no worker sees: its XDP program has dropped them, or left them to a
/// control task.
#[derive(Clone, Copy, Debug, Default)]
struct KernelDrops {
    bpdu: u64,
    not_allowed: u64,
    no_member: u64,
    control: u64,
}

impl Chassis {
    /// Maps the packet memory and starts the workers, each pinned to its one of `cores` as far as
    /// there are any. They tell what happens on the channel that is returned.
    ///
    /// # Errors
    /// The system lacks memory, descriptors or threads.
    pub fn start(
        size: Size,
        cores: &[CoreId],
    ) -> Result<(Self, crossbeam::channel::Receiver<Notice>), StartError> {
        let budget = MemoryBudget {
            chunk_size: ChunkSize::Bytes4096,
            workers: u32::try_from(size.workers).unwrap_or(u32::MAX),
            afxdp_queues: size.afxdp_queues,
            afxdp_ring_len: size.ring_len,
            tap_queues: size.tap_queues,
            frames_waiting: 64,
        };
        let memory = PacketMemory::new(MemoryConfig::with_chunks(budget.chunk_count()))?;
        let exchange = Arc::new(Exchange::new(size.workers)?);
        let (snapshot, team) = (policy::Snapshot::empty(), TeamState::default());
        let view = Arc::new(View::new(Arc::new(snapshot), Arc::new(team)));
        let mut publisher = Publisher::new(Arc::clone(&view));
        let (notices, told) = bounded(NOTICES_MAX);
        let clock = Instant::now();
        let mut hands = Vec::new();
        for number in 0..exchange.workers() {
            let (commands, orders) = bounded(COMMANDS_MAX);
            let counters = Arc::new(Counters::default());
            let setup = Setup {
                number,
                memory: Arc::clone(&memory),
                exchange: Arc::clone(&exchange),
                subscriber: publisher.subscribe(),
                commands: orders,
                notices: notices.clone(),
                counters: Arc::clone(&counters),
                clock,
            };
            let core = cores.get(number).copied();
            let name = format!("weft-worker-{number}");
            let thread = std::thread::Builder::new().name(name).spawn(move || work(setup, core))?;
            hands.push(Hand { commands, counters, thread: Some(thread) });
        }
        let chassis = Self {
            memory,
            exchange,
            hands,
            publisher,
            view,
            control_plane: ControlPlane::start(notices)?,
            open: BTreeMap::new(),
            past_kernel_drops: BTreeMap::new(),
            size,
            clock,
        };
        Ok((chassis, told))
    }

    fn order(&self, worker: usize, command: Command) {
        let Some(hand) = self.hands.get(worker) else { return };
        if hand.commands.send(command).is_err() {
            error!(worker, "worker has ended");
        }
        self.exchange.wake(worker);
    }

    /// The worker with the fewest ports.
    fn idlest_worker(&self) -> usize {
        let load =
            |worker: &usize| self.open.values().filter(|port| port.worker == *worker).count();
        (0..self.hands.len()).min_by_key(load).unwrap_or(0)
    }

    fn open_tap(&self, device: TapConfig) -> Result<(Box<dyn Port>, Back, Opened), DeviceError> {
        let opened = Tap::open(&self.memory, &device).map_err(|e| DeviceError(e.to_string()))?;
        let info = Opened { kind: "tap".to_owned(), ..Opened::default() };
        Ok((Box::new(opened.port), Back::Tap(opened.handle), info))
    }

    fn open_xsk(
        &self,
        ifname: &str,
        uplink: bool,
        host_traffic: bool,
    ) -> Result<(Box<dyn Port>, Back, Opened), DeviceError> {
        let master = crate::links::master_of(ifname).map_err(|e| DeviceError(e.to_string()))?;
        if let Some(master) = master {
            return Err(DeviceError(format!(
                "interface {ifname} belongs to {master}, which would lose its frames: take it out \
                 with `ip link set {ifname} nomaster`"
            )));
        }
        let config = XskConfig {
            ifname: ifname.to_owned(),
            mode: BindMode::Auto,
            ring_len: self.size.ring_len,
            promiscuous: uplink,
        };
        let opened =
            XskPort::open(&self.memory, &config).map_err(|e| DeviceError(e.to_string()))?;
        let info = Opened {
            kind: format!("afxdp ({})", opened.mode),
            note: opened.note,
            mac: Some(opened.mac),
        };
        let host = (uplink && host_traffic).then_some(opened.mac);
        let back = Back::Xsk { xdp: Box::new(opened.xdp), uplink, host };
        Ok((Box::new(opened.port), back, info))
    }

    /// Sets what the XDP programs of the uplinks let pass.
    fn filter_uplinks(&mut self) {
        let view = Arc::clone(&self.view);
        let members = member_vlans(&view);
        for (slot, port) in &mut self.open {
            let Back::Xsk { xdp, uplink: true, host } = &mut port.back else { continue };
            let Some(policy) = view.snapshot.port(*slot) else { continue };
            let (native, allowed) = match &policy.vlan_mode {
                VlanMode::Access(vlan) => (*vlan, std::iter::once(*vlan).collect()),
                VlanMode::Trunk { native, allowed } => (*native, (**allowed).clone()),
            };
            let filter = Filter {
                bpdus: true,
                vlans: true,
                native_vlan: Some(native),
                host: *host,
                control: true,
            };
            // VLANs first: until then the filter of before holds, which let through what was wanted.
            let set = xdp.set_vlans(&words(&allowed), &words(&members));
            if let Err(e) = set.and_then(|()| xdp.set_filter(filter)) {
                warn!("{}: {e}", policy.name);
            }
        }
    }

    fn kernel_drops(&self, slot: PortId) -> KernelDrops {
        let past = self.past_kernel_drops.get(&slot).copied().unwrap_or_default();
        let Some(OpenPort { back: Back::Xsk { xdp, .. }, .. }) = self.open.get(&slot) else {
            return past;
        };
        let now = xdp.outcomes().unwrap_or_else(|e| {
            debug!("{e}");
            pmd::xdp::Outcomes::default()
        });
        KernelDrops {
            bpdu: past.bpdu + now.dropped_bpdu,
            not_allowed: past.not_allowed + now.dropped_not_allowed,
            no_member: past.no_member + now.dropped_no_member,
            control: past.control + now.to_kernel_control,
        }
    }
}

impl ChassisTrait for Chassis {
    fn open(&mut self, slot: PortId, device: &Device) -> Result<Opened, DeviceError> {
        let (port, back, opened) = match device {
            Device::Tap { ifname, netns, mac, mtu_bytes } => self.open_tap(TapConfig {
                ifname: ifname.clone(),
                netns: netns.clone(),
                mac: *mac,
                mtu_bytes: *mtu_bytes,
            })?,
            Device::Afxdp { ifname, uplink, host_traffic, .. } => {
                self.open_xsk(ifname, *uplink, *host_traffic)?
            }
        };
        self.close(slot, Close::Release);
        let worker = self.idlest_worker();
        self.order(worker, Command::Insert(slot, port));
        self.open.insert(slot, OpenPort { worker, back });
        self.filter_uplinks();
        Ok(opened)
    }

    fn close(&mut self, slot: PortId, how: Close) {
        let kernel_drops = self.kernel_drops(slot);
        let Some(port) = self.open.remove(&slot) else { return };
        let (done, closed) = bounded(1);
        self.order(port.worker, Command::Remove(slot, done));
        if closed.recv_timeout(PATIENCE).is_err() {
            error!("worker {} does not let go of {slot:?}", port.worker);
        }
        match port.back {
            Back::Tap(handle) if how == Close::Unplug => {
                if let Err(e) = handle.remove() {
                    warn!("{e}");
                }
            }
            Back::Tap(_) => {}
            Back::Xsk { .. } => drop(self.past_kernel_drops.insert(slot, kernel_drops)),
        }
    }

    fn remove(&mut self, device: &Device) {
        let Device::Tap { ifname, netns, mac, mtu_bytes } = device else { return };
        let device = TapConfig {
            ifname: ifname.clone(),
            netns: netns.clone(),
            mac: *mac,
            mtu_bytes: *mtu_bytes,
        };
        if let Err(e) = Tap::remove(&device) {
            debug!("{e}");
        }
    }

    fn stranded(&self) -> Vec<PortId> {
        let is_stranded = |port: &OpenPort| match &port.back {
            Back::Tap(handle) => handle.is_namespace_gone(),
            Back::Xsk { .. } => false,
        };
        self.open.iter().filter(|(_, port)| is_stranded(port)).map(|(slot, _)| *slot).collect()
    }

    fn publish(&mut self, view: Arc<View>) {
        self.view = Arc::clone(&view);
        let exchange = Arc::clone(&self.exchange);
        let wake = || (0..exchange.workers()).for_each(|worker| exchange.wake(worker));
        if !self.publisher.publish(view, PATIENCE, wake) {
            error!("a worker does not look at the new view");
        }
        self.filter_uplinks();
    }

    fn inject(&mut self, slot: PortId, frame: &[u8]) {
        if let Some(port) = self.open.get(&slot) {
            self.order(port.worker, Command::Inject(slot, frame.to_vec()));
        }
    }

    fn configure_control_plane(&mut self, settings: control_plane::Settings) {
        self.control_plane.configure(settings);
    }

    fn control_link(&mut self, nic: u8, up: bool) {
        self.control_plane.link(nic, up);
    }

    fn seen(&self) -> Arc<control_plane::Seen> {
        self.control_plane.seen()
    }

    fn totals(&self, slot: PortId) -> PortTotals {
        let mut sum = PortTotals::default();
        for hand in &self.hands {
            sum += hand.counters.port(slot).read();
        }
        let kernel = self.kernel_drops(slot);
        // What the XDP program dropped came in here and ended here too.
        for (reason, frames) in [
            (DropReason::BpduFromWire, kernel.bpdu),
            (DropReason::VlanNotAllowed, kernel.not_allowed),
            (DropReason::NoLocalMember, kernel.no_member),
        ] {
            sum.rx += TrafficTotals { multicast: frames, ..TrafficTotals::default() };
            sum.drops[reason.index()] += frames;
        }
        sum.rx += TrafficTotals { multicast: kernel.control, ..TrafficTotals::default() };
        sum.consumed += kernel.control;
        sum
    }

    fn rule_matches(&self, counter: RuleCounterId) -> u64 {
        self.hands.iter().map(|hand| hand.counters.rule(counter)).sum()
    }

    fn memory(&self) -> local::Memory {
        let (chunks, free) = (self.memory.chunk_count() as u64, self.memory.free_count() as u64);
        local::Memory {
            chunks,
            chunks_free: free,
            chunks_in_rings: chunks - free.min(chunks),
            chunk_size_bytes: self.memory.chunk_size_bytes() as u32,
        }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl Drop for Chassis {
    fn drop(&mut self) {
        for worker in 0..self.hands.len() {
            self.order(worker, Command::Stop);
        }
        for hand in &mut self.hands {
            if let Some(thread) = hand.thread.take()
                && thread.join().is_err()
            {
                error!("a worker panicked");
            }
        }
    }
}

fn work(setup: Setup, core: Option<CoreId>) {
    let number = setup.number;
    if let Some(core) = core
        && !core_affinity::set_for_current(core)
    {
        warn!(number, "cannot pin the worker to core {}", core.id);
    }
    match Worker::new(setup) {
        Ok(worker) => worker.run(),
        Err(e) => error!(number, "worker cannot start: {e}"),
    }
}

/// The VLANs that a vEthernet of this host is in: nobody here wants frames of others.
fn member_vlans(view: &View) -> VlanSet {
    let mut members = VlanSet::EMPTY;
    for port in view.snapshot.ports().filter(|p| p.admin_up && matches!(p.role, Role::Vethernet(_)))
    {
        match &port.vlan_mode {
            VlanMode::Access(vlan) => drop(members.insert(*vlan)),
            VlanMode::Trunk { allowed, .. } => members.extend(allowed.iter()),
        }
    }
    members
}

/// The set as the XDP program's map has it.
fn words(vlans: &VlanSet) -> [u64; VLAN_WORDS] {
    let mut words = [0; VLAN_WORDS];
    for vlan in vlans.iter().map(VlanId::get) {
        words[usize::from(vlan / 64)] |= 1 << (vlan % 64);
    }
    words
}
