//! One pass over the head of a frame: bytes in, [`FrameKey`] out.
//!
//! *Where it sits:* the first stage of the forwarding core, and of everything that describes a
//! frame (trace, capture filters). It uses the header views of this directory.
//!
//! *Invariants:* (1) no input panics; (2) every offset in a key lies inside the bytes given; (3)
//! nothing is read beyond the length that the IP header claims, so Ethernet padding is never taken
//! for ports.
//!
//! *Not here:* checksums (a wrong one is the receiver's business) and what lies inside tunnels or
//! behind a second tag.

use super::key::{Fragment, FrameKey, L3};
use super::l4::Ports;
use super::{ethernet, ipv4, ipv6, vlan};
use crate::types::{EtherType, IpProto};

/// Offset of the network header in an untagged frame.
const L3_UNTAGGED: u8 = ethernet::HEADER_LEN as u8;
/// Offset of the network header behind one tag.
const L3_TAGGED: u8 = (ethernet::HEADER_LEN + vlan::TAG_LEN) as u8;

/// Reads what classification, lookup and hashing need.
///
/// `frame` may be only the first contiguous bytes of a longer frame: what lies beyond them is left
/// empty (`L3::Other`, `has_l4` false), it is not an error. `None` when the bytes are fewer than an
/// Ethernet header, or end inside the 802.1Q tag.
#[must_use]
#[inline]
pub fn parse(frame: &[u8]) -> Option<FrameKey> {
    let (header, mut rest) = ethernet::Header::split(frame)?;
    let mut key = FrameKey {
        ip_src: 0,
        ip_dst: 0,
        dst: header.dst(),
        src: header.src(),
        tag: None,
        ether_type: header.ether_type(),
        l3_offset: L3_UNTAGGED,
        l3: L3::Other,
        fragment: Fragment::Whole,
        proto: IpProto::new(0),
        dscp_bits: 0,
        has_l4: false,
        tcp_flags: 0,
        l4_src: 0,
        l4_dst: 0,
        l4_offset: 0,
    };
    if key.ether_type == EtherType::VLAN {
        let (tag, behind) = vlan::Header::split(rest)?;
        key.tag = Some(tag.tag());
        key.ether_type = tag.ether_type();
        key.l3_offset = L3_TAGGED;
        rest = behind;
    }
    match key.ether_type {
        EtherType::IPV4 => read_ipv4(&mut key, rest),
        EtherType::IPV6 => read_ipv6(&mut key, rest),
        _ => {}
    }
    Some(key)
}

/// Fills in what an IPv4 header says, and its L4 header when that is there.
#[inline]
fn read_ipv4(key: &mut FrameKey, packet: &[u8]) {
    let Some(header) = ipv4::Header::new_checked(packet) else { return };
    key.l3 = L3::Ipv4;
    key.ip_src = u128::from(header.source());
    key.ip_dst = u128::from(header.destination());
    key.dscp_bits = header.dscp_bits();
    key.proto = header.protocol();
    key.fragment = header.fragment();
    if key.fragment != Fragment::Later {
        read_l4(key, packet, header.header_len(), usize::from(header.total_len()));
    }
}

/// Fills in what an IPv6 header says, and the L4 header behind its extension headers when that is
/// there.
#[inline]
fn read_ipv6(key: &mut FrameKey, packet: &[u8]) {
    let Some(header) = ipv6::Header::new_checked(packet) else { return };
    key.l3 = L3::Ipv6;
    key.ip_src = header.source();
    key.ip_dst = header.destination();
    key.dscp_bits = header.dscp_bits();
    let end = ipv6::HEADER_LEN + usize::from(header.payload_len());
    let payload = packet.get(ipv6::HEADER_LEN..end.min(packet.len())).unwrap_or_default();
    let upper = ipv6::walk(header.next_header(), payload);
    key.proto = upper.proto;
    key.fragment = upper.fragment;
    if key.fragment != Fragment::Later {
        read_l4(key, packet, ipv6::HEADER_LEN + upper.offset, end);
    }
}

/// Reads the L4 header that starts at `start` of `packet`, if it lies before `end` (where the
/// packet ends by its own account) and inside the bytes given.
#[inline]
fn read_l4(key: &mut FrameKey, packet: &[u8], start: usize, end: usize) {
    let Some(segment) = packet.get(start..end.min(packet.len())) else { return };
    if let Some(ports) = Ports::read(key.proto, segment) {
        key.has_l4 = true;
        key.l4_src = ports.src;
        key.l4_dst = ports.dst;
        key.tcp_flags = ports.tcp_flags;
        // At most 18 + 40 + 8 extension headers of 2,048 octets: it fits.
        key.l4_offset = u16::from(key.l3_offset) + start as u16;
    }
}

/// How many octets at the start of `frame`, of which `key` was read, the switch decides by: both
/// addresses, the outer tag, the IP header with all that stands before L4, and of that what the key
/// holds. Whatever is written behind them changes no decision that was taken on the key.
///
/// `None`: as far as can be seen, all of them, because a header that has to be there is not whole.
#[must_use]
pub fn decided_len(frame: &[u8], key: &FrameKey) -> Option<usize> {
    let l3_offset = usize::from(key.l3_offset);
    if key.has_l4 {
        return Some(usize::from(key.l4_offset) + Ports::octets(key.proto));
    }
    let packet = frame.get(l3_offset..)?;
    match key.l3 {
        L3::Ipv4 => Some(l3_offset + ipv4::Header::new_checked(packet)?.header_len()),
        L3::Ipv6 => {
            let header = ipv6::Header::new_checked(packet)?;
            let upper = ipv6::walk(header.next_header(), packet.get(ipv6::HEADER_LEN..)?);
            let is_passed = !ipv6::is_extension(upper.proto) || upper.fragment == Fragment::Later;
            is_passed.then_some(l3_offset + ipv6::HEADER_LEN + upper.offset)
        }
        L3::Other => match key.ether_type {
            EtherType::IPV4 | EtherType::IPV6 | EtherType::ARP | EtherType::RARP => None,
            _ => Some(l3_offset),
        },
    }
}

#[cfg(test)]
mod tests;
