//! Archives in the "new ASCII" cpio format, which the kernel unpacks into its first file system
//! (Documentation/driver-api/early-userspace/buffer-format.rst of Linux; cpio(5), "New ASCII").
//!
//! *Where it sits:* under [`super::image`]. Only what an initrd needs: folders, files, no links.
//!
//! *Invariant:* a folder precedes what is in it, else the kernel skips the file.

use std::collections::BTreeSet;

const MAGIC: &str = "070701";
const TRAILER: &str = "TRAILER!!!";
/// Headers with their names, and contents, begin at multiples of this.
const ALIGNMENT: usize = 4;

const FOLDER: u32 = 0o040_755;
const FILE: u32 = 0o100_000;

/// An archive that grows.
#[derive(Debug, Default)]
pub struct Archive {
    bytes: Vec<u8>,
    folders: BTreeSet<String>,
    entries: u32,
}

impl Archive {
    /// An archive of nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a folder, with those above it; one that is already there is left alone.
    pub fn folder(&mut self, path: &str) {
        let path = path.trim_matches('/');
        if path.is_empty() || self.folders.contains(path) {
            return;
        }
        if let Some((above, _)) = path.rsplit_once('/') {
            self.folder(above);
        }
        self.entry(path, FOLDER, &[]);
        self.folders.insert(path.to_owned());
    }

    /// Adds a file with its permissions (`0o755`), and the folders above it.
    pub fn file(&mut self, path: &str, permissions: u32, content: &[u8]) {
        let path = path.trim_matches('/');
        if let Some((above, _)) = path.rsplit_once('/') {
            self.folder(above);
        }
        self.entry(path, FILE | permissions, content);
    }

    /// The whole archive with its end mark.
    pub fn finish(mut self) -> Vec<u8> {
        self.entry(TRAILER, 0, &[]);
        self.bytes
    }

    fn entry(&mut self, name: &str, mode: u32, content: &[u8]) {
        self.entries += 1;
        // inode, mode, owner, group, links, time, size, device (2), special device (2), length of
        // the name with its NUL, checksum (unused in this format).
        let name_len = name.len() + 1;
        let ino = self.entries;
        self.bytes.extend(MAGIC.bytes());
        let fields = [ino, mode, 0, 0, 1, 0].into_iter().map(u64::from);
        let sizes = [content.len(), 0, 0, 0, 0, name_len, 0].into_iter().map(|size| size as u64);
        for field in fields.chain(sizes) {
            self.bytes.extend(format!("{field:08x}").bytes());
        }
        self.bytes.extend(name.bytes());
        self.bytes.push(0);
        self.pad();
        self.bytes.extend(content);
        self.pad();
    }

    fn pad(&mut self) {
        self.bytes.resize(self.bytes.len().next_multiple_of(ALIGNMENT), 0);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn an_entry_is_as_the_format_says() {
        let mut archive = Archive::new();
        archive.file("ab", 0o644, b"xyz");
        let bytes = archive.finish();
        let expected = "070701 00000001 000081a4 00000000 00000000 00000001 00000000 00000003 \
            00000000 00000000 00000000 00000000 00000003 00000000 ab\0\0\0\0xyz\0";
        let expected: String = expected.split_whitespace().collect();
        assert_eq!(&bytes[..expected.len()], expected.as_bytes());
        assert!(bytes.windows(TRAILER.len()).any(|window| window == TRAILER.as_bytes()));
        assert_eq!(bytes.len() % ALIGNMENT, 0);
    }

    #[test]
    fn another_program_unpacks_it() {
        let dir = tempfile::tempdir().unwrap();
        let mut archive = Archive::new();
        let content: Vec<u8> = (0..10_001_u32).map(|value| value as u8).collect();
        archive.file("/deep/er/file", 0o755, &content);
        archive.file("deep/other", 0o600, b"");
        archive.folder("/empty/");
        let busybox = super::super::image::tools_dir().join("busybox");
        let mut unpack = Command::new(busybox)
            .args(["cpio", "-id"])
            .current_dir(dir.path())
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        unpack.stdin.take().unwrap().write_all(&archive.finish()).unwrap();
        assert!(unpack.wait().unwrap().success());
        assert_eq!(std::fs::read(dir.path().join("deep/er/file")).unwrap(), content);
        assert_eq!(std::fs::read(dir.path().join("deep/other")).unwrap(), b"");
        assert!(dir.path().join("empty").is_dir());
    }
}
