//! What one burst is forwarded by: a snapshot and the state of the teams, taken together.
//!
//! *Where it sits:* the control side publishes a new view when either part changes; a worker looks
//! once a burst. *Invariant:* neither part changes while a view exists, so all frames of a burst
//! see the same switch.

use std::sync::Arc;

use policy::Snapshot;
use policy::snapshot::{Acls, Port, VlanMode};
use policy::teaming::LoadBalance;
use proto::frame::{FlowHash, FrameKey};
use proto::{InterfaceName, PortId, VlanId};

use super::team::{Group, TeamState, port_flow};

/// The policy and the link state that a burst is forwarded by.
#[derive(Clone, Debug)]
pub struct View {
    /// What is configured.
    pub snapshot: Arc<Snapshot>,
    /// Which links are up, and who leaves by which.
    pub team: Arc<TeamState>,
    /// By slot of the port.
    gates: Box<[Gate]>,
}

/// What nearly every copy needs to know of the port that it leaves by, in one word: whether that is
/// open without further questions, an access port that is up and has no outbound list.
#[derive(Clone, Copy, Debug)]
struct Gate {
    /// Its VLAN; 0: there are further questions.
    vlan: u16,
    mtu_bytes: u16,
}

impl View {
    /// A view of these two.
    #[must_use]
    pub fn new(snapshot: Arc<Snapshot>, team: Arc<TeamState>) -> Self {
        let end = snapshot.ports().map(|port| port.id.index() + 1).max().unwrap_or(0);
        let mut gates = vec![Gate { vlan: 0, mtu_bytes: 0 }; end];
        for port in snapshot.ports() {
            let is_up = port.admin_up && team.is_up(port.id);
            if let (VlanMode::Access(vlan), true) = (&port.vlan_mode, is_up)
                && port.acl_out == Acls::default()
                && let Some(gate) = gates.get_mut(port.id.index())
            {
                *gate = Gate { vlan: vlan.get(), mtu_bytes: port.mtu_bytes };
            }
        }
        Self { snapshot, team, gates: gates.into() }
    }

    /// Whether a payload of this length may leave by the port in this VLAN without further
    /// questions: then it leaves untagged.
    #[must_use]
    #[inline(always)]
    pub(super) fn is_open(&self, port: PortId, vlan: VlanId, payload_bytes: u32) -> bool {
        let gate = self.gates.get(port.index());
        gate.is_some_and(|g| g.vlan == vlan.get() && payload_bytes <= u32::from(g.mtu_bytes))
    }

    /// Whether data frames may pass the port: administratively and operationally up.
    #[must_use]
    #[inline]
    pub fn is_up(&self, port: &Port) -> bool {
        port.admin_up && self.team.is_up(port.id)
    }

    /// By what the frames of a vEthernet leave the host: U(p).
    #[must_use]
    #[inline]
    pub fn exit(&self, vethernet: &Port) -> Exit<'_> {
        let Some(group) = self.team.uplink_group(vethernet.id) else { return Exit::None };
        let member = match (group.lone(), self.snapshot.teaming().load_balance) {
            (Some(member), _) => member,
            (None, LoadBalance::Flow(fields)) => return Exit::Spread { group, fields },
            (None, LoadBalance::SourceVirtualPortId) => match vethernet.name {
                InterfaceName::Vethernet(id) => group.member(port_flow(id)),
                InterfaceName::Ethernet { .. } | InterfaceName::PortChannel(_) => {
                    return Exit::None;
                }
            },
        };
        self.uplink(member).map_or(Exit::None, Exit::One)
    }

    /// A member uplink that data frames may pass.
    #[inline]
    fn uplink(&self, member: PortId) -> Option<&Port> {
        self.snapshot.port(member).filter(|port| self.is_up(port))
    }

    /// The member of a group by which a frame leaves that was classified to this VLAN.
    #[inline]
    fn member(
        &self,
        group: &Group,
        fields: FlowHash,
        key: &FrameKey,
        vlan: VlanId,
    ) -> Option<PortId> {
        let port = self.uplink(group.member(key.flow_hash(fields, vlan)))?;
        port.vlan_mode.carries(vlan).then_some(port.id)
    }
}

/// By what the frames of one vEthernet leave the host. The same for all frames of a burst, so that
/// only what has several members asks each frame for its flow.
#[derive(Clone, Copy, Debug)]
pub enum Exit<'a> {
    /// By nothing.
    None,
    /// By one uplink: the only member of the group, or the one for this vEthernet.
    One(&'a Port),
    /// By any member of a group, as the flow says.
    Spread {
        /// The group.
        group: &'a Group,
        /// What makes a flow.
        fields: FlowHash,
    },
}

impl Exit<'_> {
    /// The uplink by which a frame leaves that was classified to this VLAN; `None` when that one
    /// does not carry the VLAN.
    #[must_use]
    #[inline]
    pub fn uplink(&self, view: &View, key: &FrameKey, vlan: VlanId) -> Option<PortId> {
        match *self {
            Self::None => None,
            Self::One(port) => port.vlan_mode.carries(vlan).then_some(port.id),
            Self::Spread { group, fields } => view.member(group, fields, key, vlan),
        }
    }
}
