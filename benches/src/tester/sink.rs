//! The sink: a program at both ends of the tester that counts what arrives.

use std::fmt;

use aya::Ebpf;
use aya::maps::{MapData, MapError, PerCpuArray};
use aya::programs::{SchedClassifier, TcAttachType, Xdp, XdpMode};
use tests::netns::Namespace;

use super::ends::Ends;
use super::error::TesterError;
use super::histogram::{BUCKETS, Histogram};
use super::sample::{Tally, read_tallies};
use crate::bpf::{self, BpfError};
use crate::switch::Switch;
use crate::wires::Wire;

const TC: &str = "sink_tc";
const XDP: &str = "sink_xdp";
const DELIVERED: &str = "delivered";
const ROUND_TRIPS: &str = "round_trips";

/// Where in the kernel frames are counted: where it costs least for what the switch sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkKind {
    /// In traffic control, for a switch that sends socket buffers: AF_XDP in copy mode, a bridge, a
    /// TAP, AF_PACKET. An XDP sink would have each of them copied first.
    Tc,
    /// In XDP, for a switch that sends by XDP. For probes to come back, its end must take frames of
    /// XDP too.
    Xdp,
}

impl SinkKind {
    /// What a switch needs.
    #[must_use]
    pub fn of(switch: &dyn Switch) -> Self {
        if switch.sends_xdp() { Self::Xdp } else { Self::Tc }
    }
}

/// The programs at both ends; they go when this is dropped.
pub struct Sink {
    kind: SinkKind,
    delivered: PerCpuArray<MapData, [u64; 2]>,
    round_trips: PerCpuArray<MapData, u64>,
    /// Holds the programs and their links.
    _bpf: Ebpf,
}

impl Sink {
    /// Attaches the program to both ends.
    ///
    /// # Errors
    /// When the kernel refuses it.
    pub(crate) fn attach(
        tester: &Namespace,
        ends: &Ends,
        kind: SinkKind,
    ) -> Result<Self, TesterError> {
        let mut bpf = bpf::load(bpf::SINK, &ends.globals())?;
        tester.run(|| match kind {
            SinkKind::Tc => attach_tc(&mut bpf),
            SinkKind::Xdp => attach_xdp(&mut bpf),
        })??;
        Ok(Self {
            kind,
            delivered: bpf::take_map(&mut bpf, DELIVERED)?,
            round_trips: bpf::take_map(&mut bpf, ROUND_TRIPS)?,
            _bpf: bpf,
        })
    }

    /// What arrived, by the wire at which it was sent.
    ///
    /// # Errors
    /// When the kernel refuses to read the map.
    pub fn delivered(&self) -> Result<[Tally; 2], TesterError> {
        Ok(read_tallies(&self.delivered, DELIVERED)?)
    }

    /// Round-trip times of all probes so far.
    ///
    /// # Errors
    /// When the kernel refuses to read the map.
    pub fn round_trips(&self) -> Result<Histogram, TesterError> {
        let read = |bucket| -> Result<u64, MapError> {
            Ok(self.round_trips.get(&bucket, 0)?.iter().sum())
        };
        let counts: Result<_, _> = (0..BUCKETS).map(read).collect();
        Ok(Histogram::new(counts.map_err(|e| BpfError::Map(ROUND_TRIPS, e))?))
    }
}

impl fmt::Debug for Sink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sink").field("kind", &self.kind).finish_non_exhaustive()
    }
}

fn attach_tc(bpf: &mut Ebpf) -> Result<(), BpfError> {
    let error = |e| BpfError::Program(TC, e);
    let program: &mut SchedClassifier = bpf::program_mut(bpf, TC)?;
    program.load().map_err(error)?;
    for wire in Wire::BOTH {
        program.attach(wire.tester(), TcAttachType::Ingress).map_err(error)?;
    }
    Ok(())
}

fn attach_xdp(bpf: &mut Ebpf) -> Result<(), BpfError> {
    let error = |e| BpfError::Program(XDP, e);
    let program: &mut Xdp = bpf::program_mut(bpf, XDP)?;
    program.load().map_err(error)?;
    for wire in Wire::BOTH {
        program.attach(wire.tester(), XdpMode::Driver).map_err(error)?;
    }
    Ok(())
}

#[cfg(test)]
mod known_times {
    use aya::programs::{Program, TestRun, TestRunOptions};
    use nix::net::if_::if_nametoindex;
    use nix::time::{ClockId, clock_gettime};
    use tests::wait::{SOON, wait_for_ok};

    use super::*;
    use crate::plan::{MACS, UDP_DST};
    use crate::wires::Wires;

    const XDP_DROP: u32 = 1;

    /// An answer that was sent so long ago arrives at end A.
    fn answer_arrives(sink: &Sink, wires: &Wires, age_ns: u64) {
        let mut answer = [0u8; 60];
        answer[..6].copy_from_slice(&MACS[0].octets());
        answer[12..14].copy_from_slice(&[8, 0]);
        answer[36..38].copy_from_slice(&UDP_DST.to_be_bytes());
        answer[42..46].copy_from_slice(b"wfta");
        let Some(Program::Xdp(program)) = sink._bpf.program(XDP) else { panic!("no program") };
        let verdict = wires.tester().run(|| {
            // struct xdp_md: data_end and ingress_ifindex.
            let mut context = [0; 24];
            context[4..8].copy_from_slice(&60u32.to_ne_bytes());
            let ifindex = if_nametoindex(Wire::A.tester()).unwrap();
            context[12..16].copy_from_slice(&ifindex.to_ne_bytes());
            let now = clock_gettime(ClockId::CLOCK_MONOTONIC).unwrap();
            let now_ns = now.tv_sec() as u64 * 1_000_000_000 + now.tv_nsec() as u64;
            answer[46..54].copy_from_slice(&(now_ns - age_ns).to_ne_bytes());
            let options = TestRunOptions {
                data_in: Some(&answer),
                ctx_in: Some(&context),
                ..TestRunOptions::new()
            };
            program.test_run(options).unwrap().return_value
        });
        assert_eq!(verdict.unwrap(), XDP_DROP);
    }

    #[test]
    fn a_known_time_falls_into_its_bucket() {
        let wires = Wires::new().unwrap();
        let ends = Ends::of(&wires).unwrap();
        let sink = Sink::attach(wires.tester(), &ends, SinkKind::Xdp).unwrap();
        for age_ns in [0, 3_000_000, 70_000_000, 9_000_000_000u64] {
            // The call takes some time too, and on a busy machine any.
            let close = || {
                let before = sink.round_trips().unwrap();
                answer_arrives(&sink, &wires, age_ns);
                let times = sink.round_trips().unwrap().since(&before);
                assert_eq!(times.probes(), 1);
                let found_ns = times.quantile_ns(0.5).unwrap();
                assert!(found_ns * 100 >= age_ns * 99, "{found_ns} {age_ns}");
                if found_ns * 100 <= age_ns * 101 + 10_000_000 { Ok(()) } else { Err(found_ns) }
            };
            wait_for_ok(format!("{age_ns} ns"), SOON, close).unwrap();
        }
        assert_eq!(sink.delivered().unwrap(), [Tally::default(); 2]);
    }
}
