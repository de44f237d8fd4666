//! What is measured without I/O: hosts, lists, tables and frames, and the work that is done on
//! them.
//!
//! *Where it sits:* the criterion benches time these [`Workload`]s, the program `instructions`
//! counts them ([`crate::count`]). Both thus measure the same, by the same numbers:
//! [`plan`](crate::plan) has the rules and addresses of the runs on real interfaces too.
//!
//! | module | one round is |
//! |---|---|
//! | [`parse`] | `proto::frame::parse` of 1,024 frames |
//! | [`acl`] | a compiled access list on 1,024 keys |
//! | [`fib`] | 1,024 look-ups in the local table |
//! | [`pipeline`] | `dataplane::core::forward` of all flows, by bursts of 64 |
//! | [`worker`] | a worker with memory ports: receive, forward, edit, transmit |
//!
//! *Invariant:* everything is made of fixed numbers, so that two runs do the same work.

pub mod acl;
pub mod cases;
pub mod fib;
pub mod host;
pub mod parse;
pub mod pipeline;
pub mod random;
pub mod stream;
pub mod worker;

/// Work on frames that can be done again and again.
pub trait Workload {
    /// How many frames (or keys, or addresses) a round is of.
    fn frames(&self) -> u64;

    /// Makes ready for the next round; not measured.
    fn refill(&mut self) {}

    /// What is measured. The result depends on all of the work, so that none can be left out.
    fn round(&mut self) -> u64;
}
