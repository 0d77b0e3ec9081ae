//! Updates that `check` allows.

use insta::assert_snapshot;

use super::{Folder, JOB, edited};

#[test]
fn a_mutable_field_may_change() {
    let folder = edited("3000", "60");
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml"]), @"
    exit code 0
    --- output
    pytorchjob.kubeflow.org/mnist allowed
    ");
    assert_snapshot!(folder.run(&["check", "-o", "json", "old.yaml", "new.yaml"]), @r#"
    exit code 0
    --- output
    {
      "apiVersion": "admission.k8s.io/v1",
      "kind": "AdmissionReview",
      "response": {
        "allowed": true,
        "uid": "check"
      }
    }
    "#);
}

#[test]
fn yaml_is_read_as_kubectl_reads_it() {
    let json = r#"{
        "apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob",
        "metadata": {"name": "mnist", "namespace": "team-a", "finalizers": ["example.com/keep"]},
        "spec": {"ttlSecondsAfterFinished": 1, "pytorchReplicaSpecs": {"Master": {"replicas": 1.0, "template": {"spec": {
            "containers": [{
                "name": "pytorch", "image": "registry.example.com/mnist:v1", "args": ["--epochs", "2"],
                "resources": {"limits": {"cpu": "2000m", "memory": "4096Mi"}}
            }],
            "volumes": [{"name": "conf", "configMap": {"name": "conf", "defaultMode": 420}}]
        }}}}}
    }"#;
    let folder = Folder::new().with("old.yaml", JOB).with("new.json", json);
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.json"]), @"
    exit code 0
    --- output
    pytorchjob.kubeflow.org/mnist allowed
    ");
}

#[test]
fn an_anchor_is_what_it_stands_for() {
    let anchored = JOB.replace("replicas: 1\n", "replicas: &one 1\n").replace("3000", "*one");
    // An alias cannot stand before its anchor.
    let anchored = anchored.replace("  ttlSecondsAfterFinished: *one\n", "") + "  ttlSecondsAfterFinished: *one\n";
    let folder = Folder::new().with("old.yaml", JOB).with("new.yaml", anchored);
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml"]), @"
    exit code 0
    --- output
    pytorchjob.kubeflow.org/mnist allowed
    ");
}

#[test]
fn either_object_may_come_from_standard_input() {
    let folder = edited("3000", "60");
    assert_snapshot!(folder.run_with(&["check", "-", "new.yaml"], JOB), @"
    exit code 0
    --- output
    pytorchjob.kubeflow.org/mnist allowed
    ");
    assert_snapshot!(folder.run_with(&["check", "old.yaml", "-"], JOB), @"
    exit code 0
    --- output
    pytorchjob.kubeflow.org/mnist allowed
    ");
}

#[test]
fn the_garbage_collector_may_remove_finalizers() {
    let folder = edited("  finalizers: [example.com/keep]\n", "");
    let collector = "system:serviceaccount:kube-system:generic-garbage-collector";
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml", "--user", collector]), @"
    exit code 0
    --- output
    pytorchjob.kubeflow.org/mnist allowed
    ");
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml", "--user", "alice", "--group", "system:masters"]), @r#"
    exit code 1
    --- error output
    Warning: only these fields can be changed: metadata.labels, metadata.annotations, spec.activeDeadlineSeconds, spec.ttlSecondsAfterFinished, spec.cleanPodPolicy
    The PyTorchJob "mnist" is invalid: metadata.finalizers: Forbidden: field is immutable (removed)
    "#);
}

#[test]
fn a_status_update_may_change_anything() {
    let folder = edited("replicas: 1", "replicas: 2");
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml", "--subresource", "status"]), @"
    exit code 0
    --- output
    pytorchjob.kubeflow.org/mnist allowed
    ");
}

#[test]
fn says_that_the_policy_is_not_about_an_unlisted_resource() {
    let pod = "{apiVersion: v1, kind: Pod, metadata: {name: web}, spec: {a: 1}}";
    let folder = Folder::new()
        .with("old.yaml", format!("# flow style\n{pod}"))
        .with("new.yaml", "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: web\n");
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml"]), @"
    exit code 0
    --- output
    pod/web allowed: the policy cci is not about pods
    ");
    let folder = edited("kubeflow.org/v1", "example.com/v1");
    assert_snapshot!(folder.run(&["check", "new.yaml", "new.yaml"]), @"
    exit code 0
    --- output
    pytorchjob.example.com/mnist allowed: the policy cci is not about pytorchjobs.example.com
    ");
}
