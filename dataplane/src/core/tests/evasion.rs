//! Ways around access lists and VLANs that a hostile VM may try: each has to end in a drop.

use std::net::{Ipv4Addr, Ipv6Addr};

use policy::acl::{
    Acl, AclKind, Action, AddressMatch, Entry, IpMatch, Match, PortMatch, Rule as AclRule,
};
use policy::config::Name;
use proto::DropReason::*;
use proto::frame::TagEdit::{Keep, Push};
use proto::frame::build::FrameBuilder;
use proto::{EtherType, IpProto};

use super::lab::*;

const TCP: IpProto = IpProto::TCP;
/// IPv6 destination options: an extension header.
const OPTIONS: IpProto = IpProto::new(60);

fn no_ssh() -> Name {
    "NO-SSH6".parse().unwrap()
}

/// `deny tcp any any eq 22`, `permit ipv6 any any`.
fn no_ssh_list() -> Acl {
    let any = AddressMatch::ANY_V6;
    let rule = |action, proto, port: Option<u16>| {
        let matches = Match::Ip(IpMatch {
            proto,
            src: any,
            dst: any,
            src_port: None,
            dst_port: port.map(PortMatch::Eq),
            tcp: None,
            icmp: None,
            dscp: None,
            fragments: false,
        });
        Entry::Rule(AclRule { action, matches, log: false })
    };
    let mut acl = Acl::new(AclKind::Ipv6);
    acl.entries.insert(10, rule(Action::Deny, Some(TCP), Some(22)));
    acl.entries.insert(20, rule(Action::Permit, None, None));
    acl
}

/// VM 1 on an access port and VM 3 on a trunk, both bound to lists; VM 2 hears them.
fn lab() -> Lab {
    let bind = |port: &mut policy::intent::PortIntent| {
        port.acl_in.ip = Some(no_dns());
        port.acl_in.ipv6 = Some(no_ssh());
    };
    let mut lab = Lab::default()
        .nic(1, trunk(10, &[10, 20]))
        .vm(1, access(10))
        .vm(2, access(10))
        .vm(3, trunk(20, &[10, 20]))
        .no_dns()
        .with(vm(1), bind)
        .with(vm(3), bind);
    lab.intent.acls.insert(no_ssh(), no_ssh_list());
    lab
}

fn to_vm2(from: u32) -> FrameBuilder {
    FrameBuilder::new(mac(from), mac(2))
}

fn v4(builder: FrameBuilder, proto: IpProto, payload: &[u8]) -> Vec<u8> {
    let (src, dst) = (Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2));
    builder.ip(src.into(), dst.into(), proto, payload)
}

fn v6(next: IpProto, payload: &[u8]) -> Vec<u8> {
    let (src, dst) = (Ipv6Addr::from_bits(1), Ipv6Addr::from_bits(2));
    to_vm2(1).ip(src.into(), dst.into(), next, payload)
}

/// A UDP header from port 999 to this one.
fn udp_header(port: u16) -> Vec<u8> {
    [&999u16.to_be_bytes()[..], &port.to_be_bytes(), &[0, 8, 0, 0]].concat()
}

/// A TCP header, SYN, from port 999 to this one.
fn tcp_header(port: u16) -> Vec<u8> {
    let rest = [0, 0, 0, 1, 0, 0, 0, 0, 0x50, 0x02, 0xff, 0xff, 0, 0, 0, 0];
    [&999u16.to_be_bytes()[..], &port.to_be_bytes(), &rest].concat()
}

#[test]
fn a_tag_of_vid_zero_does_not_hide_a_packet_from_a_list() {
    let mut switch = lab().build();
    let (zero, ten) = (tci(0, 0), tci(0, 10));
    let plain = v4(to_vm2(1), IpProto::UDP, &udp_header(53));
    assert_eq!(switch.send(vm(1), &plain), dropped(AclIngress));
    for tpid in [EtherType::VLAN, EtherType::SERVICE_VLAN] {
        // Linux takes both off, one behind the other, and hands the packet to IP.
        let on_trunk = to_vm2(3).tag(ten).tag_as(tpid, zero);
        let hidden = v4(on_trunk, IpProto::UDP, &udp_header(53));
        assert_eq!(switch.send(vm(3), &hidden), dropped(AclIngress), "{tpid:?}");
        let stacked = to_vm2(1).tag(zero).tag_as(tpid, zero);
        let hidden = v4(stacked, IpProto::UDP, &udp_header(53));
        assert_eq!(switch.send(vm(1), &hidden), dropped(TagOnAccess), "{tpid:?}");
    }
    let service = to_vm2(1).tag_as(EtherType::SERVICE_VLAN, zero);
    let hidden = v4(service, IpProto::UDP, &udp_header(53));
    assert_eq!(switch.send(vm(1), &hidden), dropped(TagOnAccess));
    // Of the other direction, too: a list at the receiver.
    let receiver = Lab::default()
        .vm(2, access(10))
        .vm(3, trunk(20, &[10]))
        .no_dns()
        .with(vm(2), |port| port.acl_out.ip = Some(no_dns()));
    let hidden = to_vm2(3).tag(ten).tag(zero);
    let hidden = v4(hidden, IpProto::UDP, &udp_header(53));
    assert_eq!(receiver.build().send(vm(3), &hidden), dropped(AclEgress));
}

#[test]
fn a_service_tag_is_no_way_into_another_vlan() {
    let hop = tci(0, 20);
    let lab = Lab::default().nic(1, trunk(10, &[10, 20])).vm(1, trunk(10, &[10]));
    let frame = |tags: &[EtherType]| {
        let start = FrameBuilder::new(mac(1), mac(100));
        let builder = tags.iter().fold(start, |builder, tpid| match *tpid {
            EtherType::VLAN => builder.tag(tci(0, 10)),
            tpid => builder.tag_as(tpid, hop),
        });
        builder.payload(EtherType::new(0x88b5), &[0; 46])
    };
    let mut switch = lab.build();
    // Untagged, the native VLAN of the uplink, the service tag would be the frame's first.
    let pushed = sent(&[(nic(1), Push(tci(0, 10)))]);
    assert_eq!(switch.send(vm(1), &frame(&[EtherType::SERVICE_VLAN])), pushed);
    let kept = sent(&[(nic(1), Keep)]);
    assert_eq!(switch.send(vm(1), &frame(&[EtherType::VLAN, EtherType::SERVICE_VLAN])), kept);
}

#[test]
fn a_first_fragment_cut_before_its_ports_is_denied_by_a_list() {
    let mut switch = lab().build();
    let mut first = v4(to_vm2(1), TCP, &tcp_header(80)[..8]);
    // More fragments: the flags would come in the next one (RFC 1858).
    first[20..22].copy_from_slice(&[0x20, 0]);
    assert_eq!(switch.send(vm(1), &first), dropped(AclIngress));
    let mut whole = v4(to_vm2(1), IpProto::UDP, &udp_header(53));
    // A total length that ends before the ports.
    whole[16..18].copy_from_slice(&[0, 22]);
    assert_eq!(switch.send(vm(1), &whole), dropped(AclIngress));
    // Later fragments show no ports by nature, and go by the rules that ask for none.
    let mut later = v4(to_vm2(1), TCP, &tcp_header(80));
    later[20..22].copy_from_slice(&[0, 100]);
    assert_eq!(switch.send(vm(1), &later), sent(&[(vm(2), Keep)]));
}

#[test]
fn a_chain_of_extension_headers_does_not_hide_a_port_from_a_list() {
    let mut switch = lab().build();
    let chain = |count: usize| -> Vec<u8> {
        let header = |next: IpProto| [next.get(), 0, 1, 4, 0, 0, 0, 0];
        let mut bytes: Vec<u8> = (1..count).flat_map(|_| header(OPTIONS)).collect();
        bytes.extend(header(TCP));
        bytes.extend(tcp_header(22));
        bytes
    };
    for count in [1, 8, 9, 100] {
        let outcome = switch.send(vm(1), &v6(OPTIONS, &chain(count)));
        assert_eq!(outcome, dropped(AclIngress), "{count}");
    }
    // A header that claims to be longer than the packet.
    assert_eq!(switch.send(vm(1), &v6(OPTIONS, &[6, 255, 1, 4, 0, 0, 0, 0])), dropped(AclIngress));
    assert_eq!(switch.send(vm(1), &v6(TCP, &tcp_header(80))), sent(&[(vm(2), Keep)]));
    assert_eq!(switch.send(vm(1), &v6(TCP, &tcp_header(22))), dropped(AclIngress));
}
