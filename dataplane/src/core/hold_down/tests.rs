//! Links that come and go, and when they count.

use policy::ids::StableIds;
use policy::teaming::Channel;
use proptest::prelude::*;
use proto::Revision;

use super::*;
use crate::core::tests::lab::{Lab, access, nic, trunk};

/// A host whose links come and go, at these seconds.
struct Bench {
    snapshot: Snapshot,
    hold_down: HoldDown,
    carriers: BTreeMap<PortId, bool>,
}

impl Bench {
    fn new(lab: &Lab) -> Self {
        let mut ids = StableIds::default();
        let snapshot = Snapshot::build(&lab.intent, Revision::new(1), &mut ids).unwrap();
        Self { snapshot, hold_down: HoldDown::default(), carriers: BTreeMap::new() }
    }

    /// The same with every link up from the start.
    fn up(lab: &Lab) -> Self {
        let mut bench = Self::new(lab);
        for n in bench.nics() {
            bench.carriers.insert(bench.id(n), true);
        }
        assert_eq!(bench.at(0), bench.nics());
        bench
    }

    fn nics(&self) -> Vec<u8> {
        let nic = |name| match name {
            InterfaceName::Ethernet { nic, .. } => Some(nic),
            InterfaceName::Vethernet(_) | InterfaceName::PortChannel(_) => None,
        };
        self.snapshot.ports().filter_map(|port| nic(port.name)).collect()
    }

    fn id(&self, n: u8) -> PortId {
        self.snapshot.ports().find(|port| port.name == nic(n)).unwrap().id
    }

    /// The NICs that may be used at this second.
    fn at(&mut self, now_s: u64) -> Vec<u8> {
        let carriers = self.carriers.iter().map(|(id, up)| (*id, *up));
        let usable = self.hold_down.update(now_s * NS_PER_S, &self.snapshot, carriers);
        self.nics().into_iter().filter(|n| usable.contains(self.id(*n))).collect()
    }

    fn set(&mut self, now_s: u64, n: u8, up: bool) -> Vec<u8> {
        self.carriers.insert(self.id(n), up);
        self.at(now_s)
    }

    fn deadline_s(&self) -> Option<u64> {
        self.hold_down.next_deadline_ns().map(|ns| ns / NS_PER_S)
    }
}

fn host(nics: u8) -> Lab {
    let lab = (1..=nics).fold(Lab::default(), |lab, n| lab.nic(n, trunk(1, &[10, 20])));
    lab.vm(1, access(10))
}

fn grouped(nics: u8, channel: Channel) -> Lab {
    let member = |lab: Lab, n| lab.member(n, trunk(1, &[10]), channel);
    (1..=nics).fold(Lab::default(), member).vm(1, access(10))
}

#[test]
fn a_link_that_comes_back_waits_for_its_delay() {
    let mut bench = Bench::up(&host(2));
    assert_eq!(bench.set(10, 2, false), [1]);
    assert_eq!(bench.deadline_s(), None);
    assert_eq!(bench.set(20, 2, true), [1]);
    assert_eq!((bench.deadline_s(), bench.at(24)), (Some(25), vec![1]));
    assert_eq!(bench.hold_down.waits_until_ns(nic(2)), Some(25 * NS_PER_S));
    assert_eq!(bench.hold_down.waits_until_ns(nic(1)), None);
    assert_eq!(bench.at(25), [1, 2]);
    assert_eq!(bench.deadline_s(), None);
}

#[test]
fn a_link_that_flaps_starts_to_wait_anew() {
    let mut bench = Bench::up(&host(2));
    bench.set(10, 2, false);
    bench.set(20, 2, true);
    assert_eq!(bench.set(23, 2, false), [1]);
    assert_eq!(bench.deadline_s(), None);
    assert_eq!(bench.set(24, 2, true), [1]);
    assert_eq!((bench.at(28), bench.at(29)), (vec![1], vec![1, 2]));
}

#[test]
fn what_is_seen_first_counts_at_once() {
    let mut bench = Bench::new(&host(3));
    assert_eq!(bench.at(0), [] as [u8; 0], "no device is open yet");
    assert_eq!(bench.set(1, 1, true), [1]);
    assert_eq!(bench.set(2, 2, true), [1, 2], "its link was there before the daemon");
    assert_eq!(bench.set(3, 3, false), [1, 2]);
    assert_eq!(bench.set(4, 3, true), [1, 2], "this one has just come up");
    assert_eq!(bench.at(9), [1, 2, 3]);
}

#[test]
fn a_device_that_was_gone_has_no_link_and_waits() {
    let mut bench = Bench::up(&host(2));
    bench.carriers.remove(&bench.id(2));
    assert_eq!(bench.at(10), [1]);
    assert_eq!(bench.set(20, 2, true), [1]);
    assert_eq!(bench.at(25), [1, 2]);
}

#[test]
fn nobody_waits_when_there_is_no_other() {
    let mut bench = Bench::up(&host(2));
    bench.set(10, 1, false);
    bench.set(11, 2, false);
    assert_eq!(bench.set(20, 2, true), [2]);
    assert_eq!(bench.set(21, 1, true), [2], "now there is one");
    assert_eq!(bench.set(22, 2, false), [1], "the waiting one is needed");
    assert_eq!(bench.deadline_s(), None);
}

#[test]
fn of_several_that_wait_the_one_with_the_oldest_link_is_taken() {
    let mut bench = Bench::up(&host(3));
    bench.set(10, 2, false);
    bench.set(10, 3, false);
    bench.set(20, 3, true);
    bench.set(21, 2, true);
    assert_eq!(bench.set(22, 1, false), [3]);
    assert_eq!(bench.at(26), [2, 3]);
}

#[test]
fn an_uplink_with_a_vlan_that_nobody_else_carries_does_not_wait() {
    let lab = |members: &[u16]| {
        let lab = Lab::default().nic(1, trunk(1, &[10])).nic(2, trunk(1, &[10, 20]));
        (1..).zip(members).fold(lab, |lab, (n, vlan)| lab.vm(n, access(*vlan)))
    };
    let mut bench = Bench::up(&lab(&[10]));
    bench.set(10, 2, false);
    assert_eq!(bench.set(20, 2, true), [1], "nobody here uses VLAN 20");
    let mut bench = Bench::up(&lab(&[10, 20]));
    bench.set(10, 2, false);
    assert_eq!(bench.set(20, 2, true), [1, 2]);
}

#[test]
fn members_by_lacp_do_not_wait() {
    for mode in [ChannelMode::Active, ChannelMode::Passive] {
        let mut bench = Bench::up(&grouped(2, Channel::new(1, mode)));
        bench.set(10, 2, false);
        assert_eq!(bench.set(20, 2, true), [1, 2]);
    }
}

#[test]
fn a_static_port_channel_gets_the_links_that_it_needs_at_least_at_once() {
    let channel = Channel { min_links: 2, ..Channel::new(1, ChannelMode::On) };
    let mut bench = Bench::up(&grouped(3, channel));
    bench.set(10, 2, false);
    assert_eq!(bench.set(10, 3, false), [1]);
    assert_eq!(bench.set(20, 2, true), [1, 2]);
    assert_eq!(bench.set(21, 3, true), [1, 2]);
}

#[test]
fn a_standby_takes_over_at_once_and_the_active_one_waits_to_come_back() {
    let mut bench = Bench::up(&grouped(2, Channel::new(1, ChannelMode::ActiveStandby)));
    assert_eq!(bench.set(10, 1, false), [2]);
    assert_eq!(bench.set(20, 1, true), [2]);
    assert_eq!(bench.at(25), [1, 2]);
}

#[test]
fn the_delay_is_the_one_that_is_configured_now() {
    let delay = |lab: Lab, s| lab.with_nic(2, |uplink| uplink.link_up_delay_s = s);
    let mut bench = Bench::up(&delay(host(2), 0));
    bench.set(10, 2, false);
    assert_eq!(bench.set(11, 2, true), [1, 2], "no delay");
    let mut bench = Bench::up(&delay(host(2), 300));
    bench.set(10, 2, false);
    bench.set(20, 2, true);
    assert_eq!(bench.deadline_s(), Some(320));
    bench.snapshot = Bench::new(&delay(host(2), 60)).snapshot;
    assert_eq!((bench.at(79), bench.deadline_s()), (vec![1], Some(80)));
    assert_eq!(bench.at(80), [1, 2]);
}

#[test]
fn an_uplink_that_is_shut_is_no_other() {
    let mut bench = Bench::up(&host(2).with(nic(1), |port| port.admin_up = false));
    bench.set(10, 2, false);
    assert_eq!(bench.set(20, 2, true), [1, 2]);
}

#[test]
fn an_uplink_that_is_configured_anew_is_seen_anew() {
    let mut bench = Bench::up(&host(2));
    bench.snapshot = Bench::new(&host(1)).snapshot;
    bench.carriers.clear();
    assert_eq!(bench.set(10, 1, true), [1]);
    bench.snapshot = Bench::new(&host(2)).snapshot;
    assert_eq!(bench.set(20, 2, true), [1, 2]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    /// Whatever links do: none is usable without carrier; one that is usable stays so while it has
    /// carrier; there is one whenever one has carrier; each is usable when its delay is over; and
    /// the deadline is when the outcome next changes by itself.
    #[test]
    fn invariants_hold(
        steps in prop::collection::vec((1..5u8, any::<bool>(), 0..8u64), 1..40),
    ) {
        let mut bench = Bench::new(&host(4));
        let (mut now_s, mut before) = (0, Vec::new());
        let mut since = BTreeMap::new();
        for (n, up, pause_s) in steps {
            now_s += pause_s;
            let was_up = bench.carriers.get(&bench.id(n)).copied().unwrap_or(false);
            if up != was_up {
                since.insert(n, now_s);
            }
            let usable = bench.set(now_s, n, up);
            let has_carrier = |n: &u8| bench.carriers.get(&bench.id(*n)) == Some(&true);
            prop_assert!(usable.iter().all(has_carrier));
            prop_assert!(before.iter().filter(|n| has_carrier(n)).all(|n| usable.contains(n)));
            prop_assert_eq!(usable.is_empty(), !(1..5).any(|n| has_carrier(&n)));
            for n in (1..5).filter(has_carrier) {
                prop_assert!(usable.contains(&n) || now_s < since[&n] + 5);
            }
            before = usable;
            if let Some(deadline_s) = bench.deadline_s() {
                prop_assert!(deadline_s > now_s);
                let mut later = bench.hold_down.clone();
                let carriers = || bench.carriers.iter().map(|(id, up)| (*id, *up));
                let mut at = |s| later.update(s * NS_PER_S, &bench.snapshot, carriers());
                prop_assert_eq!(at(deadline_s - 1).iter().count(), before.len());
                prop_assert!(at(deadline_s).iter().count() > before.len());
            }
        }
    }
}
