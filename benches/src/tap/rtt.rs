//! Round-trip time: a datagram to an end system that sends it back, one at a time.
//!
//! Both ends run on [`TESTER_CPU`] and sleep while they wait, as programs do, so a trip includes
//! the wake-ups of both and of the switch, twice.

use std::io::ErrorKind;
use std::net::{Ipv4Addr, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use ::tests::error::{LabError, Result};
use ::tests::netns::Namespace;
use ::tests::wait::check_interrupt;
use serde::Serialize;

use crate::plan::TESTER_CPU;
use crate::samples::per_mille;

/// UDP port of the echo (RFC 862).
const PORT: u16 = 7;

/// Payload that makes a frame of 64 bytes with its check sequence.
const PAYLOAD_BYTES: usize = 18;

/// A datagram that has not come back by then is lost.
const LOST_AFTER: Duration = Duration::from_millis(200);

/// Trips before the first that counts: caches fill and addresses are resolved.
const WARM_UP: u64 = 200;

/// One in so many may be lost.
const LOST_MAX: usize = 100;

/// Percentiles of the times of many trips.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Rtt {
    /// Median, in microseconds.
    pub p50_us: f64,
    /// 99 %.
    pub p99_us: f64,
    /// 99.9 %.
    pub p999_us: f64,
    /// Trips that were made.
    pub trips: usize,
    /// Datagrams that did not come back.
    pub lost: usize,
}

impl Rtt {
    /// Exact percentiles of all samples.
    fn of(mut samples: Vec<Duration>, lost: usize) -> Result<Self> {
        samples.sort_unstable();
        let at = |of_1000| per_mille(&samples, of_1000).map(|time| time.as_secs_f64() * 1e6);
        match (at(500), at(990), at(999)) {
            (Some(p50_us), Some(p99_us), Some(p999_us)) if lost <= samples.len() / LOST_MAX => {
                Ok(Self { p50_us, p99_us, p999_us, trips: samples.len(), lost })
            }
            _ => Err(LabError::Unexpected(format!(
                "{lost} datagrams were lost, {} came back",
                samples.len()
            ))),
        }
    }
}

/// Makes `trips` round trips.
///
/// # Errors
/// When a socket cannot be made, or more than one in a hundred datagrams is lost.
pub fn measure(from: &Namespace, to: (&Namespace, Ipv4Addr), trips: usize) -> Result<Rtt> {
    let (to_ns, address) = to;
    let echo = to_ns
        .run(|| UdpSocket::bind((address, PORT)))?
        .and_then(with_timeout)
        .map_err(LabError::io(format!("an echo on {address}")))?;
    let client = from
        .run(|| UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)))?
        .and_then(|socket| socket.connect((address, PORT)).map(|()| socket))
        .and_then(with_timeout)
        .map_err(LabError::io(format!("a socket to {address}")))?;
    let done = AtomicBool::new(false);
    let samples = thread::scope(|scope| {
        scope.spawn(|| serve(&echo, &done));
        // On a thread of its own: the caller keeps its CPUs.
        let client = scope.spawn(|| ask(&client, trips));
        let samples = client.join();
        done.store(true, Ordering::Relaxed);
        samples.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    });
    let (samples, lost) = samples?;
    Rtt::of(samples, lost)
}

fn with_timeout(socket: UdpSocket) -> std::io::Result<UdpSocket> {
    socket.set_read_timeout(Some(LOST_AFTER)).map(|()| socket)
}

fn run_on_tester_cpu() {
    // Where there is no such CPU it runs on any.
    core_affinity::set_for_current(core_affinity::CoreId { id: TESTER_CPU });
}

/// Sends back what comes.
fn serve(socket: &UdpSocket, done: &AtomicBool) {
    run_on_tester_cpu();
    let mut payload = [0; PAYLOAD_BYTES];
    while !done.load(Ordering::Relaxed) {
        if let Ok((len, from)) = socket.recv_from(&mut payload) {
            // A lost answer is a lost trip.
            socket.send_to(&payload[..len], from).ok();
        }
    }
}

/// Times of trips, and how many datagrams were lost.
fn ask(socket: &UdpSocket, trips: usize) -> Result<(Vec<Duration>, usize)> {
    run_on_tester_cpu();
    let failed = |error| LabError::io("a round trip")(error);
    let (mut samples, mut lost) = (Vec::with_capacity(trips), 0);
    for number in 0..WARM_UP + trips as u64 {
        check_interrupt()?;
        let start = Instant::now();
        let came = trip(socket, number).map_err(failed)?;
        match came {
            _ if number < WARM_UP => {}
            true => samples.push(start.elapsed()),
            false => lost += 1,
        }
        if lost > trips / LOST_MAX {
            break;
        }
    }
    Ok((samples, lost))
}

/// One datagram there and back; false: it is lost.
fn trip(socket: &UdpSocket, number: u64) -> std::io::Result<bool> {
    let mut payload = [0; PAYLOAD_BYTES];
    payload[..8].copy_from_slice(&number.to_be_bytes());
    socket.send(&payload)?;
    loop {
        let mut answer = [0; PAYLOAD_BYTES];
        match socket.recv(&mut answer) {
            Ok(_) if answer == payload => return Ok(true),
            // The answer to one that counts as lost.
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_trips() {
        let samples = (1..=1000).rev().map(Duration::from_micros).collect();
        let rtt = Rtt::of(samples, 3).unwrap();
        let round = |us: f64| us.round() as u64;
        let percentiles = [rtt.p50_us, rtt.p99_us, rtt.p999_us].map(round);
        assert_eq!((percentiles, rtt.trips, rtt.lost), ([500, 990, 999], 1000, 3));
    }

    #[test]
    fn many_losses_are_an_error() {
        let samples = vec![Duration::from_micros(5); 100];
        assert!(Rtt::of(samples.clone(), 1).is_ok());
        assert!(Rtt::of(samples, 2).is_err());
        assert!(Rtt::of(Vec::new(), 0).is_err());
    }

    #[test]
    fn datagrams_come_back_over_a_cable() {
        let (a, b) = (Namespace::create("a").unwrap(), Namespace::create("b").unwrap());
        ::tests::link::cable((&a, "eth0"), (&b, "eth0"), 1500).unwrap();
        ::tests::link::add_address(&a, "eth0", "10.0.0.1/24").unwrap();
        ::tests::link::add_address(&b, "eth0", "10.0.0.2/24").unwrap();
        let rtt = measure(&a, (&b, Ipv4Addr::new(10, 0, 0, 2)), 500).unwrap();
        assert!(rtt.trips >= 495 && rtt.p50_us > 0.0 && rtt.p50_us <= rtt.p999_us, "{rtt:?}");
    }
}
