//! The command `weft`: words to rpcs, replies to text.
//!
//! Where it sits: `src/bin/weft.rs` calls [`run`]; the rest of the crate does not know it, and it
//! knows of the rest only the language's renderer. What a show command prints is in a file of its
//! own under `show/`, a pure function of the reply, with its golden output beside.

mod apply;
mod client;
mod exec;
pub mod grammar;
pub mod show;
mod table;
mod time;
mod uplinks;

use std::io;

pub use exec::run;

/// How a command ended, as an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// It was done.
    Done,
    /// The supervisor, a host or the user said no.
    Refused,
    /// It could not be asked: a file, the connection.
    Failed,
}

impl Exit {
    /// 0, 1 or 2.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Refused => 1,
            Self::Failed => 2,
        }
    }
}

/// Why a command did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum ShellError {
    /// `--server` is not an address.
    #[error("`{0}` is not a server, expected unix:PATH or http://HOST:PORT")]
    Server(String),
    /// Nobody answers.
    #[error("cannot reach the supervisor at {server}: {reason} (hosts forward on without it)")]
    Connect {
        /// The address.
        server: String,
        /// What the system said.
        reason: String,
    },
    /// The supervisor said no.
    #[error("{0}")]
    Refused(String),
    /// The connection ended before the answer.
    #[error("the supervisor did not answer: {0}")]
    Lost(String),
    /// A file cannot be read.
    #[error("cannot read {file}: {source}")]
    File {
        /// The file.
        file: String,
        /// What the system said.
        source: io::Error,
    },
    /// The output cannot be written.
    #[error("cannot write the output: {0}")]
    Output(#[from] io::Error),
    /// The reply cannot be written as JSON.
    #[error("cannot write the reply as JSON: {0}")]
    Json(#[from] serde_json::Error),
}

impl ShellError {
    /// How the command ends because of it.
    #[must_use]
    pub fn exit(&self) -> Exit {
        match self {
            Self::Refused(_) => Exit::Refused,
            // `weft show ... | head` is fine.
            Self::Output(e) if e.kind() == io::ErrorKind::BrokenPipe => Exit::Done,
            _ => Exit::Failed,
        }
    }
}

impl From<tonic::Status> for ShellError {
    fn from(status: tonic::Status) -> Self {
        use tonic::Code;
        match status.code() {
            Code::Unavailable | Code::Unknown | Code::Cancelled | Code::DeadlineExceeded => {
                Self::Lost(status.message().to_owned())
            }
            _ => Self::Refused(status.message().to_owned()),
        }
    }
}
