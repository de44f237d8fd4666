//! A supervisor that is killed or stopped, and what a host may refuse of it.

use std::fs;
use std::process::Output;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use tests::daemons::rows;
use tests::mutate::SplitMix64;
use tests::site::{Site, VMS, ip};
use tests::traffic::ping_once;
use tests::wait::{SOON, wait_for_ok, wait_until};

/// Commits of the test that kills.
const APPLIES: u32 = 50;

/// A kill comes before this many thousandths of the time that a commit takes: so that kills hit
/// every moment of it, and some come after the answer.
const KILL_MAX_PER_MILLE: usize = 1_300;

/// Changes every run of the test the same way; a failure names it.
const SEED: u64 = 0x77ef_0050;

/// One commit of the test: a VLAN with its name, and an entry of a list that `h1` has to know.
fn step(n: u32) -> (String, [String; 3]) {
    let lines = [
        format!("vlan {}", 100 + n),
        format!("  name STEP-{n}"),
        format!("  {} permit udp any any eq {}", 1000 + n, 5000 + n),
    ];
    let [vlan, name, entry] = &lines;
    (format!("{vlan}\n{name}\nip access-list NO-PING-TO-C\n{entry}\n"), lines)
}

#[test]
fn a_supervisor_killed_during_fifty_applies_loses_nothing_that_it_acknowledged() {
    println!("seed {SEED:#x}");
    let mut random = SplitMix64::new(SEED);
    let mut site = Site::start();
    let start = Instant::now();
    assert!(apply(&mut site, &step(0).0, None).status.success());
    let usual = start.elapsed();
    let mut acknowledged = vec![0];
    let mut unsure = Vec::new();
    for n in 1..APPLIES {
        let per_mille = u32::try_from(random.below(KILL_MAX_PER_MILLE)).expect("a small number");
        let delay = (random.below(2) == 0).then(|| usual * per_mille / 1_000);
        let output = apply(&mut site, &step(n).0, delay);
        if output.status.success() {
            acknowledged.push(n);
        } else {
            assert!(delay.is_some(), "step {n}: {output:?}");
            unsure.push(n);
        }
        if delay.is_some() {
            site.start_supervisor().expect("it starts again");
            assert_kept(&site, &acknowledged, &unsure);
        }
    }
    println!("no answer to {unsure:?}");
    assert!(!unsure.is_empty() && acknowledged.len() > 10, "kills hit nothing: {unsure:?}");
    assert_kept(&site, &acknowledged, &unsure);
    // The hosts converge, and what they have is what is shown.
    site.wait_in_sync().expect("both modules are in sync");
    assert!(!ping_once(site.ns("b"), ip("c")).expect("ping"), "NO-PING-TO-C is gone");
    site.apply_text("ip access-list NO-PING-TO-C\n  10 permit icmp any any\n").expect("applied");
    site.assert_reaches("b", "c");
    let modules = site.show("module").expect("show module");
    let h1 = rows(&modules).find(|row| row["name"] == "h1").expect("module h1");
    let status = site.status("h1").expect("status");
    assert_eq!(h1["running_revision"], status["revision"]);
    assert_eq!(h1["target_revision"], status["revision"]);
    site.assert_healthy();
}

/// `weft apply`; the supervisor is killed after `delay`, when there is one.
fn apply(site: &mut Site, text: &str, delay: Option<Duration>) -> Output {
    let file = site.lab().dir().join("step.cfg");
    fs::write(&file, text).expect("a file");
    let mut command = site.cli();
    command.arg("apply").arg(&file);
    thread::scope(|scope| {
        let (done, finished) = mpsc::channel();
        let applying = scope.spawn(move || {
            let output = command.output();
            done.send(()).ok();
            output
        });
        if let Some(delay) = delay {
            // Killed after the delay, or at once when it was quicker.
            finished.recv_timeout(delay).ok();
            site.supervisor().expect("a supervisor").kill9().expect("killed");
        }
        applying.join().expect("no panic").expect("weft runs")
    })
}

/// All of every acknowledged step is in the running configuration; of the others all or nothing.
fn assert_kept(site: &Site, acknowledged: &[u32], unsure: &[u32]) {
    let running = site.weft(&["show", "running-config"]).expect("show running-config");
    let present = |n: u32| {
        let lines = step(n).1;
        lines.iter().filter(|line| running.lines().any(|found| found == line.as_str())).count()
    };
    for n in acknowledged {
        assert_eq!(present(*n), 3, "step {n} was acknowledged and is lost:\n{running}");
    }
    for n in unsure {
        assert!(matches!(present(*n), 0 | 3), "step {n} is torn:\n{running}");
    }
}

#[test]
fn a_supervisor_that_starts_again_knows_every_vnic() {
    let mut site = Site::start();
    let before: Vec<_> = VMS.iter().map(|vm| site.identity(vm)).collect();
    let running = site.weft(&["show", "running-config"]).expect("show running-config");
    let status = site.supervisor().expect("a supervisor").terminate().expect("it ends");
    assert_eq!(status.code(), Some(0));
    wait_until("h1 to be headless", SOON, || {
        site.status("h1").is_ok_and(|status| status["headless"] == true)
    })
    .expect("the session ends");
    // Plugged out while nobody is there to tell.
    site.detach("a").expect("plugged out");
    site.start_supervisor().expect("it starts again");
    site.wait_in_sync().expect("both modules come back");
    assert_eq!(site.weft(&["show", "running-config"]).expect("show"), running);
    wait_for_ok("a to be known as unplugged", SOON, || {
        let row = site.vnic("a");
        if row["status"] == "down" { Ok(()) } else { Err(row.to_string()) }
    })
    .expect("the hello says so");
    site.attach("a").expect("plugged in");
    site.wait_all_up();
    let after: Vec<_> = VMS.iter().map(|vm| site.identity(vm)).collect();
    assert_eq!(before, after);
    site.assert_reaches("a", "c");
    site.assert_healthy();
}

#[test]
fn what_cannot_be_forwarded_by_is_refused_with_the_reason() {
    let mut site = Site::start();
    let before = site.weft(&["show", "running-config"]).expect("show running-config");
    // Two uplinks of one host with the same VLANs and no port-channel: a loop.
    let loop_text = "port-profile type ethernet UPLINK\n  no channel-group auto\n";
    let refused = site.apply_text(loop_text).expect_err("it is refused").to_string();
    let named = ["Ethernet3/1", "Ethernet3/2", "channel-group"];
    assert!(named.iter().all(|word| refused.contains(word)), "{refused}");
    assert_eq!(site.weft(&["show", "running-config"]).expect("show"), before);

    // Only h1 knows that it cannot keep a new state: something is in the place of the file.
    let obstacle = site.state_dir("h1").expect("its folder").join("intent.new");
    fs::create_dir(&obstacle).expect("an obstacle");
    let move_a = "port-profile type vethernet LAN-10\n  switchport access vlan 20\n";
    let refused = site.apply_text(move_a).expect_err("a host refuses it").to_string();
    assert!(refused.contains("exit status: 1"), "{refused}");
    let modules = site.show("module").expect("show module");
    let row = |name: &str| rows(&modules).find(|row| row["name"] == name).expect("a module");
    assert_eq!((&row("h1")["status"], &row("h2")["status"]), (&"rejected".into(), &"ok".into()));
    let problems = row("h1")["problems"].to_string();
    assert!(problems.contains("intent: Is a directory"), "{problems}");
    let shown = site.weft(&["show", "module"]).expect("show module");
    assert!(shown.contains("Module 3 refused its target revision:"), "{shown}");
    assert!(shown.contains("intent: Is a directory"), "{shown}");
    // All or nothing: h1 forwards by the revision before.
    let running = row("h1")["running_revision"].clone();
    assert_eq!(site.status("h1").expect("status")["revision"], running);
    assert_ne!(row("h1")["target_revision"], running);
    site.assert_reaches("a", "b");

    // With the obstacle away the host takes it with the next session.
    fs::remove_dir(&obstacle).expect("the obstacle");
    site.dataplane("h1").expect("a dataplane").terminate().expect("it ends");
    site.start_dataplane("h1").expect("it starts");
    site.wait_in_sync().expect("both modules are in sync");
    site.assert_reaches("a", "b");
    site.assert_healthy();
}
