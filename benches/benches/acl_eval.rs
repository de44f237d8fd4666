//! What an access list costs per frame, by number of rules: the curve must be flat.
//!
//! `cargo bench -p benches --bench acl_eval`. `start`, `end` and `mixed` frames match a rule of the
//! first or the last tenth, or any; `miss` none. `wild` lists have random wildcards.
//!
//! User time and instructions per frame, the loop (16 instructions) included, on two shared virtual
//! cores of an AMD EPYC at 2.6 GHz, the best of five runs:
//!
//! | rules | start | end | mixed | miss | wild | tables |
//! |---|---|---|---|---|---|---|
//! | 10 | 17 ns, 234 | 17 ns, 234 | 17 ns, 234 | 16 ns, 218 | 20 ns, 255 | 25 KiB |
//! | 100 | 20 ns, 255 | 19 ns, 255 | 21 ns, 255 | 19 ns, 239 | 23 ns, 255 | 125 KiB |
//! | 1,000 | 25 ns, 388 | 34 ns, 524 | 30 ns, 453 | 30 ns, 516 | 73 ns, 897 | 811 KiB |
//! | 4,000 | 35 ns, 446 | 87 ns, 932 | 51 ns, 507 | 21 ns, 359 | 93 ns, 1,011 | 6.0 MiB |

mod harness;

use benches::workload::acl::{self, AclEval, Hits};
use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};

const RULES: [usize; 5] = [0, 10, 100, 1000, 4000];

fn bench(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("acl_eval");
    for rules in RULES {
        for hits in Hits::ALL {
            let id = BenchmarkId::new(hits.name(), rules);
            harness::time(&mut group, id, &mut AclEval::new(rules, hits));
        }
    }
    group.finish();
    let mut group = criterion.benchmark_group("acl_compile");
    for rules in RULES {
        let list = acl::list(rules);
        let id = BenchmarkId::from_parameter(rules);
        group.bench_function(id, |bencher| bencher.iter(|| acl::compile(&list)));
    }
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
