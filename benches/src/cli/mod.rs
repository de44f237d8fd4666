//! The command line of `packet-rate`.

mod report;
mod run;
mod wire;

use anyhow::Context;
use clap::{Parser, Subcommand};

/// Measures how many frames a second a switch forwards between two veth cables.
#[derive(Debug, Parser)]
#[command(name = "packet-rate", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Measures everything, of every switch, and writes a report.
    Run(run::Args),
    /// Writes the report again, from the figures of a run.
    Report(report::Args),
    /// Tries the tester on one switch.
    Wire(wire::Args),
}

/// Runs the program. An interrupt ends it and leaves nothing behind.
///
/// # Errors
/// With what a user can do about it.
pub fn run() -> anyhow::Result<()> {
    let cli = Cli::parse();
    ctrlc::set_handler(tests::wait::interrupt).context("cannot catch interrupts")?;
    tests::netns::sweep_stale()?;
    match cli.command {
        Command::Run(args) => run::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Wire(args) => wire::run(&args),
    }
}
