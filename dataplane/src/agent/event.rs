//! Everything that can happen to the control thread of a dataplane: a closed list.

use std::fmt;

use policy::acl::{Action, Sequence};
use policy::snapshot::AclIndex;
use proto::PortId;
use proto::frame::FrameKey;
use proto::rpc::{local, switch};
use tokio::sync::{mpsc, oneshot};

use crate::core::trace::Direction;
use crate::{lacp, neighbor};

/// Where messages to the supervisor go while a session lasts.
pub type SessionSender = mpsc::Sender<switch::FromDataplane>;

/// How a local caller gets its answer: the reply, or one sentence on why there is none.
pub type Answer<T> = oneshot::Sender<Result<T, Refusal>>;

/// Why a local request was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request itself is wrong.
    #[error("{0}")]
    Invalid(String),
    /// There is no such port.
    #[error("{0}")]
    NotFound(String),
    /// It needs the supervisor, which cannot be reached or did not answer in time.
    #[error("{0}")]
    Unavailable(String),
    /// The supervisor or the host said no.
    #[error("{0}")]
    Refused(String),
}

/// A frame that a rule with `log` matched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AclMatch {
    /// The port whose list it is.
    pub port: PortId,
    /// Which of its lists.
    pub direction: Direction,
    /// The list, in the snapshot of the moment.
    pub acl: AclIndex,
    /// The entry; 0: the implicit deny.
    pub sequence: Sequence,
    /// What it did.
    pub action: Action,
    /// The frame's fields.
    pub key: FrameKey,
}

/// One thing that happened.
pub enum Event {
    /// A session is up: the supervisor is ready for our `Hello`.
    SessionUp {
        /// Which supervisor, for people.
        supervisor: String,
        /// The way to it.
        sender: SessionSender,
    },
    /// The session ended, or could not be had.
    SessionDown {
        /// Why.
        reason: String,
    },
    /// A message of the supervisor.
    Message(switch::ToDataplane),
    /// Somebody on this host plugs a vNIC in.
    Attach(local::AttachRequest, Answer<local::AttachReply>),
    /// Somebody on this host unplugs a vNIC.
    Detach(local::DetachRequest, Answer<local::DetachReply>),
    /// Somebody on this host asks how things are.
    Status(Answer<local::StatusReply>),
    /// A port's device is gone or failed; the worker has let go of it.
    PortGone {
        /// The port.
        port: PortId,
        /// What the device said.
        reason: String,
    },
    /// A vEthernet with BPDU guard sent a BPDU.
    BpduGuard {
        /// The port.
        port: PortId,
    },
    /// The carrier or the MTU of a netdev of this host changed, or the netdev came or went.
    Link {
        /// The netdev.
        ifname: String,
        /// Exists, is up and has carrier.
        up: bool,
        /// Its MTU; `None` when it does not exist.
        mtu_bytes: Option<u32>,
    },
    /// A rule with `log` matched.
    AclLog(Box<AclMatch>),
    /// A member of a port-channel stands differently.
    Member(lacp::Change),
    /// A physical switch was heard of by an uplink, or something of it has changed.
    Neighbor(Box<neighbor::Change>),
    /// The process shall end.
    Stop,
}

impl fmt::Debug for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SessionUp { supervisor, .. } => write!(f, "SessionUp({supervisor})"),
            Self::SessionDown { reason } => write!(f, "SessionDown({reason})"),
            Self::Message(message) => write!(f, "Message({message:?})"),
            Self::Attach(request, _) => write!(f, "Attach({request:?})"),
            Self::Detach(request, _) => write!(f, "Detach({request:?})"),
            Self::Status(_) => f.write_str("Status"),
            Self::PortGone { port, reason } => write!(f, "PortGone({port:?}, {reason})"),
            Self::BpduGuard { port } => write!(f, "BpduGuard({port:?})"),
            Self::Link { ifname, up, mtu_bytes } => {
                write!(f, "Link({ifname}, {up}, {mtu_bytes:?})")
            }
            Self::AclLog(matched) => write!(f, "AclLog({matched:?})"),
            Self::Neighbor(change) => write!(f, "Neighbor({change:?})"),
            Self::Member(change) => write!(f, "Member({change:?})"),
            Self::Stop => f.write_str("Stop"),
        }
    }
}
