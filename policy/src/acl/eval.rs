//! The search in a compiled list: per frame, without allocation, lock or panic.
//!
//! For each chunk of two bytes that some rule asks about, two look-ups give the class of the
//! frame's value, and the class a row: a bit for each entry of the list that accepts the value. The
//! AND of the rows has a bit for each entry that matches, and the lowest one is the first match.
//! Short rows are read whole. Long ones have summaries, a bit for each word that is not zero, so that
//! only words in which every row has something are looked at (aggregated bit vectors: Baboescu and
//! Varghese, "Scalable Packet Classification", SIGCOMM 2001). Nothing is left to be found as soon as
//! rows, or summaries, have nothing in common: for a frame that no rule means that is mostly after
//! the first of them.
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

use arrayvec::ArrayVec;
use proto::VlanId;
use proto::frame::{Fragment, FrameKey};

use super::condition::field;
use super::pages::GROUP_LEN;
use super::tables::{Group, Piece, Rows, Tables};

/// The most pieces that a search can have: both bytes of each chunk.
const PIECES_MAX: usize = 2 * field::IPV6_CHUNKS;

/// The chunks of an IPv4 frame.
#[inline]
const fn ipv4_chunks(key: &FrameKey) -> [u16; field::IPV4_CHUNKS] {
    let (src, dst) = (key.ip_src as u32, key.ip_dst as u32);
    let (shape, flags) = (shape(key), key.tcp_flags as u16);
    let (src_high, dst_high) = ((src >> 16) as u16, (dst >> 16) as u16);
    [src_high, src as u16, dst_high, dst as u16, key.l4_src, key.l4_dst, shape, flags]
}

/// The chunks of an IPv6 frame, and unused ones at the end.
#[inline]
fn ipv6_chunks(key: &FrameKey) -> [u16; field::IPV6_CHUNKS] {
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
    (key.proto.get() as u16) << 8 | low as u16
}

/// The chunks of a frame that is not IP.
#[inline]
const fn mac_chunks(key: &FrameKey, vlan: VlanId) -> [u16; field::MAC_CHUNKS] {
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
    /// The first entry that accepts an IPv4 frame; [`NO_ENTRY`]: none. Here and below a call, so
    /// that what a search needs of registers and stack costs the caller nothing.
    #[inline(never)]
    pub(super) fn first_ipv4(&self, key: &FrameKey) -> usize {
        self.first(&ipv4_chunks(key))
    }

    /// The first entry that accepts an IPv6 frame.
    #[inline(never)]
    pub(super) fn first_ipv6(&self, key: &FrameKey) -> usize {
        self.first(&ipv6_chunks(key))
    }

    /// The first entry that accepts a frame that is not IP.
    #[inline(never)]
    pub(super) fn first_mac(&self, key: &FrameKey, vlan: VlanId) -> usize {
        self.first(&mac_chunks(key, vlan))
    }

    #[inline(always)]
    fn first<const CHUNKS: usize>(&self, chunks: &[u16; CHUNKS]) -> usize {
        let entry = match &self.rows {
            Rows::Short(groups) => self.first_short(chunks, groups),
            Rows::Long { .. } => self.first_long(chunks),
        };
        entry.unwrap_or(NO_ENTRY)
    }

    /// The first entry that accepts all chunks, of a list with rows of one group.
    #[inline(always)]
    fn first_short<const CHUNKS: usize>(
        &self,
        chunks: &[u16; CHUNKS],
        groups: &[Group],
    ) -> Option<usize> {
        let mut common = ALL;
        for piece in &self.pieces {
            common = and(common, groups.get(self.row(piece, chunks)?)?);
            if is_empty(&common) {
                return None;
            }
        }
        lowest_bit(&common)
    }

    /// The first entry that accepts all chunks, of a longer list.
    #[inline(never)] // A list this long pays for the call.
    fn first_long<const CHUNKS: usize>(&self, chunks: &[u16; CHUNKS]) -> Option<usize> {
        let Rows::Long { summaries, groups, row_len, stripe_len } = &self.rows else { return None };
        let mut starts: ArrayVec<usize, PIECES_MAX> = ArrayVec::new();
        let mut stripes = u64::MAX;
        for piece in &self.pieces {
            let row = self.row(piece, chunks)?;
            stripes &= summaries.get(row)?;
            if stripes == 0 {
                return None;
            }
            starts.try_push(row.wrapping_mul(*row_len)).ok()?;
        }
        while stripes != 0 {
            // A group at a time, in which stripes of single words are neighbours.
            let start = (stripes.trailing_zeros() as usize).wrapping_mul(*stripe_len);
            let end = start.wrapping_add(*stripe_len).div_ceil(GROUP_LEN).min(*row_len);
            for at in start.wrapping_div(GROUP_LEN)..end {
                let mut common = ALL;
                for row in &starts {
                    common = and(common, groups.get(row.wrapping_add(at))?);
                }
                if !is_empty(&common) {
                    let before = at.wrapping_mul(64 * GROUP_LEN);
                    return lowest_bit(&common).map(|bit| before.wrapping_add(bit));
                }
            }
            let done = end.wrapping_mul(GROUP_LEN).checked_div(*stripe_len)?;
            stripes &= u64::MAX.checked_shl(done as u32).unwrap_or(0);
        }
        None
    }

    /// The row of the frame's value.
    #[inline(always)]
    fn row<const CHUNKS: usize>(&self, piece: &Piece, chunks: &[u16; CHUNKS]) -> Option<usize> {
        const { assert!(CHUNKS.is_power_of_two()) };
        // The mask changes nothing, and saves the check of the bound.
        let chunk = usize::from(*chunks.get(piece.chunk & CHUNKS.wrapping_sub(1))?);
        let (high, low) = (chunk >> 8, chunk & 0xff);
        let page = *piece.page_of.get(high)? as usize;
        let class = usize::from(*self.classes.get(page.wrapping_add(low))?);
        Some(piece.first_row.wrapping_add(class))
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

/// Whether no bit is set.
#[inline(always)]
fn is_empty(group: &Group) -> bool {
    group.iter().fold(0, |any, word| any | word) == 0
}

/// The lowest bit that is set.
#[inline(always)]
fn lowest_bit(group: &Group) -> Option<usize> {
    let at = group.iter().position(|word| *word != 0)?;
    Some(at.wrapping_mul(64).wrapping_add(group.get(at)?.trailing_zeros() as usize))
}

/// No entry: beyond the end of any list.
pub(super) const NO_ENTRY: usize = usize::MAX;
