//! `policy doctor`.

use insta::assert_snapshot;
use serde_json::{Value, json};

use crate::cli::Folder;

/// A definition in which everything below spec is kept.
const CCI: &str = include_str!("../../cluster/crds/cci.yaml");
/// A definition with a structural schema.
const STRUCTURAL: &str = include_str!("../fixtures/structural-crd.yaml");

fn examine(policy: &str, crd: &str) -> String {
    Folder::new().with("crd.yaml", crd).run(&["policy", "doctor", "--policy", policy, "--crd", "crd.yaml"])
}

/// Of a policy with these lines.
fn examine_own(lines: &str, crd: &str) -> String {
    let own = format!(
        "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: own\n\
         resources: [{{group: kubeflow.org, resource: pytorchjobs}}]\n{lines}"
    );
    let folder = Folder::new().with("crd.yaml", crd).with("own.yaml", own);
    folder.run(&["policy", "doctor", "--policy", "own.yaml", "--crd", "crd.yaml"])
}

/// The word that stands before each of these fields, and the exit code.
#[track_caller]
fn words(fields: &[(&str, &str)], crd: &str) {
    for (field, word) in fields {
        let said = examine_own(&format!("mutableFields:\n  - '{field}'"), crd);
        let line = said.lines().find(|line| line.contains(&format!("mutableFields: {field}"))).expect("a line");
        assert_eq!(line.split_whitespace().next(), Some(*word), "{said}");
        let code = if matches!(*word, "known" | "kept") { "exit code 0" } else { "exit code 1" };
        assert!(said.starts_with(code), "{said}");
    }
}

/// What `kubectl get crd pytorchjobs.kubeflow.org workloads.kueue.x-k8s.io` prints has both.
#[test]
fn the_definitions_of_kueue_beside() {
    let kueue = "\n---\n{apiVersion: apiextensions.k8s.io/v1, kind: CustomResourceDefinition, metadata: {name: workloads.kueue.x-k8s.io}, \
                 spec: {group: kueue.x-k8s.io, names: {plural: workloads}, versions: []}}\n";
    let crds = format!("{STRUCTURAL}{kueue}");
    for policy in ["cci", "training-operator"] {
        let said = examine(policy, &crds);
        assert!(said.starts_with("exit code 1"), "{said}");
        assert!(said.ends_with("Kueue could start and stop no job; use the policy kueue\n"), "{said}");
        assert!(!said.contains("use     the policy training-operator"), "{said}");
    }
    let said = examine("kueue", &crds);
    assert!(said.starts_with("exit code 0") && !said.contains("use the policy"), "{said}");
}

#[test]
fn a_definition_of_which_nothing_is_served() {
    assert_snapshot!(examine("cci", &CCI.replace("served: true", "served: false")), @"
    exit code 1
    --- output
    pytorchjobs.kubeflow.org: no version is served, so there are no such objects
    ");
}

#[test]
fn the_default_policy_and_the_other_layout() {
    assert_snapshot!(examine("cci", STRUCTURAL), @"
    exit code 1
    --- output
    pytorchjobs.kubeflow.org, version v1, under the policy cci:
      known   mutableFields: metadata.labels
      known   mutableFields: metadata.annotations
      pruned  mutableFields: spec.activeDeadlineSeconds is pruned before anyone sees it; the schema has spec.runPolicy.activeDeadlineSeconds
      pruned  mutableFields: spec.ttlSecondsAfterFinished is pruned before anyone sees it; the schema has spec.runPolicy.ttlSecondsAfterFinished
      pruned  mutableFields: spec.cleanPodPolicy is pruned before anyone sees it; the schema has spec.runPolicy.cleanPodPolicy
      known   exemption garbage-collector: metadata.finalizers
      known   exemption garbage-collector: metadata.ownerReferences
      known   exemption deleting: metadata.finalizers
      use     the policy training-operator: the schema knows every field of it
    ");
    assert_snapshot!(examine("cci", CCI), @"
    exit code 0
    --- output
    pytorchjobs.kubeflow.org, version v1, under the policy cci:
      known   mutableFields: metadata.labels
      known   mutableFields: metadata.annotations
      kept    mutableFields: spec.activeDeadlineSeconds is not in the schema, which keeps what it does not know
      kept    mutableFields: spec.ttlSecondsAfterFinished is not in the schema, which keeps what it does not know
      kept    mutableFields: spec.cleanPodPolicy is not in the schema, which keeps what it does not know
      known   exemption garbage-collector: metadata.finalizers
      known   exemption garbage-collector: metadata.ownerReferences
      known   exemption deleting: metadata.finalizers
      unclear the schema keeps every field, so cci and training-operator both fit: look where a job has ttlSecondsAfterFinished, or run doctor, which does
    ");
}

#[test]
fn policies_that_fit() {
    assert_snapshot!(examine("training-operator", STRUCTURAL), @"
    exit code 0
    --- output
    pytorchjobs.kubeflow.org, version v1, under the policy training-operator:
      known   mutableFields: metadata.labels
      known   mutableFields: metadata.annotations
      known   mutableFields: spec.runPolicy.activeDeadlineSeconds
      known   mutableFields: spec.runPolicy.ttlSecondsAfterFinished
      known   mutableFields: spec.runPolicy.cleanPodPolicy
      known   exemption garbage-collector: metadata.finalizers
      known   exemption garbage-collector: metadata.ownerReferences
      known   exemption deleting: metadata.finalizers
    ");
    let said = examine("kueue", STRUCTURAL);
    assert!(said.starts_with("exit code 0\n") && !said.contains("pruned"), "{said}");
    assert!(
        said.contains("  known   exemption kueue: spec.pytorchReplicaSpecs.*.template.metadata.labels\n"),
        "{said}"
    );
    // Without suspend the exemption is never in force.
    let said = examine("kueue", &STRUCTURAL.replace("suspend:", "halt:"));
    assert!(
        said.contains("never   exemption kueue: SuspendChanged never holds, as spec.runPolicy.suspend is pruned\n")
    );
    assert!(said.starts_with("exit code 1\n"), "{said}");
}

#[test]
fn a_definition_from_standard_input() {
    let folder = Folder::new();
    let said = folder.run_with(&["policy", "doctor", "--crd", "-"], CCI);
    assert_eq!(said, examine("cci", CCI));
    assert_snapshot!(folder.run_with(&["policy", "doctor", "--crd", "-"], ""), @"
    exit code 2
    --- error output
    error: standard input: holds no CustomResourceDefinition of pytorchjobs.kubeflow.org, which the policy cci is for; it holds none
    ");
}

#[test]
fn every_way_through_a_schema() {
    words(
        &[
            ("spec", "known"),
            ("spec.nprocPerNode", "known"),
            ("spec.nprocPerNode.x", "pruned"),
            ("spec.other", "pruned"),
            ("data", "pruned"),
            ("spec.*", "known"),
            ("spec.*.suspend", "known"),
            ("spec.*.*.template", "known"),
            ("spec.pytorchReplicaSpecs.Worker.replicas", "known"),
            ("spec.pytorchReplicaSpecs.Worker.replica", "pruned"),
            ("spec.*.Master.template.spec.containers[*].image", "known"),
            ("spec.*.Master.template.spec.containers[0].image", "known"),
            ("spec.*.Master.template.spec.containers[name=\"a\"].image", "known"),
            ("spec.pytorchReplicaSpecs.*.template.spec.containers[name=\"a\"].args", "pruned"),
            ("spec.pytorchReplicaSpecs.*.template.spec.containers.image", "pruned"),
            ("spec.pytorchReplicaSpecs.*.template.spec.nodeSelector[name=\"a\"]", "pruned"),
            ("spec.*.Master.template.spec.nodeSelector[a/b]", "known"),
            ("spec.anything.x", "known"),
            ("spec.anything.x.y", "pruned"),
            ("spec.kept.x.y[0]", "kept"),
            ("spec.kept.strict.known", "known"),
            ("spec.kept.strict.unknown", "pruned"),
            ("spec.kept.*", "known"),
            ("spec.kept.*.x", "kept"),
            ("spec.embedded.metadata.labels[a/b]", "known"),
            ("spec.embedded.kind", "known"),
            ("spec.embedded.spec", "pruned"),
            ("spec.runPolicy.kind", "pruned"),
        ],
        STRUCTURAL,
    );
    for crd in [STRUCTURAL, CCI] {
        words(
            &[
                ("metadata.labels.a", "known"),
                ("metadata.labels.a.b", "pruned"),
                ("metadata.ownerReferences[0].uid", "known"),
                ("metadata.ownerReferences[*]", "known"),
                ("metadata.label", "pruned"),
                ("metadata.*", "known"),
                ("kind", "known"),
            ],
            crd,
        );
    }
    words(&[("data", "kept"), ("spec.x", "kept"), ("*.x", "kept")], CCI);
}

#[test]
fn what_is_in_no_schema() {
    let other = STRUCTURAL.replace("  scope:", "  preserveUnknownFields: true\n  scope:");
    words(&[("spec.other", "kept"), ("spec.nprocPerNode", "known")], &other);
    let none = STRUCTURAL.replace("openAPIV3Schema:\n", "other:\n");
    words(&[("spec.nprocPerNode", "unclear"), ("metadata.labels", "unclear")], &none);
}

#[test]
fn the_places_of_a_key() {
    let said = examine_own("immutableFields: [spec.image, spec.labels, spec.nothing, spec.startTime]", STRUCTURAL);
    assert_snapshot!(said, @"
    exit code 1
    --- output
    pytorchjobs.kubeflow.org, version v1, under the policy own:
      pruned  immutableFields: spec.image is pruned before anyone sees it; the schema has spec.pytorchReplicaSpecs.*.template.spec.containers[*].image
      pruned  immutableFields: spec.labels is pruned before anyone sees it; the schema has spec.pytorchReplicaSpecs.*.template.metadata.labels
      pruned  immutableFields: spec.nothing is pruned before anyone sees it
      pruned  immutableFields: spec.startTime is pruned before anyone sees it
    ");
}

#[test]
fn subresources() {
    let scale = "exemptions: [{name: hpa, users: [u], subresources: [scale], fields: [spec.replicas]}]";
    assert_snapshot!(examine_own(scale, STRUCTURAL), @"
    exit code 0
    --- output
    pytorchjobs.kubeflow.org, version v1, under the policy own:
      known   exemption hpa: spec.replicas of the scale is spec.pytorchReplicaSpecs.Worker.replicas
    ");
    assert_snapshot!(examine_own(scale, &STRUCTURAL.replace("        scale:", "        other:")), @"
    exit code 1
    --- output
    pytorchjobs.kubeflow.org, version v1, under the policy own:
      never   exemption hpa: the resource has no scale subresource
    ");
    let no_status = STRUCTURAL.replace("        status: {}\n", "");
    assert_snapshot!(examine_own("mutableFields: [metadata.labels]", &no_status), @"
    exit code 1
    --- output
    pytorchjobs.kubeflow.org, version v1, under the policy own:
      known   mutableFields: metadata.labels
      denied  status: there is no status subresource, so that the controller's updates of status change a field that must not change; add status to mutableFields, or exempt the controller
    ");
    assert_snapshot!(examine_own("exemptions: [{name: operator, users: [u], fields: [status]}]", &no_status), @"
    exit code 0
    --- output
    pytorchjobs.kubeflow.org, version v1, under the policy own:
      known   exemption operator: status
      open    status: there is no status subresource, and exemption operator lets it change
    ");
    let neither = CCI.split("      subresources:").next().expect("text");
    assert_snapshot!(examine_own("mutableFields: [status.startTime]", neither), @"
    exit code 1
    --- output
    pytorchjobs.kubeflow.org, version v1, under the policy own:
      kept    mutableFields: status.startTime is not in the schema, which keeps what it does not know
      denied  status: there is no status subresource, so that the controller's updates of status change a field that must not change; add status to mutableFields, or exempt the controller
    ");
}

#[test]
fn several_definitions() {
    let tf = STRUCTURAL.replace("pytorchjob", "tfjob");
    let pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n";
    let said = examine("cci", &format!("{tf}---\n{pod}---\n{CCI}---\n"));
    assert_eq!(said, examine("cci", CCI));
    let list = |crds: &[&str]| {
        let items: Vec<Value> = crds.iter().map(|crd| serde_saphyr::from_str(crd).expect("YAML")).collect();
        json!({"apiVersion": "v1", "kind": "List", "items": items}).to_string()
    };
    assert_eq!(examine("cci", &list(&[&tf, CCI])), said);
    assert_snapshot!(examine("cci", &list(&[&tf])), @"
    exit code 2
    --- error output
    error: crd.yaml: holds no CustomResourceDefinition of pytorchjobs.kubeflow.org, which the policy cci is for; it holds tfjobs.kubeflow.org
    ");
    // All of a policy's resources, those that are there.
    let two = "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: own\nresources: [{group: kubeflow.org, resource: \
               tfjobs}, {group: kubeflow.org, resource: mxjobs}, {group: kubeflow.org, resource: pytorchjobs}]\n\
               mutableFields: [spec.nprocPerNode]\n";
    let folder = Folder::new().with("crd.json", list(&[CCI, &tf])).with("own.yaml", two);
    assert_snapshot!(folder.run(&["policy", "doctor", "--policy", "own.yaml", "--crd", "crd.json"]), @"
    exit code 0
    --- output
    tfjobs.kubeflow.org, version v1, under the policy own:
      known   mutableFields: spec.nprocPerNode
    mxjobs.kubeflow.org: not looked at, as crd.json holds no definition of it
    pytorchjobs.kubeflow.org, version v1, under the policy own:
      kept    mutableFields: spec.nprocPerNode is not in the schema, which keeps what it does not know
    ");
    // Each version that is served.
    let versions = STRUCTURAL.replace("served: false", "served: true");
    assert_snapshot!(examine_own("mutableFields: [spec.nprocPerNode]", &versions), @"
    exit code 1
    --- output
    pytorchjobs.kubeflow.org, version v1, under the policy own:
      known   mutableFields: spec.nprocPerNode
    pytorchjobs.kubeflow.org, version v1alpha1, under the policy own:
      pruned  mutableFields: spec.nprocPerNode is pruned before anyone sees it
      denied  status: there is no status subresource, so that the controller's updates of status change a field that must not change; add status to mutableFields, or exempt the controller
    ");
}

#[test]
fn bad_input() {
    assert_snapshot!(examine("cci", "a: [\n"), @"
    exit code 2
    --- error output
    error: crd.yaml: unclosed bracket '[' at line 1, column 4
    ");
    assert_snapshot!(examine("cci", "{\"a\": \n"), @"
    exit code 2
    --- error output
    error: crd.yaml: EOF while parsing a value at line 2 column 0
    ");
    assert_snapshot!(examine("cci", &CCI.replace("apiextensions.k8s.io/v1", "apiextensions.k8s.io/v1beta1")), @"
    exit code 2
    --- error output
    error: crd.yaml: pytorchjobs.kubeflow.org is of apiextensions.k8s.io/v1beta1; give it in apiextensions.k8s.io/v1
    ");
    assert_snapshot!(examine("cci", &CCI.replace("  group: kubeflow.org\n", "")), @"
    exit code 2
    --- error output
    error: crd.yaml: pytorchjobs.kubeflow.org is no CustomResourceDefinition: missing field `group`
    ");
    assert_snapshot!(examine("cic", CCI), @"
    exit code 2
    --- error output
    error: --policy cic: it is none of the built-in policies (cci, training-operator, kueue), and as a file it cannot be read: No such file or directory (os error 2)
    ");
    let folder = Folder::new();
    assert_snapshot!(folder.run(&["policy", "doctor", "--crd", "none.yaml"]), @"
    exit code 2
    --- error output
    error: none.yaml: No such file or directory (os error 2)
    ");
    assert_snapshot!(folder.run(&["policy", "doctor", "--crd", "/dev/zero"]), @"
    exit code 2
    --- error output
    error: /dev/zero: larger than 64 MiB
    ");
}
