//! The generator: the program of `generator.bpf.c`, its settings and its counters.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use aya::Ebpf;
use aya::maps::{Array, MapData, PerCpuArray};
use aya::programs::Xdp;
use tests::netns::Namespace;

use super::ends::Ends;
use super::error::TesterError;
use super::live::LiveRun;
use super::pacing::{Pace, probe_interval_ns};
use super::sample::{Tally, read_tallies};
use super::traffic::Traffic;
use crate::bpf::{self, BpfError};

const GENERATE: &str = "generate";
const SCHEDULES: &str = "schedules";
const TRAFFICS: &str = "traffics";
const POSITIONS: &str = "positions";
const OFFERED: &str = "offered";

/// The program, its settings and, while it sends, its thread.
pub struct Generator {
    namespace: PathBuf,
    bpf: Arc<Ebpf>,
    schedules: Array<MapData, [u64; 2]>,
    traffics: Array<MapData, [u8; 32]>,
    positions: Array<MapData, [u64; 6]>,
    offered: PerCpuArray<MapData, [u64; 2]>,
    probe_interval_ns: u64,
    running: Option<LiveRun>,
}

impl Generator {
    /// Loads the program.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub(crate) fn new(tester: &Namespace, ends: &Ends) -> Result<Self, TesterError> {
        let mut bpf = bpf::load(bpf::GENERATOR, &ends.globals())?;
        let program: &mut Xdp = bpf::program_mut(&mut bpf, GENERATE)?;
        program.load().map_err(|e| BpfError::Program(GENERATE, e))?;
        Ok(Self {
            namespace: tester.path(),
            schedules: bpf::take_map(&mut bpf, SCHEDULES)?,
            traffics: bpf::take_map(&mut bpf, TRAFFICS)?,
            positions: bpf::take_map(&mut bpf, POSITIONS)?,
            offered: bpf::take_map(&mut bpf, OFFERED)?,
            bpf: Arc::new(bpf),
            probe_interval_ns: 0,
            running: None,
        })
    }

    /// Sends this from now on, instead of what was sent before, from the first flow on.
    ///
    /// # Errors
    /// When the traffic is impossible, or the thread cannot run.
    pub fn start(&mut self, traffic: &Traffic) -> Result<(), TesterError> {
        traffic.check()?;
        self.stop()?;
        let set = self.traffics.set(0, traffic.to_bytes(), 0);
        set.map_err(|e| BpfError::Map(TRAFFICS, e))?;
        let set = self.positions.set(0, [0; 6], 0);
        set.map_err(|e| BpfError::Map(POSITIONS, e))?;
        self.probe_interval_ns = probe_interval_ns(traffic.probes_pps);
        self.set_rate(traffic.rate_pps)?;
        let longest = traffic.lengths().into_iter().max().unwrap_or_default();
        let bpf = Arc::clone(&self.bpf);
        self.running = Some(LiveRun::start(&self.namespace, bpf, GENERATE, longest.into())?);
        Ok(())
    }

    /// Changes the rate, in frames a second of all directions; 0: as fast as the machine can.
    ///
    /// # Errors
    /// When the kernel refuses to write the map.
    pub fn set_rate(&mut self, rate_pps: u64) -> Result<(), TesterError> {
        self.set_pace(Pace::of_pps(rate_pps))
    }

    /// Sends nothing until the next [`Generator::set_rate`].
    ///
    /// # Errors
    /// As [`Generator::set_rate`].
    pub fn halt(&mut self) -> Result<(), TesterError> {
        self.set_pace(Pace::Halted)
    }

    /// Sends nothing and ends the thread.
    ///
    /// # Errors
    /// With what ended it before.
    pub fn stop(&mut self) -> Result<(), TesterError> {
        self.running.take().map_or(Ok(()), LiveRun::stop)
    }

    /// Checks that it sends, if it was started.
    ///
    /// # Errors
    /// With what ended it.
    pub fn check(&mut self) -> Result<(), TesterError> {
        if self.running.as_ref().is_none_or(LiveRun::goes_on) {
            return Ok(());
        }
        self.stop()?;
        Err(TesterError::Generator("its thread has ended by itself".to_owned()))
    }

    /// What was sent, by the wire at which it was sent.
    ///
    /// # Errors
    /// When the kernel refuses to read the map.
    pub fn offered(&self) -> Result<[Tally; 2], TesterError> {
        Ok(read_tallies(&self.offered, OFFERED)?)
    }

    fn set_pace(&mut self, pace: Pace) -> Result<(), TesterError> {
        let set = self.schedules.set(0, [pace.interval(), self.probe_interval_ns], 0);
        Ok(set.map_err(|e| BpfError::Map(SCHEDULES, e))?)
    }
}

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let running = self.running.is_some();
        f.debug_struct("Generator").field("running", &running).finish_non_exhaustive()
    }
}
