//! Files that a bad disk or a helpful hand has spoilt. A daemon refuses the one whose content nobody
//! else has, says which, and leaves it as it is; what another daemon has it sets aside and fetches
//! anew. Nothing is believed that is not whole.

use std::fs;
use std::path::{Path, PathBuf};

use tests::mutate::SplitMix64;
use tests::wait::{SOON, wait_for_ok};

use crate::rig::{HOST, Rig};

/// The same bits in every run.
const SEED: u64 = 0x77ef_3001;

/// Copies of the store with one flipped bit. The unit tests of the store try each kind of page.
const FLIPS: usize = 12;

/// A file and what was in it when all was well.
#[derive(Debug)]
struct Kept {
    path: PathBuf,
    whole: Vec<u8>,
}

impl Kept {
    fn read(path: PathBuf) -> Self {
        let whole = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        Self { path, whole }
    }

    fn put(&self, bytes: &[u8]) {
        fs::write(&self.path, bytes).expect("written");
    }

    /// A copy with one flipped bit: of a letter, so that the text is none any more, or its checksum.
    fn flipped(&self) -> Vec<u8> {
        let mut flipped = self.whole.clone();
        flipped[self.whole.len() / 2] ^= 0x80;
        flipped
    }

    /// Copies that are cut, the empty one among them.
    fn cuts(&self) -> impl Iterator<Item = &[u8]> {
        let len = self.whole.len();
        [0, 1, len / 2, len - 1].into_iter().map(|at| &self.whole[..at])
    }
}

/// The daemon said why it did not start: which file, in one line, and without a backtrace to read.
fn assert_refusal(refusal: &str, path: &Path, words: &str) {
    let line = refusal.lines().find(|line| line.contains(&path.display().to_string()));
    let line = line.unwrap_or_else(|| panic!("{} is not named: {refusal}", path.display()));
    assert!(line.contains(words), "{line}");
    assert!(line.contains("move it away to start"), "what to do is not said: {line}");
    assert!(refusal.contains("exit status: 1"), "{refusal}");
}

#[test]
fn a_supervisor_refuses_a_damaged_store_and_never_starts_empty() {
    println!("seed {SEED:#x}");
    let mut rig = Rig::start();
    let config = rig.weft.weft(&["show", "running-config"]).expect("a configuration");
    rig.weft.supervisor().expect("a supervisor").terminate().expect("it ends");
    let store = Kept::read(rig.weft.state_dir("vsm").expect("its folder").join("weft.redb"));
    for cut in store.cuts() {
        store.put(cut);
        let refusal = rig.weft.start_supervisor().expect_err("a cut store").to_string();
        assert_refusal(&refusal, &store.path, "damaged");
        assert!(!refusal.contains("panicked"), "{refusal}");
        assert_eq!(fs::read(&store.path).expect("it is there"), cut, "it was touched");
    }
    // A bit of each table and of the list of free pages; some lie where nothing is.
    let mut random = SplitMix64::new(SEED);
    let used: Vec<_> = (0..store.whole.len()).filter(|at| store.whole[*at] != 0).collect();
    let mut refused = 0;
    for _ in 0..FLIPS {
        let (at, bit) = (used[random.below(used.len())], 1 << random.below(8));
        let mut flipped = store.whole.clone();
        flipped[at] ^= bit;
        store.put(&flipped);
        match rig.weft.start_supervisor() {
            Ok(()) => {
                let now = rig.weft.weft(&["show", "running-config"]).expect("a configuration");
                assert_eq!(now, config, "byte {at} changed the configuration");
                rig.weft.supervisor().expect("a supervisor").terminate().expect("it ends");
            }
            Err(refusal) => {
                assert_refusal(&refusal.to_string(), &store.path, "damaged");
                refused += 1;
            }
        }
    }
    assert!(refused > 0, "no flipped bit was noticed");
    // The backup that the message speaks of.
    store.put(&store.whole);
    rig.weft.start_supervisor().expect("the good file");
    rig.weft.wait_registered(HOST).expect("the host comes back");
    assert_eq!(rig.weft.weft(&["show", "running-config"]).expect("a configuration"), config);
}

/// Starts the dataplane and gives what it said before it ended. It binds its socket first of all, so
/// it may look as if it had started.
fn refused_start(rig: &mut Rig) -> String {
    if let Err(refusal) = rig.weft.start_dataplane(HOST) {
        return refusal.to_string();
    }
    let daemon = rig.weft.dataplane(HOST).expect("a dataplane");
    let ended = daemon.wait_exit(SOON).expect("it does not run on damaged files");
    format!("{ended}\n{}", daemon.log())
}

/// Everything forwards again.
fn assert_recovers(rig: &Rig) {
    rig.weft.wait_registered(HOST).expect("it registers");
    for vm in ["a", "b", "d", "x"] {
        rig.weft.wait_port_up(HOST, vm).expect("its port comes up");
    }
}

/// The supervisor has the snapshot, so its damage costs a moment and no human.
#[test]
fn a_dataplane_sets_a_damaged_snapshot_aside_and_fetches_it_anew() {
    let mut rig = Rig::start();
    let revision = rig.weft.status(HOST).expect("status")["revision"].clone();
    rig.weft.dataplane(HOST).expect("a dataplane").terminate().expect("it ends");
    let dir = rig.weft.state_dir(HOST).expect("its folder");
    let (intent, term) = (Kept::read(dir.join("intent")), Kept::read(dir.join("term")));
    let aside = dir.join("intent.damaged");
    for spoilt in intent.cuts().chain([&intent.flipped()[..]]) {
        intent.put(spoilt);
        rig.weft.start_dataplane(HOST).expect("it starts without one");
        assert_recovers(&rig);
        assert_eq!(rig.weft.status(HOST).expect("status")["revision"], revision);
        assert_eq!(fs::read(&aside).expect("kept for people"), spoilt);
        assert_eq!(fs::read(&term.path).expect("it is there"), term.whole);
        wait_for_ok("the snapshot to be on disk again", SOON, || match fs::read(&intent.path) {
            Ok(bytes) if bytes.len() == intent.whole.len() => Ok(()),
            other => Err(format!("{:?}", other.map(|bytes| bytes.len()))),
        })
        .expect("it is kept");
        let daemon = rig.weft.dataplane(HOST).expect("a dataplane");
        daemon.terminate().expect("it ends");
        let (log, aside) = (daemon.log(), aside.display().to_string());
        let warned = log.lines().any(|line| line.contains("WARN") && line.contains(&aside));
        assert!(warned, "nobody is told of {aside}: {log}");
    }
    rig.weft.start_dataplane(HOST).expect("the good file");
    assert_recovers(&rig);
    rig.assert_reachable();
}

/// What is plugged in is known to the host alone, so a guess would unplug VMs.
#[test]
fn a_dataplane_refuses_damaged_attachments_rather_than_unplug_its_vms() {
    let mut rig = Rig::start();
    rig.weft.dataplane(HOST).expect("a dataplane").terminate().expect("it ends");
    let kept = Kept::read(rig.weft.state_dir(HOST).expect("its folder").join("attachments"));
    for spoilt in kept.cuts().chain([&kept.flipped()[..]]) {
        kept.put(spoilt);
        let refusal = refused_start(&mut rig);
        assert_refusal(&refusal, &kept.path, "");
        assert!(!refusal.contains("panicked"), "{refusal}");
        assert_eq!(fs::read(&kept.path).expect("it is there"), spoilt, "it was touched");
        assert!(!rig.weft.dataplane_socket(HOST).exists(), "its socket is left behind");
    }
    kept.put(&kept.whole);
    rig.weft.start_dataplane(HOST).expect("the good file");
    assert_recovers(&rig);
    rig.assert_reachable();
}
