//! An uplink fails under traffic: what is lost, doubled or disordered, and for how long. Numbered
//! datagrams in both directions and a TCP stream, through the real programs; needs root.

#[path = "e2e_failover/overload.rs"]
mod overload;
#[path = "e2e_failover/pinned.rs"]
mod pinned;

use std::time::{Duration, Instant};

use tests::stream::{Report, StreamConfig};

/// 20,000 datagrams a second in each direction, over eight flows.
fn load() -> StreamConfig {
    StreamConfig { rate_pps: 20_000, flows: 8, ..StreamConfig::default() }
}

/// Time in which traffic flows before the failure, and after it.
const STEADY: Duration = Duration::from_secs(1);

/// From the loss of a carrier to the last datagram that was lost for it. The target is 20 ms; a
/// busy machine of two cores, on which generator, switch and hosts share them, may take longer.
const OUTAGE_MAX: Duration = Duration::from_millis(200);

/// Says what became of the streams, and checks what must hold however busy the machine is.
fn check(what: &str, reports: &[Report; 2], event: Instant, outage_max: Duration) {
    for report in reports {
        let outage = report.outage(event);
        println!("{what}: {report}; {:.1} ms to the last loss", outage.as_secs_f64() * 1e3);
    }
    for report in reports {
        report.check_once_and_in_order().expect("each datagram once, and in order");
        let outage = report.outage(event);
        assert!(outage < outage_max, "{what}: {outage:?}: {report}");
    }
}
