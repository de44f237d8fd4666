//! `packet-rate run`: everything, of every switch, with a report.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{bail, ensure};
use clap::Args as ClapArgs;

use crate::report;
use crate::report::machine::Machine;
use crate::suite::plan::{Plan, RAW, WEFT};
use crate::suite::results::Results;
use crate::suite::run;
use crate::switch::Switch;
use crate::switches;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// One short round of the standard setting: does all of it work? The figures mean little.
    #[arg(long, conflicts_with = "rounds")]
    quick: bool,
    /// Interleaved rounds; the report has the medians.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..=100))]
    rounds: u32,
    /// Only these switches, by name.
    #[arg(long, value_delimiter = ',')]
    switches: Vec<String>,
    /// The folder of the report.
    #[arg(long, default_value = "docs/bench")]
    out: PathBuf,
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let switches = chosen(&args.switches)?;
    let plan = if args.quick { Plan::quick() } else { Plan::full(args.rounds) };
    let start = Instant::now();
    let mut tell = |line: &str| eprintln!("{:4} s  {line}", start.elapsed().as_secs());
    let results = run::run(&switches, &plan, Machine::this(), &mut tell)?;
    report::write(&results, &args.out)?;
    println!("{}", report::summary(&results));
    println!("{} s; the report is in {}", results.method.took_s, args.out.display());
    check_ours(&results)
}

/// The switches of these names, in the order of a report; all, if there are no names.
fn chosen(names: &[String]) -> anyhow::Result<Vec<Box<dyn Switch>>> {
    let mut all = switches::all();
    let known: Vec<_> = all.iter().map(|switch| switch.name()).collect();
    if let Some(wrong) = names.iter().find(|name| !known.contains(&name.as_str())) {
        bail!("no switch `{wrong}`; there are: {}", known.join(", "));
    }
    all.retain(|switch| names.is_empty() || names.iter().any(|name| name == switch.name()));
    Ok(all)
}

/// A rival may be missing; what the bars are about may not.
fn check_ours(results: &Results) -> anyhow::Result<()> {
    for switch in results.switches.iter().filter(|switch| [WEFT, RAW].contains(&&*switch.name)) {
        ensure!(
            switch.missing.is_empty(),
            "{} was not measured in full: {}",
            switch.name,
            switch.missing.join("; ")
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_chosen_by_name() {
        let names = |names: &[&str]| -> anyhow::Result<Vec<&'static str>> {
            let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
            Ok(chosen(&names)?.iter().map(|switch| switch.name()).collect())
        };
        assert_eq!(names(&["xdp-redirect", "weft"]).unwrap(), ["weft", "xdp-redirect"]);
        assert_eq!(names(&[]).unwrap().len(), switches::all().len());
        assert!(names(&["vpp"]).unwrap_err().to_string().contains("raw-afxdp"));
    }
}
