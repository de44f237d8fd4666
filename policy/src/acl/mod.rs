//! Access lists: rules as values, and the compiled form that the core evaluates.

pub mod compile;
pub mod reference;
pub mod rule;

pub use compile::{CompiledAcl, Decision, RuleCounterId};

pub use rule::{
    Acl, AclKind, Action, AddressMatch, Entry, IcmpMatch, IpMatch, MacMatch, MacPattern, Match,
    PortMatch, Rule, Sequence, TcpMatch,
};
