//! Everything that can happen to a supervisor, and everything it does about it.
//!
//! Where it sits: operators and sessions turn what they hear into an [`Event`];
//! [`State::handle`](crate::state::State::handle) turns it into [`Effect`]s, which the engine
//! carries out in their order. Both are closed enums of plain values: no rpc type, no channel.

use std::sync::Arc;

use policy::HostIntent;
use policy::config::Name;
use policy::delta::IntentDelta;
use proto::{HostId, InterfaceName, MacAddr, ModuleId, Revision, Term, VethId};

use crate::inventory::Nic;
use crate::report::Report;
use crate::store::record::Transaction;

/// When something happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Now {
    /// Nanoseconds of a clock that only goes forward: for waits.
    pub monotonic_ns: u64,
    /// Nanoseconds since 1970: for people.
    pub unix_ns: u64,
}

/// One stream of one dataplane; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SessionId(pub u64);

/// One question of an operator that is answered later; never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Something that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// An operator applies configuration.
    Apply(RequestId, ApplyRequest),
    /// A dataplane opened a session and said who it is.
    Hello(SessionId, Hello),
    /// A session ended.
    Gone(SessionId),
    /// A dataplane forwards by a revision.
    Applied(SessionId, Revision),
    /// A dataplane refused a revision.
    Rejected(SessionId, Revision, Vec<Refusal>),
    /// A vNIC was plugged in and wants a port.
    Attach(SessionId, AttachRequest),
    /// A vNIC was plugged out.
    Detach(SessionId, DetachRequest),
    /// A dataplane's counters, and how its uplinks stand.
    Report(SessionId, Box<Report>),
    /// A dataplane has something to tell people.
    Told(SessionId, Told),
    /// Time passed.
    Tick,
}

/// What the engine has to do. Those of one event are carried out in order; one that fails ends the
/// process before those behind it.
#[derive(Clone, Debug)]
pub enum Effect {
    /// Make a commit durable. Stands before everything that lets anybody know of it.
    Persist(Transaction),
    /// Say something to a dataplane.
    Send(SessionId, Message),
    /// End a session, with a reason for the log.
    Close(SessionId, String),
    /// Answer an operator.
    Reply(RequestId, Box<ApplyOutcome>),
}

/// What a supervisor says to a dataplane.
#[derive(Clone, Debug)]
pub enum Message {
    /// The answer to its hello.
    Welcome(ModuleId),
    /// A new state.
    Push(Revision, Push),
    /// A vNIC got its port.
    Granted {
        /// Of the request.
        request_id: u64,
        /// Its number.
        veth: VethId,
        /// Its address.
        mac: MacAddr,
        /// The revision that carries the port.
        revision: Revision,
    },
    /// A vNIC got no port.
    Refused {
        /// Of the request.
        request_id: u64,
        /// Why, and what to do.
        reason: String,
    },
    /// The answer to a detach; `refused` is empty when it is done.
    Detached {
        /// Of the request.
        request_id: u64,
        /// Why not, and what to do.
        refused: String,
    },
    /// The supervisor is alive.
    Ping,
}

/// A state on its way to a dataplane.
#[derive(Clone, Debug)]
pub enum Push {
    /// All of it.
    Full(Arc<HostIntent>),
    /// What changes against the state of a revision.
    Delta(Revision, Box<IntentDelta>),
}

/// Configuration to be applied.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyRequest {
    /// Lines of the language.
    pub text: String,
    /// Everything but the commit.
    pub dry_run: bool,
    /// The text is the whole configuration.
    pub replace: bool,
    /// Kept with the revision.
    pub comment: String,
    /// Refused when the running configuration is of another revision.
    pub expected: Option<Revision>,
}

/// What became of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApplyOutcome {
    /// What was committed; `None`: nothing.
    pub revision: Option<Revision>,
    /// The lines that change, with their context: `+`, `-` or blank, and the line.
    pub diff: Vec<(char, String)>,
    /// Not empty: nothing was done.
    pub problems: Vec<policy::Problem>,
    /// The ports whose effective settings change, with their hosts and what changes.
    pub ports: Vec<(InterfaceName, ModuleId, Vec<String>)>,
    /// What each host made of it.
    pub modules: Vec<ModuleResult>,
}

/// What one host made of a commit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModuleResult {
    /// The host.
    pub module: ModuleId,
    /// Its name.
    pub name: String,
    /// What it made of it.
    pub outcome: Outcome,
    /// Why it refused.
    pub problems: Vec<Refusal>,
}

/// What a host made of a commit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It forwards by it.
    Applied,
    /// It stays with the revision before.
    Rejected,
    /// It has not answered yet.
    Pending,
    /// It has no session; it gets the state when it comes back.
    Offline,
    /// The commit changes nothing that it has to know.
    Unchanged,
}

impl Outcome {
    /// The word that operators see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Applied => "applied",
            Self::Rejected => "rejected",
            Self::Pending => "pending",
            Self::Offline => "offline",
            Self::Unchanged => "unchanged",
        }
    }
}

/// A reason of a dataplane to refuse a revision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The part of the configuration: `Vethernet12`.
    pub path: String,
    /// What is wrong.
    pub message: String,
}

/// Who a dataplane is and what it has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hello {
    /// Where the session comes from, for people.
    pub address: String,
    /// Its identity.
    pub host: HostId,
    /// Its name.
    pub name: String,
    /// Its software.
    pub version: String,
    /// The NICs that may be uplinks, ascending numbers.
    pub nics: Vec<Nic>,
    /// The revision it forwards by.
    pub revision: Revision,
    /// The highest term it has seen.
    pub term: Term,
    /// What is plugged in.
    pub attachments: Vec<Attachment>,
}

/// A vNIC that is plugged in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attachment {
    /// Its number.
    pub veth: VethId,
    /// The VM.
    pub vm: String,
    /// The vNIC in the VM.
    pub adapter: String,
    /// Its address.
    pub mac: MacAddr,
    /// The profile it was plugged in with.
    pub profile: Name,
}

/// A vNIC wants a port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttachRequest {
    /// Echoed in the answer.
    pub request_id: u64,
    /// The VM.
    pub vm: String,
    /// The vNIC in the VM.
    pub adapter: String,
    /// The profile, as asked for.
    pub profile: String,
    /// Its address, as asked for; empty: to be allotted.
    pub mac: String,
}

/// A vNIC is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DetachRequest {
    /// Echoed in the answer.
    pub request_id: u64,
    /// Its number, as given.
    pub veth: u32,
}

/// Something a dataplane tells people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Told {
    /// When.
    pub unix_time_ns: u64,
    /// `notice`, `warning`, `error`.
    pub severity: String,
    /// The port; may be empty.
    pub port: String,
    /// A word: `link-up`.
    pub kind: String,
    /// A sentence.
    pub message: String,
}
