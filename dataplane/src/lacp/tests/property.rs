//! Whatever comes: the machines never leave what the standard allows ([`check`] looks after every
//! call), and two of them agree as soon as the cables are sane.

use proptest::collection::vec;
use proptest::prelude::*;

use super::lab::{Lab, Side};
use super::*;

const NICS: std::ops::RangeInclusive<u8> = 1..=4;

fn any_config(nic: u8, key: impl Strategy<Value = u16>) -> impl Strategy<Value = PortConfig> {
    let numbers = (1_u16..4, 0_u8..4, 0_u8..5, 0_u8..3);
    (any::<[bool; 3]>(), prop::bool::weighted(0.9), key, numbers).prop_map(
        move |([active, fast, suspend_individual], admin_up, key, numbers)| {
            let (port_priority, min_links, max_bundle, rank) = numbers;
            PortConfig {
                key,
                admin_up,
                active,
                rate: if fast { LacpRate::Fast } else { LacpRate::Normal },
                port_priority,
                min_links,
                max_bundle,
                suspend_individual,
                rank,
                ..config(nic)
            }
        },
    )
}

fn any_configs() -> impl Strategy<Value = Vec<PortConfig>> {
    vec(NICS.prop_flat_map(|nic| any_config(nic, 1_u16..3)), 0..6)
}

/// What may happen to one side.
#[derive(Clone, Debug)]
enum Event {
    Link(u8, bool),
    Configure(Vec<PortConfig>),
    /// Time passes, and the caller polls this often.
    Time(u64, u8),
    /// A partner speaks: out of a few, and with or without knowing this side.
    Lacpdu {
        nic: u8,
        actor: PortInfo,
        knows: bool,
        partner: PortInfo,
    },
    /// A good LACPDU in which octets are changed.
    Spoilt {
        nic: u8,
        at: usize,
        octets: Vec<u8>,
    },
    Bytes(u8, Vec<u8>),
}

fn any_info() -> impl Strategy<Value = PortInfo> {
    // Few values, so that they meet; among them this side's own system.
    let state = prop_oneof![Just(0x3d), Just(0x3f), Just(0x05), any::<u8>()];
    let numbers = (0_u16..2, 1_u8..4, 1_u16..3, 1_u16..3, 1_u16..4);
    (numbers, state).prop_map(|((priority, last, key, port_priority, port), state)| PortInfo {
        system: system(priority * 32768, last),
        key,
        port_priority,
        port,
        state: PortState::new(state),
    })
}

fn any_event() -> impl Strategy<Value = Event> {
    let spoilt = (NICS, 14_usize..130, vec(any::<u8>(), 1..4));
    prop_oneof![
        3 => (NICS, any::<bool>()).prop_map(|(nic, up)| Event::Link(nic, up)),
        1 => any_configs().prop_map(Event::Configure),
        6 => (0..4 * S, 0_u8..4).prop_map(|(time_ns, polls)| Event::Time(time_ns, polls)),
        1 => (0..200 * S, 0_u8..4).prop_map(|(time_ns, polls)| Event::Time(time_ns, polls)),
        9 => (NICS, any_info(), any::<bool>(), any_info()).prop_map(|(nic, actor, knows, partner)| {
            Event::Lacpdu { nic, actor, knows, partner }
        }),
        2 => spoilt.prop_map(|(nic, at, octets)| Event::Spoilt { nic, at, octets }),
        1 => (any::<u8>(), vec(any::<u8>(), 0..200)).prop_map(|(nic, b)| Event::Bytes(nic, b)),
    ]
}

impl Bench {
    /// What this side sends as it is shut down is not held against its rate.
    fn meet(&mut self, event: Event) {
        match event {
            Event::Link(nic, up) => self.link(nic, up),
            Event::Configure(ports) => {
                self.rate = RateCheck::default();
                self.configure(&ports);
                self.rate = RateCheck::default();
            }
            Event::Time(time_ns, 0) => self.run(time_ns),
            Event::Time(time_ns, polls) => {
                for _ in 0..polls {
                    self.now_ns += time_ns / u64::from(polls);
                    self.lacp.poll(self.now_ns);
                    self.collect();
                    let next_ns = self.lacp.next_deadline_ns();
                    assert!(next_ns.is_none_or(|next_ns| next_ns > self.now_ns));
                }
            }
            Event::Lacpdu { nic, actor, knows, partner } => {
                let known = self.lacp.port_statuses().find(|port| port.nic == nic);
                let partner = known.filter(|_| knows).map_or(partner, |port| port.actor);
                self.receive(nic, Lacpdu { actor, partner, collector_max_delay: 0 });
            }
            Event::Spoilt { nic, at, octets } => {
                let Some(port) = self.lacp.port_statuses().find(|port| port.nic == nic) else {
                    return;
                };
                let (actor, partner) = (partner(nic), port.actor);
                let pdu = Lacpdu { actor, partner, collector_max_delay: 0 };
                let mut frame = pdu.to_frame(config(nic).mac).to_vec();
                for (to, from) in frame.iter_mut().skip(at).zip(octets) {
                    *to = from;
                }
                self.lacp.receive(self.now_ns, nic, &frame);
                self.collect();
            }
            Event::Bytes(nic, bytes) => {
                self.lacp.receive(self.now_ns, nic, &bytes);
                self.collect();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    /// And the changes that are told lead from the first state to the last.
    #[test]
    fn no_events_lead_out_of_what_the_standard_allows(
        ports in any_configs(),
        events in vec(any_event(), 1..120),
    ) {
        let mut bench = Bench::new(&ports);
        for event in events {
            bench.meet(event);
        }
        let mut told = std::collections::BTreeMap::new();
        for change in &bench.changes {
            prop_assert_eq!(told.get(&change.nic).copied(), change.before, "{:?}", change);
            match change.after {
                Some(member) => told.insert(change.nic, member),
                None => told.remove(&change.nic),
            };
        }
        let is: std::collections::BTreeMap<_, _> =
            bench.lacp.port_statuses().map(|port| (port.nic, port.member)).collect();
        prop_assert_eq!(told, is);
    }
}

/// One side of a pair: settings that are the same for all its members, and priorities.
#[derive(Clone, Debug)]
struct Plan {
    active: bool,
    fast: bool,
    min_links: u8,
    max_bundle: u8,
    suspend_individual: bool,
    priorities: Vec<u16>,
    ranks: Vec<u8>,
    system_priority: u16,
}

impl Plan {
    fn ports(&self) -> Vec<PortConfig> {
        NICS.zip(self.priorities.iter().zip(&self.ranks))
            .map(|(nic, (port_priority, rank))| PortConfig {
                active: self.active,
                rate: if self.fast { LacpRate::Fast } else { LacpRate::Normal },
                port_priority: *port_priority,
                min_links: self.min_links,
                max_bundle: self.max_bundle,
                suspend_individual: self.suspend_individual,
                rank: *rank,
                ..config(nic)
            })
            .collect()
    }

    /// Which of these members carry when no partner speaks.
    fn alone(&self, up: &[u8]) -> Vec<u8> {
        let first = up.iter().copied().min_by_key(|nic| (self.ranks[usize::from(*nic) - 1], *nic));
        first.filter(|_| !self.suspend_individual).into_iter().collect()
    }
}

fn any_plan() -> impl Strategy<Value = Plan> {
    let numbers = (1_u8..4, 1_u8..5, 1_u16..3);
    let lists = (vec(1_u16..4, 4), vec(0_u8..3, 4));
    (any::<[bool; 3]>(), numbers, lists).prop_map(
        |([active, fast, suspend_individual], numbers, (priorities, ranks))| Plan {
            active,
            fast,
            min_links: numbers.0,
            max_bundle: numbers.1,
            suspend_individual,
            priorities,
            ranks,
            system_priority: numbers.2,
        },
    )
}

/// Which members of either side carry in the end, by the numbers of A and of B: the first ones by
/// the order of the lower system, as many as both want, if there are as many as both need.
fn expected(plans: &[Plan; 2], cables: &[(u8, u8)]) -> [Vec<u8>; 2] {
    let [a, b] = plans;
    if !a.active && !b.active {
        let of_a: Vec<u8> = cables.iter().map(|cable| cable.0).collect();
        let of_b: Vec<u8> = cables.iter().map(|cable| cable.1).collect();
        return [a.alone(&of_a), b.alone(&of_b)];
    }
    let order_of = |plan: &Plan, nic: u8| (plan.priorities[usize::from(nic) - 1], nic);
    let mut chosen = cables.to_vec();
    // With the same priority, A's address is the lower one.
    chosen.sort_by_key(|cable| {
        if a.system_priority <= b.system_priority {
            order_of(a, cable.0)
        } else {
            order_of(b, cable.1)
        }
    });
    let min_links = usize::from(a.min_links.max(b.min_links));
    chosen.truncate(usize::from(a.max_bundle.min(b.max_bundle)));
    let carried =
        |plan: &Plan| cables.len() >= min_links && chosen.len() >= usize::from(plan.min_links);
    let of = |carries: bool, nics: Vec<u8>| {
        let mut nics = if carries { nics } else { Vec::new() };
        nics.sort_unstable();
        nics
    };
    [
        of(carried(a), chosen.iter().map(|cable| cable.0).collect()),
        of(carried(b), chosen.iter().map(|cable| cable.1).collect()),
    ]
}

/// What goes wrong before the cables are sane.
#[derive(Clone, Debug)]
enum Trouble {
    Link(u8, bool),
    Lose(u8, bool, u16),
    Delay(u8, u64),
    Restart(bool),
    Time(u64),
}

fn any_trouble() -> impl Strategy<Value = Trouble> {
    prop_oneof![
        3 => (NICS, any::<bool>()).prop_map(|(nic, up)| Trouble::Link(nic, up)),
        2 => (NICS, any::<bool>(), prop_oneof![Just(0), Just(256), 1_u16..256])
            .prop_map(|(nic, from_a, of_256)| Trouble::Lose(nic, from_a, of_256)),
        1 => (NICS, 0..2 * S).prop_map(|(nic, delay_ns)| Trouble::Delay(nic, delay_ns)),
        1 => any::<bool>().prop_map(Trouble::Restart),
        4 => (0..10 * S).prop_map(Trouble::Time),
        1 => (0..150 * S).prop_map(Trouble::Time),
    ]
}

fn carrying(lab: &Lab, side: Side) -> Vec<u8> {
    let mut nics: Vec<u8> = lab
        .side(side)
        .port_statuses()
        .filter(|port| port.member.carries)
        .map(|port| port.nic)
        .collect();
    nics.sort_unstable();
    nics
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn two_sides_agree_when_the_cables_are_sane(
        plans in [any_plan(), any_plan()],
        crossed in Just(vec![1_u8, 2, 3, 4]).prop_shuffle(),
        troubles in vec(any_trouble(), 0..40),
        up in vec(prop::bool::weighted(0.8), 4),
        delay_ns in prop_oneof![Just(0), Just(MS), Just(300 * MS)],
    ) {
        let cables: Vec<(u8, u8)> = NICS.zip(crossed).collect();
        let priorities = [0, 1].map(|side: usize| plans[side].system_priority);
        let mut lab = Lab::wired([system(priorities[0], 1), system(priorities[1], 2)], &cables);
        lab.configure(Side::A, &plans[0].ports());
        lab.configure(Side::B, &plans[1].ports());
        for trouble in troubles {
            match trouble {
                Trouble::Link(nic, up) => lab.set_link(nic, up),
                Trouble::Lose(nic, true, of_256) => lab.lose(nic, Side::A, of_256),
                Trouble::Lose(nic, false, of_256) => lab.lose(nic, Side::B, of_256),
                Trouble::Delay(nic, delay_ns) => {
                    lab.cables[usize::from(nic) - 1].delay_ns = delay_ns;
                }
                Trouble::Restart(true) => lab.restart(Side::A, &plans[0].ports()),
                Trouble::Restart(false) => lab.restart(Side::B, &plans[1].ports()),
                Trouble::Time(time_ns) => lab.run(time_ns),
            }
        }
        for (nic, up) in NICS.zip(&up) {
            lab.lose(nic, Side::A, 0);
            lab.lose(nic, Side::B, 0);
            lab.cables[usize::from(nic) - 1].delay_ns = delay_ns;
            lab.set_link(nic, *up);
        }
        // Twice the long timeout and some.
        lab.run(200 * S);
        let sane: Vec<(u8, u8)> =
            cables.iter().zip(&up).filter(|(_, up)| **up).map(|(cable, _)| *cable).collect();
        let expected = expected(&plans, &sane);
        let carrying = [Side::A, Side::B].map(|side| carrying(&lab, side));
        prop_assert_eq!(carrying, expected, "{}", lab.flags());
        lab.changes.iter_mut().for_each(Vec::clear);
        lab.run(200 * S);
        prop_assert!(lab.changes.iter().all(Vec::is_empty), "{:?}", lab.changes);
    }
}
