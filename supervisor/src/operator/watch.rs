//! `show logging --follow`: what a watcher is told, as a stream.

use proto::rpc::operator as rpc;
use tokio_stream::wrappers::ReceiverStream;
use tokio_stream::{Stream, StreamExt};
use tonic::Status;

use super::history::event;
use crate::engine::Stopped;
use crate::watch::{Watch, Watched};

/// What was kept, what comes, and the news that nothing will come any more.
pub(super) fn stream(
    watch: Watch,
) -> impl Stream<Item = Result<rpc::WatchEventsReply, Status>> + Send + use<> {
    let before = watch.before.into_iter();
    let before = before.map(|e| rpc::WatchEventsReply { event: Some(event(&e)), missed: 0 });
    let coming = ReceiverStream::new(watch.events).map(reply);
    let end = tokio_stream::once(Err(super::stopped(Stopped)));
    tokio_stream::iter(before).chain(coming).map(Ok).chain(end)
}

fn reply(told: Watched) -> rpc::WatchEventsReply {
    rpc::WatchEventsReply { event: told.entry.as_deref().map(event), missed: told.missed }
}
