//! CPU time and memory of an idle dataplane by number of ports: see [`benches::footprint`].

use anyhow::{Context, Result};
use benches::footprint::run;
use clap::Parser;
use tests::wait;

/// Measures what the dataplane daemon costs a host that does nothing.
#[derive(Debug, Parser)]
struct Options {
    /// Numbers of ports, ascending.
    #[arg(long, value_delimiter = ',', default_value = "1,100,1000")]
    ports: Vec<u32>,
    /// Print all figures as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    ctrlc::set_handler(wait::interrupt).context("cannot listen to signals")?;
    let plan = run::Plan { ports: options.ports, ..run::Plan::default() };
    let report = run::run(&plan, |line| eprintln!("{line}"))?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", run::text(&report));
    }
    Ok(())
}
