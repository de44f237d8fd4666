//! Pins and designations: where they go, and that they stay.

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

    fn compute(&mut self) -> Vec<Repin> {
        let (team, repins) = compute(&self.snapshot, &self.links, &self.team, self.now_ns);
        self.team = team;
        repins
    }

    /// The uplink of VM `n`.
    fn pin(&self, n: u32) -> Option<InterfaceName> {
        self.team.pinned_member(self.id(vm(n))).map(|id| self.name(id))
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
    assert_eq!(bench.set(nic(2), true), [], "nothing moves back without need");
}

#[test]
fn grace_outlives_computations_that_do_not_move_the_pin() {
    let mut bench = Bench::new(&host(2, 1));
    bench.set(nic(1), false);
    let port = bench.id(vm(1));
    let grace = bench.team.pin(port).grace_until_ns;
    assert!(grace > 0);
    bench.now_ns += 10;
    assert_eq!(bench.set(nic(1), true), []);
    assert_eq!(bench.team.pin(port).grace_until_ns, grace);
}

#[test]
fn a_new_port_is_told_and_has_no_grace() {
    let mut bench = Bench::new(&host(2, 1));
    let repins = bench.apply(&host(2, 2));
    let port = bench.id(vm(2));
    assert_eq!(repins, [Repin { port, from: None, to: Some(bench.id(nic(2))) }]);
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
fn a_profile_names_the_nic_while_that_is_up() {
    let lab = host(2, 3).with_vm(1, |vm| vm.pinned_nics = vec![2]);
    let lab = lab.with_vm(2, |vm| vm.pinned_nics = vec![2]);
    let mut bench = Bench::new(&lab);
    assert_eq!(bench.pins(3), [Some(nic(2)), Some(nic(2)), Some(nic(1))]);
    bench.set(nic(2), false);
    assert_eq!(bench.pins(3), [Some(nic(1)); 3]);
    bench.set(nic(2), true);
    assert_eq!(bench.pins(3), [Some(nic(2)), Some(nic(2)), Some(nic(1))]);
}

#[test]
fn a_named_nic_without_the_vlan_is_not_taken() {
    let lab = host(1, 0).nic(2, trunk(1, &[20])).vm(1, access(10));
    let bench = Bench::new(&lab.with_vm(1, |vm| vm.pinned_nics = vec![2]));
    assert_eq!(bench.pin(1), Some(nic(1)));
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

#[test]
fn designation_spreads_by_vlan_and_stays_while_it_can() {
    let mut bench = Bench::new(&host(2, 0));
    let designated =
        |bench: &Bench, n| bench.team.designated_member(vlan(n)).map(|id| bench.name(id));
    let even = designated(&bench, 10);
    let lab = Lab::default().nic(1, trunk(1, &[10, 11])).nic(2, trunk(1, &[10, 11]));
    let both = Bench::new(&lab);
    assert_ne!(designated(&both, 10), designated(&both, 11));
    assert_eq!(designated(&both, 12), None, "nobody carries it");
    assert_eq!(even, Some(nic(1)));
    bench.set(nic(1), false);
    assert_eq!(designated(&bench, 10), Some(nic(2)));
    bench.set(nic(1), true);
    assert_eq!(designated(&bench, 10), Some(nic(2)), "it is kept while it is up");
}

#[test]
fn a_slot_that_changes_hands_is_a_new_port() {
    let mut bench = Bench::new(&host(2, 1));
    let (old, before) = (bench.id(vm(1)), bench.team.pinned_member(bench.id(vm(1))));
    bench.ids = StableIds::default();
    let repins = bench.apply(&host(2, 0).vm(9, access(10)));
    assert_eq!(bench.id(vm(9)), old, "the new port has the slot of the old one");
    assert_eq!(repins, [Repin { port: old, from: None, to: before }]);
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

    /// Whatever links do: nobody moves without need, every pin is on a member that is up, and the
    /// same input gives the same outcome.
    #[test]
    fn only_need_moves_a_pin(flaps in prop::collection::vec((1..5u8, any::<bool>()), 1..20)) {
        let mut bench = Bench::new(&host(4, 9));
        for (n, up) in flaps {
            let before = bench.pins(9);
            let team = bench.team.clone();
            let repins = bench.set(nic(n), up);
            for (n, before) in (1..=9).zip(before) {
                let alive = before.is_some_and(|name| bench.links.up.contains(bench.id(name)));
                prop_assert!(!alive || bench.pin(n) == before);
                let member = bench.team.pinned_member(bench.id(vm(n)));
                prop_assert!(member.is_none_or(|member| bench.links.up.contains(member)));
            }
            let (again, repins_again) = compute(&bench.snapshot, &bench.links, &team, bench.now_ns);
            prop_assert_eq!(repins, repins_again);
            prop_assert_eq!(again.pins, bench.team.pins.clone());
        }
    }
}
