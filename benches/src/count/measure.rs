//! Runs this program under callgrind, and reads what it counted.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use ::tests::error::LabError;
use ::tests::process::Process;
use ::tests::wait::wait_for;
use thiserror::Error;

use super::callgrind::{Profile, ProfileError};
use super::inside::{COUNTED, END_OF_PART};
use crate::workload::cases::Case;

/// How long one case may take; it is a second on a machine that does nothing else.
const DEADLINE: Duration = Duration::from_secs(120);
/// Runs of a case. A seed by which the one address that all frames go to collides with another is
/// one of twenty, and costs a tenth.
const RUNS: usize = 3;
/// What memory is asked for by (ISO C, POSIX).
const ALLOCATORS: [&str; 5] = ["malloc", "calloc", "realloc", "aligned_alloc", "posix_memalign"];
/// The option by which the program is told to be the one that is counted.
pub const INSIDE: &str = "--inside";

/// Why there is no count.
#[derive(Debug, Error)]
pub enum CountError {
    /// Valgrind could not be run to its end.
    #[error("cannot run valgrind (apt-get install valgrind): {0}")]
    Run(#[from] LabError),
    /// The program under valgrind failed.
    #[error("{case} failed under valgrind ({status}): {log}")]
    Failed {
        /// The case.
        case: String,
        /// How it ended.
        status: std::process::ExitStatus,
        /// What it said.
        log: String,
    },
    /// A file could not be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A profile is not one.
    #[error("{case}: {source}")]
    Profile {
        /// The case.
        case: String,
        /// What is wrong with it.
        source: ProfileError,
    },
}

/// What was counted of a case.
#[derive(Clone, Debug)]
pub struct Count {
    /// Instructions a frame.
    pub per_frame: f64,
    /// Calls of the allocator, in all.
    pub allocations: u64,
    /// The longer part, for a closer look.
    pub profile: Profile,
    /// Frames of the longer part.
    pub profile_frames: u64,
}

/// Counts a case: the least of three runs, each with other seeds of its hash tables. `directory` is
/// for the files of this case alone.
///
/// # Errors
/// [`CountError`]: valgrind is missing, the case failed, or the time was up.
pub fn count(case: Case, directory: &Path) -> Result<Count, CountError> {
    let mut least = count_once(case, directory)?;
    for _ in 1..RUNS {
        let count = count_once(case, directory)?;
        if count.per_frame < least.per_frame {
            least = count;
        }
    }
    Ok(least)
}

fn count_once(case: Case, directory: &Path) -> Result<Count, CountError> {
    let name = case.name();
    let program = std::env::current_exe();
    let program = program.map_err(|source| file_error(Path::new("/proc/self/exe"), source))?;
    let profile = directory.join("callgrind");
    let mut command = Command::new("valgrind");
    command
        .args(["--quiet", "--tool=callgrind", "--dump-instr=yes"])
        .args(["--compress-strings=no", "--compress-pos=no"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(format!("--toggle-collect={COUNTED}"))
        .arg(format!("--dump-after={END_OF_PART}"))
        .arg(program)
        .args([INSIDE, &name]);
    let mut process = Process::spawn("valgrind", command, directory)?;
    let status =
        wait_for(format!("the end of {name}"), DEADLINE, || process.exit_status().transpose())??;
    let log = process.log();
    let Some(frames) = log.trim().parse().ok().filter(|_| status.success()) else {
        return Err(CountError::Failed { case: name, status, log });
    };
    let part = |number| read(&profile.with_extension(number), &name);
    Ok(difference(&part("1")?, part("2")?, frames))
}

/// What the frames of the first part cost, once its fixed costs are taken off; the second part is
/// twice as long.
fn difference(first: &Profile, second: Profile, frames: u64) -> Count {
    Count {
        per_frame: (second.total as f64 - first.total as f64) / frames as f64,
        allocations: first.calls_of(&ALLOCATORS) + second.calls_of(&ALLOCATORS),
        profile: second,
        profile_frames: 2 * frames,
    }
}

fn read(path: &Path, case: &str) -> Result<Profile, CountError> {
    let text = fs::read_to_string(path).map_err(|source| file_error(path, source))?;
    Profile::parse(&text).map_err(|source| CountError::Profile { case: case.to_owned(), source })
}

pub(super) fn file_error(path: &Path, source: std::io::Error) -> CountError {
    CountError::File { path: path.to_owned(), source }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fixed_costs_cancel_out() {
        let profile = |total| Profile { total, ..Profile::default() };
        let count = difference(&profile(77 + 1000), profile(77 + 2000), 10);
        assert!((count.per_frame - 100.0).abs() < 1e-9, "{}", count.per_frame);
        assert_eq!((count.allocations, count.profile_frames), (0, 20));
    }
}
