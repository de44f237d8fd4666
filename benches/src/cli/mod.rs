//! The command line of `packet-rate`.

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
        Command::Wire(args) => wire::run(&args),
    }
}
