//! The marker responder, and the counters of what cannot be read.

use proto::frame::lacp::{Marker, MarkerKind};

use super::*;

fn marker(kind: MarkerKind, transaction: u32) -> Marker {
    let requester_system = MacAddr::new([2, 8, 8, 8, 8, 8]);
    Marker { kind, requester_port: 3, requester_system, transaction }
}

fn ask(bench: &mut Bench, marker: Marker) -> Vec<Marker> {
    bench.lacp.receive(bench.now_ns, 1, &marker.to_frame(MacAddr::new([2, 8, 8, 8, 8, 9])));
    let read = |transmit: Transmit| match parse(&transmit.frame) {
        Ok(SlowPdu::Marker(marker)) => marker,
        other => panic!("{other:?}"),
    };
    bench.lacp.take_transmits().map(read).collect()
}

#[test]
fn a_marker_is_answered_as_it_was_asked() {
    let mut bench = Bench::new(&configs(1..=1));
    let question = marker(MarkerKind::Information, 77);
    assert_eq!(ask(&mut bench, question), [marker(MarkerKind::Response, 77)]);
    assert_eq!(ask(&mut bench, marker(MarkerKind::Response, 77)), [], "an answer is ignored");
    let counters = bench.status(1).counters;
    assert_eq!((counters.markers_received, counters.marker_responses_sent), (1, 1));
    assert_eq!((counters.pdus_received, counters.illegal_received), (0, 0));
}

#[test]
fn markers_are_answered_ten_times_in_a_second() {
    let mut bench = Bench::new(&configs(1..=1));
    bench.sent.clear();
    let answers = |bench: &mut Bench| {
        (0..50).map(|n| ask(bench, marker(MarkerKind::Information, n)).len()).sum::<usize>()
    };
    assert_eq!(answers(&mut bench), 10);
    bench.run(S - 1);
    assert_eq!(answers(&mut bench), 0);
    bench.run(1);
    assert_eq!(answers(&mut bench), 10);
    let counters = bench.status(1).counters;
    assert_eq!((counters.markers_received, counters.marker_responses_sent), (150, 20));
}

#[test]
fn what_cannot_be_read_is_counted_by_its_kind() {
    let mut bench = Bench::new(&configs(1..=1));
    let good = bench.in_sync(1).to_frame(MacAddr::new([2, 8, 8, 8, 8, 9]));
    let mut spoilt = |at: usize, value: u8| {
        let mut frame = good;
        frame[at] = value;
        bench.lacp.receive(bench.now_ns, 1, &frame);
        let counters = bench.status(1).counters;
        (counters.illegal_received, counters.unknown_received)
    };
    assert_eq!(spoilt(14, 0), (1, 0), "no slow protocol");
    assert_eq!(spoilt(16, 9), (2, 0), "a TLV at the wrong place");
    assert_eq!(spoilt(14, 3), (2, 1), "OAM");
    assert_eq!(spoilt(13, 3), (2, 2), "another EtherType");
    bench.lacp.receive(bench.now_ns, 1, &good[..100]);
    bench.lacp.receive(bench.now_ns, 1, &[]);
    assert_eq!(bench.status(1).counters.illegal_received, 4);
    assert_eq!(bench.status(1).receive, ReceiveState::Expired, "none of it counts as a partner");
}
