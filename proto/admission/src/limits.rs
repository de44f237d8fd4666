//! How many connections a listener may have, by what it is for and what the system grants.

use std::time::Duration;

use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// What a silent connection is given: a client that runs sends its preface in its first packet, and
/// a packet that was lost twice is there within three seconds (RFC 6298).
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// The part of all descriptors that one listener may use: files, devices and the other listener
/// need theirs.
const DESCRIPTORS_PART: u64 = 4;

/// What a [`Door`](crate::Door) allows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at a time, at least 1.
    pub connections: usize,
    /// How long a connection may take to send the HTTP/2 preface.
    pub silence: Duration,
}

impl Limits {
    /// At most `connections`, and at most a quarter of the `descriptors` that the process may have.
    #[must_use]
    pub fn within(connections: usize, descriptors: u64) -> Self {
        let part = usize::try_from(descriptors / DESCRIPTORS_PART).unwrap_or(usize::MAX);
        Self { connections: connections.min(part).max(1), silence: SILENCE_MAX }
    }
}

/// Raises the process's limit of descriptors (`RLIMIT_NOFILE`, getrlimit(2)) to the most that it may
/// have, and gives it. The usual soft limit of 1,024 is there for programs that call select(2).
///
/// # Errors
/// The system refuses.
pub fn raise_descriptor_limit() -> std::io::Result<u64> {
    let (soft, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    if soft < hard {
        setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?;
    }
    Ok(hard)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_gets_what_it_asks_for_up_to_a_quarter_of_the_descriptors() {
        for (wanted, descriptors, granted) in
            [(128, 1 << 20, 128), (4096, 1024, 256), (128, 64, 16), (128, 3, 1), (0, 64, 1)]
        {
            assert_eq!(Limits::within(wanted, descriptors).connections, granted);
        }
        assert_eq!(Limits::within(7, u64::MAX).connections, 7);
    }

    #[test]
    fn the_soft_limit_becomes_the_hard_one() {
        let descriptors = raise_descriptor_limit().unwrap();
        assert_eq!(getrlimit(Resource::RLIMIT_NOFILE).unwrap(), (descriptors, descriptors));
    }
}
