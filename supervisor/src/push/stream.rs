//! The gRPC side of the sessions: turns one stream into events, and nothing else.
//!
//! A session begins with `Hello`, which has to come within `HELLO_MAX`. Its two halves are
//! independent: the engine writes through the session's outlet, this file reads. Either half that
//! ends, ends the other.

use std::pin::Pin;
use std::time::Duration;

use proto::rpc::switch::switch_server::Switch;
use proto::rpc::switch::{FromDataplane, ToDataplane, from_dataplane};
use tokio::sync::{mpsc, oneshot};
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::transport::server::{TcpConnectInfo, UdsConnectInfo};
use tonic::{Request, Response, Status, Streaming};
use tracing::warn;

use super::encode;
use crate::engine::{Handle, OUTLET_LEN, Outlet};
use crate::event::{Event, SessionId};

/// How long a stream may exist without saying who it is.
const HELLO_MAX: Duration = Duration::from_secs(5);

/// The service that dataplanes dial.
#[derive(Clone, Debug)]
pub struct SwitchService {
    engine: Handle,
}

impl SwitchService {
    /// The service of an engine.
    #[must_use]
    pub const fn new(engine: Handle) -> Self {
        Self { engine }
    }
}

#[tonic::async_trait]
impl Switch for SwitchService {
    type SessionStream = Pin<Box<dyn Stream<Item = Result<ToDataplane, Status>> + Send>>;

    async fn session(
        &self,
        request: Request<Streaming<FromDataplane>>,
    ) -> Result<Response<Self::SessionStream>, Status> {
        let address = address(&request);
        let incoming = request.into_inner();
        let (messages, outgoing) = mpsc::channel(OUTLET_LEN);
        // The headers of the answer go out before the hello comes in: a dataplane may wait for
        // them.
        tokio::spawn(read(self.engine.clone(), address, incoming, messages));
        Ok(Response::new(Box::pin(ReceiverStream::new(outgoing))))
    }
}

/// Where a session comes from, for people.
fn address<T>(request: &Request<T>) -> String {
    let extensions = request.extensions();
    match extensions.get::<TcpConnectInfo>().and_then(TcpConnectInfo::remote_addr) {
        Some(address) => address.ip().to_string(),
        None if extensions.get::<UdsConnectInfo>().is_some() => "local socket".to_owned(),
        None => "unknown".to_owned(),
    }
}

/// Reads a session to its end.
async fn read(
    engine: Handle,
    address: String,
    mut incoming: Streaming<FromDataplane>,
    messages: mpsc::Sender<Result<ToDataplane, Status>>,
) {
    let hello = match first(&mut incoming, address.clone()).await {
        Ok(hello) => hello,
        Err(status) => {
            warn!(address, "session refused: {}", status.message());
            // Gone already: then nobody needs the reason.
            messages.send(Err(status)).await.ok();
            return;
        }
    };
    let (alive, ended) = oneshot::channel();
    let failures = messages.clone();
    let Ok(id) = engine.open(Outlet { messages, alive }).await else { return };
    if engine.event(Event::Hello(id, hello)).await.is_err() {
        return;
    }
    tokio::select! {
        // The engine let go of the session.
        _ = ended => {}
        outcome = later(&engine, id, &mut incoming) => {
            if let Err(status) = outcome {
                warn!(address, "session ends: {}", status.message());
                failures.try_send(Err(status)).ok();
            }
            // The engine is gone: so is the session.
            engine.event(Event::Gone(id)).await.ok();
        }
    }
}

/// The hello that has to come first.
async fn first(
    incoming: &mut Streaming<FromDataplane>,
    address: String,
) -> Result<crate::event::Hello, Status> {
    let message = match tokio::time::timeout(HELLO_MAX, incoming.next()).await {
        Ok(Some(message)) => message?,
        Ok(None) => return Err(Status::invalid_argument("the stream ended before its hello")),
        Err(_) => return Err(Status::deadline_exceeded("no hello came within 5 seconds")),
    };
    match message.body {
        Some(from_dataplane::Body::Hello(hello)) => {
            encode::hello(address, hello).map_err(|e| Status::invalid_argument(e.to_string()))
        }
        _ => Err(Status::invalid_argument("the first message of a session has to be a hello")),
    }
}

/// All messages after the hello.
async fn later(
    engine: &Handle,
    id: SessionId,
    incoming: &mut Streaming<FromDataplane>,
) -> Result<(), Status> {
    while let Some(message) = incoming.next().await {
        let event = encode::event(id, message?);
        match event.map_err(|e| Status::invalid_argument(e.to_string()))? {
            Some(event) => {
                let sent = engine.event(event).await;
                sent.map_err(|e| Status::unavailable(e.to_string()))?;
            }
            None => tracing::debug!(session = id.0, "a message of a newer version is left out"),
        }
    }
    Ok(())
}
