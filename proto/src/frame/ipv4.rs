//! The IPv4 header (RFC 791 section 3.1), without its options.

use core::borrow::{Borrow, BorrowMut};

use super::bytes::{put, u8_at, u16_at, u32_at};
use super::checksum;
use super::key::Fragment;
use crate::types::IpProto;

/// Octets of a header without options.
pub const HEADER_LEN: usize = 20;

mod field {
    pub(super) const VERSION_IHL: usize = 0;
    pub(super) const TOS: usize = 1;
    pub(super) const TOTAL_LENGTH: usize = 2;
    pub(super) const IDENTIFICATION: usize = 4;
    pub(super) const FLAGS_FRAGMENT_OFFSET: usize = 6;
    pub(super) const TTL: usize = 8;
    pub(super) const PROTOCOL: usize = 9;
    pub(super) const HEADER_CHECKSUM: usize = 10;
    pub(super) const SOURCE: usize = 12;
    pub(super) const DESTINATION: usize = 16;
}

const MORE_FRAGMENTS: u16 = 0x2000;
const FRAGMENT_OFFSET_MASK: u16 = 0x1fff;

/// A view of the fixed part of a header: over `&[u8; 20]`, `&mut [u8; 20]` or the array itself.
#[derive(Clone, Copy, Debug)]
pub struct Header<B>(B);

impl<'a> Header<&'a [u8; HEADER_LEN]> {
    /// The header at the start of `packet`.
    ///
    /// `None` unless its 20 octets are there, the version is 4, and IHL and total length are at
    /// least the header's own length. Options and payload may lie beyond `packet`.
    #[must_use]
    #[inline]
    pub fn new_checked(packet: &'a [u8]) -> Option<Self> {
        let header = Self::new_checked_ihl(packet)?;
        (usize::from(header.total_len()) >= header.header_len()).then_some(header)
    }

    /// As [`Self::new_checked`], but whatever the total length says: the sender of a super-frame
    /// may leave that field to whom segments it.
    #[must_use]
    #[inline]
    pub fn new_checked_ihl(packet: &'a [u8]) -> Option<Self> {
        let header = Self(packet.first_chunk()?);
        let version_ihl = u8_at::<{ field::VERSION_IHL }, _>(header.0);
        matches!(version_ihl, 0x45..=0x4f).then_some(header)
    }

    /// The header at the start of `packet` when it is a plain one: version 4, no options, not of a
    /// fragment. The total length may say anything.
    #[must_use]
    #[inline(always)]
    pub(super) fn plain(packet: &'a [u8]) -> Option<Self> {
        let header = Self(packet.first_chunk()?);
        let is_plain = u8_at::<{ field::VERSION_IHL }, _>(header.0) == 0x45
            && header.fragment() == Fragment::Whole;
        is_plain.then_some(header)
    }
}

impl<'a> Header<&'a mut [u8; HEADER_LEN]> {
    /// A writable view of the 20 octets at the start of `packet`, unchecked otherwise; `None` when
    /// there are fewer.
    #[must_use]
    #[inline]
    pub fn for_writing(packet: &'a mut [u8]) -> Option<Self> {
        packet.first_chunk_mut().map(Self)
    }
}

impl Header<[u8; HEADER_LEN]> {
    /// A new header without options, DF set, TTL 64; length and checksum are still 0.
    #[must_use]
    pub fn new(source: [u8; 4], destination: [u8; 4], proto: IpProto) -> Self {
        let mut h = [0; HEADER_LEN];
        put::<{ field::VERSION_IHL }, _, _>(&mut h, [0x45]);
        put::<{ field::FLAGS_FRAGMENT_OFFSET }, _, _>(&mut h, [0x40, 0]);
        put::<{ field::TTL }, _, _>(&mut h, [64]);
        put::<{ field::PROTOCOL }, _, _>(&mut h, [proto.get()]);
        put::<{ field::SOURCE }, _, _>(&mut h, source);
        put::<{ field::DESTINATION }, _, _>(&mut h, destination);
        Self(h)
    }

    /// The bytes, in transmission order.
    #[must_use]
    pub const fn into_octets(self) -> [u8; HEADER_LEN] {
        self.0
    }
}

impl<B: Borrow<[u8; HEADER_LEN]>> Header<B> {
    /// IHL: length of the header with its options, 20..=60 octets once checked.
    #[must_use]
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(u8_at::<{ field::VERSION_IHL }, _>(self.0.borrow()) & 0x0f) * 4
    }

    /// Differentiated services code point, 0..=63 (RFC 2474).
    #[must_use]
    #[inline]
    pub fn dscp_bits(&self) -> u8 {
        u8_at::<{ field::TOS }, _>(self.0.borrow()) >> 2
    }

    /// Total length: header and payload, in octets.
    #[must_use]
    #[inline]
    pub fn total_len(&self) -> u16 {
        u16_at::<{ field::TOTAL_LENGTH }, _>(self.0.borrow())
    }

    /// Identification.
    #[must_use]
    #[inline]
    pub fn ident(&self) -> u16 {
        u16_at::<{ field::IDENTIFICATION }, _>(self.0.borrow())
    }

    /// Where in a fragmented packet this one stands.
    #[must_use]
    #[inline]
    pub fn fragment(&self) -> Fragment {
        let word = u16_at::<{ field::FLAGS_FRAGMENT_OFFSET }, _>(self.0.borrow());
        if word & FRAGMENT_OFFSET_MASK != 0 {
            Fragment::Later
        } else if word & MORE_FRAGMENTS != 0 {
            Fragment::First
        } else {
            Fragment::Whole
        }
    }

    /// Protocol of the payload.
    #[must_use]
    #[inline]
    pub fn protocol(&self) -> IpProto {
        IpProto::new(u8_at::<{ field::PROTOCOL }, _>(self.0.borrow()))
    }

    /// Source address.
    #[must_use]
    #[inline]
    pub fn source(&self) -> u32 {
        u32_at::<{ field::SOURCE }, _>(self.0.borrow())
    }

    /// Destination address.
    #[must_use]
    #[inline]
    pub fn destination(&self) -> u32 {
        u32_at::<{ field::DESTINATION }, _>(self.0.borrow())
    }
}

impl<B: BorrowMut<[u8; HEADER_LEN]>> Header<B> {
    /// Stores the total length.
    #[inline]
    pub fn set_total_len(&mut self, octets: u16) {
        put::<{ field::TOTAL_LENGTH }, _, _>(self.0.borrow_mut(), octets.to_be_bytes());
    }

    /// Stores the identification.
    #[inline]
    pub fn set_ident(&mut self, ident: u16) {
        put::<{ field::IDENTIFICATION }, _, _>(self.0.borrow_mut(), ident.to_be_bytes());
    }
}

/// Computes and stores the header checksum over `header`, which is the whole header with its
/// options. Does nothing when there are fewer than 20 octets.
#[inline]
pub fn fill_checksum(header: &mut [u8]) {
    let Some(fixed) = header.first_chunk_mut::<HEADER_LEN>() else { return };
    put::<{ field::HEADER_CHECKSUM }, _, _>(fixed, [0, 0]);
    let value = checksum::Sum::of(header).complement();
    if let Some(fixed) = header.first_chunk_mut::<HEADER_LEN>() {
        put::<{ field::HEADER_CHECKSUM }, _, _>(fixed, value.to_be_bytes());
    }
}
