//! What the dataplane daemon costs a host that does nothing: CPU time and memory, by number of
//! ports.
//!
//! *Where it sits:* on the lab of `tests`, beside [`crate::tap`], whose configuration it uses. The
//! host has one uplink over AF_XDP, as any host has, and TAPs of silent guests.

pub mod host;
pub mod process;
pub mod run;
