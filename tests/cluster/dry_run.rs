//! `--dry-run=server` and `kubectl diff` tell beforehand what the real thing would.

use serde_json::{Value, json};
use support::example_job;

use crate::{cluster::Clusters, tests_of_every_version};

tests_of_every_version![
    rejects_in_a_dry_run_what_it_rejects,
    accepts_in_a_dry_run_what_it_accepts,
    rejects_in_a_diff_what_it_rejects,
    accepts_in_a_diff_what_it_accepts,
];

/// The field that `forbidden` changes.
const FIELD: (&str, &str) = ("spec.pytorchReplicaSpecs.Worker.replicas", "(was 1, now 5)");

/// The example's manifest with a change that is refused.
fn forbidden() -> Value {
    let mut manifest = allowed();
    manifest["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"] = json!(5);
    manifest
}

/// The example's manifest with a change that is accepted.
fn allowed() -> Value {
    let mut manifest = example_job();
    manifest["spec"]["activeDeadlineSeconds"] = json!(5);
    manifest
}

fn rejects_in_a_dry_run_what_it_rejects(clusters: &Clusters) {
    let job = clusters.cci().job();
    for verb in ["apply", "replace"] {
        let dry = job.with_file(&[verb, "--dry-run=server"], &forbidden());
        job.rejects(&[FIELD], || job.with_file(&[verb], &forbidden()));
        dry.rejected(&[FIELD]);
    }
}

fn accepts_in_a_dry_run_what_it_accepts(clusters: &Clusters) {
    let job = clusters.cci().job();
    let before = job.stored();
    let after = job.accepts(|| job.with_file(&["apply", "--dry-run=server"], &allowed()));
    assert_eq!(after, before, "a dry run stores nothing");
    let after = job.accepts(|| job.with_file(&["apply"], &allowed()));
    assert_eq!(after["spec"]["activeDeadlineSeconds"], 5);
}

fn rejects_in_a_diff_what_it_rejects(clusters: &Clusters) {
    let job = clusters.cci().job();
    job.rejects(&[FIELD], || job.with_file(&["diff"], &forbidden()));
}

fn accepts_in_a_diff_what_it_accepts(clusters: &Clusters) {
    let job = clusters.cci().job();
    let before = job.stored();
    let run = job.with_file(&["diff"], &allowed());
    assert_eq!(run.code(), Some(1), "kubectl has a difference to show: {}", run.said());
    assert!(run.everything().contains("+  activeDeadlineSeconds: 5"), "{}", run.everything());
    assert_eq!(job.stored(), before);
}
