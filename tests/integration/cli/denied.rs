//! Updates that `check` denies, in kubectl's words.

use insta::assert_snapshot;

use super::{Folder, JOB, edited};

#[test]
fn one_field_stands_on_the_line() {
    let folder = edited("mnist:v1", "mnist:v2");
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml"]), @r#"
    exit code 1
    --- error output
    Warning: only these fields can be changed: metadata.labels, metadata.annotations, spec.activeDeadlineSeconds, spec.ttlSecondsAfterFinished, spec.cleanPodPolicy
    The PyTorchJob "mnist" is invalid: spec.pytorchReplicaSpecs.Master.template.spec.containers[name="pytorch"].image: Forbidden: field is immutable
    "#);
}

#[test]
fn several_fields_stand_on_lines_of_their_own() {
    let folder = edited("replicas: 1", "replicas: 3\n      restartPolicy: Never");
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml"]), @r#"
    exit code 1
    --- error output
    Warning: only these fields can be changed: metadata.labels, metadata.annotations, spec.activeDeadlineSeconds, spec.ttlSecondsAfterFinished, spec.cleanPodPolicy
    The PyTorchJob "mnist" is invalid:·
    * spec.pytorchReplicaSpecs.Master.replicas: Forbidden: field is immutable (was 1, now 3)
    * spec.pytorchReplicaSpecs.Master.restartPolicy: Forbidden: field is immutable (added)
    "#);
}

#[test]
fn the_answer_is_shown_as_json() {
    let folder = edited("replicas: 1", "replicas: 3");
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r#""policy-digest": "[0-9a-f]{12}""#, r#""policy-digest": "DIGEST""#);
    let _filtered = settings.bind_to_scope();
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml", "--output", "json"]), @r#"
    exit code 1
    --- output
    {
      "apiVersion": "admission.k8s.io/v1",
      "kind": "AdmissionReview",
      "response": {
        "allowed": false,
        "auditAnnotations": {
          "policy": "cci",
          "policy-digest": "DIGEST",
          "violations": "spec.pytorchReplicaSpecs.Master.replicas"
        },
        "status": {
          "apiVersion": "v1",
          "code": 422,
          "details": {
            "causes": [
              {
                "field": "spec.pytorchReplicaSpecs.Master.replicas",
                "message": "Forbidden: field is immutable (was 1, now 3)",
                "reason": "FieldValueForbidden"
              }
            ],
            "group": "kubeflow.org",
            "kind": "PyTorchJob",
            "name": "mnist"
          },
          "kind": "Status",
          "message": "PyTorchJob.kubeflow.org \"mnist\" is invalid: spec.pytorchReplicaSpecs.Master.replicas: Forbidden: field is immutable (was 1, now 3)",
          "metadata": {},
          "reason": "Invalid",
          "status": "Failure"
        },
        "uid": "check",
        "warnings": [
          "only these fields can be changed: metadata.labels, metadata.annotations, spec.activeDeadlineSeconds, spec.ttlSecondsAfterFinished, spec.cleanPodPolicy"
        ]
      }
    }
    "#);
}

#[test]
fn tells_strings_from_numbers_and_large_numbers_apart() {
    let folder = edited(r#""--epochs", "2""#, r#""--epochs", 2"#);
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml"]), @r#"
    exit code 1
    --- error output
    Warning: only these fields can be changed: metadata.labels, metadata.annotations, spec.activeDeadlineSeconds, spec.ttlSecondsAfterFinished, spec.cleanPodPolicy
    The PyTorchJob "mnist" is invalid: spec.pytorchReplicaSpecs.Master.template.spec.containers[name="pytorch"].args: Forbidden: field is immutable
    "#);
    let large = |last: u8| JOB.replace("replicas: 1", &format!("replicas: 900719925474099{last}"));
    let folder = Folder::new().with("old.yaml", large(2)).with("new.yaml", large(3));
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml"]), @r#"
    exit code 1
    --- error output
    Warning: only these fields can be changed: metadata.labels, metadata.annotations, spec.activeDeadlineSeconds, spec.ttlSecondsAfterFinished, spec.cleanPodPolicy
    The PyTorchJob "mnist" is invalid: spec.pytorchReplicaSpecs.Master.replicas: Forbidden: field is immutable (was 9007199254740992, now 9007199254740993)
    "#);
    let json = |last: u8| {
        format!(
            r#"{{"apiVersion":"kubeflow.org/v1","kind":"PyTorchJob","metadata":{{"name":"a"}},"n":1844674407370955161{last}0}}"#
        )
    };
    let folder = Folder::new().with("old.json", json(2)).with("new.json", json(3));
    assert_snapshot!(folder.run(&["check", "old.json", "new.json"]), @r#"
    exit code 1
    --- error output
    Warning: only these fields can be changed: metadata.labels, metadata.annotations, spec.activeDeadlineSeconds, spec.ttlSecondsAfterFinished, spec.cleanPodPolicy
    The PyTorchJob "a" is invalid: n: Forbidden: field is immutable (was 184467440737095516120, now 184467440737095516130)
    "#);
}

#[test]
fn a_scale_is_of_a_job() {
    let scale = |replicas: u8| {
        format!("apiVersion: autoscaling/v1\nkind: Scale\nmetadata: {{name: mnist}}\nspec: {{replicas: {replicas}}}\n")
    };
    let folder = Folder::new().with("old.yaml", scale(1)).with("new.yaml", scale(3));
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml", "--subresource", "scale"]), @r#"
    exit code 1
    --- error output
    Warning: no field can be changed through this subresource
    The PyTorchJob "mnist" is invalid: spec.replicas: Forbidden: field is immutable (was 1, now 3)
    "#);
    assert_snapshot!(folder.run(&["check", "old.yaml", "old.yaml", "--subresource", "scale"]), @"
    exit code 0
    --- output
    scale.autoscaling/mnist allowed
    ");
}

/// A policy that denies with 403.
const STRICT: &str = "apiVersion: pytorchjob-guard/v1
kind: UpdatePolicy
name: strict
resources: [{group: kubeflow.org, resource: pytorchjobs}]
mutableFields: [metadata.labels]
denial: {reason: Forbidden}
";

#[test]
fn a_policy_file_decides() {
    let folder = edited("3000", "60").with("strict.yaml", STRICT);
    assert_snapshot!(folder.run(&["check", "old.yaml", "new.yaml", "--policy", "strict.yaml"]), @r#"
    exit code 1
    --- error output
    Warning: only these fields can be changed: metadata.labels
    Error from server (Forbidden): admission webhook "updates.pytorchjob-guard.internal" denied the request: pytorchjobs.kubeflow.org "mnist" is forbidden: spec.ttlSecondsAfterFinished: Forbidden: field may not be changed (was 3000, now 60)
    "#);
    assert_snapshot!(folder.run(&["check", "old.yaml", "old.yaml", "--policy", "strict.yaml"]), @"
    exit code 0
    --- output
    pytorchjob.kubeflow.org/mnist allowed
    ");
}

#[test]
fn nothing_is_asked_of_the_environment_but_the_policy() {
    let folder = edited("3000", "60").with("strict.yaml", STRICT.replace("denial: {reason: Forbidden}\n", ""));
    let output = support::guard::program()
        .args(["check", "old.yaml", "new.yaml"])
        .env("PYTORCHJOB_GUARD_POLICY", "strict.yaml")
        .current_dir(folder.dir.path())
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("spec.ttlSecondsAfterFinished"), "{output:?}");
}
