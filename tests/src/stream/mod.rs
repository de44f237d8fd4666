//! Numbered UDP datagrams both ways at a steady rate, while something is done to the network; and
//! what became of each of them.
//!
//! *Where it sits:* beside [`crate::pinger`], for tests of failover: they ask how many datagrams
//! were lost, came twice or out of order, and how long after an event the last one was lost.
//!
//! *Invariants*
//! 1. A datagram has its number, its flow and the time of its sending in it. Flows differ by their
//!    source port and take turns, so each member of a port-channel carries some of them.
//! 2. Arrival is when the kernel received it (`SO_TIMESTAMPNS`), not when a thread got to it.
//! 3. A number is used up only by a datagram that the kernel took: what it refuses (no route, no
//!    answer to ARP) is counted apart and never lost.
//! 4. A sender that was held up sends at most [`BURST_MAX`] datagrams at once and slips its
//!    schedule, so that loss is the network's and not that of a queue behind a burst of its own.
//! 5. No datagram waits for ARP or neighbour discovery: entries are held while a stream runs.
//!
//! ```no_run
//! use std::time::Duration;
//! use tests::stream::{Stream, StreamConfig};
//! # fn test(a: &tests::netns::Namespace, b: &tests::netns::Namespace, patch: &tests::patch::Patch)
//! # -> Result<(), tests::error::LabError> {
//! let ends = [(a, "10.0.0.1".parse().expect("a")), (b, "10.0.0.2".parse().expect("b"))];
//! let stream = Stream::start(ends, &StreamConfig::default())?;
//! stream.run(Duration::from_secs(1))?;
//! let cut = patch.pull(tests::patch::End::A)?;
//! stream.run(Duration::from_secs(1))?;
//! for report in stream.finish()? {
//!     report.check_once_and_in_order()?;
//!     assert!(report.outage(cut.not_before) < Duration::from_millis(20), "{report}");
//! }
//! # Ok(())
//! # }
//! ```

mod neighbour;
mod report;
mod socket;
mod tally;

use std::collections::BTreeSet;
use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use nix::errno::Errno;
use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};

use self::neighbour::Neighbour;
pub use self::report::{Gap, Latency, Loss, Odd, OddKind, Report};
use self::socket::Receiver;
use self::tally::Tally;
use crate::error::{LabError, Result};
use crate::netns::Namespace;
use crate::priority::put_thread_ahead;
use crate::wait::{SOON, wait_for_ok, wait_until};

/// The most datagrams that are sent at once.
pub const BURST_MAX: u32 = 128;

/// Time between two looks at what is due, and between two looks at what has arrived.
const SEND_TICK: Duration = Duration::from_micros(250);
const RECEIVE_TICK: Duration = Duration::from_millis(1);

/// For so long nothing may arrive before the last datagram counts as arrived or lost.
const QUIET: Duration = Duration::from_millis(250);

/// Number of streams so far: part of every datagram, so that each hears its own alone.
static NEXT: AtomicU32 = AtomicU32::new(0);

/// What is sent, in each of the two directions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StreamConfig {
    /// Datagrams a second, of all flows together.
    pub rate_pps: u32,
    /// Number of flows.
    pub flows: u16,
    /// Length of a datagram's data in bytes; at least [`StreamConfig::PAYLOAD_LEN_MIN`].
    pub payload_bytes: usize,
    /// Destination port; flow `n` comes from port `port + 1 + n`.
    pub port: u16,
}

impl StreamConfig {
    /// What a datagram needs for its number, its flow and its time.
    pub const PAYLOAD_LEN_MIN: usize = Header::LEN;
}

impl Default for StreamConfig {
    /// 20,000 datagrams a second of 64 bytes in 16 flows.
    fn default() -> Self {
        Self { rate_pps: 20_000, flows: 16, payload_bytes: 64, port: 20_000 }
    }
}

/// The head of every datagram.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Header {
    /// Number of the stream and of its direction.
    stream: u64,
    /// Number in its direction, from 0; flow is `sequence % flows`. [`Header::HELLO`] is none.
    sequence: u64,
    /// Nanoseconds since the stream's epoch; the flow's number in a hello.
    sent_ns: u64,
}

impl Header {
    const LEN: usize = 24;
    /// In place of a number: "is there a way through for this flow?"
    const HELLO: u64 = u64::MAX;

    fn write(self, datagram: &mut [u8]) {
        let words = [self.stream, self.sequence, self.sent_ns];
        for (bytes, word) in datagram.chunks_exact_mut(8).zip(words) {
            bytes.copy_from_slice(&word.to_be_bytes());
        }
    }

    fn read(datagram: &[u8]) -> Option<Self> {
        let word = |at: usize| Some(u64::from_be_bytes(*datagram.get(at..)?.first_chunk()?));
        Some(Self { stream: word(0)?, sequence: word(8)?, sent_ns: word(16)? })
    }
}

/// Datagrams under way in both directions; they end on drop.
#[derive(Debug)]
pub struct Stream {
    /// From the first end to the second, and back.
    halves: [Half; 2],
    _neighbours: Vec<Neighbour>,
}

impl Stream {
    /// Starts to send both ways between two ends, each a namespace and its address, as soon as
    /// every flow has been seen to come through in both directions.
    ///
    /// # Errors
    /// When an address is not the namespace's, a port is taken, or a flow does not come through
    /// within ten seconds.
    pub fn start(ends: [(&Namespace, IpAddr); 2], config: &StreamConfig) -> Result<Self> {
        let clock = Clock::start();
        let number = u64::from(NEXT.fetch_add(1, Ordering::Relaxed));
        let stream = u64::from(std::process::id()) << 32 | number << 1;
        let [a, b] = ends;
        let there = Half::open(a, b, stream, clock, config)?;
        let mut halves = [there, Half::open(b, a, stream + 1, clock, config)?];
        for half in &halves {
            half.wait_heard(SOON)?;
        }
        let there = Neighbour::hold(a.0, b.1)?;
        let back = Neighbour::hold(b.0, a.1)?;
        for half in &mut halves {
            half.send()?;
        }
        Ok(Self { halves, _neighbours: there.into_iter().chain(back).collect() })
    }

    /// Waits while it runs.
    ///
    /// # Errors
    /// When it was interrupted, or a thread has ended.
    pub fn run(&self, duration: Duration) -> Result<()> {
        let end = Instant::now() + duration;
        wait_until("the stream to run", duration + SOON, || Instant::now() >= end)?;
        self.check_running()
    }

    /// Waits until `count` more datagrams than now have arrived in each direction.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when they do not come.
    pub fn wait_received(&self, count: u64, deadline: Duration) -> Result<()> {
        let before = self.received();
        wait_for_ok(format!("{count} more datagrams each way"), deadline, || {
            let [there, back] = self.received();
            let came = [there - before[0], back - before[1]];
            if came.iter().all(|came| *came >= count) { Ok(()) } else { Err(format!("{came:?}")) }
        })?;
        self.check_running()
    }

    /// Datagrams sent so far, there and back.
    pub fn sent(&self) -> [u64; 2] {
        self.halves.each_ref().map(|half| half.shared.sent.load(Ordering::Relaxed))
    }

    /// Datagrams that have arrived so far, there and back, duplicates included.
    pub fn received(&self) -> [u64; 2] {
        self.halves.each_ref().map(|half| half.shared.arrived.load(Ordering::Relaxed))
    }

    /// Stops to send, waits for what is under way, and says what became of all: there, and back.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when datagrams do not cease to arrive; when a thread has failed.
    pub fn finish(self) -> Result<[Report; 2]> {
        for half in &self.halves {
            half.shared.stop_sending.store(true, Ordering::Relaxed);
        }
        let mut quiet = (self.received(), Instant::now());
        wait_until("datagrams to cease", SOON, || {
            let received = self.received();
            if received != quiet.0 {
                quiet = (received, Instant::now());
            }
            quiet.1.elapsed() >= QUIET
        })?;
        let [there, back] = self.halves;
        Ok([there.finish()?, back.finish()?])
    }

    fn check_running(&self) -> Result<()> {
        if self.halves.iter().any(Half::ended) {
            return Err(LabError::Unexpected("a thread of a stream has ended".to_owned()));
        }
        Ok(())
    }
}

/// The beginning of time, on both clocks.
#[derive(Debug, Clone, Copy)]
struct Clock {
    epoch: Instant,
    /// The same instant since 1970, for the kernel's time stamps.
    epoch_real_ns: u64,
}

impl Clock {
    fn start() -> Self {
        let real = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Self { epoch: Instant::now(), epoch_real_ns: nanoseconds(real) }
    }

    fn now_ns(self) -> u64 {
        nanoseconds(self.epoch.elapsed())
    }

    fn instant(self, ns: u64) -> Instant {
        self.epoch + Duration::from_nanos(ns)
    }
}

/// 584 years fit.
fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// What the threads of a direction and the owner share.
#[derive(Debug, Default)]
struct Shared {
    stop_sending: AtomicBool,
    stop_receiving: AtomicBool,
    sent: AtomicU64,
    arrived: AtomicU64,
    /// Flows whose hello came through.
    heard: Mutex<BTreeSet<u64>>,
}

impl Shared {
    fn heard(&self) -> MutexGuard<'_, BTreeSet<u64>> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What was sent.
#[derive(Debug, Default)]
struct SentLog {
    /// When each datagram was sent, by its number.
    sent_ns: Vec<u64>,
    /// Datagrams that the kernel refused.
    refused: u64,
}

/// One direction.
#[derive(Debug)]
struct Half {
    what: String,
    stream: u64,
    config: StreamConfig,
    clock: Clock,
    shared: Arc<Shared>,
    /// A socket for each flow, connected, until the sender's thread has them.
    sockets: Vec<UdpSocket>,
    sender: Option<JoinHandle<io::Result<SentLog>>>,
    receiver: Option<JoinHandle<io::Result<Tally>>>,
}

impl Half {
    fn open(
        from: (&Namespace, IpAddr),
        to: (&Namespace, IpAddr),
        stream: u64,
        clock: Clock,
        config: &StreamConfig,
    ) -> Result<Self> {
        let ((from_ns, source), (to_ns, destination)) = (from, to);
        let what = format!("stream from {source} in {} to {destination}", from_ns.name());
        let failed = || LabError::io(what.clone());
        let to = SocketAddr::new(destination, config.port);
        let mut receiver = to_ns.run(|| Receiver::bind(to, clock))?.map_err(failed())?;
        let connect = |flow: u16| {
            let port = config.port.saturating_add(1).saturating_add(flow);
            let socket = UdpSocket::bind(SocketAddr::new(source, port))?;
            socket.connect(to).map(|()| socket)
        };
        let sockets: io::Result<_> = from_ns.run(|| (0..config.flows).map(connect).collect())?;
        let sockets = sockets.map_err(failed())?;
        let shared = Arc::new(Shared::default());
        let thread = {
            let shared = Arc::clone(&shared);
            let tally = Tally::new(u64::from(config.flows));
            let timer = ticks(RECEIVE_TICK).map_err(failed())?;
            thread::spawn(move || receive(&mut receiver, stream, tally, &timer, &shared))
        };
        let receiver = Some(thread);
        let config = *config;
        Ok(Self { what, stream, config, clock, shared, sockets, sender: None, receiver })
    }

    /// Sends hellos until each flow's has come through.
    fn wait_heard(&self, deadline: Duration) -> Result<()> {
        let mut datagram = vec![0; self.config.payload_bytes.max(Header::LEN)];
        wait_for_ok(format!("{}: a way through", self.what), deadline, || {
            for (flow, socket) in (0..).zip(&self.sockets) {
                if self.shared.heard().contains(&flow) {
                    continue;
                }
                Header { stream: self.stream, sequence: Header::HELLO, sent_ns: flow }
                    .write(&mut datagram);
                // What is refused (nobody answers ARP yet) is sent again.
                socket.send(&datagram).map_err(|error| error.to_string())?;
            }
            let (heard, flows) = (self.shared.heard().len(), self.sockets.len());
            if heard == flows { Ok(()) } else { Err(format!("{heard} of {flows} flows heard")) }
        })
    }

    /// Starts to send.
    fn send(&mut self) -> Result<()> {
        let sender = Sender {
            stream: self.stream,
            sockets: std::mem::take(&mut self.sockets),
            datagram: vec![0; self.config.payload_bytes.max(Header::LEN)],
            rate_pps: f64::from(self.config.rate_pps),
            clock: self.clock,
            timer: ticks(SEND_TICK).map_err(LabError::io(self.what.clone()))?,
            shared: Arc::clone(&self.shared),
        };
        self.sender = Some(thread::spawn(move || sender.run()));
        Ok(())
    }

    /// Whether a thread has ended that should not have.
    fn ended(&self) -> bool {
        self.sender.as_ref().is_none_or(JoinHandle::is_finished)
            || self.receiver.as_ref().is_none_or(JoinHandle::is_finished)
    }

    fn finish(mut self) -> Result<Report> {
        let log = join(self.sender.take(), &self.what)?;
        self.shared.stop_receiving.store(true, Ordering::Relaxed);
        let tally = join(self.receiver.take(), &self.what)?;
        Ok(Report::new(&self.what, self.clock, &log, tally))
    }
}

impl Drop for Half {
    fn drop(&mut self) {
        self.shared.stop_sending.store(true, Ordering::Relaxed);
        self.shared.stop_receiving.store(true, Ordering::Relaxed);
        let sent = self.sender.take().is_none_or(|thread| thread.join().is_ok());
        let received = self.receiver.take().is_none_or(|thread| thread.join().is_ok());
        if !sent || !received {
            eprintln!("lab: a thread of a stream panicked: {}", self.what);
        }
    }
}

fn join<T>(thread: Option<JoinHandle<io::Result<T>>>, what: &str) -> Result<T> {
    let ended = || LabError::Unexpected(format!("{what}: it has ended"));
    match thread.ok_or_else(ended)?.join() {
        Ok(result) => result.map_err(LabError::io(what.to_owned())),
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

/// A timer that expires again and again.
fn ticks(interval: Duration) -> io::Result<TimerFd> {
    let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, TimerFlags::TFD_CLOEXEC)?;
    let every = Expiration::Interval(TimeSpec::from_duration(interval));
    timer.set(every, TimerSetTimeFlags::empty())?;
    Ok(timer)
}

/// What a sender's thread works with.
struct Sender {
    stream: u64,
    sockets: Vec<UdpSocket>,
    datagram: Vec<u8>,
    rate_pps: f64,
    clock: Clock,
    timer: TimerFd,
    shared: Arc<Shared>,
}

impl Sender {
    fn run(mut self) -> io::Result<SentLog> {
        put_thread_ahead();
        let mut log = SentLog::default();
        let mut last = Instant::now();
        let mut due = 0.0;
        while !self.shared.stop_sending.load(Ordering::Relaxed) {
            self.timer.wait()?;
            let now = Instant::now();
            due += self.rate_pps * (now - last).as_secs_f64();
            due = due.min(f64::from(BURST_MAX));
            last = now;
            while due >= 1.0 {
                due -= 1.0;
                self.send_next(&mut log)?;
            }
            self.shared.sent.store(log.sent_ns.len() as u64, Ordering::Relaxed);
        }
        Ok(log)
    }

    fn send_next(&mut self, log: &mut SentLog) -> io::Result<()> {
        let number = log.sent_ns.len();
        let sent_ns = self.clock.now_ns();
        Header { stream: self.stream, sequence: number as u64, sent_ns }.write(&mut self.datagram);
        match self.sockets[number % self.sockets.len()].send(&self.datagram) {
            Ok(_) => log.sent_ns.push(sent_ns),
            Err(error) if is_refusal(&error) => log.refused += 1,
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Whether the kernel refused one datagram, or passed on what the network said of one before, and
/// the socket goes on.
fn is_refusal(error: &io::Error) -> bool {
    let errno = Errno::from_raw(error.raw_os_error().unwrap_or(0));
    matches!(
        errno,
        Errno::EHOSTUNREACH
            | Errno::ENETUNREACH
            | Errno::ENETDOWN
            | Errno::EHOSTDOWN
            | Errno::ECONNREFUSED
            | Errno::ENOBUFS
            | Errno::EINTR
    )
}

fn receive(
    receiver: &mut Receiver,
    stream: u64,
    mut tally: Tally,
    timer: &TimerFd,
    shared: &Shared,
) -> io::Result<Tally> {
    while !shared.stop_receiving.load(Ordering::Relaxed) {
        timer.wait()?;
        while let Some((datagram, arrived_ns)) = receiver.receive()? {
            match Header::read(datagram) {
                Some(header) if header.stream != stream => {}
                Some(header) if header.sequence == Header::HELLO => {
                    shared.heard().insert(header.sent_ns);
                }
                Some(header) => {
                    tally.arrive(header.sequence, header.sent_ns, arrived_ns);
                    shared.arrived.fetch_add(1, Ordering::Relaxed);
                }
                None => {}
            }
        }
    }
    Ok(tally)
}

#[cfg(test)]
mod tests;
