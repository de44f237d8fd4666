//! Two sides with cables between them, as administrators and cables treat them.

use super::lab::{Lab, Side};
use super::*;

fn is_up(lab: &Lab) -> bool {
    lab.flags().chars().all(|flag| matches!(flag, 'P' | ' '))
}

fn pair(count: u8) -> Lab {
    let mut lab = Lab::new(&configs(1..=count), &configs(1..=count));
    lab.run_until(5 * S, is_up);
    lab.changes.iter_mut().for_each(Vec::clear);
    lab
}

fn all(count: u8, change: impl Fn(PortConfig) -> PortConfig) -> Vec<PortConfig> {
    configs(1..=count).into_iter().map(change).collect()
}

#[test]
fn two_sides_aggregate_in_every_pair_of_modes_but_two_passive_ones() {
    for (a, b) in [(true, true), (true, false), (false, true), (false, false)] {
        for rate in [LacpRate::Fast, LacpRate::Normal] {
            let side = |active| all(3, |port| PortConfig { active, rate, ..port });
            let mut lab = Lab::new(&side(a), &side(b));
            if a || b {
                let time_ns = lab.run_until(5 * S, is_up);
                assert!(time_ns < 3 * S, "{time_ns}");
                lab.changes.iter_mut().for_each(Vec::clear);
                lab.run(600 * S);
                assert_eq!(lab.flags(), "PPP PPP");
                assert_eq!(lab.changes, [[], []], "and nothing flaps");
            } else {
                lab.run(600 * S);
                assert_eq!(lab.flags(), "sss sss");
            }
        }
    }
}

#[test]
fn the_slow_rate_sends_as_seldom_as_it_says() {
    let slow = all(1, |port| PortConfig { rate: LacpRate::Normal, ..port });
    let mut lab = Lab::new(&slow, &configs(1..=1));
    lab.run(10 * S);
    let sent = |lab: &Lab| [Side::A, Side::B].map(|side| lab.status(side, 1).counters.pdus_sent);
    let before = sent(&lab);
    lab.run(300 * S);
    let during: Vec<u64> =
        sent(&lab).iter().zip(before).map(|(after, before)| after - before).collect();
    assert_eq!(during, [300, 10], "each as often as the other asks");
}

#[test]
fn a_link_that_goes_takes_its_member_alone() {
    let mut lab = pair(3);
    lab.set_link(2, false);
    assert_eq!(lab.flags(), "PDP PDP");
    lab.run(10 * S);
    assert_eq!(lab.flags(), "PDP PDP");
    lab.set_link(2, true);
    lab.run_until(3 * S, is_up);
    assert!(lab.changes.iter().flatten().all(|change| change.nic == 2));
}

#[test]
fn a_partner_that_restarts_is_joined_again() {
    let mut lab = pair(2);
    lab.restart(Side::B, &configs(1..=2));
    lab.run(10 * MS);
    assert_eq!(lab.flags(), "ss ss", "the new one has not attached yet");
    lab.run_until(3 * S, is_up);
    lab.run(100 * S);
    assert_eq!(lab.flags(), "PP PP");
}

#[test]
fn a_partner_that_says_goodbye_is_left_at_once() {
    let mut lab = pair(2);
    lab.configure(Side::B, &[config(1), PortConfig { admin_up: false, ..config(2) }]);
    lab.run(2 * MS);
    assert_eq!(lab.flags(), "Ps PD");
    lab.configure(Side::B, &[]);
    lab.run(2 * MS);
    assert_eq!(lab.flags(), "ss ");
}

#[test]
fn a_one_way_link_carries_nothing() {
    // What A sends is lost from the start.
    let mut lab = Lab::wired([system(1, 1), system(2, 2)], &[(1, 1), (2, 2)]);
    lab.lose(1, Side::A, 256);
    lab.configure(Side::A, &configs(1..=2));
    lab.configure(Side::B, &configs(1..=2));
    lab.set_link(1, true);
    lab.set_link(2, true);
    lab.run(100 * S);
    assert_eq!(lab.flags(), "sP sP");
    assert_eq!(lab.status(Side::A, 1).member.reason, Some(Reason::PartnerNotInSync));
    assert_eq!(lab.status(Side::B, 1).member.reason, Some(Reason::NoPartner));
    // It is repaired.
    lab.lose(1, Side::A, 0);
    lab.run_until(5 * S, is_up);
    // It happens to a link that carries: B hears nothing for its timeout, and says so.
    lab.lose(2, Side::A, 256);
    let time_ns = lab.run_until(4 * S, |lab| lab.flags() == "Ps Ps");
    assert!((2 * S..=3 * S + 20 * MS).contains(&time_ns), "{time_ns}");
    lab.run(100 * S);
    assert_eq!(lab.flags(), "Ps Ps");
}

#[test]
fn silence_is_noticed_by_the_rate() {
    let slow = all(2, |port| PortConfig { rate: LacpRate::Normal, ..port });
    for (ports, timeout_ns) in [(configs(1..=2), 3 * S), (slow, 90 * S)] {
        let mut lab = Lab::new(&ports, &ports);
        lab.run(200 * S);
        for side in [Side::A, Side::B] {
            lab.lose(1, side, 256);
        }
        lab.run_until(timeout_ns + S, |lab| lab.flags() == "sP sP");
        // One was on its way still.
        let last_ns = lab.status(Side::A, 1).counters.last_received_ns.unwrap();
        let lost_at_ns = lab.status(Side::A, 1).member.since_ns;
        assert_eq!(lost_at_ns, last_ns + timeout_ns);
    }
}

#[test]
fn a_cable_that_is_moved_joins_the_port_channel_of_its_new_port() {
    // A has port-channels 1 and 2, B has 11 and 12; A's NIC 2 is moved from B's NIC 2 to NIC 3.
    let a: Vec<_> = [1, 1, 2]
        .into_iter()
        .zip(1..)
        .map(|(key, nic)| PortConfig { key, ..config(nic) })
        .collect();
    let b: Vec<_> = [11, 11, 12]
        .into_iter()
        .zip(1..)
        .map(|(key, nic)| PortConfig { key, ..config(nic) })
        .collect();
    let mut lab = Lab::wired([system(1, 1), system(2, 2)], &[(1, 1), (2, 2)]);
    lab.configure(Side::A, &a);
    lab.configure(Side::B, &b);
    lab.set_link(1, true);
    lab.set_link(2, true);
    lab.run_until(5 * S, |lab| lab.flags() == "PPD PPD");
    lab.set_link(2, false);
    lab.cables[1].nics = [2, 3];
    lab.set_link(2, true);
    lab.run(10 * S);
    assert_eq!(lab.flags(), "PsD PDs", "its partner has another key now");
    // NIC 2 is configured to follow.
    let moved: Vec<_> = a
        .iter()
        .map(|port| PortConfig { key: if port.nic == 1 { 1 } else { 2 }, ..*port })
        .collect();
    lab.configure(Side::A, &moved);
    lab.run_until(5 * S, |lab| lab.flags() == "PPD PDP");
    assert_eq!(
        lab.side(Side::A).groups().map(|group| group.partner.unwrap().1).collect::<Vec<_>>(),
        [11, 12]
    );
}

#[test]
fn hot_standby_of_both_sides_chooses_the_same_members() {
    // Priorities that contradict each other, and cables that cross.
    let side = |priorities: [u16; 4]| {
        let ports = (1..).zip(priorities);
        ports
            .map(|(nic, port_priority)| PortConfig { port_priority, max_bundle: 2, ..config(nic) })
            .collect::<Vec<_>>()
    };
    let mut lab = Lab::wired([system(1, 1), system(2, 2)], &[(1, 4), (2, 3), (3, 2), (4, 1)]);
    lab.configure(Side::A, &side([40, 30, 20, 10]));
    lab.configure(Side::B, &side([40, 30, 20, 10]));
    for nic in 1..=4 {
        lab.set_link(nic, true);
    }
    lab.run(10 * S);
    assert_eq!(lab.flags(), "HHPP PPHH");
    lab.set_link(4, false);
    lab.run(10 * MS);
    assert_eq!(lab.flags(), "HPPD DPPH", "within a few frames");
    lab.set_link(4, true);
    lab.changes.iter_mut().for_each(Vec::clear);
    lab.run(10 * S);
    assert_eq!(lab.flags(), "HHPP PPHH");
    // While it was given back, one at least went on carrying.
    let gaps = lab.changes[0].iter().filter(|change| change.is_of_traffic() && change.nic == 3);
    assert_eq!(gaps.count(), 0);
}

#[test]
fn the_side_with_fewer_members_decides() {
    let narrow = all(3, |port| PortConfig { max_bundle: 1, ..port });
    let mut lab = Lab::new(&configs(1..=3), &narrow);
    lab.run(10 * S);
    assert_eq!(lab.flags(), "Pss PHH");
    let wide = all(3, |port| PortConfig { min_links: 3, ..port });
    lab.configure(Side::A, &wide);
    lab.run(10 * S);
    assert_eq!(lab.status(Side::A, 1).member.reason, Some(Reason::MinLinks { have: 1, need: 3 }));
    lab.configure(Side::B, &configs(1..=3));
    lab.run_until(5 * S, is_up);
    lab.set_link(1, false);
    lab.run(10 * MS);
    assert_eq!(lab.flags(), "Dss Dss", "the other side learns that min-links are missing");
}

#[test]
fn fallback_meets_a_partner_that_wakes_up() {
    let falling = all(2, |port| PortConfig { suspend_individual: false, ..port });
    let mut lab = Lab::wired([system(1, 1), system(2, 2)], &[(1, 1), (2, 2)]);
    lab.configure(Side::A, &falling);
    lab.set_link(1, true);
    lab.set_link(2, true);
    lab.run(10 * S);
    assert_eq!(lab.flags(), "IS ");
    lab.configure(Side::B, &configs(1..=2));
    lab.run_until(5 * S, is_up);
    lab.configure(Side::B, &[]);
    lab.run_until(10 * S, |lab| lab.flags() == "IS ");
}

#[test]
fn a_caller_that_was_late_loses_nobody() {
    let mut lab = pair(2);
    // Four seconds of nothing, while the partner's LACPDUs wait in the socket.
    let waiting: Vec<_> = (1..=2)
        .map(|nic| {
            let (actor, partner) = (lab.status(Side::B, nic).actor, lab.status(Side::A, nic).actor);
            Lacpdu { actor, partner, collector_max_delay: 0 }.to_frame(config(nic).mac)
        })
        .collect();
    let now_ns = lab.now_ns + 4 * S;
    let late = &mut lab.sides[0];
    for (nic, frame) in (1..).zip(waiting) {
        late.receive(now_ns, nic, &frame);
    }
    late.poll(now_ns);
    assert_eq!(late.groups().next().unwrap().carrying, 2);
    assert_eq!(late.take_changes().count(), 0);
}
