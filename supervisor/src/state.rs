//! The whole state of a supervisor and the one way to change it.
//!
//! Where it sits: the engine owns a [`State`], feeds it every [`Event`] with the time, and carries
//! out the [`Effect`]s. No I/O, no clock, no thread in here or in the files that implement it:
//! `commit.rs` (intent), `session.rs` (hosts), `attach.rs` (vNICs), `waiting.rs` (answers).
//!
//! Invariants:
//! 1. Only `commit.rs` changes configuration, vEthernets, module records, intents and the revision.
//! 2. Whatever it changes is in a [`Effect::Persist`] that stands before every effect that tells.
//! 3. The revision and the term only grow.
//!
//! Not here: what is shown to operators (`operator/`), which reads this state and changes nothing.

use std::collections::BTreeMap;
use std::sync::Arc;

use policy::{Config, validate};
use proto::{HostId, ModuleId, Revision, Term};

use crate::compile;
use crate::event::{Effect, Event, Message, Now, SessionId};
use crate::inventory::{Bindings, ModuleRecord};
use crate::log::{Entry, EventLog, Severity};
use crate::push::fleet::Module;
use crate::revision::RevisionRecord;
use crate::store::record::Saved;
use crate::waiting::Waiter;

/// What a supervisor knows.
#[derive(Clone, Debug)]
pub struct State {
    pub(crate) term: Term,
    pub(crate) revision: Revision,
    pub(crate) config: Arc<Config>,
    pub(crate) config_revision: Revision,
    pub(crate) bindings: Bindings,
    pub(crate) modules: BTreeMap<ModuleId, Module>,
    pub(crate) sessions: BTreeMap<SessionId, ModuleId>,
    pub(crate) revisions: BTreeMap<Revision, RevisionRecord>,
    pub(crate) waiting: Vec<Waiter>,
    pub(crate) log: EventLog,
}

/// Why a saved state cannot be taken up.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration in the store is not one for this version.
    #[error(
        "the configuration of revision {revision} in the store cannot be read by this version: \
         {problem}; start the version that wrote it"
    )]
    Config {
        /// Its revision.
        revision: Revision,
        /// The first thing that is wrong with it.
        problem: String,
    },
}

impl State {
    /// Takes up what the store holds.
    ///
    /// # Errors
    /// The saved configuration is not one for this version.
    pub fn start(saved: Saved) -> Result<Self, StartError> {
        let (config_revision, config) = match saved.config {
            None => (Revision::NONE, Config::default()),
            Some((revision, text)) => match validate::check(&Config::default(), &text) {
                Ok(parsed) => (revision, parsed.config),
                Err(problems) => {
                    let problem = problems.first().map(ToString::to_string).unwrap_or_default();
                    return Err(StartError::Config { revision, problem });
                }
            },
        };
        let bindings: Bindings = saved.bindings.into_iter().map(|b| (b.veth, b)).collect();
        let attached = compile::attached(&bindings);
        let module = |record: ModuleRecord| {
            let intent = Arc::new(compile::intent(&config, &record, &attached));
            (record.module, Module::new(record, intent))
        };
        Ok(Self {
            term: Term::new(saved.term),
            revision: Revision::new(saved.revision),
            config_revision,
            modules: saved.modules.into_iter().map(module).collect(),
            bindings,
            config: Arc::new(config),
            sessions: BTreeMap::new(),
            revisions: saved.revisions,
            waiting: Vec::new(),
            log: EventLog::default(),
        })
    }

    /// One event, and all that follows from it.
    #[must_use]
    pub fn handle(&mut self, now: Now, event: Event) -> Vec<Effect> {
        let mut effects = match event {
            Event::Apply(request, apply) => self.apply(now, request, &apply),
            Event::Hello(session, hello) => self.hello(now, session, hello),
            Event::Gone(session) => self.gone(now, session, "the session ended"),
            Event::Tick => self.tick(now),
            Event::Applied(session, revision) => {
                self.heard(now, session, |s, module| s.applied(module, revision))
            }
            Event::Rejected(session, revision, problems) => {
                self.heard(now, session, |s, module| s.rejected(now, module, revision, problems))
            }
            Event::Attach(session, request) => {
                self.heard(now, session, |s, module| s.attach(now, session, module, &request))
            }
            Event::Detach(session, request) => {
                self.heard(now, session, |s, module| s.detach(now, session, module, request))
            }
            Event::Report(session, report) => {
                self.heard(now, session, |s, module| s.report(module, *report))
            }
            Event::Told(session, told) => self.heard(now, session, |s, module| {
                s.log.push(Entry {
                    unix_time_ns: told.unix_time_ns,
                    module: Some(module),
                    severity: Severity::from_name(&told.severity),
                    port: told.port,
                    kind: told.kind,
                    message: told.message,
                });
                Vec::new()
            }),
        };
        effects.extend(self.pushes(now));
        effects.extend(self.answers(now));
        effects
    }

    /// The term of this run: what every message to a dataplane carries.
    #[must_use]
    pub const fn term(&self) -> Term {
        self.term
    }

    /// The newest revision.
    #[must_use]
    pub const fn revision(&self) -> Revision {
        self.revision
    }

    /// The running configuration, and the revision that made it.
    #[must_use]
    pub fn config(&self) -> (&Config, Revision) {
        (&self.config, self.config_revision)
    }

    /// The vNICs that ever got a number.
    #[must_use]
    pub const fn bindings(&self) -> &Bindings {
        &self.bindings
    }

    /// The hosts that ever came.
    #[must_use]
    pub const fn modules(&self) -> &BTreeMap<ModuleId, Module> {
        &self.modules
    }

    /// The host with this identity.
    #[must_use]
    pub fn module_of(&self, host: HostId) -> Option<&Module> {
        self.modules.values().find(|module| module.record.host == host)
    }

    pub(crate) fn note(
        &mut self,
        now: Now,
        module: impl Into<Option<ModuleId>>,
        severity: Severity,
        kind: &str,
        message: String,
    ) {
        self.log.push(Entry {
            unix_time_ns: now.unix_ns,
            module: module.into(),
            severity,
            port: String::new(),
            kind: kind.to_owned(),
            message,
        });
    }

    /// Whatever every module has to be told now.
    fn pushes(&mut self, now: Now) -> Vec<Effect> {
        let push = |module: &mut Module| {
            let (session, revision, push) = module.next_push(now)?;
            Some(Effect::Send(session, Message::Push(revision, push)))
        };
        self.modules.values_mut().filter_map(push).collect()
    }
}

#[cfg(test)]
mod tests;
