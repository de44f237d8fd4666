//! What the machines say of themselves: for the teaming place, for `show`, and for the log.

use std::fmt;

use proto::frame::lacp::{PortInfo, SystemId};

/// How a member stands in its port-channel, by the letters of `show port-channel summary`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Flag {
    /// `P`: in the port-channel, and carries.
    Bundled,
    /// `I`: carries alone, because no partner speaks.
    Individual,
    /// `s`: has a link and carries nothing.
    Suspended,
    /// `D`: has no link, or is shut down.
    Down,
    /// `H`: would carry if `max-bundle` let it.
    HotStandby,
    /// `S`: no partner speaks, and another member carries alone.
    Standby,
}

impl Flag {
    /// The letter.
    #[must_use]
    pub const fn letter(self) -> &'static str {
        match self {
            Self::Bundled => "P",
            Self::Individual => "I",
            Self::Suspended => "s",
            Self::Down => "D",
            Self::HotStandby => "H",
            Self::Standby => "S",
        }
    }

    /// Whether data frames go and come by this member: it collects and distributes.
    #[must_use]
    pub const fn carries(self) -> bool {
        matches!(self, Self::Bundled | Self::Individual)
    }
}

/// Why a member is not bundled, or a port-channel is down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Shut down by configuration.
    AdminDown,
    /// No carrier.
    LinkDown,
    /// No LACPDU has come.
    NoPartner,
    /// LACPDUs have come, and stopped.
    PartnerLost,
    /// Our own LACPDUs come back.
    Loopback,
    /// The partner is not the one that the port-channel is aggregated to.
    OtherPartner {
        /// Its system.
        system: SystemId,
        /// Its key.
        key: u16,
    },
    /// The partner does not aggregate this link with others.
    IndividualPartner,
    /// `max-bundle` other members go first.
    MaxBundle,
    /// Fewer members than `min-links`.
    MinLinks {
        /// How many there are.
        have: usize,
        /// How many there have to be.
        need: usize,
    },
    /// Waits a moment for others, so that they join together.
    Waiting,
    /// The partner has not attached its end.
    PartnerNotInSync,
    /// No partner speaks, so it carries alone.
    Individual,
    /// No partner speaks, and a member before it carries alone.
    Standby,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AdminDown => f.write_str("administratively down"),
            Self::LinkDown => f.write_str("link down"),
            Self::NoPartner => f.write_str("no LACP partner heard"),
            Self::PartnerLost => f.write_str("LACP partner is silent"),
            Self::Loopback => f.write_str("own LACPDUs come back"),
            Self::OtherPartner { system, key } => {
                write!(f, "another LACP partner: system {system} key {key}")
            }
            Self::IndividualPartner => f.write_str("LACP partner does not aggregate this link"),
            Self::MaxBundle => f.write_str("hot standby by max-bundle"),
            Self::MinLinks { have, need } => write!(f, "{have} of min-links {need}"),
            Self::Waiting => f.write_str("waiting to join"),
            Self::PartnerNotInSync => f.write_str("LACP partner is not in sync"),
            Self::Individual => f.write_str("individual, no LACP partner heard"),
            Self::Standby => f.write_str("standby, no LACP partner heard"),
        }
    }
}

/// How a member stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Member {
    /// Data frames go and come by it: it collects and distributes, and the port-channel has its
    /// `min-links`.
    pub carries: bool,
    /// The letter.
    pub flag: Flag,
    /// Why it is not `P`; `None` when it is.
    pub reason: Option<Reason>,
    /// Since when it has this flag.
    pub since_ns: u64,
}

/// A member stands differently than before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The NIC.
    pub nic: u8,
    /// Its port-channel, after the change if it is in one.
    pub key: u16,
    /// Before; `None`: it is new.
    pub before: Option<Member>,
    /// After; `None`: it has been removed.
    pub after: Option<Member>,
}

impl Change {
    /// Whether data frames now go and come by it and did not before, or the other way round.
    #[must_use]
    pub fn is_of_traffic(&self) -> bool {
        let carries = |member: Option<Member>| member.is_some_and(|member| member.carries);
        carries(self.before) != carries(self.after)
    }
}

/// State of the receive machine. `INITIALIZE` takes no time, and a port without LACP is not here.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ReceiveState {
    /// Shut down or without link.
    PortDisabled,
    /// What is known of the partner is about to be forgotten.
    Expired,
    /// Nothing is known of a partner.
    Defaulted,
    /// The partner speaks.
    Current,
}

impl ReceiveState {
    /// The standard's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::PortDisabled => "PORT_DISABLED",
            Self::Expired => "EXPIRED",
            Self::Defaulted => "DEFAULTED",
            Self::Current => "CURRENT",
        }
    }
}

/// State of the mux machine with coupled control of collecting and distributing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum MuxState {
    /// Not attached, and not selected.
    Detached,
    /// Selected, and waits for others to join together; or hot standby.
    Waiting,
    /// Attached: tells the partner that it is in sync.
    Attached,
    /// The partner is in sync too.
    CollectingDistributing,
}

impl MuxState {
    /// The standard's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Detached => "DETACHED",
            Self::Waiting => "WAITING",
            Self::Attached => "ATTACHED",
            Self::CollectingDistributing => "COLLECTING_DISTRIBUTING",
        }
    }

    /// Whether the port is attached to the aggregator, which is what `Synchronization` says.
    #[must_use]
    pub const fn is_attached(self) -> bool {
        matches!(self, Self::Attached | Self::CollectingDistributing)
    }
}

/// State of the periodic transmission machine. `PERIODIC_TX` takes no time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum PeriodicState {
    /// Does not send: no link, or both sides are passive.
    NoPeriodic,
    /// Every second.
    FastPeriodic,
    /// Every 30 s.
    SlowPeriodic,
}

impl PeriodicState {
    /// The standard's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::NoPeriodic => "NO_PERIODIC",
            Self::FastPeriodic => "FAST_PERIODIC",
            Self::SlowPeriodic => "SLOW_PERIODIC",
        }
    }
}

/// What the selection logic has decided.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Selected {
    /// Belongs to no aggregator.
    Unselected,
    /// Belongs to its aggregator.
    Selected,
    /// Would, if there were room.
    Standby,
}

impl Selected {
    /// The standard's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unselected => "UNSELECTED",
            Self::Selected => "SELECTED",
            Self::Standby => "STANDBY",
        }
    }
}

/// State of a churn detection machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ChurnState {
    /// In sync.
    NoChurn,
    /// Out of sync, not for long.
    Monitor,
    /// Out of sync for 60 s.
    Churn,
}

impl ChurnState {
    /// The standard's name, of the machine that watches the actor.
    #[must_use]
    pub const fn actor_name(self) -> &'static str {
        match self {
            Self::NoChurn => "NO_ACTOR_CHURN",
            Self::Monitor => "ACTOR_CHURN_MONITOR",
            Self::Churn => "ACTOR_CHURN",
        }
    }

    /// The standard's name, of the machine that watches the partner.
    #[must_use]
    pub const fn partner_name(self) -> &'static str {
        match self {
            Self::NoChurn => "NO_PARTNER_CHURN",
            Self::Monitor => "PARTNER_CHURN_MONITOR",
            Self::Churn => "PARTNER_CHURN",
        }
    }
}

/// What a port has counted since it was configured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// LACPDUs sent.
    pub pdus_sent: u64,
    /// LACPDUs received.
    pub pdus_received: u64,
    /// Markers received that ask for a response.
    pub markers_received: u64,
    /// Responses to markers sent; fewer when they come too fast.
    pub marker_responses_sent: u64,
    /// Slow protocol frames that could not be read.
    pub illegal_received: u64,
    /// Frames of another slow protocol.
    pub unknown_received: u64,
    /// When the last LACPDU was received.
    pub last_received_ns: Option<u64>,
    /// How often this side was out of sync for 60 s.
    pub actor_churns: u64,
    /// How often the partner was.
    pub partner_churns: u64,
}

/// Everything about one port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PortStatus {
    /// The NIC.
    pub nic: u8,
    /// Its port-channel.
    pub key: u16,
    /// How it stands there.
    pub member: Member,
    /// This side, as LACPDUs say it.
    pub actor: PortInfo,
    /// The other side, as far as it is known.
    pub partner: PortInfo,
    /// Receive machine.
    pub receive: ReceiveState,
    /// Mux machine.
    pub mux: MuxState,
    /// Periodic transmission machine.
    pub periodic: PeriodicState,
    /// Selection logic.
    pub selected: Selected,
    /// Churn detection of this side.
    pub actor_churn: ChurnState,
    /// Churn detection of the partner.
    pub partner_churn: ChurnState,
    /// Counters.
    pub counters: Counters,
}

/// A port-channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GroupStatus {
    /// Its number, which is its key.
    pub key: u16,
    /// Whether a member carries.
    pub up: bool,
    /// Why it is down; `None` when it is up.
    pub reason: Option<Reason>,
    /// This system.
    pub system: SystemId,
    /// System and key of the partner that it is aggregated to.
    pub partner: Option<(SystemId, u16)>,
    /// How many members carry.
    pub carrying: usize,
}
