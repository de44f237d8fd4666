//! What can go wrong while a lab is built, run or taken down.
//!
//! One enum for the whole rig: its users are tests and the `lab` program, which print it and stop.

use std::io;
use std::time::Duration;

use thiserror::Error;

/// Result of everything in this crate.
pub type Result<T, E = LabError> = std::result::Result<T, E>;

/// Why the lab could not do what it was told.
#[derive(Debug, Error)]
pub enum LabError {
    /// A program (`ip`, `ethtool`, `ping`, a daemon's command line) ended with an error.
    #[error("`{command}` failed ({status}): {stderr}")]
    Command {
        /// The command line.
        command: String,
        /// Exit code or signal, as the system prints it.
        status: String,
        /// What it wrote to stderr (stdout when stderr is empty), trimmed.
        stderr: String,
    },
    /// A system call failed.
    #[error("{action}: {source}")]
    Io {
        /// What was being done, with the name of the thing.
        action: String,
        /// The system's answer.
        source: io::Error,
    },
    /// A condition did not come true before its deadline.
    #[error("waited {waited:?} in vain for {what}{}", last_seen(last))]
    Timeout {
        /// The condition.
        what: String,
        /// The time that was given.
        waited: Duration,
        /// What was seen last, or empty.
        last: String,
    },
    /// The topology file cannot be read or means nothing that can be built.
    #[error("{file}:\n  {}", problems.join("\n  "))]
    Topology {
        /// Path of the file, or what stands for it.
        file: String,
        /// Every problem found.
        problems: Vec<String>,
    },
    /// A name that the lab does not have.
    #[error("no {kind} `{name}` in this lab; there are: {known}")]
    Unknown {
        /// What kind of thing was looked for (`node`, `host`, `interface`, ...).
        kind: &'static str,
        /// The name that was given.
        name: String,
        /// The names that exist, separated by commas.
        known: String,
    },
    /// A program of the product is not where the lab looks for it.
    #[error("no program `{name}` in {dir}: build it (`make build`), or set WEFT_BIN_DIR")]
    NoBinary {
        /// File name of the program.
        name: String,
        /// The folder that was searched.
        dir: String,
    },
    /// The user ended the program.
    #[error("interrupted")]
    Interrupted,
    /// What came back is not what was expected of a working lab or switch.
    #[error("{0}")]
    Unexpected(String),
}

impl LabError {
    /// Wraps an I/O error with what was being done.
    pub fn io(action: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let action = action.into();
        move |source| Self::Io { action, source }
    }

    /// Wraps an `errno` with what was being done.
    pub fn errno(action: impl Into<String>) -> impl FnOnce(nix::Error) -> Self {
        let action = action.into();
        move |errno| Self::Io { action, source: errno.into() }
    }
}

fn last_seen(last: &str) -> String {
    if last.is_empty() { String::new() } else { format!("; last seen: {last}") }
}
