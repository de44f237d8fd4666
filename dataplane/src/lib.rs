//! The dataplane of one host.
//!
//! * [`core`]: the forwarding core and teaming, sans-IO: frames and time in, verdicts out.
//! * [`publish`] and [`worker`]: the threads that move frames, and the view that they forward by.
//! * [`chassis`]: packet memory, workers and devices.
//! * [`agent`]: session with the supervisor, what is plugged in, what is on disk.
//! * [`lacp`]: which members of a port-channel carry, sans-IO.
//! * [`neighbor`]: who is at the other end of each uplink, sans-IO.
//! * [`control_plane`]: the thread that speaks with the physical switches.
//! * [`links`]: carrier events of this host.
//! * [`daemon`] and [`status`]: the program around it.

#![forbid(unsafe_code)]

pub mod agent;
pub mod chassis;
mod clock;
pub mod control_plane;
pub mod core;
mod cores;
pub mod daemon;
pub mod lacp;
pub mod links;
pub mod neighbor;
pub mod notice;
pub mod publish;
pub mod status;
pub mod worker;
