//! The search in a compiled list: per frame, without allocation, lock or panic.
//!
//! For each chunk of two bytes that some rule asks about, two look-ups give the class of the
//! frame's value, and the class a row: a bit for each entry of the list that accepts the value. The
//! AND of the rows has a bit for each entry that matches, and the lowest one is the first match.
//! Rows are read in groups of words. Long rows have summaries, a bit for each of the following
//! groups that is not zero, so that only groups in which every row has something are looked at.
//!
//! Where it sits: [`CompiledAcl::eval`](super::CompiledAcl::eval) calls it; `tables` lays out what
//! is searched. Invariants: every position in the tables is in range; should one not be, the frame
//! matches no entry.

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
use super::pages::GROUP_LEN;
use super::tables::{BLOCK_LEN, Group, Piece, Tables};

/// The most rows that a search can have: both bytes of each chunk.
const ROWS_MAX: usize = 2 * field::IPV6_CHUNKS;

/// The chunks of an IPv4 frame.
#[inline]
pub(super) const fn ipv4_chunks(key: &FrameKey) -> [u16; field::IPV4_CHUNKS] {
    let (src, dst) = (key.ip_src as u32, key.ip_dst as u32);
    let (shape, flags) = (shape(key), key.tcp_flags as u16);
    let (src_high, dst_high) = ((src >> 16) as u16, (dst >> 16) as u16);
    [src_high, src as u16, dst_high, dst as u16, key.l4_src, key.l4_dst, shape, flags]
}

/// The chunks of an IPv6 frame, and unused ones at the end.
#[inline]
pub(super) fn ipv6_chunks(key: &FrameKey) -> [u16; field::IPV6_CHUNKS] {
    let mut chunks = [0; field::IPV6_CHUNKS];
    let (src, dst) = (key.ip_src.to_be_bytes(), key.ip_dst.to_be_bytes());
    let addresses = src.as_chunks::<2>().0.iter().chain(dst.as_chunks::<2>().0);
    let l4 = [key.l4_src, key.l4_dst, shape(key), u16::from(key.tcp_flags)];
    let pieces = addresses.map(|octets| u16::from_be_bytes(*octets)).chain(l4);
    for (chunk, piece) in chunks.iter_mut().zip(pieces) {
        *chunk = piece;
    }
    chunks
}

/// Protocol, DSCP, fragmentation, and whether there is L4.
#[inline]
const fn shape(key: &FrameKey) -> u16 {
    let mut low = (key.dscp_bits & 0x3f) << field::DSCP_SHIFT;
    if key.has_l4 {
        low |= field::HAS_L4;
    }
    if matches!(key.fragment, Fragment::Later) {
        low |= field::LATER;
    }
    u16::from_be_bytes([key.proto.get(), low])
}

/// The chunks of a frame that is not IP.
#[inline]
pub(super) const fn mac_chunks(key: &FrameKey, vlan: VlanId) -> [u16; field::MAC_CHUNKS] {
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

impl Tables {
    /// The first entry that accepts all chunks. `PIECES` is twice `CHUNKS`: the most pieces that
    /// they can be cut in.
    #[inline]
    pub(super) fn first<const CHUNKS: usize, const PIECES: usize>(
        &self,
        chunks: &[u16; CHUNKS],
    ) -> Option<usize> {
        const { assert!(PIECES == 2 * CHUNKS && CHUNKS.is_power_of_two()) };
        if self.row_len == 1 {
            let mut common = ALL;
            for piece in &self.pieces {
                let row = piece.rows.wrapping_add(self.class(piece, chunks)?);
                common = and(common, self.groups.get(row)?);
            }
            return lowest_of(common);
        }
        let mut classes = [0; PIECES];
        for (class, piece) in classes.iter_mut().zip(&self.pieces) {
            *class = self.class(piece, chunks)?;
        }
        for join in &self.joins {
            let second = *classes.get(join.second)?;
            let first = classes.get_mut(join.first)?;
            let pair = first.wrapping_mul(join.stride).wrapping_add(second);
            *first = usize::from(*self.joined.get(join.start.wrapping_add(pair))?);
        }
        self.search(&classes)
    }

    /// The class of the frame's value.
    #[inline(always)]
    fn class<const CHUNKS: usize>(&self, piece: &Piece, chunks: &[u16; CHUNKS]) -> Option<usize> {
        // The mask changes nothing, and saves the check of the bound.
        let chunk = usize::from(*chunks.get(piece.chunk & CHUNKS.wrapping_sub(1))?);
        let (high, low) = (chunk >> 8, chunk & 0xff);
        let page = *piece.page_of.get(high)? as usize;
        self.classes.get(page.wrapping_add(low)).copied().map(usize::from)
    }

    /// The first bit that is set in the rows of all classes.
    ///
    /// For the usual numbers of rows there is code of its own, in which nothing is left of the
    /// loop.
    #[inline]
    fn search(&self, classes: &[usize]) -> Option<usize> {
        match self.rows.len() {
            1 => self.search_rows(&self.starts::<1>(classes)?),
            2 => self.search_rows(&self.starts::<2>(classes)?),
            3 => self.search_rows(&self.starts::<3>(classes)?),
            4 => self.search_rows(&self.starts::<4>(classes)?),
            5 => self.search_rows(&self.starts::<5>(classes)?),
            6 => self.search_rows(&self.starts::<6>(classes)?),
            count => self.search_rows(self.starts::<ROWS_MAX>(classes)?.get(..count)?),
        }
    }

    /// Where the row of each class starts.
    #[inline(always)]
    fn starts<const ROWS: usize>(&self, classes: &[usize]) -> Option<[usize; ROWS]> {
        let mut starts = [0; ROWS];
        for (start, rows) in starts.iter_mut().zip(&self.rows) {
            let class = *classes.get(rows.piece)?;
            *start = rows.start.wrapping_add(class.wrapping_mul(self.row_len));
        }
        Some(starts)
    }

    #[inline(always)]
    fn search_rows(&self, starts: &[usize]) -> Option<usize> {
        if self.summaries { self.search_blocks(starts) } else { self.search_plain(starts) }
    }

    /// The first bit that is set in all rows, which have no summaries.
    #[inline(always)]
    fn search_plain(&self, starts: &[usize]) -> Option<usize> {
        for group in 0..self.row_len {
            if let Some(bit) = lowest_of(self.common(starts, group)?) {
                return Some(group.wrapping_mul(64 * GROUP_LEN).wrapping_add(bit));
            }
        }
        None
    }

    /// The first bit that is set in all rows, which have summaries.
    #[inline(always)]
    fn search_blocks(&self, starts: &[usize]) -> Option<usize> {
        for block in (0..self.row_len).step_by(BLOCK_LEN) {
            let [mut candidates, ..] = self.common(starts, block)?;
            while let Some(group) = lowest(candidates) {
                let at = block.wrapping_add(group);
                if let Some(bit) = lowest_of(self.common(starts, at.wrapping_add(1))?) {
                    // Each block before this one has a summary that stands for no entry.
                    let groups = at.wrapping_sub(block.wrapping_div(BLOCK_LEN));
                    return Some(groups.wrapping_mul(64 * GROUP_LEN).wrapping_add(bit));
                }
                candidates &= candidates.wrapping_sub(1);
            }
        }
        None
    }

    /// What all rows have in common in their group number `at`.
    #[inline(always)]
    fn common(&self, starts: &[usize], at: usize) -> Option<Group> {
        let mut common = ALL;
        for start in starts {
            common = and(common, self.groups.get(start.wrapping_add(at))?);
        }
        Some(common)
    }
}

/// Every entry.
const ALL: Group = [u64::MAX; GROUP_LEN];

/// The bits that are set in both.
#[inline(always)]
fn and(mut a: Group, b: &Group) -> Group {
    for (a, b) in a.iter_mut().zip(b) {
        *a &= b;
    }
    a
}

/// The lowest bit of a group that is set.
#[inline(always)]
fn lowest_of(group: Group) -> Option<usize> {
    // A group is mostly empty, or the match is near: one test for all, then word by word.
    if group.iter().fold(0, |any, word| any | word) == 0 {
        return None;
    }
    let at = group.iter().position(|word| *word != 0)?;
    let bit = lowest(group.get(at).copied()?)?;
    Some(at.wrapping_mul(64).wrapping_add(bit))
}

/// The lowest bit that is set.
#[inline]
const fn lowest(bits: u64) -> Option<usize> {
    if bits == 0 { None } else { Some(bits.trailing_zeros() as usize) }
}
