//! The bonding driver in the guest (Documentation/networking/bonding.rst of Linux), set up by its
//! files in sysfs and read back by [`status`].
//!
//! *Where it sits:* methods of [`Guest`]. The options' names are the driver's own.

pub mod status;

use std::time::Duration;

use proto::MacAddr;

use self::status::BondStatus;
use super::Guest;
use crate::error::{LabError, Result};
use crate::wait::wait_for_ok;

/// Before each look at a bond that is waited for, in the guest: a command costs an emulated
/// processor 20 ms, and a guest that is looked at all the time has no time for its frames.
const PAUSE: &str = "usleep 100000\n";

/// What a bond does with its members.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BondMode {
    /// `802.3ad`: aggregation by LACP.
    Lacp,
    /// `active-backup`: one member carries everything, the others wait.
    ActiveBackup,
    /// `balance-xor`: a static channel, members chosen by the hash.
    BalanceXor,
}

impl BondMode {
    fn option(self) -> &'static str {
        match self {
            Self::Lacp => "802.3ad",
            Self::ActiveBackup => "active-backup",
            Self::BalanceXor => "balance-xor",
        }
    }
}

/// How often the bond asks its partner to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LacpRate {
    /// Every 30 seconds; silence of 90 is a loss.
    Slow,
    /// Every second; silence of three is a loss.
    Fast,
}

impl LacpRate {
    fn option(self) -> &'static str {
        match self {
            Self::Slow => "slow",
            Self::Fast => "fast",
        }
    }
}

/// What the bond hashes to choose a member (`xmit_hash_policy`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HashPolicy {
    /// MAC addresses and EtherType.
    Layer2,
    /// MAC and IP addresses.
    Layer23,
    /// IP addresses and ports.
    Layer34,
    /// VLAN and source MAC address.
    VlanSrcMac,
}

impl HashPolicy {
    fn option(self) -> &'static str {
        match self {
            Self::Layer2 => "layer2",
            Self::Layer23 => "layer2+3",
            Self::Layer34 => "layer3+4",
            Self::VlanSrcMac => "vlan+srcmac",
        }
    }
}

/// Which aggregator is the active one when there are several (`ad_select`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AdSelect {
    /// The widest, and another only when that one has no port left.
    Stable,
    /// The widest, at any change.
    Bandwidth,
    /// That with the most ports, at any change.
    Count,
}

impl AdSelect {
    fn option(self) -> &'static str {
        match self {
            Self::Stable => "stable",
            Self::Bandwidth => "bandwidth",
            Self::Count => "count",
        }
    }
}

/// A bond to make.
#[derive(Debug, Clone)]
pub struct BondConfig {
    /// Name of the interface.
    pub name: String,
    /// NICs of the guest that are its members, in this order: the first one's MAC address is the
    /// bond's, and ports are numbered from 1 by it.
    pub nics: Vec<usize>,
    /// `mode`.
    pub mode: BondMode,
    /// `lacp_rate`.
    pub lacp_rate: LacpRate,
    /// `lacp_active`: speaks first, or waits until it is spoken to.
    pub lacp_active: bool,
    /// `xmit_hash_policy`.
    pub xmit_hash_policy: HashPolicy,
    /// `ad_actor_sys_prio`, 1 to 65535: the lower has the say.
    pub ad_actor_sys_prio: u16,
    /// `ad_actor_system`: system id, if not the bond's MAC address.
    pub ad_actor_system: Option<MacAddr>,
    /// `ad_user_port_key`, 0 to 1023: the upper ten bits of the actor's key; below are speed and
    /// duplex.
    pub ad_user_port_key: u16,
    /// `min_links`: the bond has a carrier with so many active ports.
    pub min_links: u32,
    /// `ad_select`.
    pub ad_select: AdSelect,
    /// `miimon`: interval at which carriers are looked at, in milliseconds; also how late a loss is
    /// seen.
    pub miimon_ms: u32,
}

impl BondConfig {
    /// A bond by LACP: slow, active, with the driver's defaults, carriers looked at every 10 ms.
    pub fn lacp(name: &str, nics: &[usize]) -> Self {
        Self {
            name: name.to_owned(),
            nics: nics.to_owned(),
            mode: BondMode::Lacp,
            lacp_rate: LacpRate::Slow,
            lacp_active: true,
            xmit_hash_policy: HashPolicy::Layer2,
            ad_actor_sys_prio: 65535,
            ad_actor_system: None,
            ad_user_port_key: 0,
            min_links: 0,
            ad_select: AdSelect::Stable,
            miimon_ms: 10,
        }
    }

    /// A bond of which one member carries, without a protocol.
    pub fn active_backup(name: &str, nics: &[usize]) -> Self {
        Self { mode: BondMode::ActiveBackup, ..Self::lacp(name, nics) }
    }

    /// Options and values in an order that the driver accepts: the mode decides which others are.
    fn options(&self) -> Vec<(&'static str, String)> {
        let mut options =
            vec![("mode", self.mode.option().to_owned()), ("miimon", self.miimon_ms.to_string())];
        if self.mode != BondMode::ActiveBackup {
            options.push(("xmit_hash_policy", self.xmit_hash_policy.option().to_owned()));
        }
        if self.mode == BondMode::Lacp {
            options.extend([
                ("lacp_rate", self.lacp_rate.option().to_owned()),
                ("lacp_active", if self.lacp_active { "on" } else { "off" }.to_owned()),
                ("ad_actor_sys_prio", self.ad_actor_sys_prio.to_string()),
                ("ad_user_port_key", self.ad_user_port_key.to_string()),
                ("min_links", self.min_links.to_string()),
                ("ad_select", self.ad_select.option().to_owned()),
            ]);
            options.extend(self.ad_actor_system.map(|mac| ("ad_actor_system", mac.to_string())));
        }
        options
    }
}

impl Guest {
    /// Makes a bond and brings it up with its members.
    ///
    /// # Errors
    /// When the driver refuses an option, with its words from the kernel's log.
    pub fn bond(&self, config: &BondConfig) -> Result<()> {
        let name = &config.name;
        let mut commands = format!("echo +{name} >/sys/class/net/bonding_masters\n");
        for (option, value) in config.options() {
            commands.push_str(&set_option(name, option, &value));
        }
        for nic in &config.nics {
            commands.push_str(&add_member(name, *nic));
        }
        commands.push_str(&format!("ip link set {name} up\n"));
        self.driver(&commands)
    }

    /// Deletes a bond; its members are NICs of their own again, down.
    ///
    /// # Errors
    /// When there is no such bond.
    pub fn delete_bond(&self, name: &str) -> Result<()> {
        self.driver(&format!("echo -{name} >/sys/class/net/bonding_masters\n"))
    }

    /// Changes an option of a bond (`lacp_rate`, `fast`). Most want the bond down; it is brought
    /// down and up again, which starts the protocol anew.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn set_bond_option(&self, name: &str, option: &str, value: &str) -> Result<()> {
        let change = set_option(name, option, value);
        self.driver(&format!("ip link set {name} down\n{change}ip link set {name} up\n"))
    }

    /// Makes a NIC a member of a bond.
    ///
    /// # Errors
    /// When the driver refuses.
    pub fn add_member(&self, name: &str, nic: usize) -> Result<()> {
        self.driver(&add_member(name, nic))
    }

    /// Releases a NIC from a bond.
    ///
    /// # Errors
    /// When it is not a member.
    pub fn remove_member(&self, name: &str, nic: usize) -> Result<()> {
        self.driver(&format!("echo -eth{nic} >/sys/class/net/{name}/bonding/slaves\n"))
    }

    /// Makes a VLAN sub-interface and brings it up, with an address (`10.0.0.9/24`) if one is
    /// given; gives its name.
    ///
    /// # Errors
    /// With the words of `ip`.
    pub fn vlan(&self, parent: &str, vid: u16, address: Option<&str>) -> Result<String> {
        let name = format!("{parent}.{vid}");
        let mut commands = format!(
            "ip link add link {parent} name {name} type vlan id {vid}\nip link set {name} up\n"
        );
        if let Some(address) = address {
            commands.push_str(&format!("ip address add {address} dev {name}\n"));
        }
        self.sh(&commands)?;
        Ok(name)
    }

    /// What the driver says of a bond now.
    ///
    /// # Errors
    /// When there is no such bond, or what the driver says cannot be understood.
    pub fn bond_status(&self, name: &str) -> Result<BondStatus> {
        self.bond_status_after(name, "")
    }

    fn bond_status_after(&self, name: &str, commands: &str) -> Result<BondStatus> {
        let text = self.sh(&format!("{commands}cat /proc/net/bonding/{name}"))?;
        BondStatus::parse(&text).map_err(|problem| {
            LabError::Unexpected(format!("/proc/net/bonding/{name}: {problem} in:\n{text}"))
        })
    }

    /// Waits until a bond is as wanted and gives its status; looks some eight times a second.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the status seen last.
    pub fn wait_bond(
        &self,
        name: &str,
        deadline: Duration,
        wanted: impl Fn(&BondStatus) -> bool,
    ) -> Result<BondStatus> {
        wait_for_ok(format!("{name} of {}", self.name()), deadline, || {
            let status = self.bond_status_after(name, PAUSE).map_err(|error| error.to_string())?;
            if wanted(&status) { Ok(status) } else { Err(format!("{status:#?}")) }
        })
    }

    /// Runs commands on the driver's files; its reasons are in the kernel's log.
    fn driver(&self, commands: &str) -> Result<()> {
        self.sh(commands).map(drop).map_err(|error| match self.run("dmesg | tail -n 5") {
            Ok(log) => LabError::Unexpected(format!("{error}\nkernel:\n{}", log.stdout)),
            Err(_) => error,
        })
    }
}

fn set_option(bond: &str, option: &str, value: &str) -> String {
    format!("echo {value} >/sys/class/net/{bond}/bonding/{option}\n")
}

fn add_member(bond: &str, nic: usize) -> String {
    // The driver takes an interface that is down, and brings it up.
    format!("ip link set eth{nic} down\necho +eth{nic} >/sys/class/net/{bond}/bonding/slaves\n")
}
