//! Policies other than the default one.

use pytorchjob_guard::{admission::Outcome, policy::Policy};
use serde_json::{Value, json};

use super::{CONTAINER, Update, from_to, set, without};
use crate::{
    review::{Answered, ask_policy},
    tree::Noise,
};

mod actions;
mod elements;
mod exemptions;
mod fields;
mod resources;

/// A policy with three fields that may change.
const POLICY: &str = "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: own\n\
                      resources: [{group: kubeflow.org, resource: pytorchjobs}]\n\
                      mutableFields: [metadata.labels, metadata.annotations, spec.ttlSecondsAfterFinished]\n";

/// That policy, and these lines of YAML.
fn policy(lines: &str) -> Policy {
    Policy::parse(&format!("{POLICY}{lines}")).expect("a policy")
}

/// A policy with these lines, and without fields that may change.
fn parse(lines: &str) -> Policy {
    let (head, _) = POLICY.split_once("mutableFields").expect("the fields");
    Policy::parse(&format!("{head}{lines}")).expect("a policy")
}

fn answer(update: &Update, policy: &Policy) -> Answered {
    ask_text(&update.review().to_json(Noise::NONE), policy)
}

fn ask_text(review: &str, policy: &Policy) -> Answered {
    ask_policy(review.as_bytes(), policy).expect("a review")
}

/// The answer to this user of these groups.
fn ask_as(update: &Update, user: &str, groups: &[&str], policy: &Policy) -> Answered {
    let mut review: Value = serde_json::from_str(&update.review().to_json(Noise::NONE)).expect("JSON");
    review["request"]["userInfo"] = json!({"username": user, "groups": groups});
    ask_text(&review.to_string(), policy)
}

#[track_caller]
fn accepts(update: &Update, policy: &Policy) {
    let answer = answer(update, policy);
    assert_eq!((answer.outcome, &answer.violations[..]), (Outcome::Allowed, &[][..]));
}

/// Refuses for exactly these fields.
#[track_caller]
fn rejects(update: &Update, policy: &Policy, fields: &[&str]) {
    let answer = answer(update, policy);
    assert_eq!(answer.outcome, Outcome::Denied);
    assert_eq!((&answer.status()["code"], &answer.status()["reason"]), (&json!(422), &json!("Invalid")));
    let causes = answer.status()["details"]["causes"].as_array().expect("causes");
    let named: Vec<&str> = causes.iter().filter_map(|cause| cause["field"].as_str()).collect();
    assert_eq!(
        (&named[..], &answer.violations[..]),
        (fields, &named.iter().map(|&field| field.to_owned()).collect::<Vec<_>>()[..])
    );
}

#[test]
fn the_most_specific_path_wins() {
    let policy = policy("immutableFields: ['metadata.labels[kueue.x-k8s.io/queue-name]']");
    let queue = "/metadata/labels/kueue.x-k8s.io~1queue-name";
    let path = "metadata.labels[kueue.x-k8s.io/queue-name]";
    let queued = |update: Update| update.was(queue, json!("a"));
    for (update, violations) in [
        (set("/metadata/labels/app", json!("x")), &[][..]),
        (queued(set(queue, json!("a"))), &[]),
        (queued(set(queue, json!("b"))), &[path]),
        (queued(set("/metadata/labels/app", json!("x"))), &[path]),
        (set(queue, json!("a")), &[path]),
        (queued(without("/metadata/labels")), &[path]),
        (without("/metadata/labels"), &[]),
        (queued(set("/metadata/labels", json!("none"))), &["metadata.labels"]),
    ] {
        assert_eq!(answer(&update, &policy).violations, violations, "{}", update.new["metadata"]);
    }
}

#[test]
fn strict_equality_compares_json_values() {
    let (semantic, strict) = (policy("equality: Semantic"), policy("equality: Strict"));
    for update in [
        set("/spec/extra", json!(null)),
        set("/spec/extra", json!([])),
        set("/spec/runPolicy", json!({})),
        set(&format!("{CONTAINER}/resources/limits/cpu"), json!("2")),
        set(&format!("{CONTAINER}/resources/limits/memory"), json!("4096Mi")),
        from_to("/spec/extra", json!(null), json!([])),
        set("/spec/backoffLimit", json!(1.0)),
    ] {
        assert!(answer(&update, &semantic).allowed(), "{}", update.new["spec"]);
        assert_eq!(answer(&update, &strict).violations.len(), 1, "{}", update.new["spec"]);
    }
    assert!(answer(&set("/spec/ttlSecondsAfterFinished", json!(null)), &strict).allowed());
}

#[test]
fn a_denial_with_403_has_the_same_causes_without_immutable() {
    let update = set("/spec/backoffLimit", json!(3)).now(&format!("{CONTAINER}/image"), json!("x"));
    let invalid = answer(&update, &policy(""));
    let forbidden = answer(&update, &policy("denial: {reason: Forbidden}"));
    assert_eq!((invalid.outcome, forbidden.outcome), (Outcome::Denied, Outcome::Denied));
    assert_eq!((&invalid.status()["code"], &invalid.status()["reason"]), (&json!(422), &json!("Invalid")));
    assert_eq!((&forbidden.status()["code"], &forbidden.status()["reason"]), (&json!(403), &json!("Forbidden")));
    assert_eq!(forbidden.violations, invalid.violations);
    let fields = |answer: &Answered| -> Vec<Value> {
        let causes = answer.status()["details"]["causes"].as_array().expect("causes");
        causes.iter().map(|cause| json!([cause["reason"], cause["field"]])).collect()
    };
    assert_eq!(fields(&forbidden), fields(&invalid));
    assert!(!forbidden.text.contains("immutable") && invalid.text.contains("immutable"), "{}", forbidden.text);
    assert!(forbidden.causes()["spec.backoffLimit"].ends_with(" (was 1, now 3)"));
}

#[test]
fn the_answer_names_the_policy_and_its_fields() {
    let answer = answer(&set("/spec/backoffLimit", json!(3)), &policy(""));
    assert_eq!(answer.json["response"]["auditAnnotations"]["policy"], "own");
    let warning = answer.json["response"]["warnings"][0].as_str().expect("a warning").to_owned();
    assert!(warning.contains("spec.ttlSecondsAfterFinished") && !warning.contains("cleanPodPolicy"), "{warning}");
}
