//! Coverage: what no case exercises, in each direction.

use insta::assert_snapshot;

use super::Folder;

const POLICY: &str = "apiVersion: pytorchjob-guard/v1
kind: UpdatePolicy
name: x
resources: [{group: kubeflow.org, resource: pytorchjobs}]
mutableFields: [metadata.labels, spec.ttlSecondsAfterFinished]
immutableFields: ['metadata.labels[example.com/queue]']
exemptions:
  - {name: ops, users: [ann], groups: [ops], when: Deleting, fields: [spec.a, spec.b]}
";

/// Each with the gap that it closes.
const CASES: [(&str, &str); 12] = [
    ("metadata.labels: no case fails without it", "{patch: {metadata: {labels: {a: b}}}, expect: Allowed}"),
    (
        "metadata.labels: no case shows where it ends: all of metadata could be mutable",
        "{patch: {metadata: {finalizers: [a]}}, expect: Denied, fields: [metadata.finalizers]}",
    ),
    (
        "spec.ttlSecondsAfterFinished: no case fails without it",
        "{patch: {spec: {ttlSecondsAfterFinished: 1}}, expect: Allowed}",
    ),
    (
        "spec.ttlSecondsAfterFinished: no case shows where it ends: all of spec could be mutable",
        "{patch: {spec: {x: 1}}, expect: Denied, fields: [spec.x]}",
    ),
    (
        "immutable metadata.labels[example.com/queue]: no case fails without it",
        "{patch: {metadata: {labels: {example.com/queue: b}}}, expect: Denied, fields: ['metadata.labels[example.com/queue]']}",
    ),
    (
        "exemption ops, spec.a: no case fails without it",
        "{user: ann, basePatch: {metadata: {deletionTimestamp: x}}, patch: {spec: {a: 1}}, expect: Allowed}",
    ),
    (
        "exemption ops, spec.b: no case fails without it",
        "{user: ann, basePatch: {metadata: {deletionTimestamp: x}}, patch: {spec: {b: 1}}, expect: Allowed}",
    ),
    (
        "exemption ops, ops: no case fails without it",
        "{groups: [ops], basePatch: {metadata: {deletionTimestamp: x}}, patch: {spec: {a: 1}}, expect: Allowed}",
    ),
    (
        "exemption ops, ann: no case fails without it",
        "{user: ann, basePatch: {metadata: {deletionTimestamp: x}}, patch: {spec: {a: 2}}, expect: Allowed}",
    ),
    (
        "exemption ops: no case shows where it ends: it could be for everyone",
        "{user: bob, basePatch: {metadata: {deletionTimestamp: x}}, patch: {spec: {a: 1}}, expect: Denied, fields: [spec.a]}",
    ),
    (
        "exemption ops: no case shows where it ends: it could hold at all times",
        "{user: ann, patch: {spec: {a: 1}}, expect: Denied, fields: [spec.a]}",
    ),
    (
        "exemption ops: no case shows where it ends: it could be about every field",
        "{user: ann, basePatch: {metadata: {deletionTimestamp: x}}, patch: {spec: {c: 1}}, expect: Denied, fields: [spec.c]}",
    ),
];

fn with_cases<'c>(cases: impl Iterator<Item = &'c str>) -> Folder {
    let head = super::HEAD.replace("cci", "policy.yaml");
    let cases: Vec<_> = cases.enumerate().map(|(at, case)| format!("  - {{name: {at}, {}\n", &case[1..])).collect();
    Folder::new().with("policy.yaml", POLICY).with("suite.yaml", format!("{head}{}", cases.concat()))
}

#[test]
fn names_all_that_nothing_exercises() {
    let folder = with_cases(["{patch: {}, expect: Allowed}"].into_iter());
    assert_snapshot!(folder.test(&["suite.yaml", "--coverage"]), @"
    exit code 0
    --- output
    PASS  suite.yaml: 1 passed

    Coverage of policy.yaml: 0 of 8 parts exercised both ways
      metadata.labels: no case fails without it
      spec.ttlSecondsAfterFinished: no case fails without it
      immutable metadata.labels[example.com/queue]: no case fails without it
      exemption ops: no case fails without it

    1 passed, 0 failed in T s
    ");
    let required = folder.test(&["suite.yaml", "--require-coverage"]);
    assert_eq!(required, folder.test(&["suite.yaml", "--coverage"]).replace("exit code 0", "exit code 1"));
}

#[test]
fn all_cases_cover_everything_and_each_is_needed() {
    let full = with_cases(CASES.iter().map(|(_, case)| *case)).test(&["suite.yaml", "--require-coverage"]);
    assert!(full.starts_with("exit code 0\n"), "{full}");
    assert!(full.contains("Coverage of policy.yaml: 8 of 8 parts exercised both ways\n"), "{full}");
    for (left_out, (gap, _)) in CASES.iter().enumerate() {
        // Another case shows the same where one user, one field or one end does for two.
        let others = CASES.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, (_, case))| *case);
        let others =
            others.filter(|case| !(gap.contains(", ann:") && case.contains("user: ann") && case.contains("Allowed")));
        let others = others.filter(|case| !(gap.contains(", spec.a:") && case.contains("{a: ")));
        let others = others.filter(|case| !(gap.contains("all of spec could") && case.contains("fields: [spec.")));
        let said = with_cases(others).test(&["suite.yaml", "--require-coverage"]);
        assert!(said.starts_with("exit code 1\n"), "{said}");
        assert!(said.contains(&format!("  {gap}\n")), "without its case:\n{gap}\n{said}");
    }
}

#[test]
fn an_immutable_field_ends_where_a_change_beside_it_is_allowed() {
    let queue = CASES[4].1;
    let said = with_cases([queue].into_iter()).test(&["suite.yaml", "--coverage"]);
    let gap = "immutable metadata.labels[example.com/queue]: no case shows where it ends: all of metadata.labels could be immutable\n";
    assert!(said.contains(gap), "{said}");
    let said = with_cases([queue, CASES[0].1].into_iter()).test(&["suite.yaml", "--coverage"]);
    assert!(!said.contains("immutable metadata.labels"), "{said}");
}

#[test]
fn failed_cases_do_not_count_and_suites_of_one_policy_add_up() {
    let wrong = CASES[0].1.replace("Allowed", "Denied, fields: [spec.x]");
    let said = with_cases([wrong.as_str()].into_iter()).test(&["suite.yaml", "--coverage"]);
    assert!(said.contains(CASES[0].0), "{said}");

    let head = super::HEAD.replace("cci", "policy.yaml");
    let folder = with_cases([CASES[0].1].into_iter());
    let head = head.replace(": policy.yaml", ": ../policy.yaml").replace("job.yaml", "../job.yaml");
    let folder = folder.with("more/other.yaml", format!("{head}  - {{name: a, {}\n", &CASES[1].1[1..]));
    let said = folder.test(&[".", "--coverage"]);
    assert_eq!(said.matches("Coverage of").count(), 1, "{said}");
    assert!(!said.contains("  metadata.labels:"), "{said}");
}

/// Nobody can show where a part ends whose widening changes nothing.
#[test]
fn asks_for_nothing_that_no_case_can_show() {
    let policy = "apiVersion: pytorchjob-guard/v1
kind: UpdatePolicy
name: x
resources: [{group: kubeflow.org, resource: pytorchjobs}]
mutableFields: ['spec.pytorchReplicaSpecs.*.replicas']
immutableFields: [spec.pytorchReplicaSpecs.Master.replicas]
exemptions: [{name: root, users: [root], subresources: [scale], fields: ['*']}]
";
    let suite = "apiVersion: pytorchjob-guard/v1
kind: PolicyTest
policy: x.yaml
base:
  apiVersion: kubeflow.org/v1
  kind: PyTorchJob
  metadata: {name: a}
  spec: {pytorchReplicaSpecs: {Master: {replicas: 1}, Worker: {replicas: 1, restartPolicy: Never}}}
cases:
  - {name: workers, patch: {spec: {pytorchReplicaSpecs: {Worker: {replicas: 2}}}}, expect: Allowed}
  - name: the rest of them
    patch: {spec: {pytorchReplicaSpecs: {Worker: {restartPolicy: Always}}}}
    expect: Denied
    fields: [spec.pytorchReplicaSpecs.Worker.restartPolicy]
  - name: the master
    patch: {spec: {pytorchReplicaSpecs: {Master: {replicas: 2}}}}
    expect: Denied
    fields: [spec.pytorchReplicaSpecs.Master.replicas]
  - {name: root, user: root, subresource: scale, patch: {spec: {replicas: 2}}, expect: Allowed}
  - {name: not root, subresource: scale, patch: {spec: {replicas: 2}}, expect: Denied, fields: [spec.replicas]}
  - {name: metadata, patch: {metadata: {finalizers: [a]}}, expect: Denied, fields: [metadata.finalizers]}
";
    let folder = Folder::new().with("x.yaml", policy).with("x.test.yaml", suite);
    let said = folder.test(&["--require-coverage", "x.test.yaml"]);
    assert!(said.starts_with("exit code 0\n") && said.contains("3 of 3 parts exercised both ways"), "{said}");
}

/// A built-in policy and a file of the same name are two.
#[test]
fn tells_policies_of_one_name_apart() {
    let base = "base: {apiVersion: kubeflow.org/v1, kind: PyTorchJob, metadata: {name: a}}
cases: [{name: a, patch: {metadata: {labels: {a: b}}}, expect: Allowed}]
";
    let suite = |policy: &str| format!("apiVersion: pytorchjob-guard/v1\nkind: PolicyTest\npolicy: {policy}\n{base}");
    let folder = Folder::new().with("cci", POLICY).with("a.yaml", suite("cci")).with("b.yaml", suite("./cci"));
    let said = folder.test(&["--coverage", "a.yaml", "b.yaml"]);
    assert!(said.contains("Coverage of cci: ") && said.contains("Coverage of ./cci: "), "{said}");
}
