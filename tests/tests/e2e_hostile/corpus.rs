//! Good frames of every kind, to be spoilt.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddrV4, SocketAddrV6};

use proto::{EtherType, IpProto, MacAddr, VlanId};
use tests::frames::{EXPERIMENTAL, Frame, Tag, control};
use tests::mutate::{SplitMix64, mutate};

/// Frames that each port is attacked with.
pub(crate) const FRAMES: usize = 10_000;

/// Longest frame of an interface whose MTU is 9000, with a tag.
const LEN_MAX: usize = 9000 + 18;

/// 802.1Q service tag, and a second EtherType for experiments.
const SERVICE: EtherType = EtherType::SERVICE_VLAN;
const EXPERIMENTAL_2: EtherType = EtherType::new(0x88b6);

/// Next header numbers of IPv6 extension headers (RFC 8200 section 4): hop-by-hop, routing,
/// fragment, destination options; authentication (RFC 4302) and encapsulating payload (RFC 4303).
const HOP_BY_HOP: u8 = 0;
const ROUTING: u8 = 43;
const FRAGMENT: u8 = 44;
const OPTIONS: u8 = 60;
const AUTHENTICATION: u8 = 51;
const ENCAPSULATING: u8 = 50;

const V4: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 1);
const V4_TO: Ipv4Addr = Ipv4Addr::new(10, 0, 0, 2);
const V6: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const V6_TO: Ipv6Addr = Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// What is sent, from whom.
#[derive(Debug, Clone)]
pub(crate) struct Corpus<'a> {
    /// Sources.
    pub(crate) from: &'a [MacAddr],
    /// Destinations; broadcast and multicast come by themselves.
    pub(crate) to: &'a [MacAddr],
    /// VIDs of the outer tag, 0 for no tag.
    pub(crate) vids: &'a [u16],
}

/// [`FRAMES`] spoilt frames.
pub(crate) fn mutants(corpus: &Corpus<'_>, seed: u64) -> Vec<Vec<u8>> {
    let good = corpus.frames();
    let mut random = SplitMix64::new(seed);
    (0..FRAMES).map(|_| mutate(&good[random.below(good.len())], &mut random, LEN_MAX)).collect()
}

impl Corpus<'_> {
    /// The good frames.
    fn frames(&self) -> Vec<Vec<u8>> {
        let groups = [
            MacAddr::BROADCAST,
            MacAddr::new([1, 0, 0x5e, 1, 2, 3]),
            MacAddr::new([0x33, 0x33, 0, 1, 2, 3]),
        ];
        let mut frames = Vec::new();
        for &src in self.from {
            for dst in self.to.iter().chain(&groups) {
                for &vid in self.vids {
                    let start = Frame::new(src, *dst);
                    let start = match vid {
                        0 => start,
                        _ => start.tag(Tag { tpid: EtherType::VLAN, tci: vid }),
                    };
                    ipv4(&start, &mut frames);
                    ipv6(&start, &mut frames);
                    others(&start, &mut frames);
                }
            }
            frames.extend(protocols(src));
        }
        frames
    }
}

fn ipv4(start: &Frame, frames: &mut Vec<Vec<u8>>) {
    let start = || start.clone();
    let (src, dst) = (SocketAddrV4::new(V4, 4000), SocketAddrV4::new(V4_TO, 53));
    let udp = start().udp4(src, dst, b"a question");
    let ip_at = udp.windows(2).position(|pair| pair == [0x45, 0]).expect("an IPv4 header");
    // First, middle and last fragment; the checksum is wrong, as often.
    for field in [0x2000_u16, 0x2001, 0x0002] {
        let mut fragment = udp.clone();
        fragment[ip_at + 6..ip_at + 8].copy_from_slice(&field.to_be_bytes());
        frames.push(fragment);
    }
    frames.push(udp);
    for flags in [0x02, 0x12, 0x10, 0x04, 0x3f, 0] {
        frames.push(start().tcp4(src, dst, flags, b"data"));
    }
    frames.push(start().echo4(V4, V4_TO, 7, 1));
    for protocol in [IpProto::SCTP, IpProto::new(2), IpProto::new(47), IpProto::new(255)] {
        frames.push(start().ipv4(protocol, V4, V4_TO, &[0x16, 0, 0xee, 0x9b, 224, 0, 0, 1]));
    }
    // All forty bytes of options, and a packet that ends with its header.
    let options = [&[0x4f, 0, 0, 68][..], &[0; 5], &[17, 0, 0], &[10, 0, 0, 1, 10, 0, 0, 2]];
    frames.push(start().payload(EtherType::IPV4, &[&options.concat()[..], &[1; 48]].concat()));
    frames.push(start().ipv4(IpProto::TCP, V4, V4_TO, &[]));
    frames.push(start().udp4(src, dst, &[0x5a; 8_900]));
}

fn ipv6(start: &Frame, frames: &mut Vec<Vec<u8>>) {
    let start = || start.clone();
    let (src, dst) = (SocketAddrV6::new(V6, 4000, 0, 0), SocketAddrV6::new(V6_TO, 53, 0, 0));
    frames.push(start().udp6(src, dst, b"a question"));
    let tcp = [0x0f, 0xa0, 0, 80, 0, 0, 0, 1, 0, 0, 0, 1, 0x50, 2, 0xff, 0xff, 0, 0, 0, 0];
    frames.push(start().ipv6(IpProto::TCP, V6, V6_TO, &tcp));
    // Neighbour solicitation (RFC 4861 section 4.3).
    let ask = [&[135, 0, 0, 0, 0, 0, 0, 0][..], &V6_TO.octets()].concat();
    frames.push(start().ipv6(IpProto::ICMPV6, V6, V6_TO, &ask));
    for chain in [
        &[HOP_BY_HOP, ROUTING, FRAGMENT, OPTIONS][..],
        &[FRAGMENT],
        &[AUTHENTICATION, OPTIONS],
        &[ENCAPSULATING],
        &[OPTIONS; 12],
        &[HOP_BY_HOP; 9],
    ] {
        // Each header names the next one; the last one TCP.
        let next = chain[1..].iter().copied().chain([IpProto::TCP.get()]);
        let mut body: Vec<u8> = next.flat_map(|next| [next, 0, 1, 4, 0, 0, 0, 0]).collect();
        body.extend(tcp);
        frames.push(start().ipv6(IpProto::new(chain[0]), V6, V6_TO, &body));
    }
    frames.push(start().udp6(src, dst, &[0xa5; 8_900]));
}

fn others(start: &Frame, frames: &mut Vec<Vec<u8>>) {
    let start = || start.clone();
    let nobody = (MacAddr::ZERO, V4_TO);
    let vlan_20 = VlanId::new(20_u16).expect("a VLAN");
    let asker = (MacAddr::new([2, 0, 0, 0, 0, 0xa]), V4);
    frames.extend([1, 2, 9].map(|operation| start().arp(operation, asker, nobody)));
    frames.push(start().payload(EXPERIMENTAL, b"anything"));
    frames.push(start().payload(EXPERIMENTAL_2, b"anything"));
    frames.push(start().payload(EtherType::RARP, &[0; 28]));
    // 802.3 with SNAP (RFC 1042), and an empty one.
    frames.push(start().llc(&[0xaa, 0xaa, 3, 0, 0, 0, 8, 0, 0x45, 0, 0, 20]));
    frames.push(start().llc(&[]));
    frames.push(start().vlan(vlan_20).echo4(V4, V4_TO, 1, 1));
    for (tpid, tci) in [
        (EtherType::VLAN, 0xe000),
        (EtherType::VLAN, 4095),
        (SERVICE, 20),
        (SERVICE, 10),
        (EtherType::VLAN, 20),
    ] {
        let tagged = start().tag(Tag { tpid, tci });
        frames.push(tagged.clone().marker(1));
        frames.push(tagged.vlan(vlan_20).echo4(V4, V4_TO, 1, 1));
    }
    // A runt: addresses and an EtherType whose header is missing.
    for ethertype in [EtherType::IPV4, EtherType::IPV6, EtherType::ARP, EtherType::VLAN] {
        let mut runt = start().payload(ethertype, &[]);
        let zeros = runt.iter().rev().take_while(|byte| **byte == 0).count();
        runt.truncate(runt.len() - zeros);
        frames.push(runt);
    }
}

/// What switches say to each other.
fn protocols(src: MacAddr) -> Vec<Vec<u8>> {
    let vlan_10 = VlanId::new(10_u16).expect("a VLAN");
    vec![
        control::stp(src),
        control::stp_topology_change(src),
        control::rstp(src),
        control::mstp(src),
        control::pvst(src, vlan_10),
        control::pvst_untagged(src, vlan_10),
        control::lldp(src),
        control::lacp(src),
        control::lacp_marker(src, 7),
        control::cdp(src),
        control::pause(src),
    ]
}
