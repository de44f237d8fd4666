//! The control plane of the switch: configuration goes in, every host gets what it has to know.
//!
//! ```text
//! weft (shell) ==gRPC==> operator --.                            .-> store: durable, then
//!                                    >- Event -> state -Effect -<
//! hosts ==gRPC==> push::stream -----'   (commit)                 '-> push::encode ==gRPC==> hosts
//! ```
//!
//! Where it sits: above `policy`, which says what configuration means, and `proto`, which has the
//! schema. The programs are `weft-supervisor` ([`daemon`]) and `weft` ([`shell`]).
//!
//! Invariants:
//! 1. [`state`] is sans-IO: events and the time go in, effects come out; [`engine`] alone carries
//!    them out, one after the other, on one thread.
//! 2. Only `commit.rs` changes intent, and what it changes is durable before anybody hears of it.
//! 3. Only `push/encode.rs` knows both policy values and messages to dataplanes.
//!
//! Not here: forwarding. Hosts go on without a supervisor.

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
pub mod report;
pub mod revision;
mod session;
pub mod shell;
pub mod state;
pub mod store;
mod waiting;
pub mod watch;
