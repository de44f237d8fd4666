//! What the gRPC sockets of both daemons take from whoever reaches them, so that nobody can use up
//! descriptors, memory or a core: a number of connections, a time to begin, a number of calls.
//!
//! Where it sits: between a listening socket and tonic's server. It knows nothing of any service.
//!
//! Invariants:
//! 1. A [`Door`] never has more than [`Limits::connections`] connections inside.
//! 2. Who has not sent the HTTP/2 preface (RFC 9113 section 3.4) is *silent*. Silence lasts
//!    [`Limits::silence`] at most, and at a full door who is silent longest makes room for who
//!    comes. So silent connections keep nobody out; those that speak do, up to the limit.
//! 3. An established connection ends when its peer does: it is probed, however idle ([`transport`]).

mod connection;
mod door;
mod limits;
mod table;

use std::time::Duration;

pub use connection::Connection;
pub use door::{Door, Listener};
pub use limits::{Limits, raise_descriptor_limit};

/// How often an idle connection is probed, and how long the answer may take.
const KEEPALIVE: Duration = Duration::from_secs(10);

/// Calls that one connection may have open. A host has one, an operator's shell a few at a time; by
/// default there is no limit, and one connection could have us hold a session for each of its calls.
const CALLS_MAX: u32 = 64;

/// The transport of every service. The one place where TLS will be set up.
#[must_use]
pub fn transport() -> tonic::transport::Server {
    tonic::transport::Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE))
        .http2_keepalive_timeout(Some(KEEPALIVE))
        .max_concurrent_streams(CALLS_MAX)
}

#[cfg(test)]
mod tests;
