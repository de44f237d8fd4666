//! What is delivered of what is offered, for some time.

use super::{Timing, drain, pause, then_stop};
use crate::tester::{Tester, TesterError, Traffic, Window};

/// Sends `traffic` and counts while it goes on, after a warm-up; then waits for the rest.
///
/// Frames in the switch at the beginning and at the end of the window are not accounted for: at the
/// rates measured here some hundreds in millions. To count losses, see [`super::trial`].
///
/// # Errors
/// When the tester fails.
pub fn measure(
    tester: &mut Tester,
    traffic: &Traffic,
    timing: Timing,
) -> Result<Window, TesterError> {
    let window = then_stop(tester, |tester| {
        tester.start(traffic)?;
        pause(timing.warm_up)?;
        let before = tester.read()?;
        pause(timing.window)?;
        Ok(tester.read()?.since(&before))
    })?;
    drain(tester)?;
    Ok(window)
}
