//! One setting of a switch and the traffic through it.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::plan::FrameSize;
use crate::switch::Setting;
use crate::tester::{Directions, Traffic};

/// What frames are sent, at whatever rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Their size.
    pub size: FrameSize,
    /// Flows in each direction.
    pub flows: u32,
    /// Which way they go.
    pub directions: Directions,
}

impl Stream {
    /// That of the bars: the shortest frames, 1,000 flows, one direction.
    pub const STANDARD: Self =
        Self { size: FrameSize::Fixed(64), flows: 1000, directions: Directions::AToB };

    /// For the tester, as fast as the machine can.
    #[must_use]
    pub const fn flat_out(self) -> Traffic {
        let Self { size, flows, directions } = self;
        Traffic { size, flows, directions, rate_pps: 0, probes_pps: 0 }
    }
}

/// What a figure was measured with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Case {
    /// How the switch was set up.
    pub setting: Setting,
    /// What it had to forward.
    pub stream: Stream,
}

impl Case {
    /// The one of the bars.
    pub const STANDARD: Self = Self { setting: Setting::STANDARD, stream: Stream::STANDARD };

    /// The standard, but for the number of rules.
    #[must_use]
    pub const fn with_rules(rules: u32) -> Self {
        let setting = Setting { rules, ..Setting::STANDARD };
        Self { setting, ..Self::STANDARD }
    }

    /// The standard, but for the number of end systems.
    #[must_use]
    pub const fn with_end_systems(end_systems: u32) -> Self {
        let setting = Setting { end_systems, ..Setting::STANDARD };
        Self { setting, ..Self::STANDARD }
    }

    /// The standard, but for the size of frames.
    #[must_use]
    pub const fn with_size(size: FrameSize) -> Self {
        Self { stream: Stream { size, ..Stream::STANDARD }, ..Self::STANDARD }
    }

    /// The standard, but for the number of flows.
    #[must_use]
    pub const fn with_flows(flows: u32) -> Self {
        Self { stream: Stream { flows, ..Stream::STANDARD }, ..Self::STANDARD }
    }

    /// The standard, but for the directions.
    #[must_use]
    pub const fn with_directions(directions: Directions) -> Self {
        Self { stream: Stream { directions, ..Stream::STANDARD }, ..Self::STANDARD }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { setting, stream } = self;
        let both = if stream.directions == Directions::Both { ", both ways" } else { "" };
        write!(
            f,
            "{}, {} flows{both}, {} rules, {} end systems",
            stream.size, stream.flows, setting.rules, setting.end_systems
        )
    }
}
