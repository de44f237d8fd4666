//! The limit of AF_XDP: two sockets of our own crate, and frames moved from one to the other.
//!
//! It runs in a process of its own, `raw-forward` ([`Forwarder`] is what it does), as the product
//! does. Memory, mode, ring lengths, bursts and the way it falls asleep are those of the product's
//! dataplane; what the dataplane does between receiving and sending is left out.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use afxdp::{BindMode, Desc, Region, RingSizes, Socket, SocketBuilder, Umem, UmemConfig};
use aya::maps::XskMap;
use aya::{EbpfLoader, include_bytes_aligned};
use pmd::BURST_MAX;
use pmd::budget::MemoryBudget;
use pmd::memory::ChunkSize;
use tests::daemons::program_beside;
use tests::error::{LabError, Result};
use tests::process::Process;
use tests::wait::{SOON, wait_for_ok};

use super::{cpus, probe, xdp};
use crate::plan::SWITCH_CPU;
use crate::switch::{Running, Setting, StartError, Switch};
use crate::wires::{Wire, Wires};

static OBJECT: &[u8] = include_bytes_aligned!(concat!(env!("OUT_DIR"), "/raw.bpf.o"));

/// The program in `src/bin`.
const PROGRAM: &str = "raw-forward";

/// Entries of each ring, of the product too: as many as Open vSwitch has in both of its forms. How
/// long a pause a switch outlives without loss depends on little else.
pub(crate) const RING_LEN: u32 = 2048;

/// Packet memory for as many queues as `weft-dataplane` reserves by default.
const MEMORY: MemoryBudget = MemoryBudget {
    chunk_size: ChunkSize::Bytes4096,
    workers: 1,
    afxdp_queues: 8,
    afxdp_ring_len: RING_LEN,
    tap_queues: 64,
    frames_waiting: 64,
};

/// The fill ring is topped up when this many places are free, as the dataplane does.
const REFILL_MIN: u32 = 32;

/// How long it looks for frames before it sleeps, as a worker of the dataplane.
const IDLE_POLL: Duration = Duration::from_micros(50);

/// Longest sleep.
const SLEEP_MAX: Duration = Duration::from_millis(500);

/// Two sockets with nothing between. Any setting will do: it looks at nothing.
#[derive(Debug)]
pub struct Raw;

#[derive(Debug)]
struct RunningRaw {
    // Field order is drop order.
    process: Process,
    mode: String,
    _log_dir: tempfile::TempDir,
}

impl Switch for Raw {
    fn name(&self) -> &'static str {
        "raw-afxdp"
    }

    fn start(&self, wires: &Wires, _: &Setting) -> Result<Box<dyn Running>, StartError> {
        let log_dir = tempfile::tempdir().map_err(LabError::io("cannot make a folder"))?;
        let mut command = wires.switch().command(program_beside(PROGRAM)?);
        command.args(Wire::BOTH.map(Wire::switch));
        let spawn = || Process::spawn(PROGRAM, command, log_dir.path());
        let mut process = cpus::run_on(&[SWITCH_CPU], spawn)??;
        // It says the mode when it is ready.
        let mode = wait_for_ok(PROGRAM, SOON, || match process.check_running() {
            Err(ended) => Ok(Err(ended)),
            Ok(()) => {
                process.log().trim().split_once(" ready").map(|(m, _)| Ok(m.into())).ok_or("")
            }
        })??;
        cpus::check_pinned(process.pid(), PROGRAM)?;
        probe::wait_forwards(wires, || process.check_running())?;
        Ok(Box::new(RunningRaw { process, mode, _log_dir: log_dir }))
    }
}

impl Running for RunningRaw {
    fn describe(&self) -> String {
        format!("afxdp {}, {}, no lookup", env!("CARGO_PKG_VERSION"), self.mode)
    }

    fn check(&mut self) -> Result<(), LabError> {
        self.process.check_running()
    }
}

/// One interface: its socket on queue 0, and the program that feeds it.
#[derive(Debug)]
struct Port {
    // Field order is drop order: the program goes before the socket it feeds.
    _program: xdp::Attached,
    umem: Umem,
    socket: Socket,
}

impl Port {
    fn open(interface: &str, region: &Arc<Region>) -> anyhow::Result<Self> {
        let config = UmemConfig { chunk_size: MEMORY.chunk_size.bytes() as u32, headroom: 0 };
        let umem = Umem::new(region.clone(), config)?;
        let ifindex = nix::net::if_::if_nametoindex(interface)?;
        let (fill, completion, rx, tx) = (RING_LEN, RING_LEN, RING_LEN, RING_LEN);
        let socket = SocketBuilder::new(ifindex, 0)
            .mode(BindMode::Auto)
            .rings(RingSizes { fill, completion, rx, tx })
            .bind(&umem)?;
        let mut program = xdp::attach(&mut EbpfLoader::new(), OBJECT, "raw", interface)?;
        let map = program.bpf.map_mut("sockets").ok_or_else(|| anyhow::anyhow!("no `sockets`"))?;
        XskMap::try_from(map)?.set(0, std::os::fd::AsRawFd::as_raw_fd(&socket), 0)?;
        Ok(Self { _program: program, umem, socket })
    }
}

/// Moves every frame between two interfaces, without a copy of its own: the body of `raw-forward`.
#[derive(Debug)]
pub struct Forwarder {
    ports: [Port; 2],
    /// Chunks in no ring. Last freed, first used, while it is still in the cache.
    free: Vec<u64>,
}

impl Forwarder {
    /// Takes queue 0 of two interfaces of the calling thread's namespace.
    ///
    /// # Errors
    /// When memory, a socket or an XDP program cannot be had.
    pub fn open(interfaces: [&str; 2]) -> anyhow::Result<Self> {
        // Not needed by a process that may lock as much as it likes.
        afxdp::raise_memlock_limit().ok();
        let bytes = MEMORY.chunk_count() as usize * MEMORY.chunk_size.bytes();
        let region = Arc::new(Region::new(bytes)?);
        let [a, b] = interfaces;
        let mut ports = [Port::open(a, &region)?, Port::open(b, &region)?];
        // Both UMEMs are of the same memory, so a chunk of one is a chunk of the other.
        let mut free: Vec<u64> = ports[0].umem.chunks().collect();
        for port in &mut ports {
            port.socket.fill.produce(std::iter::from_fn(|| free.pop()));
        }
        Ok(Self { ports, free })
    }

    /// How the sockets are bound: `native copy`.
    #[must_use]
    pub fn mode(&self) -> String {
        // Programs are attached in the driver, or not at all.
        format!("native {}", self.ports[0].socket.control.mode())
    }

    /// Forwards until the process ends.
    ///
    /// # Errors
    /// When an interface is gone.
    pub fn run(mut self) -> anyhow::Result<()> {
        let mut idle_since = None;
        loop {
            let [a, b] = &mut self.ports;
            let busy = forward(a, b, &mut self.free)? | forward(b, a, &mut self.free)?;
            if busy {
                idle_since = None;
            } else if idle_since.get_or_insert_with(Instant::now).elapsed() >= IDLE_POLL {
                idle_since = None;
                afxdp::wait(&[a.socket.as_fd(), b.socket.as_fd()], SLEEP_MAX)?;
                a.socket.control.check()?;
                b.socket.control.check()?;
            }
        }
    }
}

/// Moves one burst; says whether there was anything.
#[inline]
fn forward(from: &mut Port, to: &mut Port, free: &mut Vec<u64>) -> Result<bool, afxdp::Error> {
    let mut received = from.socket.rx.drain(BURST_MAX as u32);
    let busy = received.len() > 0;
    if busy {
        let frames = received.by_ref().map(|desc| Desc::new(desc.addr, desc.len));
        to.socket.tx.produce(frames);
        // What finds no room is dropped here rather than left to hold back the frames behind it.
        free.extend(received.map(|desc| to.umem.chunk_of(desc.addr)));
    } else {
        drop(received);
    }
    to.socket.tx.wake()?;
    free.extend(to.socket.completion.drain(u32::MAX).map(|addr| from.umem.chunk_of(addr)));
    if from.socket.fill.free() >= REFILL_MIN {
        from.socket.fill.produce(std::iter::from_fn(|| free.pop()));
    }
    from.socket.fill.wake()?;
    Ok(busy)
}
