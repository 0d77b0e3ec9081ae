//! Reviews as a real API server sends them: compact, keys sorted, `object` before `oldObject`, managed fields in both.

use serde_json::{Value, json};

/// The change in a review's update.
#[derive(Clone, Copy)]
pub enum Edit {
    /// A label, as `kubectl label` does; `managedFields` follow.
    Label,
    /// `spec.ttlSecondsAfterFinished`; `generation` and `managedFields` follow.
    Ttl,
    /// The last container's image: the update is denied.
    Image,
}

/// A review of about `bytes` bytes.
pub fn review(bytes: usize, edit: Edit) -> Vec<u8> {
    // Two objects make most of a review; each grows by environment variables.
    let mut variables = 0;
    loop {
        let body = with_variables(variables, edit);
        if body.len() >= bytes {
            return body;
        }
        variables += ((bytes - body.len()) / 300).max(1);
    }
}

fn with_variables(variables: usize, edit: Edit) -> Vec<u8> {
    let old = job(variables);
    let mut new = old.clone();
    new["metadata"]["managedFields"][0]["time"] = json!("2026-11-01T09:30:12Z");
    match edit {
        Edit::Label => new["metadata"]["labels"]["team"] = json!("vision"),
        Edit::Ttl => new["spec"]["ttlSecondsAfterFinished"] = json!(600),
        Edit::Image => {
            let containers = &mut new["spec"]["pytorchReplicaSpecs"]["Worker"]["template"]["spec"]["containers"];
            containers[0]["image"] = json!("registry.example/team/pytorch-train:v2");
        }
    }
    if !matches!(edit, Edit::Label) {
        new["metadata"]["generation"] = json!(3);
    }
    // Go writes the members of a struct in its order, those of a map sorted.
    let request = [
        ("uid", json!("705ab4f5-6393-11e8-b7cc-42010a800002")),
        ("kind", json!({"group": "kubeflow.org", "version": "v1", "kind": "PyTorchJob"})),
        ("resource", json!({"group": "kubeflow.org", "version": "v1", "resource": "pytorchjobs"})),
        ("requestKind", json!({"group": "kubeflow.org", "version": "v1", "kind": "PyTorchJob"})),
        ("requestResource", json!({"group": "kubeflow.org", "version": "v1", "resource": "pytorchjobs"})),
        ("name", json!("pytorch-test")),
        ("namespace", json!("kube-test")),
        ("operation", json!("UPDATE")),
        ("userInfo", json!({"username": "jane@example.com", "groups": ["ml", "system:authenticated"]})),
        ("object", new),
        ("oldObject", old),
        ("dryRun", json!(false)),
        ("options", json!({"kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "kubectl-edit"})),
    ];
    let members: Vec<_> = request.iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
    let review = r#"{"kind":"AdmissionReview","apiVersion":"admission.k8s.io/v1","request":{"#;
    format!("{review}{}}}}}", members.join(",")).into_bytes()
}

fn job(variables: usize) -> Value {
    let replica = |variables: usize| {
        let env: Vec<_> = (0..variables)
            .map(
                |n| json!({"name": format!("TRAINING_OPTION_{n}"), "value": format!("s3://bucket/dataset/{n}?part=0")}),
            )
            .collect();
        let mut container = json!({
            "name": "pytorch",
            "image": "registry.example/team/pytorch-train:v1",
            "command": ["python", "/opt/train/main.py"],
            "args": ["--backend", "nccl", "--epochs", "90"],
            "resources": {"limits": {"cpu": "8", "memory": "64Gi", "nvidia.com/gpu": "1"}},
        });
        if variables > 0 {
            container["env"] = json!(env);
        }
        json!({"replicas": 1, "restartPolicy": "OnFailure", "template": {"spec": {"containers": [container]}}})
    };
    json!({
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {
            "annotations": {"example.com/owner": "vision"},
            "creationTimestamp": "2026-11-01T09:00:00Z",
            "generation": 2,
            "labels": {"app": "test"},
            "managedFields": [{
                "apiVersion": "kubeflow.org/v1",
                "fieldsType": "FieldsV1",
                "fieldsV1": {"f:metadata": {"f:labels": {".": {}, "f:app": {}}}, "f:spec": {"f:pytorchReplicaSpecs": {}}},
                "manager": "kubectl-client-side-apply",
                "operation": "Update",
                "time": "2026-11-01T09:00:00Z",
            }],
            "name": "pytorch-test",
            "namespace": "kube-test",
            "resourceVersion": "72519846",
            "uid": "c6e548f1-adfe-11e9-ba3a-b44326d0c915",
        },
        "spec": {
            "pytorchReplicaSpecs": {"Master": replica(variables / 2), "Worker": replica(variables - variables / 2)},
            "ttlSecondsAfterFinished": 3000,
        },
        "status": {"conditions": [{"type": "Created", "status": "True", "reason": "PyTorchJobCreated"}]},
    })
}
