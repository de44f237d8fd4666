use proptest::collection::vec;
use proptest::prelude::*;
use proto::frame::lldp;

use super::*;
use crate::neighbor::{Heard, Protocol};

const S: u64 = SECOND_NS;

/// What is sent from `from` to `until`, as someone who wakes at each deadline sees it.
fn run(transmit: &mut LldpTransmit, from: u64, until: u64) -> Vec<(u64, Due)> {
    let (mut now, mut sent) = (from, Vec::new());
    loop {
        while let Some(due) = transmit.poll(now) {
            sent.push((now, due));
        }
        match transmit.next_deadline_ns() {
            Some(next) if next < until => {
                assert!(next > now, "{next} is not after {now}");
                now = next;
            }
            _ => return sent,
        }
    }
}

fn announcements(seconds: &[u64]) -> Vec<(u64, Due)> {
    seconds.iter().map(|second| (second * S, Due::Announcement)).collect()
}

/// Switched on, with the link up at this second.
fn started(second: u64) -> LldpTransmit {
    let mut transmit = LldpTransmit::new();
    transmit.set_on(0, true);
    transmit.link(second * S, true);
    transmit
}

#[test]
fn nothing_is_sent_without_a_link_or_while_switched_off() {
    let mut transmit = LldpTransmit::new();
    assert_eq!((run(&mut transmit, 0, 100 * S), transmit.next_deadline_ns()), (vec![], None));
    transmit.set_on(0, true);
    assert_eq!((run(&mut transmit, 0, 100 * S), transmit.next_deadline_ns()), (vec![], None));
    transmit.set_on(S, false);
    transmit.link(S, true);
    transmit.new_neighbor(S);
    transmit.local_change(S);
    assert_eq!((run(&mut transmit, S, 100 * S), transmit.next_deadline_ns()), (vec![], None));
}

#[test]
fn a_link_that_comes_up_hears_four_a_second_apart_and_then_one_in_thirty() {
    let sent = run(&mut started(10), 10 * S, 110 * S);
    assert_eq!(sent, announcements(&[10, 11, 12, 13, 43, 73, 103]));
}

#[test]
fn a_new_neighbour_starts_that_again() {
    let mut transmit = started(0);
    assert_eq!(run(&mut transmit, 0, 20 * S), announcements(&[0, 1, 2, 3]));
    transmit.new_neighbor(20 * S);
    assert_eq!(run(&mut transmit, 20 * S, 60 * S), announcements(&[20, 21, 22, 23, 53]));
    // In a fast start it hastens the next one and adds none.
    transmit.new_neighbor(60 * S);
    assert_eq!(run(&mut transmit, 60 * S, 61 * S), announcements(&[60]));
    transmit.new_neighbor(60 * S + S / 2);
    let sent = run(&mut transmit, 60 * S + S / 2, 70 * S);
    let half_past = |second| (second * S + S / 2, Due::Announcement);
    assert_eq!(sent, [half_past(60), half_past(61), half_past(62)]);
}

#[test]
fn a_change_is_sent_at_once_as_far_as_credit_goes() {
    let mut transmit = started(0);
    run(&mut transmit, 0, 40 * S);
    let mut sent = 0;
    for _ in 0..100 {
        transmit.local_change(40 * S);
        sent += usize::from(transmit.poll(40 * S).is_some());
    }
    assert_eq!((sent, transmit.next_deadline_ns()), (5, Some(41 * S)));
    // The last one waits for credit, and then it is quiet.
    assert_eq!(run(&mut transmit, 40 * S, 75 * S), announcements(&[41, 70]));
}

#[test]
fn the_end_is_told_once_and_a_new_beginning_waits_two_seconds() {
    let mut transmit = started(0);
    run(&mut transmit, 0, 50 * S);
    transmit.set_on(50 * S, false);
    assert_eq!(transmit.next_deadline_ns(), Some(0));
    assert_eq!(transmit.poll(50 * S), Some(Due::Shutdown));
    assert_eq!((transmit.poll(50 * S), transmit.next_deadline_ns()), (None, None));
    transmit.set_on(51 * S, true);
    transmit.local_change(51 * S);
    transmit.new_neighbor(51 * S);
    assert_eq!(run(&mut transmit, 51 * S, 80 * S), announcements(&[52, 53, 54, 55]));
    // Off and on again between two polls: the end is told all the same.
    transmit.set_on(80 * S, false);
    transmit.set_on(80 * S, true);
    let sent = run(&mut transmit, 80 * S, 83 * S);
    assert_eq!(sent, [&[(80 * S, Due::Shutdown)][..], &announcements(&[82])].concat());
}

#[test]
fn who_has_heard_nothing_is_told_of_no_end() {
    let mut transmit = started(0);
    transmit.set_on(0, false);
    assert_eq!(transmit.poll(0), None);
    let mut transmit = started(0);
    run(&mut transmit, 0, S);
    transmit.link(S, false);
    transmit.set_on(S, false);
    assert_eq!((transmit.poll(S), transmit.next_deadline_ns()), (None, None));
    // Nor is one that has come after the end was due and could not be sent.
    let mut transmit = started(0);
    run(&mut transmit, 0, S);
    transmit.set_on(S, false);
    transmit.link(S, false);
    transmit.link(S, true);
    assert_eq!(transmit.poll(S), None);
}

#[test]
fn a_link_that_was_lost_begins_anew() {
    let mut transmit = started(0);
    run(&mut transmit, 0, 20 * S);
    transmit.link(20 * S, false);
    assert_eq!((run(&mut transmit, 20 * S, 40 * S), transmit.next_deadline_ns()), (vec![], None));
    transmit.link(40 * S, true);
    transmit.link(41 * S, true);
    assert_eq!(run(&mut transmit, 40 * S, 75 * S), announcements(&[40, 41, 42, 43, 73]));
}

#[test]
fn a_late_poll_sends_one_and_not_what_was_missed() {
    let mut transmit = started(0);
    run(&mut transmit, 0, 20 * S);
    assert_eq!(transmit.poll(500 * S), Some(Due::Announcement));
    assert_eq!((transmit.poll(500 * S), transmit.next_deadline_ns()), (None, Some(530 * S)));
}

const SRC: MacAddr = MacAddr::new([0x02, 0, 0, 0, 0, 0x0a]);

#[test]
fn the_frame_says_who_is_here() {
    let host = HostId::new([0x8d; 16]);
    let identity = Identity { host, host_name: "h1", ifname: "eth1", port: "Ethernet3/1" };
    let frame = identity.frame(SRC, Due::Announcement).unwrap();
    assert_eq!(frame[..14], [1, 0x80, 0xc2, 0, 0, 0x0e, 2, 0, 0, 0, 0, 0x0a, 0x88, 0xcc]);
    let heard = Heard::read(&frame).unwrap().unwrap();
    let says = heard.announcement;
    assert_eq!((says.protocol, heard.hold_time_s), (Protocol::Lldp, 121));
    assert_eq!(says.chassis_id, "8d8d8d8d-8d8d-8d8d-8d8d-8d8d8d8d8d8d");
    assert_eq!((says.port_id.as_str(), says.port_description.as_str()), ("eth1", "Ethernet3/1"));
    assert_eq!((says.system_name.as_str(), says.capabilities), ("h1", vec!["bridge"]));
    assert_eq!(says.platform, concat!("Weft ", env!("CARGO_PKG_VERSION")));

    let frame = identity.frame(SRC, Due::Shutdown).unwrap();
    let last = lldp::parse(&frame).unwrap();
    assert_eq!((last.ttl_s, last.system_name), (0, None));
    assert_eq!(last.chassis_id.to_string(), "8d8d8d8d-8d8d-8d8d-8d8d-8d8d8d8d8d8d");
    let nameless = Identity { ifname: "", ..identity };
    assert!(matches!(nameless.frame(SRC, Due::Announcement), Err(LldpError::IdLength { .. })));
}

#[derive(Debug, Clone, Copy)]
enum Event {
    On(bool),
    Link(bool),
    NewNeighbor,
    LocalChange,
}

fn event() -> impl Strategy<Value = Event> {
    prop_oneof![
        any::<bool>().prop_map(Event::On),
        any::<bool>().prop_map(Event::Link),
        Just(Event::NewNeighbor),
        Just(Event::LocalChange),
    ]
}

proptest! {
    /// Whatever happens: announcements only while it is on and the link is up, never faster than
    /// credit allows, never more than an interval apart, and each end is told of exactly once.
    #[test]
    fn any_events(events in vec((0..40 * S, event()), 0..60)) {
        let mut transmit = LldpTransmit::new();
        let (mut now, mut on, mut up) = (0, false, false);
        let (mut sent, mut has_told) = (Vec::new(), false);
        for (wait, event) in events {
            for (at, due) in run(&mut transmit, now, now + wait) {
                match due {
                    Due::Announcement => {
                        prop_assert!(on && up, "sent at {at} while {on} {up}");
                        sent.push(at);
                        has_told = true;
                    }
                    Due::Shutdown => prop_assert!(std::mem::take(&mut has_told)),
                }
            }
            if on && up && wait >= INTERVAL_NS + REINIT_DELAY_NS {
                let last = sent.last().copied().unwrap_or(0);
                prop_assert!(now + wait - last <= INTERVAL_NS, "quiet since {last}");
            }
            now += wait;
            match event {
                Event::On(is_on) => {
                    transmit.set_on(now, is_on);
                    on = is_on;
                }
                Event::Link(is_up) => {
                    transmit.link(now, is_up);
                    has_told &= is_up == up;
                    up = is_up;
                }
                Event::NewNeighbor => transmit.new_neighbor(now),
                Event::LocalChange => transmit.local_change(now),
            }
            prop_assert!(!has_told || on || transmit.next_deadline_ns() == Some(0));
        }
        for (first, at) in sent.iter().enumerate() {
            for (more, until) in sent[first..].iter().enumerate() {
                let allowed = u64::from(CREDIT_MAX) + (until - at) / S;
                prop_assert!((more as u64) < allowed, "{more} after {at} until {until}");
            }
        }
    }
}
