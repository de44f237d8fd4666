//! Link Layer Discovery Protocol (IEEE 802.1AB-2016): reads what a neighbour says of itself, and
//! writes what this host says.
//!
//! An LLDPDU is a chain of TLVs: chassis ID, port ID and time to live in this order, then whatever
//! else a device tells (clause 8, annex D for those of IEEE 802.1, IEEE 802.3-2018 clause 79).
//!
//! *Invariants:* (1) no input panics, and nothing is read beyond the frame; (2) an LLDPDU is taken
//! whole or refused with an [`LldpError`], as clause 9.2.7.7 wants it, but an optional TLV that is
//! wrong in itself is passed over alone; (3) what [`Lldpdu::to_frame`] writes [`parse`] reads back.
//!
//! *Not here:* when to send, and for how long to believe: `dataplane::neighbor`.

use core::fmt;
use core::net::IpAddr;

use super::discovery::{Addresses, Text, ip_address, payload};
use super::ethernet::{self, FRAME_LEN_MIN};
use super::l2control::NEAREST_BRIDGE;
use crate::types::{EtherType, MacAddr, VlanId};

/// Octets of an identifier, without its subtype (clauses 8.5.2.3 and 8.5.3.3).
pub const ID_LEN_MAX: usize = 255;
/// Octets of a description or name (clauses 8.5.5 to 8.5.7).
pub const TEXT_LEN_MAX: usize = 255;

/// TLV types (clause 8.4.1, table 8-1).
mod kind {
    pub(super) const END: u8 = 0;
    pub(super) const CHASSIS_ID: u8 = 1;
    pub(super) const PORT_ID: u8 = 2;
    pub(super) const TTL: u8 = 3;
    pub(super) const PORT_DESCRIPTION: u8 = 4;
    pub(super) const SYSTEM_NAME: u8 = 5;
    pub(super) const SYSTEM_DESCRIPTION: u8 = 6;
    pub(super) const CAPABILITIES: u8 = 7;
    pub(super) const MANAGEMENT_ADDRESS: u8 = 8;
    pub(super) const ORGANISATION: u8 = 127;
}

/// OUI of IEEE 802.1 and its subtype of the port's VLAN (IEEE 802.1Q-2018 clause D.2.1).
const PORT_VLAN: [u8; 4] = [0x00, 0x80, 0xc2, 1];
/// OUI of IEEE 802.3 and its subtype of the longest frame (IEEE 802.3-2018 clause 79.3.4).
const FRAME_LEN: [u8; 4] = [0x00, 0x12, 0x0f, 4];

/// Address families (IANA address-family-numbers).
const FAMILY_IPV4: u8 = 1;
const FAMILY_IPV6: u8 = 2;

/// Why a frame is no LLDPDU that can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LldpError {
    /// The frame ends inside its Ethernet header or tag.
    #[error("the frame ends inside its Ethernet header")]
    ShortFrame,
    /// Another EtherType.
    #[error("EtherType {0:#06x} is not that of LLDP (0x88cc)")]
    NotLldp(u16),
    /// A TLV claims more octets than there are.
    #[error("TLV of type {kind} states {stated} octets, but {available} follow it")]
    CutTlv {
        /// Type of the TLV.
        kind: u8,
        /// What its length says.
        stated: usize,
        /// Octets behind its header.
        available: usize,
    },
    /// One octet is left where a TLV begins.
    #[error("one octet is left where a TLV header needs two")]
    CutHeader,
    /// Chassis ID, port ID and time to live have to be the first three TLVs, in this order.
    #[error("the TLV in place {place} has to be the {expected}, found type {found}")]
    Misplaced {
        /// 1, 2 or 3.
        place: u8,
        /// What has to be there.
        expected: &'static str,
        /// Type of the TLV that is there; 0 is the end of the LLDPDU.
        found: u8,
    },
    /// A second chassis ID, port ID or time to live.
    #[error("a second {0}")]
    Repeated(&'static str),
    /// An identifier without a subtype and a value, or one that is too long.
    #[error("the {what} has {len} octets with its subtype, expected 2..256")]
    IdLength {
        /// Chassis ID or port ID.
        what: &'static str,
        /// Octets, the subtype included.
        len: usize,
    },
    /// A time to live of fewer than two octets.
    #[error("the time to live has {0} octets, expected 2")]
    TtlLength(usize),
}

/// How the value of an identifier is to be read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Text,
    Mac,
    NetworkAddress,
}

/// Makes an identifier: subtype and value, both as they stand in the TLV.
macro_rules! identifier {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub struct $name<'a> {
            subtype: u8,
            value: &'a [u8],
        }

        impl<'a> $name<'a> {
            const WHAT: &'static str = $what;

            /// An identifier of any subtype.
            ///
            /// # Errors
            /// The value is empty or longer than [`ID_LEN_MAX`]: [`LldpError::IdLength`].
            pub const fn new(subtype: u8, value: &'a [u8]) -> Result<Self, LldpError> {
                match value.len() {
                    1..=ID_LEN_MAX => Ok(Self { subtype, value }),
                    len => Err(LldpError::IdLength { what: Self::WHAT, len: len + 1 }),
                }
            }

            /// The subtype.
            #[must_use]
            pub const fn subtype(self) -> u8 {
                self.subtype
            }

            /// The octets behind the subtype: 1 to [`ID_LEN_MAX`].
            #[must_use]
            pub const fn value(self) -> &'a [u8] {
                self.value
            }

            fn read(tlv: &'a [u8]) -> Result<Self, LldpError> {
                let short = LldpError::IdLength { what: Self::WHAT, len: tlv.len() };
                let (subtype, value) = tlv.split_first().ok_or(short)?;
                Self::new(*subtype, value)
            }
        }

        impl fmt::Display for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                show_id(f, self.form(), self.value)
            }
        }
    };
}

identifier! {
    /// Which device: chassis ID (clause 8.5.2). Prints a MAC address as `0200.0000.0001`, an IP
    /// address as such, and a name or serial number as text; octets that are none of these in hex,
    /// `0a:0b:0c`.
    ChassisId, "chassis ID"
}

identifier! {
    /// Which port of the device: port ID (clause 8.5.3). Prints as a [`ChassisId`] does.
    PortId, "port ID"
}

impl<'a> ChassisId<'a> {
    const MAC: u8 = 4;
    const NETWORK_ADDRESS: u8 = 5;
    const LOCAL: u8 = 7;

    /// A MAC address of the chassis (subtype 4).
    #[must_use]
    pub const fn mac(octets: &'a [u8; 6]) -> Self {
        Self { subtype: Self::MAC, value: octets }
    }

    /// A name that is only locally unique (subtype 7), such as the UUID of a host.
    ///
    /// # Errors
    /// Empty or longer than [`ID_LEN_MAX`] octets.
    pub const fn local(name: &'a str) -> Result<Self, LldpError> {
        Self::new(Self::LOCAL, name.as_bytes())
    }

    const fn form(self) -> Form {
        match self.subtype {
            Self::MAC => Form::Mac,
            Self::NETWORK_ADDRESS => Form::NetworkAddress,
            _ => Form::Text,
        }
    }
}

impl<'a> PortId<'a> {
    const MAC: u8 = 3;
    const NETWORK_ADDRESS: u8 = 4;
    const INTERFACE_NAME: u8 = 5;

    /// The name of the interface (subtype 5), as `ip link` shows it.
    ///
    /// # Errors
    /// Empty or longer than [`ID_LEN_MAX`] octets.
    pub const fn interface_name(name: &'a str) -> Result<Self, LldpError> {
        Self::new(Self::INTERFACE_NAME, name.as_bytes())
    }

    const fn form(self) -> Form {
        match self.subtype {
            Self::MAC => Form::Mac,
            Self::NETWORK_ADDRESS => Form::NetworkAddress,
            _ => Form::Text,
        }
    }
}

fn show_id(f: &mut fmt::Formatter<'_>, form: Form, value: &[u8]) -> fmt::Result {
    match (form, value) {
        (Form::Mac, [a, b, c, d, e, g]) => {
            write!(f, "{a:02x}{b:02x}.{c:02x}{d:02x}.{e:02x}{g:02x}")
        }
        (Form::NetworkAddress, [family, address @ ..]) => match network_address(*family, address) {
            Some(address) => fmt::Display::fmt(&address, f),
            None => show_hex(f, value),
        },
        (Form::Text, _) if Text::new(value).is_printable() => {
            fmt::Display::fmt(&Text::new(value), f)
        }
        _ => show_hex(f, value),
    }
}

fn show_hex(f: &mut fmt::Formatter<'_>, octets: &[u8]) -> fmt::Result {
    for (place, octet) in octets.iter().enumerate() {
        write!(f, "{}{octet:02x}", if place == 0 { "" } else { ":" })?;
    }
    Ok(())
}

/// The address behind a family number, if it is of IP and has its length.
fn network_address(family: u8, address: &[u8]) -> Option<IpAddr> {
    let address = ip_address(address)?;
    (family == if address.is_ipv4() { FAMILY_IPV4 } else { FAMILY_IPV6 }).then_some(address)
}

/// A set of system capabilities (clause 8.5.8, table 8-4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct CapabilitySet(u16);

impl CapabilitySet {
    /// A bridge.
    pub const BRIDGE: Self = Self(1 << 2);

    const NAMES: [&'static str; 11] = [
        "other",
        "repeater",
        "bridge",
        "wlan-access-point",
        "router",
        "telephone",
        "docsis-cable-device",
        "station",
        "c-vlan",
        "s-vlan",
        "two-port-mac-relay",
    ];

    /// These bits.
    #[must_use]
    pub const fn new(bits: u16) -> Self {
        Self(bits)
    }

    /// The bits as they stand in the TLV.
    #[must_use]
    pub const fn bits(self) -> u16 {
        self.0
    }

    /// The names of the bits that are set and known, lowest first.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        (0..).zip(Self::NAMES).filter(move |(bit, _)| self.0 >> bit & 1 != 0).map(|(_, name)| name)
    }
}

/// What a device can do, and what of it is switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Default)]
pub struct Capabilities {
    /// What it can do.
    pub supported: CapabilitySet,
    /// What it does.
    pub enabled: CapabilitySet,
}

/// One LLDPDU. Of a TLV that comes twice where it may not, the first counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Lldpdu<'a> {
    /// Which device.
    pub chassis_id: ChassisId<'a>,
    /// Which port of it.
    pub port_id: PortId<'a>,
    /// For how many seconds this holds; 0: the port shuts down, forget it at once. With 0 nothing
    /// else is read or written but the two identifiers (clause 9.2.7).
    pub ttl_s: u16,
    /// What the port is for, or is called.
    pub port_description: Option<Text<'a>>,
    /// Host name.
    pub system_name: Option<Text<'a>>,
    /// Model, software and its version.
    pub system_description: Option<Text<'a>>,
    /// What the device does.
    pub capabilities: Option<Capabilities>,
    /// Addresses that the device is managed by.
    pub management: Addresses,
    /// The VLAN of untagged frames on the port.
    pub port_vlan: Option<VlanId>,
    /// The longest frame of the port, in octets. The standard counts header and check sequence;
    /// many devices announce their MTU.
    pub frame_len_max: Option<u16>,
    /// Optional TLVs passed over: their length or value cannot be, or they came twice.
    pub tlvs_discarded: u16,
}

/// Reads a whole frame, from its destination address on, tagged or not.
///
/// # Errors
/// Not LLDP, cut short, or without the three mandatory TLVs in their places: [`LldpError`].
pub fn parse(frame: &[u8]) -> Result<Lldpdu<'_>, LldpError> {
    match payload(frame).ok_or(LldpError::ShortFrame)? {
        (EtherType::LLDP, lldpdu) => parse_lldpdu(lldpdu),
        (other, _) => Err(LldpError::NotLldp(other.get())),
    }
}

/// Reads what follows the EtherType. Octets behind the end of the LLDPDU are padding; without an
/// end TLV it ends where the frame does (clause 8.5.1).
fn parse_lldpdu(lldpdu: &[u8]) -> Result<Lldpdu<'_>, LldpError> {
    let mut tlvs = Tlvs { rest: lldpdu };
    let chassis_id = ChassisId::read(tlvs.mandatory(1, kind::CHASSIS_ID)?)?;
    let port_id = PortId::read(tlvs.mandatory(2, kind::PORT_ID)?)?;
    let ttl = tlvs.mandatory(3, kind::TTL)?;
    let ttl_s = u16::from_be_bytes(*ttl.first_chunk().ok_or(LldpError::TtlLength(ttl.len()))?);
    let mut lldpdu = Lldpdu::shutdown(chassis_id, port_id);
    lldpdu.ttl_s = ttl_s;
    if ttl_s == 0 {
        return Ok(lldpdu);
    }
    while let Some((kind, value)) = tlvs.next()? {
        if let kind::CHASSIS_ID | kind::PORT_ID | kind::TTL = kind {
            return Err(LldpError::Repeated(mandatory_name(kind)));
        }
        if lldpdu.take(kind, value).is_none() {
            lldpdu.tlvs_discarded = lldpdu.tlvs_discarded.saturating_add(1);
        }
    }
    Ok(lldpdu)
}

const fn mandatory_name(kind: u8) -> &'static str {
    match kind {
        kind::CHASSIS_ID => ChassisId::WHAT,
        kind::PORT_ID => PortId::WHAT,
        _ => "time to live",
    }
}

/// The TLVs that are not read yet.
struct Tlvs<'a> {
    rest: &'a [u8],
}

impl<'a> Tlvs<'a> {
    /// Type and value of the next one; `None` at the end of the LLDPDU.
    fn next(&mut self) -> Result<Option<(u8, &'a [u8])>, LldpError> {
        let Some(([h0, h1], behind)) = self.rest.split_first_chunk() else {
            return if self.rest.is_empty() { Ok(None) } else { Err(LldpError::CutHeader) };
        };
        // Seven bits of type, nine of length (clause 8.4).
        let (kind, stated) = (h0 >> 1, usize::from(u16::from_be_bytes([h0 & 1, *h1])));
        if kind == kind::END {
            self.rest = &[];
            return Ok(None);
        }
        let available = behind.len();
        let cut = LldpError::CutTlv { kind, stated, available };
        let (value, rest) = behind.split_at_checked(stated).ok_or(cut)?;
        self.rest = rest;
        Ok(Some((kind, value)))
    }

    /// The value of the next one, which has to be of this type.
    fn mandatory(&mut self, place: u8, expected: u8) -> Result<&'a [u8], LldpError> {
        let (found, value) = self.next()?.unwrap_or((kind::END, &[]));
        if found != expected {
            let expected = mandatory_name(expected);
            return Err(LldpError::Misplaced { place, expected, found });
        }
        Ok(value)
    }
}

impl<'a> Lldpdu<'a> {
    /// The last LLDPDU of a port, which takes back all it has said.
    #[must_use]
    pub fn shutdown(chassis_id: ChassisId<'a>, port_id: PortId<'a>) -> Self {
        Self {
            chassis_id,
            port_id,
            ttl_s: 0,
            port_description: None,
            system_name: None,
            system_description: None,
            capabilities: None,
            management: Addresses::default(),
            port_vlan: None,
            frame_len_max: None,
            tlvs_discarded: 0,
        }
    }

    /// Takes one optional TLV over; unknown ones have no effect. `None`: it cannot be.
    fn take(&mut self, kind: u8, value: &'a [u8]) -> Option<()> {
        match kind {
            kind::PORT_DESCRIPTION => keep_once(&mut self.port_description, text(value)?),
            kind::SYSTEM_NAME => keep_once(&mut self.system_name, text(value)?),
            kind::SYSTEM_DESCRIPTION => keep_once(&mut self.system_description, text(value)?),
            kind::CAPABILITIES => {
                let [s0, s1, e0, e1]: [u8; 4] = value.try_into().ok()?;
                let supported = CapabilitySet(u16::from_be_bytes([s0, s1]));
                let enabled = CapabilitySet(u16::from_be_bytes([e0, e1]));
                keep_once(&mut self.capabilities, Capabilities { supported, enabled })
            }
            kind::MANAGEMENT_ADDRESS => self.take_management_address(value),
            kind::ORGANISATION => self.take_organisation(value),
            _ => Some(()),
        }
    }

    /// Clause 8.5.9: the address with its length and family, then numbers nobody asks for here.
    fn take_management_address(&mut self, value: &[u8]) -> Option<()> {
        let (len, rest) = value.split_first()?;
        let (family, address) = rest.get(..usize::from(*len))?.split_first()?;
        match *family {
            FAMILY_IPV4 | FAMILY_IPV6 => self.management.add(network_address(*family, address)?),
            _ => {}
        }
        Some(())
    }

    /// Clause 8.6: three octets say whose TLV it is, the fourth which of them.
    fn take_organisation(&mut self, value: &[u8]) -> Option<()> {
        let (owner, value) = value.split_first_chunk()?;
        match *owner {
            PORT_VLAN => match u16::from_be_bytes(value.try_into().ok()?) {
                // The port knows no VLANs, or has none for untagged frames.
                0 => Some(()),
                vlan => keep_once(&mut self.port_vlan, VlanId::new(vlan).ok()?),
            },
            FRAME_LEN => {
                keep_once(&mut self.frame_len_max, u16::from_be_bytes(value.try_into().ok()?))
            }
            _ => Some(()),
        }
    }

    /// The whole frame to the nearest bridge, untagged. Texts longer than [`TEXT_LEN_MAX`] octets
    /// are cut before a character. With a [`Self::ttl_s`] of 0 it is a shutdown LLDPDU.
    #[must_use]
    pub fn to_frame(&self, src: MacAddr) -> Vec<u8> {
        let header = ethernet::Header::new(NEAREST_BRIDGE, src, EtherType::LLDP);
        let mut frame = Vec::from(header.into_octets());
        let (chassis_id, port_id) = (self.chassis_id, self.port_id);
        put_tlv(&mut frame, kind::CHASSIS_ID, &[&[chassis_id.subtype], chassis_id.value]);
        put_tlv(&mut frame, kind::PORT_ID, &[&[port_id.subtype], port_id.value]);
        put_tlv(&mut frame, kind::TTL, &[&self.ttl_s.to_be_bytes()]);
        if self.ttl_s != 0 {
            self.put_optional(&mut frame);
        }
        put_tlv(&mut frame, kind::END, &[]);
        let padded_len = frame.len().max(FRAME_LEN_MIN);
        frame.resize(padded_len, 0);
        frame
    }

    fn put_optional(&self, frame: &mut Vec<u8>) {
        let texts = [
            (kind::PORT_DESCRIPTION, self.port_description),
            (kind::SYSTEM_NAME, self.system_name),
            (kind::SYSTEM_DESCRIPTION, self.system_description),
        ];
        for (kind, text) in texts {
            if let Some(text) = text {
                put_tlv(frame, kind, &[bounded(text.octets())]);
            }
        }
        if let Some(Capabilities { supported, enabled }) = self.capabilities {
            let sets = [supported.0.to_be_bytes(), enabled.0.to_be_bytes()];
            put_tlv(frame, kind::CAPABILITIES, &[sets.as_flattened()]);
        }
        // Interface numbering is unknown (1) with number 0, and there is no object identifier.
        const NO_INTERFACE: [u8; 6] = [1, 0, 0, 0, 0, 0];
        if let Some(v4) = self.management.v4 {
            let address = [&[5, FAMILY_IPV4], &v4.octets()[..], &NO_INTERFACE];
            put_tlv(frame, kind::MANAGEMENT_ADDRESS, &address);
        }
        if let Some(v6) = self.management.v6 {
            let address = [&[17, FAMILY_IPV6], &v6.octets()[..], &NO_INTERFACE];
            put_tlv(frame, kind::MANAGEMENT_ADDRESS, &address);
        }
        if let Some(vlan) = self.port_vlan {
            put_tlv(frame, kind::ORGANISATION, &[&PORT_VLAN, &vlan.get().to_be_bytes()]);
        }
        if let Some(octets) = self.frame_len_max {
            put_tlv(frame, kind::ORGANISATION, &[&FRAME_LEN, &octets.to_be_bytes()]);
        }
    }
}

/// A text of legal length.
fn text(value: &[u8]) -> Option<Text<'_>> {
    (value.len() <= TEXT_LEN_MAX).then_some(Text::new(value))
}

/// Fills the slot; `None`: it was full.
fn keep_once<T>(slot: &mut Option<T>, value: T) -> Option<()> {
    let free = slot.is_none();
    if free {
        *slot = Some(value);
    }
    free.then_some(())
}

/// The octets up to the bound, not ending inside a UTF-8 character.
fn bounded(text: &[u8]) -> &[u8] {
    if text.len() <= TEXT_LEN_MAX {
        return text;
    }
    let is_boundary = |end: &usize| text.get(*end).is_some_and(|octet| octet & 0xc0 != 0x80);
    let end = (TEXT_LEN_MAX - 3..=TEXT_LEN_MAX).rev().find(is_boundary).unwrap_or(TEXT_LEN_MAX);
    text.get(..end).unwrap_or(text)
}

/// Appends a TLV. Every value of this file is at most 256 octets long; the length field has nine
/// bits.
fn put_tlv(frame: &mut Vec<u8>, kind: u8, parts: &[&[u8]]) {
    let len = parts.iter().map(|part| part.len()).sum::<usize>();
    let len = u16::try_from(len).unwrap_or(u16::MAX).min(0x1ff);
    frame.extend((u16::from(kind) << 9 | len).to_be_bytes());
    for part in parts {
        frame.extend_from_slice(part);
    }
}

#[cfg(test)]
mod tests;
