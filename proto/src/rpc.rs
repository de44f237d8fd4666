//! The gRPC schema and its generated code (`api/*.proto`).
//!
//! Messages hold plain strings and integers; they become policy values in exactly one file on each
//! side (`supervisor/src/push/encode.rs`, `dataplane/src/agent/decode.rs`).

#![allow(missing_docs, unreachable_pub, clippy::all, clippy::pedantic)]

/// The session between dataplane and supervisor.
pub mod switch {
    tonic::include_proto!("weft.switch.v1");
}

/// The operator's API of a supervisor.
pub mod operator {
    tonic::include_proto!("weft.operator.v1");
}

/// The local API of a dataplane.
pub mod local {
    tonic::include_proto!("weft.local.v1");
}

/// The version of the dataplane protocol that this tree speaks.
pub const PROTOCOL_VERSION: u32 = 1;
