//! `struct virtio_net_hdr_mrg_rxbuf` (linux/virtio_net.h, virtio 1.2 clause 5.1.6) to and from
//! [`Offload`].
//!
//! The header comes from a VM's kernel and is not trusted: whatever it says, the frame is taken or
//! dropped with a reason.

use proto::DropReason;
use proto::frame::{Gso, GsoKind, Offload, PartialChecksum};

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
    if checksum.is_some() && usize::from(start) + usize::from(offset) + 2 > frame_len {
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
            let header_len = headers_len(head, start, kind).ok_or(DropReason::Malformed)?;
            Some(Gso { kind, size, header_len, ecn: gso_type & GSO_ECN != 0 })
        }
    };
    Ok(Offload { checksum, gso, checksum_verified: flags & DATA_VALID != 0 })
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
    use proptest::prelude::*;

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
                    prop_assert!(usize::from(checksum.start) + usize::from(checksum.offset) + 2 <= len);
                }
                if let Some(gso) = offload.gso {
                    prop_assert!(gso.size > 0 && offload.checksum.is_some());
                    prop_assert!(usize::from(gso.header_len) <= head.len());
                }
            }
        }

        /// What we write is what we read.
        #[test]
        fn encode_and_decode_are_inverse(
            checksum in prop::option::of((0u16..100, 0u16..100)),
            gso in prop::option::of((0usize..3, 1u16..9000, any::<bool>())),
            verified in any::<bool>(),
        ) {
            let checksum = checksum.map(|(start, offset)| PartialChecksum { start, offset });
            let kinds = [GsoKind::TcpV4, GsoKind::TcpV6, GsoKind::UdpL4];
            // Every byte says "eight words", so a TCP header has 32 bytes wherever it starts.
            let head = [0x80; 200];
            let gso = checksum.and_then(|c| gso.map(|(kind, size, ecn)| {
                let kind = kinds[kind];
                let l4_len = if kind == GsoKind::UdpL4 { 8 } else { 32 };
                Gso { kind, size, header_len: c.start + l4_len, ecn }
            }));
            let checksum_verified = verified && checksum.is_none();
            let offload = Offload { checksum, gso, checksum_verified };
            prop_assert_eq!(decode(&encode(&offload), &head, 70_000), Ok(offload));
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
        let mut head = [0; 1514];
        head[34 + 12] = 8 << 4;
        let offload = decode(&header, &head, 30_000).expect("a good header");
        assert_eq!(offload.gso.map(|gso| gso.header_len), Some(34 + 32));
    }
}
