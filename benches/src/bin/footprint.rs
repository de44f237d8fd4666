//! CPU time and memory of an idle dataplane by number of ports, and what a snapshot swap with many
//! of them costs the traffic: see [`benches::footprint`] and [`benches::swap`].

use anyhow::{Context, Result};
use benches::footprint::run as idle;
use benches::swap::run as swap;
use benches::switch::Setting;
use clap::Parser;
use serde::Serialize;
use tests::wait;

/// Measures what the dataplane daemon costs a host that does nothing, and what a change of the
/// configuration costs one that forwards.
#[derive(Debug, Parser)]
struct Options {
    /// Numbers of ports, ascending; swaps are measured with the last.
    #[arg(long, value_delimiter = ',', default_value = "1,100,1000")]
    ports: Vec<u32>,
    /// Swaps at each load.
    #[arg(long, default_value_t = 10)]
    swaps: u32,
    /// The idle host alone, or the swaps alone.
    #[arg(long, value_enum)]
    only: Option<Part>,
    /// Print all figures as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Part {
    Idle,
    Swap,
}

/// What was measured.
#[derive(Debug, Serialize)]
struct Report {
    idle: Option<idle::Report>,
    swap: Option<swap::Report>,
}

fn main() -> Result<()> {
    let options = Options::parse();
    ctrlc::set_handler(wait::interrupt).context("cannot listen to signals")?;
    let tell = |line: &str| eprintln!("{line}");
    let mut report = Report { idle: None, swap: None };
    if options.only != Some(Part::Swap) {
        let plan = idle::Plan { ports: options.ports.clone(), ..idle::Plan::default() };
        report.idle = Some(idle::run(&plan, tell)?);
    }
    if let (true, Some(ports)) = (options.only != Some(Part::Idle), options.ports.last()) {
        let setting = Setting { end_systems: *ports, ..Setting::STANDARD };
        let plan = swap::Plan { setting, swaps: options.swaps, ..swap::Plan::default() };
        report.swap = Some(swap::run(&plan, tell)?);
    }
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
        return Ok(());
    }
    let texts = [report.idle.as_ref().map(idle::text), report.swap.as_ref().map(swap::text)];
    println!("{}", texts.into_iter().flatten().collect::<Vec<_>>().join("\n\n"));
    Ok(())
}
