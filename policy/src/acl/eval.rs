//! The search in a compiled list: per frame, without allocation, lock or panic.
//!
//! For each field that some rule asks about, a trie gives the class of the frame's value, and the
//! class a row: a bit for each entry of the list that accepts the value. The AND of the rows has a
//! bit for each entry that matches, and the lowest one is the first match. Long rows have a summary,
//! a bit for each of the following words that is not zero, so that only words in which every row has
//! something are looked at.
//!
//! Where it sits: [`CompiledAcl::eval`](super::CompiledAcl::eval) calls it; `tables` lays out what is
//! searched. Invariants: every position in the tables is in range; should one not be, the frame
//! matches nothing, and is denied. The number of steps in a trie does not depend on the frame.

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

use super::condition::field;
use super::tables::{BLOCK_LEN, Piece, Tables};

/// The fields of an IPv4 frame, each in the high bits of a word.
#[inline]
pub(super) const fn ipv4_fields(key: &FrameKey) -> [u64; field::IPV4.len()] {
    let (src, dst) = ((key.ip_src as u64) << 32, (key.ip_dst as u64) << 32);
    let [src_port, dst_port, shape, flags] = l4_fields(key);
    [src, dst, src_port, dst_port, shape, flags]
}

/// The fields of an IPv6 frame, each in the high bits of a word.
#[inline]
pub(super) const fn ipv6_fields(key: &FrameKey) -> [u64; field::IPV6.len()] {
    let (src, dst) = (key.ip_src, key.ip_dst);
    let [src_port, dst_port, shape, flags] = l4_fields(key);
    [
        (src >> 64) as u64,
        src as u64,
        (dst >> 64) as u64,
        dst as u64,
        src_port,
        dst_port,
        shape,
        flags,
    ]
}

/// Source port, destination port, shape, TCP flags.
#[inline]
const fn l4_fields(key: &FrameKey) -> [u64; 4] {
    let mut low = (key.dscp_bits & 0x3f) << field::DSCP_SHIFT;
    if key.has_l4 {
        low |= field::HAS_L4;
    }
    if matches!(key.fragment, Fragment::Later) {
        low |= field::LATER;
    }
    let shape = (key.proto.get() as u64) << 56 | (low as u64) << 48;
    [(key.l4_src as u64) << 48, (key.l4_dst as u64) << 48, shape, (key.tcp_flags as u64) << 56]
}

/// The fields of a frame that is not IP, each in the high bits of a word.
#[inline]
pub(super) const fn mac_fields(key: &FrameKey, vlan: VlanId) -> [u64; field::MAC.len()] {
    let (ether_type, vlan) = (key.ether_type.get() as u64, vlan.get() as u64);
    [key.src.as_u64() << 16, key.dst.as_u64() << 16, ether_type << 48, vlan << 48]
}

impl Tables {
    /// The first entry that accepts all fields. `PIECES` is the most pieces that they can be cut in.
    #[inline]
    pub(super) fn first<const FIELDS: usize, const PIECES: usize>(
        &self,
        fields: &[u64; FIELDS],
    ) -> Option<usize> {
        let mut classes = [0u32; PIECES];
        for (class, piece) in classes.iter_mut().zip(&self.pieces) {
            *class = self.class(piece, fields);
        }
        for join in &self.joins {
            let second = classes.get(usize::from(join.second)).copied().unwrap_or(0);
            if let Some(first) = classes.get_mut(usize::from(join.first)) {
                let pair = first.wrapping_mul(join.stride).wrapping_add(second);
                let at = join.start.wrapping_add(pair as usize);
                *first = self.joined.get(at).copied().map_or(0, u32::from);
            }
        }
        let mut rows = [0usize; PIECES];
        for (start, row) in rows.iter_mut().zip(&self.rows) {
            let class = classes.get(usize::from(row.piece)).copied().unwrap_or(0);
            *start = row.start.wrapping_add((class as usize).wrapping_mul(self.row_len));
        }
        let rows = rows.get(..self.rows.len())?;
        if self.summaries { self.search_blocks(rows) } else { self.search_plain(rows) }
    }

    /// The class of the frame's value.
    #[inline]
    fn class<const FIELDS: usize>(&self, piece: &Piece, fields: &[u64; FIELDS]) -> u32 {
        let field = fields.get(usize::from(piece.field)).copied().unwrap_or(0);
        let mut rest = field.wrapping_shl(u32::from(piece.skipped_bits));
        let mut node = piece.root;
        for _ in 0..piece.bytes {
            rest = rest.rotate_left(8);
            // The low byte of a node is the mask of the bits that count.
            let at = (node >> 8).wrapping_add(node & rest as u32 & 0xff);
            node = self.nodes.get(at as usize).copied().unwrap_or(0);
        }
        (node >> 8).wrapping_sub(piece.class_node)
    }

    /// The first bit that is set in all rows, which have no summaries.
    #[inline]
    fn search_plain(&self, rows: &[usize]) -> Option<usize> {
        for word in 0..self.row_len {
            if let Some(bit) = lowest(self.and(rows, word)) {
                return Some(word.wrapping_mul(64).wrapping_add(bit));
            }
        }
        None
    }

    /// The first bit that is set in all rows, which have summaries.
    #[inline]
    fn search_blocks(&self, rows: &[usize]) -> Option<usize> {
        for block in (0..self.row_len).step_by(BLOCK_LEN) {
            let mut candidates = self.and(rows, block);
            while let Some(word) = lowest(candidates) {
                let at = block.wrapping_add(word);
                if let Some(bit) = lowest(self.and(rows, at.wrapping_add(1))) {
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

    /// What all rows have in common in their word number `at`.
    #[inline]
    fn and(&self, rows: &[usize], at: usize) -> u64 {
        let word = |row: &usize| self.words.get(row.wrapping_add(at)).copied().unwrap_or(0);
        rows.iter().fold(u64::MAX, |common, row| common & word(row))
    }
}

/// The lowest bit that is set.
#[inline]
const fn lowest(bits: u64) -> Option<usize> {
    if bits == 0 { None } else { Some(bits.trailing_zeros() as usize) }
}
