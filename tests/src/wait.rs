//! Waiting for a condition, with a deadline: the only place of the lab and its tests that sleeps.
//!
//! A test never guesses how long something takes. It says what must become true and when it gives
//! up; the error says what was seen last. To show that something does *not* happen, send a marker
//! behind it by the same path and wait for the marker (see [`crate::sniff`]).

use std::sync::{Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::error::{LabError, Result};

/// Deadline for what a healthy machine does in milliseconds: long enough for a busy one.
pub const SOON: Duration = Duration::from_secs(10);

/// Pause between two looks at the condition.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// Set once, by the signal thread of the `lab` program.
static INTERRUPTED: Mutex<bool> = Mutex::new(false);
static INTERRUPT: Condvar = Condvar::new();

/// Makes every wait of this process, present and future, end with [`LabError::Interrupted`], so
/// that the caller unwinds and takes its lab down.
pub fn interrupt() {
    *INTERRUPTED.lock().unwrap_or_else(PoisonError::into_inner) = true;
    INTERRUPT.notify_all();
}

/// Returns when [`interrupt`] was called.
pub fn wait_interrupt() {
    let mut interrupted = INTERRUPTED.lock().unwrap_or_else(PoisonError::into_inner);
    while !*interrupted {
        interrupted = INTERRUPT.wait(interrupted).unwrap_or_else(PoisonError::into_inner);
    }
}

/// Fails once [`interrupt`] was called: for loops that do long things between two waits.
///
/// # Errors
/// [`LabError::Interrupted`].
pub fn check_interrupt() -> Result<()> {
    let interrupted = *INTERRUPTED.lock().unwrap_or_else(PoisonError::into_inner);
    if interrupted { Err(LabError::Interrupted) } else { Ok(()) }
}

/// Lets time pass, for what is measured over a time.
///
/// # Errors
/// [`LabError::Interrupted`], as soon as [`interrupt`] is called.
pub fn pause(time: Duration) -> Result<()> {
    let interrupted = INTERRUPTED.lock().unwrap_or_else(PoisonError::into_inner);
    let waited = INTERRUPT.wait_timeout_while(interrupted, time, |interrupted| !*interrupted);
    let (interrupted, _) = waited.unwrap_or_else(PoisonError::into_inner);
    if *interrupted { Err(LabError::Interrupted) } else { Ok(()) }
}

/// Looks until `probe` gives a value.
///
/// # Errors
/// [`LabError::Timeout`] when the deadline has passed. The condition is looked at once more after
/// the last pause, so a deadline of zero means "now".
pub fn wait_for<T>(
    what: impl Into<String>,
    deadline: Duration,
    mut probe: impl FnMut() -> Option<T>,
) -> Result<T> {
    wait_for_ok(what, deadline, || probe().ok_or(""))
}

/// Looks until `probe` succeeds; its last error goes into the timeout's message.
///
/// # Errors
/// [`LabError::Timeout`] when the deadline has passed.
pub fn wait_for_ok<T, E: std::fmt::Display>(
    what: impl Into<String>,
    deadline: Duration,
    mut probe: impl FnMut() -> std::result::Result<T, E>,
) -> Result<T> {
    wait_even_when_interrupted(what, deadline, || match check_interrupt() {
        Ok(()) => probe().map(Ok),
        Err(interrupted) => Ok(Err(interrupted)),
    })?
}

/// As [`wait_for_ok`], but for clean-up: goes on after [`interrupt`].
pub(crate) fn wait_even_when_interrupted<T, E: std::fmt::Display>(
    what: impl Into<String>,
    deadline: Duration,
    mut probe: impl FnMut() -> std::result::Result<T, E>,
) -> Result<T> {
    let start = Instant::now();
    loop {
        let last_look = start.elapsed() >= deadline;
        match probe() {
            Ok(value) => return Ok(value),
            Err(error) if last_look => {
                return Err(LabError::Timeout {
                    what: what.into(),
                    waited: deadline,
                    last: error.to_string(),
                });
            }
            Err(_) => thread::sleep(POLL_INTERVAL),
        }
    }
}

/// Looks until `condition` is true.
///
/// # Errors
/// [`LabError::Timeout`] when the deadline has passed.
pub fn wait_until(
    what: impl Into<String>,
    deadline: Duration,
    mut condition: impl FnMut() -> bool,
) -> Result<()> {
    wait_for(what, deadline, || condition().then_some(()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_value_comes_through_as_soon_as_it_is_there() {
        let mut looks = 0;
        let value = wait_for("third look", SOON, || {
            looks += 1;
            (looks == 3).then_some(looks)
        });
        assert_eq!(value.unwrap(), 3);
    }

    #[test]
    fn a_timeout_says_what_was_seen_last() {
        let error = wait_for_ok::<(), _>("the port", Duration::ZERO, || Err("state is down"));
        assert_eq!(
            error.unwrap_err().to_string(),
            "waited 0ns in vain for the port; last seen: state is down"
        );
    }
}
