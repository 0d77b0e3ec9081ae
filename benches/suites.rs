//! Suites of a 4 KB job: finding and loading one, running it, and the bare decisions about the same reviews.

use std::{fmt::Write as _, fs, hint::black_box, path::PathBuf};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use pytorchjob_guard::{
    admission::answer,
    policy::Policy,
    suites::{Found, Run, Selection, find},
};
use serde_json::Value;
use support::reviews::realistic::{Edit, review};
use tempfile::TempDir;

const CASES: u64 = 10_000;

/// A suite of so many cases of one kind, in a folder of its own.
fn suite(edit: Edit, case: &str) -> TempDir {
    let folder = TempDir::new().expect("a folder");
    // A review holds the job twice.
    let review: Value = serde_json::from_slice(&review(8 << 10, edit)).expect("JSON");
    fs::write(folder.path().join("job.json"), review["request"]["oldObject"].to_string()).expect("a file");
    let mut text =
        "apiVersion: pytorchjob-guard/v1\nkind: PolicyTest\npolicy: cci\nbase: job.json\ncases:\n".to_owned();
    for number in 0..CASES {
        writeln!(text, "  - {{name: case {number}, {case}}}").expect("a string");
    }
    fs::write(folder.path().join("suite.yaml"), text).expect("a file");
    folder
}

fn found(paths: &[PathBuf]) -> Found {
    let found = find(paths);
    assert!(found.problems.is_empty(), "{:?}", found.problems);
    found
}

fn suites(criterion: &mut Criterion) {
    let policy = Policy::builtin("cci").expect("cci is built in");
    let image = "jsonPatch: [{op: replace, path: /spec/pytorchReplicaSpecs/Worker/template/spec/containers/0/image, \
                 value: x}], expect: Denied, \
                 fields: ['spec.pytorchReplicaSpecs.Worker.template.spec.containers[name=\"pytorch\"].image']";
    let kinds = [
        ("label", Edit::Label, "patch: {metadata: {labels: {team: vision}}}, expect: Allowed"),
        ("ttl", Edit::Ttl, "patch: {spec: {ttlSecondsAfterFinished: 600}}, expect: Allowed"),
        ("image", Edit::Image, image),
    ];
    let mut group = criterion.benchmark_group("10000 cases");
    group.sample_size(10).throughput(Throughput::Elements(CASES));
    for (name, edit, case) in kinds {
        let folder = suite(edit, case);
        let paths = [folder.path().to_owned()];
        let loaded = found(&paths);
        let run = Run::new(&loaded, Selection::default(), || {});
        assert!(run.problems.is_empty() && !run.failed(), "the suite passes");
        let reviews: Vec<_> = loaded.suites[0].reviews().collect();
        assert_eq!(reviews.len() as u64, CASES);
        group.bench_with_input(BenchmarkId::new("load", name), &paths, |bencher, paths| {
            bencher.iter(|| found(black_box(paths)));
        });
        group.bench_with_input(BenchmarkId::new("run", name), &loaded, |bencher, loaded| {
            bencher.iter(|| Run::new(black_box(loaded), Selection::default(), || {}).failed());
        });
        group.bench_with_input(BenchmarkId::new("bare", name), &reviews, |bencher, reviews| {
            bencher.iter(|| {
                let answers = reviews.iter().map(|review| answer(black_box(review.as_bytes()), &policy));
                answers.filter(|answer| answer.as_ref().is_ok_and(|answer| !answer.body.is_empty())).count()
            });
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default().warm_up_time(std::time::Duration::from_millis(500)).measurement_time(std::time::Duration::from_secs(2));
    targets = suites
}
criterion_main!(benches);
