//! Reviews to send, as an API server writes them.

pub mod hostile;
pub mod realistic;

use serde_json::{Value, json};

/// An update that changes a field that may change.
pub fn allowed() -> String {
    update(json!({ "ttlSecondsAfterFinished": 60 }), json!({ "ttlSecondsAfterFinished": 90 })).to_string()
}

/// An update that changes one that must not.
pub fn denied() -> String {
    update(json!({ "nprocPerNode": "1" }), json!({ "nprocPerNode": "2" })).to_string()
}

/// An allowed update of at least this many bytes.
pub fn allowed_of(bytes: usize) -> String {
    let filler = "x".repeat(bytes / 2);
    update(
        json!({ "ttlSecondsAfterFinished": 60, "filler": filler }),
        json!({ "ttlSecondsAfterFinished": 90, "filler": filler }),
    )
    .to_string()
}

/// An update of a job from one spec to another.
#[allow(clippy::needless_pass_by_value, reason = "callers write the objects in place")]
pub fn update(old: Value, new: Value) -> Value {
    json!({
        "apiVersion": "admission.k8s.io/v1",
        "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
            "kind": { "group": "kubeflow.org", "version": "v1", "kind": "PyTorchJob" },
            "resource": { "group": "kubeflow.org", "version": "v1", "resource": "pytorchjobs" },
            "requestKind": { "group": "kubeflow.org", "version": "v1", "kind": "PyTorchJob" },
            "requestResource": { "group": "kubeflow.org", "version": "v1", "resource": "pytorchjobs" },
            "name": "train",
            "namespace": "team-a",
            "operation": "UPDATE",
            "userInfo": { "username": "alice", "groups": ["system:authenticated"] },
            "oldObject": object(&old),
            "object": object(&new),
            "dryRun": false,
            "options": { "kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1" },
        },
    })
}

fn object(spec: &Value) -> Value {
    json!({
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": { "name": "train", "namespace": "team-a", "uid": "1" },
        "spec": spec,
    })
}
