//! Cisco Discovery Protocol: reads what the switch at the other end of a cable says of itself.
//!
//! There is no standard; the layout is the one that Cisco's public format description and
//! Wireshark's dissector agree on. An advertisement is an IEEE 802.3 frame with an LLC and SNAP
//! header, tagged or not: version, time to live, checksum, then fields of type, length and value.
//!
//! *Invariants:* (1) no input panics; (2) nothing is read beyond the length that the 802.3 header
//! states, so padding is never taken for fields; (3) an advertisement is taken whole or refused
//! with a [`CdpError`], but a field that a device filled in wrongly is passed over alone.
//!
//! *Not here:* sending, which nobody needs who can send LLDP; and the other protocols that share
//! CDP's destination ([`CdpError::OtherProtocol`]).

use core::net::IpAddr;

use super::checksum::Sum;
use super::discovery::{Addresses, Text, ip_address, payload};
use super::ethernet::ETHER_TYPE_MIN;
use crate::types::{EtherType, VlanId};

/// LLC header of SNAP (IEEE 802-2014 clause 9.2) and Cisco's OUI.
const SNAP_CISCO: [u8; 6] = [0xaa, 0xaa, 0x03, 0x00, 0x00, 0x0c];
/// CDP's number among Cisco's protocols.
const PROTOCOL_CDP: u16 = 0x2000;
/// Octets of the LLC and SNAP headers.
const SNAP_LEN: usize = 8;
/// Octets of a field's type and length, which its length counts.
const FIELD_HEADER_LEN: usize = 4;

/// Field types.
mod kind {
    pub(super) const DEVICE_ID: u16 = 0x0001;
    pub(super) const ADDRESSES: u16 = 0x0002;
    pub(super) const PORT_ID: u16 = 0x0003;
    pub(super) const CAPABILITIES: u16 = 0x0004;
    pub(super) const VERSION: u16 = 0x0005;
    pub(super) const PLATFORM: u16 = 0x0006;
    pub(super) const NATIVE_VLAN: u16 = 0x000a;
    pub(super) const MTU: u16 = 0x0011;
    pub(super) const SYSTEM_NAME: u16 = 0x0014;
    pub(super) const MANAGEMENT_ADDRESSES: u16 = 0x0016;
}

/// Why a frame is no CDP advertisement that can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CdpError {
    /// The frame ends inside its Ethernet, LLC, SNAP or CDP header.
    #[error("the frame ends inside the headers of CDP")]
    ShortFrame,
    /// An EtherType stands where the length of an LLC frame has to be.
    #[error("EtherType {0:#06x} where CDP has the length of an LLC frame")]
    NotLlc(u16),
    /// What follows the length is not SNAP with Cisco's OUI.
    #[error("no LLC/SNAP header of Cisco (aa aa 03 00 00 0c)")]
    NotSnap,
    /// Another of Cisco's protocols: 0x0111 UDLD, 0x2003 VTP, 0x2004 DTP, 0x0104 PAgP.
    #[error("Cisco's protocol {0:#06x} is not CDP (0x2000)")]
    OtherProtocol(u16),
    /// The length of the LLC frame is beyond the end of the frame.
    #[error("the length field says {stated} octets, but {available} follow it")]
    CutFrame {
        /// What the length field says.
        stated: usize,
        /// Octets behind the length field.
        available: usize,
    },
    /// A version that is neither 1 nor 2.
    #[error("CDP version {0}, known are 1 and 2")]
    Version(u8),
    /// The checksum does not fit what it covers.
    #[error("the checksum {0:#06x} is wrong")]
    Checksum(u16),
    /// A field's length, which counts its own header of four octets, is below four, or beyond the
    /// end of the advertisement; or fewer than four octets are left.
    #[error(
        "field {kind:#06x} states {stated} octets, expected 4 to the {available} that are left"
    )]
    FieldLength {
        /// Type of the field; 0 where the octets do not suffice for one.
        kind: u16,
        /// What its length says.
        stated: usize,
        /// Octets from the start of the field to the end of the advertisement.
        available: usize,
    },
    /// There is no device ID, or an empty one: nobody can be told by this.
    #[error("no device ID")]
    NoDeviceId,
}

/// What a device can do, from its capabilities field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Capabilities(u32);

impl Capabilities {
    const NAMES: [(u32, &'static str); 11] = [
        (0x001, "router"),
        (0x002, "transparent-bridge"),
        (0x004, "source-route-bridge"),
        (0x008, "switch"),
        (0x010, "host"),
        (0x020, "igmp"),
        (0x040, "repeater"),
        (0x080, "phone"),
        (0x100, "remotely-managed"),
        (0x200, "stp-dispute"),
        (0x400, "two-port-mac-relay"),
    ];

    /// These bits.
    #[must_use]
    pub const fn new(bits: u32) -> Self {
        Self(bits)
    }

    /// The bits as they stand in the frame.
    #[must_use]
    pub const fn bits(self) -> u32 {
        self.0
    }

    /// The names of the bits that are set and known, lowest first.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES.into_iter().filter(move |(bit, _)| self.0 & bit != 0).map(|(_, name)| name)
    }
}

/// What a device says of itself. Of a field that comes twice the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Advertisement<'a> {
    /// Protocol version, 1 or 2.
    pub version: u8,
    /// For how many seconds this holds; 0: forget the device at once.
    pub ttl_s: u8,
    /// Host name, on NX-OS with the serial number: `leaf-1(FDO12345678)`.
    pub device_id: Text<'a>,
    /// The port that sent this: `Ethernet1/1`.
    pub port_id: Option<Text<'a>>,
    /// What the device does.
    pub capabilities: Option<Capabilities>,
    /// Software and its version, often several lines.
    pub software: Option<Text<'a>>,
    /// Model: `N9K-C93180YC-EX`.
    pub platform: Option<Text<'a>>,
    /// Host name alone, which NX-OS sends beside the device ID.
    pub system_name: Option<Text<'a>>,
    /// The VLAN of untagged frames on the port.
    pub native_vlan: Option<VlanId>,
    /// MTU of the port, in octets.
    pub mtu_bytes: Option<u32>,
    /// Addresses of the port.
    pub addresses: Addresses,
    /// Addresses that the device is managed by.
    pub management: Addresses,
    /// Known fields passed over: their length or value cannot be.
    pub fields_discarded: u16,
}

/// Reads a whole frame, from its destination address on, tagged or not.
///
/// # Errors
/// Not CDP, cut short, or a checksum that is wrong: [`CdpError`].
pub fn parse(frame: &[u8]) -> Result<Advertisement<'_>, CdpError> {
    let message = message(frame)?;
    let (header, mut rest) = message.split_first_chunk().ok_or(CdpError::ShortFrame)?;
    let [version, ttl_s, checksum @ ..]: [u8; 4] = *header;
    if !matches!(version, 1 | 2) {
        return Err(CdpError::Version(version));
    }
    if !checksum_is_right(message) {
        return Err(CdpError::Checksum(u16::from_be_bytes(checksum)));
    }
    let mut advertisement = Advertisement {
        version,
        ttl_s,
        device_id: Text::default(),
        port_id: None,
        capabilities: None,
        software: None,
        platform: None,
        system_name: None,
        native_vlan: None,
        mtu_bytes: None,
        addresses: Addresses::default(),
        management: Addresses::default(),
        fields_discarded: 0,
    };
    while !rest.is_empty() {
        let (kind, value, behind) = split_field(rest)?;
        if advertisement.take(kind, value).is_none() {
            advertisement.fields_discarded = advertisement.fields_discarded.saturating_add(1);
        }
        rest = behind;
    }
    if advertisement.device_id.octets().is_empty() {
        return Err(CdpError::NoDeviceId);
    }
    Ok(advertisement)
}

/// The CDP message in a frame: what the LLC frame holds behind its SNAP header.
fn message(frame: &[u8]) -> Result<&[u8], CdpError> {
    let (length, rest) = payload(frame).ok_or(CdpError::ShortFrame)?;
    if length.get() >= ETHER_TYPE_MIN {
        return Err(CdpError::NotLlc(length.get()));
    }
    let stated = usize::from(length.get());
    let llc = rest.get(..stated).ok_or(CdpError::CutFrame { stated, available: rest.len() })?;
    let (snap, message) = llc.split_first_chunk::<SNAP_LEN>().ok_or(CdpError::ShortFrame)?;
    let [cisco @ .., p0, p1] = snap;
    if *cisco != SNAP_CISCO {
        return Err(CdpError::NotSnap);
    }
    match u16::from_be_bytes([*p0, *p1]) {
        PROTOCOL_CDP => Ok(message),
        other => Err(CdpError::OtherProtocol(other)),
    }
}

/// Whether the checksum (RFC 1071) of a message, which is part of it, is right.
///
/// Where the length is odd, Cisco's devices take the last octet for a signed number and add that:
/// 0x41 as 0x0041 instead of 0x4100, 0x81 as 0xff81, or one less where the sum was kept in a wider
/// signed number before it was folded. Others do as the RFC says. All three are believed: the check
/// sequence of the frame has been verified already, and a neighbour that is not shown helps nobody.
fn checksum_is_right(message: &[u8]) -> bool {
    let (words, odd) = message.as_chunks::<2>();
    let even = Sum::of(words.as_flattened());
    let Some(last) = odd.first() else {
        return even.is_valid();
    };
    let signed = i16::from(last.cast_signed()).cast_unsigned();
    let carried = signed.wrapping_sub(u16::from(*last >= 0x80));
    [u16::from_be_bytes([*last, 0]), signed, carried].into_iter().any(|word| {
        let mut sum = even;
        sum.add_word(word);
        sum.is_valid()
    })
}

/// The first field: its type, its value, and what is behind it.
fn split_field(rest: &[u8]) -> Result<(u16, &[u8], &[u8]), CdpError> {
    let available = rest.len();
    let Some(([k0, k1, l0, l1], _)) = rest.split_first_chunk::<FIELD_HEADER_LEN>() else {
        return Err(CdpError::FieldLength { kind: 0, stated: 0, available });
    };
    let kind = u16::from_be_bytes([*k0, *k1]);
    let stated = usize::from(u16::from_be_bytes([*l0, *l1]));
    let value = rest.get(FIELD_HEADER_LEN..stated);
    let value = value.ok_or(CdpError::FieldLength { kind, stated, available })?;
    Ok((kind, value, rest.get(stated..).unwrap_or_default()))
}

impl<'a> Advertisement<'a> {
    /// Takes one field over; unknown ones have no effect. `None`: the value cannot be.
    fn take(&mut self, kind: u16, value: &'a [u8]) -> Option<()> {
        match kind {
            kind::DEVICE_ID if self.device_id.octets().is_empty() => {
                self.device_id = Text::new(value);
            }
            kind::PORT_ID => keep_first(&mut self.port_id, Text::new(value)),
            kind::VERSION => keep_first(&mut self.software, Text::new(value)),
            kind::PLATFORM => keep_first(&mut self.platform, Text::new(value)),
            kind::SYSTEM_NAME => keep_first(&mut self.system_name, Text::new(value)),
            kind::CAPABILITIES => {
                let bits = u32::from_be_bytes(value.try_into().ok()?);
                keep_first(&mut self.capabilities, Capabilities(bits));
            }
            kind::NATIVE_VLAN => {
                let vlan = u16::from_be_bytes(value.try_into().ok()?);
                keep_first(&mut self.native_vlan, VlanId::new(vlan).ok()?);
            }
            kind::MTU => {
                let bytes = u32::from_be_bytes(value.try_into().ok()?);
                keep_first(&mut self.mtu_bytes, bytes);
            }
            kind::ADDRESSES => read_addresses(value, &mut self.addresses)?,
            kind::MANAGEMENT_ADDRESSES => read_addresses(value, &mut self.management)?,
            _ => {}
        }
        Some(())
    }
}

fn keep_first<T>(slot: &mut Option<T>, value: T) {
    if slot.is_none() {
        *slot = Some(value);
    }
}

/// Reads a list of addresses: how many, then for each the type, length and value of its protocol,
/// and the address with its length. `None`: the list is cut; what was before that is kept.
fn read_addresses(value: &[u8], addresses: &mut Addresses) -> Option<()> {
    let (count, mut rest) = value.split_first_chunk()?;
    // Each turn takes four octets or more, so the value bounds it whatever the count says.
    for _ in 0..u32::from_be_bytes(*count) {
        let ([protocol_type, protocol_len], behind) = rest.split_first_chunk()?;
        let (protocol, behind) = behind.split_at_checked(usize::from(*protocol_len))?;
        let (address_len, behind) = behind.split_first_chunk()?;
        let address_len = usize::from(u16::from_be_bytes(*address_len));
        let (address, behind) = behind.split_at_checked(address_len)?;
        if let Some(address) = address_of(*protocol_type, protocol, address) {
            addresses.add(address);
        }
        rest = behind;
    }
    Some(())
}

/// An address of IP: by its NLPID (ISO/IEC TR 9577), or by an EtherType behind an LLC/SNAP header.
fn address_of(protocol_type: u8, protocol: &[u8], address: &[u8]) -> Option<IpAddr> {
    const NLPID_IPV4: u8 = 0xcc;
    let wants_v4 = match (protocol_type, protocol) {
        (1, [NLPID_IPV4]) => true,
        (2, [0xaa, 0xaa, 0x03, 0, 0, 0, e0, e1]) => {
            match EtherType::new(u16::from_be_bytes([*e0, *e1])) {
                EtherType::IPV4 => true,
                EtherType::IPV6 => false,
                _ => return None,
            }
        }
        _ => return None,
    };
    ip_address(address).filter(|ip| ip.is_ipv4() == wants_v4)
}

#[cfg(test)]
mod tests;
