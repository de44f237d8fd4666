//! Segmentation of super-frames (GSO), as a plan and a writer of headers.
//!
//! A VM that may leave segmentation to us sends one frame of up to 64 KiB with a TCP or UDP header
//! that stands for all segments. Toward a port that cannot take such a frame, the driver makes a
//! [`SegmentPlan`] once, and then for each segment copies its payload and lets
//! [`SegmentPlan::write_header`] write everything before it.
//!
//! *Invariants:* (1) the payloads of all segments, one after the other, are the payload of the
//! super-frame; (2) the checksums of a segment are right by themselves, whatever the super-frame's
//! fields held; (3) a frame yields at most [`SEGMENTS_MAX`] segments. *Not here:* buffers and
//! copying (the driver crate).

use core::ops::Range;

use super::checksum::Sum;
use super::key::{Fragment, L3};
use super::l4::{self, Tcp, Udp, tcp_flags};
use super::offload::{Gso, GsoKind, Offload};
use super::{ethernet, ipv4, ipv6, vlan};
use crate::types::{EtherType, IpProto};

/// Segments that one super-frame may become: 64 KiB in the smallest segments that TCP allows for
/// (an MSS of 48) are 1,366. It bounds the work that one frame of a hostile VM can cause.
pub const SEGMENTS_MAX: usize = 2048;

/// Tags that may stand before the network header: a service tag and a customer tag.
const TAGS_MAX: usize = 2;

/// A super-frame that cannot be segmented; it is to be dropped as `offload-unsupported`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SegmentError {
    /// The offload state asks for no segmentation.
    #[error("the frame is not marked for segmentation")]
    NotSuper,
    /// A segment size of 0.
    #[error("the frame is marked for segmentation into segments of 0 bytes")]
    ZeroSize,
    /// Headers longer than the bytes given (or than the buffer to write them to).
    #[error("the headers need {need} bytes in one piece, there are {have}")]
    TooShort {
        /// Bytes that the headers take, as far as is known.
        need: usize,
        /// Bytes that there are.
        have: usize,
    },
    /// The EtherType is not the one of the kind of segmentation.
    #[error(
        "the frame is marked for segmentation as {kind:?}, but has EtherType {ether_type:#06x}"
    )]
    EtherType {
        /// What the sender says it is.
        kind: GsoKind,
        /// What stands before the network header.
        ether_type: u16,
    },
    /// The IP protocol is not the one of the kind of segmentation.
    #[error("the frame is marked for segmentation as {kind:?}, but has IP protocol {proto}")]
    Protocol {
        /// What the sender says it is.
        kind: GsoKind,
        /// What the IP header says.
        proto: IpProto,
    },
    /// An IP or TCP header whose version or header length is impossible.
    #[error("the frame is marked for segmentation as {0:?}, but its headers are malformed")]
    Malformed(GsoKind),
    /// A fragment cannot be a super-frame.
    #[error("the frame is marked for segmentation, but is an IP fragment")]
    Fragment,
    /// A routing or authentication header: the segments' checksums cannot be made.
    #[error("the frame is marked for segmentation, but has a routing or authentication header")]
    ExtensionHeader,
    /// Neither is the checksum left open nor was it verified: segmenting would repair a wrong one.
    #[error("the frame is marked for segmentation, but not for checksum completion")]
    ChecksumNotPartial,
    /// The open checksum is not the one of the L4 header.
    #[error(
        "the frame's open checksum is at {start}+{offset}, but that of its L4 header is at \
         {l4_start}+{l4_offset}"
    )]
    ChecksumPlace {
        /// Where the sender says that the summed area starts.
        start: u16,
        /// Where in it the sender says that the field stands.
        offset: u16,
        /// Where the L4 header starts.
        l4_start: u16,
        /// Where in it the field stands.
        l4_offset: u16,
    },
    /// A segment would not fit the length field of its IP header.
    #[error("a segment of {0} bytes of payload does not fit an IP packet")]
    SegmentTooLong(u16),
    /// More than [`SEGMENTS_MAX`].
    #[error("the frame would become {0} segments, more than {SEGMENTS_MAX}")]
    TooManySegments(usize),
    /// An index at or above [`SegmentPlan::count`].
    #[error("segment {index} was asked for, the frame has {count}")]
    NoSuchSegment {
        /// The index.
        index: usize,
        /// How many there are.
        count: usize,
    },
}

/// How one super-frame is cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentPlan {
    l3: L3,
    l3_offset: u16,
    l4_offset: u16,
    header_len: u16,
    is_tcp: bool,
    segment_payload_len: u16,
    count: u16,
    frame_len: u32,
    /// The pseudo-header but for its length, which each segment adds.
    pseudo: Sum,
}

impl SegmentPlan {
    /// Plans the segmentation of a frame of `frame_len` bytes, whose first bytes, in one piece, are
    /// `head`.
    ///
    /// The length fields of the super-frame's IP header are not relied on: its own length counts.
    ///
    /// # Errors
    /// The frame is not what its offload state says, or `head` does not hold all its headers.
    pub fn new(head: &[u8], frame_len: usize, offload: &Offload) -> Result<Self, SegmentError> {
        let gso = offload.gso.ok_or(SegmentError::NotSuper)?;
        if gso.size == 0 {
            return Err(SegmentError::ZeroSize);
        }
        let (ether_type, l3_offset) = network_header(head)?;
        let packet = head.get(l3_offset..).unwrap_or_default();
        let net = match (gso.kind, ether_type) {
            (GsoKind::TcpV4 | GsoKind::UdpL4, EtherType::IPV4) => read_ipv4(packet, gso.kind),
            (GsoKind::TcpV6 | GsoKind::UdpL4, EtherType::IPV6) => read_ipv6(packet, gso.kind),
            (kind, other) => Err(SegmentError::EtherType { kind, ether_type: other.get() }),
        };
        let net = net.map_err(|e| in_frame(e, l3_offset, head.len()))?;
        let l4_offset = l3_offset + net.header_len;
        let l4 = head.get(l4_offset..).unwrap_or_default();
        let (is_tcp, l4_len) =
            read_l4(l4, net.proto, gso.kind).map_err(|e| in_frame(e, l4_offset, head.len()))?;
        let header_len = l4_offset + l4_len;
        let have = head.len().min(frame_len);
        if header_len > have {
            return Err(SegmentError::TooShort { need: header_len, have });
        }
        // All offsets are below 64 KiB: 14 + 8 + 40 + 8 extension headers of 2,048 + 60.
        let (l3_offset, l4_offset) = (l3_offset as u16, l4_offset as u16);
        check_checksum(offload, l4_offset, is_tcp)?;
        let payload_len = frame_len - header_len;
        let count = count_segments(&gso, payload_len, header_len - usize::from(l3_offset))?;
        Ok(Self {
            l3: net.l3,
            l3_offset,
            l4_offset,
            header_len: header_len as u16,
            is_tcp,
            segment_payload_len: gso.size,
            count,
            frame_len: frame_len as u32,
            pseudo: net.pseudo,
        })
    }

    /// How many segments there are: 1..=[`SEGMENTS_MAX`].
    #[must_use]
    pub const fn count(&self) -> usize {
        self.count as usize
    }

    /// Bytes of all headers, in each segment and in the super-frame.
    #[must_use]
    pub const fn header_len(&self) -> usize {
        self.header_len as usize
    }

    /// Where in the super-frame the payload of segment `index` lies; empty at [`Self::count`] and
    /// above. All but the last have the same length.
    #[must_use]
    pub fn payload(&self, index: usize) -> Range<usize> {
        let end = self.frame_len as usize;
        let size = usize::from(self.segment_payload_len);
        let start = index.saturating_mul(size).saturating_add(self.header_len()).min(end);
        start..(start + size).min(end)
    }

    /// Writes the headers of segment `index` to the first [`Self::header_len`] bytes of `out`.
    ///
    /// `template` is the head of the super-frame. `payload_sum` is the sum of the segment's payload
    /// (the bytes of [`Self::payload`], best added up while they are still in the cache from
    /// copying); with it the L4 checksum is made complete, so the segment leaves with
    /// [`Offload::NONE`].
    ///
    /// IPv4: total length, identification (that of the super-frame plus `index`), header checksum.
    /// IPv6: payload length. TCP: sequence number; FIN and PSH are kept on the last segment only,
    /// CWR on the first only (RFC 3168 section 6.1.2). UDP: length. Tags and options are kept.
    ///
    /// # Errors
    /// [`SegmentError::NoSuchSegment`], or [`SegmentError::TooShort`] for `template` or `out`.
    pub fn write_header(
        &self,
        template: &[u8],
        out: &mut [u8],
        index: usize,
        payload_sum: Sum,
    ) -> Result<(), SegmentError> {
        if index >= self.count() {
            return Err(SegmentError::NoSuchSegment { index, count: self.count() });
        }
        let need = self.header_len();
        let short = |have| SegmentError::TooShort { need, have };
        let template = template.get(..need).ok_or(short(template.len()))?;
        let have = out.len();
        let out = out.get_mut(..need).ok_or(short(have))?;
        out.copy_from_slice(template);

        let (network, transport) =
            out.split_at_mut_checked(usize::from(self.l4_offset)).ok_or(short(have))?;
        // Fits: `count_segments` has checked the longest segment.
        let l4_len = (transport.len() + self.payload(index).len()) as u16;
        let packet = network.get_mut(usize::from(self.l3_offset)..).ok_or(short(have))?;
        self.write_network(packet, index, l4_len);
        self.write_transport(transport, index, l4_len, payload_sum);
        Ok(())
    }

    /// Writes length, identification and checksum of the IP header, which is all of `packet`.
    fn write_network(&self, packet: &mut [u8], index: usize, l4_len: u16) {
        let header_len = packet.len() as u16;
        if self.l3 == L3::Ipv4 {
            if let Some(mut header) = ipv4::Header::for_writing(packet) {
                header.set_total_len(header_len + l4_len);
                header.set_ident(header.ident().wrapping_add(index as u16));
            }
            ipv4::fill_checksum(packet);
        } else if let Some(mut header) = ipv6::Header::for_writing(packet) {
            header.set_payload_len(header_len - ipv6::HEADER_LEN as u16 + l4_len);
        }
    }

    /// Writes the L4 header, which is all of `transport`, and its checksum.
    fn write_transport(&self, transport: &mut [u8], index: usize, l4_len: u16, payload: Sum) {
        if self.is_tcp {
            if let Some(mut header) = Tcp::for_writing(transport) {
                let advance = index as u32 * u32::from(self.segment_payload_len);
                header.set_sequence_number(header.sequence_number().wrapping_add(advance));
                let mut flags = header.flags();
                if index != 0 {
                    flags &= !tcp_flags::CWR;
                }
                if index + 1 != self.count() {
                    flags &= !(tcp_flags::FIN | tcp_flags::PSH);
                }
                header.set_flags(flags);
                header.set_checksum(0);
            }
        } else if let Some(mut header) = Udp::for_writing(transport) {
            header.set_len(l4_len);
            header.set_checksum(0);
        }
        let mut sum = Sum::of(transport);
        sum.add_sum(self.pseudo);
        sum.add_word(l4_len);
        // An L4 header has an even length, so its payload starts at an even place.
        sum.add_sum(payload);
        if self.is_tcp {
            if let Some(mut header) = Tcp::for_writing(transport) {
                header.set_checksum(sum.complement());
            }
        } else if let Some(mut header) = Udp::for_writing(transport) {
            header.set_checksum(sum.complement_nonzero());
        }
    }
}

/// What planning reads of an IP header.
struct Network {
    l3: L3,
    header_len: usize,
    proto: IpProto,
    pseudo: Sum,
}

/// The EtherType behind all tags, and the offset of the network header.
fn network_header(head: &[u8]) -> Result<(EtherType, usize), SegmentError> {
    let have = head.len();
    let mut offset = ethernet::HEADER_LEN;
    let (header, mut rest) =
        ethernet::Header::split(head).ok_or(SegmentError::TooShort { need: offset, have })?;
    let mut ether_type = header.ether_type();
    for _ in 0..TAGS_MAX {
        if !vlan::is_tpid(ether_type) {
            break;
        }
        offset += vlan::TAG_LEN;
        let (tag, behind) =
            vlan::Header::split(rest).ok_or(SegmentError::TooShort { need: offset, have })?;
        ether_type = tag.ether_type();
        rest = behind;
    }
    Ok((ether_type, offset))
}

fn read_ipv4(packet: &[u8], kind: GsoKind) -> Result<Network, SegmentError> {
    need(packet, ipv4::HEADER_LEN)?;
    let header = ipv4::Header::new_checked_ihl(packet).ok_or(SegmentError::Malformed(kind))?;
    if header.fragment() != Fragment::Whole {
        return Err(SegmentError::Fragment);
    }
    let proto = header.protocol();
    Ok(Network {
        l3: L3::Ipv4,
        header_len: header.header_len(),
        proto,
        pseudo: Sum::pseudo_v4(header.source(), header.destination(), proto, 0),
    })
}

fn read_ipv6(packet: &[u8], kind: GsoKind) -> Result<Network, SegmentError> {
    need(packet, ipv6::HEADER_LEN)?;
    let header = ipv6::Header::new_checked(packet).ok_or(SegmentError::Malformed(kind))?;
    let payload = packet.get(ipv6::HEADER_LEN..).unwrap_or_default();
    let upper = ipv6::walk(header.next_header(), payload);
    if upper.fragment != Fragment::Whole {
        return Err(SegmentError::Fragment);
    }
    if !upper.plain {
        return Err(SegmentError::ExtensionHeader);
    }
    let proto = upper.proto;
    Ok(Network {
        l3: L3::Ipv6,
        header_len: ipv6::HEADER_LEN + upper.offset,
        proto,
        pseudo: Sum::pseudo_v6(header.source(), header.destination(), proto, 0),
    })
}

/// Whether the L4 header at the start of `l4` is TCP, and its length.
fn read_l4(l4: &[u8], proto: IpProto, kind: GsoKind) -> Result<(bool, usize), SegmentError> {
    match (kind, proto) {
        (GsoKind::TcpV4 | GsoKind::TcpV6, IpProto::TCP) => {
            need(l4, l4::TCP_HEADER_LEN)?;
            let header = Tcp::new_checked(l4).ok_or(SegmentError::Malformed(kind))?;
            Ok((true, header.header_len()))
        }
        (GsoKind::UdpL4, IpProto::UDP) => Ok((false, l4::UDP_HEADER_LEN)),
        (kind, proto) => Err(SegmentError::Protocol { kind, proto }),
    }
}

fn need(bytes: &[u8], need: usize) -> Result<(), SegmentError> {
    let have = bytes.len();
    if have < need { Err(SegmentError::TooShort { need, have }) } else { Ok(()) }
}

/// Counts the bytes of [`SegmentError::TooShort`] from the start of the frame, not of the header at
/// `offset` that was too short.
const fn in_frame(error: SegmentError, offset: usize, have: usize) -> SegmentError {
    match error {
        SegmentError::TooShort { need, .. } => SegmentError::TooShort { need: offset + need, have },
        other => other,
    }
}

/// The checksum must be open, and be that of the L4 header; or it was verified on arrival, as that
/// of a frame which the kernel received in parts and joined.
fn check_checksum(offload: &Offload, l4_start: u16, is_tcp: bool) -> Result<(), SegmentError> {
    let l4_offset = if is_tcp { l4::TCP_CHECKSUM } else { l4::UDP_CHECKSUM } as u16;
    match offload.checksum {
        Some(c) if c.start == l4_start && c.offset == l4_offset => Ok(()),
        Some(c) => Err(SegmentError::ChecksumPlace {
            start: c.start,
            offset: c.offset,
            l4_start,
            l4_offset,
        }),
        None if offload.checksum_verified => Ok(()),
        None => Err(SegmentError::ChecksumNotPartial),
    }
}

/// How many segments `payload_len` bytes become; `ip_header_len` counts from the IP header to the
/// payload.
fn count_segments(
    gso: &Gso,
    payload_len: usize,
    ip_header_len: usize,
) -> Result<u16, SegmentError> {
    if ip_header_len + usize::from(gso.size).min(payload_len) > usize::from(u16::MAX) {
        return Err(SegmentError::SegmentTooLong(gso.size));
    }
    match payload_len.div_ceil(usize::from(gso.size)).max(1) {
        count @ ..=SEGMENTS_MAX => Ok(count as u16),
        count => Err(SegmentError::TooManySegments(count)),
    }
}

#[cfg(test)]
mod tests;
