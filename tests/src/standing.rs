//! A lab that another process keeps up: what `lab up` writes down for `lab down` and `lab exec`.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde::{Deserialize, Serialize};

use crate::error::{LabError, Result};
use crate::lab::Lab;
use crate::netns::{PREFIX, is_alive};
use crate::wait::wait_until;

/// Where the records are; gone after a reboot, as the labs are.
const DIR: &str = "/run/weft-lab";

/// How long a lab may take to go down.
const DOWN_DEADLINE: Duration = Duration::from_secs(60);

/// The record of a lab that is up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Name of the lab.
    pub name: String,
    /// The process that keeps it.
    pub pid: i32,
    /// Name of each node's namespace.
    pub namespaces: BTreeMap<String, String>,
    /// The supervisor's admin socket, when the lab runs the daemons.
    pub admin_socket: Option<PathBuf>,
}

/// A record on disk; removed on drop.
#[derive(Debug)]
pub struct Record(PathBuf);

impl Standing {
    /// Describes a lab of this process.
    pub fn of(lab: &Lab, admin_socket: Option<PathBuf>) -> Self {
        let names = lab.nodes().map(|(node, ns)| (node.to_owned(), ns.name().to_owned()));
        Self {
            name: lab.topology().name.clone(),
            pid: std::process::id().cast_signed(),
            namespaces: names.collect(),
            admin_socket,
        }
    }

    /// Writes it down while the lab is up.
    ///
    /// # Errors
    /// When a lab of this name is up already, or the file cannot be written.
    pub fn record(&self) -> Result<Record> {
        if let Some(other) = Self::find(&self.name)? {
            let Self { name, pid, .. } = other;
            return Err(LabError::Unexpected(format!("lab `{name}` is up already (pid {pid})")));
        }
        let path = path(&self.name);
        let action = || format!("cannot write {}", path.display());
        let text = serde_json::to_string_pretty(self)
            .map_err(|error| LabError::io(action())(error.into()))?;
        fs::create_dir_all(DIR).map_err(LabError::io(action()))?;
        fs::write(&path, text).map_err(LabError::io(action()))?;
        Ok(Record(path))
    }

    /// The lab of this name, when it is up. A record whose process was killed is removed.
    ///
    /// # Errors
    /// When there is a record that cannot be read.
    pub fn find(name: &str) -> Result<Option<Self>> {
        let path = path(name);
        let action = || format!("cannot read {}", path.display());
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(LabError::io(action())(error)),
        };
        let standing: Self =
            serde_json::from_str(&text).map_err(|error| LabError::io(action())(error.into()))?;
        if standing.is_alive() {
            return Ok(Some(standing));
        }
        drop(Record(path));
        Ok(None)
    }

    /// Ends the process that keeps the lab, and waits until the lab is gone.
    ///
    /// # Errors
    /// When it cannot be ended, or is not gone in a minute.
    pub fn take_down(&self) -> Result<()> {
        kill(Pid::from_raw(self.pid), Signal::SIGTERM)
            .map_err(LabError::errno(format!("cannot end lab `{}`", self.name)))?;
        let what = format!("lab `{}` (pid {}) to go down", self.name, self.pid);
        wait_until(what, DOWN_DEADLINE, || !self.is_alive())
    }

    /// Whether its process lives and is what wrote the record: the namespaces carry its pid.
    fn is_alive(&self) -> bool {
        let prefix = format!("{PREFIX}-{}-", self.pid);
        let is_lab = fs::read_to_string(format!("/proc/{}/comm", self.pid))
            .is_ok_and(|name| name.trim_end() == own_name().trim_end());
        let alive = u32::try_from(self.pid).is_ok_and(is_alive);
        alive && is_lab && self.namespaces.values().all(|namespace| namespace.starts_with(&prefix))
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                eprintln!("lab: cannot remove {}: {error}", self.0.display());
            }
            _ => {}
        }
    }
}

fn path(name: &str) -> PathBuf {
    Path::new(DIR).join(name).with_extension("json")
}

/// Name of this program as the kernel shows it.
fn own_name() -> String {
    fs::read_to_string(format!("/proc/{}/comm", std::process::id())).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lab_is_found_by_name_while_its_record_is_there() {
        let pid = std::process::id().cast_signed();
        let namespaces = [("pc1".to_owned(), format!("{PREFIX}-{pid}-0-pc1"))].into();
        let name = format!("record-{pid}");
        let standing = Standing { name: name.clone(), pid, namespaces, admin_socket: None };
        assert_eq!(Standing::find(&name).unwrap(), None);
        let record = standing.record().unwrap();
        assert_eq!(Standing::find(&name).unwrap(), Some(standing.clone()));
        assert!(standing.record().unwrap_err().to_string().contains("is up already"));
        drop(record);
        assert_eq!(Standing::find(&name).unwrap(), None);
    }

    #[test]
    fn a_record_of_a_pid_that_is_now_another_program_is_no_lab() {
        let namespaces = [("pc1".to_owned(), format!("{PREFIX}-1-0-pc1"))].into();
        let standing = Standing { name: "x".into(), pid: 1, namespaces, admin_socket: None };
        assert!(!standing.is_alive());
    }
}
