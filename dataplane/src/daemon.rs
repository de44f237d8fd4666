//! The daemon: puts memory, workers, control thread, session and local socket together, and ends
//! them in order.

use std::path::PathBuf;

use crossbeam::channel::{Receiver, Sender, bounded};
use proto::HostId;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

use crate::agent::cache::CacheError;
use crate::agent::local::{Socket, SocketError};
use crate::agent::{self, Cache, Control, Event, Settings};
use crate::chassis::{Chassis, Size, StartError};
use crate::notice::Notice;
use crate::worker::WORKERS_MAX;
use crate::{cores, links};

/// Events that may wait for the control thread: a burst of attaches and link changes.
const EVENTS_MAX: usize = 4096;

/// Command line of `weft-dataplane run`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// The supervisor: http://ADDRESS:PORT or unix:///PATH.
    #[arg(long, env = "WEFT_SUPERVISOR", default_value = "http://127.0.0.1:7430")]
    pub supervisor: String,
    /// Where identity, last state and attachments are kept.
    #[arg(long, default_value = "/var/lib/weft/dataplane")]
    pub state_dir: PathBuf,
    /// The local socket, for attach and detach.
    #[arg(long, env = "WEFT_DATAPLANE_SOCKET", default_value = "/run/weft/dataplane.sock")]
    pub socket: PathBuf,
    /// The host's name [default: that of the system].
    #[arg(long)]
    pub name: Option<String>,
    /// The host's identity, for the first start [default: a random one].
    #[arg(long, value_name = "UUID")]
    pub host_uuid: Option<HostId>,
    /// A NIC that may be an uplink, NIC 1 first. It is left alone until the configuration names it.
    #[arg(long = "uplink", value_name = "IFNAME")]
    pub uplinks: Vec<String>,
    /// Worker threads.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=WORKERS_MAX as i64))]
    pub workers: u8,
    /// Pin each worker to a core of its own, beginning with the last core, and keep the daemon's other
    /// threads off these cores.
    #[arg(long)]
    pub pin_workers: bool,
    /// Entries of each AF_XDP ring, a power of two.
    #[arg(long, default_value_t = 1024, value_parser = ring_len)]
    pub ring_len: u32,
    /// AF_XDP queues that packet memory is reserved for.
    #[arg(long, default_value_t = 8)]
    pub afxdp_queues: u32,
    /// TAP queues that packet memory is reserved for: those that receive at the same time.
    #[arg(long, default_value_t = 64)]
    pub tap_queues: u32,
}

fn ring_len(text: &str) -> Result<u32, String> {
    match text.parse::<u32>() {
        Ok(len) if len.is_power_of_two() && (64..=32_768).contains(&len) => Ok(len),
        _ => Err("expected a power of two, 64..32768".to_owned()),
    }
}

/// Why the daemon does not run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The state directory cannot be used.
    #[error(transparent)]
    Cache(#[from] CacheError),
    /// Memory or workers cannot be had.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The local socket cannot be served.
    #[error(transparent)]
    Socket(#[from] SocketError),
    /// Threads, timers or signals cannot be had.
    #[error("cannot start: {0}")]
    System(#[from] std::io::Error),
}

/// Runs the daemon until SIGTERM or SIGINT.
///
/// # Errors
/// Something it needs cannot be had; then nothing is left behind.
pub fn run(options: Options) -> Result<(), DaemonError> {
    start_log();
    let descriptors = admission::raise_descriptor_limit()?;
    let cache = Cache::open(&options.state_dir)?;
    let host = cache.identity(options.host_uuid)?;
    // Before any thread is started: each inherits where this one may run.
    let workers = usize::from(options.workers);
    let cores = if options.pin_workers { cores::divide(workers) } else { Vec::new() };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("weft-io")
        .enable_all()
        .build()?;
    // The socket first: a second daemon must fail before it touches a device of the first.
    // Its file goes with the value, so also when what follows fails.
    let socket = runtime.block_on(async { agent::local::bind(&options.socket) })?;
    let size = Size {
        workers,
        ring_len: options.ring_len,
        afxdp_queues: options.afxdp_queues,
        tap_queues: options.tap_queues,
    };
    let (chassis, notices) = Chassis::start(size, &cores)?;
    let settings = Settings {
        name: options.name.unwrap_or_else(host_name),
        uplinks: options.uplinks,
        supervisor: options.supervisor.clone(),
    };
    info!(%host, name = settings.name, "starting");
    let (events, received) = bounded(EVENTS_MAX);
    let control = Control::start(settings, host, cache, chassis)?;
    let relay = events.clone();
    let notice_thread = std::thread::Builder::new()
        .name("weft-notices".to_owned())
        .spawn(move || relay_notices(&notices, &relay))?;
    let control_thread = std::thread::Builder::new()
        .name("weft-control".to_owned())
        .spawn(move || control.run(&received))?;
    let seed = host.octets().iter().fold(0u64, |s, o| s.rotate_left(8) ^ u64::from(*o));
    let outcome = runtime.block_on(serve(options.supervisor, seed, (socket, descriptors), events));
    // The session and the socket end with their runtime; control and workers ended before.
    for thread in [control_thread, notice_thread] {
        if thread.join().is_err() {
            error!("a thread panicked");
        }
    }
    outcome
}

/// Runs the async side until a signal, then tells the control thread to end.
async fn serve(
    supervisor: String,
    seed: u64,
    (socket, descriptors): (Socket, u64),
    events: Sender<Event>,
) -> Result<(), DaemonError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(agent::session::run(supervisor, seed, events.clone()));
    let links = tokio::spawn(links::watch(events.clone()));
    let local = tokio::spawn(agent::local::serve(socket, descriptors, events.clone()));
    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM"),
        _ = interrupt.recv() => info!("SIGINT"),
        ended = links => error!("link monitor ended: {ended:?}"),
        ended = local => error!("local socket ended: {ended:?}"),
    }
    // The control thread is gone only if it panicked, which joining it reports.
    events.send(Event::Stop).ok();
    Ok(())
}

/// Turns what workers tell into events, until the last worker has ended.
fn relay_notices(notices: &Receiver<Notice>, events: &Sender<Event>) {
    for notice in notices {
        let event = match notice {
            Notice::PortGone { port, reason } => {
                Event::PortGone { port, reason: reason.to_string() }
            }
            Notice::BpduGuard { port } => Event::BpduGuard { port },
            Notice::AclLog(matched) => Event::AclLog(matched),
            Notice::Member(change) => Event::Member(change),
            Notice::Neighbor(change) => Event::Neighbor(change),
        };
        if events.send(event).is_err() {
            return;
        }
    }
}

fn host_name() -> String {
    let name = nix::sys::utsname::uname().ok().map(|system| system.nodename().to_owned());
    let name = name.and_then(|name| name.into_string().ok()).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| "host".to_owned())
}

fn start_log() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("WEFT_LOG")
        .unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("info"));
    // Colours are for eyes: not for files and journals.
    let is_terminal = std::io::IsTerminal::is_terminal(&std::io::stderr());
    let log = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(is_terminal)
        .with_writer(std::io::stderr);
    // Fails when a log exists already: then that one serves.
    log.try_init().ok();
}
