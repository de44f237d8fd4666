//! Receive, periodic, mux, transmit and churn machine, one rule at a time.

use super::*;

#[test]
fn receive_starts_expired_and_defaults_after_the_short_timeout() {
    let mut bench = Bench::new(&configs(1..=1));
    assert_eq!(bench.status(1).receive, ReceiveState::Expired);
    assert!(bench.status(1).actor.state.has(PortState::EXPIRED));
    bench.run_to(3 * S - 1);
    assert_eq!(bench.status(1).receive, ReceiveState::Expired);
    bench.run_to(3 * S);
    assert_eq!(bench.status(1).receive, ReceiveState::Defaulted);
    assert!(!bench.status(1).actor.state.has(PortState::EXPIRED));
    assert_eq!(bench.status(1).member.reason, Some(Reason::NoPartner));
}

fn check_timeout(rate: LacpRate, timeout_ns: u64) {
    let mut bench = Bench::new(&[PortConfig { rate, ..config(1) }]);
    bench.run_to(S);
    bench.receive(1, bench.in_sync(1));
    let status = bench.status(1);
    assert_eq!((status.receive, status.partner), (ReceiveState::Current, partner(1)));
    assert_eq!(status.counters.last_received_ns, Some(S));
    bench.run_to(S + timeout_ns - 1);
    assert_eq!((bench.status(1).receive, bench.flag(1)), (ReceiveState::Current, Flag::Bundled));
    bench.run_to(S + timeout_ns);
    let status = bench.status(1);
    assert_eq!((status.receive, status.member.flag), (ReceiveState::Expired, Flag::Suspended));
    assert_eq!(status.member.reason, Some(Reason::PartnerLost));
    assert_eq!(status.member.since_ns, S + timeout_ns);
    assert!(status.partner.state.has(PortState::SHORT_TIMEOUT), "asks at the fast rate");
    assert_eq!((status.selected, status.mux), (Selected::Selected, MuxState::Attached));
    bench.run_to(S + timeout_ns + 3 * S);
    let status = bench.status(1);
    assert_eq!((status.receive, status.selected), (ReceiveState::Defaulted, Selected::Unselected));
    assert_eq!(status.mux, MuxState::Detached);
    assert_eq!(bench.group().partner, None);
}

#[test]
fn receive_times_out_by_the_rate_that_this_side_asks_for() {
    check_timeout(LacpRate::Fast, 3 * S);
    check_timeout(LacpRate::Normal, 90 * S);
}

#[test]
fn a_partner_that_falls_silent_is_asked_every_second() {
    let mut bench = Bench::new(&configs(1..=1));
    bench.converge(1..=1);
    let slow = PortInfo { state: PortState::new(0x3d), ..partner(1) };
    bench.receive(1, Lacpdu { actor: slow, ..bench.in_sync(1) });
    assert_eq!(bench.status(1).periodic, PeriodicState::SlowPeriodic);
    bench.run(3 * S);
    assert_eq!(bench.status(1).receive, ReceiveState::Expired);
    assert_eq!(bench.status(1).periodic, PeriodicState::FastPeriodic);
    assert!(bench.sent.last().unwrap().1.partner.state.has(PortState::SHORT_TIMEOUT));
}

#[test]
fn receive_from_expired_goes_on_where_it_was() {
    let mut bench = Bench::new(&configs(1..=1));
    bench.converge(1..=1);
    bench.run(4 * S);
    assert_eq!(bench.status(1).receive, ReceiveState::Expired);
    bench.receive(1, bench.in_sync(1));
    assert_eq!(bench.flag(1), Flag::Bundled, "without detaching");
}

#[test]
fn a_change_of_what_identifies_the_partner_unselects() {
    let spoils: [fn(&mut PortInfo); 6] = [
        |p| p.system.priority = 99,
        |p| p.system.mac = MacAddr::new([2, 1, 1, 1, 1, 1]),
        |p| p.key = 8,
        |p| p.port_priority = 1,
        |p| p.port = 9,
        |p| p.state = p.state.with(PortState::AGGREGATION, false),
    ];
    for spoil in spoils {
        let mut bench = Bench::new(&configs(1..=1));
        bench.converge(1..=1);
        assert_eq!(bench.flag(1), Flag::Bundled);
        let mut pdu = bench.in_sync(1);
        spoil(&mut pdu.actor);
        bench.receive(1, pdu);
        let status = bench.status(1);
        assert_eq!((status.mux, status.member.flag), (MuxState::Waiting, Flag::Suspended));
        bench.run(2 * S);
        let pdu = Lacpdu { partner: bench.status(1).actor, ..pdu };
        bench.receive(1, pdu);
        assert_eq!(bench.flag(1), Flag::Bundled, "with the new partner");
    }
}

#[test]
fn the_partner_is_in_sync_only_when_it_means_this_port() {
    let spoils: [fn(&mut Lacpdu); 8] = [
        |pdu| pdu.partner.system.priority = 99,
        |pdu| pdu.partner.system.mac = MacAddr::ZERO,
        |pdu| pdu.partner.key = 99,
        |pdu| pdu.partner.port_priority = 99,
        |pdu| pdu.partner.port = 99,
        |pdu| pdu.partner.state = pdu.partner.state.with(PortState::AGGREGATION, false),
        |pdu| pdu.actor.state = pdu.actor.state.with(PortState::SYNCHRONIZATION, false),
        |pdu| pdu.actor.state = pdu.actor.state.with(PortState::EXPIRED, true),
    ];
    for (n, spoil) in spoils.into_iter().enumerate() {
        let mut bench = Bench::new(&configs(1..=1));
        bench.converge(1..=1);
        assert_eq!(bench.flag(1), Flag::Bundled);
        let mut pdu = bench.in_sync(1);
        spoil(&mut pdu);
        bench.receive(1, pdu);
        let status = bench.status(1);
        assert!(!status.partner.state.has(PortState::SYNCHRONIZATION), "{n}");
        assert_eq!(status.member.reason, Some(Reason::PartnerNotInSync), "{n}");
        assert_eq!(status.mux, MuxState::Attached, "stays attached: {n}");
    }
}

#[test]
fn a_partner_that_is_individual_need_not_know_this_port() {
    let mut bench = Bench::new(&configs(1..=1));
    let mut pdu = bench.in_sync(1);
    pdu.actor.state = pdu.actor.state.with(PortState::AGGREGATION, false);
    pdu.partner = PortInfo::UNKNOWN;
    bench.receive(1, pdu);
    bench.run(2 * S);
    assert_eq!(bench.flag(1), Flag::Bundled);
}

#[test]
fn somebody_has_to_keep_the_protocol_going() {
    // (we are active, the partner is, the partner knows that we are) -> in sync
    let cases = [
        (false, true, false, true),
        (true, true, true, true),
        (true, false, true, true),
        (true, false, false, false),
        (false, false, true, false),
    ];
    for (active, theirs, known, expected) in cases {
        let mut bench = Bench::new(&[PortConfig { active, ..config(1) }]);
        let mut pdu = bench.in_sync(1);
        pdu.actor.state = pdu.actor.state.with(PortState::ACTIVITY, theirs);
        pdu.partner.state = pdu.partner.state.with(PortState::ACTIVITY, known);
        bench.receive(1, pdu);
        let in_sync = bench.status(1).partner.state.has(PortState::SYNCHRONIZATION);
        assert_eq!(in_sync, expected, "{active} {theirs} {known}");
    }
}

#[test]
fn what_is_known_survives_a_link_that_bounces_and_not_a_move() {
    let mut bench = Bench::new(&configs(1..=2));
    bench.converge(1..=2);
    bench.link(1, false);
    let status = bench.status(1);
    assert_eq!((status.receive, status.partner.port), (ReceiveState::PortDisabled, 101));
    assert!(!status.partner.state.has(PortState::SYNCHRONIZATION));
    // port_moved: the partner's port is now heard on another of ours.
    bench.receive(2, Lacpdu { actor: partner(1), ..bench.in_sync(2) });
    assert_eq!(bench.status(1).partner.port, 0);
    assert!(bench.status(1).actor.state.has(PortState::DEFAULTED));
}

#[test]
fn a_port_without_link_hears_nothing() {
    let mut bench = Bench::new(&configs(1..=1));
    bench.link(1, false);
    bench.receive(1, bench.in_sync(1));
    assert_eq!(bench.status(1).counters.pdus_received, 0);
    assert_eq!(bench.status(1).member.reason, Some(Reason::LinkDown));
    bench.receive(9, bench.in_sync(1));
}

/// When a side sends by itself, in the next minute.
fn sent_at(bench: &mut Bench, nic: u8, time_ns: u64) -> Vec<u64> {
    let until_ns = bench.now_ns + time_ns;
    let mut sent_at = Vec::new();
    while let Some(next_ns) = bench.lacp.next_deadline_ns().filter(|next_ns| *next_ns <= until_ns) {
        bench.sent.clear();
        bench.run_to(next_ns);
        sent_at.extend(bench.sent.iter().filter(|sent| sent.0 == nic).map(|_| next_ns));
    }
    bench.run_to(until_ns);
    sent_at
}

#[test]
fn periodic_sends_as_often_as_the_partner_asks() {
    let mut bench = Bench::new(&[PortConfig { rate: LacpRate::Normal, ..config(1) }]);
    assert_eq!(bench.sent.len(), 1, "the first one at once");
    assert_eq!(bench.status(1).periodic, PeriodicState::FastPeriodic);
    let seconds: Vec<u64> = (1..=5).map(|n| n * S).collect();
    assert_eq!(sent_at(&mut bench, 1, 5 * S), seconds);
    bench.receive(1, bench.in_sync(1));
    bench.run(3 * S);
    // It asks for the slow rate, and has nothing against what we say.
    let long = PortState::new(0x3d);
    bench.receive(1, Lacpdu { actor: PortInfo { state: long, ..partner(1) }, ..bench.in_sync(1) });
    assert_eq!(bench.status(1).periodic, PeriodicState::SlowPeriodic);
    let start_ns = bench.now_ns;
    assert_eq!(sent_at(&mut bench, 1, 61 * S), [start_ns + 30 * S, start_ns + 60 * S]);
    // And for the fast one again: it is answered at once.
    bench.sent.clear();
    bench.receive(1, bench.in_sync(1));
    assert_eq!(bench.sent.len(), 1);
    assert_eq!(bench.status(1).periodic, PeriodicState::FastPeriodic);
    let start_ns = bench.now_ns;
    assert_eq!(sent_at(&mut bench, 1, 2 * S), [start_ns + S, start_ns + 2 * S]);
}

#[test]
fn periodic_is_silent_while_both_are_passive() {
    let mut bench = Bench::new(&[PortConfig { active: false, ..config(1) }]);
    bench.run(200 * S);
    assert_eq!(bench.sent, []);
    assert_eq!(bench.status(1).periodic, PeriodicState::NoPeriodic);
    bench.receive(1, Lacpdu { partner: PortInfo::UNKNOWN, ..bench.in_sync(1) });
    assert_eq!(bench.sent.len(), 1, "answers an active partner at once");
    // A passive partner is told nothing.
    bench.sent.clear();
    let passive = PortInfo { state: PortState::new(0x3e), ..partner(1) };
    bench.receive(1, Lacpdu { actor: passive, ..bench.in_sync(1) });
    bench.run(2 * S);
    assert_eq!(bench.sent, []);
}

#[test]
fn transmit_tells_a_partner_that_sees_this_side_wrongly() {
    type Spoil = fn(&mut PortInfo);
    let spoils: [(Spoil, bool); 8] = [
        (|p| p.key = 99, true),
        (|p| p.port = 99, true),
        (|p| p.state = p.state.with(PortState::ACTIVITY, false), true),
        (|p| p.state = p.state.with(PortState::SHORT_TIMEOUT, false), true),
        (|p| p.state = p.state.with(PortState::SYNCHRONIZATION, false), true),
        (|p| p.state = p.state.with(PortState::AGGREGATION, false), true),
        // These need no answer.
        (|p| p.state = p.state.with(PortState::COLLECTING, false), false),
        (|p| p.state = p.state.with(PortState::EXPIRED, true), false),
    ];
    for (n, (spoil, expected)) in spoils.into_iter().enumerate() {
        let mut bench = Bench::new(&configs(1..=1));
        bench.converge(1..=1);
        bench.run(S + S / 3);
        bench.sent.clear();
        let mut pdu = bench.in_sync(1);
        spoil(&mut pdu.partner);
        // A partner that looks wrong is out of sync here, which is no reason to send either.
        bench.receive(1, pdu);
        let told = bench.sent.iter().any(|(_, sent)| sent.partner.port == 101);
        assert_eq!(told, expected, "{n}");
    }
}

#[test]
fn transmit_sends_three_in_a_second_and_the_rest_later() {
    let mut bench = Bench::new(&configs(1..=1));
    bench.run(10 * S + S / 2);
    bench.sent.clear();
    let start_ns = bench.now_ns;
    for n in 0..20 {
        // Each one is wrong about us.
        bench.receive(1, Lacpdu { partner: PortInfo::UNKNOWN, ..bench.in_sync(1) });
        bench.run_to(start_ns + (n + 1) * MS);
    }
    // One was sent by the period, half a second before.
    assert_eq!(bench.sent.len(), 2);
    assert_eq!(bench.lacp.next_deadline_ns(), Some(start_ns + S / 2));
    assert_eq!(bench.status(1).counters.pdus_received, 20);
}

#[test]
fn mux_waits_two_seconds_and_then_attaches_with_the_others() {
    let mut bench = Bench::new(&configs(1..=2));
    bench.receive(1, bench.in_sync(1));
    assert_eq!(bench.status(1).mux, MuxState::Waiting);
    assert!(!bench.status(1).actor.state.has(PortState::SYNCHRONIZATION));
    bench.run_to(S);
    bench.receive(1, bench.in_sync(1));
    bench.receive(2, bench.in_sync(2));
    bench.run_to(3 * S - 1);
    assert_eq!(bench.flags(1..=2), "ss", "the first one waits for the second");
    bench.run_to(3 * S);
    assert_eq!(bench.flags(1..=2), "PP");
    let moved: Vec<u64> = bench
        .changes
        .iter()
        .filter(|c| c.is_of_traffic())
        .map(|c| c.after.unwrap().since_ns)
        .collect();
    assert_eq!(moved, [3 * S, 3 * S]);
}

#[test]
fn mux_is_not_held_up_by_a_member_that_bounces() {
    let mut bench = Bench::new(&configs(1..=2));
    let start_ns = bench.now_ns;
    for _ in 0..6 {
        bench.link(2, false);
        bench.link(2, true);
        bench.receive(1, bench.in_sync(1));
        bench.receive(2, bench.in_sync(2));
        bench.run(S - 1);
    }
    assert_eq!(bench.flags(1..=2), "Ps");
    assert!(bench.status(1).member.since_ns < start_ns + 4 * S);
}

#[test]
fn mux_tells_the_partner_at_once_when_it_attaches_and_detaches() {
    let mut bench = Bench::new(&configs(1..=1));
    bench.receive(1, bench.in_sync(1));
    bench.run(2 * S - 1);
    bench.sent.clear();
    bench.run(1);
    let states: Vec<PortState> = bench.sent.iter().map(|(_, pdu)| pdu.actor.state).collect();
    assert_eq!(states, [PortState::new(0x3f)], "attached and carrying in one");
    bench.run(S / 2);
    bench.sent.clear();
    bench.receive(1, Lacpdu { actor: PortInfo { key: 9, ..partner(1) }, ..bench.in_sync(1) });
    assert_eq!(bench.sent[0].1.actor.state, PortState::new(0x07));
}

#[test]
fn churn_is_told_after_a_minute_out_of_sync() {
    let mut bench = Bench::new(&configs(1..=1));
    let out_of_sync = |bench: &Bench| {
        let state = PortState::new(0x07);
        Lacpdu { actor: PortInfo { state, ..partner(1) }, ..bench.in_sync(1) }
    };
    bench.receive(1, out_of_sync(&bench));
    assert_eq!(bench.status(1).actor_churn, ChurnState::Monitor);
    bench.run(2 * S);
    assert_eq!(bench.status(1).actor_churn, ChurnState::NoChurn, "this side is attached");
    for _ in 0..29 {
        bench.receive(1, out_of_sync(&bench));
        bench.run(2 * S - 1);
    }
    bench.receive(1, out_of_sync(&bench));
    assert_eq!(bench.status(1).partner_churn, ChurnState::Monitor);
    bench.run_to(60 * S - 1);
    assert_eq!(bench.status(1).partner_churn, ChurnState::Monitor);
    bench.run_to(60 * S);
    let status = bench.status(1);
    assert_eq!((status.partner_churn, status.counters.partner_churns), (ChurnState::Churn, 1));
    assert_eq!((status.actor_churn, status.counters.actor_churns), (ChurnState::NoChurn, 0));
    bench.receive(1, bench.in_sync(1));
    assert_eq!(bench.status(1).partner_churn, ChurnState::NoChurn);
    // The link goes: the minute starts when it is back.
    bench.link(1, false);
    bench.run(100 * S);
    assert_eq!(bench.status(1).actor_churn, ChurnState::Monitor);
    bench.link(1, true);
    // It is attached for what is known of the partner, which is forgotten after three seconds.
    bench.run(63 * S - 1);
    assert_eq!(bench.status(1).actor_churn, ChurnState::Monitor);
    bench.run(1);
    assert_eq!(bench.status(1).counters.actor_churns, 1);
}
