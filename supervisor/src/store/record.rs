//! What the store keeps, as it stands in its file: JSON values that serde reads and writes.
//!
//! Where it sits: `commit.rs` fills a [`Transaction`]; `store/mod.rs` writes it and reads a
//! [`Saved`] back. Invariant: a field once written keeps its name and meaning; a new one has a
//! default, or the schema version grows.

use std::collections::BTreeMap;

use proto::{HostId, MacAddr, ModuleId, Revision, Term, VethId};
use serde::{Deserialize, Serialize};

use crate::inventory::{Binding, ModuleRecord, Nic};
use crate::revision::{RevisionKind, RevisionRecord};

/// Everything that one commit changes: all of it becomes durable, or none.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// The revision that it makes.
    pub revision: Revision,
    /// What is said of the revision.
    pub record: RevisionRecord,
    /// The whole configuration as text, when this revision changes it.
    pub config: Option<String>,
    /// vEthernets that are new or changed.
    pub bindings: Vec<Binding>,
    /// Modules that are new or changed.
    pub modules: Vec<ModuleRecord>,
    /// The term, when it grows.
    pub term: Option<Term>,
}

/// What an opened store holds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Saved {
    /// The newest revision; 0 in a new store.
    pub revision: u64,
    /// The term of this run: one more than that of the run before.
    pub term: u64,
    /// The running configuration and the revision that made it.
    pub config: Option<(Revision, String)>,
    /// All vEthernets that were ever numbered.
    pub bindings: Vec<Binding>,
    /// All modules.
    pub modules: Vec<ModuleRecord>,
    /// The history, as far as it is kept.
    pub revisions: BTreeMap<Revision, RevisionRecord>,
}

/// A value of the store that cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not JSON, or a field is missing or of another type.
    #[error(transparent)]
    Json(#[from] serde_json::Error),
    /// A number, address or identifier out of its range.
    #[error(transparent)]
    Value(#[from] proto::TypeError),
    /// A name that is none.
    #[error(transparent)]
    Name(#[from] policy::config::NameError),
    /// A kind of revision that this version does not know.
    #[error("unknown kind of revision `{0}`")]
    Kind(String),
}

#[derive(Serialize, Deserialize)]
struct BindingJson {
    vm: String,
    adapter: String,
    mac: String,
    profile: String,
    /// 0: not plugged in.
    module: u16,
}

/// The bytes of a vEthernet's record.
///
/// # Errors
/// None in practice: the value is strings and numbers.
pub(super) fn write_binding(binding: &Binding) -> Result<Vec<u8>, RecordError> {
    Ok(serde_json::to_vec(&BindingJson {
        vm: binding.vm.clone(),
        adapter: binding.adapter.clone(),
        mac: binding.mac.to_string(),
        profile: binding.profile.to_string(),
        module: binding.module.map_or(0, ModuleId::get),
    })?)
}

/// The vEthernet of a record.
///
/// # Errors
/// [`RecordError`]: the bytes are not what [`write_binding`] writes.
pub(super) fn read_binding(veth: u32, bytes: &[u8]) -> Result<Binding, RecordError> {
    let json: BindingJson = serde_json::from_slice(bytes)?;
    Ok(Binding {
        veth: VethId::new(veth)?,
        vm: json.vm,
        adapter: json.adapter,
        mac: json.mac.parse::<MacAddr>()?,
        profile: json.profile.parse()?,
        module: match json.module {
            0 => None,
            module => Some(ModuleId::new(module)?),
        },
    })
}

#[derive(Serialize, Deserialize)]
struct ModuleJson {
    host_uuid: String,
    name: String,
    nics: Vec<NicJson>,
    target_revision: u64,
}

#[derive(Serialize, Deserialize)]
struct NicJson {
    number: u8,
    ifname: String,
}

/// The bytes of a module's record.
///
/// # Errors
/// None in practice: the value is strings and numbers.
pub(super) fn write_module(module: &ModuleRecord) -> Result<Vec<u8>, RecordError> {
    let nic = |nic: &Nic| NicJson { number: nic.number, ifname: nic.ifname.clone() };
    Ok(serde_json::to_vec(&ModuleJson {
        host_uuid: module.host.to_string(),
        name: module.name.clone(),
        nics: module.nics.iter().map(nic).collect(),
        target_revision: module.target.get(),
    })?)
}

/// The module of a record.
///
/// # Errors
/// [`RecordError`]: the bytes are not what [`write_module`] writes.
pub(super) fn read_module(module: u16, bytes: &[u8]) -> Result<ModuleRecord, RecordError> {
    let json: ModuleJson = serde_json::from_slice(bytes)?;
    let nic = |nic: NicJson| Nic { number: nic.number, ifname: nic.ifname };
    Ok(ModuleRecord {
        module: ModuleId::new(module)?,
        host: json.host_uuid.parse::<HostId>()?,
        name: json.name,
        nics: json.nics.into_iter().map(nic).collect(),
        target: Revision::new(json.target_revision),
    })
}

#[derive(Serialize, Deserialize)]
struct RevisionJson {
    unix_time_ns: u64,
    kind: String,
    comment: String,
}

/// The bytes of a revision's record.
///
/// # Errors
/// None in practice: the value is strings and numbers.
pub(super) fn write_revision(record: &RevisionRecord) -> Result<Vec<u8>, RecordError> {
    Ok(serde_json::to_vec(&RevisionJson {
        unix_time_ns: record.unix_time_ns,
        kind: record.kind.name().to_owned(),
        comment: record.comment.clone(),
    })?)
}

/// The revision of a record.
///
/// # Errors
/// [`RecordError`]: the bytes are not what [`write_revision`] writes.
pub(super) fn read_revision(bytes: &[u8]) -> Result<RevisionRecord, RecordError> {
    let json: RevisionJson = serde_json::from_slice(bytes)?;
    let kind = RevisionKind::from_name(&json.kind).ok_or(RecordError::Kind(json.kind))?;
    Ok(RevisionRecord { unix_time_ns: json.unix_time_ns, kind, comment: json.comment })
}
