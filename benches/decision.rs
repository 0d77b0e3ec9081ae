//! The decision core beside a bare `serde_json` pass over the same bytes, in the same run.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pytorchjob_guard::{
    admission::{Outcome, answer},
    policy::Policy,
};
use serde::de::IgnoredAny;
use support::reviews::realistic::{Edit, review};

fn decision(criterion: &mut Criterion) {
    let policy = Policy::builtin("cci").expect("cci is built in");
    let edits = [
        ("label", Edit::Label, Outcome::Allowed),
        ("ttl", Edit::Ttl, Outcome::Allowed),
        ("image", Edit::Image, Outcome::Denied),
    ];
    for (size, bytes) in [("4KB", 4 << 10), ("30KB", 30 << 10), ("1MB", 1 << 20)] {
        let mut group = criterion.benchmark_group(size);
        for (name, edit, outcome) in edits {
            let body = review(bytes, edit);
            assert_eq!(answer(&body, &policy).expect("a review").decision.outcome, outcome);
            group.throughput(Throughput::Bytes(body.len() as u64));
            group.bench_with_input(BenchmarkId::new("decide", name), &body, |bencher, body| {
                bencher.iter(|| answer(black_box(body), &policy).map(|answer| answer.body));
            });
            group.bench_with_input(BenchmarkId::new("parse", name), &body, |bencher, body| {
                bencher.iter(|| serde_json::from_slice::<IgnoredAny>(black_box(body)));
            });
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(std::time::Duration::from_millis(500)).measurement_time(std::time::Duration::from_secs(2));
    targets = decision
}
criterion_main!(benches);
