//! What the table does not say: admission, access lists, MTU, several frames at once, counters.

use policy::teaming::{Channel, ChannelMode};
use proto::frame::TagEdit::{Keep, Pop, Push};
use proto::frame::build::FrameBuilder;
use proto::{DropReason::*, EtherType, MacAddr, PortId};

use super::lab::*;
use crate::core::trace::{Direction, Step};
use crate::core::{BURST_MAX, Event, Frame, NoTrace, Rule, StepTrace, Verdict, forward};

fn lab() -> Lab {
    Lab::default()
        .nic(1, trunk(1, &[10]))
        .vm(1, access(10))
        .vm(2, access(10))
        .vm(3, access(10))
        .no_dns()
}

#[test]
fn a_port_that_is_unknown_or_down_takes_nothing() {
    let frame = udp(mac(1), mac(2), &[]);
    let mut switch = lab().build();
    let unknown = PortId::new(4000).unwrap();
    assert_eq!(switch.send_frame(unknown, Frame::whole(&frame)), dropped(PortUnknown));
    assert_eq!(switch.state.counters.strays().read().drops[PortUnknown.index()], 1);
    assert_eq!(lab().down(vm(1)).build().send(vm(1), &frame), dropped(PortDown));
    let shut = lab().with(vm(1), |port| port.admin_up = false);
    assert_eq!(shut.build().send(vm(1), &frame), dropped(PortDown));
    assert_eq!(shut.build().send(vm(1), &frame[..5]), dropped(PortDown));
}

#[test]
fn a_frame_without_a_whole_header_is_malformed() {
    let frame = udp(mac(1), mac(2), &[tci(0, 0)]);
    for len in [0, 1, 13, 14, 15, 17] {
        assert_eq!(lab().build().send(vm(1), &frame[..len]), dropped(Malformed), "{len}");
    }
    assert_eq!(lab().build().send(vm(1), &frame[..18]), sent(&[(vm(2), Pop)]));
}

#[test]
fn a_known_destination_that_is_down_is_told() {
    let mut switch = lab().down(vm(2)).build();
    assert_eq!(switch.send(vm(1), &udp(mac(1), mac(2), &[])), dropped(PortDown));
    assert_eq!(switch.totals(vm(2)).tx_drops[PortDown.index()], 1);
}

#[test]
fn the_inbound_list_counts_reports_and_drops() {
    let mut switch = lab().with(vm(1), |port| port.acl_in.ip = Some(no_dns())).build();
    assert_eq!(switch.send(vm(1), &udp(mac(1), mac(2), &[])), dropped(AclIngress));
    let decision = switch.trace.steps(0).find_map(|step| match step {
        Step::Acl { decision, .. } => Some(decision),
        _ => None,
    });
    let decision = decision.unwrap();
    assert_eq!((decision.sequence, decision.log), (10, true));
    assert_eq!(switch.state.counters.rule(decision.counter), 1);
    assert!(matches!(
        switch.events(),
        [Event::AclLog { direction: Direction::In, sequence: 10, .. }]
    ));
    let arp = FrameBuilder::new(mac(1), mac(2)).payload(EtherType::ARP, &[0; 28]);
    assert_eq!(switch.send(vm(1), &arp), sent(&[(vm(2), Keep)]), "an IP list speaks of IP only");
}

#[test]
fn an_ip_list_denies_what_says_ip_and_cannot_be_read() {
    let mut frame = udp(mac(1), mac(2), &[]);
    frame[14] = 0x4f;
    let bound = lab().with(vm(1), |port| port.acl_in.ip = Some(no_dns()));
    assert_eq!(bound.build().send(vm(1), &frame), dropped(AclIngress));
    assert_eq!(lab().build().send(vm(1), &frame), sent(&[(vm(2), Keep)]));
}

#[test]
fn some_copies_refused_leave_the_others_and_count_at_the_port() {
    let lab = lab().with(vm(2), |port| port.acl_out.ip = Some(no_dns()));
    let mut switch = lab.build();
    let outcome = switch.send(vm(1), &udp(mac(1), MacAddr::BROADCAST, &[]));
    assert_eq!(outcome, sent(&[(vm(3), Keep), (nic(1), Push(tci(0, 10)))]));
    assert_eq!(switch.totals(vm(2)).tx_drops[AclEgress.index()], 1);
    assert!(switch.totals(vm(1)).is_conserved());
}

#[test]
fn of_refusals_only_the_first_is_the_reason() {
    let lab = lab()
        .with(vm(2), |port| port.mtu_bytes = 576)
        .with(vm(3), |port| port.acl_out.ip = Some(no_dns()))
        .with(nic(1), |port| port.mtu_bytes = 576);
    let mut switch = lab.build();
    let frame = udp_of(mac(1), MacAddr::BROADCAST, &[], 1000);
    assert_eq!(switch.send(vm(1), &frame), dropped(MtuExceeded));
    assert_eq!(switch.totals(vm(3)).tx_drops[AclEgress.index()], 1);
}

#[test]
fn the_mtu_is_of_the_payload_without_the_outer_tag() {
    let lab = lab().vm(4, trunk(1, &[10]));
    for (payload, fits) in [(1472, true), (1473, false)] {
        for (from, tags) in [(1, &[][..]), (1, &[tci(0, 0)]), (4, &[tci(0, 10)])] {
            let frame = udp_of(mac(from), mac(2), tags, payload);
            let outcome = lab.build().send(vm(from), &frame);
            let expected = if fits { Verdict::Forward } else { Verdict::Drop(MtuExceeded) };
            assert_eq!(outcome.verdict, expected, "{payload} bytes with tags {tags:?}");
        }
    }
}

#[test]
fn a_super_frame_is_held_against_the_mtu_by_its_segments() {
    let mut switch = lab().build();
    let head = udp_of(mac(1), mac(2), &[], 1000);
    let ingress = switch.id(vm(1));
    let gso = |segment_bytes| Frame { head: &head, len_bytes: 65_000, segment_bytes };
    assert_eq!(switch.send_frame(ingress, gso(1514)), sent(&[(vm(2), Keep)]));
    assert_eq!(switch.send_frame(ingress, gso(1515)), dropped(MtuExceeded));
    assert_eq!(switch.totals(vm(1)).rx.bytes, 130_000);
}

#[test]
fn a_port_channel_counts_as_one_uplink_and_keeps_a_flow_on_one_member() {
    let on = Channel::new(1, ChannelMode::On);
    let mut lab = Lab::default().member(1, trunk(1, &[10]), on).member(2, trunk(1, &[10]), on);
    for n in 1..40 {
        lab = lab.vm(n, access(10));
    }
    let mut switch = lab.build();
    let mut used = Vec::new();
    for n in 1..40 {
        let frame = udp(mac(n), mac(100), &[]);
        let outcome = switch.send(vm(n), &frame);
        assert_eq!(outcome.outputs.len(), 1);
        assert_eq!(switch.send(vm(n), &frame), outcome, "a flow stays where it is");
        used.extend(outcome.outputs.iter().map(|(port, _)| *port));
    }
    assert!(used.contains(&nic(1)) && used.contains(&nic(2)));
    for at in [nic(1), nic(2)] {
        let frame = udp(mac(100), mac(7), &[tci(0, 10)]);
        assert_eq!(switch.send(at, &frame), sent(&[(vm(7), Pop)]), "any member is the uplink");
    }
}

#[test]
fn bpdu_guard_reports_once_a_burst_and_is_not_crowded_out_by_logging_lists() {
    let lab = lab()
        .with(vm(2), |port| port.acl_out.ip = Some(no_dns()))
        .with(vm(3), |port| port.acl_out.ip = Some(no_dns()))
        .with_vm(1, |vm| vm.bpdu_guard = true);
    let mut switch = lab.build();
    // Every one of them is denied, and reported, twice.
    let dns = udp(mac(1), MacAddr::BROADCAST, &[]);
    let dst = MacAddr::new([0x01, 0x80, 0xc2, 0, 0, 0]);
    let bpdu = FrameBuilder::new(mac(1), dst).payload(EtherType::new(0x26), &[0x42, 0x42, 3]);
    let port = switch.id(vm(1));
    for bpdus in [0, 1, 2, BURST_MAX] {
        let mut frames = vec![Frame::whole(&dns); BURST_MAX - bpdus];
        frames.extend(vec![Frame::whole(&bpdu); bpdus]);
        let (state, batch) = (&mut switch.state, &mut switch.batch);
        forward(&switch.view, 0, state, port, &frames, batch, &mut NoTrace);
        let guards = batch.events().iter().filter(|e| **e == Event::BpduGuard { port });
        assert_eq!(guards.count(), usize::from(bpdus > 0));
        let logs = batch.events().iter().filter(|e| matches!(e, Event::AclLog { .. }));
        assert_eq!(logs.count(), BURST_MAX.min(2 * (BURST_MAX - bpdus)));
        assert!(switch.totals(vm(1)).is_conserved());
    }
}

#[test]
fn a_batch_keeps_nothing_of_the_burst_before() {
    let mut switch = lab().build();
    switch.send(vm(1), &udp(mac(1), MacAddr::BROADCAST, &[]));
    let port = switch.id(vm(2));
    let (state, batch) = (&mut switch.state, &mut switch.batch);
    forward(&switch.view, 0, state, port, &[], batch, &mut NoTrace);
    assert!(batch.is_empty() && batch.verdicts().is_empty());
    assert!(batch.outputs().is_empty() && batch.events().is_empty());
}

#[test]
fn a_trace_reads_as_a_story() {
    let mut switch = lab().with(vm(2), |port| port.acl_out.ip = Some(no_dns())).build();
    switch.send(vm(1), &udp(mac(1), MacAddr::BROADCAST, &[]));
    let lines = switch.trace.lines(0, &switch.view.snapshot);
    assert_eq!(
        lines,
        [
            "received at Vethernet1",
            "VLAN 10",
            "F6: broadcast and multicast go to the local members and once to the pinned uplink",
            "access list NO-DNS out of Vethernet2: 10 deny",
            "refused by Vethernet2: acl-egress",
            "leaves by Vethernet3",
            "leaves by Ethernet3/1, tag of VLAN 10 pushed",
            "forwarded",
        ]
    );
    assert_eq!(StepTrace::default().rules(0), [] as [Rule; 0]);
}

#[test]
fn an_access_vlan_that_no_uplink_carries_stays_on_the_host() {
    let mut switch = lab().vm(7, access(99)).vm(8, access(99)).build();
    assert_eq!(switch.send(vm(7), &udp(mac(7), mac(8), &[])), sent(&[(vm(8), Keep)]));
    assert_eq!(switch.send(vm(7), &udp(mac(7), mac(9), &[])), dropped(NoUplink));
}
