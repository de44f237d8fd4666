//! Packet memory and poll-mode drivers: where Weft's frames live, and how they come in and go out.
//!
//! *Where it sits*: below the dataplane's workers, above the kernel. It knows `proto`'s types and
//! frames, and neither policy nor VLANs. From the bottom:
//!
//! * [`memory`]: the one mapping, its chunks and their owners ([`Frame`], [`Pool`]); [`budget`]
//!   says how large it has to be.
//! * [`burst`]: up to 64 frames. [`port`]: the trait of all ports.
//! * [`memory_port`]: a port in memory, for tests, benches and the simulator.
//! * [`control_socket`]: the frames of a NIC that speak to the switch itself.
//! * [`pcap`]: capture files, read and written, also as a port.
//! * [`conformance`]: the suite that every port must pass.
//!
//! *Invariants*: every chunk has one owner at any time and comes home when that is dropped; the
//! receive and transmit paths neither lock nor allocate; `unsafe` stands only in `memory` (chunks)
//! and where the kernel is called.

pub mod budget;
pub mod burst;
pub mod complete;
pub mod conformance;
pub mod control_socket;
pub mod ethtool;
pub mod memory;
pub mod memory_port;
pub mod pcap;
pub mod port;
pub mod tap;
pub mod xdp;
pub mod xsk;

pub use burst::{BURST_MAX, Burst};
pub use control_socket::ControlSocket;
pub use memory::{DetachedFrame, Frame, MemoryConfig, PacketMemory, Pool};
pub use port::{Capabilities, DropTally, Port, PortGone, PortKind, PortStatistics, TxReport};
