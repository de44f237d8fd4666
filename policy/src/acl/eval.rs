//! The search in a compiled list: per frame, without allocation, lock or panic.
//!
//! A key is cut into chunks of 16 bits. For each chunk that some rule looks at, two small tables give
//! a row: a bit for each entry of the list, set when the entry accepts the chunk. The AND of the rows
//! has a bit for each entry that matches, and the lowest one is the first match. Rows of more than
//! one word start with a summary, a bit for each of the following words that is not zero, so that
//! only words in which every row has something are looked at.
//!
//! Where it sits: [`CompiledAcl::eval`](super::CompiledAcl::eval) calls it; `vectors` builds the
//! tables. Invariants: every index in a table is in range; should one not be, the frame matches
//! nothing, and is denied.

#![cfg_attr(
    not(test),
    deny(
        clippy::indexing_slicing,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::arithmetic_side_effects
    )
)]

use proto::VlanId;
use proto::frame::{Fragment, FrameKey};

use super::condition::chunk;
use super::vectors::{BLOCK_LEN, BitVectors, Dimension};

/// The chunks of an IPv4 frame.
#[inline]
pub(super) fn ipv4_chunks(key: &FrameKey) -> [u16; chunk::IPV4_COUNT] {
    let (src, dst) = (key.ip_src as u32, key.ip_dst as u32);
    let [src_port, dst_port, shape, flags] = l4_chunks(key);
    [
        (src >> 16) as u16,
        src as u16,
        (dst >> 16) as u16,
        dst as u16,
        src_port,
        dst_port,
        shape,
        flags,
    ]
}

/// The chunks of an IPv6 frame.
#[inline]
pub(super) fn ipv6_chunks(key: &FrameKey) -> [u16; chunk::IPV6_COUNT] {
    let mut chunks = [0; chunk::IPV6_COUNT];
    let (src, dst) = (key.ip_src.to_be_bytes(), key.ip_dst.to_be_bytes());
    let addresses = src.as_chunks::<2>().0.iter().chain(dst.as_chunks::<2>().0);
    let pieces = addresses.map(|octets| u16::from_be_bytes(*octets)).chain(l4_chunks(key));
    for (chunk, piece) in chunks.iter_mut().zip(pieces) {
        *chunk = piece;
    }
    chunks
}

/// Source port, destination port, shape, TCP flags.
#[inline]
const fn l4_chunks(key: &FrameKey) -> [u16; chunk::L4_COUNT] {
    let mut low = (key.dscp_bits & 0x3f) << chunk::DSCP_SHIFT;
    if key.has_l4 {
        low |= chunk::HAS_L4;
    }
    if matches!(key.fragment, Fragment::Later) {
        low |= chunk::LATER;
    }
    let shape = u16::from_be_bytes([key.proto.get(), low]);
    [key.l4_src, key.l4_dst, shape, key.tcp_flags as u16]
}

/// The chunks of a frame that is not IP.
#[inline]
pub(super) const fn mac_chunks(key: &FrameKey, vlan: VlanId) -> [u16; chunk::MAC_COUNT] {
    let (src, dst) = (key.src.as_u64(), key.dst.as_u64());
    [
        (src >> 32) as u16,
        (src >> 16) as u16,
        src as u16,
        (dst >> 32) as u16,
        (dst >> 16) as u16,
        dst as u16,
        key.ether_type.get(),
        vlan.get(),
    ]
}

impl BitVectors {
    /// The first entry that accepts all chunks. `DIMENSIONS` is twice `CHUNKS`: a chunk is looked up
    /// whole, or byte by byte.
    #[inline]
    pub(super) fn first<const CHUNKS: usize, const DIMENSIONS: usize>(
        &self,
        chunks: &[u16; CHUNKS],
    ) -> Option<usize> {
        const { assert!(DIMENSIONS == 2 * CHUNKS) };
        if self.row_len == 1 {
            let mut matching = u64::MAX;
            for dimension in &self.dimensions {
                matching &= self.word(self.row(dimension, chunks));
            }
            return lowest(matching);
        }
        let mut rows = [0usize; DIMENSIONS];
        for (row, dimension) in rows.iter_mut().zip(&self.dimensions) {
            *row = self.row(dimension, chunks);
        }
        let rows = rows.get(..self.dimensions.len())?;
        self.first_of_rows(rows)
    }

    /// The first entry whose bit is set in all rows.
    #[inline]
    fn first_of_rows(&self, rows: &[usize]) -> Option<usize> {
        let all = |at: usize| {
            rows.iter().fold(u64::MAX, |acc, row| acc & self.word(row.wrapping_add(at)))
        };
        for block in (0..self.row_len).step_by(BLOCK_LEN) {
            let mut candidates = all(block);
            while let Some(word) = lowest(candidates) {
                let at = block.wrapping_add(word);
                if let Some(bit) = lowest(all(at.wrapping_add(1))) {
                    // Each block before this one has a summary that stands for no entry.
                    let summaries = block.wrapping_div(BLOCK_LEN);
                    let words = at.wrapping_sub(summaries);
                    return Some(words.wrapping_mul(64).wrapping_add(bit));
                }
                candidates &= candidates.wrapping_sub(1);
            }
        }
        None
    }

    /// Where the row of a chunk's value starts.
    #[inline]
    fn row<const CHUNKS: usize>(&self, dimension: &Dimension, chunks: &[u16; CHUNKS]) -> usize {
        let chunk = chunks.get(usize::from(dimension.chunk)).copied().unwrap_or(0);
        let [high, low] = ((chunk >> dimension.shift) & dimension.mask).to_be_bytes();
        let page = dimension.pages.get(usize::from(high)).copied().unwrap_or(0);
        let at = usize::from(page) << 8 | usize::from(low);
        let class = self.classes.get(at).copied().unwrap_or(0);
        dimension.rows.wrapping_add(usize::from(class).wrapping_mul(self.row_len))
    }

    #[inline]
    fn word(&self, at: usize) -> u64 {
        self.words.get(at).copied().unwrap_or(0)
    }
}

/// The lowest bit that is set.
#[inline]
const fn lowest(bits: u64) -> Option<usize> {
    if bits == 0 { None } else { Some(bits.trailing_zeros() as usize) }
}
