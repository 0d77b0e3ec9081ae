//! A job can always go away: the garbage collector's and the namespace controller's own updates pass.

use serde_json::{Value, json};
use support::example_job;

use crate::{
    cluster::{Clusters, Job},
    run::Run,
    tests_of_every_version,
};

tests_of_every_version![
    finishes_a_foreground_deletion,
    finishes_an_orphan_deletion,
    finishes_the_deletion_of_an_owner_that_orphans_the_job,
    finishes_the_deletion_of_an_owner_with_the_job,
    finishes_the_deletion_of_a_namespace_full_of_jobs,
    accepts_the_removal_of_a_finalizer_from_a_deleted_job,
    rejects_other_changes_of_a_deleted_job,
];

/// The time that kubectl waits: for ever, as far as a test is concerned.
const PATIENTLY: &str = "--timeout=180s";

/// Makes a `ConfigMap` that belongs to `owner`, and gives it as it is stored.
fn config_map(job: &Job, name: &str, owner: Option<&Value>) -> Value {
    let mut object = json!({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}});
    if let Some(owner) = owner {
        object["metadata"]["ownerReferences"] = json!([reference(owner)]);
    }
    object["metadata"]["namespace"] = json!(job.namespace);
    job.cluster.plane.apply(&object.to_string()).expect("a `ConfigMap` can be made");
    serde_json::from_str(job.admin(&["get", "configmap", name, "--output=json"]).accepted())
        .expect("kubectl prints JSON")
}

fn reference(owner: &Value) -> Value {
    json!({
        "apiVersion": owner["apiVersion"],
        "kind": owner["kind"],
        "name": owner["metadata"]["name"],
        "uid": owner["metadata"]["uid"],
        "blockOwnerDeletion": true,
    })
}

/// `kubectl delete`, which returns when the job is gone.
fn delete(job: &Job, cascade: &str) -> Run {
    job.kubectl(&["delete", "pytorchjob", "pytorch-test", cascade, PATIENTLY])
}

fn assert_gone(job: &Job, resource: &str, name: &str) {
    job.admin(&["wait", "--for=delete", resource, name, PATIENTLY]).accepted();
    assert_eq!(job.admin(&["get", resource, name]).status()["reason"], "NotFound");
}

fn finishes_a_foreground_deletion(clusters: &Clusters) {
    let job = clusters.cci().job();
    config_map(&job, "dependent", Some(&job.stored()));
    delete(&job, "--cascade=foreground").accepted();
    assert_gone(&job, "pytorchjob", "pytorch-test");
    assert_gone(&job, "configmap", "dependent");
}

fn finishes_an_orphan_deletion(clusters: &Clusters) {
    let job = clusters.cci().job();
    config_map(&job, "dependent", Some(&job.stored()));
    delete(&job, "--cascade=orphan").accepted();
    assert_gone(&job, "pytorchjob", "pytorch-test");
    let dependent = job.admin(&["get", "configmap", "dependent", "--output=jsonpath={.metadata.ownerReferences}"]);
    assert_eq!(dependent.accepted(), "", "the dependent stays, without an owner");
}

/// The example job, owned by a `ConfigMap` named `owner`.
fn owned_job(clusters: &Clusters) -> Job<'_> {
    let namespace = clusters.cci().job();
    let owner = reference(&config_map(&namespace, "owner", None));
    namespace.kubectl(&["delete", "pytorchjob", "pytorch-test", PATIENTLY]).accepted();
    let mut job = example_job();
    job["metadata"]["ownerReferences"] = json!([owner]);
    namespace.with_file(&["create"], &job).accepted();
    namespace
}

fn finishes_the_deletion_of_an_owner_that_orphans_the_job(clusters: &Clusters) {
    let job = owned_job(clusters);
    job.admin(&["delete", "configmap", "owner", "--cascade=orphan", PATIENTLY]).accepted();
    assert_gone(&job, "configmap", "owner");
    assert_eq!(job.stored()["metadata"].get("ownerReferences"), None, "the job stays, without an owner");
}

fn finishes_the_deletion_of_an_owner_with_the_job(clusters: &Clusters) {
    let job = owned_job(clusters);
    job.admin(&["delete", "configmap", "owner", "--cascade=foreground", PATIENTLY]).accepted();
    assert_gone(&job, "pytorchjob", "pytorch-test");
}

fn finishes_the_deletion_of_a_namespace_full_of_jobs(clusters: &Clusters) {
    let job = clusters.cci().job();
    job.create_a_crowd();
    config_map(&job, "dependent", Some(&job.stored()));
    // One of them is half gone already.
    job.kubectl(&["delete", "pytorchjob", "pytorch-test", "--cascade=foreground", "--wait=false"]).accepted();
    job.admin(&["delete", "namespace", &job.namespace, PATIENTLY]).accepted();
    assert_gone(&job, "namespace", &job.namespace);
}

/// The example job, deleted, and held by a finalizer.
fn held_job(clusters: &Clusters) -> Job<'_> {
    let job = clusters.cci().job_with(|job| job["metadata"]["finalizers"] = json!(["example.com/hold"]));
    job.kubectl(&["delete", "pytorchjob", "pytorch-test", "--wait=false"]).accepted();
    job
}

fn accepts_the_removal_of_a_finalizer_from_a_deleted_job(clusters: &Clusters) {
    let job = held_job(clusters);
    job.patch(&json!({"metadata": {"finalizers": null}})).accepted();
    assert_gone(&job, "pytorchjob", "pytorch-test");
}

fn rejects_other_changes_of_a_deleted_job(clusters: &Clusters) {
    let job = held_job(clusters);
    let patch = json!({"metadata": {"finalizers": null}, "spec": {"backoffLimit": 1}});
    job.rejects(&[("spec.backoffLimit", "(added)")], || job.patch(&patch));
    let stored = job.accepts(|| job.patch(&json!({"metadata": {"labels": {"app": "leaving"}}})));
    assert_eq!(stored["metadata"]["labels"]["app"], "leaving");
}
