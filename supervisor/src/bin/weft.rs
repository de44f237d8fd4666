//! `weft`: the command line of a Weft switch. What it does is in [`supervisor::shell`].

#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(supervisor::shell::run().code())
}
