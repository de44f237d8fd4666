//! The control plane of the switch.

#![forbid(unsafe_code)]

mod attach;
mod commit;
pub mod compile;
pub mod daemon;
pub mod engine;
pub mod event;
pub mod inventory;
pub mod listen;
pub mod log;
pub mod operator;
pub mod options;
pub mod push;
pub mod revision;
mod session;
pub mod shell;
pub mod state;
pub mod store;
mod waiting;
