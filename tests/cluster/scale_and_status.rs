//! The subresources: `kubectl scale` is an update of a job like any other, and the status belongs to the controller.

use serde_json::json;

use crate::{
    cluster::{Clusters, Job},
    run::Run,
    tests_of_every_version,
};

tests_of_every_version![rejects_kubectl_scale, accepts_an_update_of_the_status, accepts_a_status_sent_with_the_job];

fn scale(job: &Job, replicas: &str) -> Run {
    job.kubectl(&["scale", "pytorchjob", "pytorch-test", replicas])
}

fn rejects_kubectl_scale(clusters: &Clusters) {
    let job = clusters.cci().job();
    job.rejects(&[("spec.replicas", "(was 1, now 3)")], || scale(&job, "--replicas=3"));
    let stored = job.accepts(|| scale(&job, "--replicas=1"));
    assert_eq!(stored["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"], 1);
}

fn accepts_an_update_of_the_status(clusters: &Clusters) {
    let job = clusters.cci().job();
    let before = job.stored();
    let patch = json!({"status": {"startTime": "2026-01-01T00:00:00Z"}, "spec": {"backoffLimit": 9}}).to_string();
    let status = ["patch", "pytorchjob", "pytorch-test", "--subresource=status", "--type=merge", "--patch"];
    let after = job.accepts(|| job.kubectl(&[&status[..], &[&patch]].concat()));
    assert_eq!(after["status"], json!({"startTime": "2026-01-01T00:00:00Z"}));
    assert_eq!(after["spec"], before["spec"], "the API server keeps the rest as it was");
}

fn accepts_a_status_sent_with_the_job(clusters: &Clusters) {
    let job = clusters.cci().job();
    let patch = json!({"status": {"startTime": "2026-01-01T00:00:00Z"}, "metadata": {"labels": {"app": "other"}}});
    let stored = job.accepts(|| job.patch(&patch));
    assert_eq!(stored["metadata"]["labels"]["app"], "other");
    assert_eq!(stored.get("status"), None, "the API server drops it");
}
