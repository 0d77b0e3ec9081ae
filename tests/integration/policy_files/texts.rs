//! What is no YAML, and keys and values of the wrong kind.

use std::fs;

use tempfile::TempDir;

use super::{HEAD, accepts_text, lint, rejects, rejects_text};
use crate::cli::Folder;

const KEYS: &str = "the keys are apiVersion, kind, name, resources, mutableFields, immutableFields, serverManagedFields, \
                    equality, exemptions, validationActions and denial";

#[test]
fn unknown_keys() {
    rejects(
        "mutableField: []",
        &[&format!("5:1: there is no key mutableField (did you mean mutableFields?); {KEYS}")],
        "mutableFields: []",
    );
    rejects("5: []", &[&format!("5:1: there is no key 5; {KEYS}")], "");
    rejects("spec: {}", &[&format!("5:1: there is no key spec; {KEYS}")], "");
    rejects(
        "exemptions: [{name: x, user: [a], fields: [a]}]",
        &["5:24: exemptions[0]: there is no key user (did you mean users?); the keys are name, users, groups, when, \
           subresources and fields"],
        "exemptions: [{name: x, users: [a], fields: [a]}]",
    );
    rejects("denial: {code: 403}", &["5:10: denial: there is no key code; the keys are reason"], "denial: {}");
    rejects_text(
        &HEAD.replace("group:", "version: v1, group:"),
        &["4:14: resources[0]: there is no key version; the keys are group and resource"],
        HEAD,
    );
}

#[test]
fn missing_keys() {
    let without = |line: &str| HEAD.replace(line, "");
    rejects_text(
        &without("apiVersion: pytorchjob-guard/v1\n"),
        &["1:1: apiVersion is missing; write apiVersion: pytorchjob-guard/v1"],
        HEAD,
    );
    rejects_text(&without("kind: UpdatePolicy\n"), &["1:1: kind is missing; write kind: UpdatePolicy"], HEAD);
    rejects_text(&without("name: own\n"), &["1:1: name is missing; write name: my-policy"], HEAD);
    rejects_text(
        &without("resources: [{group: kubeflow.org, resource: pytorchjobs}]\n"),
        &["1:1: resources is missing; write resources: [{group: kubeflow.org, resource: pytorchjobs}]"],
        HEAD,
    );
    rejects_text(
        &without("group: kubeflow.org, "),
        &["4:13: resources[0].group is missing; write group: kubeflow.org"],
        HEAD,
    );
    rejects_text(
        &without(", resource: pytorchjobs"),
        &["4:13: resources[0].resource is missing; write resource: pytorchjobs"],
        HEAD,
    );
    rejects(
        "exemptions:\n  - users: [a]",
        &[
            "6:5: exemptions[0].name is missing; write name: what-for",
            "6:5: exemptions[0].fields is missing; write fields: [metadata.finalizers]",
        ],
        "exemptions:\n  - name: a\n    fields: [a]",
    );
}

#[test]
fn another_kind_of_file() {
    let with = |from: &str, to: &str| HEAD.replace(from, to);
    rejects_text(&with("guard/v1", "guard/v2"), &["1:13: apiVersion: write pytorchjob-guard/v1"], HEAD);
    rejects_text(&with("UpdatePolicy", "Policy"), &["2:7: kind: write UpdatePolicy"], HEAD);
    rejects_text(&with("UpdatePolicy", "[]"), &["2:7: kind: a list stands here; write a string"], HEAD);
}

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
            "5:30: exemptions[0].when: there is no Deletng (did you mean Deleting?); write Deleting or SuspendChanged",
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
fn everything_that_is_wrong_is_told_in_the_order_of_the_file() {
    rejects(
        "denial: {reason: 5}\nequality: x\nmutableFields: [a, '', '.']",
        &[
            "5:18: denial.reason: a number stands here; write Invalid or Forbidden",
            "6:11: equality: there is no x; write Semantic or Strict",
            "7:20: mutableFields: \"\" is no field path: the path is empty",
            "7:24: mutableFields: \".\" is no field path: a path begins without a dot",
        ],
        "denial: {reason: Invalid}\nequality: Strict\nmutableFields: [a]",
    );
    let bad = format!("{HEAD}equality: x\ndenial: x\n");
    let said = Folder::new().with("own.yaml", bad).run(&["check", "a", "b", "--policy", "own.yaml"]);
    let error =
        "error: --policy own.yaml: line 5, column 11: equality: there is no x; write Semantic or Strict (and 1 more)";
    assert_eq!(said, format!("exit code 2\n--- error output\n{error}\n"));
}

#[test]
fn texts_that_are_no_yaml() {
    for (bad, error) in [
        ("name: x\n", "5:1: name is written twice; take one away"),
        ("denial: {reason: Invalid, reason: Invalid}", "5:27: reason is written twice; take one away"),
        ("mutableFields: [a\n", "5:16: unclosed bracket '['"),
        ("---\na: 1\n", "6:1: a second document begins; write one policy a file"),
        ("mutableFields: [*.labels]\n", "5:17: an alias of no anchor; put a path that begins with * in quotes"),
        ("mutableFields: [.nan]\n", "5:17: .nan is a number, of which a policy has none; put it in quotes"),
        (
            "mutableFields: [[[[[[[[[[[[[[[[[[a]]]]]]]]]]]]]]]]]]\n",
            "5:31: it is nested too deep, or uses too many anchors, for a policy",
        ),
    ] {
        rejects(bad, &[error], "mutableFields: ['*.labels']\n");
    }
    let nothing = "there is nothing here; begin with what `pytorchjob-guard policy show` prints";
    rejects_text("", &[&format!("1:1: {nothing}")], HEAD);
    rejects_text("# a comment\n", &[&format!("2:1: {nothing}")], HEAD);
    rejects_text(
        "[]",
        &[&format!("1:1: a list stands here; write a map with {}", KEYS.replace("the keys are", "the keys"))],
        HEAD,
    );
}

#[test]
fn anchors() {
    accepts_text(&format!(
        "{HEAD}mutableFields: &fields [a, b]\nexemptions: [{{name: x, users: [u], subresources: [other], fields: *fields}}]"
    ));
    let tenfold = |(from, to): (char, char)| format!("{to}: &{to} [{}]\n", vec![format!("*{from}"); 10].join(","));
    let bomb: String = "abcdefgh".chars().zip("bcdefghi".chars()).map(tenfold).collect();
    let said = lint(&format!("{HEAD}a: &a [x,x,x,x,x,x,x,x,x,x]\n{bomb}"));
    assert!(said.starts_with("exit code 2\n") && said.lines().count() == 2, "{said}");
}

#[test]
fn forms_of_text() {
    let json = "{\n\t\"apiVersion\": \"pytorchjob-guard\\/v1\",\n\t\"kind\": \"UpdatePolicy\", \"name\": \"own\",\n\t\"resources\": \
                [{\"group\": \"kubeflow.org\", \"resource\": \"pytorchjobs\"}],\n\t\"mutableFields\": [\"a\"]\n}\n";
    accepts_text(json);
    rejects_text(
        &json.replace("\"a\"", "\"a\", 5"),
        &["5:25: mutableFields: a number stands here; write a string: put it in quotes"],
        json,
    );
    assert!(lint(&format!("\u{feff}{HEAD}mutableFields: [a]\n")).starts_with("exit code 0\n"));
    accepts_text(&format!("# one\n\n{HEAD}# two\nmutableFields:   # three\n  - a  # four\n").replace('\n', "\r\n"));
    accepts_text(&format!("---\n{HEAD}...\n"));
}

#[test]
fn files_that_hold_no_text() {
    let folder =
        Folder::new().with("latin.yaml", b"apiVersion: x\nkind: \xe9\n").with("large.yaml", vec![b'#'; (1 << 20) + 1]);
    let says = |file: &str| folder.run(&["policy", "lint", file]);
    assert_eq!(says("latin.yaml"), "exit code 2\n--- error output\nerror: latin.yaml: not UTF-8 at line 2, column 7\n");
    assert_eq!(says("large.yaml"), "exit code 2\n--- error output\nerror: large.yaml: larger than 1 MiB\n");
    assert_eq!(says("/dev/zero"), "exit code 2\n--- error output\nerror: /dev/zero: larger than 1 MiB\n");
    assert_eq!(
        folder.run(&["check", "a", "b", "--policy", "large.yaml"]),
        "exit code 2\n--- error output\nerror: --policy large.yaml: larger than 1 MiB\n"
    );
    let large = format!("{HEAD}#{}", "#".repeat((1 << 20) - HEAD.len() - 1));
    assert_eq!(large.len(), 1 << 20);
    let dir = TempDir::new().expect("a folder");
    let file = dir.path().join("large.yaml");
    fs::write(&file, large).expect("a file");
    let said = folder.run(&["policy", "lint", file.to_str().expect("UTF-8")]);
    assert!(said.starts_with("exit code 0\n"), "{said}");
}
