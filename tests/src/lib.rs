//! The lab: networks of namespaces on one machine, in which Weft is shown, tested and measured.
//!
//! A lab is described by a file ([`topology`]), built by [`lab::Lab`], and populated with the real
//! daemons by [`daemons::Deployment`]. The program `lab` does that for people, the demo
//! ([`demo`]), the end-to-end tests and the benchmarks for themselves.
//!
//! *Where it sits:* beside the product. Of its crates it knows `proto`, for the newtypes; frames
//! are built and read by code of its own ([`frames`]), so that each is evidence about the other.
//!
//! From the floor up:
//!
//! | module | what |
//! |---|---|
//! | [`wait`] | waiting for a condition with a deadline: the only place that sleeps |
//! | [`netns`], [`process`] | namespaces and programs that end with their owner |
//! | [`link`] | cables (veth), addresses, link up and down |
//! | [`packet`], [`inject`], [`sniff`] | raw frames in and out of an interface, tags in place |
//! | [`super_frame`] | TCP packets that somebody else is to segment |
//! | [`wire`] | what tcpdump records and tshark decodes |
//! | [`frames`], [`mutate`] | frames built, read, and broken by a seed |
//! | [`switch`], [`hub`] | the physical switch upstream of the hosts, or a dumb repeater |
//! | [`guest`] | a Linux with a kernel of its own in QEMU: its bonding driver as a partner |
//! | [`lacp_partner`] | a partner that agrees with whatever it hears, and counts what it says |
//! | [`ovs`] | Open vSwitch, with its bonds and its LACP, as a partner |
//! | [`patch`], [`gate`] | a cable that fails one way, for some frames, or with its carrier |
//! | [`topology`], [`lab`] | the file, and the network built of it |
//! | [`traffic`], [`pinger`] | ping, TCP with its content compared, iperf3; a ping that goes on |
//! | [`stream`] | numbered datagrams both ways: lost, twice, out of order, and when |
//! | [`daemons`] | supervisor, dataplanes and CLI in a lab: all command lines of the product |
//! | [`checks`] | counters of a dataplane, their conservation, and evidence when a test fails |
//! | [`site`] | two hosts, five VMs: what most tests of the daemons run in |
//! | [`port_channel`], [`ovs_site`] | one host with two uplinks, and Open vSwitch at their other ends |
//! | [`report`], [`demo`], [`standing`] | what `lab demo` and `lab up` are made of |
//!
//! An end-to-end test is a few lines:
//!
//! ```no_run
//! use tests::{daemons::Deployment, lab::Lab, topology::Topology, traffic::wait_ping};
//!
//! # fn test(text: &str, config: &str) -> Result<(), tests::error::LabError> {
//! let topology = Topology::parse(text).expect("a good topology");
//! let weft = Deployment::start(Lab::build(topology)?)?;
//! weft.apply_text(config)?;
//! weft.attach("vm1")?;
//! weft.attach("vm2")?;
//! wait_ping(weft.lab().ns("vm1")?, "10.0.0.2".parse().expect("an address"))?;
//! # Ok(())
//! # }
//! ```
//!
//! *Invariants*
//! 1. Everything ends with its owner, also when a test panics; what a SIGKILL leaves behind is
//!    removed by the next lab ([`lab::sweep`]).
//! 2. Nothing is done to the root namespace: interfaces are made inside namespaces.

#![forbid(unsafe_code)]

pub mod checks;
pub mod daemons;
pub mod demo;
pub mod error;
pub mod frames;
pub mod gate;
pub mod guest;
pub mod hub;
pub mod inject;
pub mod lab;
pub mod lacp_partner;
pub mod link;
pub mod mutate;
pub mod netns;
pub mod ovs;
pub mod ovs_site;
pub mod packet;
pub mod patch;
pub mod pinger;
pub mod port_channel;
mod priority;
pub mod process;
mod pump;
pub mod report;
pub mod site;
pub mod sniff;
pub mod standing;
pub mod stream;
pub mod super_frame;
pub mod switch;
pub mod topology;
pub mod traffic;
pub mod wait;
pub mod wire;
