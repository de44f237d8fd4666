//! What became of the datagrams of one direction of a stream.

use std::collections::BTreeSet;
use std::fmt;
use std::time::{Duration, Instant};

use super::tally::{Tally, flow_of};
use super::{Clock, SentLog};
use crate::error::{LabError, Result};

/// A datagram that never arrived.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loss {
    /// Its flow, from 0.
    pub flow: u16,
    /// Its number in its direction, from 0.
    pub sequence: u64,
    /// When it was sent.
    pub sent_at: Instant,
}

/// The longest time in which nothing arrived of a flow while it was being sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The flow, from 0.
    pub flow: u16,
    /// The last arrival before it; the start of the stream when the flow never arrived.
    pub from: Instant,
    /// The first arrival after it; the last sending when there was none.
    pub to: Instant,
}

impl Gap {
    /// How long it was.
    pub fn length(self) -> Duration {
        self.to.saturating_duration_since(self.from)
    }
}

/// Time from sending to arrival of the datagrams that did arrive.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Latency {
    /// Half of them took at most so long.
    pub median: Duration,
    /// 99 of 100 took at most so long.
    pub p99: Duration,
    /// The slowest took so long.
    pub max: Duration,
}

/// What was wrong with an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OddKind {
    /// The datagram had arrived before.
    Duplicate,
    /// A later one of its flow had arrived before.
    OutOfOrder,
}

/// An arrival that should not have been, or not then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Odd {
    /// What was wrong.
    pub kind: OddKind,
    /// Its flow, from 0.
    pub flow: u16,
    /// Its number in its direction, from 0.
    pub sequence: u64,
    /// The highest number of its flow that had arrived.
    pub highest: u64,
    /// When it arrived.
    pub arrived_at: Instant,
}

/// What became of the datagrams of one direction. `to_string` gives it in a line.
#[derive(Debug, Clone)]
pub struct Report {
    /// Where from and where to, for messages.
    pub what: String,
    /// Datagrams sent.
    pub sent: u64,
    /// Datagrams that arrived, each counted once.
    pub received: u64,
    /// Arrivals of datagrams that had arrived before.
    pub duplicates: u64,
    /// Datagrams that arrived after a later one of their flow.
    pub reordered: u64,
    /// Sendings that the kernel refused: no route, no answer to ARP. Not counted as sent.
    pub refused: u64,
    /// From the first sending to the last.
    pub sending: Duration,
    /// Every datagram that did not arrive, by time of sending.
    pub losses: Vec<Loss>,
    /// The longest time without an arrival in a flow; `None` when there is nothing to compare.
    pub longest_gap: Option<Gap>,
    /// How long they were under way.
    pub latency: Latency,
    /// The first sixteen duplicates and reorderings.
    pub odd: Vec<Odd>,
}

impl Report {
    pub(super) fn new(what: &str, clock: Clock, log: &SentLog, mut tally: Tally) -> Self {
        // Flows are numbered by `u16` in the configuration.
        let flow = |sequence| u16::try_from(flow_of(sequence, tally.flows.len())).unwrap_or(0);
        let losses = (0..).zip(&log.sent_ns).filter(|(sequence, _)| !tally.has(*sequence));
        let losses = losses
            .map(|(sequence, sent_ns)| Loss {
                flow: flow(sequence),
                sequence,
                sent_at: clock.instant(*sent_ns),
            })
            .collect();
        let odd = tally
            .odd
            .iter()
            .map(|odd| Odd {
                kind: odd.kind,
                flow: flow(odd.sequence),
                sequence: odd.sequence,
                highest: odd.highest,
                arrived_at: clock.instant(odd.arrived_ns),
            })
            .collect();
        let first_ns = log.sent_ns.first().copied().unwrap_or(0);
        let last_ns = log.sent_ns.last().copied().unwrap_or(0);
        Self {
            what: what.to_owned(),
            sent: log.sent_ns.len() as u64,
            received: tally.received,
            duplicates: tally.duplicates,
            reordered: tally.reordered,
            refused: log.refused,
            sending: Duration::from_nanos(last_ns - first_ns),
            losses,
            odd,
            longest_gap: longest_gap(&mut tally, clock, log),
            latency: latency(&mut tally.latency_us),
        }
    }

    /// Datagrams that did not arrive.
    pub fn lost(&self) -> u64 {
        self.losses.len() as u64
    }

    /// Flows that lost a datagram.
    pub fn flows_with_losses(&self) -> BTreeSet<u16> {
        self.losses.iter().map(|loss| loss.flow).collect()
    }

    /// Datagrams sent a second; below what was asked for when the machine could not.
    pub fn rate_pps(&self) -> f64 {
        self.sent.saturating_sub(1) as f64 / self.sending.as_secs_f64().max(1e-9)
    }

    /// Time from an event to the sending of the last datagram that was lost after it; zero when
    /// none was.
    pub fn outage(&self, event: Instant) -> Duration {
        self.losses
            .last()
            .map_or(Duration::ZERO, |loss| loss.sent_at.saturating_duration_since(event))
    }

    /// Datagrams lost that were sent before an event: none of its doing.
    pub fn lost_before(&self, event: Instant) -> u64 {
        self.losses.iter().filter(|loss| loss.sent_at < event).count() as u64
    }

    /// Checks that no datagram came twice, and none after a later one of its flow.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the report and the first offenders.
    pub fn check_once_and_in_order(&self) -> Result<()> {
        if self.duplicates == 0 && self.reordered == 0 {
            return Ok(());
        }
        Err(LabError::Unexpected(format!("{self}\n{:?}", self.odd)))
    }

    /// Checks the same, and that all arrived.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with the report and the first offenders.
    pub fn check_all_arrived(&self) -> Result<()> {
        self.check_once_and_in_order()?;
        if self.losses.is_empty() && self.refused == 0 {
            return Ok(());
        }
        Err(LabError::Unexpected(self.to_string()))
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} sent ({:.0}/s), {} lost in {} flows, {} duplicates, {} reordered, {} refused",
            self.what,
            self.sent,
            self.rate_pps(),
            self.lost(),
            self.flows_with_losses().len(),
            self.duplicates,
            self.reordered,
            self.refused
        )?;
        if let [first, .., last] = self.losses.as_slice() {
            let lost_for = last.sent_at.saturating_duration_since(first.sent_at);
            write!(f, ", {lost_for:.1?} from the first lost to the last")?;
        }
        if let Some(gap) = self.longest_gap {
            write!(f, ", longest gap {:.1?} in flow {}", gap.length(), gap.flow)?;
        }
        let Latency { median, p99, max } = self.latency;
        write!(f, ", under way {median:?} (99 %: {p99:?}, at most {max:?})")
    }
}

/// The longest gap of all flows, those at the end included.
fn longest_gap(tally: &mut Tally, clock: Clock, log: &SentLog) -> Option<Gap> {
    let first_ns = *log.sent_ns.first()?;
    let flows = tally.flows.len();
    let mut longest: Option<(u16, u64, u64)> = None;
    for (number, flow) in tally.flows.iter_mut().enumerate() {
        if flow.is_silent() {
            flow.last_ns = first_ns;
        }
        let mut backwards = log.sent_ns.iter().enumerate().rev();
        if let Some((_, last_ns)) = backwards.find(|(index, _)| index % flows == number) {
            flow.pause(*last_ns);
        }
        let Some((from, to)) = flow.gap_ns else { continue };
        if longest.is_none_or(|(_, start, end)| to - from > end - start) {
            longest = Some((u16::try_from(number).unwrap_or(0), from, to));
        }
    }
    let (flow, from, to) = longest?;
    Some(Gap { flow, from: clock.instant(from), to: clock.instant(to) })
}

fn latency(latency_us: &mut [u32]) -> Latency {
    latency_us.sort_unstable();
    let at = |hundredths: usize| {
        let index = latency_us.len() * hundredths / 100;
        let us = latency_us.get(index).or(latency_us.last()).copied().unwrap_or(0);
        Duration::from_micros(u64::from(us))
    };
    Latency { median: at(50), p99: at(99), max: at(100) }
}
