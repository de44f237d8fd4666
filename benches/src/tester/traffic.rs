//! What the generator sends.

use serde::{Deserialize, Serialize};

use super::error::TesterError;
use crate::plan::FrameSize;

/// The check sequence of a frame, which no program sees, in bytes.
const CHECK_SEQUENCE: u16 = 4;
/// Shortest and longest frame, check sequence included, in bytes (IEEE 802.3).
const FRAME_BYTES: std::ops::RangeInclusive<u16> = 64..=1518;
/// Flows in one direction at most: the host part of a /8, less the first and last addresses.
const FLOWS_MAX: u32 = (1 << 24) - 2;

/// Which way frames go.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Directions {
    /// From wire A to wire B.
    AToB,
    /// From both wires, one frame by each in turn.
    Both,
}

/// A stream of frames.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Traffic {
    /// Their size.
    pub size: FrameSize,
    /// Flows in each direction, in turn: they differ in their source address.
    pub flows: u32,
    /// Which way they go.
    pub directions: Directions,
    /// Frames a second of all directions together; 0: as fast as the machine can.
    pub rate_pps: u64,
    /// How many frames a second from A to B are probes, at most; 0: none.
    pub probes_pps: u32,
}

impl Traffic {
    /// The lengths of the next frames, without check sequence.
    pub(crate) fn lengths(&self) -> [u16; 12] {
        self.size.pattern().map(|size| size.saturating_sub(CHECK_SEQUENCE))
    }

    /// `struct traffic` of the program.
    pub(crate) fn to_bytes(self) -> [u8; 32] {
        let mut bytes = [0; 32];
        bytes[..4].copy_from_slice(&self.flows.to_ne_bytes());
        let directions: u32 = match self.directions {
            Directions::AToB => 1,
            Directions::Both => 2,
        };
        bytes[4..8].copy_from_slice(&directions.to_ne_bytes());
        for (length, at) in self.lengths().into_iter().zip(bytes[8..].chunks_exact_mut(2)) {
            at.copy_from_slice(&length.to_ne_bytes());
        }
        bytes
    }

    pub(crate) fn check(&self) -> Result<(), TesterError> {
        if let Some(size) = self.size.pattern().into_iter().find(|s| !FRAME_BYTES.contains(s)) {
            return Err(TesterError::Traffic(format!(
                "a frame of {size} bytes; there are those of {} to {}",
                FRAME_BYTES.start(),
                FRAME_BYTES.end()
            )));
        }
        if !(1..=FLOWS_MAX).contains(&self.flows) {
            return Err(TesterError::Traffic(format!(
                "{} flows; there may be 1 to {FLOWS_MAX}",
                self.flows
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRAFFIC: Traffic = Traffic {
        size: FrameSize::Imix,
        flows: 1000,
        directions: Directions::Both,
        rate_pps: 0,
        probes_pps: 0,
    };

    #[test]
    fn lengths_are_without_check_sequence() {
        assert_eq!(TRAFFIC.lengths()[..2], [60, 590]);
        let bytes = TRAFFIC.to_bytes();
        assert_eq!(bytes[..4], 1000u32.to_ne_bytes());
        assert_eq!(bytes[4..8], 2u32.to_ne_bytes());
        assert_eq!(bytes[20..22], 1514u16.to_ne_bytes());
    }

    #[test]
    fn what_cannot_be_sent_is_refused() {
        assert!(TRAFFIC.check().is_ok());
        for size in [63, 1519] {
            let traffic = Traffic { size: FrameSize::Fixed(size), ..TRAFFIC };
            assert!(traffic.check().unwrap_err().to_string().contains(&size.to_string()));
        }
        for flows in [0, 1 << 24] {
            assert!(Traffic { flows, ..TRAFFIC }.check().is_err());
        }
    }
}
