//! Buckets: even shares, and no more moves than those need.

use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::subsequence;
use proto::InterfaceName;

use super::*;

const LABEL: InterfaceName = InterfaceName::PortChannel(1);

fn ports(numbers: &[u16]) -> Vec<PortId> {
    numbers.iter().map(|n| PortId::new(*n).unwrap()).collect()
}

fn spread(members: &[u16], before: Option<&Group>) -> Group {
    Group::spread(LABEL, &ports(members), |bucket| before?.bucket(bucket)).unwrap()
}

fn buckets(group: &Group) -> Vec<PortId> {
    (0..BUCKETS).map(|bucket| group.bucket(bucket).unwrap()).collect()
}

fn shares(group: &Group) -> BTreeMap<PortId, usize> {
    let mut shares: BTreeMap<_, _> = group.members().iter().map(|member| (*member, 0)).collect();
    buckets(group).iter().for_each(|member| *shares.get_mut(member).unwrap() += 1);
    shares
}

fn is_even(group: &Group) -> bool {
    let shares = shares(group);
    shares.values().max().unwrap() - shares.values().min().unwrap() <= 1
}

/// How many buckets have another member now.
fn moves(before: &Group, after: &Group) -> usize {
    buckets(before).iter().zip(buckets(after)).filter(|(a, b)| **a != *b).count()
}

#[test]
fn a_fresh_group_deals_its_buckets_out_in_turn() {
    let group = spread(&[3, 5, 9], None);
    assert_eq!(shares(&group).into_values().collect::<Vec<_>>(), [86, 85, 85]);
    assert_eq!(buckets(&group)[..4], ports(&[3, 5, 9, 3])[..]);
    assert_eq!(group.lone(), None);
    for flow in 0..1000 {
        assert_eq!(group.member(flow), group.member(flow + BUCKETS as u32));
    }
}

#[test]
fn a_group_of_one_has_a_lone_member_and_one_of_none_is_none() {
    let group = Group::single(LABEL, ports(&[7])[0]);
    assert_eq!(group, spread(&[7], None));
    assert_eq!(group.lone(), Some(ports(&[7])[0]));
    assert_eq!(Group::spread(LABEL, &[], |_| None), None);
}

#[test]
fn what_a_lost_member_leaves_goes_to_all_of_the_rest() {
    let before = spread(&[1, 2, 3, 4], None);
    let after = spread(&[1, 3, 4], Some(&before));
    let own = shares(&before)[&ports(&[2])[0]];
    assert_eq!(moves(&before, &after), own);
    assert_eq!(shares(&after).into_values().collect::<Vec<_>>(), [86, 85, 85]);
}

#[test]
fn who_joins_gets_an_even_share_and_nothing_else_moves() {
    let before = spread(&[1, 2, 3], None);
    let after = spread(&[1, 2, 3, 4], Some(&before));
    assert_eq!(moves(&before, &after), 64);
    for (a, b) in buckets(&before).iter().zip(buckets(&after)) {
        assert!(*a == b || b == ports(&[4])[0], "buckets move to the new member alone");
    }
}

#[test]
fn port_flows_of_neighbours_differ_in_every_bit() {
    let flows = || (1..=64_u32).map(|n| port_flow(VethId::new(n).unwrap()));
    assert_eq!(flows().fold(0, |bits, flow| bits | flow), u32::MAX);
    assert_eq!(flows().fold(u32::MAX, |bits, flow| bits & flow), 0);
    // The same for ever: a flow must not change its member with a release.
    assert_eq!(flows().next(), Some(0x514e_28b7));
}

proptest! {
    /// Any history of members: shares stay even, nobody moves without need, and what comes out
    /// depends on what went in alone.
    #[test]
    fn shares_stay_even_and_moves_are_the_fewest(
        history in prop::collection::vec(subsequence((0..16).collect::<Vec<u16>>(), 1..=16), 1..20),
    ) {
        let mut before: Option<Group> = None;
        for members in history {
            let after = spread(&members, before.as_ref());
            prop_assert!(is_even(&after), "{:?}", shares(&after));
            prop_assert_eq!(&after, &spread(&members, before.as_ref()));
            if let Some(before) = &before {
                // Whatever is done, those who had more than an even share have to give the rest up,
                // and who is gone gives up all.
                let (held, has) = (shares(before), shares(&after));
                let has = |member| has.get(member).copied().unwrap_or(0);
                let fewest = held.iter().map(|(member, held)| held.saturating_sub(has(member)));
                prop_assert_eq!(moves(before, &after), fewest.sum::<usize>());
                prop_assert_eq!(&spread(&members, Some(&after)), &after, "it stands still");
            }
            before = Some(after);
        }
    }

    /// The loss of members moves their own flows and nothing else, whatever has been before.
    #[test]
    fn a_loss_moves_only_its_own_flows(
        history in prop::collection::vec(subsequence((0..32).collect::<Vec<u16>>(), 1..=32), 1..8),
        lost in subsequence((0..32).collect::<Vec<u16>>(), 1..32),
    ) {
        let before = history.iter().fold(None, |before, members| {
            Some(spread(members, before.as_ref()))
        }).unwrap();
        let last = history.last().unwrap();
        let left: Vec<u16> = last.iter().copied().filter(|m| !lost.contains(m)).collect();
        prop_assume!(!left.is_empty());
        let after = spread(&left, Some(&before));
        let left = ports(&left);
        for (a, b) in buckets(&before).iter().zip(buckets(&after)) {
            prop_assert!(*a == b || !left.contains(a), "a flow of a member that stays has moved");
        }
        prop_assert!(is_even(&after));
    }

    /// The number of an extra bucket goes to those that hold most: that no choice of quotas needs
    /// fewer moves.
    #[test]
    fn no_other_even_spread_moves_less(
        first in subsequence((0..6).collect::<Vec<u16>>(), 1..=6),
        second in subsequence((0..6).collect::<Vec<u16>>(), 1..=6),
    ) {
        let before = spread(&first, None);
        let after = spread(&second, Some(&before));
        let held = shares(&before);
        let (share, rest) = (BUCKETS / second.len(), BUCKETS % second.len());
        // Of all ways to hand out the `rest`, the one that keeps most.
        let fewest = (0..1_u32 << second.len())
            .filter(|extra| extra.count_ones() as usize == rest)
            .map(|extra| {
                let kept: usize = (0..).zip(ports(&second)).map(|(n, member)| {
                    let quota = share + usize::from(extra >> n & 1 == 1);
                    held.get(&member).copied().unwrap_or(0).min(quota)
                }).sum();
                BUCKETS - kept
            })
            .min();
        prop_assert_eq!(Some(moves(&before, &after)), fewest);
    }
}
