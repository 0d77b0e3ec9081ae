//! Reviews that cannot be judged: never a panic, never allowed.

use pytorchjob_guard::admission::{NotAReview, Outcome};
use serde_json::{Value, json};

use super::{job, update};
use crate::{
    review::{Review, UID, ask},
    tree::Noise,
};

/// A good review as a value to spoil.
fn review() -> Value {
    serde_json::from_str(&update().review().to_json(Noise::NONE)).expect("JSON")
}

/// The good review, with one thing in it replaced.
fn spoiled(pointer: &str, value: Value) -> Vec<u8> {
    let mut review = review();
    *review.pointer_mut(pointer).expect("it is there") = value;
    review.to_string().into_bytes()
}

#[track_caller]
fn is_refused(body: &[u8]) -> NotAReview {
    let error = ask(body).expect_err("no review");
    let text = error.to_string();
    assert!(!text.is_empty() && !text.contains('\n') && text.len() < 500, "one line of text: {text:?}");
    error
}

#[track_caller]
fn is_a_bad_request(body: &[u8]) {
    let answer = ask(body).expect("its uid can be read");
    assert_eq!(answer.outcome, Outcome::BadRequest);
    assert!(!answer.allowed());
    assert_eq!(answer.json["response"]["uid"], UID);
    assert_eq!(answer.status()["code"], 400);
    assert_eq!(answer.status()["reason"], "BadRequest");
    assert_eq!(answer.status()["status"], "Failure");
    assert!(!answer.status()["message"].as_str().expect("a message").is_empty());
}

#[test]
fn accepts_the_review_the_others_are_made_from() {
    assert!(ask(review().to_string().as_bytes()).expect("a review").allowed());
}

#[test]
fn refuses_what_is_no_json() {
    for body in ["", " ", "{", "nul", "{]", "\u{feff}{}", "apiVersion: admission.k8s.io/v1", "{\"a\":1,}", "{'a':1}"] {
        is_refused(body.as_bytes());
    }
    is_refused(b"\xff\xfe");
    let good = review().to_string();
    is_refused(format!("{good}{good}").as_bytes());
    is_refused(format!("{good},").as_bytes());
    assert!(ask(format!(" \n{good}\r\n\t").as_bytes()).expect("a review").allowed());
}

#[test]
fn refuses_what_is_no_admission_review() {
    for body in ["null", "1", "\"x\"", "[]", "{}", "[{}]"] {
        is_refused(body.as_bytes());
    }
    is_refused(&spoiled("/kind", json!("Pod")));
    is_refused(&spoiled("/kind", json!("admissionreview")));
    is_refused(&spoiled("/kind", json!(null)));
    is_refused(&spoiled("/apiVersion", json!("admission.k8s.io/v2")));
    is_refused(&spoiled("/apiVersion", json!("v1")));
    is_refused(&spoiled("/apiVersion", json!(1)));
    is_refused(job().to_string().as_bytes());
}

#[test]
fn refuses_a_review_without_a_request_or_a_uid() {
    for request in [json!(null), json!([]), json!("x"), json!({})] {
        is_refused(&spoiled("/request", request));
    }
    for uid in [json!(null), json!(""), json!(1), json!({"a": 1})] {
        is_refused(&spoiled("/request/uid", uid));
    }
}

#[test]
fn rejects_an_update_without_an_object_with_code_400() {
    is_a_bad_request(&spoiled("/request/object", json!(null)));
    is_a_bad_request(&spoiled("/request/oldObject", json!(null)));
    let mut none = review();
    let request = none["request"].as_object_mut().expect("a map");
    request.remove("object");
    is_a_bad_request(none.to_string().as_bytes());
    none["request"].as_object_mut().expect("a map").remove("oldObject");
    is_a_bad_request(none.to_string().as_bytes());
}

#[test]
fn rejects_an_update_of_something_that_is_no_object() {
    for value in [json!(1), json!("x"), json!([]), json!([{}]), json!(true)] {
        is_a_bad_request(&spoiled("/request/object", value.clone()));
        is_a_bad_request(&spoiled("/request/oldObject", value.clone()));
        let mut both = review();
        both["request"]["object"] = value.clone();
        both["request"]["oldObject"] = value;
        is_a_bad_request(both.to_string().as_bytes());
    }
    assert!(ask(&spoiled("/request/name", json!("other"))).expect("a review").allowed());
}

#[test]
fn rejects_a_request_of_wrong_types_with_code_400() {
    for (pointer, value) in [
        ("/request/operation", json!(1)),
        ("/request/operation", json!(null)),
        ("/request/operation", json!("")),
        ("/request/resource", json!("pytorchjobs")),
        ("/request/resource", json!(null)),
        ("/request/resource/resource", json!(7)),
        ("/request/userInfo", json!([1])),
        ("/request/userInfo/username", json!({})),
    ] {
        let answer = ask(&spoiled(pointer, value.clone()));
        let allowed = answer.is_ok_and(|answer| answer.allowed());
        assert!(!allowed, "{pointer}: {value}");
    }
}

#[test]
fn rejects_what_is_no_utf8() {
    let good = Review::to_json(&update().review(), Noise::NONE);
    for (old, new) in [("alice", "al\u{0}ce"), ("gloo", "gl\u{0}o")] {
        let body: Vec<u8> = good.replace(old, new).bytes().map(|byte| if byte == 0 { 0xff } else { byte }).collect();
        assert!(!ask(&body).is_ok_and(|answer| answer.allowed()), "{old}");
    }
}

#[test]
fn refuses_what_is_nested_deeper_than_an_api_server_reads() {
    let nested = |depth: usize| {
        let deep = ["[".repeat(depth), "]".repeat(depth)].concat();
        review().to_string().replacen("\"object\":{", &format!("\"extra\":{deep},\"object\":{{"), 1)
    };
    let error = is_refused(nested(10_001).as_bytes());
    assert_eq!(error.to_string(), "the body is not JSON: it is nested too deep");
    assert!(ask(nested(9_000).as_bytes()).expect("a review").allowed());
}

#[test]
fn rejects_a_key_that_comes_again() {
    let good = Review::to_json(&update().review(), Noise::NONE);
    for again in [r#""backoffLimit":null"#, r#""backoffLimit":2"#, r#""backoff\u004cimit":[]"#, r#""backoffLimit":{}"#]
    {
        let twice = format!("\"backoffLimit\":1,{again}");
        let (first, last) = (good.find("\"backoffLimit\":1"), good.rfind("\"backoffLimit\":1"));
        for at in [first.expect("it is there"), last.expect("it is there")] {
            let body = format!("{}{twice}{}", &good[..at], &good[at + "\"backoffLimit\":1".len()..]);
            let answer = ask(body.as_bytes()).expect("a review");
            assert_eq!(answer.violations, ["spec.backoffLimit"], "{again}");
        }
    }
}

#[test]
fn of_a_spec_that_comes_twice_in_a_scale_the_last_one_counts() {
    let review = |new: &str| {
        format!(
            r#"{{"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {{
                "uid": "{UID}", "operation": "UPDATE", "name": "mnist", "subResource": "scale",
                "kind": {{"group": "autoscaling", "version": "v1", "kind": "Scale"}},
                "resource": {{"group": "kubeflow.org", "version": "v1", "resource": "pytorchjobs"}},
                "oldObject": {{"spec": {{"replicas": 1}}}}, "object": {new}
            }}}}"#
        )
    };
    let scaled = review(r#"{"spec": {"replicas": 1}, "spec": {"replicas": 3}}"#);
    assert_eq!(ask(scaled.as_bytes()).expect("a review").violations, ["spec.replicas"]);
    let same = review(r#"{"spec": {"replicas": 3}, "spec": {"replicas": 1}}"#);
    assert!(ask(same.as_bytes()).expect("a review").allowed());
}

#[test]
fn rejects_broken_json_in_objects_that_are_equal() {
    let good = Review::to_json(&update().review(), Noise::NONE);
    for broken in
        ["[1,]", "{\"a\":}", "{\"a\" 1}", "01", "1.", "+1", "tru", "\"\\x\"", "\"\n\"", "{1:2}", "[1 2]", "NaN"]
    {
        let body = good.replace("\"backoffLimit\":1", &format!("\"backoffLimit\":{broken}"));
        assert_ne!(body, good);
        assert!(!ask(body.as_bytes()).is_ok_and(|answer| answer.allowed()), "{broken}");
    }
}
