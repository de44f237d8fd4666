//! The embedded store: one redb file that survives a crash at any moment.
//!
//! Where it sits: the engine writes every commit here before anybody hears of it.
//!
//! Invariants:
//! 1. [`Store::commit`] returns only when the transaction is on disk (redb's immediate durability).
//! 2. A transaction is in the file whole or not at all.
//! 3. The term grows with every opening, and is on disk before it is used.
//! 4. Nothing is taken from a file whose checksums do not hold: it is refused, and left as it is.
//!
//! Not here: what may be committed (`commit.rs`). After a failed write nobody knows what is on
//! disk, so the process ends and the next one reads.

pub mod record;

use std::fs;
use std::panic::{self, AssertUnwindSafe};
use std::path::{Path, PathBuf};

use proto::Revision;
use redb::{
    Database, DatabaseError, ReadableDatabase, ReadableTable, ReadableTableMetadata, StorageError,
    TableDefinition, WriteTransaction,
};
use tracing::warn;

use record::{RecordError, Saved, Transaction};

/// The layout that this version writes and the newest it reads.
pub const SCHEMA_VERSION: u64 = 1;
/// Revisions whose time and comment are kept.
pub const REVISIONS_KEPT: u64 = 10_000;
/// Configurations that are kept, the running one included.
pub const CONFIGS_KEPT: u64 = 500;

const FILE_NAME: &str = "weft.redb";
const SCHEMA: &str = "schema";
const TERM: &str = "term";
const REVISION: &str = "revision";

const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");
/// Revision -> record.
const REVISIONS: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("revisions");
/// Revision -> the whole configuration as text.
const CONFIGS: TableDefinition<'_, u64, &str> = TableDefinition::new("configs");
/// vEthernet number -> record.
const BINDINGS: TableDefinition<'_, u32, &[u8]> = TableDefinition::new("bindings");
/// Module number -> record.
const MODULES: TableDefinition<'_, u16, &[u8]> = TableDefinition::new("modules");

/// What is wrong with the store.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The directory cannot be made or opened.
    #[error("cannot use the data directory {path}: {source}")]
    Directory {
        /// The directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Another supervisor runs on the same directory.
    #[error("{path} is in use by another supervisor: stop it, or give another --data-dir")]
    InUse {
        /// The file.
        path: PathBuf,
    },
    /// A newer version wrote the file.
    #[error(
        "{path} has schema {found}, and this version reads up to {SCHEMA_VERSION}: start the newer \
         weft-supervisor that wrote it, or restore the backup of before the upgrade"
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its schema.
        found: u64,
    },
    /// The file is damaged, or not ours.
    #[error(
        "{path} is damaged or not a store of weft-supervisor: {detail}; restore it from a backup, \
         or move it away to start with an empty configuration"
    )]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        detail: String,
    },
    /// Reading or writing failed.
    #[error("cannot {action} {path}: {source}")]
    Failed {
        /// What was tried.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What redb said.
        source: Box<redb::Error>,
    },
}

/// An open store.
#[derive(Debug)]
pub struct Store {
    path: PathBuf,
    database: Database,
}

impl Store {
    /// Opens the store of a directory, makes it when there is none, and begins a new term.
    ///
    /// # Errors
    /// [`StoreError`]: the file cannot be opened, is damaged or was written by a newer version.
    pub fn open(directory: &Path) -> Result<(Self, Saved), StoreError> {
        let unusable = |source| StoreError::Directory { path: directory.to_owned(), source };
        fs::create_dir_all(directory).map_err(unusable)?;
        let path = directory.join(FILE_NAME);
        let is_new = !path.exists();
        if is_new {
            drop(Database::create(&path).map_err(|e| open_error(&path, e))?);
            // The name of a new file is durable only when its directory is.
            fs::File::open(directory).and_then(|d| d.sync_all()).map_err(unusable)?;
        }
        let store = Self { database: open_verified(&path)?, path };
        store.begin_term()?;
        let saved = store.load()?;
        Ok((store, saved))
    }

    /// Makes a commit durable.
    ///
    /// # Errors
    /// [`StoreError::Failed`]; whether the transaction is in the file is then unknown until it is
    /// opened again.
    pub fn commit(&self, transaction: &Transaction) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(|e| self.failed("write", e))?;
        self.write(&write, transaction)?;
        write.commit().map_err(|e| self.failed("commit to", e))
    }

    /// The configuration as of a revision: the newest one that is not newer.
    ///
    /// # Errors
    /// [`StoreError::Failed`]: the file cannot be read.
    pub fn config_at(&self, revision: Revision) -> Result<Option<(Revision, String)>, StoreError> {
        let read = self.database.begin_read().map_err(|e| self.failed("read", e))?;
        let configs = read.open_table(CONFIGS).map_err(|e| self.failed("read", e))?;
        let mut older = configs.range(..=revision.get()).map_err(|e| self.failed("read", e))?;
        match older.next_back() {
            None => Ok(None),
            Some(entry) => {
                let (number, text) = entry.map_err(|e| self.failed("read", e))?;
                Ok(Some((Revision::new(number.value()), text.value().to_owned())))
            }
        }
    }

    fn begin_term(&self) -> Result<(), StoreError> {
        let write = self.database.begin_write().map_err(|e| self.failed("write", e))?;
        {
            let mut meta = write.open_table(META).map_err(|e| self.failed("write", e))?;
            let get = |key| match meta.get(key) {
                Ok(value) => Ok(value.map_or(0, |v| v.value())),
                Err(e) => Err(self.failed("read", e)),
            };
            let (schema, term) = (get(SCHEMA)?, get(TERM)?);
            if schema > SCHEMA_VERSION {
                return Err(StoreError::Newer { path: self.path.clone(), found: schema });
            }
            for (key, value) in [(SCHEMA, SCHEMA_VERSION), (TERM, term.saturating_add(1))] {
                meta.insert(key, value).map_err(|e| self.failed("write", e))?;
            }
            // Tables that exist always make reading simple.
            write.open_table(REVISIONS).map_err(|e| self.failed("write", e))?;
            write.open_table(CONFIGS).map_err(|e| self.failed("write", e))?;
            write.open_table(BINDINGS).map_err(|e| self.failed("write", e))?;
            write.open_table(MODULES).map_err(|e| self.failed("write", e))?;
        }
        write.commit().map_err(|e| self.failed("commit to", e))
    }

    fn load(&self) -> Result<Saved, StoreError> {
        let read = self.database.begin_read().map_err(|e| self.failed("read", e))?;
        let meta = read.open_table(META).map_err(|e| self.failed("read", e))?;
        let get = |key| match meta.get(key) {
            Ok(value) => Ok(value.map_or(0, |v| v.value())),
            Err(e) => Err(self.failed("read", e)),
        };
        let mut saved = Saved { revision: get(REVISION)?, term: get(TERM)?, ..Saved::default() };
        let bindings = read.open_table(BINDINGS).map_err(|e| self.failed("read", e))?;
        for entry in bindings.iter().map_err(|e| self.failed("read", e))? {
            let (key, value) = entry.map_err(|e| self.failed("read", e))?;
            let what = || format!("vEthernet {}", key.value());
            let binding = record::read_binding(key.value(), value.value());
            saved.bindings.push(binding.map_err(|e| self.damaged(what(), &e))?);
        }
        let modules = read.open_table(MODULES).map_err(|e| self.failed("read", e))?;
        for entry in modules.iter().map_err(|e| self.failed("read", e))? {
            let (key, value) = entry.map_err(|e| self.failed("read", e))?;
            let what = || format!("module {}", key.value());
            let module = record::read_module(key.value(), value.value());
            saved.modules.push(module.map_err(|e| self.damaged(what(), &e))?);
        }
        let revisions = read.open_table(REVISIONS).map_err(|e| self.failed("read", e))?;
        for entry in revisions.iter().map_err(|e| self.failed("read", e))? {
            let (key, value) = entry.map_err(|e| self.failed("read", e))?;
            let what = || format!("revision {}", key.value());
            let record = record::read_revision(value.value());
            let record = record.map_err(|e| self.damaged(what(), &e))?;
            saved.revisions.insert(Revision::new(key.value()), record);
        }
        saved.config = self.config_at(Revision::new(saved.revision))?;
        Ok(saved)
    }

    fn write(&self, write: &WriteTransaction, of: &Transaction) -> Result<(), StoreError> {
        let revision = of.revision.get();
        let mut meta = write.open_table(META).map_err(|e| self.failed("write", e))?;
        meta.insert(REVISION, revision).map_err(|e| self.failed("write", e))?;
        if let Some(term) = of.term {
            meta.insert(TERM, term.get()).map_err(|e| self.failed("write", e))?;
        }
        let mut revisions = write.open_table(REVISIONS).map_err(|e| self.failed("write", e))?;
        let record = record::write_revision(&of.record);
        let record = record.map_err(|e| self.damaged("a revision".to_owned(), &e))?;
        revisions.insert(revision, record.as_slice()).map_err(|e| self.failed("write", e))?;
        while revisions.len().map_err(|e| self.failed("write", e))? > REVISIONS_KEPT {
            revisions.pop_first().map_err(|e| self.failed("write", e))?;
        }
        if let Some(text) = &of.config {
            let mut configs = write.open_table(CONFIGS).map_err(|e| self.failed("write", e))?;
            configs.insert(revision, text.as_str()).map_err(|e| self.failed("write", e))?;
            while configs.len().map_err(|e| self.failed("write", e))? > CONFIGS_KEPT {
                configs.pop_first().map_err(|e| self.failed("write", e))?;
            }
        }
        let mut bindings = write.open_table(BINDINGS).map_err(|e| self.failed("write", e))?;
        for binding in &of.bindings {
            let bytes = record::write_binding(binding);
            let bytes = bytes.map_err(|e| self.damaged("a vEthernet".to_owned(), &e))?;
            let inserted = bindings.insert(binding.veth.get(), bytes.as_slice());
            inserted.map_err(|e| self.failed("write", e))?;
        }
        let mut modules = write.open_table(MODULES).map_err(|e| self.failed("write", e))?;
        for module in &of.modules {
            let bytes = record::write_module(module);
            let bytes = bytes.map_err(|e| self.damaged("a module".to_owned(), &e))?;
            let inserted = modules.insert(module.module.get(), bytes.as_slice());
            inserted.map_err(|e| self.failed("write", e))?;
        }
        Ok(())
    }

    fn failed(&self, action: &'static str, source: impl Into<redb::Error>) -> StoreError {
        let path = self.path.clone();
        match source.into() {
            redb::Error::Corrupted(detail) => StoreError::Damaged { path, detail },
            source @ (redb::Error::TableTypeMismatch { .. }
            | redb::Error::TableIsMultimap(_)
            | redb::Error::TypeDefinitionChanged { .. }) => {
                StoreError::Damaged { path, detail: source.to_string() }
            }
            source => StoreError::Failed { action, path, source: Box::new(source) },
        }
    }

    fn damaged(&self, what: String, error: &RecordError) -> StoreError {
        StoreError::Damaged { path: self.path.clone(), detail: format!("{what}: {error}") }
    }
}

/// Opens a file that exists, and reads all of it against its checksums: redb on its own does so only
/// after a crash, and would take the flipped bits of a bad disk for a configuration. An empty file
/// is refused too, which redb would fill with an empty store.
fn open_verified(path: &Path) -> Result<Database, StoreError> {
    let open = || {
        let mut database = Database::open(path)?;
        if !database.check_integrity()? {
            warn!("{}: the list of free pages was rebuilt", path.display());
        }
        Ok(database)
    };
    // redb (4.4) reads its list of free pages before anything has verified it, and panics at one
    // that makes no sense. What it had open is dropped, and the file is as it was.
    match panic::catch_unwind(AssertUnwindSafe(open)) {
        Ok(outcome) => outcome.map_err(|e| open_error(path, e)),
        Err(_) => {
            let detail = "its pages contradict each other".to_owned();
            Err(StoreError::Damaged { path: path.to_owned(), detail })
        }
    }
}

fn open_error(path: &Path, error: DatabaseError) -> StoreError {
    let path = path.to_owned();
    match error {
        DatabaseError::DatabaseAlreadyOpen => StoreError::InUse { path },
        DatabaseError::Storage(StorageError::Corrupted(detail)) => {
            StoreError::Damaged { path, detail }
        }
        DatabaseError::Storage(StorageError::Io(e))
            if matches!(
                e.kind(),
                std::io::ErrorKind::InvalidData | std::io::ErrorKind::UnexpectedEof
            ) =>
        {
            StoreError::Damaged { path, detail: e.to_string() }
        }
        DatabaseError::UpgradeRequired(version) => {
            StoreError::Damaged { path, detail: format!("redb file format {version}") }
        }
        other => StoreError::Failed { action: "open", path, source: Box::new(other.into()) },
    }
}

#[cfg(test)]
mod tests;
