//! What a new snapshot costs the traffic: a rule comes into the list that all ports have, while
//! frames pass between two of them.
//!
//! *Where it sits:* above [`crate::tester`], which sends and counts, and [`crate::switches::weft`],
//! whose daemons are changed by the real command line.
//!
//! | module | what |
//! |---|---|
//! | [`rig`] | the daemons between the wires, and a swap |
//! | [`timeline`] | what was delivered when, and how much less during a swap; no I/O |
//! | [`run`] | the measurement |
//!
//! The supervisor and its command line run on the tester's CPU: they stand for another machine. The
//! threads of the dataplane run where the kernel lets them, as on a host.

pub mod rig;
pub mod run;
pub mod timeline;
