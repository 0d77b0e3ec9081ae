//! Names, resources, fields and actions that contradict each other.

use super::{HEAD, accepts_text, rejects, rejects_text};

#[test]
fn names_that_are_no_labels() {
    let named = |name: &str| HEAD.replace("name: own", &format!("name: '{name}'"));
    for name in ["a b", "-a", "a.", "a/b", "ä", &"a".repeat(64)] {
        let rule = "write at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends";
        rejects_text(&named(name), &[&format!("3:7: name: \"{name}\" is no label; {rule}")], &named("a.B-c_9"));
    }
    accepts_text(&named(&"a".repeat(63)));
}

#[test]
fn resources_that_are_none() {
    let listing = |resources: &str| HEAD.replace("[{group: kubeflow.org, resource: pytorchjobs}]", resources);
    let one = |group: &str, resource: &str| listing(&format!("[{{group: '{group}', resource: '{resource}'}}]"));
    for (bad, error) in [
        (listing("[]"), "4:12: resources: the list is empty; list at least one group and resource"),
        (
            one("kubeflow.org/v1", "pytorchjobs"),
            "4:13: resources: \"kubeflow.org/v1\" is no group; write it without the version, a policy is for all: kubeflow.org",
        ),
        (
            one("Kubeflow", "pytorchjobs"),
            "4:13: resources: \"Kubeflow\" is no group; write one like kubeflow.org, or \"\" for core",
        ),
        (
            one("kubeflow.org", "pytorchjobs/scale"),
            "4:13: resources: pytorchjobs/scale is a subresource; write pytorchjobs, its subresources are judged too",
        ),
        (one("kubeflow.org", "*"), "4:13: resources: * is no resource; list each of them by its name"),
        (
            one("kubeflow.org", "PyTorchJob"),
            "4:13: resources: \"PyTorchJob\" is no resource (did you mean pytorchjobs?); write it in lower case and plural",
        ),
        (
            one("kubeflow.org", "Widget"),
            "4:13: resources: \"Widget\" is no resource; write it in lower case and plural, like pytorchjobs",
        ),
        (
            listing("[{group: a, resource: b}, {group: '', resource: b}, {group: a, resource: b}]"),
            "4:64: resources: b of \"a\" is listed twice; take one away",
        ),
    ] {
        rejects_text(
            &bad,
            &[error],
            &listing("[{group: a, resource: b}, {group: '', resource: b}, {group: a.b, resource: b-c}]"),
        );
    }
}

#[test]
fn fields_that_are_listed_twice() {
    for list in ["mutableFields", "immutableFields", "serverManagedFields"] {
        rejects(
            &format!("{list}: ['a.b', 'a[b]']"),
            &[&format!("5:{}: {list}: a[b] is listed twice; take one away", list.len() + 11)],
            &format!("{list}: ['a.b', 'a.*', 'a.b.c']"),
        );
    }
    rejects(
        "exemptions: [{name: x, fields: [a, a]}]",
        &["5:36: exemption x: fields: a is listed twice; take one away"],
        "exemptions: [{name: x, fields: [a]}, {name: y, fields: [a]}]",
    );
}

#[test]
fn fields_that_the_server_manages() {
    let why = |path: &str| format!("is server-managed ({path}), so no change of it counts; take it away");
    rejects(
        "mutableFields: [metadata.generation]",
        &[&format!("5:17: mutableFields: metadata.generation {}", why("metadata.generation"))],
        "mutableFields: [metadata]",
    );
    rejects(
        "immutableFields: ['metadata.managedFields[0]']",
        &[&format!("5:19: immutableFields: metadata.managedFields[0] {}", why("metadata.managedFields"))],
        "serverManagedFields: []\nmutableFields: [metadata]\nimmutableFields: ['metadata.managedFields[0]']",
    );
    rejects(
        "serverManagedFields: [status]\nexemptions: [{name: x, users: [a], fields: [status.a]}]",
        &[&format!("6:45: exemption x: fields: status.a {}", why("status"))],
        "exemptions: [{name: x, users: [a], fields: [status.a]}]",
    );
}

#[test]
fn actions_that_do_not_go_together() {
    let choices = "write [Deny], [Warn], [Audit], [Deny, Audit] or [Warn, Audit]";
    for (bad, problem) in [
        ("[]", "the list is empty"),
        ("[Deny, Warn]", "Deny and Warn do not go together: a denial says what a warning would"),
        ("[Warn, Audit, Deny]", "Deny and Warn do not go together: a denial says what a warning would"),
        ("[Audit, Audit]", "an action is listed twice"),
    ] {
        for good in ["[Deny]", "[Warn]", "[Audit]", "[Deny, Audit]", "[Warn, Audit]", "[Audit, Deny]"] {
            rejects(
                &format!("validationActions: {bad}"),
                &[&format!("5:20: validationActions: {problem}; {choices}")],
                &format!("validationActions: {good}"),
            );
        }
    }
}
