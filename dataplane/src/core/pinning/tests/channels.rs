//! Groups of several members: port-channels, active and standby, and their edges.

use policy::teaming::{Channel, ChannelMode};

use super::*;
use crate::core::PortSet;
use crate::core::team::BUCKETS;
use crate::core::tests::lab::Lab;

pub(super) const PO1: InterfaceName = InterfaceName::PortChannel(1);

/// NICs in one group of this mode, ranked by number, and VMs in VLAN 10.
fn grouped(mode: ChannelMode, nics: u8, vms: u32, edit: impl Fn(&mut Channel)) -> Lab {
    let lab = (1..=nics).fold(Lab::default(), |lab, n| {
        let mut channel = Channel { rank: n - 1, ..Channel::new(1, mode) };
        edit(&mut channel);
        lab.member(n, trunk(1, &[10, 20]), channel)
    });
    (1..=vms).fold(lab, |lab, n| lab.vm(n, access(10)))
}

/// The NICs of the group that VM 1 sends by.
fn members(bench: &Bench) -> Vec<InterfaceName> {
    let group = bench.team.uplink_group(bench.id(vm(1)));
    group.map(|g| g.members().iter().map(|id| bench.name(*id)).collect()).unwrap_or_default()
}

#[test]
fn a_port_channel_is_one_uplink_of_all_members_that_are_up() {
    for mode in [ChannelMode::Active, ChannelMode::Passive, ChannelMode::On] {
        let mut bench = Bench::new(&grouped(mode, 3, 2, |_| ()));
        assert_eq!(bench.team.groups().len(), 1);
        assert_eq!(members(&bench), [nic(1), nic(2), nic(3)]);
        assert_eq!(bench.pins(2), [Some(PO1); 2]);
        assert_eq!(
            (bench.reason(1), bench.preferred(1)),
            (Some(PinReason::PortChannel), Some(PO1))
        );
        let group = bench.team.group_of(bench.id(nic(3)));
        assert_eq!((group, bench.team.designated(vlan(10))), (Some(GroupId(0)), group));
        assert_eq!(bench.set(nic(1), false), [], "the port-channel is still there: nobody moves");
        assert_eq!(members(&bench), [nic(2), nic(3)]);
        assert_eq!(bench.team.group_of(bench.id(nic(1))), None);
        assert_eq!(bench.set(nic(1), true), []);
    }
}

#[test]
fn a_lost_member_gives_its_buckets_to_the_rest_and_takes_only_its_share_back() {
    let mut bench = Bench::new(&grouped(ChannelMode::On, 4, 1, |_| ()));
    let buckets = |bench: &Bench| -> Vec<PortId> {
        let group = bench.team.uplink_group(bench.id(vm(1))).unwrap();
        (0..BUCKETS).map(|n| group.bucket(n).unwrap()).collect()
    };
    let lost = bench.id(nic(2));
    let before = buckets(&bench);
    bench.set(nic(2), false);
    let without = buckets(&bench);
    assert!(before.iter().zip(&without).all(|(a, b)| (*a == lost) != (a == b)));
    bench.set(nic(2), true);
    let back = buckets(&bench);
    assert!(without.iter().zip(&back).all(|(a, b)| a == b || *b == lost));
    assert_eq!(back.iter().filter(|member| **member == lost).count(), 64);
    let same = bench.apply(&grouped(ChannelMode::On, 4, 2, |_| ()));
    assert_eq!((same.len(), buckets(&bench)), (1, back), "another snapshot moves no flow");
}

#[test]
fn a_renamed_port_channel_keeps_the_flows_of_its_members() {
    let mut bench = Bench::new(&grouped(ChannelMode::On, 3, 1, |_| ()));
    bench.set(nic(1), false);
    let before = bench.team.uplink_group(bench.id(vm(1))).unwrap().clone();
    let mut lab = grouped(ChannelMode::On, 3, 1, |channel| channel.number = 2);
    lab.intent.ports.remove(&nic(1));
    let repins = bench.apply(&lab);
    let after = bench.team.uplink_group(bench.id(vm(1))).unwrap();
    assert!((0..BUCKETS).all(|bucket| after.bucket(bucket) == before.bucket(bucket)));
    assert_eq!(after.label(), InterfaceName::PortChannel(2));
    assert_eq!(repins.len(), 1, "for all that is known it is another port-channel");
}

#[test]
fn with_fewer_links_than_min_links_a_port_channel_is_down() {
    for mode in [ChannelMode::Active, ChannelMode::On] {
        let mut bench = Bench::new(&grouped(mode, 3, 1, |channel| channel.min_links = 2));
        bench.set(nic(3), false);
        assert_eq!(members(&bench), [nic(1), nic(2)]);
        let repins = bench.set(nic(2), false);
        assert_eq!((bench.pin(1), bench.team.groups().len()), (None, 0));
        assert_eq!(bench.team.designated(vlan(10)), None);
        assert_eq!(bench.team.group_of(bench.id(nic(1))), None, "no member carries data");
        assert_eq!((repins[0].to, repins[0].cause), (None, Cause::Failover));
        assert_eq!(bench.set(nic(3), true)[0].cause, Cause::New);
        assert_eq!(members(&bench), [nic(1), nic(3)]);
    }
}

#[test]
fn a_port_channel_that_dies_as_a_whole_moves_its_vms_and_gets_them_back_with_grace() {
    let vm_trunk = trunk(1, &[10, 20, 30]);
    let lab = grouped(ChannelMode::Active, 2, 0, |_| ())
        .member(3, trunk(1, &[30]), Channel::new(3, ChannelMode::On))
        .vm(1, vm_trunk);
    let mut bench = Bench::new(&lab);
    assert_eq!(bench.pin(1), Some(PO1), "most of its VLANs are there");
    let link = bench.id(nic(1));
    bench.set(nic(1), false);
    bench.now_ns = 5;
    let repins = bench.set(nic(2), false);
    let (port, to) = (bench.id(vm(1)), Some(bench.id(nic(3))));
    let reason = Some(PinReason::PortChannel);
    let from = Some(bench.id(nic(2)));
    assert_eq!(repins, [Repin { port, from, to, reason, cause: Cause::Failover }]);
    assert_eq!(bench.team.pin(port).grace_until_ns, 5 + REPIN_GRACE_NS);
    assert_eq!(bench.preferred(1), Some(PO1));
    bench.now_ns = 6;
    let repins = bench.set(nic(1), true);
    assert_eq!(repins, [Repin { port, from: to, to: Some(link), reason, cause: Cause::FailBack }]);
    assert_eq!(bench.team.pin(port).grace_until_ns, 6 + REPIN_GRACE_NS);
}

#[test]
fn of_active_and_standby_the_first_by_rank_that_is_up_carries_everything() {
    let lab = grouped(ChannelMode::ActiveStandby, 3, 2, |_| ());
    // NIC 2 before NIC 1 before NIC 3.
    let lab = [(1, 1), (2, 0), (3, 2)].into_iter().fold(lab, |lab, (n, rank)| {
        lab.with_nic(n, |uplink| uplink.channel.as_mut().unwrap().rank = rank)
    });
    let mut bench = Bench::new(&lab);
    let state = |bench: &Bench| (bench.pins(2), bench.reason(1), bench.preferred(1));
    let active = |n| (vec![Some(nic(n)); 2], Some(PinReason::Active), Some(nic(2)));
    assert_eq!(state(&bench), active(2));
    assert_eq!(members(&bench), [nic(2)]);
    assert_eq!(bench.team.group_of(bench.id(nic(1))), None, "standby takes nothing in");
    assert_eq!(bench.team.designated_member(vlan(10)), Some(bench.id(nic(2))));
    let causes = |repins: Vec<Repin>| repins.iter().map(|r| r.cause).collect::<Vec<_>>();
    assert_eq!(causes(bench.set(nic(2), false)), [Cause::Failover; 2]);
    assert_eq!(state(&bench), active(1));
    assert_eq!(causes(bench.set(nic(1), false)), [Cause::Failover; 2]);
    assert_eq!(state(&bench), active(3));
    assert_eq!(causes(bench.set(nic(1), true)), [Cause::Change; 2]);
    bench.now_ns = 9;
    assert_eq!(causes(bench.set(nic(2), true)), [Cause::FailBack; 2]);
    assert_eq!(state(&bench), active(2));
    let grace_until_ns = bench.team.pin(bench.id(vm(1))).grace_until_ns;
    assert_eq!(grace_until_ns, 9 + REPIN_GRACE_NS);
    assert_eq!(bench.set(nic(3), false), [], "a standby that goes down moves nobody");
}

#[test]
fn an_individual_member_is_an_uplink_by_its_own_name() {
    let lab = grouped(ChannelMode::Active, 2, 1, |channel| channel.min_links = 2);
    let mut bench = Bench::new(&lab);
    let (first, second) = (bench.id(nic(1)), bench.id(nic(2)));
    let mut alone = |id: PortId| {
        bench.links.up.remove(first);
        bench.links.up.remove(second);
        bench.links.up.insert(id);
        bench.links.individual = [id].into_iter().collect();
        let causes: Vec<_> = bench.compute().iter().map(|r| (r.to, r.cause)).collect();
        (bench.pin(1), bench.reason(1), causes)
    };
    let active = Some(PinReason::Active);
    let failover = |to| vec![(Some(to), Cause::Failover)];
    assert_eq!(alone(first), (Some(nic(1)), active, failover(first)), "min-links or not");
    assert_eq!(alone(second), (Some(nic(2)), active, failover(second)), "it is announced there");
    bench.links.individual = PortSet::EMPTY;
    bench.links.up.insert(first);
    let repins = bench.compute();
    assert_eq!((repins.len(), repins[0].cause), (1, Cause::FailBack));
    assert_eq!((bench.pin(1), members(&bench)), (Some(PO1), vec![nic(1), nic(2)]));
}

#[test]
fn a_member_that_is_shut_has_no_say_in_what_its_group_carries() {
    for mode in [ChannelMode::On, ChannelMode::ActiveStandby] {
        let lab = grouped(mode, 2, 1, |_| ()).vm(2, access(20));
        let lab = lab.with(nic(1), |port| (port.mode, port.admin_up) = (trunk(1, &[10]), false));
        let bench = Bench::new(&lab);
        assert!(bench.pins(2).iter().all(Option::is_some));
        assert_eq!(bench.team.designated_member(vlan(20)), Some(bench.id(nic(2))));
    }
}

#[test]
fn two_port_channels_of_a_host_each_have_their_vms() {
    let lab = grouped(ChannelMode::Active, 2, 2, |_| ())
        .member(3, trunk(1, &[30]), Channel::new(3, ChannelMode::On))
        .member(4, trunk(1, &[30]), Channel::new(3, ChannelMode::On))
        .vm(3, access(30));
    let bench = Bench::new(&lab);
    assert_eq!(bench.pins(3), [Some(PO1), Some(PO1), Some(InterfaceName::PortChannel(3))]);
    let group = |n| bench.team.group_of(bench.id(nic(n)));
    assert!(group(1) == group(2) && group(3) == group(4) && group(1) != group(3));
    assert_eq!(bench.team.designated(vlan(30)), group(3));
}

#[test]
fn a_loose_uplink_is_a_group_of_its_own() {
    let lab = host(1, 1).with_nic(1, |uplink| uplink.channel = None);
    let bench = Bench::new(&lab);
    assert_eq!((bench.pin(1), bench.reason(1)), (Some(nic(1)), Some(PinReason::Automatic)));
}

/// A host of every kind of group, with VLANs of its own for each, and VMs of every VLAN.
fn zoo() -> Lab {
    let mode = |n: u8| match n {
        1..=3 => (Channel::new(1, ChannelMode::Active), 10),
        4..=6 => (Channel::new(4, ChannelMode::On), 20),
        7..=9 => (Channel { rank: 9 - n, ..Channel::new(7, ChannelMode::ActiveStandby) }, 30),
        _ => (Channel::new(10, ChannelMode::MacPinning { relative: false }), 40),
    };
    let lab = (1..=12).fold(Lab::default(), |lab, n| {
        let (channel, vlan) = mode(n);
        let min_links = if channel.number == 4 { 2 } else { 1 };
        lab.member(n, trunk(1, &[vlan]), Channel { min_links, ..channel })
    });
    (1..=12).fold(lab, |lab, n| lab.vm(n, access(10 * (1 + n as u16 % 4))))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    /// Whatever links do: a link is in a group only if it is up, and in one; no flow moves but
    /// those of a member that comes or goes; of a vEthernet that did not move nothing is told, and
    /// one that did has grace; and when all links are up, everybody is where it was.
    #[test]
    fn groups_of_every_kind_move_only_what_they_must(
        flaps in prop::collection::vec((1..13u8, any::<bool>()), 1..25),
    ) {
        let mut bench = Bench::new(&zoo());
        let homes = bench.pins(12);
        for (n, up) in flaps {
            let before = bench.team.clone();
            bench.now_ns += 1;
            let repins = bench.set(nic(n), up);
            let mut seen = PortSet::EMPTY;
            for (number, group) in (0..).map(GroupId).zip(bench.team.groups()) {
                for member in group.members() {
                    prop_assert!(bench.links.up.contains(*member) && seen.insert(*member));
                    prop_assert_eq!(bench.team.group_of(*member), Some(number));
                }
            }
            for group in before.groups() {
                let Some(now) = bench.team.groups().iter().find(|g| g.label() == group.label())
                else { continue };
                let flapped = bench.id(nic(n));
                for bucket in 0..BUCKETS {
                    let (a, b) = (group.bucket(bucket), now.bucket(bucket));
                    prop_assert!(a == b || a == Some(flapped) || b == Some(flapped));
                }
            }
            for n in 1..=12 {
                let port = bench.id(vm(n));
                let repin = repins.iter().find(|repin| repin.port == port);
                let (from, to) = (before.uplink(port), bench.pin(n));
                prop_assert_eq!(repin.is_some(), from != to);
                if let (Some(_), Some(_), Some(_)) = (repin, from, to) {
                    let grace_until_ns = bench.team.pin(port).grace_until_ns;
                    prop_assert_eq!(grace_until_ns, bench.now_ns + REPIN_GRACE_NS);
                }
            }
        }
        (1..=12).for_each(|n| drop(bench.set(nic(n), true)));
        prop_assert_eq!(bench.pins(12), homes);
    }
}
