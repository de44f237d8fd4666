//! What is measured with a [`Tester`]: rates, throughput, behaviour at overload, latency.
//!
//! | module | what |
//! |---|---|
//! | [`rate`] | what is delivered of what is offered, for some time |
//! | [`trial`] | one rate, and every frame of it accounted for |
//! | [`search`] | which rate to try next; no I/O |
//! | [`throughput`] | the highest rate without loss (RFC 2544, clause 26.1) |
//! | [`overload`] | what is delivered when more is offered than can be |
//! | [`latency`] | round-trip times under load |
//!
//! *Invariants*
//! 1. A measurement ends the generator, also when it fails.
//! 2. A measurement lasts as long as its [`Timing`] says, and ends early when it is interrupted
//!    ([`tests::wait::interrupt`]).

pub mod latency;
pub mod overload;
pub mod rate;
pub mod search;
pub mod throughput;
pub mod trial;

use std::thread;
use std::time::{Duration, Instant};

use tests::wait::check_interrupt;

use crate::tester::{Tester, TesterError};

/// How long a measurement takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timing {
    /// For caches to fill and queues to settle; not counted.
    pub warm_up: Duration,
    /// What is counted.
    pub window: Duration,
}

impl Timing {
    /// Of the rates in a report.
    pub const STANDARD: Self =
        Self { warm_up: Duration::from_millis(500), window: Duration::from_secs(2) };
}

/// Nothing must arrive for this long before the queues of a switch count as empty. RFC 2544, clause
/// 23, has two seconds; no queue here is deeper than some milliseconds.
const SILENCE: Duration = Duration::from_millis(50);
/// How long is waited for it.
const SILENCE_DEADLINE: Duration = Duration::from_secs(2);
/// Between two looks for an interrupt.
const LOOK_INTERVAL: Duration = Duration::from_millis(20);

/// Lets time pass.
fn pause(time: Duration) -> Result<(), TesterError> {
    let end = Instant::now() + time;
    loop {
        check_interrupt()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(LOOK_INTERVAL));
    }
}

/// Waits until what is on its way has arrived, once nothing more is offered. Gives up after two
/// seconds: then a switch sends what nobody offered, and the numbers will show it.
fn drain(tester: &mut Tester) -> Result<(), TesterError> {
    let start = Instant::now();
    let mut last = tester.read()?;
    while start.elapsed() < SILENCE_DEADLINE {
        pause(SILENCE)?;
        let now = tester.read()?;
        if now.delivered == last.delivered {
            break;
        }
        last = now;
    }
    Ok(())
}

/// Does something, and ends the generator however that went.
fn then_stop<T>(
    tester: &mut Tester,
    measure: impl FnOnce(&mut Tester) -> Result<T, TesterError>,
) -> Result<T, TesterError> {
    let result = measure(tester);
    let stopped = tester.stop();
    let value = result?;
    stopped?;
    Ok(value)
}
