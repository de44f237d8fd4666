//! The cases that are counted, by name.

use super::Workload;
use super::acl::{AclEval, Hits};
use super::fib::FibLookup;
use super::host::Size;
use super::parse::{Kind, Parse};
use super::pipeline::Pipeline;
use super::worker::WorkerPath;

/// Sizes of the lists that are counted.
pub const RULES: [u32; 4] = [0, 10, 100, 1000];
/// Flows of the pipeline, beside the usual 1,000.
pub const FLOWS: [u32; 3] = [1, 1000, 100_000];
/// vEthernets of the pipeline, beside the usual 1,000.
pub const VETHERNETS: [u32; 3] = [1, 100, 1000];
/// Neighbours that a worker sends to.
pub const NEIGHBOURS: [usize; 2] = [1, 15];

/// What can be measured, and how it is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    /// `proto::frame::parse`.
    Parse(Kind),
    /// An access list of so many rules.
    Acl(u32),
    /// The local table with so many entries.
    Fib(u64),
    /// The forwarding core.
    Pipeline(Size, u32),
    /// A worker, and how many neighbours it sends to.
    Worker(Size, usize),
}

impl Case {
    /// Every case, in the order of the tables.
    #[must_use]
    pub fn all() -> Vec<Self> {
        let usual = Size::default();
        let parse = Kind::ALL.map(Self::Parse);
        let acl = RULES.map(Self::Acl);
        let fib = [1000, 100_000].map(Self::Fib);
        let rules = RULES.map(|rules| Self::Pipeline(Size { rules, ..usual }, 1000));
        let flows = [1, 100_000].map(|flows| Self::Pipeline(usual, flows));
        let worker = NEIGHBOURS.map(|neighbours| Self::Worker(usual, neighbours));
        [&parse[..], &acl, &fib, &rules, &flows, &worker].concat()
    }

    /// The case of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::all().into_iter().find(|case| case.name() == name)
    }

    /// Its name.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Parse(kind) => format!("parse.{}", kind.name()),
            Self::Acl(rules) => format!("acl_eval.{rules}"),
            Self::Fib(entries) => format!("fib.{entries}"),
            Self::Pipeline(size, 1000) => format!("pipeline.{}", size.rules),
            Self::Pipeline(size, 1) => format!("pipeline.{}.1-flow", size.rules),
            Self::Pipeline(size, flows) => format!("pipeline.{}.{flows}-flows", size.rules),
            Self::Worker(size, 1) => format!("worker.{}", size.rules),
            Self::Worker(size, ports) => format!("worker.{}.{ports}-neighbours", size.rules),
        }
    }

    /// Makes it.
    #[must_use]
    pub fn make(self) -> Box<dyn Workload> {
        match self {
            Self::Parse(kind) => Box::new(Parse::new(kind)),
            Self::Acl(rules) => Box::new(AclEval::new(rules as usize, Hits::Mixed)),
            Self::Fib(entries) => Box::new(FibLookup::hits(entries)),
            Self::Pipeline(size, flows) => Box::new(Pipeline::new(size, flows)),
            Self::Worker(size, neighbours) => Box::new(WorkerPath::new(size, neighbours)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_found() {
        let names: BTreeSet<String> = Case::all().into_iter().map(Case::name).collect();
        assert_eq!(names.len(), Case::all().len());
        for case in Case::all() {
            assert_eq!(Case::named(&case.name()), Some(case));
        }
        assert_eq!(Case::named("worker"), None);
    }
}
