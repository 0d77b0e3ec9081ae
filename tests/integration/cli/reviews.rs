//! `check --review`.

use insta::assert_snapshot;
use serde_json::json;

use super::Folder;

/// An update of a job whose replicas change from one to this.
fn review(replicas: u64) -> serde_json::Value {
    let job = |replicas: u64| json!({"metadata": {"name": "mnist"}, "spec": {"replicas": replicas}});
    json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": {
            "uid": "705ab4f5", "operation": "UPDATE", "name": "mnist", "namespace": "team-a",
            "kind": {"group": "kubeflow.org", "version": "v1", "kind": "PyTorchJob"},
            "resource": {"group": "kubeflow.org", "version": "v1", "resource": "pytorchjobs"},
            "userInfo": {"username": "alice"},
            "oldObject": job(1), "object": job(replicas),
        },
    })
}

#[test]
fn a_saved_review_is_decided() {
    let folder = Folder::new().with("same.json", review(1).to_string()).with("scaled.json", review(3).to_string());
    assert_snapshot!(folder.run(&["check", "--review", "same.json"]), @"
    exit code 0
    --- output
    pytorchjob.kubeflow.org/mnist allowed
    ");
    assert_snapshot!(folder.run(&["check", "--review", "scaled.json"]), @r#"
    exit code 1
    --- error output
    Warning: only these fields can be changed: metadata.labels, metadata.annotations, spec.activeDeadlineSeconds, spec.ttlSecondsAfterFinished, spec.cleanPodPolicy
    The PyTorchJob "mnist" is invalid: spec.replicas: Forbidden: field is immutable (was 1, now 3)
    "#);
    assert_snapshot!(folder.run_with(&["check", "--review", "-"], &review(2).to_string()), @r#"
    exit code 1
    --- error output
    Warning: only these fields can be changed: metadata.labels, metadata.annotations, spec.activeDeadlineSeconds, spec.ttlSecondsAfterFinished, spec.cleanPodPolicy
    The PyTorchJob "mnist" is invalid: spec.replicas: Forbidden: field is immutable (was 1, now 2)
    "#);
}

#[test]
fn a_saved_review_may_be_yaml() {
    let yaml = "
apiVersion: admission.k8s.io/v1beta1
kind: AdmissionReview
request:
  uid: 705ab4f5
  operation: DELETE
  name: mnist
  kind: {group: kubeflow.org, version: v1, kind: PyTorchJob}
  resource: {group: kubeflow.org, version: v1, resource: pytorchjobs}
";
    let folder = Folder::new().with("review.yaml", yaml);
    assert_snapshot!(folder.run(&["check", "--review", "review.yaml", "-o", "json"]), @r#"
    exit code 0
    --- output
    {
      "apiVersion": "admission.k8s.io/v1beta1",
      "kind": "AdmissionReview",
      "response": {
        "allowed": true,
        "uid": "705ab4f5"
      }
    }
    "#);
}

#[test]
fn a_review_that_cannot_be_decided_is_bad_input() {
    let mut lacking = review(1);
    lacking["request"]["oldObject"] = json!(null);
    let mut anonymous = review(1);
    anonymous["request"]["uid"] = json!("");
    let folder = Folder::new()
        .with("lacking.json", lacking.to_string())
        .with("anonymous.json", anonymous.to_string())
        .with("pod.yaml", "apiVersion: v1\nkind: Pod\n");
    assert_snapshot!(folder.run(&["check", "--review", "lacking.json"]), @"
    exit code 2
    --- error output
    error: lacking.json: request.oldObject is missing: an UPDATE has one
    ");
    assert_snapshot!(folder.run(&["check", "--review", "lacking.json", "-o", "json"]), @r#"
    exit code 2
    --- output
    {
      "apiVersion": "admission.k8s.io/v1",
      "kind": "AdmissionReview",
      "response": {
        "allowed": false,
        "status": {
          "apiVersion": "v1",
          "code": 400,
          "kind": "Status",
          "message": "request.oldObject is missing: an UPDATE has one",
          "metadata": {},
          "reason": "BadRequest",
          "status": "Failure"
        },
        "uid": "705ab4f5"
      }
    }
    --- error output
    error: lacking.json: request.oldObject is missing: an UPDATE has one
    "#);
    assert_snapshot!(folder.run(&["check", "--review", "anonymous.json"]), @"
    exit code 2
    --- error output
    error: anonymous.json: the AdmissionReview's request has no usable uid: it is not a string, or empty
    ");
    assert_snapshot!(folder.run(&["check", "--review", "pod.yaml"]), @"
    exit code 2
    --- error output
    error: pod.yaml: the body is not an AdmissionReview of admission.k8s.io/v1 or v1beta1: its kind is another
    ");
}
