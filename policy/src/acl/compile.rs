//! Access lists compiled to a structure whose cost hardly depends on the number of rules.
//!
//! Where it sits: [`Snapshot::build`](crate::Snapshot::build) compiles each list once, the core
//! calls [`CompiledAcl::eval`] for each frame. Invariant: the outcome is that of the reference
//! matcher for every frame (property tests). Not here: the tables (`tables`) and the search in them
//! (`eval`).
//!
//! # Why bit vectors
//!
//! A decision tree or a tuple space is fast on friendly lists, but a user can write lists that make
//! a tree copy rules without end, or give each rule a tuple of its own: random prefix lengths and
//! wildcards that are not contiguous do. Bit vectors have no such list: the cost is two look-ups
//! for each two bytes of the key that some rule asks about, then an AND over 256 rules at a time;
//! memory has a fixed bound (see `tables`). A list of which the outcome is constant, such as
//! `permit ip any any`, has no tables at all.
//!
//! Measured (`make instructions`; random 5-tuples that overlap, frames that hit any of the rules:
//! the worst that people write): 242 instructions at 10 rules, 272 at 100, 584 at 1,000. Lists whose
//! rules differ in one field leave nothing to be looked at after it: of the 1,000 rules of the
//! pipeline bench a frame pays 150. Compiling 1,000 rules takes 7 ms. Other layouts took more: words
//! one by one, a trie of bytes for each whole field.

use proto::VlanId;
use proto::frame::{FrameKey, L3};

use super::condition::{Condition, conditions, field};
use super::eval::NO_ENTRY;
use super::rule::{Acl, AclKind, Action, Match, Sequence};
use super::tables::{ROWS_BYTES_MAX, Tables};
use crate::config::Name;
use crate::ids::StableIds;

/// A compiled access list.
#[derive(Debug)]
pub struct CompiledAcl {
    name: Name,
    kind: AclKind,
    /// What frames must have as network layer for the list to speak of them.
    l3: L3,
    search: Search,
    /// What each entry of the tables decides.
    decisions: Box<[Decision]>,
    /// When no entry matches: the first rule that asks for nothing, else the implicit deny.
    otherwise: Decision,
    implicit: Decision,
    rules: Box<[(Sequence, RuleCounterId)]>,
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

/// Why a list cannot be compiled.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AclError {
    /// More rules than [`CompiledAcl::RULES_MAX`].
    #[error("has {0} rules, at most {max} are possible", max = CompiledAcl::RULES_MAX)]
    TooManyRules(usize),
    /// A MAC rule in an IP list or the other way round.
    #[error("entry {sequence} does not belong into a list of kind `{kind}`")]
    WrongKind {
        /// The entry.
        sequence: Sequence,
        /// The kind of the list.
        kind: AclKind,
    },
}

/// How the first match is found.
#[derive(Debug)]
enum Search {
    /// Every frame that the list speaks of has the same outcome.
    Constant,
    /// By tables, for the rules before the first that asks for nothing; so those below, each for
    /// the chunks of its kind of list.
    Mac(Tables),
    Ipv4(Tables),
    Ipv6(Tables),
}

impl CompiledAcl {
    /// How many rules a list may have. So many random rules have tables of 12 MiB; lists made to be as
    /// large as they can, with a range of its own on both ports in every rule and every chunk cut
    /// in bytes, stay below 70 MiB for IPv4 and 200 MiB for IPv6.
    pub const RULES_MAX: usize = 16_384;

    /// Compiles a list; `ids` gives its entries their counters, and 0 the one of the implicit deny.
    ///
    /// # Errors
    /// The list is too long or has a rule of another kind; `ids` may have given counters even so.
    pub fn compile(name: &Name, acl: &Acl, ids: &mut StableIds) -> Result<Self, AclError> {
        let count = acl.rules().count();
        if count > Self::RULES_MAX {
            return Err(AclError::TooManyRules(count));
        }
        let mut rules = Vec::with_capacity(count);
        for (sequence, rule) in acl.rules() {
            if matches!(rule.matches, Match::Mac(_)) != (acl.kind == AclKind::Mac) {
                return Err(AclError::WrongKind { sequence, kind: acl.kind });
            }
            rules.push((sequence, ids.allot_rule(name, sequence)));
        }
        let counter = ids.allot_rule(name, 0);
        let implicit = Decision { action: Action::Deny, sequence: 0, counter, log: false };
        let (search, decisions, otherwise) = compile_rules(acl, &rules, implicit, ROWS_BYTES_MAX);
        let l3 = match acl.kind {
            AclKind::Mac => L3::Other,
            AclKind::Ipv4 => L3::Ipv4,
            AclKind::Ipv6 => L3::Ipv6,
        };
        let (name, rules) = (name.clone(), rules.into());
        Ok(Self { name, kind: acl.kind, l3, search, decisions, otherwise, implicit, rules })
    }

    /// The list's name.
    #[must_use]
    pub const fn name(&self) -> &Name {
        &self.name
    }

    /// What the list speaks of.
    #[must_use]
    pub const fn kind(&self) -> AclKind {
        self.kind
    }

    /// Every rule in order with its counter, then the implicit deny as number 0.
    pub fn rules(&self) -> impl Iterator<Item = (Sequence, RuleCounterId)> {
        self.rules.iter().copied().chain([(0, self.implicit.counter)])
    }

    /// What the list says of every frame that it speaks of, when that does not depend on the frame.
    #[must_use]
    pub const fn constant(&self) -> Option<Decision> {
        match &self.search {
            Search::Constant => Some(self.otherwise),
            Search::Mac(_) | Search::Ipv4(_) | Search::Ipv6(_) => None,
        }
    }

    /// What the tables of the list take, in bytes.
    #[must_use]
    pub fn size_bytes(&self) -> usize {
        match &self.search {
            Search::Constant => 0,
            Search::Mac(tables) | Search::Ipv4(tables) | Search::Ipv6(tables) => {
                tables.size_bytes()
            }
        }
    }

    /// The first rule that matches a frame of `vlan`, else the implicit deny.
    ///
    /// The caller chooses the list by what the frame is; for a frame that the list does not speak
    /// of the outcome is the implicit deny.
    #[must_use]
    #[inline]
    pub fn eval(&self, key: &FrameKey, vlan: VlanId) -> &Decision {
        if key.l3 != self.l3 {
            return &self.implicit;
        }
        let entry = match &self.search {
            Search::Ipv4(tables) => tables.first_ipv4(key),
            Search::Ipv6(tables) => tables.first_ipv6(key),
            Search::Mac(tables) => tables.first_mac(key, vlan),
            Search::Constant => NO_ENTRY,
        };
        self.decisions.get(entry).unwrap_or(&self.otherwise)
    }
}

/// The tables of a list, what each entry of them decides, and what is decided when none matches.
fn compile_rules(
    acl: &Acl,
    counters: &[(Sequence, RuleCounterId)],
    implicit: Decision,
    rows_bytes_max: usize,
) -> (Search, Box<[Decision]>, Decision) {
    let (mut asking, mut decisions, mut otherwise) = (Vec::new(), Vec::new(), implicit);
    for ((sequence, rule), (_, counter)) in acl.rules().zip(counters) {
        let Some(conditions) = conditions(acl.kind, &rule.matches) else { continue };
        let decision = Decision { action: rule.action, sequence, counter: *counter, log: rule.log };
        if conditions.iter().all(|condition| *condition == Condition::Any) {
            // Nothing behind a rule that matches everything can be reached.
            otherwise = decision;
            break;
        }
        asking.push(conditions);
        decisions.push(decision);
    }
    if asking.is_empty() {
        return (Search::Constant, Box::default(), otherwise);
    }
    let (tables, rule_of_entry) = Tables::build(field::widths(acl.kind), &asking, rows_bytes_max);
    let of_entry = rule_of_entry.iter().map(|rule| decisions[*rule]).collect();
    let search = match acl.kind {
        AclKind::Mac => Search::Mac(tables),
        AclKind::Ipv4 => Search::Ipv4(tables),
        AclKind::Ipv6 => Search::Ipv6(tables),
    };
    (search, of_entry, otherwise)
}

#[cfg(test)]
mod tests;
