//! TCP and round-trip time between TAPs, of Weft and what it is compared with: see
//! [`benches::tap`].

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use benches::tap::{self, run};
use clap::Parser;
use tests::wait;

/// Measures TCP and round-trip time between TAPs.
#[derive(Debug, Parser)]
struct Options {
    /// Interleaved rounds.
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of each TCP measurement.
    #[arg(long, default_value_t = 5)]
    seconds: u64,
    /// Round trips of each measurement.
    #[arg(long, default_value_t = 5_000)]
    trips: usize,
    /// Only these switches: weft, copy, ovs, bridge.
    #[arg(long = "switch", value_name = "NAME")]
    switches: Vec<String>,
    /// Numbers of TCP connections.
    #[arg(long, value_delimiter = ',', default_value = "1,8")]
    streams: Vec<u32>,
    /// From TAP to TAP alone, not to and from the uplink.
    #[arg(long)]
    tap_to_tap: bool,
    /// Print all figures as JSON.
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    let options = Options::parse();
    ctrlc::set_handler(wait::interrupt).context("cannot listen to signals")?;
    let mut kinds = tap::all();
    let is_wanted = |name: &str| options.switches.iter().any(|wanted| wanted == name);
    kinds.retain(|kind| options.switches.is_empty() || is_wanted(kind.name()));
    ensure!(!kinds.is_empty(), "no switch has this name");
    let mut plan = run::Plan {
        rounds: options.rounds,
        tcp: Duration::from_secs(options.seconds),
        trips: options.trips,
        streams: options.streams,
        ..run::Plan::default()
    };
    if options.tap_to_tap {
        plan.routes = vec![tap::Route::TapToTap];
    }
    let report = run::run(&kinds, &plan, |line| eprintln!("{line}"))?;
    if options.json {
        println!("{}", serde_json::to_string_pretty(&report)?);
    } else {
        println!("{}", run::text(&report));
    }
    Ok(())
}
