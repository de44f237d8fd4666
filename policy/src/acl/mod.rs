//! Access lists: rules as values, and the compiled form that the core evaluates.

pub mod compile;
mod condition;
mod eval;
mod pages;
pub mod reference;
pub mod rule;
mod tables;

pub use compile::{AclError, CompiledAcl, Decision, RuleCounterId};

pub use rule::{
    Acl, AclKind, Action, AddressMatch, Entry, IcmpMatch, IpMatch, MacMatch, MacPattern, Match,
    PortMatch, Rule, Sequence, TcpMatch,
};
