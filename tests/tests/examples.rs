//! The files under `examples/`: every configuration is understood, prints back to itself, and has
//! the port-profiles that the topology beside it asks for.

use std::fs;
use std::path::{Path, PathBuf};

use policy::config::Config;
use policy::lang;
use tests::topology::Topology;

/// The examples whose name ends in `.extension`.
fn examples(extension: &str) -> Vec<PathBuf> {
    let dir = Path::new(env!("CARGO_MANIFEST_DIR")).join("../examples");
    let paths = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
    paths.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

fn read(path: &Path) -> Config {
    lang::parse(&fs::read_to_string(path).unwrap())
        .unwrap_or_else(|problems| panic!("{}: {problems:#?}", path.display()))
}

#[test]
fn every_configuration_is_understood_and_prints_back_to_itself() {
    let files = examples("cfg");
    assert!(!files.is_empty());
    for path in files {
        let config = read(&path);
        assert!(!config.profiles.is_empty(), "{}", path.display());
        assert_eq!(lang::parse(&lang::print(&config)).unwrap(), config, "{}", path.display());
    }
}

#[test]
fn every_profile_that_a_topology_uses_is_configured_and_its_uplinks_too() {
    for path in examples("yaml") {
        let topology = Topology::load(&path).unwrap();
        let config = read(&path.with_extension("cfg"));
        let known: Vec<_> = config.profiles.keys().map(ToString::to_string).collect();
        for profile in topology.vms.values().flat_map(|vm| &vm.profiles) {
            assert!(known.contains(profile), "{}: no port-profile {profile}", path.display());
        }
        let uplinks: usize = topology.hosts.values().map(|host| host.uplinks.len()).sum();
        assert_eq!(config.interfaces.len(), uplinks, "{}", path.display());
    }
}
