//! Several resources under one policy.

use serde_json::{Value, json};

use super::{POLICY, ask_text};
use crate::{
    decisions::{Update, set, update},
    review::Answered,
    tree::Noise,
};
use pytorchjob_guard::{admission::Outcome, policy::Policy};

const RESOURCES: [(&str, &str, &str); 4] = [
    ("kubeflow.org", "tfjobs", "TFJob"),
    ("kubeflow.org", "mxjobs", "MXJob"),
    ("kubeflow.org", "mpijobs", "MPIJob"),
    ("batch.example.com", "trainings", "Training"),
];

fn policy() -> Policy {
    let resources: Vec<String> =
        RESOURCES.iter().map(|(group, resource, _)| format!("{{group: {group}, resource: {resource}}}")).collect();
    let text = POLICY.replace("{group: kubeflow.org, resource: pytorchjobs}", &resources.join(", "));
    Policy::parse(&text).expect("a policy")
}

/// The update, of another resource.
fn ask(update: &Update, (group, resource, kind): (&str, &str, &str)) -> Answered {
    let review = crate::review::Review { resource: ("", ""), ..update.review() };
    let mut review: Value = serde_json::from_str(&review.to_json(Noise::NONE)).expect("JSON");
    review["request"]["resource"] = json!({"group": group, "version": "v2", "resource": resource});
    if update.subresource.is_empty() {
        review["request"]["kind"] = json!({"group": group, "version": "v2", "kind": kind});
    }
    ask_text(&review.to_string(), &policy())
}

#[test]
fn each_resource_of_the_policy_is_judged() {
    for resource in RESOURCES {
        let refused = ask(&set("/spec/backoffLimit", json!(3)), resource);
        assert_eq!(
            (refused.outcome, &refused.violations[..]),
            (Outcome::Denied, &["spec.backoffLimit".to_owned()][..])
        );
        let details = &refused.status()["details"];
        assert_eq!((&details["group"], &details["kind"]), (&json!(resource.0), &json!(resource.2)));
        assert_eq!((&refused.status()["code"], &refused.status()["reason"]), (&json!(422), &json!("Invalid")));
        assert_eq!(ask(&set("/metadata/labels/app", json!("x")), resource).outcome, Outcome::Allowed);
    }
    for other in [
        ("kubeflow.org", "pytorchjobs", "PyTorchJob"),
        ("kubeflow.org", "trainings", "T"),
        ("batch.example.com", "tfjobs", "T"),
    ] {
        let answer = ask(&set("/spec/backoffLimit", json!(3)), other);
        assert_eq!((answer.outcome, answer.allowed()), (Outcome::NotApplicable, true), "{other:?}");
    }
}

#[test]
fn each_resource_s_scale_is_judged() {
    let scale =
        |replicas: u64| json!({"apiVersion": "autoscaling/v1", "kind": "Scale", "spec": {"replicas": replicas}});
    let scaled = |replicas: u64| Update { old: scale(1), new: scale(replicas), ..update() }.of("scale");
    for resource in RESOURCES {
        let refused = ask(&scaled(3), resource);
        assert_eq!((refused.outcome, &refused.violations[..]), (Outcome::Denied, &["spec.replicas".to_owned()][..]));
        let details = &refused.status()["details"];
        // A review of a Scale does not name the kind of the object; those of Kubeflow are known.
        let (group, kind) =
            if resource.0 == "kubeflow.org" { (resource.0, resource.2) } else { ("autoscaling", "Scale") };
        assert_eq!((&details["group"], &details["kind"]), (&json!(group), &json!(kind)));
        assert_eq!(ask(&scaled(1), resource).outcome, Outcome::Allowed);
    }
    assert_eq!(ask(&scaled(3), ("kubeflow.org", "pytorchjobs", "")).outcome, Outcome::NotApplicable);
}
