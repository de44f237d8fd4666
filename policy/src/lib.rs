//! What may go where: VLANs, port-profiles and access lists as values.
//!
//! The way of a configuration through this crate:
//!
//! ```text
//! text --lang::read--> Config --validate--> (Problem list | ok)
//!      Config, Config --diff--> lines and commands; HostIntent, HostIntent --delta--> the push
//!      Config + bindings --compile--> HostIntent (one host, effective settings)
//!      HostIntent --snapshot::build--> Snapshot (immutable, dense, what the core forwards by)
//! ```
//!
//! Where it sits: the supervisor goes from text to [`intent::HostIntent`]; the dataplane goes from
//! there to [`snapshot::Snapshot`]. Invariants: no I/O, no clock, no thread, no rpc type, no driver.

#![forbid(unsafe_code)]

pub mod acl;
#[cfg(any(test, feature = "arbitrary"))]
pub mod arbitrary;
pub mod compile;
pub mod config;
pub mod delta;
pub mod diff;
pub mod fib;
pub mod ids;
pub mod intent;
pub mod lang;
pub mod place;
pub mod problem;
pub mod resolve;
pub mod snapshot;
pub mod teaming;
mod uplinks;
pub mod validate;
pub mod vlan_set;

pub use config::Config;
pub use intent::HostIntent;
pub use problem::Problem;
pub use snapshot::Snapshot;
pub use vlan_set::VlanSet;
