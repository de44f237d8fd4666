//! What one burst is forwarded by: a snapshot and the state of the teams, taken together.
//!
//! *Where it sits:* the control side publishes a new view when either part changes; a worker looks
//! once a burst. *Invariant:* neither part changes while a view exists, so all frames of a burst
//! see the same switch.

use std::sync::Arc;

use policy::Snapshot;
use policy::snapshot::Port;
use proto::{PortId, VlanId};

use super::team::TeamState;

/// The policy and the link state that a burst is forwarded by.
#[derive(Clone, Debug)]
pub struct View {
    /// What is configured.
    pub snapshot: Arc<Snapshot>,
    /// Which links are up, and who leaves by which.
    pub team: Arc<TeamState>,
}

impl View {
    /// Whether data frames may pass the port: administratively and operationally up.
    #[must_use]
    #[inline]
    pub fn is_up(&self, port: &Port) -> bool {
        port.admin_up && self.team.is_up(port.id)
    }

    /// The member uplink by which a flow of this vEthernet leaves in this VLAN: U(p).
    #[must_use]
    #[inline]
    pub fn uplink_of(&self, vethernet: PortId, vlan: VlanId, flow: u32) -> Option<PortId> {
        let member = self.team.uplink_group(vethernet)?.member(flow);
        let port = self.snapshot.port(member)?;
        (self.is_up(port) && port.vlan_mode.carries(vlan)).then_some(member)
    }
}
