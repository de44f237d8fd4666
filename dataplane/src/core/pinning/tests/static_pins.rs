//! `pinning id N backup M ...`.

use policy::teaming::{Channel, ChannelMode};

use super::channels::PO1;
use super::*;
use crate::core::tests::lab::Lab;

/// Three NICs of VLAN 10, and VMs that name these.
fn named(vms: &[&[u8]]) -> Lab {
    (1..).zip(vms).fold(host(3, vms.len() as u32), |lab, (n, nics)| {
        lab.with_vm(n, |vm| vm.pinned_nics = nics.to_vec())
    })
}

#[test]
fn a_profile_names_the_nic_while_that_is_up() {
    let mut bench = Bench::new(&named(&[&[2], &[2], &[]]));
    assert_eq!(bench.pins(3), [Some(nic(2)), Some(nic(2)), Some(nic(1))]);
    assert_eq!(bench.reason(1), Some(PinReason::Static));
    assert_eq!(bench.reason(3), Some(PinReason::Automatic));
    bench.set(nic(2), false);
    assert!(bench.pin(1).is_some_and(|uplink| uplink != nic(2)));
    assert_eq!(bench.reason(1), Some(PinReason::Automatic), "no backup is named");
    assert_eq!(bench.preferred(1), Some(nic(2)));
    let back = bench.set(nic(2), true);
    assert_eq!(bench.pins(3), [Some(nic(2)), Some(nic(2)), Some(nic(1))]);
    assert!(back.len() == 2 && back.iter().all(|repin| repin.cause == Cause::FailBack));
}

#[test]
fn backups_are_taken_in_their_order_and_given_up_for_a_better_one() {
    let mut bench = Bench::new(&named(&[&[3, 1, 2]]));
    let mut set = |n, up| {
        let causes: Vec<_> = bench.set(nic(n), up).iter().map(|r| (r.reason, r.cause)).collect();
        (bench.pin(1), causes)
    };
    let (failover, change) = (Cause::Failover, Cause::Change);
    let backup = Some(PinReason::Backup);
    assert_eq!(set(3, false), (Some(nic(1)), vec![(backup, failover)]));
    assert_eq!(set(1, false), (Some(nic(2)), vec![(backup, failover)]));
    assert_eq!(set(2, false), (None, vec![(None, failover)]));
    assert_eq!(set(2, true), (Some(nic(2)), vec![(backup, Cause::New)]));
    assert_eq!(set(1, true), (Some(nic(1)), vec![(backup, change)]), "the better backup");
    let home = (Some(PinReason::Static), Cause::FailBack);
    assert_eq!(set(3, true), (Some(nic(3)), vec![home]));
}

#[test]
fn a_named_nic_without_the_vlan_is_not_taken() {
    let lab = host(1, 0).nic(2, trunk(1, &[20])).vm(1, access(10));
    let bench = Bench::new(&lab.clone().with_vm(1, |vm| vm.pinned_nics = vec![2]));
    assert_eq!((bench.pin(1), bench.reason(1)), (Some(nic(1)), Some(PinReason::Automatic)));
    let bench = Bench::new(&lab.with_vm(1, |vm| vm.pinned_nics = vec![2, 1]));
    assert_eq!((bench.pin(1), bench.reason(1)), (Some(nic(1)), Some(PinReason::Backup)));
    assert_eq!(bench.preferred(1), Some(nic(1)), "it cannot go back to the other");
}

#[test]
fn a_change_of_the_profile_moves_at_once() {
    let mut bench = Bench::new(&named(&[&[1]]));
    let repins = bench.apply(&named(&[&[2]]));
    assert_eq!(repins.iter().map(|r| r.cause).collect::<Vec<_>>(), [Cause::Change]);
    assert_eq!(bench.pin(1), Some(nic(2)));
    assert_eq!(bench.apply(&named(&[&[]])), [], "nobody says that it is to go elsewhere");
}

#[test]
fn a_nic_of_a_port_channel_stands_for_all_of_it() {
    let on = Channel::new(1, ChannelMode::On);
    let lab = Lab::default()
        .member(1, trunk(1, &[10]), on)
        .member(2, trunk(1, &[10]), on)
        .vm(1, access(10))
        .with_vm(1, |vm| vm.pinned_nics = vec![2]);
    let mut bench = Bench::new(&lab);
    assert_eq!((bench.pin(1), bench.reason(1)), (Some(PO1), Some(PinReason::PortChannel)));
    assert_eq!(bench.set(nic(2), false), []);
}
