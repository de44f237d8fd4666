//! Measurements on real wires: that they measure at all, and leave silence behind. How fast
//! anything is cannot be tested on a machine that does other things too.

use std::time::{Duration, Instant};

use super::search::Limits;
use super::{Timing, latency, overload, rate, throughput};
use crate::switches::bridge::Bridge;
use crate::tester::on_wires::{TRAFFIC, join, lock};
use crate::tester::{Tally, Tester, Traffic};

const TIMING: Timing =
    Timing { warm_up: Duration::from_millis(20), window: Duration::from_millis(100) };

/// Nothing is offered although some time passes.
fn is_silent(tester: &mut Tester) -> bool {
    let before = tester.read().unwrap();
    super::pause(Duration::from_millis(20)).unwrap();
    tester.read().unwrap().since(&before).offered_all() == Tally::default()
}

#[test]
fn all_measure_and_leave_silence() {
    let _one = lock();
    let (_wires, _running, mut tester) = join(&Bridge::LIST);
    let traffic = Traffic { rate_pps: 50_000, ..TRAFFIC };

    let window = rate::measure(&mut tester, &traffic, TIMING).unwrap();
    assert!(window.time >= TIMING.window && window.delivered_all().frames > 100, "{window:?}");
    assert!(is_silent(&mut tester));

    let start = Instant::now();
    let found =
        throughput::measure(&mut tester, &traffic, TIMING, Limits::below(50_000), 0.0).unwrap();
    assert!(found.trials > 0 && start.elapsed() >= TIMING.window, "{found:?}");
    if let Some(trial) = found.zero_loss {
        assert_eq!(trial.offered, trial.delivered);
        assert!(trial.wanted_pps <= found.partial_loss.unwrap().wanted_pps);
    }
    assert!(is_silent(&mut tester));

    let loads = overload::measure(&mut tester, &traffic, TIMING, 20_000).unwrap();
    assert_eq!(loads.iter().map(|load| load.factor).collect::<Vec<_>>(), overload::FACTORS);
    assert!(loads.iter().any(|load| load.of_best == 1.0), "{loads:?}");

    let latencies = latency::measure_loads(&mut tester, &traffic, TIMING, 50_000).unwrap();
    assert_eq!(latencies.iter().map(|at| at.rate_pps).collect::<Vec<_>>(), [5_000, 40_000]);
    assert!(latencies.iter().all(|at| at.round_trips.is_some()), "{latencies:?}");
    assert!(is_silent(&mut tester));
}

#[test]
fn a_measurement_that_fails_leaves_silence() {
    let _one = lock();
    let (_wires, _running, mut tester) = join(&Bridge::LIST);
    let impossible = Traffic { flows: 0, ..TRAFFIC };
    assert!(rate::measure(&mut tester, &impossible, TIMING).is_err());
    tester.start(&TRAFFIC).unwrap();
    assert!(super::then_stop(&mut tester, |tester| tester.start(&impossible)).is_err());
    assert!(is_silent(&mut tester));
}
