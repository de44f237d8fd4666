//! What one frame costs on its whole way through a worker, on memory ports: receive, forward, edit,
//! transmit.
//!
//! `cargo bench -p benches --bench worker`. The host and the frames of `pipeline`, to one neighbour
//! and the wire, or to 15 neighbours and the wire, where each port gets three or four frames of a
//! burst. The difference to `pipeline` is what the worker and the memory ports cost; of a device
//! only the worker's part is left. Filling and emptying the far ends of the ports is not measured.

mod harness;

use benches::workload::cases::{NEIGHBOURS, RULES};
use benches::workload::host::Size;
use benches::workload::worker::WorkerPath;
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("worker");
    for neighbours in NEIGHBOURS {
        for rules in RULES {
            let mut work = WorkerPath::new(Size { rules, ..Size::default() }, neighbours);
            let name = format!("to {neighbours}, rules");
            harness::time(&mut group, BenchmarkId::new(name, rules), &mut work);
            assert!(work.is_lossless(), "not what is to be measured");
        }
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
