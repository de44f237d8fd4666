//! Who may depend on whom: the arrows of docs/architecture.md, checked over `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand};

/// Crate -> the workspace crates its product code may name.
const ALLOWED: [(&str, &[&str]); 9] = [
    ("admission", &[]),
    ("proto", &[]),
    ("policy", &["proto"]),
    ("afxdp", &[]),
    ("pmd", &["afxdp", "proto"]),
    ("dataplane", &["admission", "pmd", "policy", "proto"]),
    ("supervisor", &["admission", "policy", "proto"]),
    ("benches", &["afxdp", "dataplane", "pmd", "policy", "proto", "tests"]),
    ("tests", &["policy", "proto"]),
];

fn metadata() -> Metadata {
    MetadataCommand::new().no_deps().exec().expect("cargo metadata of this workspace")
}

fn normal_dependencies(metadata: &Metadata) -> BTreeMap<String, BTreeSet<String>> {
    metadata
        .packages
        .iter()
        .map(|package| {
            let names = package.dependencies.iter().filter(|d| d.kind == DependencyKind::Normal);
            (package.name.to_string(), names.map(|d| d.name.clone()).collect())
        })
        .collect()
}

#[test]
fn crates_depend_only_along_the_arrows() {
    let dependencies = normal_dependencies(&metadata());
    let members: BTreeSet<&str> = dependencies.keys().map(String::as_str).collect();
    assert_eq!(members, ALLOWED.iter().map(|(name, _)| *name).collect(), "a crate has no rule");
    for (name, allowed) in ALLOWED {
        for dependency in &dependencies[name] {
            let legal =
                !members.contains(dependency.as_str()) || allowed.contains(&dependency.as_str());
            assert!(legal, "{name} must not depend on {dependency}");
        }
    }
}

#[test]
fn policy_and_drivers_stay_pure() {
    let dependencies = normal_dependencies(&metadata());
    for name in ["proto", "policy", "pmd", "afxdp"] {
        for forbidden in ["tokio", "rtnetlink", "redb", "axum"] {
            assert!(!dependencies[name].contains(forbidden), "{name} must not know {forbidden}");
        }
    }
    for forbidden in ["libc", "nix", "tonic", "prost", "aya"] {
        assert!(!dependencies["policy"].contains(forbidden), "policy must not know {forbidden}");
    }
}

#[test]
fn rpc_is_known_only_to_supervisor_and_dataplane() {
    for package in &metadata().packages {
        let rpc = package
            .dependencies
            .iter()
            .filter(|d| d.kind == DependencyKind::Normal && d.name == "proto")
            .any(|d| d.features.iter().any(|f| f == "rpc"));
        let allowed = ["supervisor", "dataplane"].contains(&package.name.as_str());
        assert!(!rpc || allowed, "{} must not know the rpc schema", package.name);
    }
}

/// The forwarding core is a function: no I/O, no clock, no thread, no driver.
#[test]
fn forwarding_core_is_sans_io() {
    let root = metadata().workspace_root.join("dataplane/src/core");
    let forbidden = [
        "pmd::",
        "tokio",
        "tonic",
        "libc::",
        "nix::",
        "std::fs",
        "std::net",
        "std::thread",
        "Instant::now",
        "SystemTime",
        "std::sync::Mutex",
        "RwLock",
        "println!",
        "proto::rpc",
    ];
    let mut files = 0;
    let mut folders = vec![root.into_std_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(&folder).expect("the core's folder") {
            let path = entry.expect("a folder entry").path();
            if path.is_dir() {
                // What tests the core may use more than the core.
                if !path.ends_with("tests") {
                    folders.push(path);
                }
                continue;
            }
            files += 1;
            let text = std::fs::read_to_string(&path).expect("a source file");
            let code = text.lines().filter(|l| !l.trim_start().starts_with("//"));
            for line in code {
                for word in forbidden {
                    assert!(!line.contains(word), "{}: `{word}` in: {line}", path.display());
                }
            }
        }
    }
    assert!(files > 5, "the core has moved; this test looks at nothing");
}
