//! Access lists compiled to a structure whose cost hardly depends on the number of rules.

use proto::VlanId;
use proto::frame::FrameKey;

use super::rule::{Action, Sequence};

/// A compiled access list.
#[derive(Debug)]
pub struct CompiledAcl {}

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
    /// The first rule that matches, else the implicit deny.
    #[must_use]
    #[inline]
    pub fn eval(&self, _key: &FrameKey, _vlan: VlanId) -> Decision {
        Decision { action: Action::Deny, sequence: 0, counter: RuleCounterId(0), log: false }
    }
}
