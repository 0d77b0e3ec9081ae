//! A rule about an element of a list holds however the list is written.

use pytorchjob_guard::policy;
use serde_json::{Value, json};

use crate::{
    decisions::{CONTAINER, CONTAINER_PATH, POD, POD_PATH, Update, from_to},
    reference::{Field, Part, Policy, Request, judge_under},
};

/// A policy with fields of pods, or with fields that begin with `.` anywhere.
fn policy(mutable: &[&str], immutable: &[&str]) -> Policy {
    let fields = |fields: &[&str]| fields.iter().map(|text| field(text)).collect();
    Policy { mutable: fields(mutable), immutable: fields(immutable), ..Policy::default() }
}

fn field(text: &str) -> Field {
    let pod = format!("spec.pytorchReplicaSpecs.*.template.spec.{text}");
    let part = |token: &str| match (token, token.strip_prefix("name=")) {
        ("*", _) => Part::Any,
        (_, Some(name)) => Part::Name(name.to_owned()),
        _ => Part::Key(token.to_owned()),
    };
    let tokens = text.strip_prefix('.').unwrap_or(&pod).split(['.', '[', ']']);
    tokens.filter(|token| !token.is_empty()).map(part).collect()
}

#[track_caller]
fn rejects(update: &Update, policy: &Policy, fields: &[&str]) {
    assert_eq!(judged(update, policy), fields, "the reference");
    super::rejects(update, &core(policy), fields);
}

#[track_caller]
fn accepts(update: &Update, policy: &Policy) {
    assert_eq!(judged(update, policy), [""; 0], "the reference");
    super::accepts(update, &core(policy));
}

fn judged(update: &Update, policy: &Policy) -> Vec<String> {
    let request = Request { user: update.user, groups: &[], subresource: update.subresource };
    judge_under(policy, &request, &update.old.clone().into(), &update.new.clone().into()).into_keys().collect()
}

fn core(policy: &Policy) -> policy::Policy {
    policy::Policy::parse(&policy.to_yaml()).expect("a policy")
}

/// The environment of the container changes from one to the other.
fn env(old: Value, new: Value) -> Update {
    from_to(&format!("{CONTAINER}/env"), old, new)
}

fn env_path(element: &str) -> String {
    format!("{CONTAINER_PATH}.env{element}")
}

#[test]
fn by_name_in_a_list_that_may_change() {
    let policy = policy(&["containers[*].env"], &["containers[*].env[name=SECURE_MODE]"]);
    let on = || json!({"name": "SECURE_MODE", "value": "on"});
    let off = || json!({"name": "SECURE_MODE", "value": "off"});
    let a = || json!({"name": "A", "value": "1"});
    let (whole, value) = (env_path(""), env_path("[name=\"SECURE_MODE\"].value"));
    let element = env_path("[name=\"SECURE_MODE\"]");
    for (old, new, field) in [
        (json!([a(), on()]), json!([a(), off()]), &value),
        (json!([a(), on()]), json!([a()]), &element),
        (json!([a()]), json!([a(), off()]), &element),
        (json!([on()]), json!(null), &element),
        (json!(null), json!([off()]), &element),
        // Written twice, also where it was so before.
        (json!([on()]), json!([on(), off()]), &whole),
        (json!([on(), a()]), json!([on(), off()]), &whole),
        (json!([on(), on()]), json!([on(), off()]), &whole),
        (json!([on(), a(), a()]), json!([off(), a(), a()]), &whole),
        (json!(null), json!([off(), off()]), &whole),
        (json!([on(), on()]), json!(null), &whole),
        // Beside an element without a name, or with one that is no string, or that is no map.
        (json!([a(), on()]), json!([{"value": "1"}, off()]), &whole),
        (json!([{"value": "1"}, on()]), json!([{"value": "1"}, off()]), &whole),
        (json!([{"value": "1"}, on()]), json!([{"value": "2"}, on()]), &whole),
        (json!([a(), on()]), json!([{"name": 7}, off()]), &whole),
        (json!([a(), on()]), json!([null, off()]), &whole),
        (json!([a(), on()]), json!([[], off()]), &whole),
        (json!([a(), on()]), json!(["A", off()]), &whole),
        (json!([on()]), json!([[on()]]), &whole),
        (json!([on()]), json!(["on"]), &whole),
        (json!(null), json!([{"value": "1"}]), &whole),
        // As no list.
        (json!([on()]), json!({"SECURE_MODE": "off"}), &whole),
    ] {
        rejects(&env(old, new), &policy, &[field]);
    }
    let reordered = env(json!([a(), on()]), json!([on(), a()]));
    rejects(&reordered, &policy, &[&whole]);
    for (old, new) in [
        (json!([a(), on()]), json!([{"name": "A", "value": "2"}, on()])),
        (json!([a(), on()]), json!([on()])),
        (json!([on()]), json!([{"name": "B"}, on(), a()])),
        (json!([a()]), json!(null)),
        (json!(null), json!([a()])),
        (
            json!([{"value": "1"}, on()]),
            json!([{"value": "1"}, {"value": "on", "name": "SECURE_MODE", "valueFrom": null}]),
        ),
    ] {
        accepts(&env(old, new), &policy);
    }
}

#[test]
fn by_name_and_mutable_in_a_list_that_may_not_change() {
    let policy = policy(&["containers[*].env[name=A].value"], &[]);
    let a = |value: &str| json!({"name": "A", "value": value});
    accepts(&env(json!([a("1")]), json!([a("2")])), &policy);
    // Nobody can say which of the two may change.
    rejects(&env(json!([a("1"), a("1")]), json!([a("2"), a("1")])), &policy, &[&env_path("")]);
    rejects(&env(json!([a("1"), {}]), json!([a("2"), {}])), &policy, &[&env_path("")]);
    accepts(&env(json!([a("1"), {}]), json!([a("1"), {"value": null}])), &policy);
}

#[test]
fn by_place_in_a_list_of_names() {
    let policy = policy(&["containers"], &["containers[0].image"]);
    let containers = |old, new| from_to(&format!("{POD}/containers"), old, new);
    let container = |name: &str, image: &str| json!({"name": name, "image": image});
    let (a, b) = (|image| container("a", image), |image| container("b", image));
    let whole = format!("{POD_PATH}.containers");
    let image = format!("{whole}[name=\"a\"].image");
    rejects(&containers(json!([a("1"), b("1")]), json!([a("2"), b("1")])), &policy, &[&image]);
    for (old, new) in [
        // Another element stands there: with the same image, without one, in front of it, in its place.
        (json!([a("1"), b("1")]), json!([b("1"), a("1")])),
        (json!([a("1")]), json!([b("1")])),
        (json!([a("1")]), json!([{"name": "x"}, a("1")])),
        (json!([{"name": "x"}, a("1")]), json!([a("1")])),
        (json!([a("1"), b("1")]), json!([b("2"), a("1")])),
        // No names any more.
        (json!([a("1")]), json!([a("1"), a("2")])),
    ] {
        rejects(&containers(old, new), &policy, &[&whole]);
    }
    rejects(&containers(json!([a("1"), a("1")]), json!([a("2"), a("2")])), &policy, &[&format!("{whole}[0].image")]);
    rejects(&containers(json!([a("1"), b("1")]), json!(null)), &policy, &[&image]);
    for (old, new) in [
        (json!([a("1"), b("1")]), json!([a("1"), b("2")])),
        (json!([a("1"), b("1")]), json!([{"name": "a", "image": "1", "tty": true}])),
        (json!([a("1")]), json!([a("1"), b("1")])),
        (json!([a("1"), a("1")]), json!([a("1"), a("2")])),
    ] {
        accepts(&containers(old, new), &policy);
    }
}

/// To put a protected element where another one may change would be a way to change it.
#[test]
fn by_place_and_mutable_in_a_list_of_names() {
    let policy = policy(&["containers", "containers[0].image"], &["containers[*].image"]);
    let containers = |old, new| from_to(&format!("{POD}/containers"), old, new);
    let whole = format!("{POD_PATH}.containers");
    let (empty, b) = (json!({"name": "a"}), |image: &str| json!({"name": "b", "image": image}));
    rejects(&containers(json!([empty, b("1")]), json!([b("1")])), &policy, &[&whole]);
    rejects(
        &containers(json!([empty, b("1")]), json!([empty, b("2")])),
        &policy,
        &[&format!("{whole}[name=\"b\"].image")],
    );
    accepts(&containers(json!([b("1"), empty]), json!([b("2"), empty])), &policy);
}

#[test]
fn by_place_in_a_list_without_names() {
    let policy = policy(&["tolerations"], &["tolerations[0].key"]);
    let tolerations = |old, new| from_to(&format!("{POD}/tolerations"), old, new);
    let path = format!("{POD_PATH}.tolerations");
    let (one, other) = (json!({"key": "a"}), json!({"key": "b"}));
    rejects(&tolerations(json!([one, other]), json!([other, one])), &policy, &[&format!("{path}[0].key")]);
    rejects(&tolerations(json!([one, other]), json!([one])), &policy, &[&path]);
    rejects(&tolerations(json!([one]), json!(null)), &policy, &[&format!("{path}[0].key")]);
    accepts(&tolerations(json!([one, one]), json!([one, other])), &policy);
}

/// Of an element it counts that it is there, whatever it holds.
#[test]
fn elements_that_hold_nothing() {
    let policy = policy(&[".spec.l[*].x"], &[]);
    for nothing in [json!([null]), json!([[]]), json!([{}])] {
        rejects(&from_to("/spec/l", json!(null), nothing.clone()), &policy, &["spec.l"]);
        rejects(&from_to("/spec/l", nothing, json!(null)), &policy, &["spec.l"]);
    }
    let second = self::policy(&[".spec.l[1]"], &[]);
    rejects(&from_to("/spec/l", json!(null), json!([null, {"x": 1}])), &second, &["spec.l[0]"]);
    accepts(&from_to("/spec/l", json!([{}]), json!([{"x": 1}])), &policy);
    accepts(&from_to("/spec/l", json!(null), json!([])), &policy);
}
