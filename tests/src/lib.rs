//! The lab: networks of namespaces on one machine, in which Weft is shown, tested and measured.

#![forbid(unsafe_code)]

pub mod error;
pub mod link;
pub mod netns;
pub mod process;
pub mod wait;
