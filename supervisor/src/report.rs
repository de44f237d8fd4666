//! What a host says of itself about once a second, as plain values.
//!
//! Where it sits: `push/encode/report.rs` makes a [`Report`] of a message, bounded and without what
//! makes no sense; the [`Module`](crate::push::fleet::Module) keeps the last one, also when it is
//! offline; `operator/` shows it. Everything in here is a claim of the host: nothing is decided by
//! it.

use std::collections::BTreeMap;

use proto::{InterfaceName, MacAddr, ModuleId, Revision, VlanId};

/// What a dataplane counts, since it started, and how its uplinks stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The revision it forwards by.
    pub revision: Revision,
    /// Per port.
    pub ports: BTreeMap<InterfaceName, PortReport>,
    /// Matches per access list and entry; entry 0 is the implicit deny.
    pub rules: BTreeMap<(String, u32), u64>,
    /// The local table.
    pub macs: Vec<(VlanId, MacAddr, InterfaceName)>,
    /// What carries the frames of a vEthernet: `tap`.
    pub kinds: BTreeMap<InterfaceName, String>,
    /// How the driver of a NIC works: `native copy`.
    pub nic_modes: BTreeMap<u8, String>,
    /// The groups of its uplinks, by number.
    pub channels: BTreeMap<u8, ChannelReport>,
    /// Which uplink its vEthernets send by.
    pub pins: BTreeMap<InterfaceName, Pin>,
    /// What its uplinks hear.
    pub neighbors: Vec<Neighbor>,
    /// Frames sent for addresses that have moved.
    pub announcements: u64,
}

impl Default for Report {
    /// Nothing was reported.
    fn default() -> Self {
        Self {
            revision: Revision::NONE,
            ports: BTreeMap::new(),
            rules: BTreeMap::new(),
            macs: Vec::new(),
            kinds: BTreeMap::new(),
            nic_modes: BTreeMap::new(),
            channels: BTreeMap::new(),
            pins: BTreeMap::new(),
            neighbors: Vec::new(),
            announcements: 0,
        }
    }
}

impl Report {
    /// Leaves out what is said of the uplinks of other hosts.
    pub fn forget_foreign(&mut self, own: ModuleId) {
        let is_own = |name: &InterfaceName| match name {
            InterfaceName::Ethernet { module, .. } => *module == own,
            _ => true,
        };
        self.ports.retain(|name, _| is_own(name));
        self.neighbors.retain(|neighbor| is_own(&neighbor.port));
        for channel in self.channels.values_mut() {
            channel.members.retain(|name, _| is_own(name));
        }
        for pin in self.pins.values_mut() {
            pin.uplink = pin.uplink.filter(is_own);
            pin.preferred = pin.preferred.filter(is_own);
        }
    }

    /// The group that an uplink is in, with its part in it.
    #[must_use]
    pub fn membership(&self, uplink: InterfaceName) -> Option<(u8, &ChannelReport, &Member)> {
        self.channels.iter().find_map(|(number, channel)| {
            channel.members.get(&uplink).map(|member| (*number, channel, member))
        })
    }
}

/// What a dataplane counts at one port.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PortReport {
    /// It passes frames.
    pub link_up: bool,
    /// Why not.
    pub reason: String,
    /// Frames and bytes.
    pub counters: Counters,
    /// Frames received here and dropped, by the name of the reason.
    pub drops: BTreeMap<String, u64>,
    /// Copies meant for this port and dropped, by the name of the reason.
    pub tx_drops: BTreeMap<String, u64>,
    /// The uplink that it sends by; may be empty.
    pub pinned_to: String,
}

/// Frames and bytes of a port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Frames received.
    pub rx_frames: u64,
    /// Bytes of them.
    pub rx_bytes: u64,
    /// Multicasts among them.
    pub rx_multicast: u64,
    /// Broadcasts among them.
    pub rx_broadcast: u64,
    /// Frames sent.
    pub tx_frames: u64,
    /// Bytes of them.
    pub tx_bytes: u64,
    /// Multicasts among them.
    pub tx_multicast: u64,
    /// Broadcasts among them.
    pub tx_broadcast: u64,
    /// Received and forwarded.
    pub forwarded: u64,
    /// Received and taken by a control task.
    pub consumed: u64,
}

/// A group of uplinks as it works.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ChannelReport {
    /// The value of `channel-group auto mode`.
    pub mode: String,
    /// It carries frames.
    pub up: bool,
    /// Why not.
    pub reason: String,
    /// LACP: our system, as NX-OS writes it.
    pub system: String,
    /// LACP: the partner it is aggregated to; may be empty.
    pub partner_system: String,
    /// Its members.
    pub members: BTreeMap<InterfaceName, Member>,
}

/// An uplink in its group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Member {
    /// How it stands.
    pub flag: MemberFlag,
    /// Why it is not in the channel.
    pub reason: String,
    /// When it came into this state; 0: not said.
    pub since_unix_ns: u64,
    /// Its LACP machine.
    pub lacp: Option<Box<LacpPort>>,
}

/// How a member of a group stands, by the letters of `show port-channel summary`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MemberFlag {
    /// `P`: up in the port-channel.
    Bundled,
    /// `I`: carries frames alone, its partner speaks no LACP.
    Individual,
    /// `s`: has a link and carries nothing.
    Suspended,
    /// `D`: has no link.
    Down,
    /// `H`: takes the place of a member that goes; also the standby of `active-standby`.
    Standby,
}

impl MemberFlag {
    /// The flag that a dataplane's letter means; what is not known carries nothing.
    #[must_use]
    pub fn from_letter(letter: &str) -> Self {
        match letter {
            "P" => Self::Bundled,
            "I" => Self::Individual,
            "D" => Self::Down,
            "H" | "S" => Self::Standby,
            _ => Self::Suspended,
        }
    }

    /// The letter that operators see.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Bundled => "P",
            Self::Individual => "I",
            Self::Suspended => "s",
            Self::Down => "D",
            Self::Standby => "H",
        }
    }

    /// The state in a sentence.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Bundled => "up",
            Self::Individual => "individual",
            Self::Suspended => "suspended",
            Self::Down => "down",
            Self::Standby => "hot standby",
        }
    }
}

/// The LACP machine of a member; states by their names in IEEE 802.1AX-2020.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LacpPort {
    /// We.
    pub actor: LacpInfo,
    /// The other side, as it said or as is assumed of a silent one.
    pub partner: LacpInfo,
    /// Of the receive machine.
    pub receive: String,
    /// Of the mux machine.
    pub mux: String,
    /// Of the periodic transmission machine.
    pub periodic: String,
    /// Of the selection logic.
    pub selected: String,
    /// Of the actor's churn machine.
    pub actor_churn: String,
    /// Of the partner's churn machine.
    pub partner_churn: String,
    /// LACPDUs sent.
    pub pdus_sent: u64,
    /// LACPDUs received.
    pub pdus_received: u64,
    /// Markers received.
    pub markers_received: u64,
    /// Responses to them sent.
    pub marker_responses_sent: u64,
    /// Slow protocol frames that could not be read.
    pub illegal_received: u64,
    /// Slow protocol frames of a subtype that is not ours.
    pub unknown_received: u64,
    /// When the last LACPDU came; 0: never.
    pub last_received_unix_ns: u64,
    /// How often the actor churned.
    pub actor_churns: u64,
    /// How often the partner churned.
    pub partner_churns: u64,
}

/// One side of a link, as LACPDUs carry it (IEEE 802.1AX-2020 clause 6.4.2.3).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LacpInfo {
    /// Priority of the system.
    pub system_priority: u32,
    /// MAC address of the system.
    pub system: String,
    /// Operational key.
    pub key: u32,
    /// Priority of the port.
    pub port_priority: u32,
    /// Number of the port.
    pub port: u32,
    /// The octet of state bits.
    pub state: u8,
}

/// Which uplink a vEthernet sends by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Pin {
    /// `None`: no uplink.
    pub uplink: Option<InterfaceName>,
    /// Where it goes back to when that is up again.
    pub preferred: Option<InterfaceName>,
    /// How it came there: `static`, `automatic`.
    pub reason: String,
    /// How often it was moved.
    pub moves: u32,
    /// When it was moved last; 0: never.
    pub moved_unix_ns: u64,
    /// How long that took, from the event until every worker forwarded by it.
    pub move_duration_ns: u64,
}

/// What an uplink hears of the other end of its cable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Neighbor {
    /// The uplink.
    pub port: InterfaceName,
    /// How it was heard.
    pub protocol: Discovery,
    /// Its identity.
    pub chassis_id: String,
    /// Its name.
    pub system_name: String,
    /// Its port.
    pub port_id: String,
    /// What its port is called by its administrator.
    pub port_description: String,
    /// What it is.
    pub platform: String,
    /// What it does: `bridge`.
    pub capabilities: Vec<String>,
    /// Where it is managed.
    pub management_address: String,
    /// Its native VLAN; 0: not said.
    pub native_vlan: u32,
    /// How long it is to be believed.
    pub hold_time_s: u32,
    /// When it was heard last.
    pub heard_unix_ns: u64,
    /// Its MTU; 0: not said.
    pub mtu_bytes: u32,
}

/// A protocol by which switches tell their neighbors who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Discovery {
    /// IEEE 802.1AB.
    Lldp,
    /// Cisco Discovery Protocol.
    Cdp,
}

impl Discovery {
    /// The name that operators see and dataplanes say.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lldp => "LLDP",
            Self::Cdp => "CDP",
        }
    }

    /// The protocol with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Lldp, Self::Cdp].into_iter().find(|protocol| protocol.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn uplink(module: u16, nic: u8) -> InterfaceName {
        InterfaceName::Ethernet { module: ModuleId::new(module).unwrap(), nic }
    }

    fn neighbor(port: InterfaceName) -> Neighbor {
        Neighbor {
            port,
            protocol: Discovery::Lldp,
            chassis_id: String::new(),
            system_name: String::new(),
            port_id: String::new(),
            port_description: String::new(),
            platform: String::new(),
            capabilities: Vec::new(),
            management_address: String::new(),
            native_vlan: 0,
            hold_time_s: 0,
            heard_unix_ns: 0,
            mtu_bytes: 0,
        }
    }

    #[test]
    fn a_host_speaks_for_its_own_uplinks_alone() {
        let member = Member {
            flag: MemberFlag::Bundled,
            reason: String::new(),
            since_unix_ns: 0,
            lacp: None,
        };
        let members = [uplink(3, 1), uplink(4, 1)].map(|name| (name, member.clone())).into();
        let channel = ChannelReport { members, ..ChannelReport::default() };
        let mut report = Report {
            ports: [uplink(3, 1), uplink(4, 1)].map(|name| (name, PortReport::default())).into(),
            channels: [(1, channel)].into(),
            neighbors: [uplink(4, 1), uplink(3, 2)].map(neighbor).into(),
            ..Report::default()
        };
        report.forget_foreign(ModuleId::FIRST_HOST);
        assert_eq!(report.ports.keys().collect::<Vec<_>>(), [&uplink(3, 1)]);
        assert_eq!(report.neighbors, [neighbor(uplink(3, 2))]);
        assert!(report.membership(uplink(3, 1)).is_some_and(|(number, ..)| number == 1));
        assert!(report.membership(uplink(4, 1)).is_none());
    }

    #[test]
    fn letters_and_names_are_read_back() {
        use MemberFlag::{Bundled, Down, Individual, Standby, Suspended};
        for flag in [Bundled, Individual, Suspended, Down, Standby] {
            assert_eq!(MemberFlag::from_letter(flag.letter()), flag);
        }
        assert_eq!(MemberFlag::from_letter("S"), Standby, "of active-standby");
        assert_eq!(MemberFlag::from_letter("?"), Suspended);
        for protocol in [Discovery::Lldp, Discovery::Cdp] {
            assert_eq!(Discovery::from_name(protocol.name()), Some(protocol));
        }
        assert_eq!(Discovery::from_name("lldp"), None);
    }
}
