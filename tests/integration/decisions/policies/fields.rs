//! Which rule speaks of a field.

use serde_json::json;

use super::{accepts, parse, policy, rejects};
use crate::decisions::{CONTAINER, CONTAINER_PATH, POD, POD_PATH, Update, from_to, set, without};

#[test]
fn a_star_is_one_key_or_element() {
    let policy = policy(
        "exemptions:\n  - {name: x, users: [alice], fields: ['spec.pytorchReplicaSpecs.*.replicas', \
         'spec.*.Master.template.spec.containers[*].image', 'spec.*.*.template.spec.tolerations[*].key']}",
    );
    accepts(&set("/spec/pytorchReplicaSpecs/Master/replicas", json!(3)), &policy);
    accepts(&set(&format!("{CONTAINER}/image"), json!("x")), &policy);
    accepts(&set(&format!("{POD}/tolerations/1/key"), json!("x")), &policy);
    let worker = json!({"replicas": 1, "template": {"spec": {"hostNetwork": true}}});
    rejects(&set("/spec/pytorchReplicaSpecs/Worker", worker), &policy, &["spec.pytorchReplicaSpecs.Worker.template"]);
    rejects(&set("/spec/replicas", json!(3)), &policy, &["spec.replicas"]);
    rejects(&set(&format!("{CONTAINER}/args"), json!([])), &policy, &[&format!("{CONTAINER_PATH}.args")]);
    let operator = format!("{POD_PATH}.tolerations[0].operator");
    rejects(&set(&format!("{POD}/tolerations/0/operator"), json!("Equal")), &policy, &[&operator]);
}

#[test]
fn the_more_specific_path_wins_and_then_the_immutable_one() {
    let app = set("/metadata/labels/app", json!("x"));
    let path = "metadata.labels.app";
    // Deeper.
    rejects(&app, &policy("immutableFields: [metadata.labels.app]"), &[path]);
    accepts(&app, &policy("immutableFields: [metadata]"));
    // Of the same depth, with fewer stars.
    let both = |mutable: &str, immutable: &str| {
        super::parse(&format!(
            "immutableFields: ['{immutable}']\nexemptions: [{{name: x, users: [alice], fields: ['{mutable}']}}]"
        ))
    };
    accepts(&app, &both("metadata.labels.app", "metadata.labels.*"));
    rejects(&app, &both("metadata.labels.*", "metadata.labels.app"), &[path]);
    accepts(&set("/metadata/labels/b", json!("x")), &both("metadata.labels.*", "metadata.labels.app"));
    // As specific: the immutable one.
    rejects(&app, &both("metadata.*.app", "*.labels.app"), &[path]);
    accepts(&app, &both("metadata.labels.app", "*.labels.app"));
    rejects(&app.by("bob"), &both("metadata.labels.app", "*.labels.app"), &[path]);
}

#[test]
fn what_the_policy_calls_server_managed_does_not_count() {
    let owned = policy("serverManagedFields: [metadata.managedFields, 'spec.*.Master.replicas']");
    let replicas = set("/spec/pytorchReplicaSpecs/Master/replicas", json!(3));
    accepts(&replicas, &owned);
    rejects(&replicas, &policy(""), &["spec.pytorchReplicaSpecs.Master.replicas"]);
    // The default ones are no more.
    rejects(&set("/metadata/generation", json!(3)), &owned, &["metadata.generation"]);
    accepts(&set("/metadata/generation", json!(3)), &policy(""));
    rejects(
        &set("/metadata/managedFields", json!([{}])),
        &policy("serverManagedFields: []"),
        &["metadata.managedFields"],
    );
    accepts(&set("/metadata/managedFields", json!([{}])), &owned);
}

#[test]
fn a_policy_may_let_nothing_change() {
    let nothing = super::parse("mutableFields: []");
    let bare = super::parse("");
    for update in [set("/metadata/labels/app", json!("x")), without("/metadata/labels")] {
        for policy in [&nothing, &bare] {
            assert_eq!(super::answer(&update, policy).violations.len(), 1);
        }
        accepts(&update, &policy(""));
    }
    for policy in [&nothing, &bare] {
        accepts(&Update { old: crate::decisions::job(), ..set("/metadata/resourceVersion", json!("2")) }, policy);
    }
}

#[test]
fn all_may_change_where_the_policy_says_so() {
    let all = super::parse("mutableFields: ['*']\nimmutableFields: [spec.backoffLimit]");
    accepts(&set(&format!("{CONTAINER}/image"), json!("x")).now("/data", json!(1)), &all);
    rejects(&from_to("/spec/backoffLimit", json!(1), json!(2)), &all, &["spec.backoffLimit"]);
    rejects(&without("/spec"), &all, &["spec.backoffLimit"]);
}

/// A server-managed field is left out of the comparison, also where a map is added or removed with nothing else in it.
#[test]
fn a_map_of_server_managed_fields_comes_and_goes() {
    let policy = parse(
        "serverManagedFields: [metadata.managedFields, metadata.annotations.seen, spec.runPolicy.foo, spec.other.foo]\n",
    );
    for (at, managed) in [("/metadata/annotations", json!({"seen": "x"})), ("/spec/runPolicy", json!({"foo": 1}))] {
        accepts(&from_to(at, json!({}), managed.clone()), &policy);
        accepts(&from_to(at, managed.clone(), json!({})), &policy);
    }
    accepts(&set("/spec/runPolicy", json!({"foo": 1})), &policy);
    // With something else in it, and where an empty map is a field of its own.
    rejects(&set("/spec/runPolicy", json!({"foo": 1, "bar": 1})), &policy, &["spec.runPolicy"]);
    rejects(
        &from_to("/spec/runPolicy", json!({"foo": 1}), json!({"foo": 2, "bar": 1})),
        &policy,
        &["spec.runPolicy.bar"],
    );
    rejects(&set("/spec/other", json!({"foo": 1})), &policy, &["spec.other"]);
}
