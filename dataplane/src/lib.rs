//! The dataplane of one host.
//!
//! * [`core`]: the forwarding core and teaming, sans-IO: frames and time in, verdicts out.

#![forbid(unsafe_code)]

pub mod core;
