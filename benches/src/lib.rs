//! Measuring Weft: what a frame costs, how many a second, and against what.
//!
//! *Where it sits:* beside the product, on the lab of `tests`. The criterion benches in `benches/`
//! measure the parts without I/O; the programs in `src/bin` measure whole switches on real
//! interfaces, ours and its rivals in the same run, so that ratios can be trusted where absolute
//! rates cannot.
//!
//! From the floor up:
//!
//! | module | what |
//! |---|---|
//! | [`plan`] | what is measured: frame sizes, addresses, flows, rules |
//! | [`wires`] | the two cables between the tester and the switch |
//! | [`samples`] | medians, percentiles, bars |
//! | [`switch`] | what every switch that is measured must be able to do |
//! | [`switches`] | those that are |
//! | [`bpf`] | the BPF programs, and how they are loaded |
//! | [`tester`] | generator and sink: what goes in, what comes out, how long it takes |
//! | [`measure`] | rates, throughput, behaviour at overload, latency |
//! | [`suite`] | all of it, of every switch, in interleaved rounds |
//! | [`report`] | what the results mean, as a page and plots |
//! | [`cli`] | the program `packet-rate` |
//! | [`workload`] | hosts, lists and frames of the parts without I/O, and the work on them |
//! | [`count`] | that work in instructions, under valgrind, against a committed ceiling |
//! | [`tap`] | TCP and round-trip time between TAPs |
//! | [`footprint`] | CPU time and memory of a host that does nothing |
//! | [`swap`] | what a new snapshot costs the traffic |
//!
//! *Invariants*
//! 1. All traffic is in namespaces that a measurement made and removes.
//! 2. Every run is bounded in time, and ends when it is interrupted.

#![forbid(unsafe_code)]

pub mod bpf;
pub mod cli;
pub mod count;
pub mod footprint;
pub mod measure;
pub mod plan;
pub mod report;
pub mod samples;
pub mod suite;
pub mod swap;
pub mod switch;
pub mod switches;
pub mod tap;
pub mod tester;
pub mod wires;
pub mod workload;
