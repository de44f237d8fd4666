//! Operators who wait for what the hosts make of their commit.
//!
//! A commit is answered when every host that it concerns and that is connected has said applied or
//! rejected, and at the latest after [`WAIT_MAX_NS`]. By then it is durable since long.

use std::collections::BTreeSet;

use proto::{ModuleId, Revision};

use crate::event::{ApplyOutcome, Effect, ModuleResult, Now, Outcome, RequestId};
use crate::push::fleet::Module;
use crate::state::State;

/// How long an operator waits for hosts.
pub(crate) const WAIT_MAX_NS: u64 = 3_000_000_000;

/// An operator who waits.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) request: RequestId,
    pub(crate) revision: Revision,
    /// The hosts that the commit concerns.
    pub(crate) concerned: BTreeSet<ModuleId>,
    pub(crate) deadline_ns: u64,
    pub(crate) outcome: Box<ApplyOutcome>,
}

impl State {
    /// The answers that are complete or late.
    pub(crate) fn answers(&mut self, now: Now) -> Vec<Effect> {
        let mut effects = Vec::new();
        for mut waiter in std::mem::take(&mut self.waiting) {
            let modules = self.results(waiter.revision, &waiter.concerned);
            let is_complete = modules.iter().all(|m| m.outcome != Outcome::Pending);
            if is_complete || now.monotonic_ns >= waiter.deadline_ns {
                waiter.outcome.modules = modules;
                effects.push(Effect::Reply(waiter.request, waiter.outcome));
            } else {
                self.waiting.push(waiter);
            }
        }
        effects
    }

    /// What every host made of a revision by now.
    pub(crate) fn results(
        &self,
        revision: Revision,
        concerned: &BTreeSet<ModuleId>,
    ) -> Vec<ModuleResult> {
        let result = |module: &Module| {
            let outcome = match concerned.contains(&module.record.module) {
                false => Outcome::Unchanged,
                true => outcome(module, revision),
            };
            let refused = module.refused.iter().filter(|_| outcome == Outcome::Rejected);
            ModuleResult {
                module: module.record.module,
                name: module.record.name.clone(),
                outcome,
                problems: refused.flat_map(|(_, problems)| problems.clone()).collect(),
            }
        };
        self.modules.values().map(result).collect()
    }
}

/// What a host made of a revision, or of a newer one that includes it.
fn outcome(module: &Module, revision: Revision) -> Outcome {
    let refused = module.refused.as_ref().is_some_and(|(refused, _)| *refused >= revision);
    match &module.session {
        None => Outcome::Offline,
        Some(_) if refused => Outcome::Rejected,
        Some(session) if session.holds(revision) => Outcome::Applied,
        Some(_) => Outcome::Pending,
    }
}
