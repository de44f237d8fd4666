//! Times a workload: nanoseconds a round, and frames a second.

use std::hint::black_box;
use std::time::{Duration, Instant};

use benches::workload::Workload;
use criterion::measurement::WallTime;
use criterion::{BenchmarkGroup, BenchmarkId, Throughput};

/// Times the rounds of a workload, and not what is between them. A round is of hundreds of frames,
/// so that the reads of the clock around it make no difference.
pub(crate) fn time(
    group: &mut BenchmarkGroup<'_, WallTime>,
    id: BenchmarkId,
    work: &mut dyn Workload,
) {
    group.throughput(Throughput::Elements(work.frames()));
    group.bench_function(id, |bencher| {
        bencher.iter_custom(|rounds| {
            let mut total = Duration::ZERO;
            for _ in 0..rounds {
                work.refill();
                let start = Instant::now();
                black_box(work.round());
                total += start.elapsed();
            }
            total
        });
    });
}
