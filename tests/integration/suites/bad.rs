//! Bad suites: exit code 2, and a message that names the file, the line and the column. Good ones run all the same.

use std::fs;

use insta::assert_snapshot;

use super::{Folder, HEAD, suite};

/// The output for a suite with these cases.
fn says(cases: &str) -> String {
    suite(cases).test(&["suite.yaml"])
}

/// Asserts that a suite is rejected with this message and no other.
#[track_caller]
fn rejects(said: &str, message: &str) {
    let expected = format!(
        "exit code 2\n--- output\n0 passed, 0 failed, 1 bad file in T s\n--- error output\nerror: suite.yaml: {message}"
    );
    assert_eq!(said.trim(), expected);
}

#[test]
fn keys() {
    for (cases, message) in [
        (
            "  - {name: a, patch: {}, expect: Allowed, fieldss: []}\n",
            "line 6, column 43: there is no key fieldss (did you mean fields?); the keys are name, basePatch, patch, jsonPatch, object, review, user, groups, subresource, operation, expect and fields",
        ),
        ("  - {name: a, patch: {}}\n", "line 6, column 5: expect is missing; write expect: Allowed"),
        (
            "  - {name: a, patch: {}, expect: Forbidden}\n",
            "line 6, column 34: expect: there is no Forbidden; write Allowed, Denied, Warned, Audited or BadRequest",
        ),
        (
            "  - {name: a, patch: [], expect: Allowed}\n",
            "line 6, column 22: patch: a list stands here; write the part of the object that changes, like {spec: {suspend: true}}",
        ),
        (
            "  - {name: a, patch: {}, operation: PATCH, expect: Allowed}\n",
            "line 6, column 37: operation: there is no PATCH; write CREATE, UPDATE, DELETE or CONNECT",
        ),
        (
            "  - {name: a, patch: {}, patch: {}, expect: Allowed}\n",
            "line 6, column 26: patch is written twice; take one away",
        ),
        ("  []\n", "line 6, column 3: cases: the list is empty; write at least one"),
    ] {
        rejects(&says(cases), message);
    }
    for (from, to, message) in [
        ("policy: cci\n", "", "line 1, column 1: policy is missing; write policy: cci"),
        ("/v1", "/v2", "line 1, column 13: apiVersion: write pytorchjob-guard/v1"),
        ("PolicyTest", "PolicyTests", "line 2, column 7: kind: write PolicyTest"),
        ("base: job.yaml\n", "", "line 5, column 5: base is missing: only a case with a review does without"),
        (
            "base: job.yaml",
            "base: [job.yaml]",
            "line 4, column 7: base: write the object itself, or the path of a file with it",
        ),
        ("base: job.yaml", "base: {kind: PyTorchJob}", "line 4, column 7: base: has no apiVersion"),
    ] {
        let text = format!("{HEAD}  - {{name: a, patch: {{}}, expect: Allowed}}\n").replace(from, to);
        rejects(&Folder::new().with("suite.yaml", text).test(&["suite.yaml"]), message);
    }
}

#[test]
fn every_mistake_of_the_format_at_once() {
    let folder = suite(
        "
  - {name: a, patch: {}, patch: {}, expect: Forbidden, user: [jane], fieldss: []}
  - {patch: {spec: {a: 1, a: 2}}, expect: Allowed, operation: patch}
  - a word
  - {name: b, object: {}, groups: jane, fields: [{}], expect: Allowed}
  - {name: a good one, patch: {}, expect: Allowed}
  - {name: not alone, patch: {}, expect: Denied}
",
    );
    let text = fs::read_to_string(folder.path().join("suite.yaml")).expect("the suite");
    let text = text.replace("policy: cci", "policy: cic").replace("/v1", "/v2");
    assert_snapshot!(folder.with("suite.yaml", text).test(&["suite.yaml"]), @r#"
    exit code 2
    --- output
    0 passed, 0 failed, 1 bad file in T s
    --- error output
    error: suite.yaml: line 1, column 13: apiVersion: write pytorchjob-guard/v1
    error: suite.yaml: line 3, column 9: policy: cic: it is none of the built-in policies (cci, training-operator, kueue), and as a file it cannot be read: No such file or directory (os error 2)
    error: suite.yaml: line 7, column 26: patch is written twice; take one away
    error: suite.yaml: line 7, column 45: expect: there is no Forbidden; write Allowed, Denied, Warned, Audited or BadRequest
    error: suite.yaml: line 7, column 62: user: a list stands here; write a string
    error: suite.yaml: line 7, column 70: there is no key fieldss (did you mean fields?); the keys are name, basePatch, patch, jsonPatch, object, review, user, groups, subresource, operation, expect and fields
    error: suite.yaml: line 8, column 5: name is missing; write name: "a new image"
    error: suite.yaml: line 8, column 27: patch: a is written twice; take one away
    error: suite.yaml: line 8, column 63: operation: there is no patch; write CREATE, UPDATE, DELETE or CONNECT
    error: suite.yaml: line 9, column 5: a string stands here; write a map with the keys name, basePatch, patch, jsonPatch, object, review, user, groups, subresource, operation, expect and fields
    error: suite.yaml: line 10, column 35: groups: a string stands here; write a list of groups
    error: suite.yaml: line 10, column 50: fields: a map stands here; write a string
    error: suite.yaml: line 12, column 5: fields is missing: name each field that is Denied
    "#);
}

#[test]
fn every_mistake_of_a_suite_at_once() {
    let said = says(
        "
  - name: two edits
    patch: {}
    object: {}
    expect: Allowed
  - name: no edit
    expect: Allowed
  - name: no edit
    patch: {}
    expect: Denied
  - name: fields
    patch: {}
    expect: Denied
    fields: [spec..a, 'spec.*', spec.b, spec.b]
  - name: no fields
    patch: {}
    expect: Warned
    fields: []
  - name: fields of what is allowed
    patch: {}
    expect: Allowed
    fields: [spec.a]
  - name: \"two\\nlines\"
    patch: {}
    expect: Allowed
  - name: a review says who
    review: {kind: AdmissionReview}
    user: jane
    subresource: scale
    expect: BadRequest
  - name: a DELETE has no new object
    operation: DELETE
    patch: {}
    expect: Allowed
  - name: no such operation
    jsonPatch: [{op: replcae, path: /spec}]
    expect: Allowed
",
    );
    assert_snapshot!(said, @r#"
    exit code 2
    --- output
    0 passed, 0 failed, 1 bad file in T s
    --- error output
    error: suite.yaml: line 9, column 13: object: a case has one edit, and there is patch already; take one away
    error: suite.yaml: line 11, column 5: an edit is missing: write patch, jsonPatch, object or review
    error: suite.yaml: line 13, column 5: fields is missing: name each field that is Denied
    error: suite.yaml: line 13, column 11: name: the case in line 11 has it too; rename one
    error: suite.yaml: line 19, column 14: fields: "spec..a" is no field path: a field's name is missing
    error: suite.yaml: line 19, column 23: fields: a case names each field itself; write it in place of *
    error: suite.yaml: line 19, column 41: fields: spec.b is named twice; take one away
    error: suite.yaml: line 23, column 13: fields: name at least one that is Warned
    error: suite.yaml: line 27, column 13: fields: Allowed has none; take them away
    error: suite.yaml: line 28, column 11: name: write a name, on one line
    error: suite.yaml: line 33, column 11: user: the review says that itself; take it away
    error: suite.yaml: line 34, column 18: subresource: the review says that itself; take it away
    error: suite.yaml: line 38, column 12: patch: a DELETE has no new object; take it away
    error: suite.yaml: line 41, column 17: jsonPatch: this is no operation of RFC 6902; write {op: replace, path: /spec/…, value: …}
    "#);
}

#[test]
fn a_json_patch_that_does_not_apply() {
    let said = says(
        "
  - name: the second operation is at fault
    jsonPatch:
      - {op: test, path: /metadata/name, value: mnist}
      - {op: replace, path: /spec/nothing, value: s3cr3t}
    expect: Allowed
  - name: a test that fails
    jsonPatch:
      - {op: test, path: /spec/ttlSecondsAfterFinished, value: s3cr3t}
    expect: Allowed
",
    );
    assert_snapshot!(said, @"
    exit code 2
    --- output
    0 passed, 0 failed, 1 bad file in T s
    --- error output
    error: suite.yaml: line 10, column 9: jsonPatch: operation 2 of /spec/nothing: path is invalid
    error: suite.yaml: line 14, column 9: jsonPatch: operation 1 of /spec/ttlSecondsAfterFinished: value did not match
    ");
}

#[test]
fn no_scale() {
    let replicas = "
  - name: a
    subresource: scale
    basePatch: {spec: {pytorchReplicaSpecs: {Worker: null}}}
    patch: {spec: {replicas: 2}}
    expect: Denied
    fields: [spec.replicas]
";
    assert_snapshot!(says(replicas), @"
    exit code 2
    --- output
    0 passed, 0 failed, 1 bad file in T s
    --- error output
    error: suite.yaml: line 7, column 5: subresource: the base has no spec.pytorchReplicaSpecs.Worker.replicas, so it has no scale
    ");
    let other = "apiVersion: kubeflow.org/v1\nkind: TFJob\nmetadata: {name: a}\n";
    assert_snapshot!(suite(&replicas.replace("    basePatch", "    #")).with("job.yaml", other).test(&["suite.yaml"]), @"
    exit code 2
    --- output
    0 passed, 0 failed, 1 bad file in T s
    --- error output
    error: suite.yaml: line 7, column 5: subresource: scale takes a PyTorchJob or an autoscaling/v1 Scale for its base, not a TFJob
    ");
}

#[test]
fn files_that_a_suite_names() {
    let folder = Folder::new()
        .with("policy.yaml", "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: x\nresources: []\n");
    for (name, head) in [
        ("a.yaml", HEAD.replace("policy: cci", "policy: cic")),
        ("b.yaml", HEAD.replace("policy: cci", "policy: policy.yaml")),
        ("c.yaml", HEAD.replace("job.yaml", "jbo.yaml")),
        ("d.yaml", HEAD.replace("job.yaml", "policy.yaml")),
    ] {
        let text = format!("{head}  - {{name: a, patch: {{}}, expect: Allowed}}\n");
        fs::write(folder.path().join(name), text).expect("a file");
    }
    let object = format!(
        "{HEAD}  - {{name: a, object: nix.json, expect: Allowed}}\n  - {{name: b, review: nix.json, expect: Allowed}}\n"
    );
    let folder = folder.with("e.yaml", object);
    assert_snapshot!(folder.test(&["a.yaml", "b.yaml", "c.yaml", "d.yaml", "e.yaml", "f.yaml"]), @"
    exit code 2
    --- output
    0 passed, 0 failed, 6 bad files in T s
    --- error output
    error: a.yaml: line 3, column 9: policy: cic: it is none of the built-in policies (cci, training-operator, kueue), and as a file it cannot be read: No such file or directory (os error 2)
    error: b.yaml: line 3, column 9: policy: policy.yaml: line 4, column 12: resources: the list is empty; list at least one group and resource
    error: c.yaml: line 4, column 7: base: jbo.yaml: No such file or directory (os error 2)
    error: d.yaml: line 4, column 7: base: policy.yaml: has no metadata.name
    error: e.yaml: line 6, column 23: object: nix.json: No such file or directory (os error 2)
    error: e.yaml: line 7, column 23: review: nix.json: No such file or directory (os error 2)
    error: f.yaml: No such file or directory (os error 2)
    ");
}

#[test]
fn a_suite_that_tests_nothing() {
    let other = "apiVersion: kubeflow.org/v1\nkind: TFJob\nmetadata: {name: a}\n";
    let folder = suite("  - {name: a, patch: {spec: {x: 1}}, expect: Allowed}\n").with("job.yaml", other);
    assert_snapshot!(folder.test(&["suite.yaml"]), @"
    exit code 2
    --- output
    0 passed, 0 failed, 1 bad file in T s
    --- error output
    error: suite.yaml: no case tests anything: the policy cci is not about tfjobs.kubeflow.org
    ");
}

#[test]
fn good_suites_run_beside_bad_ones() {
    let good = format!("{HEAD}  - {{name: a, patch: {{}}, expect: Allowed}}\n");
    let folder = Folder::new()
        .with("1-broken.yaml", "kind: PolicyTest\n  policy: [\n")
        .with("2-good.yaml", &good)
        .with("3-several.yaml", format!("{good}---\n{}---\n# only this\n---\n{good}", good.replace("patch", "ptach")));
    assert_snapshot!(folder.test(&["."]), @"
    exit code 2
    --- output
    PASS  2-good.yaml: 1 passed
    PASS  3-several.yaml#1: 1 passed
    PASS  3-several.yaml#3: 1 passed

    3 passed, 0 failed, 2 bad files in T s
    --- error output
    error: 1-broken.yaml: line 2, column 9: mapping values are not allowed in this context
    error: 3-several.yaml: line 13, column 15: there is no key ptach (did you mean patch?); the keys are name, basePatch, patch, jsonPatch, object, review, user, groups, subresource, operation, expect and fields
    ");
    assert_snapshot!(folder.test(&[".", "--list"]), @"
    exit code 2
    --- output
    2-good.yaml :: a
    3-several.yaml#1 :: a
    3-several.yaml#3 :: a
    --- error output
    error: 1-broken.yaml: line 2, column 9: mapping values are not allowed in this context
    error: 3-several.yaml: line 13, column 15: there is no key ptach (did you mean patch?); the keys are name, basePatch, patch, jsonPatch, object, review, user, groups, subresource, operation, expect and fields
    ");
}

#[test]
fn subresources_that_there_are_not() {
    assert_snapshot!(says("  - {name: a, subresource: Scale, patch: {}, expect: Allowed}\n"), @"
    exit code 2
    --- output
    0 passed, 0 failed, 1 bad file in T s
    --- error output
    error: suite.yaml: line 6, column 28: subresource: there is no Scale; write scale or status, or leave it out
    ");
    assert!(says("  - {name: a, subresource: scale, patch: {}, expect: Allowed}\n").starts_with("exit code 0\n"));
}

#[test]
fn a_base_is_never_standard_input() {
    let said = suite("  - {name: a, patch: {}, expect: Allowed}\n");
    let text =
        format!("{HEAD}  - {{name: a, patch: {{}}, expect: Allowed}}\n").replace("base: job.yaml", "base: \"-\"");
    assert_snapshot!(said.with("dash.yaml", text).test(&["dash.yaml"]), @"
    exit code 2
    --- output
    0 passed, 0 failed, 1 bad file in T s
    --- error output
    error: dash.yaml: line 4, column 7: base: ./-: No such file or directory (os error 2)
    ");
}

#[test]
fn no_text_of_a_bad_json_patch_is_repeated() {
    for patch in ["[s3cr3t]", "[{op: s3cr3t, path: /a}]", "[{op: add, path: s3cr3t, value: 1}]"] {
        let said = says(&format!("  - {{name: a, jsonPatch: {patch}, expect: Allowed}}\n"));
        assert!(said.starts_with("exit code 2\n") && !said.contains("s3cr3t"), "{said}");
    }
}
