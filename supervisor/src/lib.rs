//! The control plane of the switch.

#![forbid(unsafe_code)]

pub mod inventory;
pub mod revision;
pub mod store;
