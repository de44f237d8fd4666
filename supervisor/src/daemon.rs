//! The daemon: store, state, engine and the two services, from start to a clean end.

use std::future::Future;
use std::io;
use std::time::Duration;

use admission::{Door, Limits, raise_descriptor_limit, transport};
use proto::rpc::operator::operator_server::OperatorServer;
use proto::rpc::switch::switch_server::SwitchServer;
use proto::rpc::{FROM_DATAPLANE_LEN_MAX, TO_DATAPLANE_LEN_MAX};
use tokio::sync::watch;
use tonic::transport::server::Router;
use tracing::{info, warn};

use crate::engine;
use crate::listen::{ADMIN_MAX, DATAPLANES_MAX, ListenError, MESSAGE_LEN_MAX, Socket};
use crate::operator::OperatorService;
use crate::options::Options;
use crate::push::stream::SwitchService;
use crate::state::{StartError, State};
use crate::store::{Store, StoreError};

/// How long clients may take to read the last of their answers when the daemon ends: a watcher
/// whose terminal stands still would hold it up for ever.
const GOODBYE_MAX: Duration = Duration::from_secs(3);

/// Why the daemon cannot start, or had to end.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The store cannot be opened or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The saved state cannot be taken up.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A socket cannot be opened.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// The limit of descriptors cannot be read or raised.
    #[error("cannot raise the limit of descriptors: {0}")]
    Descriptors(io::Error),
    /// The engine's thread cannot be started.
    #[error("cannot start the engine: {0}")]
    Thread(io::Error),
    /// A service failed.
    #[error("cannot serve: {0}")]
    Serve(#[from] tonic::transport::Error),
    /// A defect: the engine's thread panicked.
    #[error("the engine failed; its message is above")]
    Engine,
}

/// Runs until `stop` is ready, or until the store fails.
///
/// # Errors
/// The daemon cannot start, or could not go on.
pub async fn run(options: Options, stop: impl Future<Output = ()>) -> Result<(), DaemonError> {
    let descriptors = raise_descriptor_limit().map_err(DaemonError::Descriptors)?;
    let (store, saved) = Store::open(&options.data_dir)?;
    let state = State::start(saved)?;
    let (term, revision) = (state.term().get(), state.revision().get());
    let admin = options.listen_admin.open().await?;
    let dataplane = options.listen_dataplane.open().await?;
    let (engine, thread) = engine::start(state, store).map_err(DaemonError::Thread)?;

    let operator = OperatorServer::new(OperatorService::new(engine.clone()))
        .max_decoding_message_size(MESSAGE_LEN_MAX)
        .max_encoding_message_size(MESSAGE_LEN_MAX);
    let switch = SwitchServer::new(SwitchService::new(engine.clone()))
        .max_decoding_message_size(FROM_DATAPLANE_LEN_MAX)
        .max_encoding_message_size(TO_DATAPLANE_LEN_MAX);
    let admin_limits = Limits::within(ADMIN_MAX, descriptors);
    let dataplane_limits = Limits::within(DATAPLANES_MAX, descriptors);
    let (ending, ended) = watch::channel(());
    let services = tokio::spawn(async move {
        tokio::try_join!(
            serve(transport().add_service(operator), admin, admin_limits, ended.clone()),
            serve(transport().add_service(switch), dataplane, dataplane_limits, ended),
        )
    });
    info!(
        term,
        revision,
        admin = %options.listen_admin,
        dataplane = %options.listen_dataplane,
        "weft-supervisor {} is ready",
        env!("CARGO_PKG_VERSION")
    );

    let mut services = services;
    let failure = tokio::select! {
        () = stop => None,
        () = engine.stopped() => None,
        outcome = &mut services => Some(outcome),
    };
    // The engine first: it ends the sessions, which would keep the service waiting.
    engine.stop().await;
    drop(ending);
    if failure.is_none() {
        match tokio::time::timeout(GOODBYE_MAX, &mut services).await {
            Ok(outcome) => {
                outcome.map_err(|_| DaemonError::Engine)??;
            }
            Err(_) => {
                warn!("cut off clients that do not read what they asked for");
                services.abort();
                // The task is over when it is gone; with it go the files of the sockets.
                services.await.ok();
            }
        }
    }
    let outcome = tokio::task::spawn_blocking(move || thread.join()).await;
    match outcome {
        Ok(Ok(outcome)) => outcome?,
        _ => return Err(DaemonError::Engine),
    }
    if let Some(outcome) = failure {
        outcome.map_err(|_| DaemonError::Engine)??;
    }
    info!("stopped");
    Ok(())
}

/// Serves one socket until the other end of `ended` is dropped.
async fn serve(
    router: Router,
    socket: Socket,
    limits: Limits,
    mut ended: watch::Receiver<()>,
) -> Result<(), tonic::transport::Error> {
    let ended = async move {
        // Nothing is ever sent: this waits for the end of the sender.
        ended.changed().await.ok();
    };
    match socket {
        Socket::Tcp(listener) => {
            router.serve_with_incoming_shutdown(Door::new(listener, limits), ended).await
        }
        Socket::Unix(listener, _file) => {
            router.serve_with_incoming_shutdown(Door::new(listener, limits), ended).await
        }
    }
}
