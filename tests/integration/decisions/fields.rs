//! Which changes are allowed: the five fields, token by token, leaf by leaf.

use serde_json::json;

use super::{CONTAINER, CONTAINER_PATH, POD, POD_PATH, from_to, job, set, update, without};

#[test]
fn accepts_an_update_that_changes_nothing() {
    update().accepts();
}

#[test]
fn accepts_each_mutable_field_and_rejects_its_neighbour() {
    set("/spec/ttlSecondsAfterFinished", json!(60)).accepts();
    set("/spec/activeDeadlineSeconds", json!(60)).accepts();
    set("/spec/cleanPodPolicy", json!("Running")).accepts();
    set("/metadata/labels/app", json!("other")).accepts();
    set("/metadata/annotations", json!({"example.com/note": "x"})).accepts();
    set("/spec/ttlSecondsAfterFinishedX", json!(60)).rejects(&[("spec.ttlSecondsAfterFinishedX", " (added)")]);
    set("/spec/activeDeadlineSecond", json!(60)).rejects(&[("spec.activeDeadlineSecond", " (added)")]);
    set("/metadata/labelsX", json!({"app": "x"})).rejects(&[("metadata.labelsX", " (added)")]);
    set("/metadata/annotation", json!({"a": "x"})).rejects(&[("metadata.annotation", " (added)")]);
}

#[test]
fn accepts_a_mutable_field_of_any_type() {
    set("/spec/ttlSecondsAfterFinished", json!({"a": [1, {"b": null}]})).accepts();
    set("/metadata/labels", json!("none")).accepts();
    set("/spec/backoffLimit", json!({"a": 1})).rejects(&[("spec.backoffLimit", "")]);
}

#[test]
fn accepts_a_mutable_field_that_comes_or_goes() {
    without("/spec/ttlSecondsAfterFinished").accepts();
    without("/spec/ttlSecondsAfterFinished").backwards().accepts();
    without("/metadata/labels").accepts();
    without("/metadata/labels").backwards().accepts();
    without("/metadata/finalizers").rejects(&[("metadata.finalizers", " (removed)")]);
    without("/spec/backoffLimit").backwards().rejects(&[("spec.backoffLimit", " (added)")]);
}

#[test]
fn rejects_the_names_of_mutable_fields_in_other_places() {
    set("/spec/labels", json!({"a": "b"})).rejects(&[("spec.labels", " (added)")]);
    set("/ttlSecondsAfterFinished", json!(1)).rejects(&[("ttlSecondsAfterFinished", " (added)")]);
    set("/spec/runPolicy/ttlSecondsAfterFinished", json!(1)).rejects(&[("spec.runPolicy", " (added)")]);
    set(&format!("{POD}/metadata/labels"), json!({"a": "b"})).rejects(&[(&format!("{POD_PATH}.metadata"), " (added)")]);
    set("/spec/ttlSecondsAfterFinished", json!(1)).accepts();
}

#[test]
fn rejects_a_changed_scalar_at_its_path() {
    set("/kind", json!("TFJob")).rejects(&[("kind", "")]);
    set("/metadata/name", json!("other")).rejects(&[("metadata.name", "")]);
    set(&format!("{CONTAINER}/image"), json!("registry.example.com/mnist:v2"))
        .rejects(&[(&format!("{CONTAINER_PATH}.image"), "")]);
    set(&format!("{CONTAINER}/image"), json!("registry.example.com/mnist:v1")).accepts();
}

#[test]
fn rejects_a_changed_number_or_boolean_with_both_values() {
    set("/spec/backoffLimit", json!(3)).rejects(&[("spec.backoffLimit", " (was 1, now 3)")]);
    set("/spec/backoffLimit", json!(-1)).rejects(&[("spec.backoffLimit", " (was 1, now -1)")]);
    set(&format!("{POD}/hostNetwork"), json!(true))
        .rejects(&[(&format!("{POD_PATH}.hostNetwork"), " (was false, now true)")]);
    set("/spec/backoffLimit", json!(true)).rejects(&[("spec.backoffLimit", " (was 1, now true)")]);
    set("/spec/backoffLimit", json!("1")).rejects(&[("spec.backoffLimit", "")]);
    set("/spec/backoffLimit", json!(1)).accepts();
}

#[test]
fn rejects_an_added_or_removed_subtree_at_its_root() {
    let worker = json!({"replicas": 1, "template": {"spec": {}}});
    let added = set("/spec/pytorchReplicaSpecs/Worker", worker);
    added.rejects(&[("spec.pytorchReplicaSpecs.Worker", " (added)")]);
    added.backwards().rejects(&[("spec.pytorchReplicaSpecs.Worker", " (removed)")]);
    set("/status", json!({"startTime": "now"})).rejects(&[("status", " (added)")]);
    set("/whatever", json!({"a": {"b": 1}})).rejects(&[("whatever", " (added)")]);
    added.both("/spec/pytorchReplicaSpecs/Worker", json!({"replicas": 1})).accepts();
}

#[test]
fn rejects_a_changed_type_at_its_path() {
    set("/spec/pytorchReplicaSpecs", json!([1])).rejects(&[("spec.pytorchReplicaSpecs", "")]);
    set("/spec/pytorchReplicaSpecs", json!("none")).rejects(&[("spec.pytorchReplicaSpecs", "")]);
    set("/metadata", json!("none")).rejects(&[("metadata", "")]);
    set("/spec/backoffLimit", json!([1])).rejects(&[("spec.backoffLimit", "")]);
    set("/spec", json!([])).rejects(&[("spec.backoffLimit", " (removed)"), ("spec.pytorchReplicaSpecs", " (removed)")]);
    set("/spec", job()["spec"].clone()).accepts();
}

#[test]
fn counts_a_replaced_parent_leaf_by_leaf() {
    let mut spec = job()["spec"].clone();
    spec["ttlSecondsAfterFinished"] = json!(1);
    spec["cleanPodPolicy"] = json!("All");
    set("/spec", spec.clone()).accepts();
    spec["backoffLimit"] = json!(2);
    set("/spec", spec).rejects(&[("spec.backoffLimit", " (was 1, now 2)")]);
}

#[test]
fn rejects_a_removed_parent_of_mutable_fields_child_by_child() {
    without("/spec").rejects(&[("spec.backoffLimit", " (removed)"), ("spec.pytorchReplicaSpecs", " (removed)")]);
    without("/spec")
        .backwards()
        .rejects(&[("spec.backoffLimit", " (added)"), ("spec.pytorchReplicaSpecs", " (added)")]);
    without("/metadata").rejects(&[
        ("metadata.finalizers", " (removed)"),
        ("metadata.name", " (removed)"),
        ("metadata.namespace", " (removed)"),
        ("metadata.uid", " (removed)"),
    ]);
    without("/metadata/labels").accepts();
}

#[test]
fn rejects_a_removed_parent_without_mutable_fields_as_one() {
    let spec = json!({"backoffLimit": 1, "pytorchReplicaSpecs": {}});
    without("/spec").was("/spec", spec.clone()).rejects(&[("spec", " (removed)")]);
    without("/spec").was("/spec", json!({"ttlSecondsAfterFinished": null, "a": 1})).rejects(&[("spec", " (removed)")]);
    without("/spec").was("/spec", json!(null)).accepts();
}

#[test]
fn rejects_a_removed_parent_of_mutable_fields_only() {
    from_to("/spec", json!({"ttlSecondsAfterFinished": 1}), json!(null)).rejects(&[("spec", " (removed)")]);
    from_to("/spec", json!(null), json!({"ttlSecondsAfterFinished": 1})).rejects(&[("spec", " (added)")]);
    from_to("/spec", json!({"ttlSecondsAfterFinished": 1}), json!({})).accepts();
    from_to("/metadata", json!({"labels": {"a": "b"}}), json!(null)).rejects(&[("metadata", " (removed)")]);
    from_to("/metadata", json!({"labels": {"a": "b"}}), json!({})).accepts();
}

#[test]
fn reports_every_violation_sorted() {
    set("/spec/backoffLimit", json!(9))
        .now("/metadata/name", json!("other"))
        .now("/aaa", json!(1))
        .now(&format!("{CONTAINER}/image"), json!("x"))
        .now("/spec/ttlSecondsAfterFinished", json!(1))
        .rejects(&[
            ("aaa", " (added)"),
            ("metadata.name", ""),
            ("spec.backoffLimit", " (was 1, now 9)"),
            (&format!("{CONTAINER_PATH}.image"), ""),
        ]);
}
