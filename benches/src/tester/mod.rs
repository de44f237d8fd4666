//! The tester of RFC 2544, clause 3: sends frames into one wire or both, counts what comes out of
//! the other, and takes the time that probes are on their way.
//!
//! ```text
//!   generator ──▶ tester-a ═══ switch-a ─ ─ ▶ switch-b ═══ tester-b ──▶ sink
//!   sink ◀─────── tester-a ═══ switch-a ◀ ─ ─ switch-b ═══ tester-b ◀── sink (probes turn)
//! ```
//!
//! Everything that touches a frame is in the kernel: [`Generator`] and [`Sink`] load BPF programs,
//! write their settings and read their counters. The generator runs on [`crate::plan::TESTER_CPU`].
//! With veth that CPU also does what the kernel does to receive at the switch's end, and for a
//! switch in the kernel all of its forwarding.
//!
//! *Not here:* which rates to try and for how long ([`crate::measure`]).
//!
//! *Invariants*
//! 1. Every frame that the generator built and sent is offered, whatever became of it, and is
//!    counted before it leaves; a frame is delivered when it arrives where it was addressed to.
//! 2. Dropping a [`Tester`] ends the generator and takes the sink off; both die with the process.

mod ends;
mod error;
mod generator;
mod histogram;
mod live;
mod pacing;
mod sample;
mod sink;
mod traffic;

#[cfg(test)]
mod on_wires;

pub use error::TesterError;
pub use generator::Generator;
pub use histogram::{Histogram, Percentiles};
pub use sample::{Sample, Tally, Window};
pub use sink::{Sink, SinkKind};
pub use traffic::{Directions, Traffic};

use std::time::Instant;

use crate::wires::Wires;

/// Generator and sink at the tester's ends of the wires.
#[derive(Debug)]
pub struct Tester {
    generator: Generator,
    sink: Sink,
}

impl Tester {
    /// Loads the programs and attaches the sink. The switch's ends must take frames of XDP: an XDP
    /// program is on them, or generic receive offload is on (`ethtool -K IF gro on`). Otherwise
    /// nothing that is offered arrives.
    ///
    /// # Errors
    /// When the kernel refuses a program.
    pub fn new(wires: &Wires, sink: SinkKind) -> Result<Self, TesterError> {
        let ends = ends::Ends::of(wires)?;
        Ok(Self {
            sink: Sink::attach(wires.tester(), &ends, sink)?,
            generator: Generator::new(wires.tester(), &ends)?,
        })
    }

    /// Sends this from now on; what was sent before ends. Flows begin with the first one.
    ///
    /// # Errors
    /// When the traffic is impossible, or the generator cannot run.
    pub fn start(&mut self, traffic: &Traffic) -> Result<(), TesterError> {
        self.generator.start(traffic)
    }

    /// Changes the rate of what is being sent, in frames a second of all directions; 0: as fast as
    /// the machine can.
    ///
    /// # Errors
    /// When the kernel refuses to write the map.
    pub fn set_rate(&mut self, rate_pps: u64) -> Result<(), TesterError> {
        self.generator.set_rate(rate_pps)
    }

    /// Sends nothing until the next [`Tester::set_rate`], which will be obeyed at once.
    ///
    /// # Errors
    /// As [`Tester::set_rate`].
    pub fn halt(&mut self) -> Result<(), TesterError> {
        self.generator.halt()
    }

    /// Sends nothing and leaves the CPU to others.
    ///
    /// # Errors
    /// With what ended the generator before.
    pub fn stop(&mut self) -> Result<(), TesterError> {
        self.generator.stop()
    }

    /// Counters as they are now; they only ever grow.
    ///
    /// # Errors
    /// When the kernel refuses to read a map, or the generator has ended by itself.
    pub fn read(&mut self) -> Result<Sample, TesterError> {
        self.generator.check()?;
        // Frames on their way look lost, never made by the switch.
        let delivered = self.sink.delivered()?;
        let offered = self.generator.offered()?;
        Ok(Sample { at: Instant::now(), offered, delivered })
    }

    /// Round-trip times of all probes so far.
    ///
    /// # Errors
    /// When the kernel refuses to read the map.
    pub fn round_trips(&self) -> Result<Histogram, TesterError> {
        self.sink.round_trips()
    }
}
