//! Frame headers: parse once into a [`FrameKey`], edit tags, complete what offload left open.
//!
//! No function here allocates, and none can panic on any input: a reader of bytes returns `None`
//! or leaves the field empty.

pub mod key;
pub mod offload;

pub use key::{Fragment, FrameKey, L3, Tag};
pub use offload::{Gso, GsoKind, Offload, PartialChecksum};
