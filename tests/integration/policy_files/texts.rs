//! Texts that are no YAML, and keys that are unknown or missing.

use std::fs;

use tempfile::TempDir;

use super::{HEAD, accepts_text, lint, rejects, rejects_text};
use crate::cli::Folder;

const KEYS: &str = "the keys are apiVersion, kind, name, resources, namespaceSelector, objectSelector, failurePolicy, timeoutSeconds, suspendField, mutableFields, immutableFields, serverManagedFields, \
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
fn values_are_checked_although_keys_are_wrong() {
    rejects_text(
        &format!(
            "{}mutableField: []\nmutableFields: [a, a, 5, metadata.generation]\nname: twice\nexemptions:\n  - {{user: [b], users: [c, \
             c], fields: [a, '.', a]}}\n  - {{name: x, fields: [a]}}\n  - {{name: x, fields: ['.']}}\nvalidationActions: [Deny, Warn, deny]",
            HEAD.replace("name: own", "name: -a")
                .replace("group: kubeflow.org, resource: pytorchjobs}", "group: A, resource: B}, {}")
        ),
        &[
            "3:7: name: \"-a\" is no label; write at most 63 letters, digits, '-', '_' and '.', with a letter or digit at both ends",
            "4:13: resources: \"A\" is no group; write one like kubeflow.org, or \"\" for core",
            "4:13: resources: \"B\" is no resource; write it in lower case and plural, like pytorchjobs",
            "4:38: resources[1].group is missing; write group: kubeflow.org",
            "4:38: resources[1].resource is missing; write resource: pytorchjobs",
            &format!("5:1: there is no key mutableField (did you mean mutableFields?); {KEYS}"),
            "6:20: mutableFields: a is listed twice; take one away",
            "6:23: mutableFields: a number stands here; write a string: put it in quotes",
            "6:26: mutableFields: metadata.generation is server-managed (metadata.generation), so no change of it counts; take it away",
            "7:1: name is written twice; take one away",
            "9:5: exemptions[0].name is missing; write name: what-for",
            "9:6: exemptions[0]: there is no key user (did you mean users?); the keys are name, users, groups, when, subresources and \
             fields",
            "9:28: exemption exemptions[0]: users: c is listed twice; take one away",
            "9:44: exemptions[0].fields: \".\" is no field path: a path begins without a dot",
            "9:49: exemption exemptions[0]: fields: a is listed twice; take one away",
            "11:12: exemptions: a second one is named x; rename it",
            "11:24: exemptions[2].fields: \".\" is no field path: a path begins without a dot",
            "12:20: validationActions: Deny and Warn do not go together: a denial says what a warning would; write [Deny], [Warn], [Audit], \
             [Deny, Audit] or [Warn, Audit]",
            "12:33: validationActions: there is no deny (did you mean Deny?); write Deny, Warn or Audit",
        ],
        HEAD,
    );
}

/// A value that cannot be read is not taken for an absent one.
#[test]
fn what_cannot_be_read_is_not_missing() {
    for (bad, error) in [
        (
            "immutableFields: [a]\nexemptions: [{name: x, users: [u], fields: [a, '.']}]",
            "6:48: exemptions[0].fields: \".\" is no field path: a path begins without a dot",
        ),
        (
            "exemptions: [{name: x, users: [u], fields: ['.']}]",
            "5:45: exemptions[0].fields: \".\" is no field path: a path begins without a dot",
        ),
        (
            "exemptions: [{name: x, users: [u], subresources: [scale, 5], fields: [a]}]",
            "5:58: exemptions[0].subresources: a number stands here; write a string: put it in quotes",
        ),
        (
            "mutableFields: [metadata.generation]\nserverManagedFields: [5]",
            "6:23: serverManagedFields: a number stands here; write a string: put it in quotes",
        ),
        (
            "mutableFields: [metadata.generation]\nserverManagedFields: 5",
            "6:22: serverManagedFields: a number stands here; write a list of field paths, like [metadata.labels]",
        ),
        (
            "validationActions: [deny]",
            "5:21: validationActions: there is no deny (did you mean Deny?); write Deny, Warn or Audit",
        ),
    ] {
        rejects(bad, &[error], "");
    }
}

#[test]
fn keys_that_are_written_twice() {
    for (bad, error) in [
        ("name: x\n", "5:1: name is written twice; take one away"),
        ("denial: {reason: Invalid, reason: Invalid}", "5:27: reason is written twice; take one away"),
    ] {
        rejects(bad, &[error], "denial: {reason: Invalid}");
    }
}

#[test]
fn texts_that_are_no_yaml() {
    for (bad, error) in [
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
