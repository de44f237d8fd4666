//! The one thread that owns the state and the store: it takes events in their order and carries out
//! what follows from each.
//!
//! Where it sits: gRPC services and timers talk to it through a [`Handle`]; it talks to dataplanes
//! through the [`Outlet`] of their session.
//!
//! Invariants:
//! 1. A commit is durable before anybody hears of it: effects are carried out in order, and the
//!    first that fails ends the thread, and with it the process. After a failed write nobody knows
//!    what is on disk; the next process reads it. Hosts forward on meanwhile.
//! 2. Nothing here waits for a dataplane: one that does not take its messages loses its session.
//!
//! Queues: the mailbox holds [`MAILBOX_LEN`] commands, and whoever has more waits; an outlet holds
//! [`OUTLET_LEN`] messages, and one too many ends its session (a ping too many is left out). A
//! watcher's queue is in [`watch`](crate::watch).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proto::rpc::switch::ToDataplane;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};
use tracing::{debug, info, warn};

use crate::event::{ApplyOutcome, ApplyRequest, Effect, Event, Message, Now, RequestId, SessionId};
use crate::push::encode;
use crate::state::State;
use crate::store::{Store, StoreError};
use crate::watch::{TooManyWatchers, Watch, Watchers};

/// Commands that wait for the engine: more than all sessions of a large site send in one burst.
pub const MAILBOX_LEN: usize = 1024;
/// Messages that wait for one dataplane: at most one push, pings, and the answers to attaches,
/// which are asked for one by one.
pub const OUTLET_LEN: usize = 256;
/// How often time is looked at: well below the shortest wait, a ping's 2 s.
const TICK: Duration = Duration::from_millis(250);

/// A question about the state.
type Query = Box<dyn FnOnce(&State, &Store, Now) + Send>;

enum Command {
    Event(Event),
    Open(SessionId, Outlet),
    Apply(ApplyRequest, oneshot::Sender<ApplyOutcome>),
    Query(Query),
    Watch(usize, oneshot::Sender<Result<Watch, TooManyWatchers>>),
    Stop,
}

/// The way to one dataplane.
#[derive(Debug)]
pub struct Outlet {
    /// Its messages.
    pub messages: mpsc::Sender<Result<ToDataplane, tonic::Status>>,
    /// Dropped when the session is over, so that the reading side ends too.
    pub alive: oneshot::Sender<()>,
}

/// The engine is gone: the supervisor stops, or its store failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the supervisor is stopping")]
pub struct Stopped;

/// How everybody else talks to the engine.
#[derive(Clone, Debug)]
pub struct Handle {
    mailbox: mpsc::Sender<Command>,
    next_session: Arc<AtomicU64>,
}

impl Handle {
    /// Opens a session, before its hello.
    ///
    /// # Errors
    /// The engine is gone.
    pub async fn open(&self, outlet: Outlet) -> Result<SessionId, Stopped> {
        let id = SessionId(self.next_session.fetch_add(1, Ordering::Relaxed));
        self.send(Command::Open(id, outlet)).await?;
        Ok(id)
    }

    /// Something happened; waits while the mailbox is full.
    ///
    /// # Errors
    /// The engine is gone.
    pub async fn event(&self, event: Event) -> Result<(), Stopped> {
        self.send(Command::Event(event)).await
    }

    /// Applies configuration and waits for what the hosts make of it.
    ///
    /// # Errors
    /// The engine is gone. Whether the configuration was committed is then not known.
    pub async fn apply(&self, request: ApplyRequest) -> Result<ApplyOutcome, Stopped> {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::Apply(request, sender)).await?;
        receiver.await.map_err(|_| Stopped)
    }

    /// Asks something of the state.
    ///
    /// # Errors
    /// The engine is gone.
    pub async fn query<T: Send + 'static>(
        &self,
        query: impl FnOnce(&State, &Store, Now) -> T + Send + 'static,
    ) -> Result<T, Stopped> {
        let (sender, receiver) = oneshot::channel();
        let query: Query = Box::new(move |state, store, now| {
            // A caller that has gone away needs no answer.
            sender.send(query(state, store, now)).ok();
        });
        self.send(Command::Query(query)).await?;
        receiver.await.map_err(|_| Stopped)
    }

    /// Follows the events from now on, after the newest `last`.
    ///
    /// # Errors
    /// The engine is gone; within, there are too many watchers.
    pub async fn watch(&self, last: usize) -> Result<Result<Watch, TooManyWatchers>, Stopped> {
        let (sender, receiver) = oneshot::channel();
        self.send(Command::Watch(last, sender)).await?;
        receiver.await.map_err(|_| Stopped)
    }

    /// Ends the engine after what is in its mailbox, and with it all sessions.
    pub async fn stop(&self) {
        // Gone already is as good.
        self.send(Command::Stop).await.ok();
    }

    /// Waits until the engine is gone.
    pub async fn stopped(&self) {
        self.mailbox.closed().await;
    }

    async fn send(&self, command: Command) -> Result<(), Stopped> {
        self.mailbox.send(command).await.map_err(|_| Stopped)
    }
}

/// Starts the engine on a thread of its own. The thread ends after [`Handle::stop`], or with what
/// the store said when it failed.
///
/// # Errors
/// The system gives no thread.
pub fn start(
    state: State,
    store: Store,
) -> std::io::Result<(Handle, thread::JoinHandle<Result<(), StoreError>>)> {
    let (mailbox, commands) = mpsc::channel(MAILBOX_LEN);
    let handle = Handle { mailbox, next_session: Arc::new(AtomicU64::new(1)) };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build()?;
    let thread = thread::Builder::new().name("engine".to_owned()).spawn(move || {
        let started = Instant::now();
        let (outlets, asked) = (BTreeMap::new(), BTreeMap::new());
        let watchers = Watchers::default();
        let engine = Engine { state, store, started, outlets, asked, watchers, next_request: 1 };
        runtime.block_on(engine.run(commands))
    })?;
    Ok((handle, thread))
}

struct Engine {
    state: State,
    store: Store,
    started: Instant,
    outlets: BTreeMap<SessionId, Outlet>,
    asked: BTreeMap<RequestId, oneshot::Sender<ApplyOutcome>>,
    watchers: Watchers,
    next_request: u64,
}

impl Engine {
    async fn run(mut self, mut commands: mpsc::Receiver<Command>) -> Result<(), StoreError> {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let command = tokio::select! {
                command = commands.recv() => command,
                _ = ticks.tick() => {
                    self.watchers.remind();
                    Some(Command::Event(Event::Tick))
                }
            };
            match command {
                None | Some(Command::Stop) => return Ok(()),
                Some(Command::Event(event)) => self.handle(event)?,
                Some(Command::Query(query)) => query(&self.state, &self.store, self.now()),
                Some(Command::Watch(last, answer)) => {
                    // A caller that has gone away needs no answer.
                    answer.send(self.watchers.add(&self.state.log, last)).ok();
                }
                Some(Command::Open(id, outlet)) => {
                    self.outlets.insert(id, outlet);
                }
                Some(Command::Apply(apply, answer)) => {
                    let request = RequestId(self.next_request);
                    self.next_request += 1;
                    self.asked.insert(request, answer);
                    self.handle(Event::Apply(request, apply))?;
                }
            }
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), StoreError> {
        if let Event::Gone(id) = &event {
            self.outlets.remove(id);
        }
        let effects = self.state.handle(self.now(), event);
        let mut lost = Vec::new();
        for effect in effects {
            match effect {
                Effect::Persist(transaction) => {
                    self.store.commit(&transaction)?;
                    info!(
                        revision = transaction.revision.get(),
                        kind = transaction.record.kind.name(),
                        comment = transaction.record.comment,
                        "committed"
                    );
                }
                Effect::Send(id, message) => lost.extend(self.send(id, message)),
                Effect::Close(id, reason) => {
                    info!(session = id.0, reason, "session closed");
                    if let Some(outlet) = self.outlets.remove(&id) {
                        let last = Err(tonic::Status::aborted(reason));
                        // Full: then the end of the stream says it, without the reason.
                        outlet.messages.try_send(last).ok();
                    }
                }
                Effect::Reply(request, outcome) => {
                    if let Some(answer) = self.asked.remove(&request) {
                        // A caller that has gone away needs no answer.
                        answer.send(*outcome).ok();
                    }
                }
            }
        }
        self.watchers.tell(&self.state.log);
        // A session that is lost here was connected before, so this ends: one less each time.
        lost.into_iter().try_for_each(|id| self.handle(Event::Gone(id)))
    }

    /// Hands a message to a session; the session itself when that one is lost by it.
    fn send(&mut self, id: SessionId, message: Message) -> Option<SessionId> {
        let is_ping = matches!(message, Message::Ping);
        let outlet = self.outlets.get(&id)?;
        let message = encode::message(self.state.term(), message);
        match outlet.messages.try_send(Ok(message)) {
            Ok(()) => None,
            Err(TrySendError::Full(_)) if is_ping => {
                debug!(session = id.0, "ping left out: the session is congested");
                None
            }
            Err(error) => {
                warn!(session = id.0, "session lost: {error}");
                Some(id)
            }
        }
    }

    fn now(&self) -> Now {
        let nanoseconds = |time: Duration| u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        Now {
            monotonic_ns: nanoseconds(self.started.elapsed()),
            unix_ns: nanoseconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()),
        }
    }
}
