//! One host as the supervisor sees it: what it has to know, what it was told and what it said.
//!
//! ```text
//!            push                Applied
//! behind ----------> outstanding --------> held == target ("ok")
//!    ^                    |  Rejected of a difference: whole state next
//!    |                    |  Rejected of a whole state
//!    |                    v
//!    '--new target-- refused ("rejected")
//! ```
//!
//! Invariants: at most one push is outstanding, so a slow host costs one message of memory however
//! many commits there are, and gets the newest state next. A difference is sent only on top of what
//! this session has acknowledged. What was refused is not sent again in the same session.

use std::sync::Arc;

use policy::HostIntent;
use policy::delta::IntentDelta;
use proto::Revision;

use crate::event::{Now, Push, Refusal, SessionId};
use crate::inventory::ModuleRecord;
use crate::report::Report;

/// How long a host may take to answer a push, after which its session is ended and it gets the
/// whole state on the next one: many times what building the largest snapshot takes.
pub const ANSWER_MAX_NS: u64 = 30_000_000_000;

/// A host.
#[derive(Clone, Debug)]
pub struct Module {
    /// What is kept of it.
    pub record: ModuleRecord,
    /// What it has to know, as of `record.target`.
    pub intent: Arc<HostIntent>,
    /// Its software; empty when it has not come in this run of the supervisor.
    pub version: String,
    /// Where its last session came from.
    pub address: String,
    /// When something was heard of it last.
    pub last_seen: Option<Now>,
    /// The revision that it forwards by, as it said last.
    pub running: Revision,
    /// Its counters, as it said last.
    pub report: Report,
    /// The revision that it refused, and why.
    pub refused: Option<(Revision, Vec<Refusal>)>,
    /// Its session.
    pub session: Option<Session>,
}

/// What is known of a session.
#[derive(Clone, Debug)]
pub struct Session {
    /// Its identity.
    pub id: SessionId,
    /// When something was heard last, on the monotonic clock.
    pub heard_ns: u64,
    /// When something was said last, on the monotonic clock.
    pub said_ns: u64,
    held: Option<(Revision, Arc<HostIntent>)>,
    outstanding: Option<Outstanding>,
    whole_next: bool,
}

#[derive(Clone, Debug)]
struct Outstanding {
    revision: Revision,
    intent: Arc<HostIntent>,
    since_ns: u64,
    is_delta: bool,
}

impl Session {
    /// A session of which only the hello is known.
    #[must_use]
    pub const fn new(id: SessionId, now: Now) -> Self {
        Self {
            id,
            heard_ns: now.monotonic_ns,
            said_ns: now.monotonic_ns,
            held: None,
            outstanding: None,
            whole_next: true,
        }
    }

    /// Whether it said that it forwards by this revision or a newer one.
    #[must_use]
    pub fn holds(&self, revision: Revision) -> bool {
        self.held.as_ref().is_some_and(|(held, _)| *held >= revision)
    }

    /// Whether a push has waited too long for its answer.
    #[must_use]
    pub fn is_stuck(&self, now: Now) -> bool {
        self.outstanding
            .as_ref()
            .is_some_and(|o| now.monotonic_ns.saturating_sub(o.since_ns) > ANSWER_MAX_NS)
    }
}

impl Module {
    /// A host that has not come yet.
    #[must_use]
    pub fn new(record: ModuleRecord, intent: Arc<HostIntent>) -> Self {
        Self {
            record,
            intent,
            version: String::new(),
            address: String::new(),
            last_seen: None,
            running: Revision::NONE,
            report: Report::default(),
            refused: None,
            session: None,
        }
    }

    /// What has to be sent now, which is then outstanding; `None`: nothing, or not before the
    /// answer to the last push.
    pub fn next_push(&mut self, now: Now) -> Option<(SessionId, Revision, Push)> {
        let target = self.record.target;
        let session = self.session.as_mut()?;
        let is_held = session.held.as_ref().is_some_and(|(revision, _)| *revision == target);
        let is_refused = self.refused.as_ref().is_some_and(|(revision, _)| *revision == target);
        if session.outstanding.is_some() || is_held || is_refused {
            return None;
        }
        let push = match &session.held {
            Some((base, held)) if !session.whole_next => {
                Push::Delta(*base, Box::new(IntentDelta::between(held, &self.intent)))
            }
            _ => Push::Full(self.intent.clone()),
        };
        session.outstanding = Some(Outstanding {
            revision: target,
            intent: self.intent.clone(),
            since_ns: now.monotonic_ns,
            is_delta: matches!(push, Push::Delta(..)),
        });
        session.said_ns = now.monotonic_ns;
        Some((session.id, target, push))
    }

    /// It forwards by a revision. False: nothing was asked of it that this answers.
    pub fn applied(&mut self, revision: Revision) -> bool {
        let Some(session) = &mut self.session else { return false };
        match session.outstanding.take_if(|o| o.revision == revision) {
            None => false,
            Some(done) => {
                session.held = Some((done.revision, done.intent));
                session.whole_next = false;
                self.running = revision;
                self.refused = None;
                true
            }
        }
    }

    /// It refused a revision. A refused difference is sent again whole before it counts, because
    /// the two sides may disagree on its base. False: it does not count (yet).
    pub fn rejected(&mut self, revision: Revision, problems: Vec<Refusal>) -> bool {
        let Some(session) = &mut self.session else { return false };
        match session.outstanding.take_if(|o| o.revision == revision) {
            None => false,
            Some(done) if done.is_delta => {
                session.whole_next = true;
                false
            }
            Some(_) => {
                self.refused = Some((revision, problems));
                true
            }
        }
    }

    /// The word for how it stands: `ok`, `pending`, `rejected`, `offline`.
    #[must_use]
    pub fn status(&self) -> &'static str {
        let target = self.record.target;
        match &self.session {
            None => "offline",
            Some(_) if self.refused.as_ref().is_some_and(|(r, _)| *r == target) => "rejected",
            Some(session) if session.held.as_ref().is_some_and(|(r, _)| *r == target) => "ok",
            Some(_) => "pending",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proto::VlanId;

    fn module() -> Module {
        let record = ModuleRecord {
            module: proto::ModuleId::FIRST_HOST,
            host: proto::HostId::new([1; 16]),
            name: "h1".to_owned(),
            nics: Vec::new(),
            target: Revision::new(1),
        };
        Module::new(record, Arc::default())
    }

    fn online() -> Module {
        let mut module = module();
        module.session = Some(Session::new(SessionId(1), Now::default()));
        module
    }

    fn retarget(module: &mut Module, revision: u64) {
        let mut intent = HostIntent::default();
        let vlan = VlanId::new(u32::try_from(revision).unwrap()).unwrap();
        intent.vlans.insert(vlan, "x".to_owned());
        module.intent = Arc::new(intent);
        module.record.target = Revision::new(revision);
    }

    fn pushed(module: &mut Module) -> Option<(u64, bool)> {
        let (_, revision, push) = module.next_push(Now::default())?;
        Some((revision.get(), matches!(push, Push::Full(_))))
    }

    #[test]
    fn a_new_session_gets_the_whole_state_and_then_differences() {
        let mut module = online();
        assert_eq!(pushed(&mut module), Some((1, true)));
        assert_eq!((pushed(&mut module), module.status()), (None, "pending"));
        assert!(module.applied(Revision::new(1)));
        assert_eq!((pushed(&mut module), module.status()), (None, "ok"));
        retarget(&mut module, 2);
        assert_eq!(pushed(&mut module), Some((2, false)));
    }

    #[test]
    fn commits_while_a_push_is_outstanding_are_sent_as_one() {
        let mut module = online();
        pushed(&mut module);
        retarget(&mut module, 2);
        retarget(&mut module, 3);
        assert_eq!(pushed(&mut module), None);
        module.applied(Revision::new(1));
        assert_eq!(pushed(&mut module), Some((3, false)));
    }

    #[test]
    fn a_refused_difference_is_sent_whole_and_a_refused_whole_state_is_not_repeated() {
        let mut module = online();
        pushed(&mut module);
        module.applied(Revision::new(1));
        retarget(&mut module, 2);
        pushed(&mut module);
        assert!(!module.rejected(Revision::new(2), Vec::new()));
        assert_eq!(pushed(&mut module), Some((2, true)));
        assert!(module.rejected(Revision::new(2), Vec::new()));
        assert_eq!((pushed(&mut module), module.status()), (None, "rejected"));
        retarget(&mut module, 3);
        assert_eq!(pushed(&mut module), Some((3, true)));
    }

    #[test]
    fn late_answers_change_nothing() {
        let mut module = online();
        assert!(!module.applied(Revision::new(1)));
        pushed(&mut module);
        assert!(!module.applied(Revision::new(7)));
        assert!(!module.rejected(Revision::new(7), Vec::new()));
        assert_eq!(module.status(), "pending");
    }

    #[test]
    fn a_push_without_an_answer_is_noticed() {
        let mut module = online();
        pushed(&mut module);
        let at = |ns| Now { monotonic_ns: ns, unix_ns: 0 };
        let session = module.session.unwrap();
        assert!(!session.is_stuck(at(ANSWER_MAX_NS)));
        assert!(session.is_stuck(at(ANSWER_MAX_NS + 1)));
    }
}
