//! The fields of TCP, UDP, SCTP and ICMP headers that the switch reads or writes.

use core::borrow::{Borrow, BorrowMut};

use super::bytes::{put, u8_at, u16_at, u32_at};
use crate::types::IpProto;

/// Octets of a TCP header without options (RFC 9293 section 3.1).
pub const TCP_HEADER_LEN: usize = 20;
/// Octets of a UDP header (RFC 768).
pub const UDP_HEADER_LEN: usize = 8;
/// Where the checksum stands in a TCP header.
pub const TCP_CHECKSUM: usize = 16;
/// Where the checksum stands in a UDP header.
pub const UDP_CHECKSUM: usize = 6;

/// TCP flags, as they stand in the flags octet (RFC 9293 section 3.1).
pub mod tcp_flags {
    /// No more data from the sender.
    pub const FIN: u8 = 0x01;
    /// Synchronise sequence numbers.
    pub const SYN: u8 = 0x02;
    /// Reset the connection.
    pub const RST: u8 = 0x04;
    /// Push function.
    pub const PSH: u8 = 0x08;
    /// The acknowledgment field is significant.
    pub const ACK: u8 = 0x10;
    /// The urgent pointer is significant.
    pub const URG: u8 = 0x20;
    /// ECN echo (RFC 3168).
    pub const ECE: u8 = 0x40;
    /// Congestion window reduced (RFC 3168).
    pub const CWR: u8 = 0x80;
}

mod field {
    /// Of TCP, UDP and SCTP alike.
    pub(super) const SOURCE_PORT: usize = 0;
    pub(super) const DESTINATION_PORT: usize = 2;

    pub(super) const TCP_SEQUENCE_NUMBER: usize = 4;
    pub(super) const TCP_DATA_OFFSET: usize = 12;
    pub(super) const TCP_FLAGS: usize = 13;

    pub(super) const UDP_LENGTH: usize = 4;

    pub(super) const ICMP_TYPE: usize = 0;
    pub(super) const ICMP_CODE: usize = 1;
}

/// What classification reads of an L4 header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ports {
    /// Source port, or ICMP type.
    pub src: u16,
    /// Destination port, or ICMP code.
    pub dst: u16,
    /// Flags octet of TCP, else 0.
    pub tcp_flags: u8,
}

impl Ports {
    /// The ports (and TCP flags) or ICMP type and code at the start of `segment`.
    ///
    /// `None` when `proto` has no such fields, or when not all of those that it has are there: so
    /// of a first fragment that is cut before the TCP flags nothing is read (RFC 1858 section 3).
    #[must_use]
    #[inline]
    pub fn read(proto: IpProto, segment: &[u8]) -> Option<Self> {
        match proto {
            IpProto::TCP => {
                let head = segment.first_chunk::<{ field::TCP_FLAGS + 1 }>()?;
                Some(Self {
                    src: u16_at::<{ field::SOURCE_PORT }, _>(head),
                    dst: u16_at::<{ field::DESTINATION_PORT }, _>(head),
                    tcp_flags: u8_at::<{ field::TCP_FLAGS }, _>(head),
                })
            }
            IpProto::UDP | IpProto::SCTP => {
                let head = segment.first_chunk::<4>()?;
                Some(Self {
                    src: u16_at::<{ field::SOURCE_PORT }, _>(head),
                    dst: u16_at::<{ field::DESTINATION_PORT }, _>(head),
                    tcp_flags: 0,
                })
            }
            IpProto::ICMP | IpProto::ICMPV6 => {
                let head = segment.first_chunk::<2>()?;
                Some(Self {
                    src: u16::from(u8_at::<{ field::ICMP_TYPE }, _>(head)),
                    dst: u16::from(u8_at::<{ field::ICMP_CODE }, _>(head)),
                    tcp_flags: 0,
                })
            }
            _ => None,
        }
    }

    /// Octets at the start of a header of this protocol that [`Self::read`] looks at; 0 when there
    /// is nothing in it to be read.
    #[must_use]
    pub const fn octets(proto: IpProto) -> usize {
        match proto {
            IpProto::TCP => field::TCP_FLAGS + 1,
            IpProto::UDP | IpProto::SCTP => 4,
            IpProto::ICMP | IpProto::ICMPV6 => 2,
            _ => 0,
        }
    }
}

/// A view of the fixed part of a TCP header.
#[derive(Clone, Copy, Debug)]
pub struct Tcp<B>(B);

impl<'a> Tcp<&'a [u8; TCP_HEADER_LEN]> {
    /// The header at the start of `segment`; `None` unless its 20 octets are there and the data
    /// offset is at least that. Options may lie beyond `segment`.
    #[must_use]
    #[inline]
    pub fn new_checked(segment: &'a [u8]) -> Option<Self> {
        let header = Self(segment.first_chunk()?);
        (header.header_len() >= TCP_HEADER_LEN).then_some(header)
    }
}

impl<'a> Tcp<&'a mut [u8; TCP_HEADER_LEN]> {
    /// A writable view of the 20 octets at the start of `segment`, unchecked otherwise; `None` when
    /// there are fewer.
    #[must_use]
    #[inline]
    pub fn for_writing(segment: &'a mut [u8]) -> Option<Self> {
        segment.first_chunk_mut().map(Self)
    }
}

impl<B: Borrow<[u8; TCP_HEADER_LEN]>> Tcp<B> {
    /// Sequence number.
    #[must_use]
    #[inline]
    pub fn sequence_number(&self) -> u32 {
        u32_at::<{ field::TCP_SEQUENCE_NUMBER }, _>(self.0.borrow())
    }

    /// Data offset: length of the header with its options, 20..=60 octets once checked.
    #[must_use]
    #[inline]
    pub fn header_len(&self) -> usize {
        usize::from(u8_at::<{ field::TCP_DATA_OFFSET }, _>(self.0.borrow()) >> 4) * 4
    }

    /// The flags octet, see [`tcp_flags`].
    #[must_use]
    #[inline]
    pub fn flags(&self) -> u8 {
        u8_at::<{ field::TCP_FLAGS }, _>(self.0.borrow())
    }
}

impl<B: BorrowMut<[u8; TCP_HEADER_LEN]>> Tcp<B> {
    /// Stores source and destination port.
    #[inline]
    pub fn set_ports(&mut self, source: u16, destination: u16) {
        put::<{ field::SOURCE_PORT }, _, _>(self.0.borrow_mut(), source.to_be_bytes());
        put::<{ field::DESTINATION_PORT }, _, _>(self.0.borrow_mut(), destination.to_be_bytes());
    }

    /// Stores the data offset for a header of `octets` with its options: a multiple of 4, up to 60.
    #[inline]
    pub fn set_header_len(&mut self, octets: usize) {
        put::<{ field::TCP_DATA_OFFSET }, _, _>(self.0.borrow_mut(), [((octets / 4) << 4) as u8]);
    }

    /// Stores the sequence number.
    #[inline]
    pub fn set_sequence_number(&mut self, number: u32) {
        put::<{ field::TCP_SEQUENCE_NUMBER }, _, _>(self.0.borrow_mut(), number.to_be_bytes());
    }

    /// Stores the flags octet.
    #[inline]
    pub fn set_flags(&mut self, flags: u8) {
        put::<{ field::TCP_FLAGS }, _, _>(self.0.borrow_mut(), [flags]);
    }

    /// Stores the checksum.
    #[inline]
    pub fn set_checksum(&mut self, checksum: u16) {
        put::<TCP_CHECKSUM, _, _>(self.0.borrow_mut(), checksum.to_be_bytes());
    }
}

/// A view of a UDP header.
#[derive(Clone, Copy, Debug)]
pub struct Udp<B>(B);

impl<'a> Udp<&'a mut [u8; UDP_HEADER_LEN]> {
    /// A writable view of the 8 octets at the start of `datagram`; `None` when there are fewer.
    #[must_use]
    #[inline]
    pub fn for_writing(datagram: &'a mut [u8]) -> Option<Self> {
        datagram.first_chunk_mut().map(Self)
    }
}

impl<B: BorrowMut<[u8; UDP_HEADER_LEN]>> Udp<B> {
    /// Stores source and destination port.
    #[inline]
    pub fn set_ports(&mut self, source: u16, destination: u16) {
        put::<{ field::SOURCE_PORT }, _, _>(self.0.borrow_mut(), source.to_be_bytes());
        put::<{ field::DESTINATION_PORT }, _, _>(self.0.borrow_mut(), destination.to_be_bytes());
    }

    /// Stores the length of header and payload, in octets.
    #[inline]
    pub fn set_len(&mut self, octets: u16) {
        put::<{ field::UDP_LENGTH }, _, _>(self.0.borrow_mut(), octets.to_be_bytes());
    }

    /// Stores the checksum; 0 means that there is none.
    #[inline]
    pub fn set_checksum(&mut self, checksum: u16) {
        put::<UDP_CHECKSUM, _, _>(self.0.borrow_mut(), checksum.to_be_bytes());
    }
}
