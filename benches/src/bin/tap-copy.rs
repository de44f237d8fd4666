//! Copies frames between a TAP in one namespace and a TAP in another, on one CPU: see
//! [`benches::tap::copy`], which starts it.

use std::convert::Infallible;

use anyhow::{Result, ensure};
use benches::tap::copy;
use clap::Parser;
use nix::sys::prctl;
use nix::sys::signal::Signal;

/// Copies frames between two TAPs until it is ended, or whoever started it ends.
#[derive(Debug, Parser)]
struct Options {
    /// The CPU to run on.
    #[arg(long)]
    cpu: usize,
    /// Namespace of one TAP.
    a: String,
    /// Namespace of the other.
    b: String,
}

fn main() -> Result<Infallible> {
    let options = Options::parse();
    prctl::set_pdeathsig(Signal::SIGKILL)?;
    let core = core_affinity::CoreId { id: options.cpu };
    ensure!(core_affinity::set_for_current(core), "cannot run on CPU {}", options.cpu);
    Ok(copy::serve(&[options.a, options.b], || println!("{}", copy::READY))?)
}
