//! What every switch that is measured must be able to do: to stand between two wires with a list of
//! rules on its ports, on one core. (The device under test of RFC 2544, clause 3.)

use std::fmt;

use serde::{Deserialize, Serialize};
use tests::error::LabError;
use thiserror::Error;

use crate::wires::Wires;

/// How a switch is to be set up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Setting {
    /// Rules of the inbound list on each port ([`crate::plan::rules`]); 0: no list.
    pub rules: u32,
    /// End systems that the switch knows, the two on the wires included; 1: that on wire A alone,
    /// and wire B is an uplink. Those beyond two say nothing.
    pub end_systems: u32,
}

impl Setting {
    /// The setting of the bars: 100 rules, two end systems.
    pub const STANDARD: Self = Self { rules: 100, end_systems: 2 };
}

/// A kind of switch.
pub trait Switch: fmt::Debug {
    /// Its name in tables: short, lower case, with `-`.
    fn name(&self) -> &'static str;

    /// Whether it sends frames of XDP to the tester, not socket buffers: the sink must be of the
    /// same kind ([`crate::tester::SinkKind`]).
    fn sends_xdp(&self) -> bool {
        false
    }

    /// Sets it up between the wires. It forwards when this returns, pinned to
    /// [`crate::plan::SWITCH_CPU`], until what is returned is dropped; then the switch's ends of the
    /// wires are as they were.
    ///
    /// # Errors
    /// [`StartError::Unavailable`] when it is not installed or cannot do this setting.
    fn start(&self, wires: &Wires, setting: &Setting) -> Result<Box<dyn Running>, StartError>;
}

/// A switch that forwards; dropping it ends it.
pub trait Running: fmt::Debug {
    /// Its version and how its ports are driven, for the report: `3.1.0, type=afxdp, native copy`.
    fn describe(&self) -> String;

    /// Checks that it still runs.
    ///
    /// # Errors
    /// With the last lines that it said.
    fn check(&mut self) -> Result<(), LabError>;
}

/// Why a switch does not stand between the wires.
#[derive(Debug, Error)]
pub enum StartError {
    /// It is left out of the run, with this reason in the report.
    #[error("not measured: {0}")]
    Unavailable(String),
    /// It should have worked.
    #[error(transparent)]
    Failed(#[from] LabError),
}
