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

/// How many octets hold all that the key has of a plain packet: addresses, a tag, an IPv4 header
/// without options, and a TCP header up to its flags.
const PLAIN_LEN: usize = ethernet::HEADER_LEN + vlan::TAG_LEN + PLAIN_PACKET_LEN;
/// The same from the network header on.
const PLAIN_PACKET_LEN: usize = ipv4::HEADER_LEN + Ports::octets(IpProto::TCP);
/// The same of UDP, of which less is read.
const PLAIN_UDP_LEN: usize = ipv4::HEADER_LEN + Ports::octets(IpProto::UDP);

/// Reads what classification, lookup and hashing need.
///
/// `frame` may be only the first contiguous bytes of a longer frame: what lies beyond them is left
/// empty (`L3::Other`, `has_l4` false), it is not an error. `None` when the bytes are fewer than an
/// Ethernet header, or end inside the 802.1Q tag.
#[must_use]
#[inline]
pub fn parse(frame: &[u8]) -> Option<FrameKey> {
    let mut key = FrameKey::EMPTY;
    key.read(frame).then_some(key)
}

impl FrameKey {
    /// Makes this the key of a frame, as [`parse`] does; false, and the key means nothing, where
    /// that has none. In place, because a key is a cache line: one that is made and handed on costs
    /// as much to copy as to read.
    ///
    /// Nearly every frame is TCP or UDP over IPv4 without options, whole and with all its headers
    /// in these bytes: for those one look at the length is enough, and a third of the work.
    #[must_use]
    #[inline(always)]
    pub fn read(&mut self, frame: &[u8]) -> bool {
        match frame.first_chunk() {
            Some(head) if self.read_plain(head) => true,
            _ => self.read_any(frame).is_some(),
        }
    }

    /// Reads a plain packet, untagged or with one tag; false, with some fields written, when it is
    /// none.
    #[inline(always)]
    fn read_plain(&mut self, frame: &[u8; PLAIN_LEN]) -> bool {
        let Some((header, rest)) = ethernet::Header::split(frame) else { return false };
        let packet = match header.ether_type() {
            EtherType::IPV4 => {
                (self.tag, self.l3_offset) = (None, L3_UNTAGGED);
                rest.first_chunk()
            }
            EtherType::VLAN => {
                let Some((tag, rest)) = vlan::Header::split(rest) else { return false };
                (self.tag, self.l3_offset) = (Some(tag.tag()), L3_TAGGED);
                rest.first_chunk().filter(|_| tag.ether_type() == EtherType::IPV4)
            }
            _ => None,
        };
        (self.dst, self.src, self.ether_type) = (header.dst(), header.src(), EtherType::IPV4);
        packet.is_some_and(|packet| self.read_plain_ipv4(packet))
    }

    /// Reads the rest of a packet that is whole TCP or UDP behind a header without options; false,
    /// with some fields written, when it is not.
    #[inline(always)]
    fn read_plain_ipv4(&mut self, packet: &[u8; PLAIN_PACKET_LEN]) -> bool {
        let Some(header) = ipv4::Header::plain(packet) else { return false };
        let Some(segment) = packet.get(ipv4::HEADER_LEN..) else { return false };
        let (proto, total_len) = (header.protocol(), usize::from(header.total_len()));
        let is_read = match proto {
            IpProto::TCP if total_len >= PLAIN_PACKET_LEN => self.read_l4(IpProto::TCP, segment),
            IpProto::UDP if total_len >= PLAIN_UDP_LEN => self.read_l4(IpProto::UDP, segment),
            _ => false,
        };
        if !is_read {
            return false;
        }
        self.ip_src = u128::from(header.source());
        self.ip_dst = u128::from(header.destination());
        (self.l3, self.fragment) = (L3::Ipv4, Fragment::Whole);
        (self.proto, self.dscp_bits) = (proto, header.dscp_bits());
        self.l4_offset = u16::from(self.l3_offset) + ipv4::HEADER_LEN as u16;
        true
    }

    /// Reads the L4 header at the start of `segment`, if it has one and that is whole.
    #[inline(always)]
    fn read_l4(&mut self, proto: IpProto, segment: &[u8]) -> bool {
        let Some(ports) = Ports::read(proto, segment) else { return false };
        self.has_l4 = true;
        (self.l4_src, self.l4_dst, self.tcp_flags) = (ports.src, ports.dst, ports.tcp_flags);
        true
    }

    /// Reads any frame; `None` where there is no key.
    #[inline(never)]
    fn read_any(&mut self, frame: &[u8]) -> Option<()> {
        let (header, mut rest) = ethernet::Header::split(frame)?;
        let (dst, src, ether_type) = (header.dst(), header.src(), header.ether_type());
        *self = Self { dst, src, ether_type, ..Self::EMPTY };
        if ether_type == EtherType::VLAN {
            let (tag, behind) = vlan::Header::split(rest)?;
            (self.tag, self.ether_type) = (Some(tag.tag()), tag.ether_type());
            self.l3_offset = L3_TAGGED;
            rest = behind;
        }
        match self.ether_type {
            EtherType::IPV4 => read_ipv4(self, rest),
            EtherType::IPV6 => read_ipv6(self, rest),
            _ => {}
        }
        Some(())
    }
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
    if key.read_l4(key.proto, segment) {
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
