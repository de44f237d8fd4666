//! `packet-rate wire`: the tester on one switch.

use std::time::Duration;

use clap::Args as ClapArgs;

use crate::measure::{Timing, latency, overload, rate, search::Limits, throughput};
use crate::plan::FrameSize;
use crate::switch::{Setting, Switch};
use crate::switches;
use crate::tester::{Directions, SinkKind, Tester, Traffic};
use crate::wires::Wires;

#[derive(Debug, ClapArgs)]
pub(super) struct Args {
    /// The switch between the wires.
    #[arg(long, default_value = "xdp-redirect")]
    through: String,
    /// Rules of the list on each of its ports.
    #[arg(long, default_value_t = 0)]
    rules: u32,
    /// Bytes of a frame with its check sequence, 64 to 1518, or imix.
    #[arg(long, default_value = "64", value_parser = parse_size)]
    size: FrameSize,
    /// Flows in each direction.
    #[arg(long, default_value_t = 1000)]
    flows: u32,
    /// Send in both directions.
    #[arg(long)]
    both: bool,
    /// Frames a second of all directions; 0: as fast as the machine can.
    #[arg(long, default_value_t = 0)]
    rate: u64,
    /// How long to count.
    #[arg(long, default_value_t = 2.0)]
    seconds: f64,
    /// Also find the highest rate without loss, and measure overload and latency.
    #[arg(long)]
    full: bool,
}

fn parse_size(text: &str) -> Result<FrameSize, String> {
    if text.eq_ignore_ascii_case("imix") {
        return Ok(FrameSize::Imix);
    }
    let size = text.parse().map_err(|_| format!("`{text}` is no number, nor imix"))?;
    Ok(FrameSize::Fixed(size))
}

fn named(name: &str) -> anyhow::Result<Box<dyn Switch>> {
    let mut all = switches::all();
    if let Some(index) = all.iter().position(|switch| switch.name() == name) {
        return Ok(all.swap_remove(index));
    }
    let names: Vec<_> = all.iter().map(|switch| switch.name()).collect();
    anyhow::bail!("no switch `{name}`; there are: {}", names.join(", "))
}

pub(super) fn run(args: &Args) -> anyhow::Result<()> {
    let window = Duration::try_from_secs_f64(args.seconds)?;
    let timing = Timing { window, ..Timing::STANDARD };
    let traffic = Traffic {
        size: args.size,
        flows: args.flows,
        directions: if args.both { Directions::Both } else { Directions::AToB },
        rate_pps: args.rate,
        probes_pps: 0,
    };
    let wires = Wires::new()?;
    let switch = named(&args.through)?;
    let setting = Setting { rules: args.rules, end_systems: 2 };
    let running = switch.start(&wires, &setting)?;
    println!("{}: {}", switch.name(), running.describe());
    let mut tester = Tester::new(&wires, SinkKind::of(switch.as_ref()))?;

    let plain = rate::measure(&mut tester, &traffic, timing)?;
    println!(
        "{}, {} flows: offered {:.3} Mpps, delivered {:.3} Mpps, {:.2} Gbit/s",
        args.size,
        args.flows,
        plain.offered_pps() / 1e6,
        plain.delivered_pps() / 1e6,
        plain.delivered_bps() / 1e9
    );
    if args.full {
        measure_all(&mut tester, &traffic, timing, plain.delivered_pps() as u64)?;
    }
    Ok(())
}

fn measure_all(
    tester: &mut Tester,
    traffic: &Traffic,
    timing: Timing,
    capacity_pps: u64,
) -> anyhow::Result<()> {
    let limits = Limits::below(capacity_pps);
    let found = throughput::measure(tester, traffic, timing, limits, 0.0)?;
    for (name, trial) in [("no loss", found.zero_loss), ("0.001 % loss", found.partial_loss)] {
        match trial {
            Some(trial) => println!("{name}: {:.3} Mpps", trial.offered_pps / 1e6),
            None => println!("{name}: at no rate"),
        }
    }
    println!("{} trials", found.trials);
    for load in overload::measure(tester, traffic, timing, capacity_pps)? {
        println!(
            "{}x: offered {:.3} Mpps, delivered {:.3} Mpps, {:.1} % of the best",
            load.factor,
            load.window.offered_pps() / 1e6,
            load.window.delivered_pps() / 1e6,
            load.of_best * 100.0
        );
    }
    let full_pps = found.partial_loss.map_or(capacity_pps, |trial| trial.wanted_pps);
    for at in latency::measure_loads(tester, traffic, timing, full_pps)? {
        println!("{:.3} Mpps: RTT {:?}", at.rate_pps as f64 / 1e6, at.round_trips);
    }
    Ok(())
}
