//! What the switch needs to know of a frame, read in one pass.

use super::l4::Ports;
use super::{ethernet, ipv6};
use crate::types::{Dscp, EtherType, IpProto, MacAddr, Pcp, VlanId};

/// An 802.1Q tag as it stands in a frame (IEEE 802.1Q-2018 clause 9.6).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Tag control information: PCP (3 bits), DEI (1 bit), VID (12 bits).
    pub tci: u16,
}

impl Tag {
    /// The raw VLAN identifier, 0..=4095: 0 is a priority tag, 4095 is reserved.
    #[must_use]
    #[inline]
    pub const fn vid(self) -> u16 {
        self.tci & 0x0fff
    }

    /// The VLAN, when the identifier names one.
    #[must_use]
    #[inline]
    pub fn vlan(self) -> Option<VlanId> {
        VlanId::new(self.vid()).ok()
    }

    /// The three priority bits.
    #[must_use]
    #[inline]
    pub const fn pcp_bits(self) -> u8 {
        (self.tci >> 13) as u8
    }

    /// The priority.
    #[must_use]
    pub fn pcp(self) -> Option<Pcp> {
        Pcp::new(self.pcp_bits()).ok()
    }

    /// The same priority and drop-eligible bits with another VLAN.
    #[must_use]
    #[inline]
    pub const fn with_vlan(self, vlan: VlanId) -> Self {
        Self { tci: (self.tci & 0xf000) | vlan.get() }
    }
}

/// The network layer of a frame, as far as access lists and hashing go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum L3 {
    /// Neither of the below, or too short or wrong to be read as what its EtherType says.
    Other,
    /// A well-formed IPv4 header (RFC 791).
    Ipv4,
    /// A well-formed IPv6 header (RFC 8200).
    Ipv6,
}

/// Where in a fragmented IP packet this frame stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Fragment {
    /// Not fragmented.
    Whole,
    /// Offset 0 with more to come: it has the L4 header.
    First,
    /// Offset above 0: it has no L4 header, so no rule on ports can be decided.
    Later,
}

/// The fields that classification, lookup and hashing read. `Copy`, no borrow of the frame.
///
/// IPv4 addresses stand in the low 32 bits of the `u128` fields. Fields that the frame does not
/// have are 0; `has_l4` says whether ports, flags, type and code are real.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameKey {
    /// Source address of the IP header, big-endian value; IPv4 in the low 32 bits.
    pub ip_src: u128,
    /// Destination address of the IP header, as `ip_src`.
    pub ip_dst: u128,
    /// Destination MAC.
    pub dst: MacAddr,
    /// Source MAC.
    pub src: MacAddr,
    /// The outer 802.1Q tag (TPID 0x8100), if there is one. Inner tags are payload.
    pub tag: Option<Tag>,
    /// EtherType after the outer tag; below 0x0600 it is a length (LLC).
    pub ether_type: EtherType,
    /// Offset of the network header from the start of the frame: 14, or 18 with a tag.
    pub l3_offset: u8,
    /// What stands there.
    pub l3: L3,
    /// Fragmentation.
    pub fragment: Fragment,
    /// IP protocol: of IPv6 the one after the extension headers, walked to a bound; the number of
    /// an extension header when the walk could not pass it.
    pub proto: IpProto,
    /// Differentiated services code point, 0..=63; 0 without IP.
    pub dscp_bits: u8,
    /// TCP, UDP, SCTP or ICMP header present in full (as far as the fields below reach).
    pub has_l4: bool,
    /// TCP flags (RFC 9293 section 3.1: FIN is bit 0, SYN 1, RST 2, PSH 3, ACK 4, URG 5).
    pub tcp_flags: u8,
    /// Source port of TCP, UDP or SCTP; ICMP type.
    pub l4_src: u16,
    /// Destination port of TCP, UDP or SCTP; ICMP code.
    pub l4_dst: u16,
    /// Offset of the L4 header from the start of the frame; 0 when `has_l4` is false.
    pub l4_offset: u16,
}

// One cache line: a burst of 64 keys is 4 KiB and stays in L1.
const _: () = assert!(size_of::<FrameKey>() == 64);

impl FrameKey {
    /// The key of an untagged frame of which nothing is known.
    pub const EMPTY: Self = Self {
        ip_src: 0,
        ip_dst: 0,
        dst: MacAddr::ZERO,
        src: MacAddr::ZERO,
        tag: None,
        ether_type: EtherType::new(0),
        l3_offset: ethernet::HEADER_LEN as u8,
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

    /// Whether a list can tell what this is: no frame that should be IP and has no readable header,
    /// and no packet whose L4 header should be there and is not, because the first fragment is cut
    /// short before it (RFC 1858) or because it stands behind more extension headers than are walked
    /// (RFC 7112). A later fragment shows none and cannot.
    #[must_use]
    #[inline]
    pub const fn is_readable(&self) -> bool {
        self.has_l4 || self.is_readable_without_l4()
    }

    const fn is_readable_without_l4(&self) -> bool {
        let is_later = matches!(self.fragment, Fragment::Later);
        let shows_nothing = Ports::octets(self.proto) == 0;
        match self.l3 {
            L3::Ipv4 => is_later || shows_nothing,
            L3::Ipv6 => is_later || (shows_nothing && !ipv6::is_extension(self.proto)),
            L3::Other => !matches!(self.ether_type, EtherType::IPV4 | EtherType::IPV6),
        }
    }

    /// The code point as its type.
    #[must_use]
    pub fn dscp(&self) -> Option<Dscp> {
        Dscp::new(self.dscp_bits).ok()
    }
}
