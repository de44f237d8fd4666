//! The counters of a running dataplane as values, the law that they obey, and what to print when a
//! test fails.
//!
//! *Where it sits:* above [`crate::daemons`]; used by the end-to-end tests.
//!
//! *Invariant:* every received frame ends in exactly one way, so at every quiescent moment, for
//! each port, `rx = forwarded + consumed + drops`: [`Counts::check_conserved`].

use std::collections::BTreeMap;
use std::fmt;
use std::fs;
use std::ops::{AddAssign, Deref, DerefMut, Sub};
use std::path::Path;

use serde_json::Value;

use crate::daemons::{Deployment, rows};
use crate::error::{LabError, Result};
use crate::lab::Lab;
use crate::wait::{SOON, wait_for_ok};

/// How much of each log is printed when a test fails, in bytes from the end.
const LOG_TAIL_BYTES: usize = 20_000;

/// Frames of one port, by what became of them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PortCounts {
    /// Received.
    pub rx: u64,
    /// Received, and at least one copy was sent.
    pub forwarded: u64,
    /// Received, and taken by a control task.
    pub consumed: u64,
    /// Received and dropped, by reason; no zeros.
    pub drops: BTreeMap<String, u64>,
    /// Sent.
    pub tx: u64,
    /// Copies that did not leave, by reason; no zeros.
    pub tx_drops: BTreeMap<String, u64>,
}

impl PortCounts {
    /// Received and dropped, for all reasons.
    pub fn dropped(&self) -> u64 {
        self.drops.values().sum()
    }

    fn read(port: &Value) -> Self {
        let number = |field: &str| port[field].as_u64().unwrap_or_default();
        let reasons = |field: &str| -> BTreeMap<String, u64> {
            let counted = port[field].as_object().into_iter().flatten();
            counted
                .map(|(reason, frames)| (reason.clone(), frames.as_u64().unwrap_or_default()))
                .collect()
        };
        Self {
            rx: number("rx_frames"),
            forwarded: number("forwarded"),
            consumed: number("consumed"),
            drops: reasons("drops"),
            tx: number("tx_frames"),
            tx_drops: reasons("tx_drops"),
        }
    }
}

impl Sub for &PortCounts {
    type Output = PortCounts;

    fn sub(self, before: Self) -> PortCounts {
        let reasons = |now: &BTreeMap<String, u64>, before: &BTreeMap<String, u64>| {
            let since = now.iter().map(|(reason, frames)| {
                let before = before.get(reason).copied().unwrap_or_default();
                (reason.clone(), frames.wrapping_sub(before))
            });
            since.filter(|(_, frames)| *frames != 0).collect()
        };
        PortCounts {
            rx: self.rx.wrapping_sub(before.rx),
            forwarded: self.forwarded.wrapping_sub(before.forwarded),
            consumed: self.consumed.wrapping_sub(before.consumed),
            drops: reasons(&self.drops, &before.drops),
            tx: self.tx.wrapping_sub(before.tx),
            tx_drops: reasons(&self.tx_drops, &before.tx_drops),
        }
    }
}

impl AddAssign<&Self> for PortCounts {
    fn add_assign(&mut self, other: &Self) {
        self.rx += other.rx;
        self.forwarded += other.forwarded;
        self.consumed += other.consumed;
        self.tx += other.tx;
        for (reason, frames) in &other.drops {
            *self.drops.entry(reason.clone()).or_default() += frames;
        }
        for (reason, frames) in &other.tx_drops {
            *self.tx_drops.entry(reason.clone()).or_default() += frames;
        }
    }
}

impl fmt::Display for PortCounts {
    /// Only what is not zero.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, frames) in [
            ("rx", self.rx),
            ("forwarded", self.forwarded),
            ("consumed", self.consumed),
            ("tx", self.tx),
        ] {
            if frames != 0 {
                write!(f, " {name}={frames}")?;
            }
        }
        for (reason, frames) in &self.drops {
            write!(f, " drop:{reason}={frames}")?;
        }
        for (reason, frames) in &self.tx_drops {
            write!(f, " tx-drop:{reason}={frames}")?;
        }
        Ok(())
    }
}

/// The counters of every port of a dataplane at one moment, or of what happened between two.
///
/// Ports are named as a test knows them: a vEthernet by its VM, an uplink by its NIC.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts(pub BTreeMap<String, PortCounts>);

impl Counts {
    /// Out of `weft-dataplane status --json`.
    pub fn read(status: &Value) -> Self {
        Self(rows(&status["ports"]).map(|port| (port_name(port), PortCounts::read(port))).collect())
    }

    /// What has been counted since `before`, without ports where nothing was.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        let none = PortCounts::default();
        let ports = self
            .0
            .iter()
            .map(|(name, now)| (name.clone(), now - before.0.get(name).unwrap_or(&none)));
        Self(ports.filter(|(_, counts)| *counts != none).collect())
    }

    /// The entry of a port, made when it is not there.
    pub fn port(&mut self, name: &str) -> &mut PortCounts {
        self.0.entry(name.to_owned()).or_default()
    }

    /// Checks the conservation of frames for each port.
    ///
    /// # Errors
    /// The first port for which it does not hold.
    pub fn check_conserved(&self) -> std::result::Result<(), String> {
        for (name, port) in &self.0 {
            if port.rx != port.forwarded + port.consumed + port.dropped() {
                return Err(format!("{name}: frames are not conserved:{port}"));
            }
        }
        Ok(())
    }
}

impl AddAssign<&Self> for Counts {
    fn add_assign(&mut self, other: &Self) {
        for (name, counts) in &other.0 {
            *self.port(name) += counts;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str(" nothing");
        }
        self.0.iter().try_for_each(|(name, port)| write!(f, " [{name}:{port}]"))
    }
}

/// How a test calls a port of the status: by its VM, else by its NIC.
fn port_name(port: &Value) -> String {
    let field = |name: &str| port[name].as_str().filter(|text| !text.is_empty());
    field("vm").or_else(|| field("adapter")).or_else(|| field("name")).unwrap_or("?").to_owned()
}

/// A deployment that, when its test fails, prints the daemons' logs and their status.
#[derive(Debug)]
pub struct Watched(Deployment);

impl Watched {
    /// Starts the product in a lab, as [`Deployment::start`]; what goes wrong on the way is
    /// printed too.
    ///
    /// # Errors
    /// As [`Deployment::start`].
    pub fn start(lab: Lab) -> Result<Self> {
        Self::start_with(lab, &[])
    }

    /// As [`Watched::start`], with further options for the dataplanes.
    ///
    /// # Errors
    /// As [`Deployment::start`].
    pub fn start_with(lab: Lab, dataplane_options: &[&str]) -> Result<Self> {
        let mut watched = Self(Deployment::new(lab)?);
        watched.set_dataplane_options(dataplane_options);
        match watched.start_all() {
            Ok(()) => Ok(watched),
            Err(error) => {
                print_evidence(&watched);
                Err(error)
            }
        }
    }

    fn start_all(&mut self) -> Result<()> {
        let hosts: Vec<_> = self.lab().topology().hosts.keys().cloned().collect();
        self.start_supervisor()?;
        for host in hosts {
            self.start_dataplane(&host)?;
            self.wait_registered(&host)?;
        }
        Ok(())
    }

    /// Counters of a host's dataplane now.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn counts(&self, host: &str) -> Result<Counts> {
        self.status(host).map(|status| Counts::read(&status))
    }

    /// Waits until the frames of every port of a host are conserved.
    ///
    /// # Errors
    /// The port for which they are not, after ten seconds.
    pub fn wait_conserved(&self, host: &str) -> Result<Counts> {
        wait_for_ok(format!("conservation of frames on {host}"), SOON, || {
            let counts = self.counts(host).map_err(|error| error.to_string())?;
            counts.check_conserved().map(|()| counts)
        })
    }

    /// Waits until a vNIC forwards: its port has a link and, when the host has an uplink with a
    /// link, is pinned to one.
    ///
    /// # Errors
    /// [`LabError::Timeout`] with the port as it is.
    pub fn wait_port_up(&self, host: &str, vm: &str) -> Result<()> {
        wait_for_ok(format!("the port of {vm} to be up"), SOON, || {
            let status = self.status(host).map_err(|error| error.to_string())?;
            let port = rows(&status["ports"]).find(|port| port["vm"] == vm);
            match port {
                Some(port) if port["link_up"] == true && port["pinned_to"] != "" => Ok(()),
                other => Err(other.map_or_else(|| "no such port".to_owned(), Value::to_string)),
            }
        })
    }
}

impl Deref for Watched {
    type Target = Deployment;

    fn deref(&self) -> &Deployment {
        &self.0
    }
}

impl DerefMut for Watched {
    fn deref_mut(&mut self) -> &mut Deployment {
        &mut self.0
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        if std::thread::panicking() {
            print_evidence(self);
        }
    }
}

/// Prints to stderr what helps to understand a failure: the status of every host and the end of
/// every log.
pub fn print_evidence(deployment: &Deployment) {
    for host in deployment.lab().topology().hosts.keys() {
        match deployment.status(host) {
            Ok(status) => eprintln!("--- status of {host}\n{status:#}"),
            Err(error) => eprintln!("--- status of {host}: {error}"),
        }
    }
    if let Err(error) = print_logs(deployment.lab().dir()) {
        eprintln!("--- logs: {error}");
    }
}

/// Prints the end of every log in the lab's folder.
fn print_logs(dir: &Path) -> Result<()> {
    let unreadable = || LabError::io(format!("cannot read {}", dir.display()));
    let entries = fs::read_dir(dir).map_err(unreadable())?;
    let mut paths: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    paths.sort();
    for path in paths.iter().filter(|path| path.extension().is_some_and(|end| end == "log")) {
        let log = fs::read(path).map_err(unreadable())?;
        let tail = &log[log.len().saturating_sub(LOG_TAIL_BYTES)..];
        eprintln!("--- {}\n{}", path.display(), String::from_utf8_lossy(tail));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn status(rx: u64, forwarded: u64, spoofed: u64) -> Value {
        json!({ "ports": [
            { "name": "Vethernet1", "vm": "a", "adapter": "eth0", "rx_frames": rx,
              "forwarded": forwarded, "consumed": 0, "tx_frames": 3,
              "drops": { "source-mac-violation": spoofed }, "tx_drops": {} },
            { "name": "Ethernet3/1", "vm": "", "adapter": "eth1", "rx_frames": 0,
              "forwarded": 0, "consumed": 0, "tx_frames": 0, "drops": {}, "tx_drops": {} },
        ] })
    }

    #[test]
    fn a_difference_has_only_what_happened() {
        let (before, now) = (Counts::read(&status(5, 4, 1)), Counts::read(&status(7, 5, 2)));
        let mut expected = Counts::default();
        *expected.port("a") = PortCounts {
            rx: 2,
            forwarded: 1,
            drops: [("source-mac-violation".to_owned(), 1)].into(),
            ..PortCounts::default()
        };
        assert_eq!(now.since(&before), expected);
        assert_eq!(
            now.since(&before).to_string(),
            " [a: rx=2 forwarded=1 drop:source-mac-violation=1]"
        );
        assert_eq!(now.since(&now), Counts::default());
        let mut sum = before.since(&Counts::default());
        sum += &expected;
        assert_eq!(sum.0["a"], now.0["a"]);
    }

    #[test]
    fn a_frame_that_ended_nowhere_is_told_with_its_port() {
        assert_eq!(Counts::read(&status(5, 4, 1)).check_conserved(), Ok(()));
        let lost = Counts::read(&status(6, 4, 1)).check_conserved().unwrap_err();
        assert!(lost.starts_with("a: frames are not conserved: rx=6"), "{lost}");
    }
}
