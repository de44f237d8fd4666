//! What can go wrong in the tester.

use tests::error::LabError;
use thiserror::Error;

use crate::bpf::BpfError;

/// Why the tester does not do its work.
#[derive(Debug, Error)]
pub enum TesterError {
    /// A BPF program or map.
    #[error(transparent)]
    Bpf(#[from] BpfError),
    /// A namespace or an interface; or the run was interrupted.
    #[error(transparent)]
    Lab(#[from] LabError),
    /// The traffic cannot be made.
    #[error("cannot send this traffic: {0}")]
    Traffic(String),
    /// The thread of the generator.
    #[error("the generator: {0}")]
    Generator(String),
}
