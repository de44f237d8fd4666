//! Which members belong to the aggregator: partners, hot standby, min-links, fallback, settings.

use super::*;

/// A partner's PDU of another system or key.
fn with(bench: &Bench, nic: u8, spoil: impl Fn(&mut PortInfo)) -> Lacpdu {
    let mut pdu = bench.in_sync(nic);
    spoil(&mut pdu.actor);
    pdu
}

#[test]
fn a_member_with_another_system_or_key_does_not_join() {
    for spoil in [|p: &mut PortInfo| p.key = 8, |p: &mut PortInfo| p.system = system(1, 77)] {
        let mut bench = Bench::new(&configs(1..=3));
        for _ in 0..10 {
            for nic in [1, 3] {
                bench.receive(nic, bench.in_sync(nic));
            }
            bench.receive(2, with(&bench, 2, spoil));
            bench.run(S / 2);
        }
        assert_eq!(bench.flags(1..=3), "PsP");
        let other = with(&bench, 2, spoil).actor;
        let reason = Reason::OtherPartner { system: other.system, key: other.key };
        assert_eq!(bench.status(2).member.reason, Some(reason));
        assert!(!bench.status(2).actor.state.has(PortState::SYNCHRONIZATION));
        assert_eq!(bench.group().partner, Some((partner(1).system, 7)));
        // It is put right.
        bench.converge(1..=3);
        assert_eq!(bench.flags(1..=3), "PPP");
    }
}

#[test]
fn the_wrong_partner_that_speaks_first_does_not_keep_the_others_out() {
    let mut bench = Bench::new(&configs(1..=3));
    bench.receive(1, with(&bench, 1, |p| p.key = 8));
    assert_eq!(bench.group().partner, Some((partner(1).system, 8)));
    bench.run(S);
    for _ in 0..6 {
        bench.receive(1, with(&bench, 1, |p| p.key = 8));
        bench.receive(2, bench.in_sync(2));
        bench.receive(3, bench.in_sync(3));
        bench.run(S / 2);
    }
    assert_eq!(bench.flags(1..=3), "sPP");
}

#[test]
fn a_partner_that_is_bound_stays_until_its_members_leave() {
    let mut bench = Bench::new(&configs(1..=3));
    bench.converge(1..=1);
    // Two members of another partner are the majority, and come too late.
    let speak = |bench: &mut Bench, bound: bool| {
        for _ in 0..8 {
            if bound {
                bench.receive(1, bench.in_sync(1));
            }
            for nic in [2, 3] {
                bench.receive(nic, with(bench, nic, |p| p.key = 8));
            }
            bench.run(S / 2);
        }
    };
    speak(&mut bench, true);
    assert_eq!(bench.flags(1..=3), "Pss");
    bench.link(1, false);
    speak(&mut bench, false);
    assert_eq!(bench.flags(1..=3), "DPP");
    assert_eq!(bench.group().partner, Some((partner(1).system, 8)));
}

#[test]
fn of_two_partners_with_as_many_members_the_first_one_that_spoke_is_bound() {
    let mut bench = Bench::new(&configs(1..=2));
    bench.receive(2, bench.in_sync(2));
    for _ in 0..6 {
        bench.receive(1, with(&bench, 1, |p| p.key = 8));
        bench.receive(2, bench.in_sync(2));
        bench.run(S / 2);
    }
    assert_eq!(bench.flags(1..=2), "sP");
    // The first one falls silent: the second one need not wait until it is forgotten.
    for _ in 0..10 {
        bench.receive(1, with(&bench, 1, |p| p.key = 8));
        bench.run(S / 2);
    }
    assert_eq!(bench.status(2).receive, ReceiveState::Expired);
    assert_eq!(bench.flags(1..=2), "Ps");
}

#[test]
fn of_two_partners_the_one_with_min_links_is_bound() {
    let ports: Vec<_> = (1..=3).map(|nic| PortConfig { min_links: 2, ..config(nic) }).collect();
    let mut bench = Bench::new(&ports);
    bench.converge(1..=2);
    assert_eq!(bench.flags(1..=3), "PPs");
    bench.link(1, false);
    assert_eq!(bench.flags(1..=3), "Dss", "one member is not enough");
    bench.link(1, true);
    for _ in 0..8 {
        bench.receive(2, bench.in_sync(2));
        for nic in [1, 3] {
            bench.receive(nic, with(&bench, nic, |p| p.key = 8));
        }
        bench.run(S / 2);
    }
    assert_eq!(bench.flags(1..=3), "PsP");
}

#[test]
fn own_lacpdus_do_not_make_a_partner() {
    let mut bench = Bench::new(&configs(1..=2));
    for _ in 0..8 {
        for (nic, from) in [(1, 2), (2, 1)] {
            let actor = bench.status(from).actor;
            let pdu = Lacpdu { actor, partner: bench.status(nic).actor, collector_max_delay: 0 };
            bench.receive(nic, pdu);
        }
        bench.run(S / 2);
    }
    assert_eq!(bench.flags(1..=2), "ss");
    assert_eq!(bench.status(1).member.reason, Some(Reason::Loopback));
    assert_eq!(bench.group().partner, None);
}

#[test]
fn a_partner_that_does_not_aggregate_gets_one_link() {
    let mut bench = Bench::new(&configs(1..=2));
    for _ in 0..8 {
        for nic in 1..=2 {
            let individual = |p: &mut PortInfo| p.state = PortState::new(0x3b);
            bench.receive(nic, with(&bench, nic, individual));
        }
        bench.run(S / 2);
    }
    assert_eq!(bench.flags(1..=2), "Ps");
    assert_eq!(bench.status(2).member.reason, Some(Reason::IndividualPartner));
}

/// Ports with these priorities, of which two may carry.
fn two_of(priorities: &[u16]) -> Vec<PortConfig> {
    let ports = (1..).zip(priorities);
    ports
        .map(|(nic, port_priority)| PortConfig {
            port_priority: *port_priority,
            max_bundle: 2,
            ..config(nic)
        })
        .collect()
}

#[test]
fn hot_standby_goes_by_the_order_of_the_lower_system() {
    // The partner's id is lower: its order is that of its port numbers.
    let mut bench = Bench::new(&two_of(&[9, 8, 7]));
    bench.converge(1..=3);
    assert_eq!(bench.flags(1..=3), "PPH");
    assert_eq!(bench.status(3).member.reason, Some(Reason::MaxBundle));
    let status = bench.status(3);
    assert_eq!((status.selected, status.mux), (Selected::Standby, MuxState::Waiting));
    assert!(!status.actor.state.has(PortState::SYNCHRONIZATION));
    // Ours is lower: priority, then number.
    let mut bench = Bench::new(&two_of(&[9, 8, 8, 8]));
    for _ in 0..8 {
        for nic in 1..=4 {
            bench.receive(nic, with(&bench, nic, |p| p.system.priority = 60000));
        }
        bench.run(S / 2);
    }
    assert_eq!(bench.flags(1..=4), "HPPH");
}

#[test]
fn hot_standby_takes_over_at_once_and_gives_back_without_a_gap() {
    let mut bench = Bench::new(&two_of(&[1, 1, 1]));
    bench.converge(1..=3);
    assert_eq!(bench.flags(1..=3), "PPH");
    bench.link(1, false);
    assert_eq!(bench.flags(1..=3), "DPP", "in the same moment: it had waited");
    bench.run(S / 2);
    bench.link(1, true);
    bench.sent.clear();
    bench.speak(1..=3, 2 * S - 1);
    assert_eq!(bench.flags(1..=3), "HPP", "it does not displace another before it can attach");
    bench.run(1);
    assert_eq!(bench.flags(1..=3), "PPH");
}

#[test]
fn hot_standby_replaces_a_member_that_falls_silent() {
    let mut bench = Bench::new(&two_of(&[1, 1, 1]));
    bench.converge(1..=3);
    let start_ns = bench.now_ns;
    bench.speak(2..=3, 3 * S - 1);
    assert_eq!(bench.flags(1..=3), "PPH");
    bench.run_to(start_ns + 3 * S);
    assert_eq!(bench.flags(1..=3), "sPP");
    assert_eq!(bench.status(1).member.reason, Some(Reason::PartnerLost));
}

#[test]
fn min_links_keep_all_members_from_carrying() {
    let ports: Vec<_> = (1..=3).map(|nic| PortConfig { min_links: 3, ..config(nic) }).collect();
    let mut bench = Bench::new(&ports);
    bench.converge(1..=2);
    assert_eq!(bench.flags(1..=3), "sss");
    let reason = Reason::MinLinks { have: 2, need: 3 };
    assert_eq!(bench.status(1).member.reason, Some(reason));
    assert_eq!((bench.group().up, bench.group().reason), (false, Some(reason)));
    assert!(!bench.status(1).actor.state.has(PortState::SYNCHRONIZATION), "and says so");
    bench.converge(1..=3);
    assert_eq!((bench.flags(1..=3).as_str(), bench.group().carrying), ("PPP", 3));
    // The partner takes one end out.
    bench.run(S);
    bench.receive(2, with(&bench, 2, |p| p.state = PortState::new(0x07)));
    assert_eq!(bench.flags(1..=3), "sss");
    assert_eq!(bench.status(1).member.reason, Some(reason));
    bench.receive(2, bench.in_sync(2));
    assert_eq!(bench.flags(1..=3), "PPP");
    bench.link(3, false);
    assert_eq!(bench.flags(1..=3), "ssD");
}

fn falling_back(ranks: &[u8]) -> Vec<PortConfig> {
    let ports = (1..).zip(ranks);
    ports
        .map(|(nic, rank)| PortConfig {
            rank: *rank,
            min_links: 2,
            suspend_individual: false,
            ..config(nic)
        })
        .collect()
}

#[test]
fn without_a_partner_members_are_suspended_unless_they_may_fall_back() {
    let mut bench = Bench::new(&configs(1..=2));
    bench.run(100 * S);
    assert_eq!(bench.flags(1..=2), "ss");
    assert_eq!(bench.group().reason, Some(Reason::NoPartner));
    let mut bench = Bench::new(&falling_back(&[2, 1, 1]));
    bench.run_to(5 * S - 1);
    assert_eq!(bench.flags(1..=3), "SsS");
    bench.run_to(5 * S);
    assert_eq!(bench.flags(1..=3), "SIS", "by rank, then number");
    assert_eq!(bench.status(2).member.reason, Some(Reason::Individual));
    assert!(bench.status(2).member.carries && bench.group().up);
}

#[test]
fn fallback_moves_at_once_and_comes_back_without_a_gap() {
    let mut bench = Bench::new(&falling_back(&[0, 1, 2]));
    bench.run_to(10 * S);
    assert_eq!(bench.flags(1..=3), "ISS");
    bench.link(1, false);
    assert_eq!(bench.flags(1..=3), "DIS");
    bench.link(1, true);
    bench.run(5 * S - 1);
    assert_eq!(bench.flags(1..=3), "SIS");
    bench.run(1);
    assert_eq!(bench.flags(1..=3), "ISS");
}

#[test]
fn fallback_ends_when_a_partner_speaks_on_any_member() {
    let mut bench = Bench::new(&falling_back(&[0, 1, 2]));
    bench.run_to(10 * S);
    bench.receive(2, bench.in_sync(2));
    assert_eq!(bench.flags(1..=3), "sss");
    assert_eq!(bench.status(1).member.reason, Some(Reason::NoPartner));
    bench.converge(1..=3);
    assert_eq!(bench.flags(1..=3), "PPP");
    // The partner is gone: after both timeouts, and the wait, one carries alone again.
    bench.run(8 * S - 1);
    assert_eq!(bench.flags(1..=3), "sSS");
    bench.run(1);
    assert_eq!(bench.flags(1..=3), "ISS");
    // Nobody may fall back any more.
    bench.configure(&configs(1..=3));
    assert_eq!(bench.flags(1..=3), "sss");
}

#[test]
fn settings_that_do_not_concern_the_partner_do_not_flap() {
    let mut bench = Bench::new(&configs(1..=3));
    bench.converge(1..=3);
    bench.changes.clear();
    bench.configure(&configs(1..=3));
    let changed: Vec<_> = (1..=3)
        .map(|nic| PortConfig {
            rate: LacpRate::Normal,
            active: false,
            rank: 9,
            suspend_individual: false,
            max_bundle: 3,
            min_links: 3,
            mac: MacAddr::new([2, 4, 4, 4, 4, nic]),
            ..config(nic)
        })
        .collect();
    bench.configure(&changed);
    let mut more = changed;
    more.push(config(9));
    bench.configure(&more);
    bench.run(S);
    assert_eq!(bench.flags(1..=3), "PPP");
    assert!(bench.changes.iter().all(|change| change.nic == 9), "{:?}", bench.changes);
    // The partner goes slow at once.
    bench.run(60 * S);
    assert_eq!(bench.flags(1..=3), "PPP");
    // The partner goes on slowly, since it has not heard that it is to be fast.
    bench.speak(1..=3, S);
    let start_ns = bench.now_ns;
    bench.configure(&configs(1..=3));
    bench.run_to(start_ns + 90 * S - 1);
    assert_eq!(bench.flags(1..=3), "PPP");
}

#[test]
fn a_new_rate_is_told_at_once() {
    let mut bench = Bench::new(&configs(1..=1));
    bench.converge(1..=1);
    bench.run(S + S / 2);
    bench.sent.clear();
    bench.configure(&[PortConfig { rate: LacpRate::Normal, ..config(1) }]);
    assert_eq!(bench.sent.len(), 1);
    assert!(!bench.sent[0].1.actor.state.has(PortState::SHORT_TIMEOUT));
}

#[test]
fn a_lower_max_bundle_or_higher_min_links_acts_at_once() {
    let mut bench = Bench::new(&configs(1..=3));
    bench.converge(1..=3);
    bench.configure(&two_of(&[32768; 3]));
    assert_eq!(bench.flags(1..=3), "PPH");
    let ports: Vec<_> = (1..=3).map(|nic| PortConfig { min_links: 4, ..config(nic) }).collect();
    bench.configure(&ports);
    assert_eq!(bench.flags(1..=3), "sss");
}

#[test]
fn a_port_that_is_removed_or_shut_down_says_goodbye() {
    let mut bench = Bench::new(&configs(1..=3));
    bench.converge(1..=3);
    bench.run(S + S / 2);
    bench.sent.clear();
    bench.changes.clear();
    bench.configure(&[config(1), PortConfig { admin_up: false, ..config(2) }]);
    let said: Vec<_> = bench.sent.iter().map(|(nic, pdu)| (*nic, pdu.actor.state)).collect();
    let goodbye = PortState::new(0x07);
    assert_eq!(said, [(2, goodbye), (3, goodbye)]);
    assert_eq!(bench.flags(1..=2), "PD");
    assert_eq!(bench.status(2).member.reason, Some(Reason::AdminDown));
    assert_eq!(bench.lacp.member(3), None);
    let gone = bench.changes.iter().find(|change| change.nic == 3).unwrap();
    assert_eq!((gone.before.unwrap().flag, gone.after), (Flag::Bundled, None));
    assert!(gone.is_of_traffic());
    // Shut down, it is silent.
    bench.sent.clear();
    bench.run(5 * S);
    assert!(bench.sent.iter().all(|(nic, _)| *nic == 1));
    bench.receive(2, bench.in_sync(2));
    assert_eq!(bench.status(2).receive, ReceiveState::PortDisabled);
}

#[test]
fn a_port_that_has_not_spoken_says_no_goodbye() {
    let mut bench = Bench::new(&[PortConfig { active: false, ..config(1) }, config(2)]);
    bench.link(2, false);
    bench.sent.clear();
    bench.configure(&[]);
    assert_eq!(bench.sent, []);
}

#[test]
fn a_port_that_moves_to_another_port_channel_starts_afresh() {
    let mut bench = Bench::new(&configs(1..=2));
    bench.converge(1..=2);
    bench.changes.clear();
    bench.configure(&[config(1), PortConfig { key: 2, ..config(2) }]);
    assert_eq!(bench.flags(1..=2), "Ps");
    assert_eq!((bench.status(2).key, bench.status(2).receive), (2, ReceiveState::Expired));
    assert_eq!(bench.changes.len(), 1, "the other one is not touched");
    assert_eq!((bench.changes[0].nic, bench.changes[0].key), (2, 2));
    bench.converge(1..=2);
    assert_eq!(bench.flags(1..=2), "PP");
    assert_eq!(bench.lacp.groups().map(|group| group.carrying).collect::<Vec<_>>(), [1, 1]);
}

#[test]
fn another_system_id_starts_all_ports_afresh() {
    let mut bench = Bench::new(&configs(1..=2));
    bench.converge(1..=2);
    bench.lacp.configure(bench.now_ns, system(5, 9), &configs(1..=2));
    bench.collect();
    assert_eq!(bench.flags(1..=2), "ss");
    assert_eq!(bench.status(1).actor.system, system(5, 9));
    bench.converge(1..=2);
    assert_eq!(bench.flags(1..=2), "PP");
}

#[test]
fn links_may_be_known_before_ports_and_odd_settings_are_taken() {
    let mut lacp = Lacp::new(system(1, 1));
    lacp.link(5, 1, true);
    assert_eq!(lacp.next_deadline_ns(), None);
    let odd = PortConfig { min_links: 0, max_bundle: 0, ..config(1) };
    lacp.configure(6, system(1, 1), &[odd, config(1), config(255), config(0)]);
    assert_eq!(lacp.take_transmits().map(|transmit| transmit.nic).collect::<Vec<_>>(), [1]);
    assert_eq!(lacp.port_statuses().map(|port| port.nic).collect::<Vec<_>>(), [0, 1, 255]);
    let news: Vec<_> = lacp.take_changes().collect();
    assert!(news.iter().take(3).all(|change| change.before.is_none()));
    assert_eq!(lacp.next_deadline_ns(), Some(6 + S));
    // Time that runs backwards counts as no time.
    lacp.link(5, 1, false);
    lacp.link(5, 1, true);
    assert_eq!(lacp.next_deadline_ns(), Some(6 + S));
    check(&lacp);
}
