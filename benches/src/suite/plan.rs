//! Which switches are measured in which cases, and for how long.

use std::time::Duration;

use super::case::{Case, Stream};
use crate::measure::Timing;
use crate::plan::FrameSize;
use crate::switch::Setting;
use crate::tester::Directions;

/// The product.
pub const WEFT: &str = "weft";
/// What it could reach at most.
pub const RAW: &str = "raw-afxdp";
/// Rivals.
pub const OVS: &str = "ovs-afxdp";
/// The same on DPDK.
pub const OVS_DPDK: &str = "ovs-dpdk";
/// The Linux bridge, its rules one after the other.
pub const BRIDGE: &str = "linux-bridge";
/// The Linux bridge, its rules one set.
pub const BRIDGE_SET: &str = "linux-bridge-set";
/// What the kernel could reach at most.
pub const REDIRECT: &str = "xdp-redirect";

/// Numbers of rules that are compared.
pub const RULES: [u32; 4] = [0, 10, 100, 1000];
/// Numbers of flows that are compared.
pub const FLOWS: [u32; 3] = [1, 1000, 100_000];
/// Numbers of end systems that are compared: one vEthernet and an uplink; 100; 1,000.
pub const END_SYSTEMS: [u32; 3] = [1, 100, 1000];

/// What is done with a switch between its setup and its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Task {
    /// Each stream as fast as the machine can.
    FlatOut(Vec<Stream>),
    /// Throughput, overload and latency with the standard stream.
    Behaviour,
}

/// A setup that several switches get, one after the other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// How they are set up.
    pub setting: Setting,
    /// Their names; empty: every switch.
    pub switches: Vec<&'static str>,
    /// What is measured.
    pub task: Task,
}

/// The whole measurement.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// How often all blocks are gone through.
    pub rounds: u32,
    /// What a round consists of.
    pub blocks: Vec<Block>,
    /// Of rates flat out and at overload.
    pub rate: Timing,
    /// Of a trial at one rate.
    pub trial: Timing,
    /// Of round-trip times.
    pub latency: Timing,
    /// How closely the rate without loss is searched, as a part of it.
    pub resolution: f64,
    /// Trials that must all fail before a rate counts as not borne.
    pub attempts: usize,
}

const fn millis(warm_up: u64, window: u64) -> Timing {
    Timing { warm_up: Duration::from_millis(warm_up), window: Duration::from_millis(window) }
}

impl Plan {
    /// What a report is made of: about six minutes a round.
    #[must_use]
    pub fn full(rounds: u32) -> Self {
        let compared = vec![WEFT, RAW, OVS, BRIDGE];
        let flat_out = |case: Case, switches: &[&'static str]| Block {
            setting: case.setting,
            switches: switches.to_vec(),
            task: Task::FlatOut(vec![case.stream]),
        };
        let streams = Block {
            setting: Setting::STANDARD,
            switches: compared.clone(),
            task: Task::FlatOut(streams()),
        };
        let mut blocks = standard();
        blocks.push(streams);
        let standard_rules = Setting::STANDARD.rules;
        for rules in RULES.into_iter().filter(|rules| *rules != standard_rules) {
            blocks.push(flat_out(Case::with_rules(rules), &compared));
        }
        for end_systems in END_SYSTEMS {
            blocks.push(flat_out(Case::with_end_systems(end_systems), &[WEFT, RAW]));
        }
        Self {
            rounds,
            blocks,
            rate: millis(300, 1200),
            trial: millis(100, 800),
            latency: millis(300, 2000),
            resolution: 0.02,
            attempts: 2,
        }
    }

    /// The shortest that goes through every kind of measurement: does all of it work?
    #[must_use]
    pub fn quick() -> Self {
        Self {
            rounds: 1,
            blocks: standard(),
            rate: millis(100, 500),
            trial: millis(50, 200),
            latency: millis(100, 500),
            resolution: 0.1,
            attempts: 1,
        }
    }

    /// Whether a switch has a part in it.
    #[must_use]
    pub fn measures(&self, switch: &str) -> bool {
        self.blocks.iter().any(|block| block.includes(switch))
    }
}

impl Block {
    /// Whether a switch is measured in this block.
    #[must_use]
    pub fn includes(&self, switch: &str) -> bool {
        self.switches.is_empty() || self.switches.contains(&switch)
    }
}

/// Every switch at the standard setting. What the ratios are made of comes in a block of its own, so
/// that little time passes between one switch and the next.
fn standard() -> Vec<Block> {
    let block = |task| Block { setting: Setting::STANDARD, switches: Vec::new(), task };
    vec![block(Task::FlatOut(vec![Stream::STANDARD])), block(Task::Behaviour)]
}

/// The streams that differ from the standard one in one thing.
fn streams() -> Vec<Stream> {
    let sizes = FrameSize::ALL.into_iter().map(Case::with_size);
    let flows = FLOWS.into_iter().map(Case::with_flows);
    let both = Case::with_directions(Directions::Both);
    let all = sizes.chain(flows).chain([both]).map(|case| case.stream);
    all.filter(|stream| *stream != Stream::STANDARD).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::switches;

    #[test]
    fn names_are_those_of_switches() {
        let all: Vec<_> = switches::all().iter().map(|switch| switch.name()).collect();
        assert_eq!(all, [WEFT, RAW, OVS, OVS_DPDK, BRIDGE, BRIDGE_SET, REDIRECT]);
    }

    #[test]
    fn no_case_is_measured_twice_in_a_round() {
        let plan = Plan::full(3);
        let mut seen = Vec::new();
        for block in &plan.blocks {
            let Task::FlatOut(streams) = &block.task else { continue };
            for stream in streams {
                let case = Case { setting: block.setting, stream: *stream };
                assert!(!seen.contains(&case), "{case}");
                seen.push(case);
            }
        }
        assert!(seen.contains(&Case::STANDARD));
        for dimension in [
            RULES.map(Case::with_rules).to_vec(),
            FLOWS.map(Case::with_flows).to_vec(),
            FrameSize::ALL.map(Case::with_size).to_vec(),
            END_SYSTEMS.map(Case::with_end_systems).to_vec(),
        ] {
            assert!(dimension.iter().all(|case| seen.contains(case)), "{dimension:?}");
        }
        assert!(plan.measures(WEFT) && plan.measures(OVS_DPDK));
    }
}
