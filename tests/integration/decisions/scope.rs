//! Which reviews are judged at all, scales, and the exemptions that keep deletion alive.

use pytorchjob_guard::admission::Outcome;
use serde_json::json;

use super::{Update, from_to, set, update, without};
use crate::{reference::COLLECTORS, review::Review, tree::Tree};

fn scale(old: u64, new: u64) -> Update {
    let scale = |replicas: u64| {
        json!({
            "apiVersion": "autoscaling/v1", "kind": "Scale",
            "metadata": {"name": "mnist", "namespace": "team-a", "resourceVersion": "1"},
            "spec": {"replicas": replicas}, "status": {"replicas": 1, "selector": "a=b"},
        })
    };
    Update { old: scale(old), new: scale(new), ..update() }.of("scale")
}

#[test]
fn accepts_operations_other_than_update() {
    for operation in ["CREATE", "DELETE", "CONNECT"] {
        let review = Review { operation, ..set("/spec/backoffLimit", json!(2)).review() };
        let answer = review.ask();
        assert_eq!((answer.outcome, answer.allowed()), (Outcome::Allowed, true), "{operation}");
        let answer = Review { old: None, ..review.clone() }.ask();
        assert!(answer.allowed(), "{operation} has no old object");
        let answer = Review { new: None, ..review }.ask();
        assert!(answer.allowed(), "{operation} has no object");
    }
    set("/spec/backoffLimit", json!(2)).rejects(&[("spec.backoffLimit", " (was 1, now 2)")]);
}

#[test]
fn accepts_a_status_update() {
    set("/status", json!({"startTime": "now"})).of("status").accepts();
    set("/status", json!({"startTime": "now"})).rejects(&[("status", " (added)")]);
}

#[test]
fn accepts_resources_that_the_policy_does_not_list() {
    for resource in [("kubeflow.org", "tfjobs"), ("example.com", "pytorchjobs"), ("", "pods"), ("apps", "deployments")]
    {
        let answer = Review { resource, ..set("/spec/backoffLimit", json!(2)).review() }.ask();
        assert_eq!((answer.outcome, answer.allowed()), (Outcome::NotApplicable, true), "{resource:?}");
        let answer = Review { resource, subresource: "scale", ..set("/spec/backoffLimit", json!(2)).review() }.ask();
        assert_eq!(answer.outcome, Outcome::NotApplicable, "the scale of {resource:?}");
    }
    set("/spec/backoffLimit", json!(2)).rejects(&[("spec.backoffLimit", " (was 1, now 2)")]);
}

#[test]
fn rejects_a_changed_scale() {
    scale(1, 3).rejects(&[("spec.replicas", " (was 1, now 3)")]);
    scale(1, 1).accepts();
    let scaled = scale(1, 3).review().ask();
    let details = &scaled.status()["details"];
    assert_eq!((&details["name"], &details["group"]), (&json!("mnist"), &json!("kubeflow.org")));
    assert_eq!(details["kind"], "PyTorchJob", "the object that is protected, as kubectl scale names it");
}

#[test]
fn rejects_a_scale_to_nothing() {
    scale(1, 0).now("/spec", json!({})).rejects(&[("spec.replicas", " (removed)")]);
    scale(1, 0).now("/spec", json!(null)).rejects(&[("spec", " (removed)")]);
    scale(1, 1).now("/spec/replicas", json!(1.0)).accepts();
}

#[test]
fn mutable_fields_of_a_job_are_none_of_its_scale() {
    scale(1, 1).now("/spec/ttlSecondsAfterFinished", json!(1)).rejects(&[("spec.ttlSecondsAfterFinished", " (added)")]);
    scale(1, 1).now("/metadata/labels", json!({"a": "b"})).accepts();
}

#[test]
fn only_the_spec_of_a_scale_counts() {
    scale(1, 1).now("/metadata/name", json!("other")).now("/status", json!(null)).accepts();
    scale(1, 2).by(COLLECTORS[0]).rejects(&[("spec.replicas", " (was 1, now 2)")]);
}

#[test]
fn the_garbage_collector_changes_finalizers_and_owners_only() {
    let owners = json!([{"apiVersion": "v1", "kind": "Workflow", "name": "w", "uid": "1"}]);
    for user in COLLECTORS {
        set("/metadata/finalizers", json!(["foregroundDeletion"])).by(user).accepts();
        without("/metadata/finalizers").by(user).accepts();
        from_to("/metadata/ownerReferences", owners.clone(), json!(null)).by(user).accepts();
        set("/metadata/labels", json!({})).by(user).accepts();
        without("/metadata/finalizers")
            .now("/spec/backoffLimit", json!(2))
            .by(user)
            .rejects(&[("spec.backoffLimit", " (was 1, now 2)")]);
        set("/metadata/finalizersX", json!(["a"])).by(user).rejects(&[("metadata.finalizersX", " (added)")]);
    }
    for user in ["alice", "system:serviceaccount:kube-system:generic-garbage-collector2", "system:masters", ""] {
        without("/metadata/finalizers").by(user).rejects(&[("metadata.finalizers", " (removed)")]);
        from_to("/metadata/ownerReferences", owners.clone(), json!(null))
            .by(user)
            .rejects(&[("metadata.ownerReferences", " (removed)")]);
    }
}

#[test]
fn anyone_changes_the_finalizers_of_a_job_that_is_being_deleted() {
    let deleting = |update: Update| update.both("/metadata/deletionTimestamp", json!("2019-07-24T10:35:38Z"));
    deleting(without("/metadata/finalizers")).accepts();
    deleting(set("/metadata/finalizers", json!(["example.com/other"]))).accepts();
    deleting(set("/metadata/ownerReferences", json!([{"name": "w"}])))
        .rejects(&[("metadata.ownerReferences", " (added)")]);
    deleting(set("/spec/backoffLimit", json!(2))).rejects(&[("spec.backoffLimit", " (was 1, now 2)")]);
    without("/metadata/finalizers").rejects(&[("metadata.finalizers", " (removed)")]);
}

#[test]
fn a_job_is_being_deleted_when_the_old_object_says_so() {
    let timestamp = json!("2019-07-24T10:35:38Z");
    without("/metadata/finalizers")
        .now("/metadata/deletionTimestamp", timestamp.clone())
        .rejects(&[("metadata.deletionTimestamp", " (added)"), ("metadata.finalizers", " (removed)")]);
    without("/metadata/finalizers")
        .both("/metadata/deletionTimestamp", json!(null))
        .rejects(&[("metadata.finalizers", " (removed)")]);
    without("/metadata/finalizers")
        .was("/metadata/deletionTimestamp", timestamp)
        .rejects(&[("metadata.deletionTimestamp", " (removed)")]);
}

#[test]
fn the_order_of_the_objects_in_the_review_means_nothing() {
    let update = set("/spec/backoffLimit", json!(3));
    let (old, new): (Tree, Tree) = (update.old.clone().into(), update.new.clone().into());
    let answer = Review::update(new, old).ask();
    assert_eq!(answer.causes()["spec.backoffLimit"], "Forbidden: field is immutable (was 3, now 1)");
    update.rejects(&[("spec.backoffLimit", " (was 1, now 3)")]);
}
