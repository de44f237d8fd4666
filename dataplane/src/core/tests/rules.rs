//! The forwarding table, row by row: one test a row and case, named after the row.

use policy::config::MacAllow;
use proto::DropReason::*;
use proto::frame::TagEdit::{Keep, Pop, Push};
use proto::frame::build::FrameBuilder;
use proto::{EtherType, MacAddr};

use super::lab::*;
use crate::core::pinning::REPIN_GRACE_NS;
use crate::core::trace::Direction;
use crate::core::{Event, PuntTask, Rule};

const BROADCAST: MacAddr = MacAddr::BROADCAST;

/// Three VMs in VLAN 10, one in VLAN 20, two uplinks of both; VM 1 is pinned to NIC 1, VM 2 to NIC
/// 2; NIC 1 receives for VLAN 10.
fn lab() -> Lab {
    Lab::default()
        .nic(1, trunk(1, &[10, 20]))
        .nic(2, trunk(1, &[10, 20]))
        .vm(1, access(10))
        .vm(2, access(10))
        .vm(3, access(10))
        .vm(4, access(20))
        .with_vm(1, |vm| vm.pinned_nics = vec![1])
        .with_vm(2, |vm| vm.pinned_nics = vec![2])
        .with_vm(3, |vm| vm.pinned_nics = vec![1])
        .with_vm(4, |vm| vm.pinned_nics = vec![2])
}

fn to_group(dst: [u8; 6], ether_type: u16, payload: &[u8]) -> Vec<u8> {
    FrameBuilder::new(mac(1), MacAddr::new(dst)).payload(EtherType::new(ether_type), payload)
}

fn bpdu() -> Vec<u8> {
    to_group([0x01, 0x80, 0xc2, 0, 0, 0], 0x26, &[0x42, 0x42, 0x03, 0, 0, 2, 2])
}

fn pvst() -> Vec<u8> {
    to_group([0x01, 0, 0x0c, 0xcc, 0xcc, 0xcd], 0x32, &[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x01, 0x0b])
}

fn cdp() -> Vec<u8> {
    to_group([0x01, 0, 0x0c, 0xcc, 0xcc, 0xcc], 0x60, &[0xaa, 0xaa, 3, 0, 0, 0x0c, 0x20, 0])
}

fn tagged(src: MacAddr, dst: MacAddr, vid: u16) -> Vec<u8> {
    udp(src, dst, &[tci(0, vid)])
}

#[test]
fn f1_a_vm_sends_from_its_own_address_only() {
    let spoofed = udp(mac(2), mac(3), &[]);
    check(&lab(), vm(1), &spoofed, Rule::F1, &dropped(SourceMacViolation));
    let allow = |mac_allow| lab().with_vm(1, |vm| vm.mac_allow = mac_allow);
    let listed = allow(MacAllow::List(vec![mac(7), mac(9)]));
    let (seven, eight) = (udp(mac(7), mac(3), &[]), udp(mac(8), mac(3), &[]));
    check(&listed, vm(1), &seven, Rule::F4, &sent(&[(vm(3), Keep)]));
    check(&listed, vm(1), &eight, Rule::F1, &dropped(SourceMacViolation));
    check(&allow(MacAllow::Any), vm(1), &eight, Rule::F4, &sent(&[(vm(3), Keep)]));
}

#[test]
fn f1_no_setting_makes_a_group_or_zero_source_legal() {
    let any = lab().with_vm(1, |vm| vm.mac_allow = MacAllow::Any);
    for src in [MacAddr::ZERO, BROADCAST, MacAddr::new([1, 0, 0x5e, 0, 0, 1])] {
        check(&any, vm(1), &udp(src, mac(3), &[]), Rule::F1, &dropped(SourceMacInvalid));
    }
}

#[test]
fn f2_a_bpdu_of_a_vm_goes_nowhere() {
    for frame in [bpdu(), pvst()] {
        let switch = check(&lab(), vm(1), &frame, Rule::F2, &dropped(BpduFromVm));
        assert_eq!(switch.events(), [], "without BPDU guard nobody is told");
    }
}

#[test]
fn f2_bpdu_guard_reports_the_port_once_a_burst() {
    let guarded = lab().with_vm(1, |vm| vm.bpdu_guard = true);
    let switch = check(&guarded, vm(1), &bpdu(), Rule::F2, &dropped(BpduFromVm));
    assert_eq!(switch.events(), [Event::BpduGuard { port: switch.id(vm(1)) }]);
    let lldp = to_group([0x01, 0x80, 0xc2, 0, 0, 0], 0x88cc, &[2, 7]);
    let switch = check(&guarded, vm(1), &lldp, Rule::F2, &dropped(LinkLocalFromVm));
    assert_eq!(switch.events(), [], "LLDP is no BPDU, whatever its address");
}

#[test]
fn f2_link_constrained_frames_of_a_vm_go_nowhere() {
    let lacp = to_group([0x01, 0x80, 0xc2, 0, 0, 2], 0x8809, &[1, 1]);
    check(&lab(), vm(1), &lacp, Rule::F2, &dropped(LinkLocalFromVm));
    check(&lab(), vm(1), &cdp(), Rule::F2, &dropped(LinkLocalFromVm));
    for last in 1..16 {
        let frame = to_group([0x01, 0x80, 0xc2, 0, 0, last], 0x88b5, &[]);
        let reason = if last == 8 { BpduFromVm } else { LinkLocalFromVm };
        check(&lab(), vm(1), &frame, Rule::F2, &dropped(reason));
    }
}

#[test]
fn f3_a_tag_on_an_access_port_is_dropped_even_of_its_own_vlan() {
    for vid in [10, 20] {
        check(&lab(), vm(1), &tagged(mac(1), mac(3), vid), Rule::F3, &dropped(TagOnAccess));
    }
}

#[test]
fn f3_vlan_not_allowed_and_vid_4095_are_dropped() {
    let lab = lab().vm(5, trunk(1, &[10, 20]));
    check(&lab, vm(5), &tagged(mac(5), mac(3), 30), Rule::F3, &dropped(VlanNotAllowed));
    check(&lab, vm(5), &udp(mac(5), mac(3), &[]), Rule::F3, &dropped(VlanNotAllowed));
    check(&lab, vm(5), &tagged(mac(5), mac(3), 4095), Rule::F3, &dropped(VidReserved));
    check(&lab, vm(1), &tagged(mac(1), mac(3), 4095), Rule::F3, &dropped(VidReserved));
}

#[test]
fn f4_unicast_to_a_local_vm_goes_to_it_alone() {
    check(&lab(), vm(1), &udp(mac(1), mac(3), &[]), Rule::F4, &sent(&[(vm(3), Keep)]));
}

#[test]
fn f4_a_frame_to_the_port_it_came_from_is_dropped() {
    check(&lab(), vm(1), &udp(mac(1), mac(1), &[]), Rule::F4, &dropped(Hairpin));
}

#[test]
fn f4_promiscuous_ports_get_a_copy() {
    let lab = lab().with_vm(2, |vm| vm.promiscuous = true).with_vm(3, |vm| vm.promiscuous = true);
    let frame = udp(mac(1), mac(3), &[]);
    check(&lab, vm(1), &frame, Rule::F4, &sent(&[(vm(3), Keep), (vm(2), Keep)]));
    check(&lab, vm(2), &udp(mac(2), mac(1), &[]), Rule::F4, &sent(&[(vm(1), Keep), (vm(3), Keep)]));
}

#[test]
fn f4_the_egress_list_of_the_destination_has_the_last_word() {
    let lab = lab().no_dns().with(vm(3), |port| port.acl_out.ip = Some(no_dns()));
    let switch = check(&lab, vm(1), &udp(mac(1), mac(3), &[]), Rule::F4, &dropped(AclEgress));
    assert_eq!(switch.totals(vm(3)).tx_drops[AclEgress.index()], 1);
    assert!(matches!(
        switch.events(),
        [Event::AclLog { direction: Direction::Out, sequence: 10, .. }]
    ));
}

#[test]
fn f4_the_same_address_in_another_vlan_is_not_local() {
    let frame = udp(mac(1), mac(4), &[]);
    check(&lab(), vm(1), &frame, Rule::F5, &sent(&[(nic(1), Push(tci(0, 10)))]));
}

#[test]
fn f5_unknown_unicast_goes_once_to_the_pinned_uplink() {
    let (one, two) = (udp(mac(1), mac(100), &[]), udp(mac(2), mac(100), &[]));
    check(&lab(), vm(1), &one, Rule::F5, &sent(&[(nic(1), Push(tci(0, 10)))]));
    check(&lab(), vm(2), &two, Rule::F5, &sent(&[(nic(2), Push(tci(0, 10)))]));
}

#[test]
fn f5_only_ports_that_ask_for_it_get_a_copy() {
    let frame = udp(mac(1), mac(100), &[]);
    let up = (nic(1), Push(tci(0, 10)));
    let sniffer = lab().with_vm(2, |vm| vm.promiscuous = true);
    check(&sniffer, vm(1), &frame, Rule::F5, &sent(&[(vm(2), Keep), up]));
    let unblocked = sniffer.with_vm(3, |vm| vm.uufb_disabled = true);
    check(&unblocked, vm(1), &frame, Rule::F5, &sent(&[(vm(2), Keep), (vm(3), Keep), up]));
    let both = lab().with_vm(3, |vm| (vm.promiscuous, vm.uufb_disabled) = (true, true));
    check(&both, vm(1), &frame, Rule::F5, &sent(&[(vm(3), Keep), up]));
}

#[test]
fn f5_without_an_uplink_of_the_vlan_the_frame_is_dropped() {
    let frame = udp(mac(1), mac(100), &[]);
    let cut = lab().down(nic(1)).down(nic(2));
    check(&cut, vm(1), &frame, Rule::F5, &dropped(NoUplink));
    let elsewhere = lab().vm(5, access(30));
    check(&elsewhere, vm(5), &udp(mac(5), mac(100), &[]), Rule::F5, &dropped(NoUplink));
}

#[test]
fn f5_a_trunk_has_no_uplink_for_a_vlan_its_pinned_member_does_not_carry() {
    let lab = Lab::default()
        .nic(1, trunk(1, &[10, 20]))
        .nic(2, trunk(1, &[30]))
        .vm(1, trunk(1, &[10, 20, 30]));
    let to = |vid| tagged(mac(1), mac(100), vid);
    check(&lab, vm(1), &to(20), Rule::F5, &sent(&[(nic(1), Keep)]));
    check(&lab, vm(1), &to(30), Rule::F5, &dropped(NoUplink));
}

#[test]
fn f6_broadcast_goes_to_the_local_members_and_once_to_the_pinned_uplink() {
    let frame = udp(mac(1), BROADCAST, &[]);
    let up = (nic(1), Push(tci(0, 10)));
    check(&lab(), vm(1), &frame, Rule::F6, &sent(&[(vm(2), Keep), (vm(3), Keep), up]));
}

#[test]
fn f6_multicast_floods_as_broadcast_does() {
    let frame = udp(mac(2), MacAddr::new([1, 0, 0x5e, 0, 0, 0xfb]), &[]);
    let up = (nic(2), Push(tci(0, 10)));
    check(&lab(), vm(2), &frame, Rule::F6, &sent(&[(vm(1), Keep), (vm(3), Keep), up]));
}

#[test]
fn f6_without_uplink_the_local_members_are_served() {
    let frame = udp(mac(1), BROADCAST, &[]);
    let cut = lab().down(nic(1)).down(nic(2));
    check(&cut, vm(1), &frame, Rule::F6, &sent(&[(vm(2), Keep), (vm(3), Keep)]));
    let alone = Lab::default().vm(1, access(10));
    check(&alone, vm(1), &frame, Rule::F6, &dropped(NoUplink));
}

#[test]
fn f6_a_port_that_is_down_is_no_part_of_a_flood() {
    let frame = udp(mac(1), BROADCAST, &[]);
    let lab = lab().down(vm(2)).with(vm(3), |port| port.admin_up = false);
    let switch = check(&lab, vm(1), &frame, Rule::F6, &sent(&[(nic(1), Push(tci(0, 10)))]));
    assert_eq!(switch.totals(vm(2)).tx_drops.iter().sum::<u64>(), 0);
}

#[test]
fn r1_slow_protocols_lldp_and_cdp_go_to_the_control_task() {
    let lacp = to_group([0x01, 0x80, 0xc2, 0, 0, 2], 0x8809, &[1, 1]);
    let lldp = to_group([0x01, 0x80, 0xc2, 0, 0, 0x0e], 0x88cc, &[2, 7]);
    check(&lab(), nic(1), &lacp, Rule::R1, &punted(PuntTask::Slow));
    check(&lab(), nic(2), &lldp, Rule::R1, &punted(PuntTask::Lldp));
    check(&lab(), nic(1), &cdp(), Rule::R1, &punted(PuntTask::Cdp));
    // LACP has to work before the port may pass data.
    check(&lab().down(nic(1)), nic(1), &lacp, Rule::R1, &punted(PuntTask::Slow));
    let pause = to_group([0x01, 0x80, 0xc2, 0, 0, 1], 0x8808, &[0, 1]);
    check(&lab(), nic(1), &pause, Rule::R1, &dropped(LinkLocalFromWire));
}

#[test]
fn r2_a_bpdu_of_any_kind_from_the_wire_goes_nowhere() {
    check(&lab(), nic(1), &bpdu(), Rule::R2, &dropped(BpduFromWire));
    check(&lab(), nic(1), &pvst(), Rule::R2, &dropped(BpduFromWire));
    let per_vlan = [&pvst()[..12], &[0x81, 0, 0, 10], &pvst()[12..]].concat();
    check(&lab(), nic(1), &per_vlan, Rule::R2, &dropped(BpduFromWire));
}

#[test]
fn r3_a_vlan_that_the_uplink_does_not_carry_is_dropped() {
    check(&lab(), nic(1), &tagged(mac(100), mac(1), 30), Rule::R3, &dropped(VlanNotAllowed));
    check(&lab(), nic(1), &udp(mac(100), mac(1), &[]), Rule::R3, &dropped(VlanNotAllowed));
    check(&lab(), nic(1), &tagged(mac(100), mac(1), 4095), Rule::R3, &dropped(VidReserved));
}

#[test]
fn r4_a_local_source_from_the_wire_came_back() {
    for dst in [mac(2), mac(100), BROADCAST] {
        let frame = tagged(mac(1), dst, 10);
        check(&lab(), nic(1), &frame, Rule::R4, &dropped(OwnSourceFromUplink));
    }
    // The address is local in its own VLAN only.
    let frame = tagged(mac(1), mac(4), 20);
    check(&lab(), nic(2), &frame, Rule::R5, &sent(&[(vm(4), Pop)]));
}

#[test]
fn r4_not_while_the_port_is_leaving() {
    let frame = tagged(mac(1), mac(2), 10);
    check(&lab().leaving(1), nic(2), &frame, Rule::R5, &sent(&[(vm(2), Pop)]));
    check(&lab().leaving(2), nic(2), &frame, Rule::R4, &dropped(OwnSourceFromUplink));
}

#[test]
fn r5_unicast_by_the_pinned_uplink_is_delivered() {
    check(&lab(), nic(1), &tagged(mac(100), mac(1), 10), Rule::R5, &sent(&[(vm(1), Pop)]));
    check(&lab(), nic(2), &tagged(mac(100), mac(2), 10), Rule::R5, &sent(&[(vm(2), Pop)]));
    let sniffer = lab().with_vm(2, |vm| vm.promiscuous = true);
    let frame = tagged(mac(100), mac(1), 10);
    check(&sniffer, nic(1), &frame, Rule::R5, &sent(&[(vm(1), Pop), (vm(2), Pop)]));
}

#[test]
fn r6_unicast_by_another_uplink_is_a_duplicate() {
    let frame = tagged(mac(100), mac(1), 10);
    check(&lab(), nic(2), &frame, Rule::R6, &dropped(NotPinnedUplink));
    let sniffer = lab().with_vm(2, |vm| vm.promiscuous = true);
    check(&sniffer, nic(2), &frame, Rule::R6, &dropped(NotPinnedUplink));
}

#[test]
fn r6_not_for_a_grace_time_after_a_repin() {
    let mut switch = lab().with_vm(1, |vm| vm.pinned_nics = Vec::new()).build();
    let frame = tagged(mac(100), mac(1), 10);
    switch.now_ns = 5;
    let pinned = switch.view.team.pinned_member(switch.id(vm(1))).unwrap();
    let pinned = switch.name(pinned);
    let other = if pinned == nic(1) { nic(2) } else { nic(1) };
    assert_eq!(switch.send(other, &frame), dropped(NotPinnedUplink));
    switch.set_link(pinned, false);
    assert_eq!(switch.send(other, &frame), sent(&[(vm(1), Pop)]));
    switch.now_ns += REPIN_GRACE_NS;
    switch.set_link(pinned, true);
    for at in [nic(1), nic(2)] {
        assert_eq!(switch.send(at, &frame), sent(&[(vm(1), Pop)]), "it is on its way back");
    }
    switch.now_ns += REPIN_GRACE_NS;
    assert_eq!(switch.send(pinned, &frame), sent(&[(vm(1), Pop)]));
    assert_eq!(switch.send(other, &frame), dropped(NotPinnedUplink));
}

#[test]
fn r7_unknown_unicast_from_the_wire_is_dropped() {
    let frame = tagged(mac(100), mac(101), 10);
    check(&lab(), nic(1), &frame, Rule::R7, &dropped(UnknownUnicastFromUplink));
}

#[test]
fn r7_ports_that_ask_for_it_get_it_once_by_their_own_uplink() {
    let frame = tagged(mac(100), mac(101), 10);
    let lab = lab().with_vm(2, |vm| vm.uufb_disabled = true).with_vm(3, |vm| vm.promiscuous = true);
    check(&lab, nic(1), &frame, Rule::R7, &sent(&[(vm(3), Pop)]));
    check(&lab, nic(2), &frame, Rule::R7, &sent(&[(vm(2), Pop)]));
}

#[test]
fn r8_broadcast_by_the_designated_uplink_goes_to_the_local_members() {
    let frame = tagged(mac(100), BROADCAST, 10);
    let members = [(vm(1), Pop), (vm(2), Pop), (vm(3), Pop)];
    check(&lab(), nic(1), &frame, Rule::R8, &sent(&members));
    check(&lab(), nic(2), &frame, Rule::R8, &dropped(NotDesignatedUplink));
    let multicast = tagged(mac(100), MacAddr::new([1, 0, 0x5e, 0, 0, 0xfb]), 10);
    check(&lab(), nic(1), &multicast, Rule::R8, &sent(&members));
}

#[test]
fn r8_a_vlan_without_members_here_has_nobody_to_serve() {
    let lab = Lab::default().nic(1, trunk(1, &[10, 20])).vm(1, access(10));
    let frame = tagged(mac(100), BROADCAST, 20);
    check(&lab, nic(1), &frame, Rule::R8, &dropped(NoLocalMember));
    let frame = tagged(mac(100), BROADCAST, 10);
    check(&lab.down(vm(1)), nic(1), &frame, Rule::R8, &dropped(NoLocalMember));
}

#[test]
fn r9_a_frame_from_the_wire_never_goes_to_the_wire() {
    let lab = lab().with_vm(2, |vm| (vm.promiscuous, vm.uufb_disabled) = (true, true));
    let mut switch = lab.build();
    for at in [nic(1), nic(2)] {
        for dst in [mac(1), mac(2), mac(100), BROADCAST, MacAddr::new([0x33, 0x33, 0, 0, 0, 1])] {
            for vid in [10, 20] {
                let outcome = switch.send(at, &tagged(mac(101), dst, vid));
                assert!(outcome.outputs.iter().all(|(port, _)| *port != nic(1) && *port != nic(2)));
            }
        }
    }
}
