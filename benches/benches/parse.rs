//! What it costs to read a frame's headers, by kind of frame.
//!
//! `cargo bench -p benches --bench parse`.

mod harness;

use benches::workload::parse::{Kind, Parse};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("parse");
    for kind in Kind::ALL {
        let id = BenchmarkId::from_parameter(kind.name());
        harness::time(&mut group, id, &mut Parse::new(kind));
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
