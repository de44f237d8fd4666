//! `struct virtio_net_hdr_mrg_rxbuf` (linux/virtio_net.h, virtio 1.2 clause 5.1.6) to and from
//! [`Offload`].
//!
//! The header comes from a VM's kernel and is not trusted: whatever it says, the frame is taken or
//! dropped with a reason.

use proto::DropReason;
use proto::frame::parse::decided_len;
use proto::frame::{FrameKey, Gso, GsoKind, L3, Offload, PartialChecksum, parse, vlan};

/// Length of the header: with `num_buffers`, as virtio 1.0 has it.
pub(super) const HEADER_BYTES: usize = 12;

const NEEDS_CSUM: u8 = 1;
const DATA_VALID: u8 = 2;
const GSO_NONE: u8 = 0;
const GSO_TCPV4: u8 = 1;
/// Fragmentation of UDP over IPv4: never negotiated, so a sender that sets it is wrong.
const GSO_UDP: u8 = 3;
const GSO_TCPV6: u8 = 4;
const GSO_UDP_L4: u8 = 5;
const GSO_ECN: u8 = 0x80;

/// What the header says of a frame of `frame_len` bytes that starts with `head`.
///
/// `hdr_len` is not relied on: Linux writes the length of its linear part there (`skb_headlen`),
/// which after forwarding is often a whole segment. The length of a super-frame's headers is read
/// from the headers themselves.
///
/// # Errors
/// Why the frame is dropped.
pub(super) fn decode(
    header: &[u8; HEADER_BYTES],
    head: &[u8],
    frame_len: usize,
) -> Result<Offload, DropReason> {
    let [flags, gso_type, _, _, size0, size1, start0, start1, offset0, offset1, _, _] = *header;
    // The header is in the byte order of the machine (TUNSETVNETLE is not set).
    let start = u16::from_ne_bytes([start0, start1]);
    let offset = u16::from_ne_bytes([offset0, offset1]);
    let checksum = (flags & NEEDS_CSUM != 0).then_some(PartialChecksum { start, offset });
    let key = checksum.and_then(|_| parse(head));
    if let Some(checksum) = &checksum
        && !key.is_some_and(|key| spares_headers(checksum, head, &key, frame_len))
    {
        return Err(DropReason::Malformed);
    }
    let kind = match gso_type & !GSO_ECN {
        GSO_NONE => None,
        GSO_TCPV4 => Some(GsoKind::TcpV4),
        GSO_TCPV6 => Some(GsoKind::TcpV6),
        GSO_UDP_L4 => Some(GsoKind::UdpL4),
        GSO_UDP => return Err(DropReason::OffloadUnsupported),
        _ => return Err(DropReason::Malformed),
    };
    let size = u16::from_ne_bytes([size0, size1]);
    let gso = match kind {
        None => None,
        Some(_) if size == 0 || checksum.is_none() => return Err(DropReason::Malformed),
        Some(kind) => {
            let header_len = key
                .filter(|key| is_l4_at(key, start))
                .and_then(|_| headers_len(head, start, kind))
                .ok_or(DropReason::Malformed)?;
            Some(Gso { kind, size, header_len, ecn: gso_type & GSO_ECN != 0 })
        }
    };
    Ok(Offload { checksum, gso, checksum_verified: flags & DATA_VALID != 0 })
}

/// Whether completing the checksum writes inside the frame, and behind all that the switch decides
/// by. It is written after the decision, at a place that the VM names: without this check a VM could
/// give its frame another address, VLAN or port on the way out.
fn spares_headers(
    checksum: &PartialChecksum,
    head: &[u8],
    key: &FrameKey,
    frame_len: usize,
) -> bool {
    let field = usize::from(checksum.start) + usize::from(checksum.offset);
    field + 2 <= frame_len && decided_len(head, key).is_some_and(|len| field >= len)
}

/// Whether the L4 header stands there, as far as can be seen: not behind a second tag.
const fn is_l4_at(key: &FrameKey, l4: u16) -> bool {
    match key.l3 {
        L3::Ipv4 | L3::Ipv6 => key.has_l4 && key.l4_offset == l4,
        L3::Other => vlan::is_tpid(key.ether_type),
    }
}

/// Length of all headers of a super-frame whose L4 header, which its checksum begins with, stands
/// at `l4`. `None` when it is not whole in `head`.
fn headers_len(head: &[u8], l4: u16, kind: GsoKind) -> Option<u16> {
    let len = match kind {
        GsoKind::UdpL4 => 8,
        GsoKind::TcpV4 | GsoKind::TcpV6 => {
            // Data offset, in words of four bytes (RFC 9293 section 3.1); at least a bare header.
            let words = head.get(usize::from(l4) + 12)? >> 4;
            u16::from(words).checked_mul(4).filter(|len| *len >= 20)?
        }
    };
    let end = l4.checked_add(len)?;
    (usize::from(end) <= head.len()).then_some(end)
}

/// The header of a frame with this offload state.
pub(super) fn encode(offload: &Offload) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let mut put = |at: usize, value: u16| {
        if let Some(field) = header.get_mut(at..at + 2) {
            field.copy_from_slice(&value.to_ne_bytes());
        }
    };
    if let Some(gso) = &offload.gso {
        put(2, gso.header_len);
        put(4, gso.size);
    }
    if let Some(checksum) = &offload.checksum {
        put(6, checksum.start);
        put(8, checksum.offset);
    }
    let [flags, gso_type, ..] = &mut header;
    *flags = match (&offload.checksum, offload.checksum_verified) {
        (Some(_), _) => NEEDS_CSUM,
        (None, true) => DATA_VALID,
        (None, false) => 0,
    };
    *gso_type = offload.gso.map_or(GSO_NONE, |gso| {
        let kind = match gso.kind {
            GsoKind::TcpV4 => GSO_TCPV4,
            GsoKind::TcpV6 => GSO_TCPV6,
            GsoKind::UdpL4 => GSO_UDP_L4,
        };
        kind | if gso.ecn { GSO_ECN } else { 0 }
    });
    header
}

#[cfg(test)]
mod tests {
    use std::net::SocketAddr;

    use proptest::prelude::*;
    use proto::frame::build::FrameBuilder;
    use proto::frame::checksum::complete_contiguous;
    use proto::frame::key::Tag;
    use proto::{EtherType, IpProto, MacAddr};

    use super::*;

    proptest! {
        /// Whatever a VM writes is decoded or refused; what is decoded lies inside the frame.
        #[test]
        fn any_header_is_decoded_or_refused(
            header in any::<[u8; HEADER_BYTES]>(),
            head in prop::collection::vec(any::<u8>(), 14..200),
            more in 0usize..70_000,
        ) {
            let len = head.len() + more;
            if let Ok(offload) = decode(&header, &head, len) {
                if let Some(checksum) = offload.checksum {
                    let field = usize::from(checksum.start) + usize::from(checksum.offset);
                    prop_assert!(field + 2 <= len);
                }
                if let Some(gso) = offload.gso {
                    prop_assert!(gso.size > 0 && offload.checksum.is_some());
                    prop_assert!(usize::from(gso.header_len) <= head.len());
                }
            }
        }

        /// Wherever a VM puts its checksum, what the switch reads of the frame stays as it was,
        /// with and without a tag that is pushed in between.
        #[test]
        fn completing_a_checksum_changes_nothing_that_was_decided_by(
            which in 0usize..8,
            start in 0u16..90,
            offset in 0u16..90,
            fill in any::<u8>(),
        ) {
            let mut frame = frames().swap_remove(which);
            let end = frame.len();
            frame[end - 8..].fill(fill);
            let checksum = Some(PartialChecksum { start, offset });
            let offload = Offload { checksum, ..Offload::NONE };
            if let Ok(decoded) = decode(&encode(&offload), &frame, frame.len()) {
                let place = decoded.checksum.expect("it was given");
                let before = parse(&frame);
                complete_contiguous(&mut frame, place).expect("inside the frame");
                prop_assert_eq!(parse(&frame), before);
            }
        }

        /// What we write is what we read.
        #[test]
        fn encode_and_decode_are_inverse(
            which in 0usize..2,
            has_checksum in any::<bool>(),
            gso in prop::option::of((1u16..9000, any::<bool>())),
            verified in any::<bool>(),
        ) {
            let head = frames().swap_remove(which);
            let l4 = parse(&head).expect("a frame").l4_offset;
            let (kind, offset, l4_len) =
                [(GsoKind::TcpV4, 16, 20), (GsoKind::UdpL4, 6, 8)][which];
            let checksum = has_checksum.then_some(PartialChecksum { start: l4, offset });
            let gso = gso.filter(|_| has_checksum);
            let gso = gso.map(|(size, ecn)| Gso { kind, size, header_len: l4 + l4_len, ecn });
            let checksum_verified = verified && checksum.is_none();
            let offload = Offload { checksum, gso, checksum_verified };
            prop_assert_eq!(decode(&encode(&offload), &head, 70_000), Ok(offload));
        }
    }

    /// Frames of all kinds: TCP and UDP first.
    fn frames() -> Vec<Vec<u8>> {
        let build = || FrameBuilder::new(MacAddr::new([2, 0, 0, 0, 0, 1]), MacAddr::BROADCAST);
        let tag = Tag { tci: 10 };
        let v4: (SocketAddr, SocketAddr) =
            ("10.0.0.1:4000".parse().unwrap(), "10.0.0.2:80".parse().unwrap());
        let v6: (SocketAddr, SocketAddr) =
            ("[fd00::1]:4000".parse().unwrap(), "[fd00::2]:80".parse().unwrap());
        let (gre, payload) = (IpProto::new(47), [0x80; 40]);
        vec![
            build().tcp(v4.0, v4.1, 0x18, &payload),
            build().udp(v6.0, v6.1, &payload),
            build().tag(tag).tcp(v6.0, v6.1, 0x18, &payload),
            build().ip(v4.0.ip(), v4.1.ip(), gre, &payload),
            build().ip(v6.0.ip(), v6.1.ip(), IpProto::new(60), &[60; 60]),
            build().echo_request(v4.0.ip(), v4.1.ip(), 1, 1),
            build().payload(EtherType::ARP, &payload),
            build().tag(tag).tag(tag).udp(v4.0, v4.1, &payload),
        ]
    }

    /// What a VM on an access port could do to the uplink: the checksum written over the tag that
    /// the switch pushes, over an address, over a port that a list permits.
    #[test]
    fn a_checksum_over_tag_address_or_port_is_refused() {
        let frame = frames().swap_remove(0);
        for field in [0, 4, 6, 10, 12, 14, 26, 30, 34, 36, 46] {
            let offload = |start, offset| {
                let checksum = Some(PartialChecksum { start, offset });
                decode(&encode(&Offload { checksum, ..Offload::NONE }), &frame, frame.len())
            };
            assert_eq!(offload(0, field), Err(DropReason::Malformed), "{field}");
            assert_eq!(offload(field, 0), Err(DropReason::Malformed), "{field}");
        }
    }

    /// A router's kernel gives the length of its linear part, a whole segment, as `hdr_len`.
    #[test]
    fn the_length_of_headers_is_read_from_the_headers() {
        let mut header = [NEEDS_CSUM, GSO_TCPV4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        header[2..4].copy_from_slice(&1514u16.to_ne_bytes());
        header[4..6].copy_from_slice(&1448u16.to_ne_bytes());
        header[6..8].copy_from_slice(&34u16.to_ne_bytes());
        header[8..10].copy_from_slice(&16u16.to_ne_bytes());
        let mut head = frames().swap_remove(0);
        head[34 + 12] = 8 << 4;
        let offload = decode(&header, &head, 30_000).expect("a good header");
        assert_eq!(offload.gso.map(|gso| gso.header_len), Some(34 + 32));
    }
}
