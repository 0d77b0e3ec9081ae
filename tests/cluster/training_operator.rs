//! The layout of today's training operator under the `cci` policy: labels and annotations change, and nothing else.

use serde_json::json;

use crate::{cluster::Clusters, tests};

tests![
    accepts_labels_and_annotations,
    accepts_a_field_that_the_schema_drops,
    accepts_what_a_typed_client_writes_back,
    rejects_every_field_of_the_run_policy,
    rejects_the_spec,
    rejects_kubectl_scale,
];

const CONTAINER: &str = "/spec/pytorchReplicaSpecs/Master/template/spec/containers/0";
const CONTAINER_FIELD: &str = r#"spec.pytorchReplicaSpecs.Master.template.spec.containers[name="pytorch"]"#;

fn accepts_labels_and_annotations(clusters: &Clusters) {
    let job = clusters.training_operator().job();
    job.kubectl(&["label", "--overwrite", "pytorchjob", "pytorch-test", "app=other"]).accepted();
    let stored = job.accepts(|| job.kubectl(&["annotate", "pytorchjob", "pytorch-test", "note=slow"]));
    assert_eq!(stored["metadata"]["labels"]["app"], "other");
    assert_eq!(stored["metadata"]["annotations"]["note"], "slow");
}

fn accepts_a_field_that_the_schema_drops(clusters: &Clusters) {
    let job = clusters.training_operator().job();
    let before = job.stored();
    let patch = json!({"spec": {"ttlSecondsAfterFinished": 60, "unknown": true}});
    let after = job.accepts(|| job.patch(&patch));
    assert_eq!(after, before);
}

fn accepts_what_a_typed_client_writes_back(clusters: &Clusters) {
    let job = clusters.training_operator().job();
    let patch = json!([
        {"op": "replace", "path": format!("{CONTAINER}/resources/limits/cpu"), "value": "2"},
        {"op": "add", "path": "/spec/pytorchReplicaSpecs/Master/template/metadata", "value": {"creationTimestamp": null}},
        {"op": "replace", "path": "/metadata/labels/app", "value": "other"},
    ]);
    let stored = job.accepts(|| job.patch(&patch));
    assert_eq!(stored.pointer(&format!("{CONTAINER}/resources/limits/cpu")), Some(&json!("2")));
    let patch = json!([{"op": "replace", "path": format!("{CONTAINER}/resources/limits/cpu"), "value": "3"}]);
    job.rejects(&[(&format!("{CONTAINER_FIELD}.resources.limits.cpu"), "")], || job.patch(&patch));
}

fn rejects_every_field_of_the_run_policy(clusters: &Clusters) {
    let job = clusters.training_operator().job();
    let patch = json!({"spec": {"runPolicy": {
        "activeDeadlineSeconds": 600,
        "cleanPodPolicy": "All",
        "suspend": true,
        "ttlSecondsAfterFinished": 60,
    }}});
    let violations = [
        ("spec.runPolicy.activeDeadlineSeconds", "(added)"),
        ("spec.runPolicy.cleanPodPolicy", "(added)"),
        ("spec.runPolicy.suspend", "(was false, now true)"),
        ("spec.runPolicy.ttlSecondsAfterFinished", "(was 3000, now 60)"),
    ];
    job.rejects(&violations, || job.patch(&patch));
}

fn rejects_the_spec(clusters: &Clusters) {
    let job = clusters.training_operator().job();
    let patch = json!([
        {"op": "replace", "path": format!("{CONTAINER}/image"), "value": "python:3"},
        {"op": "add", "path": "/spec/nprocPerNode", "value": "2"},
        {"op": "replace", "path": "/spec/pytorchReplicaSpecs/Worker/restartPolicy", "value": "Always"},
    ]);
    let violations = [
        ("spec.nprocPerNode", "(added)"),
        (&*format!("{CONTAINER_FIELD}.image"), ""),
        ("spec.pytorchReplicaSpecs.Worker.restartPolicy", ""),
    ];
    job.rejects(&violations, || job.patch(&patch));
}

fn rejects_kubectl_scale(clusters: &Clusters) {
    let job = clusters.training_operator().job();
    let scale = |replicas| job.kubectl(&["scale", "pytorchjob", "pytorch-test", replicas]);
    job.rejects(&[("spec.replicas", "(was 1, now 2)")], || scale("--replicas=2"));
    job.accepts(|| scale("--replicas=1"));
}
