//! The five fields that a running job may change, and every way in which users change them.

use serde_json::{Value, json};
use support::example_job;

use crate::{
    cluster::{Clusters, Job},
    run::Run,
    tests_of_every_version,
};

tests_of_every_version![
    accepts_each_field_by_merge_patch,
    accepts_each_field_by_json_patch,
    accepts_each_field_by_apply,
    accepts_each_field_by_server_side_apply,
    accepts_each_field_by_replace,
    accepts_each_field_by_edit,
    accepts_labels_by_label,
    accepts_annotations_by_annotate,
    accepts_all_fields_at_once,
    accepts_the_removal_of_each_field,
    accepts_the_removal_of_all_labels_and_annotations,
    accepts_the_documented_example_by_replace,
];

/// Each field as a JSON pointer, and what it becomes.
fn fields() -> [(&'static str, Value); 5] {
    [
        ("/metadata/labels/app", json!("other")),
        ("/metadata/annotations/note", json!("changed")),
        ("/spec/activeDeadlineSeconds", json!(600)),
        ("/spec/ttlSecondsAfterFinished", json!(60)),
        ("/spec/cleanPodPolicy", json!("All")),
    ]
}

/// An object with nothing but this field.
fn nested(pointer: &str, value: &Value) -> Value {
    pointer.rsplit('/').filter(|key| !key.is_empty()).fold(value.clone(), |inner, key| json!({key: inner}))
}

/// Adds `part` to `whole`, field by field.
fn merge(whole: &mut Value, part: &Value) {
    let Some(part) = part.as_object() else {
        *whole = part.clone();
        return;
    };
    for (key, value) in part {
        merge(&mut whole[key], value);
    }
}

/// An object without what the API server and kubectl write beside a change, and without that change.
fn but_for(object: &Value, pointer: &str) -> Value {
    let mut object = object.clone();
    let written_beside = ["/metadata/managedFields", "/metadata/generation", "/metadata/resourceVersion"];
    let last_applied = "/metadata/annotations/kubectl.kubernetes.io~1last-applied-configuration";
    for path in written_beside.into_iter().chain([last_applied, pointer]) {
        let (parent, key) = path.rsplit_once('/').expect("a JSON pointer has a slash");
        if let Some(parent) = object.pointer_mut(parent).and_then(Value::as_object_mut) {
            parent.remove(&key.replace("~1", "/"));
        }
    }
    object
}

/// Shows for each of the fields that an attempt to change it is accepted, and changes it and nothing else.
fn accepts_each_field(clusters: &Clusters, attempt: impl Fn(&Job, &str, &Value) -> Run) {
    let job = clusters.cci().job();
    for (pointer, value) in fields() {
        let before = job.stored();
        let after = job.accepts(|| attempt(&job, pointer, &value));
        assert_eq!(after.pointer(pointer), Some(&value));
        assert_eq!(but_for(&after, pointer), but_for(&before, pointer), "nothing but {pointer} changes");
    }
}

fn accepts_each_field_by_merge_patch(clusters: &Clusters) {
    accepts_each_field(clusters, |job, pointer, value| job.patch(&nested(pointer, value)));
}

fn accepts_each_field_by_json_patch(clusters: &Clusters) {
    accepts_each_field(clusters, |job, pointer, value| {
        job.patch(&json!([{"op": "add", "path": pointer, "value": value}]))
    });
}

fn accepts_each_field_by_apply(clusters: &Clusters) {
    // What was applied before is named again, or apply would take it out.
    let manifest = std::cell::RefCell::new(example_job());
    accepts_each_field(clusters, |job, pointer, value| {
        merge(&mut manifest.borrow_mut(), &nested(pointer, value));
        job.with_file(&["apply"], &manifest.borrow())
    });
}

fn accepts_each_field_by_server_side_apply(clusters: &Clusters) {
    let manifest = std::cell::RefCell::new(example_job());
    accepts_each_field(clusters, |job, pointer, value| {
        merge(&mut manifest.borrow_mut(), &nested(pointer, value));
        // The fields belong to whoever created the job.
        job.with_file(&["apply", "--server-side", "--force-conflicts"], &manifest.borrow())
    });
}

fn accepts_each_field_by_replace(clusters: &Clusters) {
    accepts_each_field(clusters, |job, pointer, value| {
        let mut object = job.stored();
        merge(&mut object, &nested(pointer, value));
        job.with_file(&["replace"], &object)
    });
}

fn accepts_each_field_by_edit(clusters: &Clusters) {
    accepts_each_field(clusters, |job, pointer, value| {
        let edit = match pointer.rsplit('/').next() {
            Some("app") => r"s/^    app: test$/    app: other/",
            Some("note") => "s/^  annotations:$/&\\\n    note: changed/",
            Some("activeDeadlineSeconds") => "s/^spec:$/&\\\n  activeDeadlineSeconds: 600/",
            Some("ttlSecondsAfterFinished") => r"s/^  ttlSecondsAfterFinished: 3000$/  ttlSecondsAfterFinished: 60/",
            Some("cleanPodPolicy") => "s/^spec:$/&\\\n  cleanPodPolicy: All/",
            _ => panic!("no edit is known that makes {pointer} {value}"),
        };
        crate::edit::edit(job, &[edit]).0
    });
}

fn accepts_labels_by_label(clusters: &Clusters) {
    let job = clusters.cci().job();
    let stored = job.accepts(|| job.kubectl(&["label", "pytorchjob", "pytorch-test", "team=vision"]));
    assert_eq!(stored["metadata"]["labels"], json!({"app": "test", "team": "vision"}));
    let stored = job.accepts(|| job.kubectl(&["label", "--overwrite", "pytorchjob", "pytorch-test", "team=text"]));
    assert_eq!(stored["metadata"]["labels"], json!({"app": "test", "team": "text"}));
    let stored = job.accepts(|| job.kubectl(&["label", "pytorchjob", "pytorch-test", "team-"]));
    assert_eq!(stored["metadata"]["labels"], json!({"app": "test"}));
}

fn accepts_annotations_by_annotate(clusters: &Clusters) {
    let job = clusters.cci().job();
    let note = "/metadata/annotations/example.com~1note";
    let stored = job.accepts(|| job.kubectl(&["annotate", "pytorchjob", "pytorch-test", "example.com/note=slow"]));
    assert_eq!(stored.pointer(note), Some(&json!("slow")));
    let stored = job.accepts(|| job.kubectl(&["annotate", "pytorchjob", "pytorch-test", "example.com/note-"]));
    assert_eq!(stored.pointer(note), None);
}

fn accepts_all_fields_at_once(clusters: &Clusters) {
    let job = clusters.cci().job();
    let mut patch = json!({});
    for (pointer, value) in fields() {
        merge(&mut patch, &nested(pointer, &value));
    }
    let stored = job.accepts(|| job.patch(&patch));
    for (pointer, value) in fields() {
        assert_eq!(stored.pointer(pointer), Some(&value));
    }
}

fn accepts_the_removal_of_each_field(clusters: &Clusters) {
    let job = clusters.cci().job_with(|job| {
        for (pointer, value) in fields() {
            merge(job, &nested(pointer, &value));
        }
    });
    for (pointer, _) in fields() {
        let stored = job.accepts(|| job.patch(&json!([{"op": "remove", "path": pointer}])));
        assert_eq!(stored.pointer(pointer), None);
    }
}

fn accepts_the_removal_of_all_labels_and_annotations(clusters: &Clusters) {
    let job = clusters.cci().job();
    let stored = job.accepts(|| job.patch(&json!({"metadata": {"labels": null, "annotations": null}})));
    assert_eq!((stored["metadata"].get("labels"), stored["metadata"].get("annotations")), (None, None));
}

/// The request in the API's documentation: the whole object as it was read, status included, with another
/// `ttlSecondsAfterFinished`. The same request with anything else changed is refused.
fn accepts_the_documented_example_by_replace(clusters: &Clusters) {
    let job = clusters.cci().job();
    let status = json!({"conditions": [{"type": "Created", "status": "True"}], "replicaStatuses": {"Master": {}}});
    let patch = json!({"status": status}).to_string();
    job.kubectl(&["patch", "pytorchjob", "pytorch-test", "--subresource=status", "--type=merge", "--patch", &patch])
        .accepted();
    let mut request = job.stored();
    request["metadata"]["selfLink"] = json!("/apis/kubeflow.org/v1/namespaces/kube-test/pytorchjobs/pytorch-test");

    for (pointer, value, violation) in [
        ("/spec/backoffLimit", json!(3), ("spec.backoffLimit", "(added)")),
        (
            "/spec/pytorchReplicaSpecs/Worker/replicas",
            json!(2),
            ("spec.pytorchReplicaSpecs.Worker.replicas", "(was 1, now 2)"),
        ),
        (
            "/spec/pytorchReplicaSpecs/Worker/restartPolicy",
            json!("Always"),
            ("spec.pytorchReplicaSpecs.Worker.restartPolicy", ""),
        ),
    ] {
        let mut forbidden = request.clone();
        merge(&mut forbidden, &nested(pointer, &value));
        job.rejects(&[violation], || job.with_file(&["replace"], &forbidden));
    }

    request["spec"]["ttlSecondsAfterFinished"] = json!(6000);
    let stored = job.accepts(|| job.with_file(&["replace"], &request));
    assert_eq!(stored["spec"]["ttlSecondsAfterFinished"], 6000);
    assert_eq!(stored["status"], status);
}
