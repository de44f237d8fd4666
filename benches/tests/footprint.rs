//! The measurements of an idle host and of snapshot swaps in their short forms, on the real
//! daemons, so that they do not rot. They say nothing about speed.

use std::time::Duration;

use benches::footprint::run as idle;
use benches::swap::run as swap;
use benches::switch::Setting;

#[test]
fn an_idle_host_is_measured_at_every_number_of_ports() {
    let plan = idle::Plan { ports: vec![1, 12], idle_ports: 12, idle: Duration::from_secs(1) };
    let report = idle::run(&plan, |line| println!("{line}")).expect("a report");
    let [few, many] = report.figures.as_slice() else { panic!("{report:?}") };
    assert_eq!((few.ports, many.ports), (1, 12));
    // The packet memory alone is more than this.
    assert!(few.memory.rss_kib > 10_000 && many.memory.pss_kib > 10_000, "{report:?}");
    assert!(many.idle_percent.is_some_and(|percent| percent > 0.0 && percent < 100.0));
    assert!(report.growth_kib.is_some());
}

#[test]
fn swaps_are_measured_under_load() {
    let plan = swap::Plan {
        setting: Setting { rules: 10, end_systems: 6 },
        swaps: 2,
        gap: Duration::from_millis(250),
        share: 0.1,
    };
    let report = swap::run(&plan, |line| println!("{line}")).expect("a report");
    assert!(report.capacity_pps > 1000.0, "{report:?}");
    for trial in report.trials {
        assert!(trial.offered > 0 && trial.loss() < 0.5, "{report:?}");
    }
    assert_eq!((report.dips.len(), report.bars.len()), (2, 3));
    for dip in report.dips {
        assert!(dip.took_ms > 0.0 && dip.control_cpu_ms > 0.0 && dip.dip_percent <= 100.0);
    }
}
