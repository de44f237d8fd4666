//! The physical NICs of a host: opened when the configuration names them, opened again when they
//! come back.

use std::time::{Duration, Instant};

use policy::intent::PortRole;
use proto::{InterfaceName, PortId};
use tracing::warn;

use super::chassis::{Chassis, Close, Device};
use super::control::Control;

/// How long to wait before a NIC that could not be opened is tried again.
const REOPEN_WAIT: Duration = Duration::from_secs(1);

/// One NIC of the host.
#[derive(Debug)]
pub(super) struct Uplink {
    pub(super) ifname: String,
    pub(super) state: UplinkState,
    /// The netdev exists, is up and has carrier.
    pub(super) carrier: bool,
    /// MTU of the netdev, which is its owner's to set; `None`: not heard of.
    pub(super) mtu_bytes: Option<u32>,
    /// When its carrier came or went last, in wall-clock time; 0: never.
    pub(super) changed_unix_ns: u64,
}

/// Where a NIC stands.
///
/// ```text
/// Unused --configured--> Closed --open--> Open --device gone--> Closed
///    ^--------------no longer configured------'
/// ```
#[derive(Debug)]
pub(super) enum UplinkState {
    /// No configuration names it: the kernel has it to itself.
    Unused,
    /// Configured, but not open: why, and when to try again.
    Closed { slot: PortId, reason: String, retry: Instant },
    /// Frames pass.
    Open { slot: PortId, kind: String, device: Device },
}

impl Uplink {
    pub(super) fn new(ifname: &str) -> Self {
        Self {
            ifname: ifname.to_owned(),
            state: UplinkState::Unused,
            carrier: false,
            mtu_bytes: None,
            changed_unix_ns: 0,
        }
    }

    pub(super) const fn slot(&self) -> Option<PortId> {
        match self.state {
            UplinkState::Unused => None,
            UplinkState::Closed { slot, .. } | UplinkState::Open { slot, .. } => Some(slot),
        }
    }

    pub(super) const fn is_open(&self) -> bool {
        matches!(self.state, UplinkState::Open { .. })
    }
}

/// What the configuration wants of a NIC.
struct Wanted {
    nic: u8,
    name: InterfaceName,
    host_traffic: bool,
}

impl<C: Chassis> Control<C> {
    /// Opens and closes NICs until they are as the applied state says.
    pub(super) fn reconcile_uplinks(&mut self) {
        let wanted: Vec<Wanted> = self
            .intent
            .ports
            .iter()
            .filter_map(|(name, port)| match port.role {
                PortRole::Uplink(role) => {
                    Some(Wanted { nic: role.nic, name: *name, host_traffic: role.host_traffic })
                }
                PortRole::Vethernet(_) => None,
            })
            .collect();
        let unwanted: Vec<u8> =
            self.uplinks.keys().copied().filter(|n| wanted.iter().all(|w| w.nic != *n)).collect();
        for nic in unwanted {
            if let Some(uplink) = self.uplinks.get_mut(&nic)
                && let Some(slot) = uplink.slot()
            {
                uplink.state = UplinkState::Unused;
                self.chassis.close(slot, Close::Release);
            }
        }
        for wanted in wanted {
            self.open_uplink(&wanted);
        }
        self.configure_control_plane();
    }

    fn open_uplink(&mut self, wanted: &Wanted) {
        let Some(slot) = self.ids.port(wanted.name) else { return };
        let Some(uplink) = self.uplinks.get_mut(&wanted.nic) else { return };
        let device = Device::Afxdp {
            ifname: uplink.ifname.clone(),
            uplink: true,
            host_traffic: wanted.host_traffic,
        };
        match &uplink.state {
            UplinkState::Open { device: open, .. } if *open == device => return,
            UplinkState::Closed { retry, .. } if Instant::now() < *retry => return,
            UplinkState::Open { .. } => self.chassis.close(slot, Close::Release),
            UplinkState::Closed { .. } | UplinkState::Unused => {}
        }
        let name = wanted.name;
        let was_closed = matches!(uplink.state, UplinkState::Closed { .. });
        uplink.state = match self.chassis.open(slot, &device) {
            Ok(opened) => UplinkState::Open { slot, kind: opened.kind, device },
            Err(e) => {
                if !was_closed {
                    warn!("{name}: {e}");
                }
                let retry = Instant::now() + REOPEN_WAIT;
                UplinkState::Closed { slot, reason: e.to_string(), retry }
            }
        };
    }

    /// A NIC has another MTU: its port is opened anew, which is sized for the longest frame.
    pub(super) fn resize_uplink(&mut self, nic: u8, mtu_bytes: Option<u32>) {
        let Some(uplink) = self.uplinks.get_mut(&nic) else { return };
        let before = std::mem::replace(&mut uplink.mtu_bytes, mtu_bytes);
        let is_other = before.is_some() && mtu_bytes.is_some() && before != mtu_bytes;
        if let UplinkState::Open { slot, .. } = uplink.state
            && is_other
        {
            let reason = "its MTU has changed".to_owned();
            uplink.state = UplinkState::Closed { slot, reason, retry: Instant::now() };
            self.chassis.close(slot, Close::Release);
        }
    }

    /// The device of a NIC is gone: keep its place, and try again later.
    pub(super) fn uplink_gone(&mut self, nic: u8, why: &str) {
        let Some(uplink) = self.uplinks.get_mut(&nic) else { return };
        if let UplinkState::Open { slot, .. } = uplink.state {
            let retry = Instant::now() + REOPEN_WAIT;
            uplink.state = UplinkState::Closed { slot, reason: why.to_owned(), retry };
        }
        self.configure_control_plane();
    }
}
