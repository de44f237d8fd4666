//! The control side of a dataplane: its session with the supervisor, what is plugged in, what is on
//! disk.
//!
//! Where it sits: [`session`] and [`local`] are async tasks that turn the outside into [`Event`]s;
//! [`Control`] is one thread that owns all state and acts through [`Chassis`]. Not here: how frames
//! are moved (`crate::core`, `crate::worker`).

pub mod cache;
pub mod chassis;
pub mod control;
pub mod decode;
pub mod event;
pub mod local;
pub mod session;

mod acl_log;
mod announce;
mod apply;
mod attach;
mod pins;
mod report;
mod report_teaming;
mod teaming;
mod uplink;

pub use cache::Cache;
pub use chassis::Chassis;
pub use control::{Control, Settings};
pub use event::Event;

#[cfg(test)]
mod tests;
