//! Compiles `api/*.proto` with protox (pure Rust: no protoc on the user's machine) when the
//! feature `rpc` is on.

use std::error::Error;

const SCHEMAS: [&str; 3] = ["switch.proto", "operator.proto", "local.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=api");
    if std::env::var_os("CARGO_FEATURE_RPC").is_none() {
        return Ok(());
    }
    let descriptors = protox::compile(SCHEMAS, ["api"])?;
    tonic_prost_build::configure()
        // The messages of the operator's API are what `--json` prints.
        .type_attribute(".weft.operator.v1", "#[derive(serde::Serialize)]")
        .compile_fds(descriptors)?;
    Ok(())
}
