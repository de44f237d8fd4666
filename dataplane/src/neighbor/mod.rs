//! Which physical switch, and which port of it, is at the other end of each uplink: LLDP and CDP.
//!
//! *Where it sits:* sans-IO, beside [`crate::lacp`]. The control plane's thread gives the frames of
//! each uplink to a [`Neighbors`], and sends what one [`LldpTransmit`] an uplink asks for; time is
//! an argument. Its changes become events, its content the message `Neighbor` of
//! `proto/api/switch.proto`.
//!
//! ```text
//! announcement  a frame of either protocol as one value, in text
//! table         who was heard, until its time to live is over
//! transmit      when to say by LLDP who is here, and what
//! ```
//!
//! *Invariants:* (1) a neighbour is known from the frame that says so to the nanosecond at which
//! its time to live ends, its shutdown, or the loss of the link; (2) an uplink knows at most
//! [`NEIGHBORS_MAX`] neighbours a protocol, and tells of at most [`CHANGES_BURST`] changes at once
//! and one a second after that, whatever it hears; (3) after `poll`, `next_deadline_ns` is in the
//! future; (4) no input panics.
//!
//! *Not here:* reading and writing octets (`proto::frame::{lldp, cdp}`), sockets, and names of
//! ports: an uplink is the number of its NIC, `Ethernet3/N`.

mod announcement;
mod table;
mod transmit;

#[cfg(test)]
mod tests;

pub use announcement::{Announcement, HearError, Heard, Protocol};
pub use table::{
    CHANGES_BURST, Change, ChangeKind, Counters, Loss, NEIGHBORS_MAX, Neighbor, Neighbors,
};
pub use transmit::{Due, FAST_COUNT, INTERVAL_NS, Identity, LldpTransmit, TTL_S};

/// Nanoseconds of a second.
const SECOND_NS: u64 = 1_000_000_000;
