//! Attacks on the running programs: spoilt frames into every kind of port, rubbish into every
//! socket, and damaged files. Needs root.
//!
//! Everything random comes from a seed that the test prints.

#[path = "e2e_hostile/corpus.rs"]
mod corpus;
#[path = "e2e_hostile/damage.rs"]
mod damage;
#[path = "e2e_hostile/descriptors.rs"]
mod descriptors;
#[path = "e2e_hostile/frames.rs"]
mod frames;
#[path = "e2e_hostile/rig.rs"]
mod rig;
#[path = "e2e_hostile/rubbish.rs"]
mod rubbish;
#[path = "e2e_hostile/sockets.rs"]
mod sockets;
