//! An uplink fails under traffic: what is lost, doubled or disordered, and for how long. Numbered
//! datagrams in both directions and a TCP stream, through the real programs; needs root.

#[path = "e2e_failover/channel.rs"]
mod channel;
#[path = "e2e_failover/pinned.rs"]
mod pinned;

use std::net::SocketAddr;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use tests::netns::Namespace;
use tests::stream::{Report, StreamConfig};
use tests::traffic::tcp_transfer;
use tests::wait::{SOON, wait_for_ok};

/// 20,000 datagrams a second in each direction, over eight flows.
fn load() -> StreamConfig {
    StreamConfig { rate_pps: 20_000, flows: 8, ..StreamConfig::default() }
}

/// Time in which traffic flows before the failure, and after it.
const STEADY: Duration = Duration::from_secs(1);

/// From the loss of a carrier to the last datagram that was lost for it. The target is 20 ms; a
/// busy machine of two cores, on which generator, switch and hosts share them, may take longer.
const OUTAGE_MAX: Duration = Duration::from_millis(250);

/// Longest that a datagram is under way while the lab keeps up. Where its physical switch, a program
/// too, is starved and holds datagrams for longer than a failover takes, it drops some all the time,
/// and those that left by the old link are overtaken by those on the new one: then their order and
/// what is lost say nothing of us.
const KEPT_UP: Duration = Duration::from_millis(40);

/// Bytes of a TCP stream: more than pass before the failure.
const TCP_BYTES: usize = 100_000_000;

/// The tests here measure time: one at a time.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Lets this happen in the midst of a TCP stream, which must come through with its content whole.
fn tcp_survives(
    from: &Namespace,
    (to, address): (&Namespace, SocketAddr),
    happens: impl FnOnce() -> Instant,
) {
    thread::scope(|scope| {
        let tcp = scope.spawn(|| tcp_transfer(from, (to, address), TCP_BYTES, 7));
        wait_for_ok("the TCP stream to flow", SOON, || {
            let route = format!("sport = :{}", address.port());
            let received = to.output("ss", &["-tiHn", "state", "established", &route]);
            let received = received.map_err(|error| error.to_string())?;
            let bytes = received.split("bytes_received:").nth(1).unwrap_or_default();
            let digits: String = bytes.chars().take_while(char::is_ascii_digit).collect();
            if digits.len() > 6 { Ok(()) } else { Err(received) }
        })
        .expect("it flows");
        happens();
        tcp.join().expect("no panic").expect("the TCP stream survives, its content whole");
    });
}

/// Says what became of the streams, and checks what must hold: of datagrams that came twice however
/// busy the machine is, of order and time if the lab kept up.
fn check(what: &str, reports: &[Report; 2], event: Instant, outage_max: Duration) {
    let kept_up = reports.iter().all(|report| report.latency.max < KEPT_UP);
    for report in reports {
        let outage = report.outage(event);
        println!("{what}: {report}; {:.1} ms to the last loss", outage.as_secs_f64() * 1e3);
    }
    for report in reports {
        assert_eq!(report.duplicates, 0, "{what}: {report}");
        if !kept_up {
            println!("{what}: the lab was too slow for a judgement of order and time");
            continue;
        }
        report.check_once_and_in_order().expect("each datagram once, and in order");
        let outage = report.outage(event);
        assert!(outage < outage_max, "{what}: {outage:?}: {report}");
    }
}
