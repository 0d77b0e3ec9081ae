//! Every way to say what somebody does, and everything that can come of it.

use insta::assert_snapshot;
use pytorchjob_guard::suites;
use serde_json::{Value, json};

use super::{Folder, HEAD, JOB, suite};

/// Runs the cases, which all pass.
#[track_caller]
fn all_pass(folder: &Folder, cases: usize) {
    let said = folder.test(&["suite.yaml"]);
    assert!(said.starts_with("exit code 0\n"), "{said}");
    assert!(said.contains(&format!("{cases} passed, 0 failed")), "{said}");
}

#[test]
fn every_edit() {
    let new = JOB.replace("replicas: 1", "replicas: 2");
    let folder = suite(
        "
  - name: a merge patch
    patch: {spec: {ttlSecondsAfterFinished: null, x: 1}}
    expect: Denied
    fields: [spec.x]
  - name: a JSON patch
    jsonPatch: [{op: add, path: /spec/x, value: 1}, {op: remove, path: /metadata/labels/app}]
    expect: Denied
    fields: [spec.x]
  - name: an object in a file
    object: new.yaml
    expect: Denied
    fields: [spec.pytorchReplicaSpecs.Worker.replicas]
  - name: an object
    object: {apiVersion: kubeflow.org/v1, kind: PyTorchJob, metadata: {name: mnist, namespace: team-a}}
    expect: Denied
    fields: [spec.pytorchReplicaSpecs]
  - name: a review in a file
    review: review.json
    expect: Denied
    fields: [spec.x]
  - name: a review
    review:
      apiVersion: admission.k8s.io/v1
      kind: AdmissionReview
      request:
        uid: a
        operation: UPDATE
        resource: {group: kubeflow.org, resource: pytorchjobs}
        object: {}
        oldObject: {}
    expect: Allowed
",
    )
    .with("new.yaml", new)
    .with(
        "review.json",
        r#"{"apiVersion": "admission.k8s.io/v1beta1", "kind": "AdmissionReview", "request": {"uid": "a", "operation":
        "UPDATE", "resource": {"group": "kubeflow.org", "resource": "pytorchjobs"}, "object": {"spec": {"x": 1}},
        "oldObject": {"spec": {}}}}"#,
    );
    all_pass(&folder, 6);
}

#[test]
fn every_operation_and_subresource() {
    let folder = suite(
        "
  - {name: created, operation: CREATE, patch: {spec: {x: 1}}, expect: Allowed}
  - {name: deleted, operation: DELETE, expect: Allowed}
  - {name: connected, operation: CONNECT, object: {}, expect: Allowed}
  - {name: status, subresource: status, patch: {status: {a: 1}, spec: null}, expect: Allowed}
  - {name: scaled, subresource: scale, patch: {spec: {replicas: 2}}, expect: Denied, fields: [spec.replicas]}
  - {name: not scaled, subresource: scale, patch: {metadata: {name: x}, status: {replicas: 7}}, expect: Allowed}
",
    );
    all_pass(&folder, 6);
}

#[test]
fn the_scale_of_a_job_is_that_of_its_workers() {
    let folder = suite("
  - name: the whole view
    subresource: scale
    basePatch: {metadata: {uid: u, resourceVersion: '7'}, status: {replicaStatuses: {Worker: {active: 1, selector: a=b}}}}
    jsonPatch:
      - {op: test, path: /apiVersion, value: autoscaling/v1}
      - {op: test, path: /kind, value: Scale}
      - {op: test, path: /metadata, value: {name: mnist, namespace: team-a, uid: u, resourceVersion: '7'}}
      - {op: test, path: /spec, value: {replicas: 1}}
      - {op: test, path: /status, value: {replicas: 1, selector: a=b}}
    expect: Allowed
");
    all_pass(&folder, 1);
}

#[test]
fn a_scale_is_of_the_only_resource_that_the_policy_lists() {
    let policy =
        "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: x\nresources: [{group: g, resource: rs}]\n";
    let scale = "apiVersion: autoscaling/v1\nkind: Scale\nmetadata: {name: a}\nspec: {replicas: 1}\n";
    let cases =
        "  - {name: a, subresource: scale, patch: {spec: {replicas: 2}}, expect: Denied, fields: [spec.replicas]}\n";
    all_pass(&suite(cases).with("job.yaml", scale), 1);
    let folder = Folder::new().with("suite.yaml", format!("{}{cases}", HEAD.replace("cci", "policy.yaml")));
    all_pass(&folder.with("job.yaml", scale).with("policy.yaml", policy), 1);
}

#[test]
fn who_asks_counts() {
    let head = HEAD.replace("cci", "policy.yaml");
    let folder = Folder::new()
        .with("policy.yaml", "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: x\nresources: [{group: kubeflow.org, resource: pytorchjobs}]\nexemptions: [{name: a, users: [jane], groups: [ops], fields: [spec.x]}]\n")
        .with("suite.yaml", format!("{head}
  - {{name: the user, user: jane, patch: {{spec: {{x: 1}}}}, expect: Allowed}}
  - {{name: the group, groups: [dev, ops], patch: {{spec: {{x: 1}}}}, expect: Allowed}}
  - {{name: neither, user: ops, groups: [jane], patch: {{spec: {{x: 1}}}}, expect: Denied, fields: [spec.x]}}
"));
    all_pass(&folder, 3);
}

#[test]
fn every_outcome() {
    let cases = |expect: &str| {
        format!(
            "
  - name: nothing
    patch: {{}}
    expect: Allowed
  - name: two fields
    patch: {{spec: {{y: 1, x: 1}}}}
    expect: {expect}
    # In no order.
    fields: [spec.y, spec.x]
"
        )
    };
    for (actions, expect) in [
        ("Deny", "Denied"),
        ("Warn", "Warned"),
        ("Audit", "Audited"),
        ("Warn, Audit", "Warned"),
        ("Deny, Audit", "Denied"),
    ] {
        let policy = format!(
            "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: x\nresources: [{{group: kubeflow.org, resource: pytorchjobs}}]\nvalidationActions: [{actions}]\n"
        );
        let head = HEAD.replace("cci", "policy.yaml");
        let folder = Folder::new().with("policy.yaml", policy);
        let folder = folder.with("suite.yaml", format!("{head}{}", cases(expect)));
        all_pass(&folder, 2);
        let wrong = if expect == "Denied" { "Audited" } else { "Denied" };
        let said = folder.with("suite.yaml", format!("{head}{}", cases(wrong))).test(&["suite.yaml"]);
        assert!(said.starts_with("exit code 1\n"), "{said}");
    }
}

#[test]
fn bad_requests_say_why() {
    let folder = Folder::new().with(
        "suite.yaml",
        "apiVersion: pytorchjob-guard/v1
kind: PolicyTest
policy: cci
cases:
  - name: no objects
    review: &review
      apiVersion: admission.k8s.io/v1
      kind: AdmissionReview
      request: {uid: a, operation: UPDATE, resource: {group: kubeflow.org, resource: pytorchjobs}}
    expect: BadRequest
  - name: no review at all
    review: {kind: s3cr3t}
    expect: BadRequest
  - name: taken for good
    review: *review
    expect: Allowed
  - name: this too
    review: {kind: s3cr3t}
    expect: Allowed
",
    );
    assert_snapshot!(folder.test(&["suite.yaml"]), @"
    exit code 1
    --- output
    FAIL  suite.yaml: 2 passed, 2 failed
      FAIL  taken for good (line 14)
              expected | actual
            ! Allowed  | BadRequest
              request.oldObject is missing: an UPDATE has one
      FAIL  this too (line 17)
              expected | actual
            ! Allowed  | BadRequest
              the body is not an AdmissionReview of admission.k8s.io/v1 or v1beta1: its kind is another

    2 passed, 2 failed in T s
    ");
}

#[test]
fn what_the_policy_is_not_about_is_told() {
    let folder = suite("
  - {name: a, patch: {spec: {ttlSecondsAfterFinished: 1}}, expect: Allowed}
  - name: another kind
    review: {apiVersion: admission.k8s.io/v1, kind: AdmissionReview, request: {uid: a, operation: UPDATE, resource: {group: g, resource: rs}}}
    expect: Denied
    fields: [spec.x]
");
    assert_snapshot!(folder.test(&["suite.yaml"]), @"
    exit code 1
    --- output
    FAIL  suite.yaml: 1 passed, 1 failed (1 not applicable: allowed, since the policy is not about the resource)
      FAIL  another kind (line 8)
              expected | actual
            ! Denied   | Allowed
            ! spec.x   |
              the policy cci is not about rs.g

    1 passed, 1 failed in T s
    ");
}

#[test]
fn yaml_is_read_as_kubectl_reads_it() {
    // 0644 is 420 and yes is true, in the base, in a patch and in an object.
    let folder = suite(
        "
  - {name: octal, patch: {spec: {mode: 0644, tty: yes}}, expect: Allowed}
  - {name: decimal, patch: {spec: {mode: 420, tty: true}}, expect: Allowed}
  - {name: another, patch: {spec: {mode: 644, tty: 'yes'}}, expect: Denied, fields: [spec.mode, spec.tty]}
  - {name: a name like a number, user: 12, patch: {}, expect: Allowed}
",
    )
    .with("job.yaml", JOB.replace("spec:\n  ttl", "spec:\n  mode: 0644\n  tty: on\n  ttl"));
    all_pass(&folder, 4);
}

#[test]
fn a_suite_may_be_json() {
    let folder = Folder::new().with(
        "suite.json",
        r#"{
  "apiVersion": "pytorchjob-guard/v1", "kind": "PolicyTest", "policy": "cci", "base": "job.yaml",
  "cases": [{"name": "a \u00e9 \ud83d\ude00 / \/", "patch": {"metadata": {"labels": {"a": "b"}}}, "expect": "Allowed"}]
}"#,
    );
    assert_snapshot!(folder.test(&["."]), @"
    exit code 0
    --- output
    PASS  suite.json: 1 passed

    1 passed, 0 failed in T s
    ");
}

#[test]
fn a_review_is_as_an_api_server_sends_it() {
    let folder = suite(
        "
  - {name: created, operation: CREATE, patch: {spec: {x: 1}}, expect: Allowed}
  - {name: deleted, operation: DELETE, expect: Allowed}
  - {name: connected, operation: CONNECT, object: {a: 1}, expect: Allowed}
  - {name: updated, user: jane, groups: [dev], basePatch: {metadata: {uid: u}}, patch: {spec: null}, expect: Allowed}
  - {name: scaled, subresource: scale, patch: {spec: {replicas: 2}}, expect: Denied, fields: [spec.replicas]}
",
    );
    let found = suites::find(&[folder.path().join("suite.yaml")]);
    assert_eq!(found.problems, []);
    let requests: Vec<Value> = found.suites[0]
        .reviews()
        .map(|review| serde_json::from_str::<Value>(&review).expect("JSON")["request"].take())
        .collect();
    let [created, deleted, connected, updated, scaled] = &requests[..] else { panic!("five reviews: {requests:?}") };
    assert_eq!((created.get("oldObject"), &created["object"]["spec"]["x"]), (None, &json!(1)));
    assert_eq!((deleted.get("object"), &deleted["oldObject"]["metadata"]["name"]), (None, &json!("mnist")));
    assert_eq!((connected.get("oldObject"), &connected["object"]), (None, &json!({"a": 1})));
    assert_eq!(updated["oldObject"]["metadata"]["uid"], "u");
    assert_eq!(updated["object"]["metadata"]["uid"], "u");
    assert_eq!((updated["oldObject"].get("spec").is_some(), updated["object"].get("spec")), (true, None));
    assert_eq!(updated["userInfo"], json!({"username": "jane", "groups": ["dev"]}));
    assert_eq!(updated["kind"], json!({"group": "kubeflow.org", "version": "v1", "kind": "PyTorchJob"}));
    assert_eq!(updated["resource"], json!({"group": "kubeflow.org", "version": "v1", "resource": "pytorchjobs"}));
    assert_eq!((&updated["name"], &updated["namespace"]), (&json!("mnist"), &json!("team-a")));
    assert_eq!((&updated["operation"], updated.get("subResource")), (&json!("UPDATE"), None));
    assert_eq!(scaled["kind"], json!({"group": "autoscaling", "version": "v1", "kind": "Scale"}));
    assert_eq!(scaled["resource"], json!({"group": "kubeflow.org", "version": "v1", "resource": "pytorchjobs"}));
    assert_eq!((&scaled["subResource"], &scaled["object"]["spec"]), (&json!("scale"), &json!({"replicas": 2})));
}

#[test]
fn many_cases_may_share_one_anchor() {
    let first = "  - {name: first, user: &u jane, patch: &p {metadata: {labels: null}}, expect: Allowed}\n".to_owned();
    let more = (0..300).map(|number| format!("  - {{name: c{number}, user: *u, patch: *p, expect: Allowed}}\n"));
    all_pass(&suite(&std::iter::once(first).chain(more).collect::<String>()), 301);
}
