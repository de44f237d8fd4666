//! Tags: every way in against every way out, in one table.

use proto::DropReason::{self, *};
use proto::frame::TagEdit::{self, Keep, Pop, Push, Rewrite};
use proto::frame::key::Tag;

use super::lab::*;

/// VLAN 10 on every kind of port: VM 1 access, VM 2 trunk with another native VLAN, VM 3 trunk with
/// 10 native, NIC 1 trunk with another native.
fn lab() -> Lab {
    Lab::default()
        .nic(1, trunk(1, &[1, 10, 20]))
        .vm(1, access(10))
        .vm(2, trunk(20, &[10, 20]))
        .vm(3, trunk(10, &[10, 20]))
        .vm(4, trunk(30, &[10, 20]))
}

/// What a broadcast of VM `from` with these tags looks like at VMs 1, 2 and 3 and at the uplink.
#[track_caller]
fn row(from: u32, tags: &[Tag], expected: Result<[Option<TagEdit>; 4], DropReason>) {
    let mut switch = lab().build();
    let outcome = switch.send(vm(from), &udp(mac(from), proto::MacAddr::BROADCAST, tags));
    let outcome_expected = match expected {
        Err(reason) => dropped(reason),
        Ok(edits) => {
            let ports = [vm(1), vm(2), vm(3), nic(1)];
            let all = ports.into_iter().zip(edits);
            sent(&all.filter_map(|(port, edit)| Some((port, edit?))).collect::<Vec<_>>())
        }
    };
    let seen: Vec<_> = outcome.outputs.iter().copied().filter(|(p, _)| *p != vm(4)).collect();
    assert_eq!((outcome.verdict, seen), (outcome_expected.verdict, outcome_expected.outputs));
}

#[test]
fn every_way_in_against_every_way_out() {
    let (v10, v20) = (tci(0, 10), tci(0, 20));
    //  from  tags in                  at VM 1     at VM 2            at VM 3          at the uplink
    row(1, &[], Ok([None, Some(Push(v10)), Some(Keep), Some(Push(v10))]));
    row(2, &[v10], Ok([Some(Pop), None, Some(Pop), Some(Keep)]));
    row(3, &[], Ok([Some(Keep), Some(Push(v10)), None, Some(Push(v10))]));
    // The native VLAN is taken tagged too.
    row(3, &[v10], Ok([Some(Pop), Some(Keep), None, Some(Keep)]));
    row(2, &[], Ok([None, None, Some(Push(v20)), Some(Push(v20))]));
    row(3, &[v20], Ok([None, Some(Pop), None, Some(Keep)]));
    // A native VLAN that is not allowed does not pass.
    row(4, &[], Err(VlanNotAllowed));
    row(4, &[tci(0, 30)], Err(VlanNotAllowed));
    row(4, &[v20], Ok([None, Some(Pop), Some(Keep), Some(Keep)]));
}

#[test]
fn priority_bits_survive_push_and_pop() {
    let (prio, v10, v20) = (tci(5, 0), tci(5, 10), tci(5, 20));
    row(1, &[prio], Ok([None, Some(Rewrite(v10)), Some(Pop), Some(Rewrite(v10))]));
    row(3, &[prio], Ok([Some(Pop), Some(Rewrite(v10)), None, Some(Rewrite(v10))]));
    row(2, &[prio], Ok([None, None, Some(Rewrite(v20)), Some(Rewrite(v20))]));
    row(2, &[v10], Ok([Some(Pop), None, Some(Pop), Some(Keep)]));
    // The drop eligible bit too.
    let (dei, dei10) = (Tag { tci: 0x1000 }, Tag { tci: 0x100a });
    row(1, &[dei], Ok([None, Some(Rewrite(dei10)), Some(Pop), Some(Rewrite(dei10))]));
}

#[test]
fn inner_tags_pass_untouched() {
    let (outer, inner) = (tci(0, 10), tci(3, 77));
    // Out of trunks where VLAN 10 is tagged the outer tag stays.
    row(2, &[outer, inner], Ok([Some(Pop), None, Some(Keep), Some(Keep)]));
}

#[test]
fn a_double_tag_is_no_way_into_another_vlan() {
    let hop = tci(0, 20);
    // Popping the native tag would leave the inner one for the next switch to read.
    row(3, &[tci(0, 10), hop], Ok([Some(Pop), Some(Keep), None, Some(Keep)]));
    row(2, &[tci(0, 20), hop], Ok([None, None, Some(Keep), Some(Keep)]));
    row(
        3,
        &[tci(0, 0), hop],
        Ok([Some(Pop), Some(Rewrite(tci(0, 10))), None, Some(Rewrite(tci(0, 10)))]),
    );
    let to_native = Lab::default().nic(1, trunk(10, &[10, 20])).vm(1, trunk(10, &[10]));
    let frame = udp(mac(1), mac(100), &[tci(0, 10), hop]);
    assert_eq!(to_native.build().send(vm(1), &frame), sent(&[(nic(1), Keep)]));
    // An access port takes no tag, and so none behind a priority tag.
    row(1, &[tci(0, 0), hop], Err(TagOnAccess));
}

#[test]
fn an_uplink_may_be_an_access_port() {
    let lab = Lab::default().nic(1, access(10)).vm(1, access(10)).vm(2, trunk(1, &[10]));
    let mut switch = lab.build();
    assert_eq!(switch.send(vm(1), &udp(mac(1), mac(9), &[])), sent(&[(nic(1), Keep)]));
    assert_eq!(switch.send(vm(2), &udp(mac(2), mac(9), &[tci(0, 10)])), sent(&[(nic(1), Pop)]));
    let pushed = sent(&[(vm(2), Push(tci(0, 10)))]);
    assert_eq!(switch.send(nic(1), &udp(mac(9), mac(2), &[])), pushed);
    assert_eq!(switch.send(nic(1), &udp(mac(9), mac(2), &[tci(0, 10)])), dropped(TagOnAccess));
}
