//! Frame headers: parse once into a [`FrameKey`], edit tags, complete what offload left open.
//!
//! No function here allocates, but those that write whole frames away from the hot path ([`build`],
//! [`lldp`]), and none can panic on any input: a reader of bytes returns `None`, an error that says
//! what is wrong, or leaves the field empty.

#![cfg_attr(
    not(test),
    deny(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)
)]

pub mod arp;
pub mod build;
mod bytes;
pub mod cdp;
pub mod checksum;
pub mod discovery;
pub mod edit;
pub mod ethernet;
pub mod hash;
pub mod ipv4;
pub mod ipv6;
pub mod key;
pub mod l2control;
pub mod l4;
pub mod lacp;
pub mod lldp;
pub mod offload;
pub mod parse;
pub mod segment;
pub mod vlan;

pub use edit::TagEdit;
pub use hash::FlowHash;
pub use key::{Fragment, FrameKey, L3, Tag};
pub use l2control::ControlKind;
pub use offload::{Gso, GsoKind, Offload, PartialChecksum};
pub use parse::parse;
pub use segment::{SegmentError, SegmentPlan};
