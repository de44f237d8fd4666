//! Tests of the core as a whole: the forwarding table row by row, VLANs and tags, and random
//! configurations and frames against a reference model.

mod channel;
mod evasion;
mod flow;
mod generate;
pub(crate) mod lab;
mod property;
mod reference;
mod reference_team;
mod rules;
mod vlans;
