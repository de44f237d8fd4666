//! Every switch, on its own: it forwards both ways, drops what a rule denies, and leaves nothing
//! behind. Needs root, and the product's programs of the same build.

use benches::plan::{SWITCH_CPU, rules};
use benches::switch::{Running, Setting, StartError, Switch};
use benches::switches::probe::Probe;
use benches::switches::{self, has_program};
use benches::wires::{Wire, Wires};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tests::wait::{SOON, wait_until};

/// Rules in the tests: more than one.
const RULES: u32 = 10;

fn switch(name: &str) -> Box<dyn Switch> {
    let mut all = switches::all().into_iter();
    all.find(|switch| switch.name() == name).expect("a switch of this name")
}

/// Starts a switch; `None`, with the reason printed, when it is not installed.
fn start(name: &str, wires: &Wires, setting: &Setting) -> Option<Box<dyn Running>> {
    match switch(name).start(wires, setting) {
        Ok(running) => Some(running),
        Err(StartError::Unavailable(why)) => {
            eprintln!("{name}: {why}");
            None
        }
        Err(StartError::Failed(error)) => panic!("{name}: {error}"),
    }
}

/// Names of all interfaces in the namespace.
fn links(wires: &Wires) -> Vec<String> {
    let links = wires.switch().ip("-br link").expect("the links");
    links.lines().filter_map(|line| line.split_whitespace().next()).map(str::to_owned).collect()
}

/// Pids of all that run in the namespace.
fn processes(wires: &Wires) -> String {
    let pids = std::process::Command::new("ip")
        .args(["netns", "pids", wires.switch().name()])
        .output()
        .expect("the processes");
    String::from_utf8_lossy(&pids.stdout).trim().to_owned()
}

fn features(wires: &Wires) -> Vec<String> {
    let of = |namespace: &tests::netns::Namespace, interface: &str| {
        namespace.output("ethtool", &["-k", interface]).expect("the offloads")
    };
    Wire::BOTH
        .into_iter()
        .flat_map(|wire| [of(wires.switch(), wire.switch()), of(wires.tester(), wire.tester())])
        .collect()
}

/// The life of a switch with a setting; `filters`: what a rule denies does not pass.
fn live(name: &str, setting: &Setting, filters: bool) {
    let wires = Wires::new().expect("the wires");
    let before = (links(&wires), features(&wires));
    let Some(mut running) = start(name, &wires, setting) else { return };
    println!("{name}: {}", running.describe());
    running.check().expect("it runs");
    let mut probe = Probe::open(&wires).expect("packet sockets");
    probe.wait_forwards(|| Ok(())).expect("it forwards");
    let rule = rules(RULES).last().expect("a rule");
    for wire in Wire::BOTH {
        let passed = probe.passes_denied(wire, rule).expect("it forwards behind it");
        assert_eq!(passed, !filters, "{name}, a denied frame from {wire:?}");
    }
    check_clean(&wires, running, &before);
}

/// Kills a switch, and looks that it is noticed and that nothing stays of it.
fn die(name: &str) {
    let wires = Wires::new().expect("the wires");
    let before = (links(&wires), features(&wires));
    let Some(mut running) = start(name, &wires, &SOME_RULES) else { return };
    for pid in processes(&wires).split_whitespace() {
        let pid = Pid::from_raw(pid.parse().expect("a pid"));
        kill(pid, Signal::SIGKILL).expect("it runs");
    }
    wait_until("its end to be noticed", SOON, || running.check().is_err()).expect("an error");
    check_clean(&wires, running, &before);
}

/// Ends a switch, and looks that nothing stays of it.
fn check_clean(wires: &Wires, running: Box<dyn Running>, before: &(Vec<String>, Vec<String>)) {
    drop(running);
    for wire in Wire::BOTH {
        assert!(!has_program(wires.switch(), wire.switch()).expect("the link"), "{wire:?}");
    }
    // The kernel takes its time with a TAP whose owner has ended.
    let same = wait_until("the links as they were", SOON, || links(wires) == before.0);
    assert!(same.is_ok(), "{:?} and not {:?}", links(wires), before.0);
    assert_eq!(features(wires), before.1);
    assert_eq!(processes(wires), "");
}

const NO_RULES: Setting = Setting { rules: 0, end_systems: 2 };
const SOME_RULES: Setting = Setting { rules: RULES, end_systems: 2 };
const MORE_SYSTEMS: Setting = Setting { rules: RULES, end_systems: 5 };
const UPLINK: Setting = Setting { rules: RULES, end_systems: 1 };

#[test]
fn weft_without_rules() {
    live("weft", &NO_RULES, false);
}

#[test]
fn weft_with_rules_and_silent_end_systems() {
    live("weft", &MORE_SYSTEMS, true);
}

#[test]
fn weft_with_an_uplink() {
    live("weft", &UPLINK, true);
}

#[test]
fn raw_forwards_everything() {
    live("raw-afxdp", &SOME_RULES, false);
}

#[test]
fn redirect_forwards_everything() {
    live("xdp-redirect", &SOME_RULES, false);
}

#[test]
fn bridge_without_rules() {
    live("linux-bridge", &NO_RULES, false);
}

#[test]
fn bridge_with_a_list() {
    live("linux-bridge", &MORE_SYSTEMS, true);
}

#[test]
fn bridge_with_a_set() {
    live("linux-bridge-set", &SOME_RULES, true);
}

#[test]
fn bridge_with_an_uplink() {
    live("linux-bridge", &UPLINK, true);
}

#[test]
fn ovs_without_rules() {
    live("ovs-afxdp", &NO_RULES, false);
}

#[test]
fn ovs_with_rules_and_silent_end_systems() {
    live("ovs-afxdp", &MORE_SYSTEMS, true);
}

#[test]
fn ovs_with_an_uplink() {
    live("ovs-afxdp", &UPLINK, true);
}

#[test]
fn ovs_dpdk_with_rules() {
    live("ovs-dpdk", &SOME_RULES, true);
}

#[test]
fn nothing_stays_of_a_killed_program() {
    for name in ["weft", "raw-afxdp", "ovs-afxdp", "ovs-dpdk"] {
        die(name);
    }
}

#[test]
fn names_differ() {
    let mut names: Vec<_> = switches::all().iter().map(|switch| switch.name()).collect();
    names.sort_unstable();
    names.dedup();
    assert_eq!(names.len(), switches::all().len());
}

#[test]
fn there_is_a_core_for_the_switch() {
    let cpus = std::thread::available_parallelism().expect("processors").get();
    assert!(cpus > SWITCH_CPU, "{cpus} processors");
}
