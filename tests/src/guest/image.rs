//! What the guest boots: Debian's cloud kernel, and an initrd that is built here for each boot.
//!
//! *Where it sits:* under [`super::Guest`]. `packaging/setup.sh` unpacks the kernel, its modules
//! and a static busybox into `target/tools/guest` ([`tools_dir`]).
//!
//! In the guest, `/bin` has `sh` (dash), `ip` (iproute2) and the programs that were asked for,
//! taken from this machine with the libraries that `ldd` names; `/usr/bin` has busybox for others.
//! A program that busybox starts (`timeout 5 ip ...`) is busybox's own unless called by its path.
//!
//! *Invariant:* modules are loaded in the order in which each finds those that it names in its
//! `depends` field (a package of a kernel has no `modules.dep`; depmod(8) makes it when installed).

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cpio::Archive;
use crate::error::{LabError, Result};
use crate::netns::run_command;

/// The first process of the guest.
const INIT: &str = include_str!("init.sh");

/// Modules of every guest, each with its parameters.
const MODULES: [&str; 5] =
    ["virtio_pci", "virtio_net", "virtio_console", "8021q", "bonding max_bonds=0"];

/// Programs of every guest, beside busybox: their names there and here.
const PROGRAMS: [(&str, &str); 2] = [("sh", "dash"), ("ip", "ip")];

/// Where this machine's programs are looked for.
const SEARCH_PATH: [&str; 6] =
    ["/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin"];

/// The folder in which `packaging/setup.sh` has put kernel, modules and busybox.
pub fn tools_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/tools/guest")
}

/// The kernel to boot.
///
/// # Errors
/// [`LabError::Unexpected`] when `make setup` was not run.
pub fn kernel() -> Result<PathBuf> {
    let path = tools_dir().join("vmlinuz");
    if path.is_file() {
        return Ok(path);
    }
    let message = format!("no kernel {} for a guest: run `make setup`", path.display());
    Err(LabError::Unexpected(message))
}

/// Builds an initrd with the modules and programs of every guest and some more. A module may have
/// parameters behind its name; a program is a path, or a name to look for.
///
/// # Errors
/// When a module or a program is not there.
pub fn initrd(more_modules: &[String], more_programs: &[String]) -> Result<Vec<u8>> {
    let mut archive = Archive::new();
    for folder in ["/dev", "/proc", "/sys", "/run", "/tmp", "/usr/bin", "/etc"] {
        archive.folder(folder);
    }
    archive.file("/init", 0o755, INIT.as_bytes());
    archive.file("/usr/bin/busybox", 0o755, &read(&tools_dir().join("busybox"))?);
    add_modules(&mut archive, more_modules)?;
    add_programs(&mut archive, more_programs)?;
    Ok(archive.finish())
}

/// Adds the modules, and the list `/modules/order` of their names with their parameters.
fn add_modules(archive: &mut Archive, more: &[String]) -> Result<()> {
    let mut available = BTreeMap::new();
    find_modules(&tools_dir().join("modules"), &mut available)?;
    let mut order = String::new();
    let mut loaded = BTreeSet::new();
    for wanted in MODULES.into_iter().chain(more.iter().map(String::as_str)) {
        let (name, parameters) = wanted.split_once(' ').unwrap_or((wanted, ""));
        let modules = closure(name, &available, &mut loaded)?;
        for (name, content) in &modules {
            archive.file(&format!("/modules/{name}.ko"), 0o644, content);
            order.push_str(&format!("\n{name}"));
        }
        // The last one is the one that was wanted.
        if !modules.is_empty() {
            order.push_str(&format!(" {parameters}"));
        }
    }
    order.push('\n');
    archive.file("/modules/order", 0o644, order.trim_start().as_bytes());
    Ok(())
}

/// All modules below a folder, by name; in names `-` and `_` are the same and `_` is used here.
fn find_modules(folder: &Path, found: &mut BTreeMap<String, PathBuf>) -> Result<()> {
    let action = || format!("cannot list {}; `make setup` makes it", folder.display());
    for entry in fs::read_dir(folder).map_err(LabError::io(action()))? {
        let path = entry.map_err(LabError::io(action()))?.path();
        if path.is_dir() {
            find_modules(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "ko") {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().replace('-', "_");
            found.insert(name, path);
        }
    }
    Ok(())
}

/// A module behind all those that it needs and that are not loaded yet.
fn closure(
    name: &str,
    available: &BTreeMap<String, PathBuf>,
    loaded: &mut BTreeSet<String>,
) -> Result<Vec<(String, Vec<u8>)>> {
    let name = name.replace('-', "_");
    if !loaded.insert(name.clone()) {
        return Ok(Vec::new());
    }
    let path = available.get(&name).ok_or_else(|| {
        LabError::Unexpected(format!(
            "no module `{name}` below {}; packaging/setup.sh unpacks only some folders",
            tools_dir().join("modules").display()
        ))
    })?;
    let content = read(path)?;
    let mut modules = Vec::new();
    for needed in depends(&content) {
        modules.extend(closure(&needed, available, loaded)?);
    }
    modules.push((name, content));
    Ok(modules)
}

/// The names in the `depends` field of a module's `.modinfo` section, which is a list of strings
/// that end with NUL (linux/moduleparam.h).
fn depends(module: &[u8]) -> Vec<String> {
    const FIELD: &[u8] = b"\0depends=";
    let Some(at) = module.windows(FIELD.len()).position(|window| window == FIELD) else {
        return Vec::new();
    };
    let value = module[at + FIELD.len()..].split(|&byte| byte == 0).next().unwrap_or_default();
    let value = String::from_utf8_lossy(value);
    value.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

/// Adds programs to `/bin`, and their libraries at the paths where they are here.
fn add_programs(archive: &mut Archive, more: &[String]) -> Result<()> {
    let mut libraries = BTreeSet::new();
    let more = more.iter().map(|program| {
        let name = program.rsplit_once('/').map_or(program.as_str(), |(_, name)| name);
        (name, program.as_str())
    });
    for (name, program) in PROGRAMS.into_iter().chain(more) {
        let path = find_program(program)?;
        archive.file(&format!("/bin/{name}"), 0o755, &read(&path)?);
        libraries.extend(libraries_of(&path)?);
    }
    for library in libraries {
        archive.file(&library.to_string_lossy(), 0o755, &read(&library)?);
    }
    Ok(())
}

fn find_program(program: &str) -> Result<PathBuf> {
    let candidates = SEARCH_PATH.iter().map(|folder| Path::new(folder).join(program));
    candidates.into_iter().find(|path| path.is_file()).ok_or_else(|| {
        LabError::Unexpected(format!("no program `{program}` for the guest; `make setup` installs"))
    })
}

/// The libraries of a program, as `ldd` lists them; none for a static one.
fn libraries_of(program: &Path) -> Result<Vec<PathBuf>> {
    let output = match run_command(Command::new("ldd").arg(program)) {
        Err(LabError::Command { stderr, .. }) if stderr.contains("not a dynamic") => String::new(),
        other => other?,
    };
    // "libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x...)" or "/lib64/ld-linux... (0x...)".
    Ok(output.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(LabError::io(format!("cannot read {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dependencies_are_read_from_the_module() {
        assert_eq!(
            depends(b"\x7fELF...\0alias=x\0depends=mrp,garp\0name=8021q\0"),
            ["mrp", "garp"]
        );
        assert!(depends(b"\0license=GPL\0depends=\0name=llc\0").is_empty());
        assert!(depends(b"no module").is_empty());
    }

    #[test]
    fn a_module_comes_behind_all_that_it_needs_and_once() {
        let mut available = BTreeMap::new();
        find_modules(&tools_dir().join("modules"), &mut available).unwrap();
        let mut loaded = BTreeSet::new();
        let mut order = Vec::new();
        for name in ["virtio-net", "8021q", "virtio_net"] {
            let modules = closure(name, &available, &mut loaded).unwrap();
            for (name, content) in modules {
                for needed in depends(&content) {
                    assert!(order.contains(&needed), "{name} before {needed}: {order:?}");
                }
                order.push(name);
            }
        }
        assert!(order.contains(&"virtio_net".to_owned()) && order.contains(&"8021q".to_owned()));
        let error = closure("absent", &available, &mut loaded).unwrap_err().to_string();
        assert!(error.contains("no module `absent`"), "{error}");
    }

    #[test]
    fn a_program_brings_its_libraries() {
        let libraries = libraries_of(&find_program("ip").unwrap()).unwrap();
        assert!(libraries.iter().any(|path| path.to_string_lossy().contains("/libc.so")));
        assert!(libraries.iter().all(|path| path.is_file()), "{libraries:?}");
        assert!(libraries_of(&tools_dir().join("busybox")).unwrap().is_empty());
        assert!(find_program("no-such-program").is_err());
    }
}
