//! Results for tests.

use super::machine::Machine;
use crate::suite::case::Case;
use crate::suite::noise::Noise;
use crate::suite::plan::{BRIDGE, OVS, OVS_DPDK, RAW, REDIRECT, RULES, WEFT};
use crate::suite::results::{Figure, Load, Measured, Method, Record, Results, RoundTrips};
use crate::tester::Percentiles;

/// Without any figure.
pub(crate) fn empty() -> Results {
    let switch = |name: &str| Measured {
        name: name.to_owned(),
        about: "1.0, <native> & copy".to_owned(),
        missing: Vec::new(),
    };
    let missing = Measured {
        name: OVS_DPDK.to_owned(),
        about: String::new(),
        missing: vec!["not installed | a pipe".to_owned()],
    };
    let mut switches: Vec<_> = [WEFT, RAW, OVS, BRIDGE, REDIRECT].map(switch).into();
    switches.insert(3, missing);
    Results {
        machine: Machine {
            date: "2026-01-02T03:04Z".to_owned(),
            commit: "0123456789ab".to_owned(),
            cpu: "A CPU".to_owned(),
            cores: 2,
            memory_mib: 8000,
            kernel: "6.18.0".to_owned(),
            system: "Debian".to_owned(),
            platform: "virtual machine".to_owned(),
        },
        method: Method {
            rounds: 3,
            rate_ms: 1500,
            trial_ms: 1000,
            latency_ms: 2000,
            resolution: 0.02,
            attempts: 2,
            took_s: 1000,
        },
        switches,
        records: Vec::new(),
    }
}

pub(crate) fn flat_out(round: u32, switch: &str, case: Case, delivered_pps: u64) -> Record {
    let figure = Figure::FlatOut {
        offered_pps: 5_000_000,
        delivered_pps,
        delivered_bps: delivered_pps * 480,
    };
    record(round, switch, case, figure)
}

fn record(round: u32, switch: &str, case: Case, figure: Figure) -> Record {
    let noise = Noise { others_percent: 1.5, steal_percent: 0.3 };
    Record { round, switch: switch.to_owned(), case, figure, noise }
}

/// Three rounds of some switches: ours at 0.9 of raw.
pub(crate) fn results() -> Results {
    let mut results = empty();
    for round in 0..3 {
        for (switch, pps) in
            [(WEFT, 1_800_000), (RAW, 2_000_000), (OVS, 1_600_000), (BRIDGE, 500_000)]
        {
            let pps = pps + u64::from(round) * 1000;
            for rules in RULES {
                let record = flat_out(round, switch, Case::with_rules(rules), pps);
                results.records.push(record);
            }
            for figure in behaviour() {
                results.records.push(record(round, switch, Case::STANDARD, figure));
            }
        }
        results.records.push(flat_out(round, REDIRECT, Case::STANDARD, 9_000_000));
    }
    results
}

fn behaviour() -> [Figure; 3] {
    let load = |factor, delivered_pps| Load {
        factor,
        offered_pps: 2_000_000 * u64::from(factor),
        delivered_pps,
    };
    let times =
        |scale| Percentiles { probes: 2000, p50_ns: scale, p99_ns: 2 * scale, p999_ns: 9 * scale };
    let round_trips = |percent, times| RoundTrips {
        percent,
        rate_pps: 13_000 * u64::from(percent),
        delivered_pps: 13_000 * u64::from(percent),
        times,
    };
    [
        Figure::Overload(vec![load(1, 2_000_000), load(2, 1_950_000), load(4, 1_900_000)]),
        Figure::Throughput {
            zero_loss_pps: Some(1_200_000),
            partial_loss_pps: Some(1_300_000),
            trials: 17,
        },
        Figure::Latency(vec![
            round_trips(10, Some(times(40_000))),
            round_trips(80, Some(times(150_000))),
        ]),
    ]
}
