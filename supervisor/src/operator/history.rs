//! `show running-config`, `show revisions` and `show logging`: what is and what was.

use policy::lang;
use proto::Revision;
use proto::rpc::operator as rpc;
use tonic::Status;

use crate::log::Entry;
use crate::state::State;
use crate::store::Store;

/// How many of something are wanted; 0: all.
fn count(last: u32) -> usize {
    match last {
        0 => usize::MAX,
        last => usize::try_from(last).unwrap_or(usize::MAX),
    }
}

/// The configuration as of a revision; 0: the running one.
///
/// # Errors
/// The revision is not there, or not any more; or the store cannot be read.
pub(super) fn running_config(
    state: &State,
    store: &Store,
    revision: u64,
) -> Result<rpc::RunningConfigReply, Status> {
    let (config, running) = state.config();
    if revision == 0 || revision == running.get() {
        return Ok(rpc::RunningConfigReply { text: lang::print(config), revision: running.get() });
    }
    if revision > state.revision().get() {
        return Err(Status::not_found(format!(
            "revision {revision} does not exist, the newest is {}",
            state.revision()
        )));
    }
    match store.config_at(Revision::new(revision)) {
        Ok(Some((made_by, text))) => Ok(rpc::RunningConfigReply { text, revision: made_by.get() }),
        Ok(None) => {
            Err(Status::not_found(format!("no configuration is kept as of revision {revision}")))
        }
        Err(error) => Err(Status::internal(error.to_string())),
    }
}

/// The newest revisions, the oldest of them first.
pub(super) fn revisions(state: &State, last: u32) -> rpc::RevisionsReply {
    let skip = state.revisions.len().saturating_sub(count(last));
    let show =
        |(revision, record): (&Revision, &crate::revision::RevisionRecord)| rpc::RevisionInfo {
            revision: revision.get(),
            unix_time_ns: record.unix_time_ns,
            comment: record.comment.clone(),
            kind: record.kind.name().to_owned(),
        };
    rpc::RevisionsReply { revisions: state.revisions.iter().skip(skip).map(show).collect() }
}

/// The newest events, the oldest of them first.
pub(super) fn events(state: &State, last: u32) -> rpc::EventsReply {
    rpc::EventsReply { events: state.log.last(count(last)).map(event).collect() }
}

/// An event as operators see it.
pub(super) fn event(entry: &Entry) -> rpc::Event {
    rpc::Event {
        unix_time_ns: entry.unix_time_ns,
        module: entry.module.map_or(0, |m| u32::from(m.get())),
        severity: entry.severity.name().to_owned(),
        port: entry.port.clone(),
        kind: entry.kind.clone(),
        message: entry.message.clone(),
    }
}
