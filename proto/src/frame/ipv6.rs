//! The IPv6 header and the walk over its extension headers (RFC 8200 sections 3 and 4).

use core::borrow::{Borrow, BorrowMut};

use super::bytes::{array_at, put, u8_at, u16_at};
use super::key::Fragment;
use crate::types::IpProto;

/// Octets of the fixed header.
pub const HEADER_LEN: usize = 40;
/// Extension headers that the walk looks behind; a packet has seven at most when each kind stands
/// there once, and destination options twice (RFC 8200 section 4.1).
pub const EXTENSIONS_MAX: usize = 8;

mod field {
    pub(super) const VERSION_CLASS_LABEL: usize = 0;
    pub(super) const PAYLOAD_LENGTH: usize = 4;
    pub(super) const NEXT_HEADER: usize = 6;
    pub(super) const HOP_LIMIT: usize = 7;
    pub(super) const SOURCE: usize = 8;
    pub(super) const DESTINATION: usize = 24;
    /// In an extension header: the type of the header after it.
    pub(super) const EXT_NEXT_HEADER: usize = 0;
    /// In an extension header: its length, in units that depend on its type.
    pub(super) const EXT_LENGTH: usize = 1;
    /// In a fragment header: offset (13 bits), reserved (2) and the M flag.
    pub(super) const FRAGMENT_OFFSET_M: usize = 2;
}

/// IANA's numbers of the extension headers that the walk can look behind.
mod ext {
    pub(super) const HOP_BY_HOP: u8 = 0;
    pub(super) const ROUTING: u8 = 43;
    pub(super) const FRAGMENT: u8 = 44;
    pub(super) const AUTHENTICATION: u8 = 51;
    pub(super) const DESTINATION: u8 = 60;
    pub(super) const MOBILITY: u8 = 135;
    pub(super) const HOST_IDENTITY: u8 = 139;
    pub(super) const SHIM6: u8 = 140;
}

/// A view of a fixed header: over `&[u8; 40]`, `&mut [u8; 40]` or the array itself.
#[derive(Clone, Copy, Debug)]
pub struct Header<B>(B);

impl<'a> Header<&'a [u8; HEADER_LEN]> {
    /// The header at the start of `packet`; `None` unless its 40 octets are there and the version
    /// is 6. The payload may lie beyond `packet`.
    #[must_use]
    #[inline]
    pub fn new_checked(packet: &'a [u8]) -> Option<Self> {
        let header = Self(packet.first_chunk()?);
        let version = u8_at::<{ field::VERSION_CLASS_LABEL }, _>(header.0) >> 4;
        (version == 6).then_some(header)
    }
}

impl<'a> Header<&'a mut [u8; HEADER_LEN]> {
    /// A writable view of the 40 octets at the start of `packet`, unchecked otherwise; `None` when
    /// there are fewer.
    #[must_use]
    #[inline]
    pub fn for_writing(packet: &'a mut [u8]) -> Option<Self> {
        packet.first_chunk_mut().map(Self)
    }
}

impl Header<[u8; HEADER_LEN]> {
    /// A new header with hop limit 64; the payload length is still 0.
    #[must_use]
    pub fn new(source: [u8; 16], destination: [u8; 16], next_header: IpProto) -> Self {
        let mut h = [0; HEADER_LEN];
        put::<{ field::VERSION_CLASS_LABEL }, _, _>(&mut h, [0x60]);
        put::<{ field::NEXT_HEADER }, _, _>(&mut h, [next_header.get()]);
        put::<{ field::HOP_LIMIT }, _, _>(&mut h, [64]);
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
    /// Differentiated services code point, 0..=63 (RFC 2474).
    #[must_use]
    #[inline]
    pub fn dscp_bits(&self) -> u8 {
        // Version (4 bits), traffic class (8), flow label (20): the code point is the class's
        // upper six bits.
        (u16_at::<{ field::VERSION_CLASS_LABEL }, _>(self.0.borrow()) >> 6 & 0x3f) as u8
    }

    /// Payload length: everything after the fixed header, in octets.
    #[must_use]
    #[inline]
    pub fn payload_len(&self) -> u16 {
        u16_at::<{ field::PAYLOAD_LENGTH }, _>(self.0.borrow())
    }

    /// Type of the header that follows.
    #[must_use]
    #[inline]
    pub fn next_header(&self) -> IpProto {
        IpProto::new(u8_at::<{ field::NEXT_HEADER }, _>(self.0.borrow()))
    }

    /// Source address.
    #[must_use]
    #[inline]
    pub fn source(&self) -> u128 {
        u128::from_be_bytes(array_at::<{ field::SOURCE }, _, _>(self.0.borrow()))
    }

    /// Destination address.
    #[must_use]
    #[inline]
    pub fn destination(&self) -> u128 {
        u128::from_be_bytes(array_at::<{ field::DESTINATION }, _, _>(self.0.borrow()))
    }
}

impl<B: BorrowMut<[u8; HEADER_LEN]>> Header<B> {
    /// Stores the payload length.
    #[inline]
    pub fn set_payload_len(&mut self, octets: u16) {
        put::<{ field::PAYLOAD_LENGTH }, _, _>(self.0.borrow_mut(), octets.to_be_bytes());
    }
}

/// Where the walk over the extension headers came to a stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Upper {
    /// What stands there: an upper-layer protocol, or the number of the extension header that could
    /// not be passed (cut off by the end of the bytes, behind [`EXTENSIONS_MAX`] others, or in a
    /// later fragment).
    pub proto: IpProto,
    /// Its offset from the end of the fixed header, in octets.
    pub offset: usize,
    /// What the fragment header said, if there was one.
    pub fragment: Fragment,
    /// No routing header was passed, which hides the final destination that the pseudo-header of
    /// a checksum needs, and no authentication header, which covers the payload.
    pub plain: bool,
}

/// Whether this number is an extension header that the walk looks behind.
#[must_use]
#[inline]
pub const fn is_extension(proto: IpProto) -> bool {
    matches!(
        proto.get(),
        ext::HOP_BY_HOP
            | ext::ROUTING
            | ext::FRAGMENT
            | ext::AUTHENTICATION
            | ext::DESTINATION
            | ext::MOBILITY
            | ext::HOST_IDENTITY
            | ext::SHIM6
    )
}

/// Walks from `next_header` at the start of `payload` to the upper-layer header.
///
/// Looks at [`EXTENSIONS_MAX`] headers at most and stops at a fragment that is not the first.
#[must_use]
#[inline]
pub fn walk(next_header: IpProto, payload: &[u8]) -> Upper {
    let mut upper = Upper { proto: next_header, offset: 0, fragment: Fragment::Whole, plain: true };
    if is_extension(next_header) {
        walk_extensions(&mut upper, payload);
    }
    upper
}

/// The rare part of [`walk`], kept out of the path of packets that have no extension header.
#[cold]
fn walk_extensions(upper: &mut Upper, payload: &[u8]) {
    let mut rest = payload;
    for _ in 0..EXTENSIONS_MAX {
        if !is_extension(upper.proto) || upper.fragment == Fragment::Later {
            return;
        }
        // The shortest extension header has 8 octets (RFC 8200 section 4.2).
        let Some(head) = rest.first_chunk::<8>() else { return };
        let units = usize::from(u8_at::<{ field::EXT_LENGTH }, _>(head));
        let octets = match upper.proto.get() {
            ext::FRAGMENT => 8,
            // RFC 4302 section 2.2: in words of 4 octets, minus 2.
            ext::AUTHENTICATION => (units + 2) * 4,
            _ => (units + 1) * 8,
        };
        let Some(after) = rest.get(octets..) else { return };
        match upper.proto.get() {
            ext::FRAGMENT => {
                upper.fragment = fragment_of(u16_at::<{ field::FRAGMENT_OFFSET_M }, _>(head));
            }
            ext::ROUTING | ext::AUTHENTICATION => upper.plain = false,
            _ => {}
        }
        upper.proto = IpProto::new(u8_at::<{ field::EXT_NEXT_HEADER }, _>(head));
        upper.offset += octets;
        rest = after;
    }
}

/// Reads offset and M flag of a fragment header (RFC 8200 section 4.5). One with neither is an
/// atomic fragment and handled as a whole packet (RFC 6946).
const fn fragment_of(word: u16) -> Fragment {
    match (word >> 3, word & 1) {
        (0, 0) => Fragment::Whole,
        (0, _) => Fragment::First,
        _ => Fragment::Later,
    }
}
