//! The local API: a Unix socket that only its owner can open, for `weft-dataplane attach` and for
//! hypervisor hooks.
//!
//! It hands every request to the control thread and waits for the answer, with a deadline.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use proto::rpc::local;
use proto::rpc::local::local_server::{Local, LocalServer};
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tokio_stream::wrappers::UnixListenerStream;
use tonic::{Request, Response, Status};

use super::event::{Answer, Event, Refusal};

/// Longest wait for the control thread: it opens devices, and asks the supervisor.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("{action} {}: {source}", path.display())]
pub struct SocketError {
    action: &'static str,
    path: PathBuf,
    source: std::io::Error,
}

/// Binds the socket: takes the place of one that a dead daemon left, refuses one that is in use.
///
/// # Errors
/// Another daemon listens there, or the system refuses.
pub fn bind(path: &Path) -> Result<UnixListener, SocketError> {
    let error = |action, source| SocketError { action, path: path.to_owned(), source };
    if let Some(dir) = path.parent() {
        std::fs::create_dir_all(dir).map_err(|e| error("create the directory of", e))?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        let in_use = std::io::Error::from(std::io::ErrorKind::AddrInUse);
        return Err(error("another daemon serves", in_use));
    }
    match std::fs::remove_file(path) {
        Err(e) if e.kind() != std::io::ErrorKind::NotFound => return Err(error("replace", e)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(|e| error("listen on", e))?;
    let owner_only = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(path, owner_only).map_err(|e| error("protect", e))?;
    Ok(listener)
}

/// Serves the local API until the process ends.
///
/// # Errors
/// The transport failed.
pub async fn serve(
    listener: UnixListener,
    events: crossbeam::channel::Sender<Event>,
) -> Result<(), tonic::transport::Error> {
    tonic::transport::Server::builder()
        .add_service(LocalServer::new(Service { events }))
        .serve_with_incoming(UnixListenerStream::new(listener))
        .await
}

struct Service {
    events: crossbeam::channel::Sender<Event>,
}

impl Service {
    async fn ask<T>(&self, event: impl FnOnce(Answer<T>) -> Event) -> Result<Response<T>, Status> {
        let (answer, answered) = oneshot::channel();
        let stopping = || Status::unavailable("the daemon is stopping");
        self.events.send(event(answer)).map_err(|_| stopping())?;
        match tokio::time::timeout(ANSWER_MAX, answered).await {
            Ok(Ok(Ok(reply))) => Ok(Response::new(reply)),
            Ok(Ok(Err(refusal))) => Err(status(&refusal)),
            Ok(Err(_)) => Err(stopping()),
            Err(_) => Err(Status::deadline_exceeded("the daemon did not answer in 20 s")),
        }
    }
}

fn status(refusal: &Refusal) -> Status {
    let text = refusal.to_string();
    match refusal {
        Refusal::Invalid(_) => Status::invalid_argument(text),
        Refusal::NotFound(_) => Status::not_found(text),
        Refusal::Unavailable(_) => Status::unavailable(text),
        Refusal::Refused(_) => Status::failed_precondition(text),
    }
}

#[tonic::async_trait]
impl Local for Service {
    async fn attach(
        &self,
        request: Request<local::AttachRequest>,
    ) -> Result<Response<local::AttachReply>, Status> {
        self.ask(|answer| Event::Attach(request.into_inner(), answer)).await
    }

    async fn detach(
        &self,
        request: Request<local::DetachRequest>,
    ) -> Result<Response<local::DetachReply>, Status> {
        self.ask(|answer| Event::Detach(request.into_inner(), answer)).await
    }

    async fn status(
        &self,
        _request: Request<local::StatusRequest>,
    ) -> Result<Response<local::StatusReply>, Status> {
        self.ask(Event::Status).await
    }
}
