//! The validationActions of a policy.

use serde_json::{Value, json};

use super::{answer, policy};
use crate::decisions::{set, update};
use pytorchjob_guard::admission::Outcome;

const PATH: &str = "spec.backoffLimit";

fn response(lines: &str) -> (Outcome, Value) {
    let answer = answer(&set("/spec/backoffLimit", json!(3)), &policy(lines));
    assert_eq!(answer.violations, [PATH], "{lines}");
    (answer.outcome, answer.json["response"].clone())
}

/// Asserts what the audit log is told.
fn audited(response: &Value) {
    let annotations = &response["auditAnnotations"];
    let digest = annotations["policy-digest"].as_str().expect("a digest");
    assert!(digest.len() == 12 && digest.bytes().all(|byte| byte.is_ascii_hexdigit()), "{digest}");
    assert_eq!(*annotations, json!({"violations": PATH, "policy": "own", "policy-digest": digest}));
}

#[test]
fn deny_denies() {
    for lines in
        ["", "validationActions: [Deny]", "validationActions: [Deny, Audit]", "validationActions: [Audit, Deny]"]
    {
        let (outcome, response) = response(lines);
        assert_eq!((outcome, &response["allowed"]), (Outcome::Denied, &json!(false)), "{lines}");
        assert_eq!((&response["status"]["code"], &response["status"]["reason"]), (&json!(422), &json!("Invalid")));
        assert_eq!(response["status"]["details"]["causes"][0]["field"], PATH);
        audited(&response);
    }
    assert!(answer(&update(), &policy("validationActions: [Deny]")).allowed());
}

#[test]
fn warn_warns_of_each_field_and_lets_it_through() {
    for lines in ["validationActions: [Warn]", "validationActions: [Warn, Audit]"] {
        let (outcome, response) = response(lines);
        assert_eq!((outcome, &response["allowed"]), (Outcome::Tolerated, &json!(true)), "{lines}");
        assert_eq!(response["status"], Value::Null);
        let warnings = response["warnings"].as_array().expect("warnings");
        assert!(warnings.iter().any(|warning| warning.as_str().is_some_and(|text| text.contains(PATH))), "{response}");
        assert_eq!(response["auditAnnotations"]["violations"], PATH);
    }
    let quiet = answer(&update(), &policy("validationActions: [Warn]"));
    assert_eq!((quiet.outcome, &quiet.json["response"]["warnings"]), (Outcome::Allowed, &Value::Null));
}

#[test]
fn audit_is_silent_to_the_user() {
    let (outcome, response) = response("validationActions: [Audit]");
    assert_eq!((outcome, &response["allowed"]), (Outcome::Tolerated, &json!(true)));
    assert_eq!((&response["status"], &response["warnings"]), (&Value::Null, &Value::Null));
    audited(&response);
    let quiet = answer(&update(), &policy("validationActions: [Audit]"));
    assert_eq!(quiet.json["response"]["auditAnnotations"], Value::Null);
}
