//! The internet checksum (RFC 1071): sums over scattered bytes, pseudo-headers, and the completion
//! of a checksum that the sender of a frame left open.
//!
//! *Where it sits:* called at egress toward a port that cannot take offloads, by segmentation, and
//! by whoever builds packets. *Invariants:* (1) a sum does not depend on how the bytes are split
//! into slices, odd lengths included; (2) only a partial checksum is ever completed.

use super::offload::PartialChecksum;
use crate::types::IpProto;

/// Where the checksum stands in a UDP header (RFC 768).
const UDP_FIELD_OFFSET: u16 = 6;

/// A ones' complement sum that bytes can be added to, in as many slices as they lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Sum {
    /// Sum of 16-bit words, not folded. An addition adds less than 2^21, so it cannot overflow.
    words: u64,
    /// Whether an odd number of bytes was added, so that the next one is the low half of a word.
    odd: bool,
}

impl Sum {
    /// The sum of nothing.
    pub const ZERO: Self = Self { words: 0, odd: false };

    /// The sum of these bytes.
    #[must_use]
    #[inline]
    pub fn of(bytes: &[u8]) -> Self {
        let mut sum = Self::ZERO;
        sum.add_bytes(bytes);
        sum
    }

    /// The sum of the IPv4 pseudo-header (RFC 9293 section 3.1, RFC 768); `len` counts the L4
    /// header and its payload.
    #[must_use]
    #[inline]
    pub const fn pseudo_v4(source: u32, destination: u32, proto: IpProto, len: u32) -> Self {
        let words = halves(source) + halves(destination) + proto.get() as u64 + halves(len);
        Self { words, odd: false }
    }

    /// The sum of the IPv6 pseudo-header (RFC 8200 section 8.1); `len` counts the L4 header and its
    /// payload, `proto` is the upper-layer protocol, not an extension header.
    #[must_use]
    #[inline]
    pub const fn pseudo_v6(source: u128, destination: u128, proto: IpProto, len: u32) -> Self {
        let words = eighths(source) + eighths(destination) + proto.get() as u64 + halves(len);
        Self { words, odd: false }
    }

    /// Adds bytes that follow those already added.
    #[inline]
    pub fn add_bytes(&mut self, bytes: &[u8]) {
        let mut folded = bulk(bytes);
        if self.odd {
            // RFC 1071 section 2(B): shifting all bytes by one swaps the halves of the sum.
            folded = folded.swap_bytes();
        }
        self.words += u64::from(folded);
        self.odd ^= bytes.len() % 2 == 1;
    }

    /// Adds one 16-bit word.
    #[inline]
    pub fn add_word(&mut self, word: u16) {
        self.words += u64::from(word);
    }

    /// Adds a sum of other bytes. Where the bytes of `other` begin is taken to be an even place,
    /// as the end of every header is.
    #[inline]
    pub fn add_sum(&mut self, other: Self) {
        self.words += u64::from(other.folded());
    }

    /// The sum folded to 16 bits, not complemented: what the checksum field of a partial checksum
    /// holds. A correct packet with its checksum and pseudo-header sums to 0xffff.
    #[must_use]
    #[inline]
    pub const fn folded(self) -> u16 {
        fold(self.words)
    }

    /// The complement of the folded sum: the value of a checksum field.
    #[must_use]
    #[inline]
    pub const fn complement(self) -> u16 {
        !self.folded()
    }

    /// The complement, with 0xffff in place of 0: in UDP a zero says that there is no checksum
    /// (RFC 768). Elsewhere a zero stays one: both are the same number in ones' complement, but a
    /// checksum that was summed up is never 0xffff (RFC 1624 section 3), and Wireshark says so.
    #[must_use]
    #[inline]
    pub const fn complement_nonzero(self) -> u16 {
        match self.complement() {
            0 => 0xffff,
            value => value,
        }
    }

    /// The value of an L4 checksum field, told by its place in the L4 header: that of UDP is at 6,
    /// that of TCP at 16, that of ICMPv6 at 2.
    #[must_use]
    #[inline]
    pub const fn complement_for(self, field_offset: u16) -> u16 {
        match field_offset {
            UDP_FIELD_OFFSET => self.complement_nonzero(),
            _ => self.complement(),
        }
    }

    /// Whether bytes that hold a checksum, and their pseudo-header if there is one, were summed and
    /// the checksum is right.
    #[must_use]
    #[inline]
    pub const fn is_valid(self) -> bool {
        self.folded() == 0xffff
    }
}

/// A partial checksum that points outside its frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a partial checksum at {start}+{offset} lies outside its frame of {frame_len} bytes; \
     the sender's offload header is wrong"
)]
pub struct ChecksumOutside {
    /// Where the summed area starts.
    pub start: u16,
    /// Where in it the field stands.
    pub offset: u16,
    /// Length of the frame.
    pub frame_len: usize,
}

/// Completes the checksum of a frame that lies in one piece; see [`complete`].
///
/// # Errors
/// [`ChecksumOutside`], and then the frame is unchanged.
#[inline]
pub fn complete_contiguous(
    frame: &mut [u8],
    partial: PartialChecksum,
) -> Result<(), ChecksumOutside> {
    complete(&mut [frame], partial)
}

/// Completes the checksum of a frame whose bytes lie in `parts`, in order: sums from
/// `partial.start` to the end of the frame and stores the complement at `start + offset`.
///
/// The field already holds the pseudo-header's sum, as the sender left it, and is summed with the
/// rest. What a sum of all ones gives depends on the protocol: [`Sum::complement_for`].
///
/// # Errors
/// [`ChecksumOutside`] when the field is not inside the frame, and then the frame is unchanged.
pub fn complete(parts: &mut [&mut [u8]], partial: PartialChecksum) -> Result<(), ChecksumOutside> {
    let start = usize::from(partial.start);
    let field = start + usize::from(partial.offset);
    let frame_len = parts.iter().map(|part| part.len()).sum();
    if field + 2 > frame_len {
        let PartialChecksum { start, offset } = partial;
        return Err(ChecksumOutside { start, offset, frame_len });
    }
    let mut sum = Sum::ZERO;
    let mut skip = start;
    for part in parts.iter() {
        sum.add_bytes(part.get(skip..).unwrap_or_default());
        skip = skip.saturating_sub(part.len());
    }
    let [high, low] = sum.complement_for(partial.offset).to_be_bytes();
    store(parts, field, high);
    store(parts, field + 1, low);
    Ok(())
}

/// Stores one octet at `at` of the frame that lies in `parts`; the field may straddle two of them.
fn store(parts: &mut [&mut [u8]], mut at: usize, octet: u8) {
    for part in parts {
        if let Some(place) = part.get_mut(at) {
            *place = octet;
            return;
        }
        at -= part.len();
    }
}

/// The checksum field after one 16-bit word under it changed from `old` to `new`, without the rest
/// of the bytes (RFC 1624 equation 3).
#[must_use]
#[inline]
pub const fn update(checksum: u16, old: u16, new: u16) -> u16 {
    !fold(!checksum as u64 + !old as u64 + new as u64)
}

/// The ones' complement sum of big-endian 16-bit words; an odd last byte counts as the high half of
/// a word.
#[inline]
fn bulk(bytes: &[u8]) -> u16 {
    // Sums native 32-bit words in 64-bit lanes: neither order nor grouping matters to a ones'
    // complement sum, and the byte order is put right once at the end (RFC 1071 section 2). Eight
    // lanes let the compiler use vectors. No lane overflows below 2^32 words.
    let mut lanes = [0u64; 8];
    let (blocks, rest) = bytes.as_chunks::<32>();
    for block in blocks {
        let (words, _) = block.as_chunks::<4>();
        for (lane, word) in lanes.iter_mut().zip(words) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    let mut total: u64 = 0;
    if !blocks.is_empty() {
        // Left out for a lone header, where it would be half of the work.
        total = lanes.into_iter().map(|lane| u64::from(fold(lane))).sum();
    }
    let (words, rest) = rest.as_chunks::<2>();
    for word in words {
        total += u64::from(u16::from_ne_bytes(*word));
    }
    if let [last] = rest {
        total += u64::from(u16::from_ne_bytes([*last, 0]));
    }
    u16::from_be(fold(total))
}

/// Folds carries until 16 bits are left.
#[inline]
const fn fold(sum: u64) -> u16 {
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16 & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let sum = (sum & 0xffff) + (sum >> 16);
    sum as u16
}

/// Sum of the two 16-bit words of a value.
const fn halves(value: u32) -> u64 {
    (value >> 16) as u64 + (value & 0xffff) as u64
}

/// Sum of the eight 16-bit words of a value.
const fn eighths(value: u128) -> u64 {
    halves((value >> 96) as u32)
        + halves((value >> 64) as u32)
        + halves((value >> 32) as u32)
        + halves(value as u32)
}

#[cfg(test)]
mod tests;
