//! `show module`: the supervisor and every host that ever came.

use proto::rpc::operator as rpc;

use super::apply::sentence;
use crate::push::fleet::Module;
use crate::state::State;

/// The number of a supervisor that is alone.
const SUPERVISOR: u32 = 1;

/// All modules.
pub(super) fn modules(state: &State) -> rpc::ModulesReply {
    let supervisor = rpc::Module {
        module: SUPERVISOR,
        name: state.config().0.hostname.as_ref().map(ToString::to_string).unwrap_or_default(),
        kind: "Supervisor".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        status: "active".to_owned(),
        target_revision: state.revision().get(),
        running_revision: state.revision().get(),
        ..rpc::Module::default()
    };
    rpc::ModulesReply {
        revision: state.revision().get(),
        term: state.term().get(),
        modules: [supervisor].into_iter().chain(state.modules().values().map(host)).collect(),
    }
}

fn host(module: &Module) -> rpc::Module {
    let record = &module.record;
    let problems = module.refused.iter().flat_map(|(_, problems)| problems);
    rpc::Module {
        module: u32::from(record.module.get()),
        name: record.name.clone(),
        host_uuid: record.host.to_string(),
        kind: "Dataplane".to_owned(),
        version: module.version.clone(),
        status: module.status().to_owned(),
        ports: u32::try_from(module.intent.ports.len()).unwrap_or(u32::MAX),
        target_revision: record.target.get(),
        running_revision: module.running.get(),
        problems: problems.map(sentence).collect(),
        address: module.address.clone(),
        last_seen_ns: module.last_seen.map_or(0, |now| now.unix_ns),
    }
}
