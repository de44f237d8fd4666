//! The whole measurement: every switch at the standard setting, some of them along one dimension at
//! a time, in interleaved rounds.
//!
//! | module | what |
//! |---|---|
//! | [`case`] | one setting of a switch and the traffic through it |
//! | [`plan`] | which switches are measured in which cases, and for how long |
//! | [`run`] | does it: rounds, blocks, switches |
//! | [`block`] | one switch between its setup and its end |
//! | [`noise`] | how much CPU others used meanwhile |
//! | [`results`] | what came out, as it is stored |
//!
//! *Invariants*
//! 1. Nothing is averaged here: each figure stands in the results with its round, so that ratios
//!    can be taken within a round ([`crate::report`]).
//! 2. A switch that cannot be measured ends neither the round nor the run; it stands in the results
//!    with the reason.
//!
//! *Not here:* what the figures mean ([`crate::report`]).

pub mod block;
pub mod case;
pub mod noise;
pub mod plan;
pub mod results;
pub mod run;
