//! The text of a denial, word for word.

use insta::assert_snapshot;
use pytorchjob_guard::policy::Policy;
use serde_json::json;

use super::{CONTAINER, POD, job, set, update};
use crate::{review::Review, tree::Tree};

fn pretty(review: &Review) -> String {
    let mut answer = review.ask().json;
    if let Some(digest) = answer["response"].get_mut("auditAnnotations").and_then(|told| told.get_mut("policy-digest"))
    {
        *digest = "DIGEST".into();
    }
    serde_json::to_string_pretty(&answer).expect("JSON")
}

#[test]
fn accepts_with_nothing_but_the_uid() {
    assert_snapshot!(pretty(&update().review()), @r#"
    {
      "apiVersion": "admission.k8s.io/v1",
      "kind": "AdmissionReview",
      "response": {
        "allowed": true,
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002"
      }
    }
    "#);
}

#[test]
fn rejects_one_field_as_kubernetes_does() {
    assert_snapshot!(pretty(&set("/spec/backoffLimit", json!(3)).review()), @r#"
    {
      "apiVersion": "admission.k8s.io/v1",
      "kind": "AdmissionReview",
      "response": {
        "allowed": false,
        "auditAnnotations": {
          "policy": "cci",
          "policy-digest": "DIGEST",
          "violations": "spec.backoffLimit"
        },
        "status": {
          "apiVersion": "v1",
          "code": 422,
          "details": {
            "causes": [
              {
                "field": "spec.backoffLimit",
                "message": "Forbidden: field is immutable (was 1, now 3)",
                "reason": "FieldValueForbidden"
              }
            ],
            "group": "kubeflow.org",
            "kind": "PyTorchJob",
            "name": "mnist"
          },
          "kind": "Status",
          "message": "PyTorchJob.kubeflow.org \"mnist\" is invalid: spec.backoffLimit: Forbidden: field is immutable (was 1, now 3)",
          "metadata": {},
          "reason": "Invalid",
          "status": "Failure"
        },
        "uid": "705ab4f5-6393-11e8-b7cc-42010a800002",
        "warnings": [
          "only these fields can be changed: metadata.labels, metadata.annotations, spec.activeDeadlineSeconds, spec.ttlSecondsAfterFinished, spec.cleanPodPolicy"
        ]
      }
    }
    "#);
}

#[test]
fn rejects_several_fields_as_kubernetes_does() {
    let update = set("/spec/backoffLimit", json!(3)).now(&format!("{CONTAINER}/image"), json!("secret-image"));
    let answer = update.review().ask();
    assert_eq!(
        answer.status()["message"],
        "PyTorchJob.kubeflow.org \"mnist\" is invalid: [spec.backoffLimit: Forbidden: field is immutable (was 1, now 3), \
         spec.pytorchReplicaSpecs.Master.template.spec.containers[name=\"pytorch\"].image: Forbidden: field is immutable]"
    );
    assert_eq!(
        answer.json["response"]["auditAnnotations"],
        json!({
            "policy": "cci",
            "policy-digest": Policy::builtin("cci").expect("a policy").digest(),
            "violations": "spec.backoffLimit,\
                spec.pytorchReplicaSpecs.Master.template.spec.containers[name=\"pytorch\"].image",
        })
    );
    update.clone().now("/spec", job()["spec"].clone()).accepts();
}

#[test]
fn warns_of_what_can_be_changed() {
    let answer = set("/spec/backoffLimit", json!(3)).review().ask();
    let warnings = answer.json["response"]["warnings"].as_array().expect("warnings").clone();
    let [warning] = &warnings[..] else { panic!("one line: {warnings:?}") };
    let warning = warning.as_str().expect("a line");
    for field in [
        "metadata.labels",
        "metadata.annotations",
        "spec.activeDeadlineSeconds",
        "spec.ttlSecondsAfterFinished",
        "spec.cleanPodPolicy",
    ] {
        assert!(warning.contains(field), "{warning}");
    }
    assert!(warning.len() <= 256 && !warning.contains('\n'), "kubectl shows it whole: {warning}");
    assert!(update().review().ask().json["response"]["warnings"].is_null());
}

#[test]
fn answers_in_the_version_it_was_asked_in() {
    for api_version in ["admission.k8s.io/v1", "admission.k8s.io/v1beta1"] {
        let denied = Review { api_version, ..set("/spec/backoffLimit", json!(3)).review() }.ask();
        assert_eq!((denied.allowed(), &denied.json["apiVersion"]), (false, &json!(api_version)));
        let allowed = Review { api_version, ..update().review() }.ask();
        assert_eq!((allowed.allowed(), &allowed.json["apiVersion"]), (true, &json!(api_version)));
    }
}

/// A job whose spec has as many unknown fields as that, all numbers.
fn wide(fields: usize, value: u64) -> Tree {
    Tree::map([("spec", Tree::map((0..fields).map(|index| (format!("f{index:03}"), Tree::Number(value.to_string())))))])
}

#[test]
fn lists_up_to_32_causes_and_then_says_how_many_more() {
    let answer = Review::update(wide(32, 1), wide(32, 2)).ask();
    assert_eq!(answer.causes().len(), 32);
    assert_eq!(answer.causes().keys().last().expect("the last"), "spec.f031");
    for (fields, more) in [(33, "1 more"), (100, "68 more")] {
        let answer = Review::update(wide(fields, 1), wide(fields, 2)).ask();
        let causes = answer.status()["details"]["causes"].as_array().expect("causes").clone();
        assert_eq!(causes.len(), 33);
        assert_eq!(causes[31]["field"], "spec.f031");
        assert!(causes[32]["message"].as_str().expect("a message").contains(more), "{}", causes[32]);
        assert_eq!(answer.violations.len(), fields, "the decision knows them all");
    }
}

#[test]
fn audit_annotations_are_at_most_a_kibibyte() {
    let answer = Review::update(wide(500, 1), wide(500, 2)).ask();
    let violations = answer.json["response"]["auditAnnotations"]["violations"].as_str().expect("violations");
    assert!(violations.len() <= 1024 && violations.len() > 900, "{} bytes", violations.len());
    assert!(violations.starts_with("spec.f000,spec.f001,"), "{violations}");
}

#[test]
fn stays_short_for_long_keys_and_many_fields() {
    for (length, count) in [(100, 100), (1_000, 50), (100_000, 1)] {
        for filler in ["k", "\"", "\u{1}", "é", "\u{10ffff}", "."] {
            let spec = |value: u64| {
                let key = |index: usize| format!("{index}{}", filler.repeat(length / filler.len()));
                Tree::map((0..count).map(|index| (key(index), Tree::Number(value.to_string()))))
            };
            let update = Review::update(Tree::map([("spec", spec(1))]), Tree::map([("spec", spec(2))]));
            let answer = update.ask();
            assert!(!answer.allowed());
            assert_eq!(answer.status()["code"], 422);
            assert!(!answer.causes().is_empty(), "what there is room for is named");
        }
    }
}

#[test]
fn stays_short_for_long_numbers() {
    let number = |last: &str| Tree::map([("spec", Tree::map([("n", Tree::Number("1".repeat(100_000) + last))]))]);
    let answer = Review::update(number("1"), number("2")).ask();
    assert_eq!(answer.violations, ["spec.n"]);
    assert!(Review::update(number("1"), number("1")).ask().allowed());
}

#[test]
fn never_shows_a_string_of_the_objects() {
    let env = json!([{"name": "TOKEN", "value": "hunter2hunter2"}]);
    let answer = set(&format!("{CONTAINER}/env"), env.clone())
        .now(&format!("{CONTAINER}/args"), json!(["--password=hunter2hunter2"]))
        .now(&format!("{POD}/hostNetwork"), json!("hunter2hunter2"))
        .now("/spec/backoffLimit", json!("hunter2hunter2"))
        .now("/metadata/uid", json!("hunter2hunter2"))
        .review()
        .ask();
    assert_eq!(answer.violations.len(), 7, "{:?}", answer.violations);
    assert!(!answer.text.contains("hunter2"), "{}", answer.text);
    assert!(!answer.text.contains("gloo"), "{}", answer.text);
}
