//! The `lab` program as its user runs it, without daemons: up, exec, down, signals. Needs root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use nix::sys::signal::Signal;
use tests::process::Process;
use tests::wait::{SOON, wait_for_ok};

/// A lab under a name of its own, so that tests run side by side.
struct Rig {
    dir: tempfile::TempDir,
    file: PathBuf,
}

impl Rig {
    fn new(name: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("lab.yaml");
        let name = format!("{name}-{}", std::process::id());
        let text = format!(
            "name: {name}
topology:
  nodes:
    s: {{ kind: switch, ports: {{ a: {{ access: 10 }}, b: {{ access: 10 }} }} }}
    a: {{ kind: pc, nics: [ {{ name: eth0, address: 10.0.0.1/24 }} ] }}
    b: {{ kind: pc, nics: [ {{ name: eth0, address: 10.0.0.2/24 }} ] }}
  links:
    - endpoints: [ 'a:eth0', 's:a' ]
    - endpoints: [ 'b:eth0', 's:b' ]
"
        );
        fs::write(&file, text).unwrap();
        Self { dir, file }
    }

    fn lab(&self, verb: &str, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
        command.arg(verb).arg(&self.file).args(args).output().unwrap()
    }

    fn up(&self) -> Process {
        let mut command = Command::new(env!("CARGO_BIN_EXE_lab"));
        command.arg("up").arg(&self.file).arg("--bare");
        let mut process = Process::spawn("lab", command, self.dir.path()).unwrap();
        wait_for_ok("the lab to be up", SOON, || {
            process.check_running().unwrap();
            let log = process.log();
            if log.contains("is up; Ctrl-C") { Ok(()) } else { Err(log) }
        })
        .unwrap();
        process
    }
}

/// Namespaces that a process owns.
fn namespaces_of(pid: u32) -> Vec<String> {
    let prefix = format!("wlab-{pid}-");
    let entries = fs::read_dir("/run/netns").unwrap().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| name.starts_with(&prefix)).collect()
}

#[test]
fn a_lab_is_up_until_down_is_said_from_elsewhere() {
    let rig = Rig::new("updown");
    let mut lab = rig.up();
    assert_eq!(namespaces_of(lab.pid()).len(), 3);
    let ping = rig.lab("exec", &["a", "ping", "-c", "1", "-W", "5", "10.0.0.2"]);
    assert!(ping.status.success(), "{ping:?}");
    let again = rig.lab("up", &["--bare"]);
    assert!(String::from_utf8_lossy(&again.stderr).contains("is up already"), "{again:?}");
    let down = rig.lab("down", &[]);
    assert!(down.status.success(), "{down:?}");
    assert!(lab.wait_exit(SOON).unwrap().success());
    assert_eq!(namespaces_of(lab.pid()), [""; 0]);
}

#[test]
fn ctrl_c_removes_everything() {
    let rig = Rig::new("ctrlc");
    let mut lab = rig.up();
    lab.signal(Signal::SIGINT).unwrap();
    assert!(lab.wait_exit(SOON).unwrap().success());
    assert_eq!(namespaces_of(lab.pid()), [""; 0]);
}

#[test]
fn the_next_lab_removes_what_a_killed_one_left() {
    let rig = Rig::new("killed");
    let mut lab = rig.up();
    let orphan = Command::new("ip")
        .args(["netns", "exec", &namespaces_of(lab.pid())[0], "sleep", "600"])
        .spawn();
    let mut orphan = orphan.unwrap();
    lab.kill9().unwrap();
    // A sweep by a test beside this one may have been quicker; either way it is gone.
    let down = rig.lab("down", &[]);
    assert!(down.status.success(), "{down:?}");
    assert_eq!(namespaces_of(lab.pid()), [""; 0]);
    assert!(!orphan.wait().unwrap().success());
}

#[test]
fn check_says_what_is_wrong_and_where() {
    let rig = Rig::new("check");
    let good = rig.lab("check", &[]);
    assert!(String::from_utf8_lossy(&good.stdout).contains("2 PCs, 2 cables"), "{good:?}");
    let text = fs::read_to_string(&rig.file).unwrap().replace("'b:eth0'", "'c:eth0'");
    fs::write(&rig.file, text).unwrap();
    let bad = rig.lab("check", &[]);
    let stderr = String::from_utf8_lossy(&bad.stderr);
    assert!(!bad.status.success());
    assert!(stderr.contains("link 2: there is no node `c`"), "{stderr}");
    assert!(stderr.contains(&Path::new(&rig.file).display().to_string()), "{stderr}");
}
