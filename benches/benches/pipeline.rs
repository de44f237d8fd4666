//! What one frame costs in the whole forwarding core, without I/O: parse, classify, guard, access
//! list, lookup, replicate, verdict, counters.
//!
//! `cargo bench -p benches --bench pipeline`. A host of 1,000 vEthernets in 64 VLANs and two
//! uplinks; every port has the same inbound list of 100 rules, of which the last one matches;
//! bursts of 64 UDP frames of 64 bytes from one port, of 1,000 flows. In turn one of these numbers
//! is another.

mod harness;

use benches::workload::cases::{FLOWS, RULES, VETHERNETS};
use benches::workload::host::Size;
use benches::workload::pipeline::Pipeline;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn bench(criterion: &mut Criterion) {
    let usual = Size::default();
    let mut group = criterion.benchmark_group("pipeline");
    for rules in RULES {
        let mut work = Pipeline::new(Size { rules, ..usual }, 1000);
        harness::time(&mut group, BenchmarkId::new("rules", rules), &mut work);
    }
    for flows in FLOWS {
        let mut work = Pipeline::new(usual, flows);
        harness::time(&mut group, BenchmarkId::new("flows", flows), &mut work);
    }
    for vethernets in VETHERNETS {
        let mut work = Pipeline::new(Size { vethernets, ..usual }, 1000);
        harness::time(&mut group, BenchmarkId::new("vethernets", vethernets), &mut work);
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
