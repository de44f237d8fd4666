//! What the control thread needs of the machinery below it: devices, workers, counters.
//!
//! A trait, so that the control thread's tests run against a chassis without interfaces. The real
//! one is `crate::chassis`.

use std::fmt;
use std::sync::Arc;

use proto::rpc::local;
use proto::{MacAddr, PortId};

use crate::control_plane;
use crate::core::View;
use crate::core::counters::PortTotals;

/// A device to open as a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Device {
    /// A TAP: we hold the queue, the netdev goes to a VM's namespace.
    Tap {
        /// The netdev's name.
        ifname: String,
        /// Where it goes: a name under /run/netns or an absolute path; empty: it stays here.
        netns: String,
        /// Its address.
        mac: MacAddr,
        /// Its MTU.
        mtu_bytes: u16,
    },
    /// An existing interface of this host, taken over with AF_XDP.
    Afxdp {
        /// The interface.
        ifname: String,
        /// A physical NIC rather than a VM's veth.
        uplink: bool,
        /// Frames for the interface's own MAC stay with the kernel.
        host_traffic: bool,
    },
}

/// What came of opening a device.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Opened {
    /// `tap`, `afxdp (native copy)`, as `show interface` prints it.
    pub kind: String,
    /// A warning for whoever plugged it in; may be empty.
    pub note: String,
    /// The address of the interface, when it has one of its own.
    pub mac: Option<MacAddr>,
}

/// What becomes of a device that is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Close {
    /// It is unplugged: its netdev goes.
    Unplug,
    /// The daemon lets go of it; a persistent netdev stays for the next one.
    Release,
}

/// A device that could not be opened: one sentence with the system's reason.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeviceError(pub String);

/// The machinery below the control thread.
pub trait Chassis: fmt::Debug {
    /// Opens a device as the port of a slot and gives it to a worker.
    ///
    /// # Errors
    /// The device does not exist, is in use or cannot do what is needed.
    fn open(&mut self, slot: PortId, device: &Device) -> Result<Opened, DeviceError>;

    /// Takes the port from its worker and closes its device. A slot that is not open is ignored.
    fn close(&mut self, slot: PortId, how: Close);

    /// Takes away the netdev of a device whose port is closed already. A device that has none of
    /// its own, or is gone, is ignored.
    fn remove(&mut self, device: &Device);

    /// The open ports whose netdev is out of everybody's reach: its network namespace was deleted.
    /// The device does not notice, because the hold that we have on it keeps the namespace alive.
    fn stranded(&self) -> Vec<PortId>;

    /// Makes every worker forward by `view`; returns when they all do.
    fn publish(&mut self, view: Arc<View>);

    /// Sends a frame of the switch itself out of a port, past the forwarding core.
    fn inject(&mut self, slot: PortId, frame: &[u8]);

    /// Says on which uplinks LACP, LLDP and CDP are to be spoken.
    fn configure_control_plane(&mut self, settings: control_plane::Settings);

    /// The netdev of an uplink has carrier, or has lost it.
    fn control_link(&mut self, nic: u8, up: bool);

    /// What is known of partners and neighbours.
    fn seen(&self) -> Arc<control_plane::Seen>;

    /// The counters of a slot, summed over the workers.
    fn totals(&self, slot: PortId) -> PortTotals;

    /// Matches of the rule with this counter, summed over the workers.
    fn rule_matches(&self, counter: policy::acl::RuleCounterId) -> u64;

    /// The level of the packet memory.
    fn memory(&self) -> local::Memory;

    /// Monotonic time, the clock of the workers.
    fn now_ns(&self) -> u64;
}
