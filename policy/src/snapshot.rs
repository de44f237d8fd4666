//! The compiled, immutable state that a dataplane forwards by.
//!
//! Where it sits: the agent builds one from a [`HostIntent`](crate::HostIntent) and swaps it in as
//! a whole; the forwarding core reads it. Invariants: every [`PortId`] inside a snapshot indexes
//! [`Snapshot::port`]; every [`AclIndex`] indexes [`Snapshot::acl`]; the local table holds only
//! vEthernets that are administratively up. Not here: link state, pins, counters. They change with
//! traffic and cables, survive a swap, and are kept by the dataplane under the same stable ids.

mod build;
mod uplinks;

use proto::{InterfaceName, MacAddr, PortId, Revision, VlanId};

use crate::acl::compile::CompiledAcl;
use crate::fib::Fib;
use crate::teaming::{Channel, Teaming};
use crate::vlan_set::VlanSet;

/// Index of a compiled access list in its snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AclIndex(pub(crate) u16);

/// The compiled state of one host. Built by [`Snapshot::build`] and never changed.
#[derive(Debug)]
pub struct Snapshot {
    /// The configuration it was made from.
    pub revision: Revision,
    pub(crate) ports: Box<[Option<Port>]>,
    pub(crate) vlans: Box<[Vlan]>,
    pub(crate) fib: Fib,
    pub(crate) acls: Box<[CompiledAcl]>,
    pub(crate) rules_end: u32,
    pub(crate) teaming: Teaming,
}

impl Snapshot {
    /// The port in this slot; `None` when the slot is empty.
    #[must_use]
    #[inline]
    pub fn port(&self, id: PortId) -> Option<&Port> {
        self.ports.get(id.index()).and_then(Option::as_ref)
    }

    /// Every port, in order of its slot.
    pub fn ports(&self) -> impl Iterator<Item = &Port> {
        self.ports.iter().flatten()
    }

    /// The local table: `(VLAN, MAC) -> vEthernet`.
    #[must_use]
    #[inline]
    pub const fn fib(&self) -> &Fib {
        &self.fib
    }

    /// The members of a VLAN on this host.
    #[must_use]
    #[inline]
    pub fn vlan(&self, vlan: VlanId) -> &Vlan {
        static EMPTY: Vlan = Vlan {
            flood: Vec::new(),
            promiscuous: Vec::new(),
            uufb: Vec::new(),
            uplinks: Vec::new(),
        };
        self.vlans.get(usize::from(vlan.get())).unwrap_or(&EMPTY)
    }

    /// A compiled access list.
    #[must_use]
    #[inline]
    pub fn acl(&self, index: AclIndex) -> Option<&CompiledAcl> {
        self.acls.get(usize::from(index.0))
    }

    /// What holds for all port-channels of this host.
    #[must_use]
    #[inline]
    pub const fn teaming(&self) -> Teaming {
        self.teaming
    }

    /// One above the highest rule counter that its access lists can name.
    #[must_use]
    pub const fn rules_end(&self) -> u32 {
        self.rules_end
    }

    /// Every compiled access list.
    #[must_use]
    pub fn acls(&self) -> &[CompiledAcl] {
        &self.acls
    }
}

/// The ports of one VLAN on this host. Lists are ascending and without repeats, and hold only ports
/// that are administratively up; whether a link is up is for the reader to check.
#[derive(Debug, Default, Clone)]
pub struct Vlan {
    /// vEthernets that get broadcast and multicast of the VLAN.
    pub flood: Vec<PortId>,
    /// Those of them that get a copy of every frame.
    pub promiscuous: Vec<PortId>,
    /// Those of them that get unknown unicast from the wire (`switchport uufb disable`).
    pub uufb: Vec<PortId>,
    /// Uplinks that carry the VLAN.
    pub uplinks: Vec<PortId>,
}

/// One port as the core sees it.
#[derive(Debug)]
pub struct Port {
    /// Its slot.
    pub id: PortId,
    /// Its name in the switch.
    pub name: InterfaceName,
    /// May pass frames at all.
    pub admin_up: bool,
    /// What is behind it.
    pub role: Role,
    /// How VLANs meet tags.
    pub vlan_mode: VlanMode,
    /// Largest payload after Ethernet header and tag, in bytes.
    pub mtu_bytes: u16,
    /// Lists for frames that come in here.
    pub acl_in: Acls,
    /// Lists for frames that leave here.
    pub acl_out: Acls,
}

/// The access lists of one direction, by what they speak of; `None` permits.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Acls {
    /// For frames that are neither IPv4 nor IPv6.
    pub mac: Option<AclIndex>,
    /// For IPv4.
    pub ip: Option<AclIndex>,
    /// For IPv6.
    pub ipv6: Option<AclIndex>,
}

/// How VLANs meet tags.
#[derive(Debug, PartialEq, Eq)]
pub enum VlanMode {
    /// One VLAN, untagged or priority-tagged in, untagged out.
    Access(VlanId),
    /// Tagged, but for the native VLAN.
    Trunk {
        /// Of untagged and priority-tagged frames.
        native: VlanId,
        /// VLANs that may pass.
        allowed: Box<VlanSet>,
    },
}

impl VlanMode {
    /// Whether frames of the VLAN may pass.
    #[must_use]
    #[inline]
    pub fn carries(&self, vlan: VlanId) -> bool {
        match self {
            Self::Access(own) => *own == vlan,
            Self::Trunk { allowed, .. } => allowed.contains(vlan),
        }
    }
}

/// What is behind a port.
#[derive(Debug)]
pub enum Role {
    /// A VM's vNIC.
    Vethernet(Vethernet),
    /// A physical NIC.
    Uplink(Uplink),
}

/// A VM's vNIC.
#[derive(Debug)]
pub struct Vethernet {
    /// Its own address.
    pub mac: MacAddr,
    /// Which source addresses it may use.
    pub source: SourceGuard,
    /// Unknown unicast from the wire reaches it.
    pub uufb_disabled: bool,
    /// It gets a copy of every frame of its VLANs.
    pub promiscuous: bool,
    /// A BPDU from it shuts it.
    pub bpdu_guard: bool,
    /// The NICs that its frames are to leave by, the first of them that is up; when none is, or
    /// none is given, the dataplane chooses.
    pub pinned_nics: Box<[u8]>,
}

/// Which source addresses a vEthernet may use.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SourceGuard {
    /// Its own only.
    Own,
    /// Its own and these, ascending.
    List(Box<[MacAddr]>),
    /// Any that is legal as a source.
    Any,
}

/// A physical NIC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Uplink {
    /// Its number, the N of `Ethernet3/N`.
    pub nic: u8,
    /// Members of the same team share this: 0 for all that pin, else the number of the group. A
    /// loose uplink has a team of its own.
    pub team: u8,
    /// Its part in the group that it works in.
    pub channel: Option<Channel>,
    /// How long its link has to be up before it is used, unless there is no other; in seconds.
    pub link_up_delay_s: u16,
    /// Tells the physical switch by LLDP who is there.
    pub lldp_transmit: bool,
    /// Frames for the host's own MAC go to its kernel.
    pub host_traffic: bool,
}

#[cfg(test)]
mod tests;
