//! Everything one host has to know: its own ports with their effective settings, and what they
//! refer to. The supervisor derives it from the configuration; it travels to the dataplane, which
//! validates it again and builds its snapshot from it.

use std::collections::BTreeMap;

use proto::{InterfaceName, MacAddr, VlanId};

use crate::acl::Acl;
use crate::config::{AclBinding, MacAllow, Name, Settings};
use crate::teaming::{Channel, Teaming};
use crate::vlan_set::VlanSet;

/// The resolved configuration of one host. Plain data; equality is how a change is noticed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostIntent {
    /// The VLANs that its ports use, with their names.
    pub vlans: BTreeMap<VlanId, String>,
    /// The access lists that its ports are bound to.
    pub acls: BTreeMap<Name, Acl>,
    /// What holds for all its port-channels.
    pub teaming: Teaming,
    /// Its ports, by interface name.
    pub ports: BTreeMap<InterfaceName, PortIntent>,
}

/// One port with every default and every inherited value filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PortIntent {
    /// The profile it got its settings from; `None` for an uplink that has none.
    pub profile: Option<Name>,
    /// `no shutdown`, and its profile is enabled.
    pub admin_up: bool,
    /// How VLANs meet tags.
    pub mode: PortMode,
    /// Largest payload after Ethernet header and tags.
    pub mtu_bytes: u16,
    /// Lists for frames that come in at the port.
    pub acl_in: AclBinding,
    /// Lists for frames that leave by the port.
    pub acl_out: AclBinding,
    /// What is behind the port.
    pub role: PortRole,
}

/// How a port's VLANs meet tags (IEEE 802.1Q-2018 clause 6.9).
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a host has hundreds of ports, not millions")]
pub enum PortMode {
    /// Untagged or priority-tagged in, untagged out.
    Access(VlanId),
    /// Tagged, but for the native VLAN.
    Trunk {
        /// Untagged and priority-tagged frames belong here; leaves untagged.
        native: VlanId,
        /// VLANs that may pass, the native one only if it is listed.
        allowed: VlanSet,
    },
}

impl PortMode {
    /// Whether frames of the VLAN may pass the port.
    #[must_use]
    pub fn carries(&self, vlan: VlanId) -> bool {
        match self {
            Self::Access(own) => *own == vlan,
            Self::Trunk { allowed, .. } => allowed.contains(vlan),
        }
    }
}

/// What is behind a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PortRole {
    /// A VM's vNIC.
    Vethernet(VethernetRole),
    /// A physical NIC.
    Uplink(UplinkRole),
}

/// A VM's vNIC.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VethernetRole {
    /// The VM.
    pub vm: String,
    /// The vNIC in the VM.
    pub adapter: String,
    /// Its address.
    pub mac: MacAddr,
    /// Further source addresses it may use.
    pub mac_allow: MacAllow,
    /// Unknown unicast reaches it.
    pub uufb_disabled: bool,
    /// It gets a copy of every frame of its VLANs.
    pub promiscuous: bool,
    /// A BPDU from it shuts the port.
    pub bpdu_guard: bool,
    /// The NICs that it is to send by, the first of them that is up; when none is, or none is
    /// given, the dataplane chooses.
    pub pinned_nics: Vec<u8>,
}

/// A physical NIC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct UplinkRole {
    /// Its number, the N of `Ethernet3/N`.
    pub nic: u8,
    /// Its part in the group that it works in.
    pub channel: Option<Channel>,
    /// Frames for the host's own MAC go to its kernel.
    pub host_traffic: bool,
    /// How long its link has to be up before it is used, unless there is no other; in seconds.
    pub link_up_delay_s: u16,
    /// Tells the physical switch by LLDP who is there.
    pub lldp_transmit: bool,
}

impl UplinkRole {
    /// A NIC that works alone, with everything as it is without configuration.
    #[must_use]
    pub const fn new(nic: u8) -> Self {
        Self {
            nic,
            channel: None,
            host_traffic: false,
            link_up_delay_s: Settings::LINK_UP_DELAY_S_DEFAULT,
            lldp_transmit: false,
        }
    }
}
