//! The JSON Schema for editors says what the reader says.

use std::{collections::BTreeSet, sync::LazyLock};

use jsonschema::Validator;
use pytorchjob_guard::policy::Policy;
use serde_json::Value;

use super::HEAD;

static SCHEMA: LazyLock<Value> = LazyLock::new(|| {
    serde_json::from_str(include_str!("../../../docs/schemas/update-policy.schema.json")).expect("JSON")
});
static VALIDATOR: LazyLock<Validator> = LazyLock::new(|| jsonschema::validator_for(&SCHEMA).expect("a schema"));

fn value(text: &str) -> Value {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).expect("YAML")
}

#[track_caller]
fn both_accept(text: &str) {
    assert_eq!(Policy::parse(text).map(|_| ()), Ok(()), "{text}");
    let errors: Vec<String> = VALIDATOR.iter_errors(&value(text)).map(|error| error.to_string()).collect();
    assert!(errors.is_empty(), "{text}{errors:?}");
}

#[track_caller]
fn both_refuse(text: &str) {
    assert!(Policy::parse(text).is_err(), "{text}");
    assert!(!VALIDATOR.is_valid(&value(text)), "{text}");
}

#[test]
fn it_is_a_schema() {
    assert!(jsonschema::meta::is_valid(&SCHEMA));
}

#[test]
fn both_accept_what_is_good() {
    for text in Policy::builtin_names().filter_map(Policy::builtin_text).chain([super::super::policy_commands::FULL]) {
        both_accept(text);
    }
    let exempt = |lines: &str| format!("{HEAD}exemptions: [{{name: x, {lines}}}]");
    for text in [
        HEAD.to_owned(),
        format!("{HEAD}mutableFields: []\nimmutableFields: []\nserverManagedFields: []\nexemptions: []\ndenial: {{}}"),
        format!(
            "{HEAD}mutableFields: ['a', '*', '*.b', 'a.*[*][0][x.io/y].b', 'a[name=\"x\"].b', '[a b]', '[name=\"\\\"]\"].c']"
        ),
        format!("{HEAD}mutableFields: ['[x=y]', 'a-b_c', '_', yes, on]"),
        HEAD.replace("kubeflow.org", "''"),
        HEAD.replace("pytorchjobs", "a-b9"),
        HEAD.replace("own", "a"),
        HEAD.replace("own", "A.b_c-9"),
        exempt("fields: [a]"),
        exempt("users: [], groups: [g], fields: [a]"),
        exempt("users: [u], groups: [], fields: [a]"),
        exempt("subresources: [scale], fields: [spec.replicas]"),
        format!("{HEAD}validationActions: [Audit, Deny]"),
    ] {
        both_accept(&text);
    }
}

#[test]
fn both_refuse_what_is_bad() {
    for line in HEAD.lines() {
        both_refuse(&HEAD.replace(&format!("{line}\n"), ""));
        let key = line.split_once(':').expect("a key").0;
        for other in ["null", "5", "true", "[5]", "[]", "{a: b}", "''", "'a b'", "'-'"] {
            both_refuse(&HEAD.replace(line, &format!("{key}: {other}")));
        }
    }
    let resource = "{group: kubeflow.org, resource: pytorchjobs}";
    for other in [
        "{group: a}",
        "{resource: a}",
        "{group: a, resource: b, version: v1}",
        "{group: a/v1, resource: b}",
        "{group: A, resource: b}",
        "{group: a., resource: b}",
        "{group: a, resource: b/scale}",
        "{group: a, resource: ''}",
        "{group: a, resource: '*'}",
        "{group: a, resource: Pods}",
        "{group: 5, resource: b}",
        "a",
        "{group: a, resource: b}, {group: a, resource: b}",
    ] {
        both_refuse(&HEAD.replace(resource, other));
    }
    for list in ["mutableFields", "immutableFields", "serverManagedFields", "exemptions: [{name: x, fields"] {
        let end = if list.contains('{') { "}]" } else { "" };
        for other in [
            "null",
            "a",
            "{}",
            "[5]",
            "[null]",
            "[true]",
            "['']",
            "[.a]",
            "[a.]",
            "[a..b]",
            "['a[']",
            "['a[]']",
            "['a[b]c']",
            "['a[name=x]']",
            "['a[name=\"x]']",
            "[a/b]",
            "['a.9']",
            "[/spec/a]",
            "[$.spec]",
            "[a, a]",
            "['a b']",
            "['a.b*']",
        ] {
            both_refuse(&format!("{HEAD}{list}: {other}{end}"));
        }
    }
    for line in [
        "spec: {}",
        "mutableField: []",
        "equality: semantic",
        "equality: null",
        "equality: []",
        "exemptions: null",
        "exemptions: {}",
        "exemptions: [a]",
        "validationActions: []",
        "validationActions: Deny",
        "validationActions: [deny]",
        "validationActions: [Deny, Warn]",
        "validationActions: [Deny, Warn, Audit]",
        "validationActions: [Deny, Deny]",
        "validationActions: null",
        "denial: Invalid",
        "denial: {reason: invalid}",
        "denial: {code: 1}",
        "denial: null",
        "denial: {reason: null}",
    ] {
        both_refuse(&format!("{HEAD}{line}"));
    }
}

#[test]
fn both_refuse_exemptions_that_are_bad() {
    for exemption in [
        "fields: [a]",
        "name: x",
        "name: '', fields: [a]",
        "name: 5, fields: [a]",
        "name: x, fields: []",
        "name: x, fields: [a], user: [a]",
        "name: x, fields: [a], users: []",
        "name: x, fields: [a], groups: []",
        "name: x, fields: [a], users: [], groups: []",
        "name: x, fields: [a], users: ['']",
        "name: x, fields: [a], users: a",
        "name: x, fields: [a], users: [a, a]",
        "name: x, fields: [a], groups: [5]",
        "name: x, fields: [a], groups: null",
        "name: x, fields: [a], when: deleting",
        "name: x, fields: [a], when: null",
        "name: x, fields: [a], subresources: ['']",
        "name: x, fields: [a], subresources: [status]",
        "name: x, fields: [a], subresources: [a/b]",
        "name: x, fields: [a], subresources: scale",
        "name: x, fields: [a], subresources: []",
    ] {
        both_refuse(&format!("{HEAD}exemptions: [{{{exemption}}}]"));
    }
}

/// The keys that the reader takes where this text has an unknown one, as it tells them.
fn keys(text: &str) -> BTreeSet<String> {
    let error = Policy::parse(text).expect_err("an unknown key");
    let diagnostic = error
        .diagnostics()
        .iter()
        .find(|diagnostic| diagnostic.message.contains("there is no key unknown"))
        .expect("it");
    let (_, keys) = diagnostic.message.split_once("the keys are ").expect("the keys");
    keys.replace(" and ", ", ").split(", ").map(str::to_owned).collect()
}

#[test]
fn both_have_the_same_keys() {
    for (text, pointer) in [
        ("unknown: 1".to_owned(), ""),
        (HEAD.replace("{group", "{unknown: 1, group"), "/definitions/resource"),
        (format!("{HEAD}exemptions: [{{unknown: 1}}]"), "/definitions/exemption"),
        (format!("{HEAD}denial: {{unknown: 1}}"), "/properties/denial"),
    ] {
        let schema = SCHEMA.pointer(pointer).expect("it is there");
        assert_eq!(schema["additionalProperties"], false, "{pointer}");
        let properties = schema["properties"].as_object().expect("properties");
        assert_eq!(properties.keys().cloned().collect::<BTreeSet<_>>(), keys(&text), "{pointer}");
        for (key, property) in properties {
            assert!(property["description"].is_string(), "{pointer} {key} has a description");
        }
    }
}

#[test]
fn its_defaults_are_those_of_the_reader() {
    let written: String =
        SCHEMA["properties"].as_object().expect("properties").iter().fold(HEAD.to_owned(), |text, (key, one)| {
            one.get("default").map_or(text.clone(), |default| format!("{text}{key}: {default}\n"))
        });
    assert!(written.contains("serverManagedFields") && written.contains("equality"), "{written}");
    assert_eq!(Policy::parse(&written), Policy::parse(HEAD));
}
