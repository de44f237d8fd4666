//! TCP and round-trip time between end systems on TAPs.
//!
//! ```text
//!   namespace a            switch             namespace b
//!   eth0 10.0.0.1 ------- TAP   TAP -------- eth0 10.0.0.2
//!                             |
//!                           uplink --------- eth0 10.0.0.3, namespace far
//! ```
//! *Where it sits:* on the lab of `tests`. A [`Join`] is a kind of switch, a [`Joined`] one that
//! stands; [`run`] starts each in turn, so that all are measured in the same rounds.
//!
//! | kind | what |
//! |---|---|
//! | [`weft`] | the daemons, one worker on the CPU of the switch, an access list on each port |
//! | [`copy`] | a process that copies frames from TAP to TAP: what the kernel alone costs |
//! | [`ovs`] | Open vSwitch, datapath in user space, TAP ports, on the same CPU |
//! | [`bridge`] | a Linux bridge between veths with their offloads on: no user space at all |

pub mod bridge;
pub mod copy;
pub mod ovs;
pub mod rtt;
pub mod run;
pub mod weft;

use std::fmt;
use std::net::Ipv4Addr;

use serde::Serialize;
use tests::error::Result;
use tests::netns::Namespace;

use crate::plan::MACS;

/// Addresses of the end systems `a`, `b` and `far`.
pub const ADDRESSES: [Ipv4Addr; 3] =
    [Ipv4Addr::new(10, 0, 0, 1), Ipv4Addr::new(10, 0, 0, 2), Ipv4Addr::new(10, 0, 0, 3)];

/// Length of their common prefix.
pub const PREFIX_LEN: u8 = 24;

/// Interface of each end system.
pub const NIC: &str = "eth0";

/// From where to where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// From one TAP to another.
    TapToTap,
    /// From a TAP to the end system behind the uplink.
    TapToUplink,
    /// The other way round.
    UplinkToTap,
}

impl Route {
    /// All.
    pub const ALL: [Self; 3] = [Self::TapToTap, Self::TapToUplink, Self::UplinkToTap];

    /// Indices of sender and receiver in [`ADDRESSES`].
    #[must_use]
    pub const fn ends(self) -> (usize, usize) {
        match self {
            Self::TapToTap => (0, 1),
            Self::TapToUplink => (0, 2),
            Self::UplinkToTap => (2, 0),
        }
    }
}

impl fmt::Display for Route {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TapToTap => "tap to tap",
            Self::TapToUplink => "tap to uplink",
            Self::UplinkToTap => "uplink to tap",
        })
    }
}

/// A kind of switch.
pub trait Join: fmt::Debug {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// Sets it up with its end systems, which reach each other when this returns.
    ///
    /// # Errors
    /// With what is missing or did not start.
    fn start(&self) -> Result<Box<dyn Joined>>;
}

/// A switch that stands between end systems; dropping it removes both.
pub trait Joined: fmt::Debug {
    /// Namespace of an end system, by its index in [`ADDRESSES`]; `None`: this kind does not have
    /// that one.
    fn end(&self, index: usize) -> Option<&Namespace>;

    /// Its version and how its ports are driven.
    fn describe(&self) -> String;

    /// Checks that it still runs.
    ///
    /// # Errors
    /// With the last lines that it said.
    fn check(&mut self) -> Result<()>;
}

/// All kinds, ours first.
#[must_use]
pub fn all() -> Vec<Box<dyn Join>> {
    vec![Box::new(weft::Weft), Box::new(copy::Copy), Box::new(ovs::Ovs), Box::new(bridge::Bridge)]
}

/// `10.0.0.1/24` of an end system.
fn cidr(index: usize) -> String {
    format!("{}/{PREFIX_LEN}", ADDRESSES[index])
}

/// Makes the namespaces `a` and `b`.
fn pair() -> Result<[Namespace; 2]> {
    Ok([Namespace::create("a")?, Namespace::create("b")?])
}

/// Gives the NIC in the namespace of `a` or `b` its addresses and sets it up.
fn address(end: &Namespace, index: usize) -> Result<()> {
    tests::link::set_mac(end, NIC, MACS[index])?;
    tests::link::add_address(end, NIC, &cidr(index))?;
    tests::link::up(end, NIC)
}
