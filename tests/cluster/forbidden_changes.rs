//! Everything else about a job stays as it was created: each kind of change, and each way to attempt it.
//!
//! Each change is attempted as a JSON patch, and each comes with its twin: the same kind of change where it may be made.

use serde_json::{Value, json};
use support::example_job;

use crate::{
    cluster::{Clusters, Job, Violation},
    run::Run,
    tests_of_every_version,
};

tests_of_every_version![
    rejects_another_image,
    rejects_other_arguments,
    rejects_another_number_of_replicas,
    rejects_another_quantity,
    rejects_an_added_environment_variable,
    rejects_a_removed_environment_variable,
    rejects_another_environment_variable,
    rejects_another_order_of_environment_variables,
    rejects_an_added_container,
    rejects_a_renamed_container,
    rejects_a_changed_toleration,
    rejects_labels_of_the_pods,
    rejects_a_field_with_a_longer_name,
    rejects_an_unknown_field_beside_spec,
    rejects_a_removed_field,
    rejects_the_removal_of_spec,
    rejects_finalizers_set_by_a_person,
    rejects_owners_set_by_a_person,
    rejects_other_changes_by_the_garbage_collector,
    rejects_several_changes_with_a_line_for_each,
    rejects_more_changes_than_it_lists,
    rejects_an_image_in_every_way,
    warns_with_the_fields_that_can_be_changed,
];

const MASTER: &str = "/spec/pytorchReplicaSpecs/Master";
const CONTAINER: &str = "/spec/pytorchReplicaSpecs/Master/template/spec/containers/0";
const CONTAINER_FIELD: &str = r#"spec.pytorchReplicaSpecs.Master.template.spec.containers[name="pytorch"]"#;
const POD_FIELD: &str = "spec.pytorchReplicaSpecs.Master.template.spec";

/// One operation of a JSON patch.
fn operation(name: &str, path: impl AsRef<str>, value: impl Into<Value>) -> Value {
    json!([{"op": name, "path": path.as_ref(), "value": value.into()}])
}

/// A path below the master's container, and the field's name in messages.
fn in_container(path: &str, field: &str) -> (String, String) {
    (format!("{CONTAINER}/{path}"), format!("{CONTAINER_FIELD}.{field}"))
}

/// Shows that a patch is refused for these fields, and its twin accepted.
fn rejects(job: &Job, patch: &Value, violations: &[Violation], twin: &Value) {
    job.rejects(violations, || job.patch(patch));
    let before = job.stored();
    let after = job.accepts(|| job.patch(twin));
    assert_ne!(
        after["metadata"]["resourceVersion"], before["metadata"]["resourceVersion"],
        "the twin changes something"
    );
}

fn rejects_another_image(clusters: &Clusters) {
    let (pointer, field) = in_container("image", "image");
    let twin = operation("replace", "/metadata/labels/app", "other");
    rejects(&clusters.cci().job(), &operation("replace", pointer, "python:3"), &[(&field, "")], &twin);
}

fn rejects_other_arguments(clusters: &Clusters) {
    let job = clusters.cci().job();
    let (pointer, field) = in_container("args", "args");
    let twin = operation("replace", "/metadata/labels/app", "other");
    // The list is named, however many of its elements differ.
    rejects(&job, &operation("add", format!("{pointer}/0"), "--verbose"), &[(&field, "")], &twin);
    job.rejects(&[(&field, "")], || job.patch(&operation("replace", format!("{pointer}/1"), "nccl")));
    job.rejects(&[(&field, "")], || job.patch(&json!([{"op": "remove", "path": format!("{pointer}/1")}])));
}

fn rejects_another_number_of_replicas(clusters: &Clusters) {
    let patch = operation("replace", format!("{MASTER}/replicas"), 3);
    let twin = operation("replace", "/spec/ttlSecondsAfterFinished", 3);
    let field = "spec.pytorchReplicaSpecs.Master.replicas";
    rejects(&clusters.cci().job(), &patch, &[(field, "(was 1, now 3)")], &twin);
}

fn rejects_another_quantity(clusters: &Clusters) {
    let job = clusters.cci().job();
    let (pointer, field) = in_container("resources/limits/cpu", "resources.limits.cpu");
    let twin = operation("replace", &pointer, "2000m");
    rejects(&job, &operation("replace", &pointer, "3"), &[(&field, "")], &twin);
    let (pointer, field) = in_container("resources/requests/memory", "resources.requests.memory");
    let twin = operation("replace", &pointer, "4096Mi");
    rejects(&job, &operation("replace", &pointer, "4G"), &[(&field, "")], &twin);
}

/// The example job with three environment variables.
fn job_with_environment(clusters: &Clusters) -> Job<'_> {
    clusters.cci().job_with(|job| {
        *job.pointer_mut(CONTAINER).expect("the example has a container") = json!({
            "name": "pytorch",
            "image": "pytorch",
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C", "value": "3"}],
        });
    })
}

fn rejects_an_added_environment_variable(clusters: &Clusters) {
    let (pointer, field) = in_container("env/0", r#"env[name="D"]"#);
    let patch = operation("add", pointer, json!({"name": "D", "value": "4"}));
    let twin = operation("add", "/metadata/labels/d", "4");
    rejects(&job_with_environment(clusters), &patch, &[(&field, "(added)")], &twin);
}

fn rejects_a_removed_environment_variable(clusters: &Clusters) {
    let (pointer, field) = in_container("env/1", r#"env[name="B"]"#);
    let patch = json!([{"op": "remove", "path": pointer}]);
    let twin = json!([{"op": "remove", "path": "/metadata/labels/app"}]);
    rejects(&job_with_environment(clusters), &patch, &[(&field, "(removed)")], &twin);
}

fn rejects_another_environment_variable(clusters: &Clusters) {
    let (pointer, field) = in_container("env/1/value", r#"env[name="B"].value"#);
    let twin = operation("replace", "/metadata/labels/app", "two");
    rejects(&job_with_environment(clusters), &operation("replace", pointer, "two"), &[(&field, "")], &twin);
}

fn rejects_another_order_of_environment_variables(clusters: &Clusters) {
    let (pointer, field) = in_container("env", "env");
    let patch = json!([{"op": "move", "from": format!("{pointer}/2"), "path": format!("{pointer}/0")}]);
    // The same order written once more is no change.
    let twin = json!([
        {"op": "move", "from": format!("{pointer}/2"), "path": format!("{pointer}/0")},
        {"op": "move", "from": format!("{pointer}/0"), "path": format!("{pointer}/2")},
        {"op": "add", "path": "/metadata/labels/order", "value": "kept"},
    ]);
    rejects(&job_with_environment(clusters), &patch, &[(&field, "(order changed)")], &twin);
}

fn rejects_an_added_container(clusters: &Clusters) {
    let patch = operation("add", CONTAINER, json!({"name": "sidecar", "image": "envoy"}));
    let twin = operation("add", "/metadata/annotations/sidecar", "none");
    let field = format!(r#"{POD_FIELD}.containers[name="sidecar"]"#);
    rejects(&clusters.cci().job(), &patch, &[(&field, "(added)")], &twin);
}

fn rejects_a_renamed_container(clusters: &Clusters) {
    let patch = operation("replace", format!("{CONTAINER}/name"), "tensorflow");
    let twin = operation("replace", "/metadata/labels/app", "tensorflow");
    let added = format!(r#"{POD_FIELD}.containers[name="tensorflow"]"#);
    let violations = [(CONTAINER_FIELD, "(removed)"), (added.as_str(), "(added)")];
    rejects(&clusters.cci().job(), &patch, &violations, &twin);
}

fn rejects_a_changed_toleration(clusters: &Clusters) {
    let path = format!("{MASTER}/template/spec");
    let job = clusters.cci().job_with(|job| {
        let pod = job.pointer_mut(&path).expect("the example has a pod template");
        pod["tolerations"] = json!([{"key": "gpu", "operator": "Exists"}, {"key": "spot", "operator": "Exists"}]);
    });
    let twin = operation("replace", "/metadata/labels/app", "other");
    let field = format!("{POD_FIELD}.tolerations[1].key");
    rejects(&job, &operation("replace", format!("{path}/tolerations/1/key"), "x"), &[(&field, "")], &twin);
    let field = format!("{POD_FIELD}.tolerations");
    let shorter = json!([{"op": "remove", "path": format!("{path}/tolerations/0")}]);
    job.rejects(&[(&field, "")], || job.patch(&shorter));
}

fn rejects_labels_of_the_pods(clusters: &Clusters) {
    let patch = operation("add", format!("{MASTER}/template/metadata"), json!({"labels": {"app": "test"}}));
    let twin = operation("add", "/metadata/labels", json!({"app": "test", "more": "labels"}));
    let field = "spec.pytorchReplicaSpecs.Master.template.metadata";
    rejects(&clusters.cci().job(), &patch, &[(field, "(added)")], &twin);
}

fn rejects_a_field_with_a_longer_name(clusters: &Clusters) {
    let patch = operation("add", "/spec/ttlSecondsAfterFinishedX", 60);
    let twin = operation("add", "/spec/ttlSecondsAfterFinished", 60);
    rejects(&clusters.cci().job(), &patch, &[("spec.ttlSecondsAfterFinishedX", "(added)")], &twin);
}

fn rejects_an_unknown_field_beside_spec(clusters: &Clusters) {
    let patch = operation("add", "/notes.txt", json!({"by": "dana"}));
    let twin = operation("add", "/metadata/annotations/notes", "by dana");
    rejects(&clusters.cci().job(), &patch, &[("[notes.txt]", "(added)")], &twin);
}

fn rejects_a_removed_field(clusters: &Clusters) {
    let patch = json!([{"op": "remove", "path": format!("{MASTER}/restartPolicy")}]);
    let twin = json!([{"op": "remove", "path": "/spec/ttlSecondsAfterFinished"}]);
    let field = "spec.pytorchReplicaSpecs.Master.restartPolicy";
    rejects(&clusters.cci().job(), &patch, &[(field, "(removed)")], &twin);
}

fn rejects_the_removal_of_spec(clusters: &Clusters) {
    let mut spec = example_job()["spec"].take();
    spec["ttlSecondsAfterFinished"] = json!(1);
    // The time to live goes with it, and may.
    let violations = [("spec.pytorchReplicaSpecs", "(removed)")];
    let patch = json!([{"op": "remove", "path": "/spec"}]);
    rejects(&clusters.cci().job(), &patch, &violations, &operation("replace", "/spec", spec));
}

fn rejects_finalizers_set_by_a_person(clusters: &Clusters) {
    let patch = operation("add", "/metadata/finalizers", json!(["example.com/hold"]));
    let twin = operation("add", "/metadata/annotations/hold", "please");
    rejects(&clusters.cci().job(), &patch, &[("metadata.finalizers", "(added)")], &twin);

    let job = clusters.cci().job_with(|job| job["metadata"]["finalizers"] = json!(["example.com/hold"]));
    let patch = json!([{"op": "remove", "path": "/metadata/finalizers"}]);
    job.rejects(&[("metadata.finalizers", "(removed)")], || job.patch(&patch));
}

fn rejects_owners_set_by_a_person(clusters: &Clusters) {
    let owner = json!({"apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": "4f6e"});
    let patch = operation("add", "/metadata/ownerReferences", json!([owner]));
    let twin = operation("add", "/metadata/labels/owner", "me");
    rejects(&clusters.cci().job(), &patch, &[("metadata.ownerReferences", "(added)")], &twin);
}

fn rejects_other_changes_by_the_garbage_collector(clusters: &Clusters) {
    let job = clusters.cci().job_with(|job| job["metadata"]["finalizers"] = json!(["example.com/hold"]));
    let collector = |patch: &Value| {
        let (user, patch) = ("--as=system:serviceaccount:kube-system:generic-garbage-collector", patch.to_string());
        job.admin(&[user, "patch", "pytorchjob", "pytorch-test", "--type=merge", "--patch", &patch])
    };
    // The finalizers are its own to change, and are not named beside what is not.
    let patch = json!({"metadata": {"finalizers": []}, "spec": {"backoffLimit": 1}});
    job.rejects(&[("spec.backoffLimit", "(added)")], || collector(&patch));
    let stored = job.accepts(|| collector(&json!({"metadata": {"finalizers": []}})));
    assert_eq!(stored["metadata"].get("finalizers"), None);
}

fn rejects_several_changes_with_a_line_for_each(clusters: &Clusters) {
    let patch = json!([
        {"op": "replace", "path": format!("{MASTER}/replicas"), "value": 2},
        {"op": "add", "path": "/spec/backoffLimit", "value": 3},
        {"op": "replace", "path": "/metadata/labels/app", "value": "other"},
        {"op": "replace", "path": format!("{CONTAINER}/image"), "value": "python:3"},
        {"op": "replace", "path": format!("{CONTAINER}/command/1"), "value": "/main.py"},
    ]);
    let (command, image) = (format!("{CONTAINER_FIELD}.command"), format!("{CONTAINER_FIELD}.image"));
    let violations = [
        ("spec.backoffLimit", "(added)"),
        ("spec.pytorchReplicaSpecs.Master.replicas", "(was 1, now 2)"),
        (&command, ""),
        (&image, ""),
    ];
    let twin = json!([
        {"op": "replace", "path": "/metadata/labels/app", "value": "other"},
        {"op": "add", "path": "/spec/activeDeadlineSeconds", "value": 2},
    ]);
    rejects(&clusters.cci().job(), &patch, &violations, &twin);
}

fn rejects_more_changes_than_it_lists(clusters: &Clusters) {
    let job = clusters.cci().job();
    let before = job.stored();
    let added: serde_json::Map<String, Value> = (10..50).map(|n| (format!("field{n}"), json!(n))).collect();
    let run = job.patch(&json!({"spec": added}));

    assert_ne!(run.code(), Some(0), "{}", run.said());
    let status = run.status();
    assert_eq!((&status["code"], &status["reason"]), (&json!(422), &json!("Invalid")), "{status:#}");
    let causes = status["details"]["causes"].as_array().expect("there are causes");
    let fields: Vec<&str> = causes.iter().take(32).filter_map(|cause| cause["field"].as_str()).collect();
    let expected: Vec<String> = (10..42).map(|n| format!("spec.field{n}")).collect();
    assert_eq!(fields, expected);
    assert_eq!(causes.len(), 33, "{status:#}");
    assert!(causes[32]["message"].as_str().is_some_and(|message| message.contains('8')), "{:#}", causes[32]);
    assert_eq!(job.stored(), before);

    let labels: serde_json::Map<String, Value> = (10..50).map(|n| (format!("field{n}"), json!("x"))).collect();
    job.patch(&json!({"metadata": {"labels": labels}})).accepted();
}

fn rejects_an_image_in_every_way(clusters: &Clusters) {
    let job = clusters.cci().job();
    let violations: &[Violation] = &[(&format!("{CONTAINER_FIELD}.image"), "")];
    let other_image = |mut object: Value| {
        *object.pointer_mut(&format!("{CONTAINER}/image")).expect("the container has an image") = json!("python:3");
        object
    };
    let manifest = other_image(example_job());
    // A merge patch takes a list as a whole.
    let containers = manifest.pointer(CONTAINER.trim_end_matches("/0")).expect("the example has containers");
    let pod = json!({"template": {"spec": {"containers": containers}}});
    let merge_patch = json!({"spec": {"pytorchReplicaSpecs": {"Master": pod}}});

    let ways: [&dyn Fn() -> Run; 5] = [
        &|| job.patch(&merge_patch),
        &|| job.with_file(&["apply"], &manifest),
        &|| job.with_file(&["apply", "--server-side", "--force-conflicts"], &manifest),
        &|| job.with_file(&["apply", "--server-side", "--force-conflicts", "--field-manager=x"], &manifest),
        &|| job.with_file(&["replace"], &other_image(job.stored())),
    ];
    for way in ways {
        job.rejects(violations, way);
    }
    // Their twins are in `mutable_fields`.
}

fn warns_with_the_fields_that_can_be_changed(clusters: &Clusters) {
    let job = clusters.cci().job();
    let run = job.patch(&json!({"spec": {"backoffLimit": 1}}));
    run.rejected(&[("spec.backoffLimit", "(added)")]);
    for field in ["metadata.labels", "metadata.annotations"] {
        assert!(run.warnings()[0].contains(field), "{:?}", run.warnings());
    }
    for field in ["activeDeadlineSeconds", "ttlSecondsAfterFinished", "cleanPodPolicy"] {
        assert!(run.warnings()[0].contains(&format!("spec.{field}")), "{:?}", run.warnings());
    }
    assert_eq!(job.patch(&json!({"spec": {"activeDeadlineSeconds": 1}})).warnings(), [""; 0]);
}
