//! Compiles BPF programs with clang, for the build scripts of the crates that have some: every
//! `bpf/NAME.bpf.c` to `NAME.bpf.o`. Nothing compiled is committed.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Compiles all programs of the crate that is built.
pub(crate) fn compile_all() -> Result<(), Box<dyn Error>> {
    const SOURCES: &str = "bpf";
    println!("cargo::rerun-if-changed={SOURCES}");
    println!("cargo::rerun-if-env-changed=CLANG");
    let out = PathBuf::from(std::env::var("OUT_DIR")?);
    for entry in std::fs::read_dir(SOURCES)? {
        let source = entry?.path();
        let name = source.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        if let Some(stem) = name.strip_suffix(".bpf.c") {
            compile(&source, &out.join(format!("{stem}.bpf.o")))?;
        }
    }
    Ok(())
}

fn compile(source: &Path, object: &Path) -> Result<(), Box<dyn Error>> {
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH")?;
    // Debian keeps <asm/types.h> in its multiarch folder, which clang's bpf target does not search.
    let headers = format!("/usr/include/{arch}-linux-gnu");
    // -g: map definitions are read from BTF.
    let flags = ["-target", "bpf", "-O2", "-g", "-Wall", "-Wextra", "-Werror"];
    let status = Command::new(&clang)
        .args(flags)
        .args(["-isystem", &headers, "-c"])
        .arg(source)
        .arg("-o")
        .arg(object)
        .status();
    let source = source.display();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!(
            "{clang} could not compile {source} ({status}); are libbpf-dev and linux-libc-dev \
             installed? `make setup` does it"
        )
        .into()),
        Err(e) => Err(format!(
            "cannot run {clang}: {e}; it compiles the BPF programs. `make setup` installs it, or \
             set CLANG to where it is"
        )
        .into()),
    }
}
