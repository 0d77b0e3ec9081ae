//! Without a guard nothing is updated, and whatever is not an update goes on.

use serde_json::json;
use support::{example_job, free_address, registration::Registration};

use crate::{
    cluster::{Clusters, Job, certificates},
    tests,
};

tests![rejects_updates_while_the_guard_is_down, accepts_creation_and_deletion_while_the_guard_is_down];

/// Runs `outage` for a job in a namespace whose own guard is down, and then `after` with the guard up again.
fn during_an_outage(clusters: &Clusters, outage: impl Fn(&Job), after: impl Fn(&Job)) {
    let cluster = clusters.cci();
    let job = cluster.job();
    let certs = cluster.folder().join("certs");
    certificates(&certs);
    let address = free_address().expect("a port is free");
    let guard = cluster.second_guard(&certs, address);
    let registration =
        Registration { name: &job.namespace, only: Some(&job.namespace), host: "127.0.0.1", probe: &job.namespace };
    guard.register(&cluster.plane, registration).expect("the guard can be registered");
    drop(guard);
    outage(&job);
    let _guard = cluster.second_guard(&certs, address);
    after(&job);
}

fn rejects_updates_while_the_guard_is_down(clusters: &Clusters) {
    let label = json!({"metadata": {"labels": {"app": "other"}}});
    let outage = |job: &Job| {
        let before = job.stored();
        let run = job.patch(&label);
        assert_ne!(run.code(), Some(0), "{}", run.said());
        let status = run.status();
        assert_eq!((&status["code"], &status["reason"]), (&json!(500), &json!("InternalError")), "{status:#}");
        let message = status["message"].as_str().unwrap_or_default();
        assert!(message.contains("failed calling webhook \"updates.pytorchjob-guard.internal\""), "{message}");
        assert_eq!(job.stored(), before);
    };
    let after = |job: &Job| {
        assert_eq!(job.accepts(|| job.patch(&label))["metadata"]["labels"]["app"], "other");
    };
    during_an_outage(clusters, outage, after);
}

fn accepts_creation_and_deletion_while_the_guard_is_down(clusters: &Clusters) {
    let outage = |job: &Job| {
        job.kubectl(&["delete", "pytorchjob", "pytorch-test", "--timeout=180s"]).accepted();
        job.with_file(&["create"], &example_job()).accepted();
        let status = json!({"status": {"startTime": "2026-01-01T00:00:00Z"}}).to_string();
        job.kubectl(&[
            "patch",
            "pytorchjob",
            "pytorch-test",
            "--subresource=status",
            "--type=merge",
            "--patch",
            &status,
        ])
        .accepted();
    };
    during_an_outage(clusters, outage, |job| {
        job.rejects(&[("spec.backoffLimit", "(added)")], || job.patch(&json!({"spec": {"backoffLimit": 1}})));
    });
}
