//! Every measurement between TAPs in its short form, on real interfaces, so that none of them rots.
//! It says nothing about speed.

use std::time::Duration;

use benches::tap::run::{Plan, run};
use benches::tap::{Route, all};

#[test]
fn every_switch_joins_its_taps_and_is_measured() {
    let plan = Plan { rounds: 1, tcp: Duration::from_secs(1), trips: 200, ..Plan::default() };
    let plan = Plan { streams: vec![1], ..plan };
    let report = run(&all(), &plan, |line| println!("{line}")).expect("a report");
    for figures in &report.switches {
        assert_eq!(figures.missing, None, "{}", figures.name);
        let rtt = figures.rtt.first().expect("round trips");
        assert!(rtt.trips >= 198 && rtt.p50_us > 0.0, "{}: {rtt:?}", figures.name);
        let gbits = figures.gbits(Route::TapToTap, 1);
        assert!(gbits.is_some_and(|gbits| gbits > 0.1), "{}: {gbits:?}", figures.name);
    }
    let weft = &report.switches[0];
    for route in Route::ALL {
        let gbits = weft.gbits(route, 1);
        assert!(gbits.is_some_and(|gbits| gbits > 0.02), "{route}: {gbits:?}");
    }
    assert_eq!(report.bars.len(), 2, "one stream against the copy loop, and the RTT against OVS");
}
