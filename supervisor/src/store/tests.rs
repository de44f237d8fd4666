//! The store against its promises: durable, whole, refusing what it cannot read.

use proto::{Revision, Term};

use super::record::{Saved, Transaction};
use super::*;
use crate::inventory::{Binding, ModuleRecord, Nic};
use crate::revision::{RevisionKind, RevisionRecord};

fn transaction(revision: u64, config: Option<&str>) -> Transaction {
    let record = RevisionRecord {
        unix_time_ns: 1_700_000_000_000_000_000 + revision,
        kind: RevisionKind::Config,
        comment: format!("change {revision}"),
    };
    Transaction {
        revision: Revision::new(revision),
        record,
        config: config.map(str::to_owned),
        bindings: Vec::new(),
        modules: Vec::new(),
        term: None,
    }
}

fn binding(number: u32, module: Option<u16>) -> Binding {
    Binding {
        veth: proto::VethId::new(number).unwrap(),
        vm: "vm \"1\"".to_owned(),
        adapter: "eth0".to_owned(),
        mac: "02:57:46:00:00:01".parse().unwrap(),
        profile: "WEB".parse().unwrap(),
        module: module.map(|m| proto::ModuleId::new(m).unwrap()),
    }
}

fn module(number: u16) -> ModuleRecord {
    ModuleRecord {
        module: proto::ModuleId::new(number).unwrap(),
        host: "01234567-89ab-cdef-0123-456789abcdef".parse().unwrap(),
        name: "h1".to_owned(),
        nics: vec![Nic { number: 1, ifname: "eth1".to_owned() }],
        target: Revision::new(7),
    }
}

fn reopen(directory: &Path) -> Saved {
    Store::open(directory).unwrap().1
}

#[test]
fn what_was_committed_comes_back() {
    let directory = tempfile::tempdir().unwrap();
    let (store, fresh) = Store::open(directory.path()).unwrap();
    assert_eq!((fresh.revision, fresh.term), (0, 1));
    let mut first = transaction(1, Some("vlan 10\n"));
    first.bindings = vec![binding(1, Some(3)), binding(2, None)];
    first.modules = vec![module(3)];
    store.commit(&first).unwrap();
    store.commit(&transaction(2, None)).unwrap();
    drop(store);
    let saved = reopen(directory.path());
    assert_eq!((saved.revision, saved.term), (2, 2));
    assert_eq!(saved.config, Some((Revision::new(1), "vlan 10\n".to_owned())));
    assert_eq!(saved.bindings, first.bindings);
    assert_eq!(saved.modules, first.modules);
    assert_eq!(saved.revisions.len(), 2);
    assert_eq!(saved.revisions[&Revision::new(1)], first.record);
}

#[test]
fn the_term_grows_with_every_opening_and_with_a_commit_that_says_so() {
    let directory = tempfile::tempdir().unwrap();
    assert_eq!(reopen(directory.path()).term, 1);
    let (store, saved) = Store::open(directory.path()).unwrap();
    assert_eq!(saved.term, 2);
    store.commit(&Transaction { term: Some(Term::new(9)), ..transaction(1, None) }).unwrap();
    drop(store);
    assert_eq!(reopen(directory.path()).term, 10);
}

#[test]
fn an_old_revision_has_the_configuration_of_its_time() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(directory.path()).unwrap();
    store.commit(&transaction(2, Some("two"))).unwrap();
    store.commit(&transaction(3, None)).unwrap();
    store.commit(&transaction(4, Some("four"))).unwrap();
    let at = |n| store.config_at(Revision::new(n)).unwrap().map(|(r, text)| (r.get(), text));
    assert_eq!(at(1), None);
    assert_eq!(at(3), Some((2, "two".to_owned())));
    assert_eq!(at(9), Some((4, "four".to_owned())));
}

#[test]
fn an_uncommitted_transaction_is_absent() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(directory.path()).unwrap();
    store.commit(&transaction(1, Some("one"))).unwrap();
    let write = store.database.begin_write().unwrap();
    store.write(&write, &transaction(2, Some("two"))).unwrap();
    drop(write);
    drop(store);
    assert_eq!(reopen(directory.path()).revision, 1);
}

#[test]
fn a_newer_schema_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(directory.path()).unwrap();
    let write = store.database.begin_write().unwrap();
    write.open_table(META).unwrap().insert(SCHEMA, SCHEMA_VERSION + 1).unwrap();
    write.commit().unwrap();
    drop(store);
    let error = Store::open(directory.path()).unwrap_err().to_string();
    assert!(error.contains("has schema 2, and this version reads up to 1"), "{error}");
}

#[test]
fn a_second_supervisor_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let _store = Store::open(directory.path()).unwrap();
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::InUse { .. }), "{error}");
}

#[test]
fn a_foreign_file_and_a_damaged_record_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE_NAME);
    fs::write(&path, "this is not a database, but it is long enough to look at ".repeat(200))
        .unwrap();
    let error = Store::open(directory.path()).unwrap_err();
    assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
    fs::remove_file(&path).unwrap();

    let (store, _) = Store::open(directory.path()).unwrap();
    let write = store.database.begin_write().unwrap();
    write.open_table(BINDINGS).unwrap().insert(5, b"{".as_slice()).unwrap();
    write.commit().unwrap();
    drop(store);
    let error = Store::open(directory.path()).unwrap_err().to_string();
    assert!(error.contains("damaged") && error.contains("vEthernet 5"), "{error}");
}

#[test]
fn history_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let (store, _) = Store::open(directory.path()).unwrap();
    let write = store.database.begin_write().unwrap();
    for n in 1..=CONFIGS_KEPT + 3 {
        store.write(&write, &transaction(n, Some("x"))).unwrap();
    }
    write.commit().unwrap();
    assert_eq!(store.config_at(Revision::new(3)).unwrap(), None);
    assert!(store.config_at(Revision::new(4)).unwrap().is_some());
}

/// A store with twenty revisions, its bytes, and what is in it but for the term.
fn filled(directory: &Path) -> (Vec<u8>, Saved) {
    let (store, _) = Store::open(directory).unwrap();
    for n in 1..=20 {
        let mut change = transaction(u64::from(n), Some(&format!("vlan {n}\n").repeat(50)));
        change.bindings = vec![binding(n, Some(3))];
        change.modules = vec![module(3)];
        store.commit(&change).unwrap();
    }
    drop(store);
    let whole = fs::read(directory.join(FILE_NAME)).unwrap();
    (whole, Saved { term: 0, ..reopen(directory) })
}

#[test]
fn a_file_cut_anywhere_is_refused_and_an_empty_one_is_no_new_store() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE_NAME);
    let (whole, _) = filled(directory.path());
    let lens = [0, 1, 8, 63, 64, 320, 4095, 4096, whole.len() / 2, whole.len() - 1];
    for len in lens {
        fs::write(&path, &whole[..len]).unwrap();
        let error = Store::open(directory.path()).expect_err("a cut file");
        assert!(matches!(error, StoreError::Damaged { .. }), "cut at {len}: {error:?}");
        assert_eq!(fs::read(&path).unwrap(), &whole[..len], "the evidence of cut {len} is gone");
    }
}

/// redb itself takes most flipped bits of a file that was closed cleanly for data, and panics at
/// some.
#[test]
fn a_flipped_bit_is_refused_or_changes_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join(FILE_NAME);
    let (whole, expected) = filled(directory.path());
    let used: Vec<_> = (0..whole.len()).filter(|at| whole[*at] != 0).collect();
    let mut refused = 0;
    for at in (0..320).chain(used.iter().copied().step_by(used.len() / 700)) {
        let mut flipped = whole.clone();
        flipped[at] ^= 0x10;
        fs::write(&path, &flipped).unwrap();
        match Store::open(directory.path()) {
            Ok((_, saved)) => assert_eq!(Saved { term: 0, ..saved }, expected, "byte {at}"),
            Err(StoreError::Damaged { .. }) => refused += 1,
            Err(error) => panic!("byte {at}: {error:?}"),
        }
    }
    assert!(refused > 100, "only {refused} were refused");
}
