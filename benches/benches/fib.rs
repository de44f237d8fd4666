//! What a look-up in the local table costs, by number of entries.
//!
//! `cargo bench -p benches --bench fib`. `hit` is in the table, `miss` differs in one bit.
//!
//! Per look-up, the best of three runs, on two virtual cores of an AMD EPYC at 2.6 GHz that were
//! busy with other work at the time: hit 4.9, 5.2 and 6.6 ns at 1, 1,000 and 100,000 entries, miss
//! 4.0, 4.0 and 5.2 ns.

mod harness;

use benches::workload::fib::FibLookup;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("fib");
    for entries in [10, 1000, 100_000] {
        let id = |name| BenchmarkId::new(name, entries);
        harness::time(&mut group, id("hit"), &mut FibLookup::hits(entries));
        harness::time(&mut group, id("miss"), &mut FibLookup::misses(entries));
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
