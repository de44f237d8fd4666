//! Access lists compiled to a structure whose cost hardly depends on the number of rules.

use proto::VlanId;
use proto::frame::FrameKey;

use super::reference;
use super::rule::{Acl, Action, Rule, Sequence, AclKind};
use crate::config::Name;
use crate::ids::StableIds;

/// A compiled access list.
#[derive(Debug)]
pub struct CompiledAcl {
    name: Name,
    kind: AclKind,
    rules: Vec<(Sequence, Rule, RuleCounterId)>,
    implicit: RuleCounterId,
}

/// What a list says of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Decision {
    /// Permit or deny.
    pub action: Action,
    /// The rule that matched; 0 is the implicit deny at the end.
    pub sequence: Sequence,
    /// Its counter, dense over the snapshot's rules and stable across snapshots.
    pub counter: RuleCounterId,
    /// Report the match.
    pub log: bool,
}

/// The index of a rule's match counter: stable while the list has an entry of that number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleCounterId(pub u32);

impl CompiledAcl {
    /// Compiles a list; `ids` gives its entries their counters.
    #[must_use]
    pub fn compile(name: &Name, acl: &Acl, ids: &mut StableIds) -> Self {
        let rules =
            acl.rules().map(|(s, rule)| (s, rule.clone(), ids.allot_rule(name, s))).collect();
        Self { name: name.clone(), kind: acl.kind, rules, implicit: ids.allot_rule(name, 0) }
    }

    /// The list's name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// The first rule that matches, else the implicit deny.
    #[must_use]
    #[inline]
    pub fn eval(&self, key: &FrameKey, vlan: VlanId) -> Decision {
        let matched = self.rules.iter().find(|(_, r, _)| reference::matches(self.kind, r, key, vlan));
        match matched {
            Some((sequence, rule, counter)) => Decision {
                action: rule.action,
                sequence: *sequence,
                counter: *counter,
                log: rule.log,
            },
            None => {
                Decision { action: Action::Deny, sequence: 0, counter: self.implicit, log: false }
            }
        }
    }
}
