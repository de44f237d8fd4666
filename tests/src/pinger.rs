//! A ping that goes on while something is done to the network, and how long it was cut off.
//!
//! *Where it sits:* above [`crate::process`]; used by the demo and the end-to-end tests, which
//! break something and ask for the longest time without an answer.

use std::net::IpAddr;
use std::path::Path;
use std::time::Duration;

use nix::sys::signal::Signal;

use crate::error::{LabError, Result};
use crate::netns::Namespace;
use crate::process::Process;
use crate::wait::{SOON, wait_for_ok};

/// Time between two requests.
const INTERVAL: Duration = Duration::from_millis(10);

/// `ping` at work, a hundred requests a second.
#[derive(Debug)]
pub struct Pinger {
    process: Process,
    what: String,
}

/// An answer.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Reply {
    sequence: u32,
    /// Seconds since 1970.
    at: f64,
    /// Milliseconds.
    rtt: f64,
}

/// What became of the requests.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Requests that were sent.
    pub sent: u32,
    /// Requests that were answered.
    pub received: u32,
    /// The longest time between two answers.
    pub gap: Duration,
    /// Median time from request to answer.
    pub rtt: Duration,
}

impl Outcome {
    /// Requests without an answer.
    pub fn lost(&self) -> u32 {
        self.sent.saturating_sub(self.received)
    }
}

impl Pinger {
    /// Starts, and returns when the first answer has come.
    ///
    /// # Errors
    /// When no answer comes in ten seconds.
    pub fn start(from: &Namespace, to: IpAddr, log_dir: &Path) -> Result<Self> {
        let what = format!("ping from {} to {to}", from.name());
        let mut command = from.command("ping");
        let interval = INTERVAL.as_secs_f64().to_string();
        command.args(["-n", "-D", "-i", &interval, &to.to_string()]);
        let mut pinger = Self { process: Process::spawn("ping", command, log_dir)?, what };
        pinger.wait_replies(1)?;
        Ok(pinger)
    }

    /// Waits until `count` more answers have come than there are now.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when they do not come in ten seconds.
    pub fn wait_replies(&mut self, count: usize) -> Result<()> {
        let before = replies(&self.process.log()).count();
        wait_for_ok(format!("{count} answers: {}", self.what), SOON, || {
            self.process.check_running().map_err(|error| error.to_string())?;
            let now = replies(&self.process.log()).count();
            if now >= before + count { Ok(()) } else { Err(format!("{} came", now - before)) }
        })
    }

    /// Ends it, and says how it went since the start.
    ///
    /// # Errors
    /// When it has ended before, or had no answer at all.
    pub fn finish(mut self) -> Result<Outcome> {
        // The last request may be on its way: it is no loss when its answer would still come.
        self.wait_replies(1)?;
        self.process.signal(Signal::SIGINT)?;
        self.process.wait_exit(SOON)?;
        summary(&self.process.log())
            .ok_or_else(|| LabError::Unexpected(format!("{}: {}", self.what, self.process.log())))
    }
}

/// The answers in what `ping -D` has printed so far.
fn replies(log: &str) -> impl Iterator<Item = Reply> {
    // [1700000000.123456] 64 bytes from 10.0.0.2: icmp_seq=7 ttl=64 time=0.05 ms
    let value = |line: &str, name: &str| -> Option<f64> {
        let (_, rest) = line.split_once(name)?;
        rest.split(' ').next()?.parse().ok()
    };
    log.lines().filter_map(move |line| {
        let at = line.strip_prefix('[')?.split_once(']')?.0.parse().ok()?;
        let (_, sequence) = line.split_once("icmp_seq=")?;
        let sequence = sequence.split(' ').next()?.parse().ok()?;
        Some(Reply { sequence, at, rtt: value(line, "time=")? })
    })
}

fn summary(log: &str) -> Option<Outcome> {
    let replies: Vec<Reply> = replies(log).collect();
    let last = replies.last()?;
    let gaps = replies.windows(2).map(|pair| pair[1].at - pair[0].at);
    let gap = gaps.fold(0.0, f64::max);
    let mut rtts: Vec<f64> = replies.iter().map(|reply| reply.rtt).collect();
    rtts.sort_by(f64::total_cmp);
    Some(Outcome {
        // What was asked after the last answer had no time to be answered.
        sent: last.sequence,
        received: u32::try_from(replies.len()).ok()?,
        gap: Duration::try_from_secs_f64(gap).ok()?,
        rtt: Duration::try_from_secs_f64(rtts[rtts.len() / 2] / 1e3).ok()?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::link;

    #[test]
    fn answers_are_counted_and_the_longest_gap_is_found() {
        let log = "PING 10.0.0.2 (10.0.0.2) 56(84) bytes of data.\n\
            [100.000000] 64 bytes from 10.0.0.2: icmp_seq=1 ttl=64 time=0.050 ms\n\
            [100.010000] 64 bytes from 10.0.0.2: icmp_seq=2 ttl=64 time=0.070 ms\n\
            [100.260000] From 10.0.0.1 icmp_seq=3 Destination Host Unreachable\n\
            [100.510000] 64 bytes from 10.0.0.2: icmp_seq=4 ttl=64 time=0.060 ms\n\
            --- 10.0.0.2 ping statistics ---\n5 packets transmitted, 3 received\n";
        let outcome = summary(log).unwrap();
        assert_eq!((outcome.sent, outcome.received, outcome.lost()), (4, 3, 1));
        assert_eq!(outcome.gap.as_millis(), 500);
        assert_eq!(outcome.rtt, Duration::from_micros(60));
        assert_eq!(summary("nothing"), None);
    }

    #[test]
    fn a_cut_cable_is_a_gap() {
        let (a, b) = (Namespace::create("a").unwrap(), Namespace::create("b").unwrap());
        link::cable((&a, "e"), (&b, "e"), 1500).unwrap();
        link::add_address(&a, "e", "10.0.0.1/24").unwrap();
        link::add_address(&b, "e", "10.0.0.2/24").unwrap();
        let dir = tempfile::tempdir().unwrap();
        let mut pinger = Pinger::start(&a, "10.0.0.2".parse().unwrap(), dir.path()).unwrap();
        pinger.wait_replies(10).unwrap();
        link::down(&b, "e").unwrap();
        link::up(&b, "e").unwrap();
        pinger.wait_replies(10).unwrap();
        let outcome = pinger.finish().unwrap();
        assert!(outcome.received >= 21 && outcome.sent >= outcome.received, "{outcome:?}");
        assert!(outcome.gap >= INTERVAL / 2 && outcome.gap < SOON, "{outcome:?}");
    }
}
