//! `packet-rate report`: the report once more, from the figures of a run.

use std::path::PathBuf;

use clap::Args as ClapArgs;

use crate::report;
use crate::suite::results::Results;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// The figures that a run has written.
    #[arg(long, default_value = "docs/bench/results.json")]
    from: PathBuf,
    /// The folder of the report.
    #[arg(long, default_value = "docs/bench")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let results = Results::read(&args.from)?;
    report::write(&results, &args.out)?;
    println!("{}", report::summary(&results));
    Ok(())
}
