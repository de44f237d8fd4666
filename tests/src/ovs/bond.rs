//! What a bond of Open vSwitch is told: columns of its database (ovs-vswitchd.conf.db(5)).

use std::time::Duration;

use proto::{MacAddr, VlanId};

use crate::switch::PortMode;

/// How a bond uses its members (column `bond_mode`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BondMode {
    /// Flows by a hash over addresses and ports; needs LACP, and without a partner is as
    /// [`BondMode::ActiveBackup`] or carries nothing.
    BalanceTcp,
    /// Source addresses by a hash, with or without LACP.
    BalanceSlb,
    /// One member carries all.
    ActiveBackup,
}

impl BondMode {
    pub(super) const NAMES: [(Self, &'static str); 3] = [
        (Self::BalanceTcp, "balance-tcp"),
        (Self::BalanceSlb, "balance-slb"),
        (Self::ActiveBackup, "active-backup"),
    ];
}

/// Whether a bond speaks LACP (column `lacp`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Lacp {
    /// It begins.
    Active,
    /// It answers.
    Passive,
    /// No LACP.
    Off,
}

impl Lacp {
    pub(super) const NAMES: [(Self, &'static str); 3] =
        [(Self::Active, "active"), (Self::Passive, "passive"), (Self::Off, "off")];
}

/// How often the partner is to speak (`lacp-time`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LacpTime {
    /// Every second; silent for three, it is expired.
    Fast,
    /// Every thirty seconds; silent for ninety, it is expired.
    Slow,
}

impl LacpTime {
    pub(super) const NAMES: [(Self, &'static str); 2] =
        [(Self::Fast, "fast"), (Self::Slow, "slow")];
}

/// A bond.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BondConfig {
    /// How it uses its members.
    pub mode: BondMode,
    /// Whether it speaks LACP.
    pub lacp: Lacp,
    /// How often the partner is to speak.
    pub lacp_time: LacpTime,
    /// Its VLANs.
    pub vlans: PortMode,
    /// System id of its LACPDUs; that of the bridge if not said.
    pub system_id: Option<MacAddr>,
    /// System priority of its LACPDUs; its own default if not said.
    pub system_priority: Option<u16>,
    /// Whether it is an active-backup bond while no partner speaks.
    pub fallback_ab: bool,
    /// The member that an active-backup bond prefers.
    pub primary: Option<String>,
    /// Time between two looks at whether flows should move to another member, at least a second;
    /// ten seconds if not said. Before the first, all flows may be on the member that was first.
    pub rebalance_interval: Option<Duration>,
    /// For how long a link must be up before it is used.
    pub up_delay: Duration,
    /// For how long a link must be down before it is given up.
    pub down_delay: Duration,
}

impl BondConfig {
    /// Active LACP with fast timeouts, flows spread by their ports.
    pub fn lacp(vlans: PortMode) -> Self {
        Self {
            mode: BondMode::BalanceTcp,
            lacp: Lacp::Active,
            lacp_time: LacpTime::Fast,
            vlans,
            system_id: None,
            system_priority: None,
            fallback_ab: false,
            primary: None,
            rebalance_interval: None,
            up_delay: Duration::ZERO,
            down_delay: Duration::ZERO,
        }
    }

    /// No LACP: a static bond.
    pub fn fixed(mode: BondMode, vlans: PortMode) -> Self {
        Self { mode, lacp: Lacp::Off, ..Self::lacp(vlans) }
    }

    /// Every column of the port that it decides.
    pub(super) fn columns(&self) -> Vec<String> {
        let mut options = vec![format!("lacp-time={}", name(&LacpTime::NAMES, self.lacp_time))];
        if let Some(system) = self.system_id {
            options.push(format!("lacp-system-id=\"{system}\""));
        }
        if let Some(priority) = self.system_priority {
            options.push(format!("lacp-system-priority={priority}"));
        }
        if self.fallback_ab {
            options.push("lacp-fallback-ab=true".to_owned());
        }
        if let Some(primary) = &self.primary {
            options.push(format!("bond-primary={primary}"));
        }
        if let Some(interval) = self.rebalance_interval {
            options.push(format!("bond-rebalance-interval={}", interval.as_millis()));
        }
        let mut columns = vlan_columns(&self.vlans);
        columns.extend([
            format!("bond_mode={}", name(&BondMode::NAMES, self.mode)),
            format!("lacp={}", name(&Lacp::NAMES, self.lacp)),
            format!("bond_updelay={}", self.up_delay.as_millis()),
            format!("bond_downdelay={}", self.down_delay.as_millis()),
            format!("other_config={{{}}}", options.join(",")),
        ]);
        columns
    }
}

/// What LACP says of one member.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MemberConfig {
    /// Number of the port, 1..=65535; one of its own if not said.
    pub port_id: Option<u16>,
    /// Priority of the port, 1..=65535; 65535 if not said.
    pub port_priority: Option<u16>,
    /// Key, 1..=65535; the number of a port if not said. A bond has one key, that of any of its
    /// members: give all the same. A member with a key of its own is a bond of its own.
    pub key: Option<u16>,
}

impl MemberConfig {
    pub(super) fn column(self) -> String {
        let options = [
            ("lacp-port-id", self.port_id),
            ("lacp-port-priority", self.port_priority),
            ("lacp-aggregation-key", self.key),
        ];
        let said = options.iter().filter_map(|(name, value)| Some(format!("{name}={}", (*value)?)));
        format!("other_config={{{}}}", said.collect::<Vec<_>>().join(","))
    }
}

/// The columns of a port's VLANs.
pub(super) fn vlan_columns(mode: &PortMode) -> Vec<String> {
    let vlan_mode = |name: &str| format!("vlan_mode={name}");
    let tag = |vlan: VlanId| format!("tag={}", vlan.get());
    match mode {
        PortMode::Access(vlan) => vec![vlan_mode("access"), tag(*vlan), "trunks=[]".to_owned()],
        PortMode::Trunk { allowed, native } => {
            let vlans: Vec<_> = allowed.iter().map(|vlan| vlan.get().to_string()).collect();
            let trunks = format!("trunks=[{}]", vlans.join(","));
            match native {
                Some(vlan) => vec![vlan_mode("native-untagged"), tag(*vlan), trunks],
                None => vec![vlan_mode("trunk"), "tag=[]".to_owned(), trunks],
            }
        }
    }
}

/// The word for a value.
fn name<T: Copy + PartialEq>(names: &[(T, &'static str)], value: T) -> &'static str {
    names.iter().find(|(known, _)| *known == value).map_or("", |(_, name)| name)
}

/// The value of a word.
pub(super) fn value<T: Copy>(names: &[(T, &'static str)], word: &str) -> Option<T> {
    names.iter().find(|(_, name)| *name == word).map(|(value, _)| *value)
}
