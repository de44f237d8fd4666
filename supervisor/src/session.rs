//! Hosts come, live and go: the part of [`State`] that follows sessions.
//!
//! Invariants: one session a host: a second hello of the same host ends the first. A host that says
//! nothing for [`SILENCE_MAX_NS`] is offline. Whoever cannot be a module is told why and let go.

use proto::{ModuleId, Revision, Term};

use crate::commit::Draft;
use crate::event::{Effect, Hello, Message, Now, Refusal, SessionId};
use crate::inventory::{self, ModuleRecord};
use crate::log::Severity;
use crate::push::fleet::{Module, Session};
use crate::report::Report;
use crate::revision::RevisionKind;
use crate::state::State;

/// How long a host may be silent: it reports about once a second.
pub(crate) const SILENCE_MAX_NS: u64 = 6_000_000_000;
/// How long a session may go without a word from us: the dataplane ends it after some seconds.
const PING_INTERVAL_NS: u64 = 2_000_000_000;
/// How far ahead of us a host may be with its revision or term before we take it for nonsense.
const LEAD_MAX: u64 = 1 << 32;

impl State {
    /// A host opened a session.
    pub(crate) fn hello(&mut self, now: Now, id: SessionId, hello: Hello) -> Vec<Effect> {
        if let Some(reason) = self.nonsense(&hello) {
            self.note(now, None, Severity::Error, "hello-refused", reason.clone());
            return vec![Effect::Close(id, reason)];
        }
        let known = self.module_of(hello.host).map(|m| m.record.module);
        let taken = self.modules.keys();
        let Some(number) = known.or_else(|| inventory::free_module(taken)) else {
            let reason = format!("no module number is left for host {}", hello.host);
            self.note(now, None, Severity::Error, "hello-refused", reason.clone());
            return vec![Effect::Close(id, reason)];
        };
        let mut effects = self.replace_session(now, number, &hello.address);
        effects.extend(self.register(now, number, &hello));
        let Some(module) = self.modules.get_mut(&number) else { return effects };
        module.version.clone_from(&hello.version);
        module.address.clone_from(&hello.address);
        module.last_seen = Some(now);
        module.running = hello.revision;
        module.refused = None;
        module.session = Some(Session::new(id, now));
        self.sessions.insert(id, number);
        let message = format!(
            "host {} is online from {}, forwarding by revision {}",
            hello.name, hello.address, hello.revision
        );
        self.note(now, number, Severity::Notice, "module-online", message);
        effects.push(Effect::Send(id, Message::Welcome(number)));
        effects
    }

    /// Why a hello cannot be believed.
    fn nonsense(&self, hello: &Hello) -> Option<String> {
        let ahead = |theirs: u64, ours: u64| theirs.saturating_sub(ours) > LEAD_MAX;
        let (revision, term) = (hello.revision.get(), hello.term.get());
        if ahead(revision, self.revision.get()) || ahead(term, self.term.get()) {
            return Some(format!(
                "host {} claims revision {revision} of term {term}, far beyond revision {} of term \
                 {}: it belongs to another supervisor, or its state directory is damaged",
                hello.host, self.revision, self.term
            ));
        }
        None
    }

    /// Ends the session that the host had.
    fn replace_session(&mut self, now: Now, number: ModuleId, address: &str) -> Vec<Effect> {
        let Some(module) = self.modules.get_mut(&number) else { return Vec::new() };
        let Some(old) = module.session.take() else { return Vec::new() };
        self.sessions.remove(&old.id);
        let message = format!(
            "a session of the same host ({}) from {address} takes the place of the one from {}; if \
             these are two daemons, give one of them another identity and state directory",
            module.record.host, module.address
        );
        self.note(now, number, Severity::Warning, "session-replaced", message.clone());
        vec![Effect::Close(old.id, message)]
    }

    /// Commits what the hello says that was not known: a new host, other NICs, vNICs that were
    /// plugged in or out without us, and a revision or term beyond ours.
    fn register(&mut self, now: Now, number: ModuleId, hello: &Hello) -> Vec<Effect> {
        let record = match self.modules.get(&number) {
            Some(module) => module.record.clone(),
            None => ModuleRecord {
                module: number,
                host: hello.host,
                name: String::new(),
                nics: Vec::new(),
                target: Revision::NONE,
            },
        };
        let is_new = !self.modules.contains_key(&number);
        let changes = is_new || record.name != hello.name || record.nics != hello.nics;
        let record = ModuleRecord { name: hello.name.clone(), nics: hello.nics.clone(), ..record };
        let bindings = self.reconcile(now, number, &hello.attachments);
        let is_behind = hello.revision > self.revision || hello.term > self.term;
        if !changes && bindings.is_empty() && !is_behind {
            return Vec::new();
        }
        let comment = match is_new {
            true => format!("host {} ({}) is module {number}", hello.name, hello.host),
            false => format!("module {number} ({}) came back with changes", hello.name),
        };
        if is_behind {
            let message = format!(
                "host {} holds revision {} of term {}, beyond ours ({} of {}): our data directory \
                 went back in time; numbering goes on from theirs",
                hello.name, hello.revision, hello.term, self.revision, self.term
            );
            self.note(now, number, Severity::Error, "store-behind", message);
        }
        let mut draft = Draft::new(RevisionKind::Module, comment);
        draft.put_module(record);
        for binding in bindings {
            draft.put_binding(binding);
        }
        draft.above(hello.revision);
        if hello.term > self.term {
            draft.raise_term(Term::new(hello.term.get() + 1));
        }
        self.commit_unchecked(now, draft)
    }

    /// Runs `then` for the module of a session, and nothing for a session that is over.
    pub(crate) fn heard(
        &mut self,
        now: Now,
        id: SessionId,
        then: impl FnOnce(&mut Self, ModuleId) -> Vec<Effect>,
    ) -> Vec<Effect> {
        let Some(number) = self.sessions.get(&id).copied() else { return Vec::new() };
        if let Some(module) = self.modules.get_mut(&number) {
            module.last_seen = Some(now);
            if let Some(session) = &mut module.session {
                session.heard_ns = now.monotonic_ns;
            }
        }
        then(self, number)
    }

    /// A session ended, by whomever.
    pub(crate) fn gone(&mut self, now: Now, id: SessionId, why: &str) -> Vec<Effect> {
        let Some(number) = self.sessions.remove(&id) else { return Vec::new() };
        let Some(module) = self.modules.get_mut(&number) else { return Vec::new() };
        module.session = None;
        let message = format!("host {} is offline: {why}", module.record.name);
        self.note(now, number, Severity::Warning, "module-offline", message);
        Vec::new()
    }

    /// A host forwards by a revision.
    pub(crate) fn applied(&mut self, number: ModuleId, revision: Revision) -> Vec<Effect> {
        if let Some(module) = self.modules.get_mut(&number) {
            module.applied(revision);
        }
        Vec::new()
    }

    /// A host refused a revision.
    pub(crate) fn rejected(
        &mut self,
        now: Now,
        number: ModuleId,
        revision: Revision,
        problems: Vec<Refusal>,
    ) -> Vec<Effect> {
        let Some(module) = self.modules.get_mut(&number) else { return Vec::new() };
        let first = problems.first().map(|p| format!(": {}: {}", p.path, p.message));
        if module.rejected(revision, problems) {
            let message = format!(
                "host {} refused revision {revision}{}",
                module.record.name,
                first.unwrap_or_default()
            );
            self.note(now, number, Severity::Error, "revision-rejected", message);
        }
        Vec::new()
    }

    /// A host's counters.
    pub(crate) fn report(&mut self, number: ModuleId, mut report: Report) -> Vec<Effect> {
        if let Some(module) = self.modules.get_mut(&number) {
            report.forget_foreign(number);
            module.running = report.revision;
            module.report = report;
        }
        Vec::new()
    }

    /// Time passed: silent hosts are offline, quiet sessions get a ping.
    pub(crate) fn tick(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        let mut over = Vec::new();
        for session in self.modules.values_mut().filter_map(|m: &mut Module| m.session.as_mut()) {
            if now.monotonic_ns.saturating_sub(session.heard_ns) > SILENCE_MAX_NS {
                over.push((session.id, "nothing heard for 6 seconds"));
            } else if session.is_stuck(now) {
                over.push((session.id, "it did not answer a push for 30 seconds"));
            } else if now.monotonic_ns.saturating_sub(session.said_ns) >= PING_INTERVAL_NS {
                session.said_ns = now.monotonic_ns;
                effects.push(Effect::Send(session.id, Message::Ping));
            }
        }
        for (id, why) in over {
            effects.extend(self.gone(now, id, why));
            effects.push(Effect::Close(id, why.to_owned()));
        }
        effects
    }
}
