//! The only writer of intent: candidate, validation, dry run, then one durable transaction.
//!
//! ```text
//! Draft --(merge, compile for every host it touches)--> Prepared --check--> problems
//!                                                            '--> Persist, new targets
//! ```
//!
//! Where it sits: `session.rs` and `attach.rs` bring drafts; [`State::apply`] makes one of what an
//! operator wrote. Invariants: a draft with a problem changes nothing; every commit has a new
//! revision; a host's target moves exactly when what it has to know changes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use policy::delta::port_changes;
use policy::diff::diff;
use policy::{Config, HostIntent, Problem, lang, validate};
use proto::{ModuleId, Revision, Term, VethId};

use crate::compile;
use crate::event::{ApplyOutcome, ApplyRequest, Effect, Now, RequestId};
use crate::inventory::{Binding, Bindings, ModuleRecord};
use crate::log::Severity;
use crate::push::fleet::Module;
use crate::revision::{RevisionKind, RevisionRecord};
use crate::state::State;
use crate::store::REVISIONS_KEPT;
use crate::store::record::Transaction;
use crate::waiting::{WAIT_MAX_NS, Waiter};

/// A change that is not made yet.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    kind: RevisionKind,
    comment: String,
    config: Option<Arc<Config>>,
    bindings: BTreeMap<VethId, Binding>,
    modules: BTreeMap<ModuleId, ModuleRecord>,
    above: Revision,
    term: Option<Term>,
}

impl Draft {
    /// Changes nothing yet.
    pub(crate) const fn new(kind: RevisionKind, comment: String) -> Self {
        Self {
            kind,
            comment,
            config: None,
            bindings: BTreeMap::new(),
            modules: BTreeMap::new(),
            above: Revision::NONE,
            term: None,
        }
    }

    /// A vNIC that is new or changed.
    pub(crate) fn put_binding(&mut self, binding: Binding) {
        self.bindings.insert(binding.veth, binding);
    }

    /// A host that is new or changed.
    pub(crate) fn put_module(&mut self, record: ModuleRecord) {
        self.modules.insert(record.module, record);
    }

    /// The new revision has to be above this one too.
    pub(crate) fn above(&mut self, revision: Revision) {
        self.above = self.above.max(revision);
    }

    /// From now on this term.
    pub(crate) const fn raise_term(&mut self, term: Term) {
        self.term = Some(term);
    }
}

/// A draft with all that follows from it.
struct Prepared {
    draft: Draft,
    config: Arc<Config>,
    bindings: Bindings,
    /// The hosts of which the record or the intent changes.
    hosts: Vec<(ModuleRecord, Arc<HostIntent>, bool)>,
}

impl State {
    /// An operator applies configuration.
    pub(crate) fn apply(
        &mut self,
        now: Now,
        request: RequestId,
        apply: &ApplyRequest,
    ) -> Vec<Effect> {
        let reply = |outcome| vec![Effect::Reply(request, Box::new(outcome))];
        let config = match self.candidate(apply) {
            Ok(config) => config,
            Err(problems) => return reply(ApplyOutcome { problems, ..Default::default() }),
        };
        let mut outcome =
            ApplyOutcome { diff: diff_lines(&self.config, &config), ..Default::default() };
        if config == *self.config {
            outcome.modules = self.results(self.revision, &BTreeSet::new());
            return reply(outcome);
        }
        let mut draft = Draft::new(RevisionKind::Config, apply.comment.clone());
        draft.config = Some(Arc::new(config));
        let prepared = self.prepare(draft);
        let problems = self.dry_run(&prepared);
        if !problems.is_empty() {
            return reply(ApplyOutcome { problems, ..Default::default() });
        }
        outcome.ports = self.port_changes(&prepared);
        if apply.dry_run {
            return reply(outcome);
        }
        let hosts = prepared.hosts.iter().filter(|(_, _, changes)| *changes);
        let concerned = hosts.map(|(record, ..)| record.module).collect();
        let effects = self.install(now, prepared);
        outcome.revision = Some(self.revision);
        let message = match apply.comment.as_str() {
            "" => "configuration applied".to_owned(),
            comment => format!("configuration applied: {comment}"),
        };
        self.note(now, None, Severity::Notice, "config-applied", message);
        self.waiting.push(Waiter {
            request,
            revision: self.revision,
            concerned,
            deadline_ns: now.monotonic_ns.saturating_add(WAIT_MAX_NS),
            outcome: Box::new(outcome),
        });
        effects
    }

    /// What the text makes of the running configuration, if nothing speaks against it.
    fn candidate(&self, apply: &ApplyRequest) -> Result<Config, Vec<Problem>> {
        if let Some(expected) = apply.expected.filter(|e| *e != self.config_revision) {
            return Err(vec![Problem {
                span: None,
                path: String::new(),
                message: format!(
                    "the running configuration is revision {}, not {expected}",
                    self.config_revision
                ),
                hint: "somebody else changed it: look at the difference again".to_owned(),
            }]);
        }
        let empty = Config::default();
        let base = if apply.replace { &empty } else { &*self.config };
        let config = validate::check(base, &apply.text)?.config;
        let attached = compile::attached(&self.bindings);
        let mut problems = compile::check_config(&config, &attached);
        if !problems.is_empty() {
            let before = compile::check_config(&self.config, &attached);
            problems.retain(|problem| !is_among(&before, problem));
        }
        problems.extend(too_long(&config));
        if problems.is_empty() { Ok(config) } else { Err(problems) }
    }

    /// What the hosts would refuse. What a host would refuse as it is already, because of what it says
    /// is plugged in at it, is no reason against a change: else one host could lock everybody out.
    fn dry_run(&self, prepared: &Prepared) -> Vec<Problem> {
        let mut problems = Vec::new();
        for (record, intent, _) in prepared.hosts.iter().filter(|(_, _, changes)| *changes) {
            let mut found = compile::dry_run(record, intent);
            if let Some(module) = self.modules.get(&record.module).filter(|_| !found.is_empty()) {
                let before = compile::dry_run(record, &module.intent);
                found.retain(|problem| !is_among(&before, problem));
            }
            problems.append(&mut found);
        }
        problems
    }

    /// Commits a draft about vNICs after asking whether it may be.
    pub(crate) fn commit(&mut self, now: Now, draft: Draft) -> Result<Vec<Effect>, Vec<Problem>> {
        let prepared = self.prepare(draft);
        let attached = compile::attached(&prepared.bindings);
        let check = |binding| compile::check_binding(&prepared.config, binding, &attached).err();
        let mut problems: Vec<Problem> =
            prepared.draft.bindings.values().filter_map(check).collect();
        if problems.is_empty() {
            problems = self.dry_run(&prepared);
        }
        if problems.is_empty() { Ok(self.install(now, prepared)) } else { Err(problems) }
    }

    /// Commits what is so, whether we like it or not: hosts that came, vNICs that went.
    pub(crate) fn commit_unchecked(&mut self, now: Now, draft: Draft) -> Vec<Effect> {
        let prepared = self.prepare(draft);
        self.install(now, prepared)
    }

    /// The revision that changed last what a host has to know.
    pub(crate) fn target(&self, module: ModuleId) -> Revision {
        self.modules.get(&module).map_or(Revision::NONE, |m| m.record.target)
    }

    fn prepare(&self, draft: Draft) -> Prepared {
        let config = draft.config.clone().unwrap_or_else(|| self.config.clone());
        let mut touched: BTreeSet<ModuleId> = draft.modules.keys().copied().collect();
        if draft.config.is_some() {
            touched.extend(self.modules.keys());
        }
        let mut bindings = self.bindings.clone();
        for (veth, binding) in &draft.bindings {
            let before = bindings.insert(*veth, binding.clone());
            touched.extend(before.and_then(|b| b.module).into_iter().chain(binding.module));
        }
        let attached = compile::attached(&bindings);
        let host = |module: ModuleId| {
            let known = self.modules.get(&module);
            let record = draft.modules.get(&module).or_else(|| known.map(|m| &m.record))?;
            let intent = compile::intent(&config, record, &attached);
            let changes = known.is_none_or(|m| *m.intent != intent);
            Some((record.clone(), Arc::new(intent), changes))
        };
        let hosts = touched
            .into_iter()
            .filter_map(host)
            .filter(|(record, _, changes)| *changes || draft.modules.contains_key(&record.module))
            .collect();
        Prepared { draft, config, bindings, hosts }
    }

    fn install(&mut self, now: Now, prepared: Prepared) -> Vec<Effect> {
        let Prepared { draft, config, bindings, hosts } = prepared;
        let revision = self.revision.max(draft.above).next();
        self.revision = revision;
        if let Some(term) = draft.term {
            self.term = term;
        }
        let text = draft.config.as_ref().map(|config| lang::print(config));
        if text.is_some() {
            self.config_revision = revision;
        }
        self.config = config;
        self.bindings = bindings;
        let record =
            RevisionRecord { unix_time_ns: now.unix_ns, kind: draft.kind, comment: draft.comment };
        self.revisions.insert(revision, record.clone());
        while self.revisions.len() as u64 > REVISIONS_KEPT {
            self.revisions.pop_first();
        }
        let mut records = Vec::with_capacity(hosts.len());
        for (mut record, intent, changes) in hosts {
            if changes {
                record.target = revision;
            }
            records.push(record.clone());
            match self.modules.get_mut(&record.module) {
                Some(module) => {
                    module.record = record;
                    module.intent = intent;
                }
                None => {
                    self.modules.insert(record.module, Module::new(record, intent));
                }
            }
        }
        vec![Effect::Persist(Transaction {
            revision,
            record,
            config: text,
            bindings: draft.bindings.into_values().collect(),
            modules: records,
            term: draft.term,
        })]
    }

    /// The ports whose effective settings change.
    fn port_changes(
        &self,
        prepared: &Prepared,
    ) -> Vec<(proto::InterfaceName, ModuleId, Vec<String>)> {
        let mut changes = Vec::new();
        for (record, intent, _) in &prepared.hosts {
            let Some(module) = self.modules.get(&record.module) else { continue };
            let of_host = port_changes(&module.intent, intent).into_iter();
            changes.extend(of_host.map(|(port, what)| (port, record.module, what)));
        }
        changes
    }
}

/// Whether a problem was there before, wherever a text may have touched it.
fn is_among(before: &[Problem], problem: &Problem) -> bool {
    before.iter().any(|old| old.path == problem.path && old.message == problem.message)
}

/// What speaks against a configuration that no text could bring back: it is kept as text, and would be
/// refused at the next start.
fn too_long(config: &Config) -> Option<Problem> {
    let len = lang::print(config).len();
    (len > lang::TEXT_LEN_MAX).then(|| Problem {
        span: None,
        path: String::new(),
        message: format!("the configuration would be {len} bytes of text"),
        hint: format!("at most {} bytes are possible in all", lang::TEXT_LEN_MAX),
    })
}

/// The difference of two configurations: the sign of each line, and the line.
fn diff_lines(old: &Config, new: &Config) -> Vec<(char, String)> {
    let text = diff(old, new).to_string();
    // Every line of it begins with its sign and a blank.
    let line = |line: &str| {
        let sign = line.chars().next()?;
        Some((sign, line.get(2..)?.to_owned()))
    };
    text.lines().filter_map(line).collect()
}
