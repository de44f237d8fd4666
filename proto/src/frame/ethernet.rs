//! The Ethernet header (IEEE 802.3-2018 clause 3.1.1) and the LLC header that may follow it.
//!
//! A view holds exactly the header's bytes, checked once when it is made; getters cannot fail. What
//! a frame as a whole is, says [`parse`](super::parse::parse).

use core::borrow::{Borrow, BorrowMut};

use super::bytes::{array_at, put, u16_at};
use crate::types::{EtherType, MacAddr};

/// Octets of destination, source and EtherType.
pub const HEADER_LEN: usize = 14;
/// Octets of the two addresses, which a tag edit moves.
pub const ADDRESSES_LEN: usize = 12;
/// The shortest frame on a wire, without its check sequence (IEEE 802.3-2018 clause 4.2.3.3).
pub const FRAME_LEN_MIN: usize = 60;
/// Values of the type/length field below this are the length of an LLC frame.
pub const ETHER_TYPE_MIN: u16 = 0x0600;

mod field {
    pub(super) const DST: usize = 0;
    pub(super) const SRC: usize = 6;
    pub(super) const ETHER_TYPE: usize = 12;
}

/// A view of an Ethernet header: over `&[u8; 14]`, `&mut [u8; 14]` or the array itself.
#[derive(Clone, Copy, Debug)]
pub struct Header<B>(B);

impl<'a> Header<&'a [u8; HEADER_LEN]> {
    /// The header at the start of `frame` and what follows it; `None` when the frame is shorter.
    #[must_use]
    #[inline]
    pub fn split(frame: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (header, rest) = frame.split_first_chunk()?;
        Some((Self(header), rest))
    }
}

impl Header<[u8; HEADER_LEN]> {
    /// A new header.
    #[must_use]
    pub fn new(dst: MacAddr, src: MacAddr, ether_type: EtherType) -> Self {
        let mut header = Self([0; HEADER_LEN]);
        header.set_dst(dst);
        header.set_src(src);
        header.set_ether_type(ether_type);
        header
    }

    /// The bytes, in transmission order.
    #[must_use]
    pub const fn into_octets(self) -> [u8; HEADER_LEN] {
        self.0
    }
}

impl<B: Borrow<[u8; HEADER_LEN]>> Header<B> {
    /// Destination address.
    #[must_use]
    #[inline]
    pub fn dst(&self) -> MacAddr {
        MacAddr::new(array_at::<{ field::DST }, _, _>(self.0.borrow()))
    }

    /// Source address.
    #[must_use]
    #[inline]
    pub fn src(&self) -> MacAddr {
        MacAddr::new(array_at::<{ field::SRC }, _, _>(self.0.borrow()))
    }

    /// The type/length field; of a tagged frame the TPID.
    #[must_use]
    #[inline]
    pub fn ether_type(&self) -> EtherType {
        EtherType::new(u16_at::<{ field::ETHER_TYPE }, _>(self.0.borrow()))
    }
}

impl<B: BorrowMut<[u8; HEADER_LEN]>> Header<B> {
    /// Stores the destination address.
    #[inline]
    pub fn set_dst(&mut self, dst: MacAddr) {
        put::<{ field::DST }, _, _>(self.0.borrow_mut(), dst.octets());
    }

    /// Stores the source address.
    #[inline]
    pub fn set_src(&mut self, src: MacAddr) {
        put::<{ field::SRC }, _, _>(self.0.borrow_mut(), src.octets());
    }

    /// Stores the type/length field.
    #[inline]
    pub fn set_ether_type(&mut self, ether_type: EtherType) {
        put::<{ field::ETHER_TYPE }, _, _>(self.0.borrow_mut(), ether_type.get().to_be_bytes());
    }
}
