//! What is on a wire, recorded by tcpdump and decoded by tshark: people's own evidence, which
//! shares nothing with the product or with [`crate::frames`].
//!
//! *Where it sits:* beside [`crate::sniff`], for tests that ask for fields of real protocols.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::error::{LabError, Result};
use crate::frames::contains;
use crate::netns::{Namespace, run_command};
use crate::process::Process;
use crate::wait::{SOON, wait_for_ok};

/// What is told of frames that are not as they must be, and of how many.
const EVIDENCE: [&str; 9] = [
    "frame.number",
    "frame.len",
    "frame.protocols",
    "vlan.id",
    "ip.flags",
    "ip.checksum.status",
    "tcp.flags.str",
    "tcp.checksum.status",
    "udp.checksum.status",
];
const EVIDENCE_FRAMES: usize = 5;

static NEXT: AtomicU32 = AtomicU32::new(0);

/// tcpdump at work on one interface.
#[derive(Debug)]
pub struct Recording {
    tcpdump: Process,
    file: PathBuf,
}

impl Recording {
    /// Starts to record all frames, whole and of both directions; returns when tcpdump listens.
    ///
    /// # Errors
    /// When tcpdump is missing, or there is no such interface.
    pub fn start(namespace: &Namespace, interface: &str, dir: &Path) -> Result<Self> {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let file = dir.join(format!("{interface}.{number}.pcap"));
        let mut command = namespace.command("tcpdump");
        // Written packet by packet, so that the file can be waited on; a buffer of 32 MiB.
        command.args(["-i", interface, "-U", "--immediate-mode", "-s", "0", "-B", "32768"]);
        command.args(["-Z", "root", "-w"]).arg(&file);
        let mut tcpdump = Process::spawn("tcpdump", command, dir)?;
        wait_for_ok(format!("tcpdump on {interface}"), SOON, || {
            tcpdump.check_running().map_err(|error| error.to_string())?;
            if tcpdump.log().contains("listening on") { Ok(()) } else { Err(tcpdump.log()) }
        })?;
        Ok(Self { tcpdump, file })
    }

    /// Ends the recording once a frame with these bytes in it has been recorded.
    ///
    /// # Errors
    /// [`LabError::Timeout`] when it does not come.
    pub fn finish_after(mut self, last: &[u8]) -> Result<Recorded> {
        wait_for_ok("the last frame to be recorded", SOON, || match fs::read(&self.file) {
            Ok(bytes) if contains(&bytes, last) => Ok(()),
            Ok(bytes) => Err(format!("{} bytes without it", bytes.len())),
            Err(error) => Err(error.to_string()),
        })?;
        self.tcpdump.terminate()?;
        Ok(Recorded { file: self.file })
    }
}

/// A recording that has ended.
#[derive(Debug)]
pub struct Recorded {
    file: PathBuf,
}

impl Recorded {
    /// Fields, by their tshark names, of every frame that a display filter lets pass, checksums
    /// being verified. A field that a frame has several times is joined by commas.
    ///
    /// # Errors
    /// With what tshark says.
    pub fn fields(&self, filter: &str, fields: &[&str]) -> Result<Vec<Vec<String>>> {
        let mut command = Command::new("tshark");
        command.arg("-r").arg(&self.file);
        for protocol in ["ip", "tcp", "udp"] {
            command.args(["-o", &format!("{protocol}.check_checksum:TRUE")]);
        }
        command.args(["-Y", filter, "-T", "fields", "-E", "occurrence=a", "-E", "separator=/t"]);
        for field in fields {
            command.args(["-e", field]);
        }
        let table = run_command(&mut command)?;
        Ok(table.lines().map(|line| line.split('\t').map(str::to_owned).collect()).collect())
    }

    /// How many frames a display filter lets pass.
    ///
    /// # Errors
    /// As [`Recorded::fields`].
    pub fn count(&self, filter: &str) -> Result<usize> {
        self.fields(filter, &["frame.number"]).map(|rows| rows.len())
    }

    /// Checks that at least `least` frames pass the filter, and that all of them pass `every` too.
    ///
    /// # Errors
    /// [`LabError::Unexpected`] with both numbers.
    pub fn check_every(&self, filter: &str, least: usize, every: &str) -> Result<usize> {
        let all = self.count(filter)?;
        let good = self.count(&format!("({filter}) && ({every})"))?;
        if all >= least && good == all {
            return Ok(all);
        }
        let others = self.fields(&format!("({filter}) && !({every})"), &EVIDENCE)?;
        let others: Vec<_> = others.iter().take(EVIDENCE_FRAMES).map(|row| row.join(" ")).collect();
        Err(LabError::Unexpected(format!(
            "{all} frames with `{filter}` were recorded (at least {least} expected), {good} of \
             them with `{every}`; of the others ({}):\n{}",
            EVIDENCE.join(" "),
            others.join("\n")
        )))
    }
}
