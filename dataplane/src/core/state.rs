//! What one worker keeps from burst to burst, and across snapshots.
//!
//! *Where it sits:* a worker owns one; only its counters are read by others.

use std::sync::Arc;

use super::counters::Counters;

/// The mutable state of one worker.
#[derive(Debug, Default)]
pub struct State {
    /// Its counters, shared with readers.
    pub counters: Arc<Counters>,
}
