//! What the machinery tells the control thread of its own accord.

use pmd::PortGone;
use proto::PortId;

use crate::agent::event::AclMatch;
use crate::lacp::Change;
use crate::neighbor;

/// One thing that happened below the control thread.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice {
    /// A port's device is gone; the worker has dropped the port.
    PortGone {
        /// The port.
        port: PortId,
        /// What the device said.
        reason: PortGone,
    },
    /// A vEthernet with BPDU guard sent a BPDU.
    BpduGuard {
        /// The port.
        port: PortId,
    },
    /// A rule with `log` matched; some matches are left out when there are many.
    AclLog(Box<AclMatch>),
    /// A member of a port-channel may carry data, or may not any more.
    Member(Change),
    /// A physical switch was heard of, says something else, or is not heard any more.
    Neighbor(Box<neighbor::Change>),
}
