//! The local API: a Unix socket that only its owner can open, for `weft-dataplane attach` and for
//! hypervisor hooks.
//!
//! It hands every request to the control thread and waits for the answer, with a deadline.

use std::fs;
use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use admission::{Door, Limits};
use proto::rpc::local;
use proto::rpc::local::local_server::{Local, LocalServer};
use tokio::net::UnixListener;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use super::event::{Answer, Event, Refusal};

/// Longest wait for the control thread: it opens devices, and asks the supervisor.
const ANSWER_MAX: Duration = Duration::from_secs(20);

/// Connections that the socket takes: each is an attach, a detach or a question of root's, and they
/// are answered one after the other.
const CONNECTIONS_MAX: usize = 64;

/// Why the socket cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum SocketError {
    /// Another daemon does.
    #[error("another daemon serves {}: stop it, or give this one another --socket", .0.display())]
    InUse(PathBuf),
    /// There is something else of that name.
    #[error("{} is no socket: it is left alone", .0.display())]
    NoSocket(PathBuf),
    /// The system refuses.
    #[error("cannot {action} {}: {reason}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// The socket.
        path: PathBuf,
        /// What the system said.
        reason: io::Error,
    },
}

/// The bound socket. Whatever ends the daemon or its start, its file goes with the value.
#[derive(Debug)]
pub struct Socket {
    listener: UnixListener,
    file: SocketFile,
}

/// The file of a socket, removed on drop.
#[derive(Debug)]
struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // A file that is gone already is as good; one that stays is replaced at the next start.
        fs::remove_file(&self.0).ok();
    }
}

/// Binds the socket: takes the place of one that a dead daemon left, refuses one that is in use.
///
/// # Errors
/// Another daemon listens there, or the system refuses.
pub fn bind(path: &Path) -> Result<Socket, SocketError> {
    let error = |action, reason| SocketError::Io { action, path: path.to_owned(), reason };
    if let Some(dir) = path.parent() {
        fs::create_dir_all(dir).map_err(|e| error("create the directory of", e))?;
    }
    if std::os::unix::net::UnixStream::connect(path).is_ok() {
        return Err(SocketError::InUse(path.to_owned()));
    }
    if fs::symlink_metadata(path).is_ok_and(|found| !found.file_type().is_socket()) {
        return Err(SocketError::NoSocket(path.to_owned()));
    }
    match fs::remove_file(path) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(error("replace", e)),
        _ => {}
    }
    let listener = UnixListener::bind(path).map_err(|e| error("listen on", e))?;
    let file = SocketFile(path.to_owned());
    let owner_only = fs::Permissions::from_mode(0o600);
    fs::set_permissions(path, owner_only).map_err(|e| error("protect", e))?;
    Ok(Socket { listener, file })
}

/// Serves the local API until the process ends.
///
/// # Errors
/// The transport failed.
pub async fn serve(
    socket: Socket,
    descriptors: u64,
    events: crossbeam::channel::Sender<Event>,
) -> Result<(), tonic::transport::Error> {
    let Socket { listener, file: _file } = socket;
    let door = Door::new(listener, Limits::within(CONNECTIONS_MAX, descriptors));
    admission::transport()
        .add_service(LocalServer::new(Service { events }))
        .serve_with_incoming(door)
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

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_dead_socket_is_replaced_a_live_one_and_a_file_are_not() {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = dir.path().join("dataplane.sock");
        let first = bind(&path).expect("a new socket");
        assert!(matches!(bind(&path), Err(SocketError::InUse(_))));
        drop(first);
        drop(bind(&path).expect("nobody listens any more"));
        let file = dir.path().join("notes");
        fs::write(&file, "mine").expect("a file");
        assert!(matches!(bind(&file), Err(SocketError::NoSocket(_))));
        assert_eq!(fs::read_to_string(&file).expect("still there"), "mine");
    }
}
