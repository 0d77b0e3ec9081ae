//! Values of the wrong kind, and words and paths that are none.

use super::{HEAD, accepts_text, rejects, rejects_text};

#[test]
fn values_of_the_wrong_kind() {
    for (bad, error, good) in [
        (
            "mutableFields: a.b",
            "5:16: mutableFields: a string stands here; write a list of field paths, like [metadata.labels]",
            "mutableFields: [a.b]",
        ),
        (
            "mutableFields:",
            "5:14: mutableFields: nothing stands here; write a list of field paths, like [metadata.labels]",
            "mutableFields: []",
        ),
        (
            "mutableFields: [5]",
            "5:17: mutableFields: a number stands here; write a string: put it in quotes",
            "mutableFields: ['[5]']",
        ),
        (
            "mutableFields: [true]",
            "5:17: mutableFields: a boolean stands here; write a string: put it in quotes",
            "mutableFields: [yes]",
        ),
        (
            "immutableFields: {a: b}",
            "5:18: immutableFields: a map stands here; write a list of field paths, like [metadata.labels]",
            "immutableFields: []",
        ),
        (
            "serverManagedFields: ~",
            "5:22: serverManagedFields: nothing stands here; write a list of field paths, like [metadata.labels]",
            "serverManagedFields: []",
        ),
        ("equality: true", "5:11: equality: a boolean stands here; write Semantic or Strict", "equality: Strict"),
        (
            "exemptions: {name: a}",
            "5:13: exemptions: a map stands here; write a list of exemptions, each with a name and fields",
            "exemptions: []",
        ),
        (
            "exemptions: [a]",
            "5:14: exemptions[0]: a string stands here; write a map with the keys name, users, groups, when, subresources and fields",
            "exemptions: []",
        ),
        (
            "exemptions: [{name: a, users: alice, fields: [a]}]",
            "5:31: exemptions[0].users: a string stands here; write a list of names",
            "exemptions: [{name: a, users: [alice], fields: [a]}]",
        ),
        (
            "exemptions: [{name: a, groups: [{}], fields: [a]}]",
            "5:33: exemptions[0].groups: a map stands here; write a string",
            "exemptions: [{name: a, groups: [a], fields: [a]}]",
        ),
        (
            "exemptions: [{name: 1, fields: [a]}]",
            "5:21: exemptions[0].name: a number stands here; write a string: put it in quotes",
            "exemptions: [{name: '1', fields: [a]}]",
        ),
        (
            "exemptions: [{name: a, fields: a}]",
            "5:32: exemptions[0].fields: a string stands here; write a list of field paths, like [metadata.labels]",
            "exemptions: [{name: a, fields: [a]}]",
        ),
        (
            "validationActions: Deny",
            "5:20: validationActions: a string stands here; write a list of actions, like [Deny]",
            "validationActions: [Deny]",
        ),
        (
            "denial: Forbidden",
            "5:9: denial: a string stands here; write a map with the keys reason",
            "denial: {reason: Forbidden}",
        ),
    ] {
        rejects(bad, &[error], good);
    }
    rejects_text(
        &HEAD.replace("name: own", "name: 7"),
        &["3:7: name: a number stands here; write a string: put it in quotes"],
        &HEAD.replace("name: own", "name: '7'"),
    );
    rejects_text(
        &HEAD.replace("[{", "{").replace("}]", "}"),
        &["4:12: resources: a map stands here; write a list of groups and resources"],
        HEAD,
    );
}

#[test]
fn words_that_are_none_of_the_choices() {
    for (bad, error, good) in [
        (
            "equality: semantic",
            "5:11: equality: there is no semantic (did you mean Semantic?); write Semantic or Strict",
            "equality: Semantic",
        ),
        ("equality: Loose", "5:11: equality: there is no Loose; write Semantic or Strict", "equality: Strict"),
        (
            "exemptions: [{name: a, when: Deletng, fields: [a]}]",
            "5:30: exemptions[0].when: there is no Deletng (did you mean Deleting?); write Deleting, SuspendChanged or Suspended",
            "exemptions: [{name: a, when: Deleting, fields: [a]}]",
        ),
        (
            "validationActions: [deny, Audit]",
            "5:21: validationActions: there is no deny (did you mean Deny?); write Deny, Warn or Audit",
            "validationActions: [Deny, Audit]",
        ),
        (
            "denial: {reason: Conflict}",
            "5:18: denial.reason: there is no Conflict; write Invalid or Forbidden",
            "denial: {reason: Invalid}",
        ),
    ] {
        rejects(bad, &[error], good);
    }
}

#[test]
fn empty_strings() {
    for (bad, error, good) in [
        (
            "exemptions: [{name: '', fields: [a]}]",
            "5:21: exemptions[0].name: an empty string stands here; write a name",
            "exemptions: [{name: a, fields: [a]}]",
        ),
        (
            "exemptions: [{name: a, users: [''], fields: [a]}]",
            "5:32: exemptions[0].users: an empty string stands here; write a user's name",
            "exemptions: [{name: a, users: [b], fields: [a]}]",
        ),
        (
            "exemptions: [{name: a, groups: [''], fields: [a]}]",
            "5:33: exemptions[0].groups: an empty string stands here; write a group's name",
            "exemptions: [{name: a, groups: [b], fields: [a]}]",
        ),
        (
            "exemptions: [{name: a, subresources: [''], fields: [a]}]",
            "5:39: exemptions[0].subresources: an empty string stands here; write a subresource; leave subresources out for the object itself",
            "exemptions: [{name: a, fields: [a]}]",
        ),
        ("mutableFields: ['']", "5:17: mutableFields: \"\" is no field path: the path is empty", "mutableFields: [a]"),
    ] {
        rejects(bad, &[error], good);
    }
    rejects_text(
        &HEAD.replace("name: own", "name: ''"),
        &["3:7: name: an empty string stands here; write a name"],
        HEAD,
    );
    rejects_text(
        &HEAD.replace("resource: pytorchjobs", "resource: ''"),
        &["4:45: resources[0].resource: an empty string stands here; write a resource, like pytorchjobs"],
        HEAD,
    );
    // The core group has no name.
    accepts_text(
        &HEAD.replace("group: kubeflow.org, resource: pytorchjobs", "group: '', resource: replicationcontrollers"),
    );
}

#[test]
fn paths_that_are_none() {
    for (bad, error, good) in [
        (".spec.x", "\".spec.x\" is no field path: a path begins without a dot; write spec.x", "spec.x"),
        (
            "$.spec.x",
            "\"$.spec.x\" is no field path: \"$\" is no field's name; a key of other characters stands in brackets, [example.com/x]; write spec.x",
            "spec.x",
        ),
        (
            "/spec/a~1b/0/x",
            "\"/spec/a~1b/0/x\" is no field path: \"/spec/a~1b/0/x\" is no field's name; a key of other characters stands in brackets, [example.com/x]; write spec[a/b][0].x",
            "spec[a/b][0].x",
        ),
        (
            "metadata.labels.example.com/x",
            "\"metadata.labels.example.com/x\" is no field path: \"com/x\" is no field's name; a key of other characters stands in brackets, [example.com/x]",
            "metadata.labels[example.com/x]",
        ),
        ("spec..x", "\"spec..x\" is no field path: a field's name is missing", "spec.x"),
        (
            "a[name=x]",
            "\"a[name=x]\" is no field path: [name= is followed by a string in double quotes, not by \"x]\"",
            "a[name=\"x\"]",
        ),
    ] {
        rejects(
            &format!("mutableFields:\n  - '{bad}'"),
            &[&format!("6:5: mutableFields: {error}")],
            &format!("mutableFields:\n  - '{good}'"),
        );
        let exempt = |path: &str| format!("exemptions:\n  - name: a\n    fields: ['{path}']");
        rejects(&exempt(bad), &[&format!("7:14: exemptions[0].fields: {error}")], &exempt(good));
    }
}

#[test]
fn settings_of_webhooks() {
    rejects(
        "namespaceSelector: {matchLabels: {team: é, 'a b': c}}\n\
         objectSelector: {matchExpressions: [{key: a, operator: in}, {key: a, operator: In}, {key: a, operator: Exists, values: [b]}]}\n\
         failurePolicy: fail\ntimeoutSeconds: 31\nsuspendField: spec.[suspend]\n",
        &[
            "5:41: namespaceSelector.matchLabels.team: \"é\" is not the value of a label",
            "5:44: namespaceSelector.matchLabels.a b: this is not the key of a label",
            "6:56: objectSelector.matchExpressions[0].operator: there is no in (did you mean In?); write In, NotIn, Exists or DoesNotExist",
            "6:80: objectSelector.matchExpressions[1].values: In needs values; write values: [a]",
            "6:104: objectSelector.matchExpressions[2].values: Exists takes no values; leave them out",
            "7:16: failurePolicy: there is no fail (did you mean Fail?); write Fail or Ignore",
            "8:17: timeoutSeconds: write an integer from 1 to 30",
            "9:15: suspendField: \"spec.[suspend]\" is not a path of keys in spec; write spec.suspend",
        ],
        "namespaceSelector: {matchLabels: {team: a, a.b/c: d}}\n\
         objectSelector: {matchExpressions: [{key: a, operator: In, values: [b]}, {key: a, operator: Exists}]}\n\
         failurePolicy: Ignore\ntimeoutSeconds: 30\nsuspendField: spec.suspend\n",
    );
}
