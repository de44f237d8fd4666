//! The measurement of an idle host in its short form, on the real daemons, so that it does not rot.

use std::time::Duration;

use benches::footprint::run::{Plan, run};

#[test]
fn an_idle_host_is_measured_at_every_number_of_ports() {
    let plan = Plan { ports: vec![1, 12], idle_ports: 12, idle: Duration::from_secs(1) };
    let report = run(&plan, |line| println!("{line}")).expect("a report");
    let [few, many] = report.figures.as_slice() else { panic!("{report:?}") };
    assert_eq!((few.ports, many.ports), (1, 12));
    // The packet memory alone is more than this.
    assert!(few.memory.rss_kib > 10_000 && many.memory.pss_kib > 10_000, "{report:?}");
    assert!(many.idle_percent.is_some_and(|percent| percent > 0.0 && percent < 100.0));
    assert!(report.growth_kib.is_some());
}
