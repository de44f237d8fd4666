//! A worker: one thread that owns ports and runs frames to completion.
//!
//! ```text
//! receive a burst -> forward (core) -> carry out: copies, tags, checksums -> transmit
//! ```
//! Where it sits: the chassis makes workers, gives them ports by [`Command`] and hears from them by
//! [`Notice`]. Invariants:
//! 1. A frame's way has no lock, no allocation and no system call of its own; the clock and the
//!    published view are looked at once a burst.
//! 2. A port whose device is gone is let go of and told about; the worker goes on.
//! 3. A worker without frames sleeps.
//!
//! Not here: decisions on frames (`crate::core`), and how a device is driven (`pmd`).

mod egress;
mod exchange;
mod ports;

use std::sync::Arc;
use std::time::Instant;

use arrayvec::ArrayVec;
use crossbeam::channel::{Receiver, Sender};
use nix::sys::epoll::EpollTimeout;
use pmd::{BURST_MAX, Burst, Frame, Pool, Port, PortGone};
use proto::{DropReason, PortId};

use self::egress::Egress;
pub use self::exchange::{Exchange, WORKERS_MAX};
use self::ports::Ports;
use crate::agent::event::AclMatch;
use crate::core::counters::Cast;
use crate::core::{self, Batch, Event, NoTrace, State};
use crate::notice::Notice;
use crate::publish::Subscriber;

/// Rounds of busy ports between two looks for ports that have woken up.
const ROUNDS_PER_LOOK: u32 = 8;
/// Longest sleep: then every port is asked whether its device still exists.
const SLEEP_MAX_MS: u16 = 500;
/// Least time between two reports of matches of rules with `log`.
const ACL_LOG_INTERVAL_NS: u64 = 10_000_000;

/// What a worker is told to do.
pub enum Command {
    /// Take a port in.
    Insert(PortId, Box<dyn Port>),
    /// Let go of a port; it is dropped, and then the channel says so.
    Remove(PortId, Sender<()>),
    /// Send a frame of the switch itself.
    Inject(PortId, Vec<u8>),
    /// End.
    Stop,
}

/// What a worker is made of.
pub struct Worker {
    number: usize,
    ports: Ports,
    pool: Pool,
    exchange: Arc<Exchange>,
    subscriber: Subscriber,
    commands: Receiver<Command>,
    notices: Sender<Notice>,
    clock: Instant,
    state: State,
    batch: Batch,
    received: Burst,
    egress: Egress,
    rounds: u32,
    last_acl_log_ns: u64,
}

/// What a worker is given at the start.
pub struct Setup {
    /// Which of the exchange's workers it is.
    pub number: usize,
    /// The packet memory of the dataplane.
    pub memory: Arc<pmd::PacketMemory>,
    /// The way to the other workers.
    pub exchange: Arc<Exchange>,
    /// Its sight of the published view.
    pub subscriber: Subscriber,
    /// Its orders.
    pub commands: Receiver<Command>,
    /// Where it tells what happened. What does not fit is lost, but for a port that is gone.
    pub notices: Sender<Notice>,
    /// Its counters, shared with readers.
    pub counters: Arc<core::Counters>,
    /// When the dataplane's clock stood at zero.
    pub clock: Instant,
}

impl Worker {
    /// A worker without ports. To be called on the thread that runs it: its pool is that thread's.
    ///
    /// # Errors
    /// The system has no descriptors left.
    pub fn new(setup: Setup) -> nix::Result<Self> {
        let wake = setup.exchange.wake_fd(setup.number).ok_or(nix::errno::Errno::EINVAL)?;
        Ok(Self {
            ports: Ports::new(wake)?,
            number: setup.number,
            pool: Pool::new(&setup.memory),
            exchange: setup.exchange,
            subscriber: setup.subscriber,
            commands: setup.commands,
            notices: setup.notices,
            clock: setup.clock,
            state: State { counters: setup.counters },
            batch: Batch::default(),
            received: Burst::new(),
            egress: Egress::default(),
            rounds: 0,
            last_acl_log_ns: 0,
        })
    }

    /// Runs until it is told to stop.
    pub fn run(mut self) {
        while self.round() {}
    }

    /// Obeys, takes mail in and serves each active port once; sleeps when there is none. False: it
    /// was told to stop.
    pub fn round(&mut self) -> bool {
        self.look_at_view();
        if self.obey() {
            return false;
        }
        self.deliver_mail();
        let mut number = 0;
        while let Some(id) = self.ports.active(number) {
            if self.serve(id) {
                number += 1;
            }
        }
        self.rounds = self.rounds.wrapping_add(1);
        if !self.ports.any_active() {
            self.sleep();
        } else if self.rounds.is_multiple_of(ROUNDS_PER_LOOK) {
            // Fails only with EINTR, and then the next look comes soon.
            self.ports.wait(EpollTimeout::ZERO).ok();
        }
        true
    }

    /// Carries out what was ordered; true: stop.
    fn obey(&mut self) -> bool {
        while let Ok(command) = self.commands.try_recv() {
            match command {
                Command::Insert(id, port) => {
                    self.state.counters.reserve(std::iter::once(id), 0);
                    if self.ports.insert(id, port).is_ok() {
                        self.exchange.set_owner(id, Some(self.number));
                    }
                }
                Command::Remove(id, done) => {
                    self.exchange.set_owner(id, None);
                    drop(self.ports.remove(id));
                    // Nobody waits any more: fine.
                    done.send(()).ok();
                }
                Command::Inject(id, bytes) => self.inject(id, &bytes),
                Command::Stop => return true,
            }
        }
        false
    }

    /// One burst of one port: from its receive ring to the transmit rings. False: the port left the
    /// round.
    fn serve(&mut self, id: PortId) -> bool {
        let Some(entry) = self.ports.get_mut(id) else { return false };
        match entry.port.rx(&self.pool, &mut self.received) {
            Ok(dropped) => count_port_drops(&self.state, id, &dropped),
            Err(reason) => return self.let_go(id, reason),
        }
        let was_busy = !self.received.is_empty();
        if was_busy {
            self.forward(id);
        }
        match self.ports.note(id, &self.pool, was_busy) {
            Ok(stays) => stays,
            Err(reason) => self.let_go(id, reason),
        }
    }

    /// Decides on the received burst, and carries the decisions out.
    fn forward(&mut self, ingress: PortId) {
        self.look_at_view();
        let now_ns = self.now_ns();
        let frames: ArrayVec<core::Frame<'_>, BURST_MAX> = self
            .received
            .iter()
            .map(|frame| core::Frame {
                head: frame.head(),
                len_bytes: frame.len_bytes() as u32,
                segment_bytes: segment_bytes(frame),
            })
            .collect();
        let (view, _) = self.subscriber.look();
        let (state, batch) = (&mut self.state, &mut self.batch);
        core::forward(view, now_ns, state, ingress, &frames, batch, &mut NoTrace);
        drop(frames);
        if !self.batch.events().is_empty() {
            self.tell_events(now_ns);
        }
        self.egress.carry_out(
            &self.batch,
            &mut self.received,
            &mut self.ports,
            &self.pool,
            &self.exchange,
            &self.state.counters,
        );
        self.transmit();
    }

    /// Transmits what is staged, and lets go of ports that turn out to be gone.
    fn transmit(&mut self) {
        let gone = self.egress.transmit(&mut self.ports, &self.pool, &self.state.counters);
        if let Some((id, reason)) = gone {
            self.let_go(id, reason);
        }
        if self.exchange.workers() > 1 {
            self.exchange.wake_receivers(self.number);
        }
    }

    /// Takes in what other workers have for this one's ports.
    fn deliver_mail(&mut self) {
        let mut any = false;
        for _ in 0..BURST_MAX {
            let Some((port, frame)) = self.exchange.receive(self.number) else { break };
            any = true;
            let counters = self.state.counters.port(port);
            match frame.adopt(&self.pool) {
                Ok(frame) => {
                    let cast = cast_of(&frame);
                    self.egress.stage(
                        frame,
                        cast,
                        port,
                        &mut self.ports,
                        &self.pool,
                        &self.state.counters,
                    );
                }
                Err(_) => counters.tx_drop(DropReason::NoMemory),
            }
        }
        if any {
            self.transmit();
        }
    }

    fn inject(&mut self, id: PortId, bytes: &[u8]) {
        let Some(frame) = Frame::from_slice(&self.pool, bytes) else {
            self.state.counters.port(id).tx_drop(DropReason::NoMemory);
            return;
        };
        let cast = cast_of(&frame);
        self.egress.stage(frame, cast, id, &mut self.ports, &self.pool, &self.state.counters);
        self.transmit();
    }

    fn look_at_view(&mut self) {
        let (view, is_new) = self.subscriber.look();
        if is_new {
            core::reserve(view, &self.state, &mut self.batch);
        }
    }

    fn let_go(&mut self, id: PortId, reason: PortGone) -> bool {
        self.exchange.set_owner(id, None);
        drop(self.ports.remove(id));
        // The chassis reads until it ends; if it has ended, nobody wants to know.
        self.notices.send(Notice::PortGone { port: id, reason }).ok();
        false
    }

    fn tell_events(&mut self, now_ns: u64) {
        for event in self.batch.events() {
            let notice = match *event {
                Event::BpduGuard { port } => Notice::BpduGuard { port },
                Event::AclLog { frame, port, direction, acl, sequence, action } => {
                    if now_ns < self.last_acl_log_ns + ACL_LOG_INTERVAL_NS {
                        continue;
                    }
                    let head = self.received.get(frame.index()).map(Frame::head);
                    let Some(key) = head.and_then(proto::frame::parse) else { continue };
                    self.last_acl_log_ns = now_ns;
                    Notice::AclLog(Box::new(AclMatch {
                        port,
                        direction,
                        acl,
                        sequence,
                        action,
                        key,
                    }))
                }
            };
            // A log line may be lost under load; a guard event comes again with the next BPDU.
            self.notices.try_send(notice).ok();
        }
    }

    /// Sleeps until a port, another worker or the chassis has something, or it is time to look
    /// whether all devices still exist.
    fn sleep(&mut self) {
        self.exchange.fall_asleep(self.number);
        if !self.exchange.has_mail(self.number) && self.commands.is_empty() {
            let woken = self.ports.wait(EpollTimeout::from(SLEEP_MAX_MS));
            if woken == Ok(0) && !self.exchange.has_mail(self.number) {
                self.check_devices();
            }
        }
        self.exchange.wake_up(self.number);
    }

    fn check_devices(&mut self) {
        for id in self.ports.ids() {
            let flushed = self.ports.get_mut(id).map(|entry| entry.port.prepare_sleep(&self.pool));
            if let Some(Err(reason)) = flushed {
                self.let_go(id, reason);
            }
        }
    }

    fn now_ns(&self) -> u64 {
        u64::try_from(self.clock.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Worker").field("number", &self.number).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("number", &self.number).finish_non_exhaustive()
    }
}

impl std::fmt::Debug for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Insert(id, _) => write!(f, "Insert({id:?})"),
            Self::Remove(id, _) => write!(f, "Remove({id:?})"),
            Self::Inject(id, bytes) => write!(f, "Inject({id:?}, {} bytes)", bytes.len()),
            Self::Stop => f.write_str("Stop"),
        }
    }
}

/// The length of the longest frame that this one will be on a wire: a super-frame counts by its
/// segments, so that it is not held against the MTU as a whole.
fn segment_bytes(frame: &Frame) -> u32 {
    let len = frame.len_bytes();
    let segment = frame
        .offload()
        .gso
        .map_or(len, |gso| len.min(usize::from(gso.header_len) + usize::from(gso.size)));
    segment as u32
}

fn cast_of(frame: &Frame) -> Cast {
    match frame.head().first_chunk::<6>() {
        Some(dst) => Cast::of(proto::MacAddr::new(*dst)),
        None => Cast::Unicast,
    }
}

/// Frames that a port received and dropped itself: they came in here, and end here.
fn count_port_drops(state: &State, id: PortId, dropped: &pmd::DropTally) {
    if dropped.total() == 0 {
        return;
    }
    let counters = state.counters.port(id);
    for (reason, frames) in dropped.iter() {
        for _ in 0..frames {
            counters.rx.count(Cast::Unicast, 0);
            counters.drop(reason);
        }
    }
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, clippy::unwrap_used, clippy::expect_used, clippy::panic)]
mod tests;
