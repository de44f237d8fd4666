//! What a dataplane keeps on disk, so that it forwards without a supervisor after any restart.
//!
//! Four files in the state directory: `identity` (the host's UUID), `intent` (the last applied
//! state with its revision and term), `term` (the highest term) and `attachments` (what is plugged
//! in). Each is replaced as a whole: written beside, synced, renamed, directory synced. So after a
//! crash a file is the old one or the new one.
//!
//! Invariants:
//! 1. `intent` is on disk before its revision is acknowledged, and `term` is written before a higher
//!    one is obeyed.
//! 2. A damaged file whose content the supervisor has (`intent`, `term`) is set aside, and the host
//!    starts without it. One whose content nobody else has stops the start.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::net::Ipv4Addr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use prost::Message;
use proto::rpc::switch as rpc;
use proto::{HostId, Revision, Term, TypeError};
use serde::{Deserialize, Serialize};
use tracing::warn;

/// First bytes of the `intent` file; the last one is the version of its layout.
const MAGIC: [u8; 8] = *b"WEFTINT\x01";
/// Magic, then big-endian: CRC-32 of what follows, revision, term.
const HEADER_BYTES: usize = 8 + 4 + 8 + 8;
/// A state file larger than this was not written by us.
const INTENT_BYTES_MAX: u64 = 256 << 20;
/// As above: a number of at most 20 digits and its checksum.
const TERM_BYTES_MAX: u64 = 64;

/// Why the state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CacheError {
    /// The system refused an operation.
    #[error("{action} {}: {source}", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Another process has it.
    #[error("another daemon uses {}: give this one another --state-dir", dir.display())]
    InUse {
        /// The state directory.
        dir: PathBuf,
    },
    /// A file is damaged. It is left where it is.
    #[error("{}: {reason}; move it away to start without it", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The `identity` file holds no UUID.
    #[error("{}: {source}", path.display())]
    Identity {
        /// Which file.
        path: PathBuf,
        /// What is wrong with its text.
        source: TypeError,
    },
}

/// The last state that was applied.
#[derive(Clone, Debug, PartialEq)]
pub struct Saved {
    /// Its revision.
    pub revision: Revision,
    /// The term of the supervisor that pushed it.
    pub term: Term,
    /// The state itself, as it came over the wire.
    pub intent: rpc::HostIntent,
}

/// A vNIC that is plugged into this host, with all that is needed to plug it in again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedAttachment {
    /// The VM.
    pub vm: String,
    /// The vNIC in the VM.
    pub adapter: String,
    /// The number of its vEthernet.
    pub vethernet: u32,
    /// Its address.
    pub mac: String,
    /// Its profile.
    pub profile: String,
    /// `tap` or `afxdp`.
    pub kind: String,
    /// Network namespace of the netdev; empty: the daemon's own.
    pub netns: String,
    /// The netdev's name.
    pub ifname: String,
    /// MTU that was asked for; 0: that of the profile.
    pub mtu_bytes: u32,
    /// Its IPv4 addresses, if known.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ipv4: Vec<Ipv4Addr>,
}

/// The state directory.
#[derive(Debug)]
pub struct Cache {
    dir: PathBuf,
    /// The directory itself, locked: two daemons with one identity would throw each other out of
    /// their sessions and write over each other's state. The kernel unlocks it when we die.
    _lock: File,
}

impl Cache {
    /// Opens the state directory, which nobody else has open, and creates it when it is missing.
    ///
    /// # Errors
    /// [`CacheError::Io`] when it cannot be created, [`CacheError::InUse`] when another daemon has
    /// it.
    pub fn open(dir: &Path) -> Result<Self, CacheError> {
        let io = |action| move |source| CacheError::Io { action, path: dir.to_owned(), source };
        fs::create_dir_all(dir).map_err(io("create"))?;
        let lock = File::open(dir).map_err(io("open"))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { dir: dir.to_owned(), _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(CacheError::InUse { dir: dir.to_owned() }),
            Err(TryLockError::Error(source)) => Err(io("lock")(source)),
        }
    }

    /// The host's identity: what is on disk, else `wanted`, else a random one; then it is on disk.
    ///
    /// # Errors
    /// The file cannot be read or written, or holds no UUID.
    pub fn identity(&self, wanted: Option<HostId>) -> Result<HostId, CacheError> {
        let path = self.dir.join("identity");
        if let Some(bytes) = self.read(&path, 64)? {
            let text = String::from_utf8_lossy(&bytes);
            return text.trim().parse().map_err(|source| CacheError::Identity { path, source });
        }
        let host = match wanted {
            Some(host) => host,
            None => random_host_id().map_err(|source| CacheError::Io {
                action: "read",
                path: PathBuf::from("/dev/urandom"),
                source,
            })?,
        };
        self.replace(&path, format!("{host}\n").as_bytes())?;
        Ok(host)
    }

    /// The last applied state; `None` on a host that never had one, and on one whose file was
    /// damaged: that one is set aside, and the supervisor sends the state again.
    ///
    /// # Errors
    /// The file cannot be read, or not be set aside.
    pub fn load_intent(&self) -> Result<Option<Saved>, CacheError> {
        self.load_or_set_aside("intent", INTENT_BYTES_MAX, decode_intent)
    }

    /// The highest term that was kept; 0 on a host that never heard of one. It has a file of its
    /// own, so that a deposed supervisor is still refused when `intent` is lost. A damaged one is
    /// set aside; then the term of the saved state serves.
    ///
    /// # Errors
    /// The file cannot be read, or not be set aside.
    pub fn load_term(&self) -> Result<Term, CacheError> {
        let term = self.load_or_set_aside("term", TERM_BYTES_MAX, decode_term)?;
        Ok(term.unwrap_or(Term::new(0)))
    }

    /// Puts the highest term on disk.
    ///
    /// # Errors
    /// The file cannot be written; then the one before it is still whole.
    pub fn save_term(&self, term: Term) -> Result<(), CacheError> {
        self.replace(&self.dir.join("term"), encode_term(term).as_bytes())
    }

    /// Puts an applied state on disk. When this returns, a power cut does not lose it.
    ///
    /// # Errors
    /// The file cannot be written; then the one before it is still whole.
    pub fn save_intent(&self, saved: &Saved) -> Result<(), CacheError> {
        let mut body = Vec::with_capacity(16 + saved.intent.encoded_len());
        body.extend_from_slice(&saved.revision.get().to_be_bytes());
        body.extend_from_slice(&saved.term.get().to_be_bytes());
        body.extend_from_slice(&saved.intent.encode_to_vec());
        let mut bytes = Vec::with_capacity(12 + body.len());
        bytes.extend_from_slice(&MAGIC);
        bytes.extend_from_slice(&crc32(&body).to_be_bytes());
        bytes.extend_from_slice(&body);
        self.replace(&self.dir.join("intent"), &bytes)
    }

    /// What was plugged in.
    ///
    /// # Errors
    /// The file cannot be read, or is damaged.
    pub fn load_attachments(&self) -> Result<Vec<SavedAttachment>, CacheError> {
        let path = self.dir.join("attachments");
        let Some(bytes) = self.read(&path, 16 << 20)? else { return Ok(Vec::new()) };
        serde_json::from_slice(&bytes)
            .map_err(|e| CacheError::Damaged { path, reason: e.to_string() })
    }

    /// Puts what is plugged in on disk.
    ///
    /// # Errors
    /// The file cannot be written; then the one before it is still whole.
    pub fn save_attachments(&self, attachments: &[SavedAttachment]) -> Result<(), CacheError> {
        let path = self.dir.join("attachments");
        let bytes = serde_json::to_vec_pretty(attachments)
            .map_err(|e| CacheError::Damaged { path: path.clone(), reason: e.to_string() })?;
        self.replace(&path, &bytes)
    }

    fn load_or_set_aside<T>(
        &self,
        file: &str,
        bytes_max: u64,
        decode: impl FnOnce(&[u8]) -> Result<T, &'static str>,
    ) -> Result<Option<T>, CacheError> {
        let path = self.dir.join(file);
        let damage = match self.read(&path, bytes_max) {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => match decode(&bytes) {
                Ok(value) => return Ok(Some(value)),
                Err(reason) => reason.to_owned(),
            },
            Err(CacheError::Damaged { reason, .. }) => reason,
            Err(error) => return Err(error),
        };
        let aside = path.with_extension("damaged");
        let io = |source| CacheError::Io { action: "set aside", path: path.clone(), source };
        fs::rename(&path, &aside).and_then(|()| self.sync_dir()).map_err(io)?;
        let (path, aside) = (path.display(), aside.display());
        warn!("{path}: {damage}; kept as {aside}, and starting without it");
        Ok(None)
    }

    fn sync_dir(&self) -> io::Result<()> {
        File::open(&self.dir)?.sync_all()
    }

    fn read(&self, path: &Path, bytes_max: u64) -> Result<Option<Vec<u8>>, CacheError> {
        let io = |source| CacheError::Io { action: "read", path: path.to_owned(), source };
        let file = match File::open(path) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(io(e)),
        };
        let mut bytes = Vec::new();
        file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(io)?;
        if bytes.len() as u64 > bytes_max {
            let reason = format!("larger than {bytes_max} bytes");
            return Err(CacheError::Damaged { path: path.to_owned(), reason });
        }
        Ok(Some(bytes))
    }

    fn replace(&self, path: &Path, bytes: &[u8]) -> Result<(), CacheError> {
        let io = |source| CacheError::Io { action: "write", path: path.to_owned(), source };
        let beside = path.with_extension("new");
        write_synced(&beside, bytes).map_err(|source| {
            // Half a file is of no use, and takes room that may be what is missing.
            fs::remove_file(&beside).ok();
            io(source)
        })?;
        fs::rename(&beside, path).map_err(io)?;
        self.sync_dir().map_err(io)
    }
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn decode_intent(bytes: &[u8]) -> Result<Saved, &'static str> {
    let Some((header, message)) = bytes.split_at_checked(HEADER_BYTES) else {
        return Err("shorter than its header");
    };
    if header[..8] != MAGIC {
        return Err("not a saved state of this version");
    }
    let number = |at: usize| u64::from_be_bytes(std::array::from_fn(|i| header[at + i]));
    let sum = u32::from_be_bytes(std::array::from_fn(|i| header[8 + i]));
    if crc32(&bytes[12..]) != sum {
        return Err("checksum does not match");
    }
    let intent = rpc::HostIntent::decode(message).map_err(|_| "not a well-formed state")?;
    Ok(Saved { revision: Revision::new(number(12)), term: Term::new(number(20)), intent })
}

/// The term in decimal, then the CRC-32 of that text in hexadecimal: people read it, and a flipped
/// digit must not make a term that no supervisor will ever reach.
fn encode_term(term: Term) -> String {
    let text = term.get().to_string();
    format!("{text} {:08x}\n", crc32(text.as_bytes()))
}

fn decode_term(bytes: &[u8]) -> Result<Term, &'static str> {
    let text = str::from_utf8(bytes).map_err(|_| "not a text")?;
    let number = text.split_once(' ').and_then(|(number, _)| number.parse().ok());
    let term = Term::new(number.ok_or("not a term and its checksum")?);
    if text == encode_term(term) { Ok(term) } else { Err("checksum does not match") }
}

/// A random UUID, version 4 (RFC 9562 section 5.4).
fn random_host_id() -> io::Result<HostId> {
    let mut octets = [0u8; 16];
    File::open("/dev/urandom")?.read_exact(&mut octets)?;
    octets[6] = octets[6] & 0x0f | 0x40;
    octets[8] = octets[8] & 0x3f | 0x80;
    Ok(HostId::new(octets))
}

/// CRC-32 as in IEEE 802.3 clause 3.2.9. Read once at start and written at a change: a bitwise loop
/// is fast enough and cannot be wrong in a table.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let carry = crc & 1;
            crc = (crc >> 1) ^ (0xedb8_8320 & carry.wrapping_neg());
        }
    }
    !crc
}

#[cfg(test)]
mod tests {
    use super::*;

    fn saved() -> Saved {
        let vlans = vec![rpc::Vlan { id: 10, name: "LAN-A".to_owned() }];
        let intent = rpc::HostIntent { vlans, ..Default::default() };
        Saved { revision: Revision::new(7), term: Term::new(3), intent }
    }

    fn cache() -> (tempfile::TempDir, Cache) {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let cache = Cache::open(&dir.path().join("state")).expect("a state directory");
        (dir, cache)
    }

    #[test]
    fn a_new_host_has_nothing_but_keeps_its_identity() {
        let (_dir, cache) = cache();
        assert_eq!(cache.load_intent().expect("no intent"), None);
        assert_eq!(cache.load_attachments().expect("no attachments"), []);
        let first = cache.identity(None).expect("an identity");
        assert_eq!(cache.identity(None).expect("the same"), first);
        let other = HostId::new([9; 16]);
        assert_eq!(cache.identity(Some(other)).expect("what is on disk wins"), first);
    }

    #[test]
    fn a_state_directory_has_one_daemon() {
        let (dir, cache) = cache();
        let again = || Cache::open(&dir.path().join("state"));
        assert!(matches!(again(), Err(CacheError::InUse { .. })));
        drop(cache);
        assert!(again().is_ok());
    }

    #[test]
    fn an_applied_state_comes_back() {
        let (_dir, cache) = cache();
        cache.save_intent(&saved()).expect("saved");
        assert_eq!(cache.load_intent().expect("loaded"), Some(saved()));
    }

    #[test]
    fn every_damaged_byte_and_every_truncation_is_noticed() {
        let (_dir, cache) = cache();
        cache.save_intent(&saved()).expect("saved");
        let whole = fs::read(cache.dir.join("intent")).expect("the file");
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0x10;
            assert!(decode_intent(&damaged).is_err(), "byte {at}");
            assert!(decode_intent(&whole[..at]).is_err(), "cut at {at}");
        }
    }

    #[test]
    fn a_damaged_state_is_set_aside_for_people_and_the_term_stays() {
        let (_dir, cache) = cache();
        let (intent, aside) = (cache.dir.join("intent"), cache.dir.join("intent.damaged"));
        cache.save_intent(&saved()).expect("saved");
        cache.save_term(Term::new(3)).expect("saved");
        for damage in [&b""[..], b"rubbish", &[0xff; 100]] {
            fs::write(&intent, damage).expect("spoilt");
            assert_eq!(cache.load_intent().expect("the start goes on"), None);
            assert!(!intent.exists());
            assert_eq!(fs::read(&aside).expect("kept"), damage, "the newest one is kept");
            assert_eq!(cache.load_intent().expect("as on a new host"), None);
            assert_eq!(cache.load_term().expect("a file of its own"), Term::new(3));
        }
        cache.save_intent(&saved()).expect("the state comes again");
        assert_eq!(cache.load_intent().expect("loaded"), Some(saved()));
    }

    #[test]
    fn a_file_that_is_too_long_is_set_aside_unread() {
        let (_dir, cache) = cache();
        let file = File::create(cache.dir.join("intent")).expect("a file");
        file.set_len(INTENT_BYTES_MAX + 1).expect("a hole");
        assert_eq!(cache.load_intent().expect("the start goes on"), None);
        assert!(cache.dir.join("intent.damaged").exists());
    }

    #[test]
    fn no_damage_of_the_term_makes_another_term() {
        let (_dir, cache) = cache();
        assert_eq!(cache.load_term().expect("a new host"), Term::new(0));
        for term in [0, 3, 1_234_567, u64::MAX].map(Term::new) {
            cache.save_term(term).expect("saved");
            assert_eq!(cache.load_term().expect("loaded"), term);
            let whole = fs::read(cache.dir.join("term")).expect("the file");
            for at in 0..whole.len() {
                for bit in 0..8 {
                    let mut damaged = whole.clone();
                    damaged[at] ^= 1 << bit;
                    assert!(decode_term(&damaged).is_err(), "bit {bit} of byte {at}");
                }
                assert!(decode_term(&whole[..at]).is_err(), "cut at {at}");
            }
        }
        fs::write(cache.dir.join("term"), "9 00000000\n").expect("spoilt");
        assert_eq!(cache.load_term().expect("the start goes on"), Term::new(0));
        assert!(cache.dir.join("term.damaged").exists());
    }

    #[test]
    fn damaged_attachments_stop_the_start_and_stay() {
        let (_dir, cache) = cache();
        fs::write(cache.dir.join("attachments"), "[{").expect("spoilt");
        assert!(matches!(cache.load_attachments(), Err(CacheError::Damaged { .. })));
        assert_eq!(fs::read(cache.dir.join("attachments")).expect("there"), b"[{");
    }

    #[test]
    fn crc_is_the_one_of_ethernet() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
