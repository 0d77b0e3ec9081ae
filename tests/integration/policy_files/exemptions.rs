//! Exemptions that let nobody do anything, or everybody.

use super::rejects;

/// One exemption of this form, after fields of the policy.
fn one(exemption: &str) -> String {
    format!(
        "mutableFields: [metadata.labels, spec.a]\nimmutableFields: ['metadata.labels[x.io/y]', spec.b]\nexemptions:\n  - \
         {{name: x, {exemption}}}\n"
    )
}

#[track_caller]
fn rejects_one(bad: &str, error: &str, good: &str) {
    rejects(&one(bad), &[&format!("8:{error}")], &one(good));
}

#[test]
fn an_exemption_of_nobody_that_would_be_for_everyone() {
    for list in ["users", "groups"] {
        rejects_one(
            &format!("{list}: [], fields: [spec.c]"),
            &format!(
                "{}: exemptions[0].{list}: the list is empty; leave {list} out for everyone, or list some",
                17 + list.len()
            ),
            "fields: [spec.c]",
        );
    }
    rejects(
        &one("users: [], groups: [], fields: [spec.c]"),
        &[
            "8:22: exemptions[0].users: the list is empty; leave users out for everyone, or list some",
            "8:34: exemptions[0].groups: the list is empty; leave groups out for everyone, or list some",
        ],
        // It is for the group, whoever else is not listed.
        &one("users: [], groups: [a], fields: [spec.c]"),
    );
}

#[test]
fn names_and_fields() {
    rejects(
        "exemptions: [{name: x, fields: [a]}, {name: x, fields: [b]}]",
        &["5:45: exemptions: a second one is named x; rename it"],
        "exemptions: [{name: x, fields: [a]}, {name: y, fields: [b]}]",
    );
    rejects_one("fields: []", "23: exemption x: fields: the list is empty; list at least one", "fields: [spec.c]");
    for list in ["users", "groups"] {
        rejects_one(
            &format!("{list}: [a, b, a], fields: [spec.c]"),
            &format!("{}: exemption x: {list}: a is listed twice; take one away", 24 + list.len()),
            &format!("{list}: [a, b], fields: [spec.c]"),
        );
    }
    rejects_one(
        "subresources: [scale, scale], fields: [spec.replicas]",
        "37: exemption x: subresources: scale is listed twice; take one away",
        "subresources: [scale], fields: [spec.replicas]",
    );
}

#[test]
fn subresources_that_are_never_judged() {
    let good = "subresources: [scale], fields: [spec.replicas]";
    rejects_one(
        "subresources: [scale, status], fields: [spec.replicas]",
        "37: exemption x: subresources: status is never judged, because the API server lets it change nothing but \
         .status; take it away",
        good,
    );
    rejects_one(
        "subresources: [pytorchjobs/scale], fields: [spec.replicas]",
        "30: exemption x: subresources: pytorchjobs/scale is no subresource; write it without the resource: scale",
        good,
    );
}

#[test]
fn what_a_scale_has_not() {
    let good = "users: [autoscaler], subresources: [scale], fields: [spec.replicas]";
    for (when, lacks) in [
        ("Deleting", "no deletionTimestamp"),
        ("SuspendChanged", "no suspend field"),
        ("Suspended", "no suspend field"),
    ] {
        rejects_one(
            &format!("when: {when}, subresources: [scale], fields: [spec.replicas]"),
            &format!("21: exemption x: when: a Scale has {lacks}, so this never holds; take it away"),
            good,
        );
    }
    for field in ["metadata.labels", "spec.pytorchReplicaSpecs.Worker.replicas", "spec.replicas.x", "status"] {
        rejects_one(
            &format!("subresources: [scale], fields: [{field}, spec.replicas]"),
            &format!(
                "47: exemption x: fields: {field} is no field of a Scale that can change; write spec.replicas, whatever the \
                 object's own field is"
            ),
            good,
        );
    }
    for good in ["[spec]", "['*']", "[spec.*]", "['spec[replicas]']"] {
        rejects_one(
            "subresources: [scale], fields: [x]",
            "47: exemption x: fields: x is no field of a Scale that can change; write spec.replicas, whatever the object's \
             own field is",
            &format!("subresources: [scale], fields: {good}"),
        );
    }
}

#[test]
fn exemptions_from_what_is_immutable() {
    let lost = "12: exemption x can never matter: its fields are immutable by immutableFields; take it away";
    for (bad, good) in
        [("['metadata.labels[x.io/y]']", "['metadata.labels[x.io/y]', spec.c]"), ("[spec.b]", "[spec.b.c]")]
    {
        rejects_one(&format!("users: [a], fields: {bad}"), lost, &format!("users: [a], fields: {good}"));
    }
    rejects(
        "immutableFields: [spec.replicas]\nexemptions:\n  - {name: x, users: [a], subresources: [scale], fields: [spec.replicas]}",
        &["7:12: exemption x can never matter: its fields are immutable by immutableFields; take it away"],
        "immutableFields: [spec.replicas]\nexemptions:\n  - {name: x, users: [a], fields: [spec.other]}",
    );
}

#[test]
fn lists_whose_last_entry_was_taken_away() {
    rejects_one(
        "subresources: [], fields: [a]",
        "29: exemptions[0].subresources: the list is empty; leave subresources out for the object itself, or list some",
        "fields: [a]",
    );
}

#[test]
fn names_of_more_than_a_line() {
    rejects(
        "exemptions: [{name: \"x\\nnot ok\", fields: [a]}]",
        &["5:21: exemptions[0].name: a control character stands here; write a name"],
        "exemptions: [{name: x not ok, fields: [a]}]",
    );
}
