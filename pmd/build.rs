//! Compiles the XDP program with clang. Nothing compiled is committed.

use std::error::Error;
use std::path::PathBuf;
use std::process::Command;

const SOURCE: &str = "bpf/xdp.bpf.c";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={SOURCE}");
    println!("cargo::rerun-if-env-changed=CLANG");
    let object = PathBuf::from(std::env::var("OUT_DIR")?).join("xdp.bpf.o");
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".to_owned());
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH")?;
    // Debian keeps <asm/types.h> in its multiarch folder, which clang's bpf target does not search.
    let headers = format!("/usr/include/{arch}-linux-gnu");
    // -g: map definitions are read from BTF.
    let flags = ["-target", "bpf", "-O2", "-g", "-Wall", "-Wextra", "-Werror"];
    let status = Command::new(&clang)
        .args(flags)
        .args(["-isystem", &headers, "-c", SOURCE, "-o"])
        .arg(&object)
        .status();
    match status {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!(
            "{clang} could not compile {SOURCE} ({status}); are libbpf-dev and linux-libc-dev \
             installed? `make setup` does it"
        )
        .into()),
        Err(e) => Err(format!(
            "cannot run {clang}: {e}; it compiles the XDP program. `make setup` installs it, or \
             set CLANG to where it is"
        )
        .into()),
    }
}
