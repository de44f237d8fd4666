//! The 802.1Q tag (IEEE 802.1Q-2018 clause 9): where it stands and what follows it.
//!
//! A tag is seen here from behind its TPID: two octets of TCI, then the next EtherType. So a walk
//! over stacked tags reads one [`Header`] for each TPID that it finds.

use super::bytes::u16_at;
use super::key::Tag;
use crate::types::EtherType;

/// Octets that a tag adds to a frame: TPID and TCI.
pub const TAG_LEN: usize = 4;
/// Octets of a [`Header`]: TCI and the EtherType after it.
pub const HEADER_LEN: usize = 4;

mod field {
    pub(super) const TCI: usize = 0;
    pub(super) const ETHER_TYPE: usize = 2;
}

/// A view of the octets that follow a TPID.
#[derive(Clone, Copy, Debug)]
pub struct Header<'a>(&'a [u8; HEADER_LEN]);

impl<'a> Header<'a> {
    /// The header at the start of `bytes` (just behind a TPID) and what follows it; `None` when
    /// there are fewer octets.
    #[must_use]
    #[inline]
    pub fn split(bytes: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = bytes.split_first_chunk()?;
        Some((Self(header), rest))
    }

    /// The tag: priority, drop-eligible bit and VLAN identifier.
    #[must_use]
    #[inline]
    pub const fn tag(&self) -> Tag {
        Tag { tci: u16_at::<{ field::TCI }, _>(self.0) }
    }

    /// The EtherType after the tag.
    #[must_use]
    #[inline]
    pub const fn ether_type(&self) -> EtherType {
        EtherType::new(u16_at::<{ field::ETHER_TYPE }, _>(self.0))
    }
}

/// Whether this EtherType is the TPID of a customer (0x8100) or service (0x88a8) tag.
#[must_use]
#[inline]
pub const fn is_tpid(ether_type: EtherType) -> bool {
    matches!(ether_type, EtherType::VLAN | EtherType::SERVICE_VLAN)
}
