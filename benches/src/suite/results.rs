//! What came out, as it is stored: every figure with its round.

use std::fs;
use std::path::Path;

use anyhow::Context;
use serde::{Deserialize, Serialize};

use super::case::Case;
use super::noise::Noise;
use crate::report::machine::Machine;
use crate::tester::Percentiles;

/// A whole run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Results {
    /// Where and when.
    pub machine: Machine,
    /// How long each thing was measured.
    pub method: Method,
    /// What was measured, ours first; those that could not be too.
    pub switches: Vec<Measured>,
    /// All figures, in the order in which they were taken.
    pub records: Vec<Record>,
}

/// How long each thing was measured.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Method {
    /// Interleaved rounds.
    pub rounds: u32,
    /// Window of a rate flat out or at overload, in ms.
    pub rate_ms: u64,
    /// Window of a trial at one rate, in ms.
    pub trial_ms: u64,
    /// Window of round-trip times, in ms.
    pub latency_ms: u64,
    /// How closely the rate without loss was searched, as a part of it.
    pub resolution: f64,
    /// Trials that had all to fail before a rate counted as not borne.
    pub attempts: usize,
    /// How long the run took, in seconds.
    pub took_s: u64,
}

/// A switch.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Measured {
    /// Its name.
    pub name: String,
    /// Its version and how its ports are driven; empty when it never ran.
    pub about: String,
    /// Why it, or some of it, was not measured.
    pub missing: Vec<String>,
}

/// A figure.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The round, from 0.
    pub round: u32,
    /// The switch.
    pub switch: String,
    /// What it had to do.
    pub case: Case,
    /// What came out.
    pub figure: Figure,
    /// What others did meanwhile.
    pub noise: Noise,
}

/// What was measured in one go. Rates are in whole frames a second of all directions.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Figure {
    /// As fast as the machine can.
    FlatOut {
        /// What was offered.
        offered_pps: u64,
        /// What was delivered.
        delivered_pps: u64,
        /// The same in bits a second, without preamble, check sequence and gap.
        delivered_bps: u64,
    },
    /// The highest rates that were borne; `None`: none was.
    Throughput {
        /// Without loss.
        zero_loss_pps: Option<u64>,
        /// With one frame in 100,000 lost.
        partial_loss_pps: Option<u64>,
        /// Trials that it took.
        trials: usize,
    },
    /// Multiples of what was delivered flat out.
    Overload(Vec<Load>),
    /// Round-trip times.
    Latency(Vec<RoundTrips>),
}

/// What was delivered at a multiple of the capacity.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// The multiple.
    pub factor: u32,
    /// What was offered.
    pub offered_pps: u64,
    /// What was delivered.
    pub delivered_pps: u64,
}

/// Round-trip times at a part of the rate that is borne.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct RoundTrips {
    /// The part.
    pub percent: u32,
    /// What was wanted.
    pub rate_pps: u64,
    /// What was delivered.
    pub delivered_pps: u64,
    /// The times; `None`: no probe came back.
    pub times: Option<Percentiles>,
}

impl Results {
    /// Reads them from a file.
    ///
    /// # Errors
    /// When it cannot be read, or is of another version of this program.
    pub fn read(file: &Path) -> anyhow::Result<Self> {
        let name = file.display();
        let text = fs::read_to_string(file).with_context(|| format!("cannot read {name}"))?;
        serde_json::from_str(&text)
            .with_context(|| format!("{name} has no results of this version of packet-rate"))
    }

    /// The text of the file.
    ///
    /// # Errors
    /// Never, for what a run makes: no number is infinite.
    pub fn to_json(&self) -> anyhow::Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}
