//! Pins and designations: where they go, that they stay, and that they come home.

mod channels;
mod static_pins;

use policy::Snapshot;
use policy::ids::StableIds;
use proptest::prelude::*;
use proto::{InterfaceName, PortId, Revision};

use super::*;
use crate::core::tests::lab::{Lab, access, nic, trunk, vlan, vm};

/// A host whose links come and go.
struct Bench {
    snapshot: Snapshot,
    ids: StableIds,
    links: Links,
    team: TeamState,
    now_ns: u64,
}

impl Bench {
    fn new(lab: &Lab) -> Self {
        let mut ids = StableIds::default();
        let snapshot = Snapshot::build(&lab.intent, Revision::new(1), &mut ids).unwrap();
        let links: Links = snapshot.ports().map(|port| port.id).collect();
        let (team, _) = compute(&snapshot, &links, &TeamState::default(), 0);
        Self { snapshot, ids, links, team, now_ns: 1 }
    }

    fn id(&self, name: InterfaceName) -> PortId {
        self.snapshot.ports().find(|port| port.name == name).unwrap().id
    }

    fn name(&self, id: PortId) -> InterfaceName {
        self.snapshot.port(id).unwrap().name
    }

    fn apply(&mut self, lab: &Lab) -> Vec<Repin> {
        self.snapshot = Snapshot::build(&lab.intent, Revision::new(2), &mut self.ids).unwrap();
        self.links = self.snapshot.ports().map(|port| port.id).collect();
        self.compute()
    }

    fn set(&mut self, name: InterfaceName, up: bool) -> Vec<Repin> {
        let id = self.id(name);
        if up {
            self.links.up.insert(id)
        } else {
            self.links.up.remove(id)
        };
        self.compute()
    }

    fn apply_links(&mut self) {
        let repins = self.compute();
        assert_eq!(repins, [], "nothing has changed");
    }

    fn compute(&mut self) -> Vec<Repin> {
        let (team, repins) = compute(&self.snapshot, &self.links, &self.team, self.now_ns);
        self.team = team;
        repins
    }

    /// The uplink of VM `n`.
    fn pin(&self, n: u32) -> Option<InterfaceName> {
        self.team.uplink(self.id(vm(n)))
    }

    /// Where VM `n` belongs.
    fn preferred(&self, n: u32) -> Option<InterfaceName> {
        self.team.preferred(self.id(vm(n)))
    }

    fn reason(&self, n: u32) -> Option<PinReason> {
        self.team.reason(self.id(vm(n)))
    }

    fn pins(&self, vms: u32) -> Vec<Option<InterfaceName>> {
        (1..=vms).map(|n| self.pin(n)).collect()
    }
}

fn host(nics: u8, vms: u32) -> Lab {
    let lab = (1..=nics).fold(Lab::default(), |lab, n| lab.nic(n, trunk(1, &[10, 20])));
    (1..=vms).fold(lab, |lab, n| lab.vm(n, access(10)))
}

#[test]
fn pins_spread_within_one() {
    for (nics, vms) in [(1, 5), (2, 7), (3, 10), (4, 3)] {
        let bench = Bench::new(&host(nics, vms));
        let pins = bench.pins(vms);
        let loads: Vec<_> =
            (1..=nics).map(|n| pins.iter().filter(|pin| **pin == Some(nic(n))).count()).collect();
        assert!(loads.iter().max().unwrap() - loads.iter().min().unwrap() <= 1, "{loads:?}");
        assert_eq!(loads.iter().sum::<usize>(), vms as usize);
    }
}

#[test]
fn the_loss_of_a_member_moves_its_own_pins_only_and_gives_them_grace() {
    let mut bench = Bench::new(&host(3, 9));
    bench.now_ns = 1_000;
    let before = bench.pins(9);
    let repins = bench.set(nic(2), false);
    for (n, before) in (1..=9).zip(&before) {
        let moved = *before == Some(nic(2));
        assert_eq!(bench.pin(n) != *before, moved);
        assert_eq!(repins.iter().any(|repin| repin.port == bench.id(vm(n))), moved);
        let grace_until_ns = bench.team.pin(bench.id(vm(n))).grace_until_ns;
        assert_eq!(grace_until_ns, if moved { 1_000 + REPIN_GRACE_NS } else { 0 });
    }
    assert!(repins.iter().all(|r| r.from == Some(bench.id(nic(2))) && r.to.is_some()));
    let left = bench.pins(9).iter().filter(|pin| **pin == Some(nic(1))).count();
    assert!((4..=5).contains(&left), "the moved pins spread over the rest");
}

#[test]
fn pins_go_home_when_their_uplink_is_up_again_and_have_grace_then_too() {
    let mut bench = Bench::new(&host(3, 9));
    let before = bench.pins(9);
    let moved = bench.set(nic(2), false);
    assert!(moved.iter().all(|r| r.cause == Cause::Failover), "{moved:?}");
    bench.now_ns = 7_000;
    let back = bench.set(nic(2), true);
    assert_eq!(bench.pins(9), before);
    assert_eq!(back.len(), 3);
    for repin in back {
        assert_eq!(repin.cause, Cause::FailBack);
        assert_eq!((repin.to, repin.reason), (Some(bench.id(nic(2))), Some(PinReason::Automatic)));
        let grace_until_ns = bench.team.pin(repin.port).grace_until_ns;
        assert_eq!(grace_until_ns, 7_000 + REPIN_GRACE_NS);
    }
}

#[test]
fn home_is_remembered_over_other_moves_and_other_snapshots() {
    let mut bench = Bench::new(&host(3, 3));
    assert_eq!(bench.pin(2), Some(nic(2)));
    bench.set(nic(2), false);
    let refuge = bench.pin(2).unwrap();
    let other = if refuge == nic(1) { nic(3) } else { nic(1) };
    bench.set(refuge, false);
    assert_eq!(bench.pin(2), Some(other));
    let down = bench.links.clone();
    let richer = host(3, 5);
    bench.snapshot = Snapshot::build(&richer.intent, Revision::new(2), &mut bench.ids).unwrap();
    bench.links = down;
    bench.compute();
    bench.set(refuge, true);
    assert_eq!(bench.pin(2), Some(other), "that one is no home of it");
    assert_eq!(bench.preferred(2), Some(nic(2)));
    bench.set(nic(2), true);
    assert_eq!(bench.pin(2), Some(nic(2)));
}

#[test]
fn what_is_new_while_an_uplink_is_down_belongs_there_too() {
    let mut bench = Bench::new(&host(2, 0));
    bench.set(nic(2), false);
    let lab = host(2, 4);
    bench.snapshot = Snapshot::build(&lab.intent, Revision::new(2), &mut bench.ids).unwrap();
    bench.compute();
    assert_eq!(bench.pins(4), [Some(nic(1)); 4]);
    assert_eq!(bench.set(nic(2), true).len(), 2);
    assert_eq!(bench.pins(4).iter().filter(|pin| **pin == Some(nic(2))).count(), 2);
}

#[test]
fn a_home_that_is_no_longer_configured_is_forgotten() {
    let mut bench = Bench::new(&host(2, 2));
    assert_eq!(bench.pins(2), [Some(nic(1)), Some(nic(2))]);
    bench.apply(&host(1, 2));
    assert_eq!((bench.pin(2), bench.preferred(2)), (Some(nic(1)), Some(nic(1))));
    assert_eq!(bench.apply(&host(2, 2)), [], "it stays where it belongs now");
}

#[test]
fn a_home_without_the_vlan_is_forgotten() {
    let lab = |second: &[u16]| {
        Lab::default()
            .nic(1, trunk(1, &[10]))
            .nic(2, trunk(1, second))
            .vm(1, access(10))
            .vm(2, access(10))
    };
    let mut bench = Bench::new(&lab(&[10]));
    assert_eq!(bench.pin(2), Some(nic(2)));
    let repins = bench.apply(&lab(&[20]));
    assert_eq!(repins.iter().map(|r| r.cause).collect::<Vec<_>>(), [Cause::Change]);
    assert_eq!((bench.pin(2), bench.preferred(2)), (Some(nic(1)), Some(nic(1))));
}

#[test]
fn grace_outlives_computations_that_do_not_move_the_pin() {
    let mut bench = Bench::new(&host(2, 1));
    bench.set(nic(1), false);
    let port = bench.id(vm(1));
    let grace = bench.team.pin(port).grace_until_ns;
    assert!(grace > 0);
    bench.now_ns += 10;
    bench.apply_links();
    assert_eq!(bench.team.pin(port).grace_until_ns, grace);
}

#[test]
fn a_new_port_is_told_and_has_no_grace() {
    let mut bench = Bench::new(&host(2, 1));
    let repins = bench.apply(&host(2, 2));
    let port = bench.id(vm(2));
    let to = Some(bench.id(nic(2)));
    let (reason, cause) = (Some(PinReason::Automatic), Cause::New);
    assert_eq!(repins, [Repin { port, from: None, to, reason, cause }]);
    assert_eq!(bench.team.pin(port).grace_until_ns, 0);
}

#[test]
fn without_links_there_are_no_pins_and_they_come_back_with_the_first() {
    let mut bench = Bench::new(&host(1, 2));
    assert_eq!(bench.set(nic(1), false).len(), 2);
    assert_eq!((bench.pins(2), bench.team.designated(vlan(10))), (vec![None, None], None));
    assert_eq!(bench.set(nic(1), true).len(), 2);
    assert_eq!(bench.pins(2), [Some(nic(1)), Some(nic(1))]);
}

#[test]
fn a_trunk_goes_where_most_of_its_vlans_are() {
    let lab = Lab::default()
        .nic(1, trunk(1, &[10]))
        .nic(2, trunk(1, &[10, 20]))
        .vm(1, trunk(1, &[10, 20, 30]))
        .vm(2, access(30));
    let mut bench = Bench::new(&lab);
    assert_eq!(bench.pins(2), [Some(nic(2)), None]);
    bench.set(nic(2), false);
    assert_eq!(bench.pin(1), Some(nic(1)));
    bench.set(nic(2), true);
    assert_eq!(bench.pin(1), Some(nic(2)), "a better fit is worth a move");
}

#[test]
fn a_member_that_is_administratively_down_is_not_used() {
    let bench = Bench::new(&host(2, 2).with(nic(1), |port| port.admin_up = false));
    assert_eq!(bench.pins(2), [Some(nic(2)); 2]);
    assert_eq!(bench.team.group_of(bench.id(nic(1))), None);
}

/// Which NIC is D(v).
fn designated(bench: &Bench, n: u16) -> Option<InterfaceName> {
    bench.team.designated_member(vlan(n)).map(|id| bench.name(id))
}

#[test]
fn designation_spreads_by_vlan_number() {
    let vlans: Vec<u16> = (1..=400).collect();
    let lab = (1..=4).fold(Lab::default(), |lab, n| lab.nic(n, trunk(1, &vlans)));
    let mut bench = Bench::new(&lab);
    let share =
        |bench: &Bench, n| vlans.iter().filter(|v| designated(bench, **v) == Some(nic(n))).count();
    for n in 1..=4 {
        assert_eq!(share(&bench, n), 100);
    }
    assert_eq!(designated(&bench, 401), None, "nobody carries it");
    bench.set(nic(2), false);
    bench.set(nic(3), false);
    for n in [1, 4] {
        let share = share(&bench, n);
        assert!((195..=205).contains(&share), "what the lost ones had is spread as well: {share}");
    }
}

#[test]
fn designation_moves_with_the_loss_of_its_uplink_alone_and_comes_back() {
    let vlans: Vec<u16> = (1..=90).collect();
    let lab = (1..=3).fold(Lab::default(), |lab, n| lab.nic(n, trunk(1, &vlans)));
    let mut bench = Bench::new(&lab);
    let all = |bench: &Bench| vlans.iter().map(|v| designated(bench, *v)).collect::<Vec<_>>();
    let home = all(&bench);
    bench.set(nic(2), false);
    let without = all(&bench);
    for (home, now) in home.iter().zip(&without) {
        assert!(now.is_some() && *now != Some(nic(2)));
        assert!(*home == Some(nic(2)) || now == home, "that one stands still");
    }
    bench.set(nic(1), false);
    assert_eq!(all(&bench), vec![Some(nic(3)); 90]);
    bench.set(nic(2), true);
    bench.set(nic(1), true);
    assert_eq!(all(&bench), home);
}

#[test]
fn a_slot_that_changes_hands_is_a_new_port() {
    let mut bench = Bench::new(&host(2, 1));
    let (old, before) = (bench.id(vm(1)), bench.team.pinned_member(bench.id(vm(1))));
    bench.ids = StableIds::default();
    let repins = bench.apply(&host(2, 0).vm(9, access(10)));
    assert_eq!(bench.id(vm(9)), old, "the new port has the slot of the old one");
    let (reason, cause) = (Some(PinReason::Automatic), Cause::New);
    assert_eq!(repins, [Repin { port: old, from: None, to: before, reason, cause }]);
}

#[test]
fn an_uplink_in_the_slot_of_another_is_not_the_same_uplink() {
    let mut bench = Bench::new(&host(1, 1).vm(2, access(20)));
    let slot = bench.id(nic(1));
    bench.ids = StableIds::default();
    let other = Lab::default().nic(7, trunk(1, &[10, 20])).vm(1, access(10)).vm(2, access(20));
    let repins = bench.apply(&other);
    assert_eq!(bench.id(nic(7)), slot, "the new uplink has the slot of the old one");
    assert_eq!(repins.len(), 2, "both ports are announced by the new uplink");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever links do: nobody moves who is where it belongs, or whose home is still down; every
    /// pin is on a member that is up; all are at home when all links are up; and the same input
    /// gives the same outcome.
    #[test]
    fn only_need_moves_a_pin(flaps in prop::collection::vec((1..5u8, any::<bool>()), 1..20)) {
        let mut bench = Bench::new(&host(4, 9));
        let homes = bench.pins(9);
        for (n, up) in flaps {
            let before = bench.pins(9);
            let team = bench.team.clone();
            let repins = bench.set(nic(n), up);
            let is_up = |name| bench.links.up.contains(bench.id(name));
            for (n, (before, home)) in (1..=9).zip(before.into_iter().zip(&homes)) {
                let goes_home = home.is_some_and(is_up);
                let expected = if goes_home { *home } else { before.filter(|name| is_up(*name)) };
                prop_assert!(expected.is_none() || bench.pin(n) == expected);
                prop_assert_eq!(bench.preferred(n), *home);
                prop_assert!(bench.pin(n).is_none_or(is_up));
                prop_assert_eq!(bench.pin(n).is_some(), (1..=4).any(|n| is_up(nic(n))));
            }
            let (again, repins_again) = compute(&bench.snapshot, &bench.links, &team, bench.now_ns);
            prop_assert_eq!(repins, repins_again);
            prop_assert_eq!(again.pins, bench.team.pins.clone());
        }
        (1..=4).for_each(|n| drop(bench.set(nic(n), true)));
        prop_assert_eq!(bench.pins(9), homes);
    }
}
