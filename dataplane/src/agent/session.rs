//! The way to the supervisor: one gRPC stream, dialled by us, and dialled again when it ends.
//!
//! Where it sits: an async task that turns what the supervisor says into [`Event`]s for the control
//! thread, and takes what that thread has to say from a bounded channel. It decides nothing.

use std::time::Duration;

use proto::rpc::switch;
use proto::rpc::switch::switch_client::SwitchClient;
use proto::rpc::{FROM_DATAPLANE_LEN_MAX, TO_DATAPLANE_LEN_MAX};
use tokio::sync::mpsc;
use tokio_stream::StreamExt;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::{Channel, Endpoint};

use super::event::Event;

/// Messages to the supervisor that may wait. The control thread drops reports (never answers) when
/// it is full: counters come again in a second.
const OUTGOING_MAX: usize = 256;
/// First wait before dialling again.
const BACKOFF_MIN: Duration = Duration::from_millis(100);
/// Longest wait: what a human who restarts a supervisor is ready to wait for.
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// A supervisor says something at least every two seconds; this much silence ends the session.
const SILENCE_MAX: Duration = Duration::from_secs(7);
/// How long a dial may take.
const CONNECT_MAX: Duration = Duration::from_secs(3);

/// Waits between two dials: doubling, with jitter, so that a thousand hosts that lost the same
/// supervisor do not come back in the same instant.
#[derive(Debug)]
pub struct Backoff {
    wait: Duration,
    seed: u64,
}

impl Backoff {
    /// The shortest wait comes next. `seed` tells hosts apart.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { wait: BACKOFF_MIN, seed: seed | 1 }
    }

    /// How long to wait now: between half and the whole of a doubling wait.
    pub fn next_wait(&mut self) -> Duration {
        // xorshift64 (Marsaglia 2003): jitter needs no better.
        self.seed ^= self.seed << 13;
        self.seed ^= self.seed >> 7;
        self.seed ^= self.seed << 17;
        let half_ns = u64::try_from(self.wait.as_nanos() / 2).unwrap_or(u64::MAX);
        let jitter = Duration::from_nanos(self.seed % half_ns.max(1));
        let wait = self.wait / 2 + jitter;
        self.wait = (self.wait * 2).min(BACKOFF_MAX);
        wait
    }

    /// A session worked: start from the shortest wait again.
    pub const fn reset(&mut self) {
        self.wait = BACKOFF_MIN;
    }

    /// The supervisor sent us away: only the longest wait does not trouble it.
    pub const fn exhaust(&mut self) {
        self.wait = BACKOFF_MAX;
    }
}

/// Why there is no session.
#[derive(Debug)]
struct End {
    reason: String,
    /// The supervisor ended it by word. Another host has our identity, say: if both came back at
    /// once, they would throw each other out for ever.
    sent_away: bool,
}

impl From<String> for End {
    fn from(reason: String) -> Self {
        Self { reason, sent_away: false }
    }
}

impl From<tonic::Status> for End {
    fn from(status: tonic::Status) -> Self {
        Self { reason: describe(&status), sent_away: status.code() == tonic::Code::Aborted }
    }
}

/// Dials `supervisor` until the control thread is gone. Never returns while it is there.
pub async fn run(supervisor: String, seed: u64, events: crossbeam::channel::Sender<Event>) {
    let mut backoff = Backoff::new(seed);
    loop {
        let reason = match session(&supervisor, &events, &mut backoff).await {
            Ok(()) => "the supervisor closed the session".to_owned(),
            Err(end) => {
                if end.sent_away {
                    backoff.exhaust();
                }
                end.reason
            }
        };
        if events.send(Event::SessionDown { reason }).is_err() {
            return;
        }
        tokio::time::sleep(backoff.next_wait()).await;
    }
}

async fn session(
    supervisor: &str,
    events: &crossbeam::channel::Sender<Event>,
    backoff: &mut Backoff,
) -> Result<(), End> {
    let channel = connect(supervisor).await?;
    let (sender, outgoing) = mpsc::channel::<switch::FromDataplane>(OUTGOING_MAX);
    let up = Event::SessionUp { supervisor: supervisor.to_owned(), sender };
    events.send(up).map_err(|_| "the daemon is stopping".to_owned())?;
    let mut client = SwitchClient::new(channel)
        .max_decoding_message_size(TO_DATAPLANE_LEN_MAX)
        .max_encoding_message_size(FROM_DATAPLANE_LEN_MAX);
    let reply = client.session(ReceiverStream::new(outgoing)).await;
    let mut incoming = reply?.into_inner();
    loop {
        match tokio::time::timeout(SILENCE_MAX, incoming.next()).await {
            Ok(Some(Ok(message))) => {
                backoff.reset();
                events
                    .send(Event::Message(message))
                    .map_err(|_| "the daemon is stopping".to_owned())?;
            }
            Ok(Some(Err(status))) => return Err(status.into()),
            Ok(None) => return Ok(()),
            Err(_) => return Err(format!("nothing heard for {} s", SILENCE_MAX.as_secs()).into()),
        }
    }
}

/// Opens the transport. The one place where TLS will go.
async fn connect(supervisor: &str) -> Result<Channel, String> {
    let endpoint = Endpoint::from_shared(supervisor.to_owned())
        .map_err(|e| format!("`{supervisor}` is not an address: {e}"))?
        .connect_timeout(CONNECT_MAX)
        .tcp_nodelay(true);
    endpoint.connect().await.map_err(|e| format!("{supervisor}: {}", root_cause(&e)))
}

fn describe(status: &tonic::Status) -> String {
    match status.message() {
        "" => status.code().to_string(),
        message => message.to_owned(),
    }
}

/// The innermost error says what the system said; the outer ones say "transport error".
fn root_cause(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(inner) = cause.source() {
        cause = inner;
    }
    cause.to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_bound_and_start_again() {
        let mut backoff = Backoff::new(7);
        let mut bound = BACKOFF_MIN;
        for _ in 0..20 {
            let wait = backoff.next_wait();
            assert!(wait >= bound / 2 && wait <= bound, "{wait:?} of {bound:?}");
            bound = (bound * 2).min(BACKOFF_MAX);
        }
        backoff.reset();
        assert!(backoff.next_wait() <= BACKOFF_MIN);
        backoff.exhaust();
        assert!(backoff.next_wait() >= BACKOFF_MAX / 2);
    }

    #[test]
    fn only_a_word_of_the_supervisor_sends_away() {
        assert!(End::from(tonic::Status::aborted("another host has this identity")).sent_away);
        assert!(!End::from(tonic::Status::unavailable("killed")).sent_away);
        assert!(!End::from("connection refused".to_owned()).sent_away);
    }

    #[test]
    fn hosts_do_not_wait_alike() {
        let waits = |seed| {
            let mut backoff = Backoff::new(seed);
            (0..8).map(|_| backoff.next_wait()).collect::<Vec<_>>()
        };
        assert_ne!(waits(2), waits(4));
    }
}
