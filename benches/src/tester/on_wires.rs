//! The tester on real wires.

use std::collections::BTreeSet;
use std::fs;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use etherparse::{NetSlice, SlicedPacket, TransportSlice};
use tests::sniff::Sniffer;
use tests::wait::{SOON, wait_for_ok, wait_until};

use super::*;
use crate::plan::{FrameSize, MACS, NETWORKS, UDP_DST};
use crate::switch::{Running, Setting, Switch};
use crate::switches::bridge::Bridge;
use crate::switches::redirect::Redirect;
use crate::wires::{Wire, Wires};

const TRAFFIC: Traffic = Traffic {
    size: FrameSize::Fixed(64),
    flows: 1000,
    directions: Directions::AToB,
    rate_pps: 100_000,
    probes_pps: 0,
};

/// One at a time: all generators are on one CPU.
fn lock() -> MutexGuard<'static, ()> {
    static LOCK: Mutex<()> = Mutex::new(());
    LOCK.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Joins the wires, with what the kernel does on the generator's own CPU: there, no frame can find a
/// ring full, however busy the machine is.
fn join(switch: &dyn Switch) -> (Wires, Box<dyn Running>, Tester) {
    let wires = Wires::new().unwrap();
    let running = switch.start(&wires, &Setting { rules: 0, end_systems: 2 }).unwrap();
    for wire in Wire::BOTH {
        let inline = format!("echo 0 > /sys/class/net/{}/threaded", wire.switch());
        wires.switch().output("sh", &["-c", &inline]).unwrap();
    }
    let tester = Tester::new(&wires, SinkKind::of(switch)).unwrap();
    (wires, running, tester)
}

/// Sends until so many frames were offered, then waits until all have arrived.
fn send(tester: &mut Tester, traffic: &Traffic, frames: u64) -> Window {
    let before = tester.read().unwrap();
    tester.start(traffic).unwrap();
    wait_until("frames to be offered", SOON, || {
        tester.read().unwrap().since(&before).offered_all().frames >= frames
    })
    .unwrap();
    tester.stop().unwrap();
    let arrived = |tester: &mut Tester| {
        let window = tester.read().unwrap().since(&before);
        if window.delivered == window.offered { Ok(window) } else { Err(format!("{window:?}")) }
    };
    wait_for_ok("all frames to arrive", SOON, || arrived(tester)).unwrap()
}

#[test]
fn every_frame_offered_is_counted_in_both_directions() {
    let _one = lock();
    for switch in [&Redirect as &dyn Switch, &Bridge::LIST] {
        let (_wires, _running, mut tester) = join(switch);
        let one_way = send(&mut tester, &TRAFFIC, 10_000);
        assert_eq!(one_way.delivered[1], Tally::default());
        assert_eq!(one_way.delivered[0].bytes, 60 * one_way.delivered[0].frames);

        let imix = Traffic { size: FrameSize::Imix, directions: Directions::Both, ..TRAFFIC };
        let both = send(&mut tester, &imix, 24_000);
        let [a, b] = both.delivered;
        assert!(a.frames >= 12_000 && a.frames.abs_diff(b.frames) <= 1, "{both:?}");
        // 7 of 60, 4 of 590, 1 of 1514: 357.8 bytes on average.
        assert!((a.bytes as f64 / a.frames as f64 - 357.8).abs() < 0.5, "{both:?}");
        assert!((b.bytes as f64 / b.frames as f64 - 357.8).abs() < 0.5, "{both:?}");
    }
}

#[test]
fn flows_are_distinct_and_frames_are_well_formed() {
    let _one = lock();
    let (wires, _running, mut tester) = join(&Bridge::LIST);
    let sniffers =
        ["switch-a", "switch-b"].map(|port| Sniffer::start(wires.switch(), port).unwrap());
    let traffic = Traffic {
        size: FrameSize::Imix,
        directions: Directions::Both,
        rate_pps: 10_000,
        ..TRAFFIC
    };
    send(&mut tester, &traffic, 5_000);
    for (from, sniffer) in sniffers.iter().enumerate() {
        let frames = sniffer.wait_count(2_500, SOON, |_| true).unwrap();
        let flows: BTreeSet<_> =
            frames.iter().map(|frame| check_frame(&frame.bytes, from)).collect();
        assert_eq!(flows.len(), 1000);
        let sizes: BTreeSet<_> = frames.iter().map(|frame| frame.bytes.len()).collect();
        assert_eq!(sizes, BTreeSet::from([60, 590, 1514]));
    }
}

/// Checks a frame by a decoder that is not ours; gives source address and port.
fn check_frame(bytes: &[u8], from: usize) -> (u32, u16) {
    assert_eq!(bytes[..6], MACS[1 - from].octets());
    assert_eq!(bytes[6..12], MACS[from].octets());
    let packet = SlicedPacket::from_ethernet(bytes).unwrap();
    let Some(NetSlice::Ipv4(ip)) = packet.net else { panic!("no IPv4: {bytes:?}") };
    let header = ip.header().to_header();
    assert_eq!(header.header_checksum, header.calc_header_checksum());
    assert_eq!(usize::from(header.total_len), bytes.len() - 14);
    let [source, target] = [header.source, header.destination].map(u32::from_be_bytes);
    assert_eq!(source >> 24, NETWORKS[from].to_bits() >> 24);
    assert_eq!(target >> 24, NETWORKS[1 - from].to_bits() >> 24);
    let Some(TransportSlice::Udp(udp)) = packet.transport else { panic!("no UDP: {bytes:?}") };
    assert_eq!((udp.destination_port(), udp.checksum()), (UDP_DST, 0));
    assert_eq!(usize::from(udp.length()), bytes.len() - 34);
    (source, udp.source_port())
}

#[test]
fn the_rate_is_kept_and_obeyed_when_it_changes() {
    let _one = lock();
    let (_wires, _running, mut tester) = join(&Redirect);
    tester.start(&Traffic { rate_pps: 1, ..TRAFFIC }).unwrap();
    for rate in [1_000u64, 300_000, 20_000] {
        tester.set_rate(rate).unwrap();
        // The hypervisor may take the CPU away, so one window must be right; none may be too fast.
        wait_for_ok(format!("{rate} frames a second"), SOON, || {
            let (before, waited_before) = (tester.read().unwrap(), waited());
            thread::sleep(Duration::from_millis(300));
            let (window, waited) =
                (tester.read().unwrap().since(&before), waited() - waited_before);
            let pps = window.offered_pps();
            assert!(pps < rate as f64 * 1.02 + 50.0, "{pps} instead of {rate}");
            let had_cpu = 1.0 - waited.as_secs_f64() / window.time.as_secs_f64();
            let least = rate as f64 * 0.98 * had_cpu;
            if pps > least { Ok(()) } else { Err(format!("{pps}, {had_cpu} of the CPU")) }
        })
        .unwrap();
    }
    tester.halt().unwrap();
    let halted = tester.read().unwrap();
    tester.set_rate(0).unwrap();
    wait_until("flat out", SOON, || {
        tester.read().unwrap().since(&halted).offered_all().frames > 1_000_000
    })
    .unwrap();
}

/// How long the generator was ready to run and others were on its CPU: the second number of
/// `schedstat` (Documentation/scheduler/sched-stats.rst).
fn waited() -> Duration {
    let mut tasks = fs::read_dir("/proc/self/task").unwrap().map(|task| task.unwrap().path());
    let generator = tasks.find(|task| fs::read(task.join("comm")).unwrap() == b"generator\n");
    let times = fs::read_to_string(generator.unwrap().join("schedstat")).unwrap();
    Duration::from_nanos(times.split(' ').nth(1).unwrap().parse().unwrap())
}

#[test]
fn a_generator_that_was_stopped_sends_nothing_and_starts_again() {
    let _one = lock();
    let (_wires, _running, mut tester) = join(&Redirect);
    for _ in 0..3 {
        let window = send(&mut tester, &TRAFFIC, 1000);
        assert!(window.offered_all().frames >= 1000);
        let stopped = tester.read().unwrap();
        assert_eq!(tester.read().unwrap().since(&stopped).offered_all(), Tally::default());
    }
    tester.start(&TRAFFIC).unwrap();
    drop(tester);
    assert!(Traffic { flows: 0, ..TRAFFIC }.check().is_err());
}

#[test]
fn probes_come_back_and_are_not_counted_twice() {
    let _one = lock();
    for (switch, directions) in [
        (&Redirect as &dyn Switch, Directions::AToB),
        (&Bridge::LIST, Directions::AToB),
        (&Bridge::LIST, Directions::Both),
    ] {
        let (_wires, _running, mut tester) = join(switch);
        let traffic = Traffic { directions, probes_pps: 1000, ..TRAFFIC };
        send(&mut tester, &traffic, 50_000);
        let all = wait_for_ok("probes", SOON, || {
            let all = tester.round_trips().unwrap();
            if all.probes() >= 100 { Ok(all) } else { Err(all.probes()) }
        });
        let times = all.unwrap().percentiles().unwrap();
        assert!(times.probes <= 2 * 50_000 / 100, "{switch:?}: {times:?}");
        assert!((500..5_000_000).contains(&times.p50_ns), "{switch:?}: {times:?}");
        assert!(times.p50_ns <= times.p99_ns && times.p99_ns <= times.p999_ns);
    }
}
