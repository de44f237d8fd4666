//! What a neighbour says of itself, the same for LLDP and CDP, as the text that operators see.

use std::net::IpAddr;

use proto::VlanId;
use proto::frame::cdp::{self, CdpError};
use proto::frame::discovery::Text;
use proto::frame::lldp::{self, LldpError};
use proto::frame::{self, ControlKind};

/// How a neighbour was heard.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Protocol {
    /// Link Layer Discovery Protocol, IEEE 802.1AB.
    Lldp,
    /// Cisco Discovery Protocol.
    Cdp,
}

impl Protocol {
    /// `LLDP` or `CDP`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lldp => "LLDP",
            Self::Cdp => "CDP",
        }
    }
}

/// What a neighbour says of itself. Texts are bounded, on one line and free of control characters;
/// what it does not say is empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Announcement {
    /// How it was heard.
    pub protocol: Protocol,
    /// Which device: chassis ID, or the device ID of CDP.
    pub chassis_id: String,
    /// Which port of it: `Ethernet1/7`.
    pub port_id: String,
    /// Its host name; of a CDP device that does not tell it, the device ID.
    pub system_name: String,
    /// What its administrator calls the port. LLDP only.
    pub port_description: String,
    /// System description of LLDP; platform and software of CDP.
    pub platform: String,
    /// What of it is switched on, by name: `bridge`, `router`.
    pub capabilities: Vec<&'static str>,
    /// Where it is managed: IPv4 if it has both.
    pub management_address: Option<IpAddr>,
    /// The VLAN of untagged frames on its port.
    pub native_vlan: Option<VlanId>,
    /// MTU of its port (CDP), or its longest frame (LLDP), in octets, as it says it.
    pub mtu_bytes: Option<u32>,
}

/// A frame that was understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heard {
    /// What it says.
    pub announcement: Announcement,
    /// For how many seconds; 0: no longer.
    pub hold_time_s: u16,
}

/// A frame of LLDP or CDP that cannot be believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HearError {
    /// Sent as LLDP.
    #[error("LLDP: {0}")]
    Lldp(#[from] LldpError),
    /// Sent as CDP.
    #[error("CDP: {0}")]
    Cdp(#[from] CdpError),
}

impl Heard {
    /// Reads a whole frame. `None`: it is neither LLDP nor CDP.
    ///
    /// # Errors
    /// Its destination and type say that it is one of them, and it cannot be believed.
    pub fn read(frame: &[u8]) -> Result<Option<Self>, HearError> {
        let kind = frame::parse(frame).map(|key| key.control_kind(frame));
        match kind {
            Some(ControlKind::Lldp) => Ok(Some(lldp::parse(frame)?.into())),
            Some(ControlKind::Cdp) => match cdp::parse(frame) {
                // VTP, DTP, PAgP and UDLD have the same destination.
                Err(CdpError::OtherProtocol(_)) => Ok(None),
                read => Ok(Some(read?.into())),
            },
            _ => Ok(None),
        }
    }
}

impl From<lldp::Lldpdu<'_>> for Heard {
    fn from(lldpdu: lldp::Lldpdu<'_>) -> Self {
        let announcement = Announcement {
            protocol: Protocol::Lldp,
            chassis_id: lldpdu.chassis_id.to_string(),
            port_id: lldpdu.port_id.to_string(),
            system_name: shown(lldpdu.system_name),
            port_description: shown(lldpdu.port_description),
            platform: shown(lldpdu.system_description),
            capabilities: lldpdu.capabilities.unwrap_or_default().enabled.names().collect(),
            management_address: lldpdu.management.first(),
            native_vlan: lldpdu.port_vlan,
            mtu_bytes: lldpdu.frame_len_max.map(u32::from),
        };
        Self { announcement, hold_time_s: lldpdu.ttl_s }
    }
}

impl From<cdp::Advertisement<'_>> for Heard {
    fn from(cdp: cdp::Advertisement<'_>) -> Self {
        let mut platform = vec![shown(cdp.platform), shown(cdp.software)];
        platform.retain(|part| !part.is_empty());
        let announcement = Announcement {
            protocol: Protocol::Cdp,
            chassis_id: cdp.device_id.to_string(),
            port_id: shown(cdp.port_id),
            system_name: cdp.system_name.unwrap_or(cdp.device_id).to_string(),
            port_description: String::new(),
            platform: platform.join(", "),
            capabilities: cdp.capabilities.unwrap_or_default().names().collect(),
            management_address: cdp.management.first().or(cdp.addresses.first()),
            native_vlan: cdp.native_vlan,
            mtu_bytes: cdp.mtu_bytes,
        };
        Self { announcement, hold_time_s: u16::from(cdp.ttl_s) }
    }
}

fn shown(text: Option<Text<'_>>) -> String {
    text.map(|text| text.to_string()).unwrap_or_default()
}
