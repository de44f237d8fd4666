//! Silent connections to daemons that have few descriptors: others are served, the silent ones go
//! away by themselves, and no core is burnt.

use std::fs::{self, File};
use std::io::{ErrorKind, Read, Write};
use std::process::Command;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

use nix::fcntl::{FcntlArg, OFlag, fcntl};
use tests::wait::{SOON, wait_for_ok};

use crate::rig::{HOST, Rig};
use crate::rubbish;
use crate::sockets::{Target, assert_served};

/// Connections at once, more than any daemon here can hold.
const SILENT: usize = 100;

/// What the supervisor gets: a quarter of it for each listener.
const SUPERVISOR_DESCRIPTORS: u64 = 64;

/// What the dataplane gets: it has devices as well.
const DATAPLANE_DESCRIPTORS: u64 = 128;

/// When all silent connections are gone: ten seconds, and time for a busy machine.
const GONE_IN: Duration = Duration::from_secs(20);

/// When a peer that answers no ping is gone: one ping after ten seconds, ten seconds for its answer,
/// and time for a busy machine.
const DEAD_IN: Duration = Duration::from_secs(30);

/// How long a daemon is watched that cannot accept.
const WATCHED: Duration = Duration::from_secs(2);

/// Part of a core that a daemon may use while it is attacked by silence.
const CORE_PART_MAX: f64 = 0.25;

/// Processor time of a process so far, out of proc_pid_stat(5): ticks of 10 ms.
fn cpu_time(pid: u32) -> Duration {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, fields) = stat.rsplit_once(')').expect("a name in brackets");
    let ticks = fields.split_whitespace().skip(11).take(2);
    Duration::from_millis(ticks.map(|field| field.parse::<u64>().expect("ticks") * 10).sum())
}

/// Fails when the process has used too much of a core since `start`.
fn assert_idle(pid: u32, (start, cpu_before): (Instant, Duration)) {
    let (elapsed, used) = (start.elapsed(), cpu_time(pid) - cpu_before);
    println!("{used:?} of processor time in {elapsed:?}");
    assert!(used < elapsed.mul_f64(CORE_PART_MAX), "{used:?} of processor time in {elapsed:?}");
}

/// A connection that says nothing, and from which reading does not wait.
fn connect_silent(target: &Target, rig: &Rig) -> File {
    let connection = target.connect(rig);
    fcntl(&connection, FcntlArg::F_SETFL(OFlag::O_NONBLOCK)).expect("a flag");
    connection
}

/// Whether the other side has closed it. What came before is skipped.
fn is_closed(connection: &mut File) -> bool {
    loop {
        match connection.read(&mut [0; 1024]) {
            Ok(0) => return true,
            Ok(_) => {}
            Err(error) => return error.kind() != ErrorKind::WouldBlock,
        }
    }
}

/// Others are served while these are open. Who is not served would wait for ever, so they are let go
/// after a while.
fn assert_served_among(silent: Vec<File>, rig: &Rig) -> Vec<File> {
    let (served, is_served) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let holder = scope.spawn(move || match is_served.recv_timeout(SOON) {
            Err(RecvTimeoutError::Timeout) => Vec::new(),
            _ => silent,
        });
        assert_served(rig, "silent connections");
        drop(served);
        holder.join().expect("it does not panic")
    })
}

/// Silence at one socket: others are served meanwhile, and in the end nothing of it is left.
fn assert_survives_silence(rig: &Rig, target: &Target, pid: u32) {
    let before = (Instant::now(), cpu_time(pid));
    let silent = (0..SILENT).map(|_| connect_silent(target, rig)).collect();
    let mut silent = assert_served_among(silent, rig);
    wait_for_ok(format!("silence at {target:?} to end"), GONE_IN, || {
        silent.retain_mut(|connection| !is_closed(connection));
        if silent.is_empty() { Ok(()) } else { Err(format!("{} are open", silent.len())) }
    })
    .expect("silent connections are dropped");
    assert_idle(pid, before);
    assert_served(rig, "after silence");
}

#[test]
fn a_supervisor_with_few_descriptors_serves_among_silent_connections() {
    let mut rig = Rig::start();
    rig.weft.supervisor().expect("a supervisor").terminate().expect("it ends");
    rig.weft.set_descriptors_max(SUPERVISOR_DESCRIPTORS);
    rig.weft.start_supervisor().expect("it starts");
    rig.weft.wait_registered(HOST).expect("the host comes back");
    let pid = rig.weft.supervisor().expect("a supervisor").pid();
    for target in [Target::dataplane_port(&rig), Target::Unix(rig.weft.admin_socket())] {
        assert_survives_silence(&rig, &target, pid);
    }
}

#[test]
fn a_dataplane_with_few_descriptors_serves_among_silent_connections() {
    let mut rig = Rig::start();
    rig.weft.dataplane(HOST).expect("a dataplane").terminate().expect("it ends");
    rig.weft.set_descriptors_max(DATAPLANE_DESCRIPTORS);
    rig.weft.start_dataplane(HOST).expect("it starts");
    rig.weft.wait_registered(HOST).expect("it registers");
    for vm in ["a", "b", "d", "x"] {
        rig.weft.wait_port_up(HOST, vm).expect("its port comes up");
    }
    let pid = rig.weft.dataplane(HOST).expect("a dataplane").pid();
    assert_survives_silence(&rig, &Target::Unix(rig.weft.dataplane_socket(HOST)), pid);
    rig.assert_reachable();
}

/// A peer that is gone without a word: nobody answers the pings. The dataplane's session goes on.
#[test]
fn who_has_begun_and_does_not_answer_is_dropped() {
    let rig = Rig::start();
    let sockets = [rig.weft.admin_socket(), rig.weft.dataplane_socket(HOST)].map(Target::Unix);
    let targets = [Target::dataplane_port(&rig)].into_iter().chain(sockets);
    let begin = |target: Target| {
        let mut connection = connect_silent(&target, &rig);
        connection.write_all(&rubbish::greeting()).expect("room for a greeting");
        connection
    };
    let mut begun: Vec<File> = targets.map(begin).collect();
    wait_for_ok("dead peers to be dropped", DEAD_IN, || {
        begun.retain_mut(|connection| !is_closed(connection));
        if begun.is_empty() { Ok(()) } else { Err(format!("{} are open", begun.len())) }
    })
    .expect("they are dropped");
    assert_served(&rig, "after dead peers");
}

/// Should descriptors run out all the same, for another reason.
#[test]
fn a_supervisor_without_descriptors_rests_and_serves_when_it_has_some_again() {
    let mut rig = Rig::start();
    let pid = rig.weft.supervisor().expect("a supervisor").pid();
    assert_served(&rig, "before");
    let open = fs::read_dir(format!("/proc/{pid}/fd")).expect("it runs").count();
    let limited = Command::new("prlimit")
        .args([format!("--nofile={}", open + 8), format!("--pid={pid}")])
        .status();
    assert!(limited.expect("prlimit starts").success());
    let target = Target::Unix(rig.weft.admin_socket());
    let before = (Instant::now(), cpu_time(pid));
    let silent: Vec<File> = (0..SILENT).map(|_| connect_silent(&target, &rig)).collect();
    let log = |rig: &mut Rig| rig.weft.supervisor().expect("a supervisor").log();
    wait_for_ok("accept to fail", SOON, || {
        let log = log(&mut rig);
        if log.contains("cannot accept a connection") { Ok(()) } else { Err(log) }
    })
    .expect("it says so");
    wait_for_ok("time to pass", WATCHED * 2, || {
        if before.0.elapsed() >= WATCHED { Ok(()) } else { Err("it is early") }
    })
    .expect("it passes");
    assert_idle(pid, before);
    drop(silent);
    wait_for_ok("service", SOON, || rig.weft.show("module").map(drop)).expect("it serves again");
    assert_served(&rig, "with descriptors again");
}
