//! Tests of a stream: the account of arrivals alone, then real datagrams over real cables.

use super::*;
use crate::link;
use crate::patch::{End, Pass, Patch, Way};

/// A report of a second's datagrams in two flows, one each millisecond, with these arrivals, each
/// a millisecond after its sending unless another delay is given.
fn account(sent: u64, arrivals: &[(u64, u64)]) -> Report {
    const MS: u64 = 1_000_000;
    let mut tally = Tally::new(2);
    for &(sequence, delay_ms) in arrivals {
        tally.arrive(sequence, sequence * MS, (sequence + delay_ms) * MS);
    }
    let log = SentLog { sent_ns: (0..sent).map(|sequence| sequence * MS).collect(), refused: 0 };
    Report::new("account", Clock::start(), &log, tally)
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

#[test]
fn what_arrives_once_and_in_order_is_in_order() {
    let report = account(6, &[(0, 1), (1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]);
    report.check_all_arrived().unwrap();
    assert_eq!((report.sent, report.received, report.lost()), (6, 6, 0));
    assert_eq!(report.rate_pps().round(), 1000.0);
    assert_eq!(report.latency, Latency { median: ms(1), p99: ms(1), max: ms(1) });
    assert_eq!(report.longest_gap.unwrap().length(), ms(2));
}

#[test]
fn order_is_that_of_a_flow() {
    // 0 2 4 and 1 3 5 are the flows: they may overtake each other.
    account(6, &[(0, 1), (2, 1), (1, 3), (4, 1), (3, 3), (5, 3)]).check_all_arrived().unwrap();
    let report = account(6, &[(0, 1), (1, 1), (4, 1), (2, 4), (3, 4), (5, 4)]);
    assert_eq!((report.reordered, report.duplicates, report.lost()), (1, 0, 0));
    assert_eq!((report.odd[0].kind, report.odd[0].sequence), (OddKind::OutOfOrder, 2));
    assert_eq!((report.odd[0].flow, report.odd[0].highest), (0, 4));
    assert!(report.check_once_and_in_order().is_err());
}

#[test]
fn a_copy_is_a_duplicate_and_neither_received_nor_reordered() {
    let report = account(4, &[(0, 1), (0, 1), (1, 1), (2, 1), (3, 1), (1, 4), (0, 9)]);
    assert_eq!((report.received, report.duplicates, report.reordered), (4, 3, 0));
    assert_eq!(report.odd.iter().map(|odd| odd.sequence).collect::<Vec<_>>(), [0, 1, 0]);
    assert!(report.check_once_and_in_order().is_err());
}

#[test]
fn losses_have_their_flow_and_their_time() {
    let report = account(10, &[(0, 1), (1, 1), (2, 1), (3, 1), (5, 1), (7, 1), (9, 1)]);
    assert_eq!(report.losses.iter().map(|loss| loss.sequence).collect::<Vec<_>>(), [4, 6, 8]);
    assert_eq!(report.flows_with_losses(), [0].into());
    report.check_once_and_in_order().unwrap();
    assert!(report.check_all_arrived().is_err());
    // An event between the sendings of 2 and 4: the last lost datagram is 5 ms after it.
    let start = report.losses[0].sent_at - ms(4);
    assert_eq!(report.outage(start + ms(3)), ms(5));
    assert_eq!((report.outage(start + ms(9)), report.lost_before(start + ms(5))), (ms(0), 1));
    // Flow 0 arrived last at 3 ms and never again; it was last sent at 8 ms.
    let gap = report.longest_gap.unwrap();
    assert_eq!((gap.flow, gap.from, gap.to), (0, start + ms(3), start + ms(8)));
}

#[test]
fn a_flow_that_never_arrives_is_a_gap_from_the_start() {
    let report = account(10, &[(0, 1), (2, 1), (4, 1), (6, 1), (8, 1)]);
    assert_eq!((report.lost(), report.flows_with_losses()), (5, [1].into()));
    let gap = report.longest_gap.unwrap();
    assert_eq!((gap.flow, gap.length()), (1, ms(9)));
    assert_eq!(account(0, &[]).longest_gap, None);
}

#[test]
fn the_head_of_a_datagram_reads_back() {
    let header = Header { stream: 7, sequence: u64::MAX - 1, sent_ns: 12_345_678_901 };
    let mut datagram = vec![0; 40];
    header.write(&mut datagram);
    assert_eq!(Header::read(&datagram), Some(header));
    assert_eq!(Header::read(&datagram[..23]), None);
}

struct Rig {
    a: Namespace,
    b: Namespace,
    patch: Patch,
}

impl Rig {
    /// Two namespaces, a cable that can fail between them.
    fn new() -> Self {
        let (a, b) = (Namespace::create("a").unwrap(), Namespace::create("b").unwrap());
        let patch = Patch::cable((&a, "e"), (&b, "e"), 1500).unwrap();
        link::add_address(&a, "e", "10.0.0.1/24").unwrap();
        link::add_address(&b, "e", "10.0.0.2/24").unwrap();
        Self { a, b, patch }
    }

    fn ends(&self) -> [(&Namespace, IpAddr); 2] {
        [(&self.a, [10, 0, 0, 1].into()), (&self.b, [10, 0, 0, 2].into())]
    }
}

#[test]
fn a_plain_cable_loses_nothing() {
    let (a, b) = (Namespace::create("a").unwrap(), Namespace::create("b").unwrap());
    link::cable((&a, "e"), (&b, "e"), 1500).unwrap();
    link::add_address(&a, "e", "10.0.0.1/24").unwrap();
    link::add_address(&b, "e", "10.0.0.2/24").unwrap();
    let ends = [(&a, [10, 0, 0, 1].into()), (&b, [10, 0, 0, 2].into())];
    let stream = Stream::start(ends, &StreamConfig::default()).unwrap();
    stream.run(Duration::from_secs(1)).unwrap();
    for report in stream.finish().unwrap() {
        println!("{report}");
        report.check_all_arrived().unwrap();
        // A machine that is busy with other tests may not manage the full rate.
        assert!(report.rate_pps() > 5_000.0 && report.rate_pps() < 21_000.0, "{report}");
    }
}

#[test]
fn a_cable_in_user_space_loses_nothing() {
    let rig = Rig::new();
    let stream = Stream::start(rig.ends(), &StreamConfig::default()).unwrap();
    stream.run(Duration::from_secs(1)).unwrap();
    for report in stream.finish().unwrap() {
        println!("{report}");
        report.check_all_arrived().unwrap();
    }
    rig.patch.check_lossless().unwrap();
}

#[test]
fn a_cut_in_one_direction_is_seen_in_that_direction() {
    let rig = Rig::new();
    let stream = Stream::start(rig.ends(), &StreamConfig::default()).unwrap();
    stream.wait_received(1000, SOON).unwrap();
    let cut = Instant::now();
    rig.patch.set(Way::AToB, Pass::Nothing);
    stream.run(ms(100)).unwrap();
    let healed = Instant::now();
    rig.patch.set(Way::AToB, Pass::All);
    stream.wait_received(1000, SOON).unwrap();
    let [there, back] = stream.finish().unwrap();
    println!("{there}\n{back}");
    back.check_all_arrived().unwrap();
    there.check_once_and_in_order().unwrap();
    assert_eq!(there.lost(), rig.patch.counters(Way::AToB).stopped);
    assert_eq!(there.flows_with_losses().len(), 16);
    // What was under way at the moment of the cut is lost too.
    assert!(there.lost_before(cut - ms(100)) == 0, "{there}");
    let outage = there.outage(cut);
    assert!(outage > ms(50) && outage <= healed - cut, "{outage:?} {there}");
    let gap = there.longest_gap.unwrap();
    assert!(gap.length() >= outage && gap.from < healed && gap.to > cut, "{gap:?}");
}

#[test]
fn a_lost_carrier_is_an_outage_until_it_is_back() {
    let rig = Rig::new();
    let stream = Stream::start(rig.ends(), &StreamConfig::default()).unwrap();
    stream.wait_received(1000, SOON).unwrap();
    let lost = rig.patch.pull(End::A).unwrap();
    let back = rig.patch.put_back().unwrap();
    stream.wait_received(1000, SOON).unwrap();
    for report in stream.finish().unwrap() {
        println!("{report}; carrier lost for {:?}", back.not_after - lost.not_before);
        report.check_once_and_in_order().unwrap();
        assert!(report.lost() > 0);
        let late = report.outage(back.not_after);
        // The kernel may take a second until it uses the link again.
        assert!(late < SOON, "{late:?} after the carrier was back: {report}");
    }
}

#[test]
fn a_second_cable_between_the_same_ends_makes_duplicates() {
    let rig = Rig::new();
    let (a, b) = (rig.patch.far_end(End::A), rig.patch.far_end(End::B));
    let second = Patch::join(a, b).unwrap();
    second.set_both(Pass::Nothing);
    let stream = Stream::start(rig.ends(), &StreamConfig::default()).unwrap();
    stream.wait_received(1000, SOON).unwrap();
    second.set(Way::BToA, Pass::All);
    stream.wait_received(1000, SOON).unwrap();
    let [there, back] = stream.finish().unwrap();
    println!("{there}\n{back}");
    there.check_all_arrived().unwrap();
    assert!(back.check_once_and_in_order().is_err());
    assert_eq!(back.lost(), 0);
    // The hellos came before; all that the second cable carried are copies.
    assert_eq!(back.duplicates, second.counters(Way::BToA).carried);
}

#[test]
fn no_way_through_is_said() {
    let rig = Rig::new();
    rig.patch.set(Way::BToA, Pass::Nothing);
    let ends = rig.ends();
    let config = StreamConfig { flows: 2, ..StreamConfig::default() };
    let stream = Half::open(ends[0], ends[1], 1, Clock::start(), &config).unwrap();
    assert!(stream.wait_heard(ms(50)).unwrap_err().to_string().contains("0 of 2 flows"));
}
