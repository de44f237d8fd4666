//! The switches that are measured, each between two wires and on one core.
//!
//! *Where it sits:* above [`crate::switch`], which says what they must do; the measurements see no
//! more of them than that. All programs but ours are those that Debian 12 ships.
//!
//! | module | what | rules |
//! |---|---|---|
//! | [`weft`] | the product: both daemons | access list |
//! | [`raw`] | two AF_XDP sockets and nothing between: what the product could reach at most | – |
//! | [`redirect`] | XDP programs that redirect: what the kernel could reach at most | – |
//! | [`bridge`] | Linux bridge, with nftables as a list or as a set | nftables |
//! | [`ovs`] | Open vSwitch with the datapath in user space, over AF_XDP | OpenFlow |
//! | [`ovs_dpdk`] | the same over DPDK's `net_af_xdp` | OpenFlow |
//!
//! Beside them: [`probe`] (does it forward?), `cpus` (where does it run?), `gro` and `xdp`.
//!
//! *Invariants*
//! 1. A thread that forwards is bound to [`crate::plan::SWITCH_CPU`], whatever the caller is bound
//!    to; threads that do not forward may use the tester's core too. Switches without a thread, in
//!    the kernel, forward on the core that their frames come from, which is the tester's.
//! 2. When `start` returns a frame has passed both ways.
//! 3. Dropping what `start` returned leaves the ends of the wires as they were, also when the switch
//!    has died.

pub mod bridge;
pub(crate) mod cpus;
mod gro;
pub mod ovs;
pub mod ovs_dpdk;
pub mod probe;
pub mod raw;
pub mod redirect;
pub mod weft;
mod xdp;

use proto::MacAddr;

pub use self::xdp::has_program;
use crate::switch::Switch;

/// Every switch, ours first and then in the order of a report.
#[must_use]
pub fn all() -> Vec<Box<dyn Switch>> {
    vec![
        Box::new(weft::Weft),
        Box::new(raw::Raw),
        Box::new(ovs::OpenVswitchAfxdp),
        Box::new(ovs_dpdk::OpenVswitchDpdk),
        Box::new(bridge::Bridge::LIST),
        Box::new(bridge::Bridge::SET),
        Box::new(redirect::Redirect),
    ]
}

/// Release of the running kernel.
fn kernel() -> String {
    let release = nix::sys::utsname::uname().ok();
    release.map_or_else(String::new, |name| name.release().to_string_lossy().into_owned())
}

/// Addresses of the end systems that say nothing: all but those on the wires.
fn silent_macs(end_systems: u32) -> impl Iterator<Item = MacAddr> {
    let first = 0x0257_4601_0000;
    (0..end_systems.saturating_sub(2)).map(move |n| MacAddr::from_u64(first + u64::from(n)))
}
