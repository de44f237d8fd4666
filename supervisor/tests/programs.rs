//! The programs themselves: killed, stopped, and used from a shell.

mod common;

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use common::{Operator, until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use proto::rpc::operator;
use proto::rpc::operator::operator_client::OperatorClient;
use tonic::transport::Endpoint;

/// How often the supervisor is killed in the middle of applies.
const KILLS: u64 = 40;

/// `weft-supervisor`, killed when the value is dropped.
struct Daemon {
    child: Child,
    directory: PathBuf,
}

impl Daemon {
    fn spawn(directory: &Path) -> Self {
        let log = fs::File::create(directory.join("log")).unwrap();
        let unix = |name: &str| format!("unix:{}", directory.join(name).display());
        let child = Command::new(env!("CARGO_BIN_EXE_weft-supervisor"))
            .arg("--data-dir")
            .arg(directory.join("data"))
            .args(["--listen-admin", &unix("admin.sock")])
            .args(["--listen-dataplane", &unix("dataplane.sock")])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap();
        Self { child, directory: directory.to_owned() }
    }

    async fn operator(&mut self) -> Operator {
        let address = format!("unix:{}", self.directory.join("admin.sock").display());
        let endpoint = Endpoint::from_shared(address).unwrap();
        let channel = until("the supervisor to answer", || async {
            let channel = endpoint.connect().await.ok()?;
            // A socket that answers is not yet a supervisor that does.
            let mut client = OperatorClient::new(channel.clone());
            client.modules(operator::ModulesRequest {}).await.ok().map(|_| channel)
        })
        .await;
        assert!(self.child.try_wait().unwrap().is_none(), "it ended: {}", self.log());
        Operator(OperatorClient::new(channel))
    }

    fn log(&self) -> String {
        fs::read_to_string(self.directory.join("log")).unwrap()
    }

    fn pid(&self) -> Pid {
        Pid::from_raw(i32::try_from(self.child.id()).unwrap())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

/// Applies VLANs one by one until the supervisor is gone; the last one that was acknowledged with
/// its revision, and the last one that was tried.
async fn apply_until_gone(operator: Operator, first: u32) -> (Option<(u32, u64)>, u32) {
    let mut acknowledged = None;
    for vlan in first..4095 {
        let text = format!("vlan {vlan}\n  name N{vlan}\n");
        let request = operator::ApplyRequest { text, ..Default::default() };
        match operator.0.clone().apply(request).await {
            Ok(reply) => acknowledged = Some((vlan, reply.into_inner().revision)),
            Err(_) => return (acknowledged, vlan),
        }
    }
    panic!("the supervisor was never killed");
}

#[tokio::test]
async fn a_kill_loses_no_acknowledged_revision() {
    let directory = tempfile::tempdir().unwrap();
    let (mut next, mut newest) = (2, 0);
    for round in 0..KILLS {
        // Moments between none and many commits, spread by a prime.
        let wait_ms = round * 17 % 61;
        let mut daemon = Daemon::spawn(directory.path());
        let operator = daemon.operator().await;
        let applying = tokio::spawn(apply_until_gone(operator, next));
        tokio::time::sleep(Duration::from_millis(wait_ms)).await;
        kill(daemon.pid(), Signal::SIGKILL).unwrap();
        let (acknowledged, tried) = applying.await.unwrap();
        drop(daemon);

        let mut daemon = Daemon::spawn(directory.path());
        let operator = daemon.operator().await;
        let running = operator.running(0).await;
        let vlans: Vec<u32> = running
            .text
            .lines()
            .filter_map(|line| line.strip_prefix("vlan ")?.parse().ok())
            .collect();
        let last = vlans.last().copied().unwrap_or(1);
        let (kept, revision) = acknowledged.unwrap_or((next - 1, newest));
        assert!(running.revision >= revision, "revision {revision} was acknowledged and is lost");
        assert!(last == kept || last == tried, "{kept} acknowledged, {tried} tried, {last} there");
        // What is there is whole: every VLAN, and every one with its name.
        assert_eq!(vlans, (2..=last).collect::<Vec<_>>());
        assert_eq!(running.text.matches("  name N").count(), vlans.len());
        (next, newest) = (last + 1, running.revision);
    }
    assert!(next > 40, "hardly anything was applied: {next}");
}

#[tokio::test]
async fn sigterm_ends_it_in_good_order() {
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::spawn(directory.path());
    let operator = daemon.operator().await;
    operator.apply("vlan 10\n").await;
    kill(daemon.pid(), Signal::SIGTERM).unwrap();
    let status = tokio::task::spawn_blocking(move || {
        let status = daemon.child.wait().unwrap();
        (status, daemon.log())
    });
    let (status, log) = tokio::time::timeout(common::SOON, status).await.unwrap().unwrap();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(!directory.path().join("admin.sock").exists());
    assert!(log.contains("stopped"), "{log}");
}

#[test]
fn an_exposed_address_is_refused_and_says_why() {
    let output = Command::new(env!("CARGO_BIN_EXE_weft-supervisor"))
        .args(["--data-dir", "/nonexistent", "--listen-dataplane", "0.0.0.0:7430"])
        .output()
        .unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(2), "{text}");
    assert!(text.contains("transport security is not there yet"), "{text}");
}

/// `weft` on the supervisor of a directory.
fn weft(directory: &Path, arguments: &[&str]) -> Output {
    let server = format!("unix:{}", directory.join("admin.sock").display());
    Command::new(env!("CARGO_BIN_EXE_weft"))
        .env("WEFT_SERVER", server)
        .args(arguments)
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

fn text(bytes: &[u8]) -> &str {
    std::str::from_utf8(bytes).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_command_line_applies_shows_and_refuses() {
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::spawn(directory.path());
    daemon.operator().await;
    let file = directory.path().join("site.cfg");
    let path = file.to_str().unwrap();

    fs::write(&file, "hostname dc1\nvlan 10\n  name LAN\n").unwrap();
    let diff = weft(directory.path(), &["diff", path]);
    assert_eq!((diff.status.code(), text(&diff.stderr)), (Some(0), ""));
    assert!(text(&diff.stdout).contains("+ hostname dc1\n"), "{}", text(&diff.stdout));
    let apply = weft(directory.path(), &["apply", path, "--comment", "first"]);
    assert_eq!(apply.status.code(), Some(0), "{}", text(&apply.stderr));
    assert!(text(&apply.stdout).contains("Committed as revision 1."), "{}", text(&apply.stdout));
    let again = weft(directory.path(), &["apply", path]);
    assert_eq!(text(&again.stdout), "No changes.\n");

    // What is shown can be applied to an empty switch.
    let running = weft(directory.path(), &["show", "running-config"]);
    let other = tempfile::tempdir().unwrap();
    let mut second = Daemon::spawn(other.path());
    second.operator().await;
    let copy = other.path().join("copy.cfg");
    fs::write(&copy, &running.stdout).unwrap();
    weft(other.path(), &["apply", copy.to_str().unwrap()]);
    assert_eq!(weft(other.path(), &["show", "running-config"]).stdout, running.stdout);

    fs::write(&file, "vlan 20\nport-profile type vethernet W\n  switchport acess vlan 20\n")
        .unwrap();
    let wrong = weft(directory.path(), &["apply", path]);
    assert_eq!((wrong.status.code(), text(&wrong.stdout)), (Some(1), ""));
    assert!(
        text(&wrong.stderr).contains("3 |   switchport acess vlan 20\n  |              ^^^^^\n")
    );

    for what in [
        "module",
        "interface",
        "interface brief",
        "interface counters",
        "port-profile",
        "vlan",
        "mac address-table",
        "access-lists",
        "drops",
        "port-channel summary",
        "port-channel load-balance",
        "lacp neighbor",
        "lacp counters",
        "lacp internal",
        "pinning",
        "lldp neighbors",
        "lldp neighbors detail",
        "cdp neighbors",
        "cdp neighbors detail",
        "topology",
        "logging",
        "events",
        "revisions",
        "running-config",
    ] {
        let mut words: Vec<&str> = [&["show"][..], &what.split(' ').collect::<Vec<_>>()].concat();
        let shown = weft(directory.path(), &words);
        assert_eq!(shown.status.code(), Some(0), "{what}: {}", text(&shown.stderr));
        words.push("--json");
        let shown = weft(directory.path(), &words);
        let json: serde_json::Value = serde_json::from_slice(&shown.stdout).unwrap();
        assert!(json.is_object(), "{what}");
    }
    let none = weft(directory.path(), &["show", "lacp", "nei"]);
    assert!(text(&none.stdout).starts_with("No uplink speaks LACP"), "{}", text(&none.stdout));
    let revisions = weft(directory.path(), &["show", "revisions", "--json"]);
    let revisions: serde_json::Value = serde_json::from_slice(&revisions.stdout).unwrap();
    assert_eq!(revisions["revisions"][0]["comment"], "first");

    assert_eq!(weft(directory.path(), &["show", "interface", "veth9"]).status.code(), Some(1));
    assert_eq!(weft(directory.path(), &["apply", "/no/such/file"]).status.code(), Some(2));
    assert_eq!(weft(directory.path(), &["shwo"]).status.code(), Some(2));
    let nobody = tempfile::tempdir().unwrap();
    let lost = weft(nobody.path(), &["show", "module"]);
    assert_eq!(lost.status.code(), Some(2));
    assert!(text(&lost.stderr).contains("cannot reach the supervisor"), "{}", text(&lost.stderr));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_is_followed_until_the_supervisor_ends() {
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = Daemon::spawn(directory.path());
    let operator = daemon.operator().await;
    operator.apply("vlan 10\n").await;
    let server = format!("unix:{}", directory.path().join("admin.sock").display());
    let mut follower = Command::new(env!("CARGO_BIN_EXE_weft"))
        .env("WEFT_SERVER", server)
        .args(["show", "logging", "--last", "1", "--follow", "--json"])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(follower.stdout.take().unwrap()).lines();
    let mut next = || -> serde_json::Value {
        serde_json::from_str(&lines.next().expect("a line").unwrap()).unwrap()
    };
    let kind = next()["event"]["kind"].clone();
    assert_eq!(kind, "config-applied", "the last one of before");
    operator.apply("vlan 20\n").await;
    let reply = next();
    assert_eq!((&reply["event"]["kind"], &reply["missed"]), (&kind, &serde_json::json!(0)));
    kill(daemon.pid(), Signal::SIGTERM).unwrap();
    let ended = tokio::task::spawn_blocking(move || {
        daemon.child.wait().unwrap();
        follower.wait_with_output().unwrap()
    });
    let ended = tokio::time::timeout(common::SOON, ended).await.unwrap().unwrap();
    assert_eq!(ended.status.code(), Some(2));
    assert!(text(&ended.stderr).contains("the supervisor is stopping"), "{ended:?}");
}

#[test]
fn completions_are_made_for_three_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let output = weft(Path::new("/nonexistent"), &["completions", shell]);
        assert_eq!(output.status.code(), Some(0));
        for word in ["running-config", "load-balance", "follow"] {
            assert!(text(&output.stdout).contains(word), "{shell}: {word}");
        }
    }
}
