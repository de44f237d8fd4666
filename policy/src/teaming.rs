//! How the uplinks of one host work together: the values of `channel-group` and what belongs to it.
//!
//! Where it sits: the language writes them into a [`Config`](crate::Config), `compile` gathers them
//! for a host, the snapshot carries them to the dataplane. Not here: which member is up, what a
//! partner says, who is pinned where. Those are states of a dataplane.

use std::fmt;

use proto::frame::FlowHash;

/// How the uplinks of a host that share this setting and their port-profile work together.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChannelMode {
    /// `active`: a port-channel by LACP, which speaks first (IEEE 802.1AX-2020 clause 6.4.1).
    Active,
    /// `passive`: a port-channel by LACP, which speaks when it is spoken to.
    Passive,
    /// `on`: a port-channel of all members that have a link, without a protocol.
    On,
    /// `on mac-pinning`: each vEthernet sends by one member; the physical switches need no setting.
    MacPinning {
        /// `relative`: `pinning id` counts the members of the group from 0, instead of naming a NIC.
        relative: bool,
    },
    /// `active-standby`: the first member of the failover order that is up carries everything.
    ActiveStandby,
}

impl ChannelMode {
    /// Every mode.
    pub const ALL: [Self; 6] = [
        Self::Active,
        Self::Passive,
        Self::On,
        Self::MacPinning { relative: false },
        Self::MacPinning { relative: true },
        Self::ActiveStandby,
    ];

    /// The value of `channel-group auto mode`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Passive => "passive",
            Self::On => "on",
            Self::MacPinning { relative: false } => "on mac-pinning",
            Self::MacPinning { relative: true } => "on mac-pinning relative",
            Self::ActiveStandby => "active-standby",
        }
    }

    /// The mode with this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|mode| mode.name() == name)
    }

    /// Whether LACP decides about the members.
    #[must_use]
    pub const fn is_lacp(self) -> bool {
        matches!(self, Self::Active | Self::Passive)
    }

    /// Whether flows spread over the members, which the physical switch sees as one port.
    #[must_use]
    pub const fn is_bundle(self) -> bool {
        matches!(self, Self::Active | Self::Passive | Self::On)
    }
}

impl fmt::Display for ChannelMode {
    /// The value of `channel-group auto mode`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// How often the partner is asked to send (IEEE 802.1AX-2020 clause 6.4.4: periodic times).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LacpRate {
    /// Every 30 s; lost after 90 s.
    #[default]
    Normal,
    /// Every second; lost after 3 s.
    Fast,
}

impl fmt::Display for LacpRate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Normal => "normal",
            Self::Fast => "fast",
        })
    }
}

/// What makes a flow, which stays on one member of a port-channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum LoadBalance {
    /// Fields of the frame.
    Flow(FlowHash),
    /// `source-virtual-port-id`: the vEthernet that sends.
    SourceVirtualPortId,
}

impl LoadBalance {
    /// Every choice.
    pub const ALL: [Self; 6] = [
        Self::Flow(FlowHash::SourceMac),
        Self::Flow(FlowHash::SourceDestMac),
        Self::Flow(FlowHash::SourceDestIp),
        Self::Flow(FlowHash::SourceDestIpPort),
        Self::Flow(FlowHash::SourceDestIpPortVlan),
        Self::SourceVirtualPortId,
    ];

    /// The NX-OS name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Flow(fields) => fields.name(),
            Self::SourceVirtualPortId => "source-virtual-port-id",
        }
    }

    /// The choice with this NX-OS name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|choice| choice.name() == name)
    }
}

impl Default for LoadBalance {
    /// `source-mac`, as in NX-OS.
    fn default() -> Self {
        Self::Flow(FlowHash::SourceMac)
    }
}

impl fmt::Display for LoadBalance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// What holds for all port-channels of a host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Teaming {
    /// `port-channel load-balance ethernet`.
    pub load_balance: LoadBalance,
    /// `lacp system-priority`, 1..=65535; the lower one decides about hot standby.
    pub lacp_system_priority: u16,
}

impl Teaming {
    /// What a switch without `lacp system-priority`, and a port without `lacp port-priority`, has.
    pub const LACP_PRIORITY_DEFAULT: u16 = 32768;
}

impl Default for Teaming {
    fn default() -> Self {
        Self {
            load_balance: LoadBalance::default(),
            lacp_system_priority: Self::LACP_PRIORITY_DEFAULT,
        }
    }
}

/// The part of one uplink in its group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Channel {
    /// Number of the group on its host: the lowest NIC number of its configured members, so that
    /// other groups do not change it. It is the N of `port-channel N` and the LACP key.
    pub number: u8,
    /// How the group works.
    pub mode: ChannelMode,
    /// `lacp rate`.
    pub lacp_rate: LacpRate,
    /// `lacp port-priority`, 1..=65535: lower is taken first.
    pub lacp_port_priority: u16,
    /// `lacp min-links`, 1..=16: with fewer members the whole port-channel is down.
    pub min_links: u8,
    /// `lacp max-bundle`, 1..=16: further members are hot standby.
    pub max_bundle: u8,
    /// `lacp suspend-individual`: a member whose partner is silent carries nothing. Without it, the
    /// first member of the failover order carries everything until a partner speaks.
    pub suspend_individual: bool,
    /// Place in `failover order`, 0 first.
    pub rank: u8,
}

impl Channel {
    /// The most members of a port-channel (NX-OS).
    pub const MEMBERS_MAX: u8 = 16;
    /// How many of them carry traffic when `lacp max-bundle` is not said (NX-OS: 8 active, 8 hot
    /// standby).
    pub const MAX_BUNDLE_DEFAULT: u8 = 8;

    /// A member of a group in this mode with everything else as it is without configuration.
    #[must_use]
    pub const fn new(number: u8, mode: ChannelMode) -> Self {
        Self {
            number,
            mode,
            lacp_rate: LacpRate::Normal,
            lacp_port_priority: Teaming::LACP_PRIORITY_DEFAULT,
            min_links: 1,
            max_bundle: Self::MAX_BUNDLE_DEFAULT,
            suspend_individual: true,
            rank: 0,
        }
    }
}
