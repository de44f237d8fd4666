//! Rubbish and silence on every socket: the daemons survive in bounded memory, and serve others.

use std::fs::{self, File};
use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use tests::daemons::SUPERVISOR_PORT;
use tests::mutate::SplitMix64;
use tests::wait::{SOON, wait_for_ok};

use crate::rig::{HOST, Rig};
use crate::rubbish;

/// The same rubbish in every run.
const SEED: u64 = 0x77ef_2001;

/// Connections that say nothing, at once.
const IDLE: usize = 200;

/// How much a daemon may grow by all of it, in KiB. Its buffers for hundreds of connections are in
/// it; a message that was promised and did not come is not.
const GROWTH_MAX_KIB: u64 = 48 << 10;

/// How long a client may wait while the daemon is busy with others.
const SERVED_IN: Duration = Duration::from_secs(3);

/// How long the attacker waits until a daemon reads on.
const PATIENCE: Duration = Duration::from_millis(200);

/// A socket of the product.
#[derive(Debug)]
pub(crate) enum Target {
    /// Reached from the host.
    Tcp(SocketAddr),
    Unix(PathBuf),
}

impl Target {
    /// The port for dataplanes.
    pub(crate) fn dataplane_port(rig: &Rig) -> Self {
        let address = rig.weft.lab().management_address("vsm").expect("an address");
        Self::Tcp((address, SUPERVISOR_PORT).into())
    }

    pub(crate) fn connect(&self, rig: &Rig) -> File {
        match self {
            Self::Tcp(address) => {
                let connected = rig.ns(HOST).run(|| TcpStream::connect_timeout(address, SOON));
                let stream = connected.expect("a thread").expect("a connection");
                stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
                File::from(OwnedFd::from(stream))
            }
            Self::Unix(path) => {
                let stream = UnixStream::connect(path).expect("a connection");
                stream.set_write_timeout(Some(PATIENCE)).expect("a timeout");
                File::from(OwnedFd::from(stream))
            }
        }
    }
}

/// What a daemon holds.
#[derive(Debug, Clone, Copy)]
struct Usage {
    /// Resident set size.
    rss_kib: u64,
    /// Open descriptors.
    descriptors: usize,
}

impl Usage {
    /// Out of proc(5).
    fn of(pid: u32) -> Self {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("its size");
        let rss_kib = line.trim().trim_end_matches(" kB").parse().expect("a number");
        let descriptors = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count();
        Self { rss_kib, descriptors }
    }
}

/// Both daemons, by their process ids.
fn usages(pids: [u32; 2]) -> [Usage; 2] {
    pids.map(Usage::of)
}

/// Operators and hosts are served as if nothing were.
pub(crate) fn assert_served(rig: &Rig, meanwhile: &str) {
    let start = Instant::now();
    rig.weft.wait_registered(HOST).unwrap_or_else(|error| panic!("{meanwhile}: {error}"));
    rig.weft.status(HOST).unwrap_or_else(|error| panic!("{meanwhile}: {error}"));
    assert!(start.elapsed() < SERVED_IN, "{meanwhile}: served after {:?}", start.elapsed());
}

#[test]
fn rubbish_and_silence_on_every_socket_starve_nobody() {
    println!("seed {SEED:#x}");
    let mut rig = Rig::start();
    let supervisor = rig.weft.supervisor().expect("a supervisor").pid();
    let pids = [supervisor, rig.weft.dataplane(HOST).expect("a dataplane").pid()];
    let targets = [
        (Target::dataplane_port(&rig), "/weft.switch.v1.Switch/Session"),
        (Target::Unix(rig.weft.admin_socket()), "/weft.operator.v1.Operator/Apply"),
        (Target::Unix(rig.weft.dataplane_socket(HOST)), "/weft.local.v1.Local/Attach"),
    ];
    assert_served(&rig, "before");
    let before = usages(pids);
    let mut random = SplitMix64::new(SEED);
    for (target, path) in &targets {
        let mut open: Vec<File> = (0..IDLE).map(|_| target.connect(&rig)).collect();
        assert_served(&rig, "idle connections");
        for (name, bytes) in rubbish::all(path, &mut random) {
            let mut connection = target.connect(&rig);
            // It may be closed in the middle of it, which is a good answer.
            connection.write_all(&bytes).ok();
            open.push(connection);
            let running = rig.weft.check_running();
            running.unwrap_or_else(|error| panic!("{name} at {target:?}: {error}"));
        }
        assert_served(&rig, "rubbish");
        for (before, now) in before.iter().zip(usages(pids)) {
            let growth_kib = now.rss_kib.saturating_sub(before.rss_kib);
            println!("{target:?}: grown by {growth_kib} KiB");
            assert!(growth_kib < GROWTH_MAX_KIB, "{target:?}: grown by {growth_kib} KiB");
        }
    }
    wait_for_ok("the connections to be closed", SOON, || {
        let now = usages(pids);
        let leaked = |(now, before): (&Usage, &Usage)| now.descriptors > before.descriptors + 8;
        if now.iter().zip(&before).any(leaked) { Err(format!("{now:?}")) } else { Ok(()) }
    })
    .expect("no connection is kept");
    let logs =
        [rig.weft.supervisor().expect("one").log(), rig.weft.dataplane(HOST).expect("one").log()];
    assert!(!logs.iter().any(|log| log.contains("panicked")), "{}", logs.concat());
}

/// A host whose session is new while others hold hundreds of connections.
#[test]
fn a_dataplane_registers_among_idle_connections() {
    let mut rig = Rig::start();
    let target = Target::dataplane_port(&rig);
    let idle: Vec<File> = (0..IDLE).map(|_| target.connect(&rig)).collect();
    rig.weft.dataplane(HOST).expect("a dataplane").terminate().expect("it ends");
    rig.weft.start_dataplane(HOST).expect("it starts");
    rig.weft.wait_registered(HOST).expect("it registers");
    for vm in ["a", "b", "d", "x"] {
        rig.weft.wait_port_up(HOST, vm).expect("its port comes up");
    }
    rig.assert_reachable();
    drop(idle);
}
