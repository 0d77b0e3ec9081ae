//! Environment variables and arguments hold secrets. Whoever may update a job need not be allowed to read them, nor
//! may whoever reads logs: a denial names fields, and never what they hold.

use std::fs;

use serde_json::{Value, json};
use support::{Serves as _, until};

use crate::{cluster::Clusters, tests};

tests![names_no_value_in_a_denial, records_the_violations_in_the_audit_log];

const CONTAINER: &str = "/spec/pytorchReplicaSpecs/Master/template/spec/containers/0";

fn names_no_value_in_a_denial(clusters: &Clusters) {
    let cluster = clusters.cci();
    let old = json!({
        "name": "pytorch",
        "image": "registry/old-secret",
        "args": ["--token=old-secret"],
        "env": [{"name": "TOKEN", "value": "old-secret"}, {"name": "GONE", "value": "old-secret"}],
        "resources": {"limits": {"cpu": "1"}},
    });
    let new = json!({
        "name": "pytorch",
        "image": "registry/new-secret",
        "args": ["--token=new-secret"],
        "env": [{"name": "TOKEN", "value": "new-secret"}, {"name": "COME", "value": "new-secret"}],
        "resources": {"limits": {"cpu": "new-secret"}},
        "command": ["new-secret"],
    });
    let job = cluster.job_with(|job| *job.pointer_mut(CONTAINER).expect("the example has a container") = old);
    let run = job.patch(&json!([{"op": "replace", "path": CONTAINER, "value": new}]));

    let status = run.status();
    assert_eq!(status["code"], 422, "{status:#}");
    assert_eq!(status["details"]["causes"].as_array().map(Vec::len), Some(7), "{status:#}");
    // The guard answers first and logs then.
    let logged = || Ok(Some(cluster.guard.log()).filter(|log| log.contains(&job.namespace)));
    let log = until("the denial in the guard's log", logged).expect("the denial is logged");
    let audit = fs::read_to_string(cluster.plane.audit_log()).expect("the API server keeps an audit log");
    let metrics = cluster.guard.metrics();
    for (place, text) in [
        ("the Status", status.to_string()),
        ("what kubectl says", run.said()),
        ("the guard's log", log),
        ("the audit log", audit),
        ("the metrics", metrics),
    ] {
        assert!(!text.contains("-secret"), "{place} tells a secret: {text}");
    }
}

fn records_the_violations_in_the_audit_log(clusters: &Clusters) {
    let cluster = clusters.cci();
    let job = cluster.job();
    let patch = json!({"spec": {"backoffLimit": 1, "pytorchReplicaSpecs": {"Worker": {"replicas": 2}}}});
    let workers = "spec.pytorchReplicaSpecs.Worker.replicas";
    job.rejects(&[("spec.backoffLimit", "(added)"), (workers, "(was 1, now 2)")], || job.patch(&patch));

    let audit = fs::read_to_string(cluster.plane.audit_log()).expect("the API server keeps an audit log");
    let events: Vec<Value> = audit.lines().filter_map(|line| serde_json::from_str(line).ok()).collect();
    let denied = events.iter().find(|event| {
        event["verb"] == "patch"
            && event["objectRef"]["namespace"] == job.namespace
            && event["stage"] == "ResponseComplete"
    });
    let annotations = &denied.expect("the denied request is recorded")["annotations"];
    let violations = annotations["updates.pytorchjob-guard.internal/violations"].as_str().unwrap_or_default();
    let fields: Vec<&str> = violations.split(',').map(str::trim).collect();
    assert_eq!(fields, ["spec.backoffLimit", workers], "{annotations:#}");
    assert_eq!(annotations["updates.pytorchjob-guard.internal/policy"], "cci", "{annotations:#}");
}
