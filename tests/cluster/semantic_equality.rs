//! A value that is written differently and means the same is no change, as in Kubernetes' own validation. Here the CRD keeps
//! every field as it was written, so such updates do reach the guard as differences.

use serde_json::{Value, json};

use crate::{
    cluster::{Clusters, Job},
    tests,
};

tests![
    accepts_a_quantity_written_otherwise,
    accepts_null_for_absent,
    accepts_an_empty_list_for_absent,
    accepts_empty_structs_that_typed_clients_write,
    rejects_an_empty_struct_that_has_a_meaning,
    accepts_an_update_that_changes_nothing,
];

const POD: &str = "/spec/pytorchReplicaSpecs/Master/template/spec";
const CONTAINER: &str = "/spec/pytorchReplicaSpecs/Master/template/spec/containers/0";

/// Shows that the value is stored as it is written here: the update was accepted though it differed.
fn accepts(job: &Job, path: &str, value: &Value) {
    let stored = job.accepts(|| job.patch(&json!([{"op": "add", "path": path, "value": value}])));
    assert_eq!(stored.pointer(path), Some(value));
}

fn accepts_a_quantity_written_otherwise(clusters: &Clusters) {
    let job = clusters.cci().job();
    // The example has 2 and 4Gi.
    for cpu in [json!("2"), json!("2000m")] {
        accepts(&job, &format!("{CONTAINER}/resources/limits/cpu"), &cpu);
        accepts(&job, &format!("{CONTAINER}/resources/requests/cpu"), &cpu);
    }
    for memory in ["4096Mi", "4294967296"] {
        accepts(&job, &format!("{CONTAINER}/resources/limits/memory"), &json!(memory));
    }
    let patch = json!([{"op": "add", "path": format!("{CONTAINER}/resources/limits/memory"), "value": "4G"}]);
    let field = r#"spec.pytorchReplicaSpecs.Master.template.spec.containers[name="pytorch"].resources.limits.memory"#;
    job.rejects(&[(field, "")], || job.patch(&patch));
}

fn accepts_null_for_absent(clusters: &Clusters) {
    let job = clusters.cci().job();
    accepts(&job, &format!("{POD}/priority"), &Value::Null);
    accepts(&job, "/spec/backoffLimit", &Value::Null);
    let field = "spec.backoffLimit";
    job.rejects(&[(field, "(added)")], || job.patch(&json!({"spec": {"backoffLimit": 0}})));
}

fn accepts_an_empty_list_for_absent(clusters: &Clusters) {
    let job = clusters.cci().job();
    accepts(&job, &format!("{POD}/tolerations"), &json!([]));
    accepts(&job, &format!("{CONTAINER}/env"), &json!([]));
    let patch = json!([{"op": "add", "path": format!("{POD}/tolerations"), "value": [{}]}]);
    job.rejects(&[("spec.pytorchReplicaSpecs.Master.template.spec.tolerations", "(added)")], || job.patch(&patch));
}

fn accepts_empty_structs_that_typed_clients_write(clusters: &Clusters) {
    let job = clusters.cci().job_with(|job| {
        *job.pointer_mut(CONTAINER).expect("the example has a container") = json!({"name": "pytorch", "image": "x"});
    });
    accepts(&job, "/spec/pytorchReplicaSpecs/Master/template/metadata", &json!({"creationTimestamp": null}));
    accepts(&job, "/spec/pytorchReplicaSpecs/Worker/template/metadata", &json!({}));
    accepts(&job, &format!("{CONTAINER}/resources"), &json!({}));
    accepts(&job, "/spec/runPolicy", &json!({}));
    let patch = json!([{"op": "replace", "path": "/spec/runPolicy", "value": {"suspend": true}}]);
    let before = job.stored();
    let run = job.patch(&patch);
    assert_eq!(run.status()["code"], 422, "{}", run.said());
    assert_eq!(job.stored(), before);
}

fn rejects_an_empty_struct_that_has_a_meaning(clusters: &Clusters) {
    let job = clusters.cci().job();
    let patch = json!([{"op": "add", "path": format!("{POD}/securityContext"), "value": {}}]);
    job.rejects(&[("spec.pytorchReplicaSpecs.Master.template.spec.securityContext", "(added)")], || job.patch(&patch));
    accepts(&job, "/spec/pytorchReplicaSpecs/Master/template/metadata", &json!({}));
}

fn accepts_an_update_that_changes_nothing(clusters: &Clusters) {
    let job = clusters.cci().job();
    let before = job.stored();
    let after = job.accepts(|| job.patch(&json!({"metadata": {"labels": before["metadata"]["labels"]}})));
    assert_eq!(after, before);
}
