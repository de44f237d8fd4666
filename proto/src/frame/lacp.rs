//! Slow protocols of link aggregation: the LACPDU and the Marker PDU (IEEE 802.1AX-2020 clauses
//! 6.4.2 and 6.5.3).
//!
//! Where it sits: the LACP machine of the dataplane reads and writes whole frames by it. Both PDUs
//! have 110 octets at fixed places, so neither reading nor writing allocates. A reader takes any
//! version from 1 up, as the standard asks for: a later version keeps what version 1 says where it
//! is, and may only add to it. Not here: what a PDU means.

use core::fmt;

use super::bytes::{array_at, put, u8_at, u16_at, u32_at};
use super::ethernet::{self, HEADER_LEN};
use super::l2control::SLOW_PROTOCOLS;
use crate::types::{EtherType, MacAddr};

/// Octets of an LACPDU or Marker PDU behind the Ethernet header.
pub const PDU_LEN: usize = 110;
/// Octets of a whole frame with one of them, without the check sequence.
pub const FRAME_LEN: usize = HEADER_LEN + PDU_LEN;
/// The version that is written.
const VERSION: u8 = 1;
/// Subtypes above this one are illegal (IEEE 802.3-2018 table 57A-2).
const SUBTYPE_MAX: u8 = 10;

/// Places in a PDU.
mod field {
    pub(super) const SUBTYPE: usize = 0;
    pub(super) const VERSION: usize = 1;
    /// In an LACPDU.
    pub(super) const ACTOR: usize = 2;
    pub(super) const PARTNER: usize = 22;
    pub(super) const COLLECTOR: usize = 42;
    /// In a Marker PDU.
    pub(super) const MARKER: usize = 2;
}

/// Places in the TLV of the actor or the partner.
mod info {
    pub(super) const LEN: usize = 20;
    pub(super) const SYSTEM_PRIORITY: usize = 2;
    pub(super) const SYSTEM: usize = 4;
    pub(super) const KEY: usize = 10;
    pub(super) const PORT_PRIORITY: usize = 12;
    pub(super) const PORT: usize = 14;
    pub(super) const STATE: usize = 16;
}

/// Places in the TLV of the collector.
mod collector {
    pub(super) const LEN: usize = 16;
    pub(super) const MAX_DELAY: usize = 2;
}

/// Places in the TLV of a marker.
mod marker {
    pub(super) const LEN: usize = 16;
    pub(super) const PORT: usize = 2;
    pub(super) const SYSTEM: usize = 4;
    pub(super) const TRANSACTION: usize = 10;
}

/// TLV types; of a Marker PDU 1 and 2 have another meaning.
mod tlv {
    pub(super) const ACTOR: u8 = 1;
    pub(super) const PARTNER: u8 = 2;
    pub(super) const COLLECTOR: u8 = 3;
    pub(super) const MARKER_INFORMATION: u8 = 1;
    pub(super) const MARKER_RESPONSE: u8 = 2;
}

mod subtype {
    pub(super) const LACP: u8 = 1;
    pub(super) const MARKER: u8 = 2;
}

/// The state octet of one side of a link.
#[derive(Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct PortState(u8);

impl PortState {
    /// Nothing set.
    pub const NONE: Self = Self(0);
    /// `LACP_Activity`: speaks first.
    pub const ACTIVITY: Self = Self(1 << 0);
    /// `LACP_Timeout`: asks for the short timeout, 3 s.
    pub const SHORT_TIMEOUT: Self = Self(1 << 1);
    /// `Aggregation`: may share its aggregator with other links; clear: individual.
    pub const AGGREGATION: Self = Self(1 << 2);
    /// `Synchronization`: is attached to the right aggregator.
    pub const SYNCHRONIZATION: Self = Self(1 << 3);
    /// `Collecting`: takes frames from the link.
    pub const COLLECTING: Self = Self(1 << 4);
    /// `Distributing`: sends frames by the link.
    pub const DISTRIBUTING: Self = Self(1 << 5);
    /// `Defaulted`: has never heard the partner, or not for long.
    pub const DEFAULTED: Self = Self(1 << 6);
    /// `Expired`: has not heard the partner in time.
    pub const EXPIRED: Self = Self(1 << 7);

    /// By bit, as they are printed for debugging.
    const NAMES: [&str; 8] = [
        "Activity",
        "Timeout",
        "Aggregation",
        "Synchronization",
        "Collecting",
        "Distributing",
        "Defaulted",
        "Expired",
    ];

    /// The state with this octet.
    #[must_use]
    pub const fn new(octet: u8) -> Self {
        Self(octet)
    }

    /// The octet.
    #[must_use]
    pub const fn get(self) -> u8 {
        self.0
    }

    /// Whether every bit of `bits` is set.
    #[must_use]
    pub const fn has(self, bits: Self) -> bool {
        self.0 & bits.0 == bits.0
    }

    /// The same state with these bits set or cleared.
    #[must_use]
    pub const fn with(self, bits: Self, set: bool) -> Self {
        Self(if set { self.0 | bits.0 } else { self.0 & !bits.0 })
    }

    /// Only those of the bits that are in `mask`.
    #[must_use]
    pub const fn masked(self, mask: Self) -> Self {
        Self(self.0 & mask.0)
    }
}

impl fmt::Debug for PortState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if *self == Self::NONE {
            return f.write_str("none");
        }
        let set = Self::NAMES.iter().enumerate().filter(|(bit, _)| self.0 & (1 << bit) != 0);
        for (n, (_, name)) in set.enumerate() {
            write!(f, "{}{name}", if n == 0 { "" } else { "+" })?;
        }
        Ok(())
    }
}

/// A system id: of two systems the one with the lower id decides about hot standby. Ordered by
/// priority, then by address (IEEE 802.1AX-2020 clause 6.3.2).
///
/// Prints as `8000,02-57-46-00-00-01`: the priority in hexadecimal, then the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SystemId {
    /// `lacp system-priority`: lower goes first.
    pub priority: u16,
    /// Its address.
    pub mac: MacAddr,
}

impl fmt::Display for SystemId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.mac.octets();
        write!(f, "{:04x},{a:02x}-{b:02x}-{c:02x}-{d:02x}-{e:02x}-{g:02x}", self.priority)
    }
}

/// What an LACPDU says of one side of the link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PortInfo {
    /// The system that the port belongs to.
    pub system: SystemId,
    /// Operational key: ports of a system with the same key may aggregate.
    pub key: u16,
    /// `lacp port-priority`: lower is taken first.
    pub port_priority: u16,
    /// Number of the port in its system.
    pub port: u16,
    /// State.
    pub state: PortState,
}

impl PortInfo {
    /// Nobody: what is known of a partner that has not spoken.
    pub const UNKNOWN: Self = Self {
        system: SystemId { priority: 0, mac: MacAddr::ZERO },
        key: 0,
        port_priority: 0,
        port: 0,
        state: PortState::NONE,
    };

    /// Whether both mean the same port that can be aggregated with the same others: all but the
    /// state, and of the state `Aggregation`. It is what `update_Selected` and `recordPDU` compare.
    #[must_use]
    pub fn is_same_port(&self, other: &Self) -> bool {
        let identity =
            |side: &Self| Self { state: side.state.masked(PortState::AGGREGATION), ..*side };
        identity(self) == identity(other)
    }

    fn from_tlv(b: &[u8; info::LEN]) -> Self {
        Self {
            system: SystemId {
                priority: u16_at::<{ info::SYSTEM_PRIORITY }, _>(b),
                mac: MacAddr::new(array_at::<{ info::SYSTEM }, _, _>(b)),
            },
            key: u16_at::<{ info::KEY }, _>(b),
            port_priority: u16_at::<{ info::PORT_PRIORITY }, _>(b),
            port: u16_at::<{ info::PORT }, _>(b),
            state: PortState::new(u8_at::<{ info::STATE }, _>(b)),
        }
    }

    fn to_tlv(self, tlv_type: u8) -> [u8; info::LEN] {
        let mut b = [0; info::LEN];
        put::<0, _, _>(&mut b, [tlv_type, info::LEN as u8]);
        put::<{ info::SYSTEM_PRIORITY }, _, _>(&mut b, self.system.priority.to_be_bytes());
        put::<{ info::SYSTEM }, _, _>(&mut b, self.system.mac.octets());
        put::<{ info::KEY }, _, _>(&mut b, self.key.to_be_bytes());
        put::<{ info::PORT_PRIORITY }, _, _>(&mut b, self.port_priority.to_be_bytes());
        put::<{ info::PORT }, _, _>(&mut b, self.port.to_be_bytes());
        put::<{ info::STATE }, _, _>(&mut b, [self.state.get()]);
        b
    }
}

/// An LACPDU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lacpdu {
    /// The side that sends it.
    pub actor: PortInfo,
    /// The other side, as the sender sees it.
    pub partner: PortInfo,
    /// The longest that the sender's collector may hold a frame, in tens of microseconds.
    pub collector_max_delay: u16,
}

impl Lacpdu {
    /// The whole frame, from the port with the address `src`.
    #[must_use]
    pub fn to_frame(&self, src: MacAddr) -> [u8; FRAME_LEN] {
        let mut pdu = [0; PDU_LEN];
        put::<0, _, _>(&mut pdu, [subtype::LACP, VERSION]);
        put::<{ field::ACTOR }, _, _>(&mut pdu, self.actor.to_tlv(tlv::ACTOR));
        put::<{ field::PARTNER }, _, _>(&mut pdu, self.partner.to_tlv(tlv::PARTNER));
        let mut b = [0; collector::LEN];
        put::<0, _, _>(&mut b, [tlv::COLLECTOR, collector::LEN as u8]);
        put::<{ collector::MAX_DELAY }, _, _>(&mut b, self.collector_max_delay.to_be_bytes());
        put::<{ field::COLLECTOR }, _, _>(&mut pdu, b);
        frame(src, pdu)
    }

    fn from_pdu(pdu: &[u8; PDU_LEN]) -> Result<Self, SlowError> {
        let actor = array_at::<{ field::ACTOR }, { info::LEN }, _>(pdu);
        let partner = array_at::<{ field::PARTNER }, { info::LEN }, _>(pdu);
        let collector = array_at::<{ field::COLLECTOR }, { collector::LEN }, _>(pdu);
        expect_tlv(&actor, tlv::ACTOR)?;
        expect_tlv(&partner, tlv::PARTNER)?;
        let has_collector = expect_tlv(&collector, tlv::COLLECTOR).is_ok();
        let delay = u16_at::<{ collector::MAX_DELAY }, _>(&collector);
        let actor = PortInfo::from_tlv(&actor);
        if !actor.system.mac.is_valid_source() {
            return Err(SlowError::System(actor.system.mac));
        }
        Ok(Self {
            actor,
            partner: PortInfo::from_tlv(&partner),
            collector_max_delay: if has_collector { delay } else { 0 },
        })
    }
}

/// What a Marker PDU asks or answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MarkerKind {
    /// Marker Information: asks for a response.
    Information,
    /// Marker Response.
    Response,
}

/// A Marker PDU: it says that all frames sent before it have arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Marker {
    /// Question or answer.
    pub kind: MarkerKind,
    /// Port that asked.
    pub requester_port: u16,
    /// Address of the system that asked.
    pub requester_system: MacAddr,
    /// Number that tells its questions apart.
    pub transaction: u32,
}

impl Marker {
    /// The answer to this question (IEEE 802.1AX-2020 clause 6.5.4.2, marker responder).
    #[must_use]
    pub const fn response(self) -> Self {
        Self { kind: MarkerKind::Response, ..self }
    }

    /// The whole frame, from the port with the address `src`.
    #[must_use]
    pub fn to_frame(&self, src: MacAddr) -> [u8; FRAME_LEN] {
        let mut b = [0; marker::LEN];
        let tlv_type = match self.kind {
            MarkerKind::Information => tlv::MARKER_INFORMATION,
            MarkerKind::Response => tlv::MARKER_RESPONSE,
        };
        put::<0, _, _>(&mut b, [tlv_type, marker::LEN as u8]);
        put::<{ marker::PORT }, _, _>(&mut b, self.requester_port.to_be_bytes());
        put::<{ marker::SYSTEM }, _, _>(&mut b, self.requester_system.octets());
        put::<{ marker::TRANSACTION }, _, _>(&mut b, self.transaction.to_be_bytes());
        let mut pdu = [0; PDU_LEN];
        put::<0, _, _>(&mut pdu, [subtype::MARKER, VERSION]);
        put::<{ field::MARKER }, _, _>(&mut pdu, b);
        frame(src, pdu)
    }

    fn from_pdu(pdu: &[u8; PDU_LEN]) -> Result<Self, SlowError> {
        let b = array_at::<{ field::MARKER }, { marker::LEN }, _>(pdu);
        let kind = if expect_tlv(&b, tlv::MARKER_RESPONSE).is_ok() {
            MarkerKind::Response
        } else {
            expect_tlv(&b, tlv::MARKER_INFORMATION)?;
            MarkerKind::Information
        };
        Ok(Self {
            kind,
            requester_port: u16_at::<{ marker::PORT }, _>(&b),
            requester_system: MacAddr::new(array_at::<{ marker::SYSTEM }, _, _>(&b)),
            transaction: u32_at::<{ marker::TRANSACTION }, _>(&b),
        })
    }
}

/// A PDU of link aggregation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlowPdu {
    /// An LACPDU.
    Lacp(Lacpdu),
    /// A Marker PDU.
    Marker(Marker),
}

/// Why a frame is not a PDU of link aggregation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SlowError {
    /// Another destination or EtherType, or a tag.
    #[error("not an untagged slow protocol frame to 01:80:c2:00:00:02")]
    NotSlow,
    /// Another slow protocol, such as OAM.
    #[error("slow protocol subtype {0} is neither LACP (1) nor marker (2)")]
    UnknownSubtype(u8),
    /// A subtype that no slow protocol may have.
    #[error("slow protocol subtype {0} is illegal, expected 1..10")]
    IllegalSubtype(u8),
    /// Too short for its header and PDU.
    #[error("slow protocol frame of {0} octets, expected at least 124")]
    Short(usize),
    /// There is no version 0.
    #[error("version {0} of a slow protocol, expected 1 or above")]
    Version(u8),
    /// Another TLV than the one that has to be there.
    #[error("TLV of type {tlv_type} and length {len}, expected type {expected}")]
    Tlv {
        /// Its type.
        tlv_type: u8,
        /// Its length field.
        len: u8,
        /// The type that has to be there.
        expected: u8,
    },
    /// The sender's system id is a group address or zero.
    #[error("system {0} is a group address or zero")]
    System(MacAddr),
}

impl SlowError {
    /// Whether it is something else rather than something wrong: it counts as unknown, the rest as
    /// illegal (IEEE 802.1AX-2020 clause 7.3.3: `aAggPortStatsUnknownRx`, `...IllegalRx`).
    #[must_use]
    pub const fn is_unknown(&self) -> bool {
        matches!(self, Self::NotSlow | Self::UnknownSubtype(_))
    }
}

/// Reads a whole frame.
///
/// # Errors
/// [`SlowError`] says which field is wrong.
pub fn parse(frame: &[u8]) -> Result<SlowPdu, SlowError> {
    let (header, pdu) = ethernet::Header::split(frame).ok_or(SlowError::Short(frame.len()))?;
    if header.dst() != SLOW_PROTOCOLS || header.ether_type() != EtherType::SLOW {
        return Err(SlowError::NotSlow);
    }
    let subtype = pdu.first().copied().ok_or(SlowError::Short(frame.len()))?;
    match subtype {
        subtype::LACP | subtype::MARKER => {}
        subtype if subtype == 0 || subtype > SUBTYPE_MAX => {
            return Err(SlowError::IllegalSubtype(subtype));
        }
        other => return Err(SlowError::UnknownSubtype(other)),
    }
    let pdu = pdu.first_chunk().ok_or(SlowError::Short(frame.len()))?;
    let version = u8_at::<{ field::VERSION }, _>(pdu);
    if version == 0 {
        return Err(SlowError::Version(version));
    }
    match u8_at::<{ field::SUBTYPE }, _>(pdu) {
        subtype::LACP => Lacpdu::from_pdu(pdu).map(SlowPdu::Lacp),
        _ => Marker::from_pdu(pdu).map(SlowPdu::Marker),
    }
}

/// Checks type and length of a TLV, whose array is as long as it has to be.
fn expect_tlv<const LEN: usize>(tlv: &[u8; LEN], expected: u8) -> Result<(), SlowError> {
    let [tlv_type, len] = array_at::<0, 2, LEN>(tlv);
    if tlv_type == expected && usize::from(len) == LEN {
        Ok(())
    } else {
        Err(SlowError::Tlv { tlv_type, len, expected })
    }
}

fn frame(src: MacAddr, pdu: [u8; PDU_LEN]) -> [u8; FRAME_LEN] {
    let mut frame = [0; FRAME_LEN];
    let header = ethernet::Header::new(SLOW_PROTOCOLS, src, EtherType::SLOW);
    put::<0, _, _>(&mut frame, header.into_octets());
    put::<HEADER_LEN, _, _>(&mut frame, pdu);
    frame
}

#[cfg(test)]
mod tests;
