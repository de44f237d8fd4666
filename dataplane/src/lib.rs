//! The dataplane of one host.
//!
//! * [`core`]: the forwarding core and teaming, sans-IO: frames and time in, verdicts out.
//! * [`publish`]: the view that workers forward by.
//! * [`agent`]: session with the supervisor, what is plugged in, what is on disk.
//! * [`links`]: carrier events of this host.
//! * [`status`]: what `weft-dataplane status` prints.

#![forbid(unsafe_code)]

pub mod agent;
pub mod core;
pub mod links;
pub mod publish;
pub mod status;
