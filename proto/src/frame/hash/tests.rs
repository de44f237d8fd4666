use super::*;
use crate::frame::build::FrameBuilder;
use crate::frame::{Tag, parse};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use proptest::prelude::*;

fn vlan(vid: u32) -> VlanId {
    VlanId::new(vid).unwrap()
}

fn udp_key(src: [u8; 6], ips: (u32, u32), ports: (u16, u16), payload: &[u8]) -> FrameKey {
    let address = |ip, port| SocketAddr::new(IpAddr::V4(Ipv4Addr::from_bits(ip)), port);
    let builder = FrameBuilder::new(MacAddr::new(src), MacAddr::new([2, 0, 0, 0, 0, 0xff]));
    let (src, dst) = (address(ips.0, ports.0), address(ips.1, ports.1));
    parse(&builder.udp(src, dst, payload)).unwrap()
}

fn sample() -> FrameKey {
    udp_key([2, 0, 0, 0, 0, 1], (0xc000_0201, 0xc000_0202), (4000, 53), b"")
}

#[test]
fn names_are_those_of_nx_os() {
    let names = FlowHash::ALL.map(FlowHash::name);
    assert_eq!(
        names,
        [
            "source-mac",
            "source-dest-mac",
            "source-dest-ip",
            "source-dest-ip-port",
            "source-dest-ip-port-vlan"
        ]
    );
    for hash in FlowHash::ALL {
        assert_eq!(FlowHash::from_name(hash.name()), Some(hash));
    }
    assert_eq!(FlowHash::from_name("source-virtual-port-id"), None);
}

#[test]
fn values_are_the_same_in_every_release() {
    let hashes = FlowHash::ALL.map(|fields| sample().flow_hash(fields, vlan(10)));
    assert_eq!(hashes, [3973655025, 4269406502, 1260912590, 2820530663, 3311430530]);
}

/// Which choices see a change to the sample.
fn check(change: impl Fn(&mut FrameKey), vid: u32, sees: [bool; 5]) {
    let mut changed = sample();
    change(&mut changed);
    let differs =
        FlowHash::ALL.map(|f| sample().flow_hash(f, vlan(10)) != changed.flow_hash(f, vlan(vid)));
    assert_eq!(differs, sees);
}

#[test]
fn each_choice_looks_at_its_fields_alone() {
    let mac = MacAddr::new([2, 0, 0, 0, 0, 9]);
    check(|_| {}, 10, [false; 5]);
    check(|k| k.src = mac, 10, [true, true, false, false, false]);
    check(|k| k.dst = mac, 10, [false, true, false, false, false]);
    check(|k| k.ip_src += 1, 10, [false, false, true, true, true]);
    check(|k| k.ip_dst += 1, 10, [false, false, true, true, true]);
    check(|k| k.l4_src += 1, 10, [false, false, false, true, true]);
    check(|k| k.l4_dst += 1, 10, [false, false, false, true, true]);
    check(|_| {}, 11, [false, false, false, false, true]);
    // The VLAN is what the caller says, not the tag; and priority makes no flow.
    check(|k| k.tag = Some(Tag { tci: 0xe00b }), 10, [false; 5]);
    check(|k| k.dscp_bits = 46, 10, [false; 5]);
}

#[test]
fn without_ip_the_addresses_are_macs() {
    let mut key = sample();
    (key.l3, key.has_l4) = (L3::Other, false);
    for fields in [FlowHash::SourceDestIp, FlowHash::SourceDestIpPort] {
        let mut other = key;
        other.src = MacAddr::new([2, 0, 0, 0, 0, 9]);
        assert_ne!(key.flow_hash(fields, vlan(1)), other.flow_hash(fields, vlan(1)));
    }
}

#[test]
fn fragments_and_icmp_go_by_addresses_alone() {
    let fields = FlowHash::SourceDestIpPort;
    let mut first = sample();
    first.fragment = Fragment::First;
    let mut later = sample();
    (later.fragment, later.has_l4, later.l4_src, later.l4_dst) = (Fragment::Later, false, 0, 0);
    assert_eq!(first.flow_hash(fields, vlan(1)), later.flow_hash(fields, vlan(1)));

    let mut request = sample();
    (request.proto, request.l4_src, request.l4_dst) = (IpProto::ICMP, 8, 0);
    let mut reply = request;
    reply.l4_src = 0;
    assert_eq!(request.flow_hash(fields, vlan(1)), reply.flow_hash(fields, vlan(1)));
}

/// 4,096 flows over 2 to 8 members: none may be off its share by more than a fifth (4.8
/// standard deviations of a fair draw at 8 members).
fn check_spread(hash_of: impl Fn(u32) -> u32) {
    for members in 2..=8u64 {
        let mut load = [0u32; 8];
        for flow in 0..4096 {
            load[((u64::from(hash_of(flow)) * members) >> 32) as usize] += 1;
        }
        let share = 4096 / members as u32;
        let off = load[..members as usize].iter().map(|l| l.abs_diff(share)).max().unwrap();
        assert!(off <= share / 5, "{members} members: {load:?}");
    }
}

#[test]
fn flows_that_count_up_spread_evenly() {
    let base = sample();
    check_spread(|i| {
        let key = FrameKey { src: MacAddr::from_u64(0x0200_0000_0000 + u64::from(i)), ..base };
        key.flow_hash(FlowHash::SourceMac, vlan(1))
    });
    check_spread(|i| {
        let key = FrameKey { ip_src: 0x0a00_0000 + u128::from(i), ..base };
        key.flow_hash(FlowHash::SourceDestIp, vlan(1))
    });
    check_spread(|i| {
        let key = FrameKey { l4_src: 32768 + i as u16, ..base };
        key.flow_hash(FlowHash::SourceDestIpPort, vlan(1))
    });
    check_spread(|i| {
        let ip_src = 0x2001_0db8 << 96 | u128::from(i) << 64;
        let key = FrameKey { l3: L3::Ipv6, ip_src, ..base };
        key.flow_hash(FlowHash::SourceDestIp, vlan(1))
    });
    check_spread(|i| base.flow_hash(FlowHash::SourceDestIpPortVlan, vlan(i % 4094 + 1)));
}

proptest! {
    #[test]
    fn one_flow_one_hash(
        ips: (u32, u32),
        ports: (u16, u16),
        payloads in any::<(Vec<u8>, Vec<u8>)>(),
        vid in 1..=4094u32,
    ) {
        let one = udp_key([2, 0, 0, 0, 0, 1], ips, ports, &payloads.0);
        let two = udp_key([2, 0, 0, 0, 0, 1], ips, ports, &payloads.1);
        for fields in FlowHash::ALL {
            prop_assert_eq!(one.flow_hash(fields, vlan(vid)), two.flow_hash(fields, vlan(vid)));
        }
    }
}
