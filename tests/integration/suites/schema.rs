//! The JSON Schema for editors says what the reader does.

use std::{fs, path::Path};

use jsonschema::Validator;
use serde_json::{Value, json};

use super::Folder;

fn schema() -> Value {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/schemas/policy-test.schema.json");
    serde_json::from_str(&fs::read_to_string(path).expect("the schema")).expect("JSON")
}

fn validator() -> Validator {
    jsonschema::options().should_validate_formats(true).build(&schema()).expect("a schema")
}

/// True if the reader takes the suite, and the output.
fn reads(suite: &Value) -> (bool, String) {
    let said = Folder::new().with("suite.json", suite.to_string()).test(&["--list", "suite.json"]);
    (said.starts_with("exit code 0\n"), said)
}

fn good() -> Value {
    json!({
        "apiVersion": "pytorchjob-guard/v1",
        "kind": "PolicyTest",
        "policy": "cci",
        "base": "job.yaml",
        "cases": [
            {"name": "a", "patch": {}, "expect": "Allowed"},
            {
                "name": "b", "basePatch": {}, "jsonPatch": [{"op": "add", "path": "/spec/x", "value": 1}], "user": "u",
                "groups": ["g"], "operation": "UPDATE", "expect": "Denied", "fields": ["spec.x"],
            },
            {"name": "c", "object": {}, "subresource": "status", "expect": "Allowed"},
            {"name": "d", "object": "job.yaml", "operation": "CREATE", "expect": "Allowed"},
            {"name": "e", "operation": "DELETE", "expect": "Allowed"},
            {"name": "f", "review": {}, "expect": "BadRequest"},
            {"name": "g", "patch": {}, "subresource": "scale", "expect": "Warned", "fields": ["spec.x", "spec.y"]},
        ],
    })
}

#[test]
fn takes_what_the_reader_takes() {
    let validator = validator();
    let mut suites = vec![good()];
    let mut inline = good();
    inline["base"] = json!({"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "metadata": {"name": "a"},
        "spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": 1}}}});
    suites.push(inline);
    let mut no_base = good();
    no_base.as_object_mut().expect("a map").remove("base");
    no_base["cases"] = json!([good()["cases"][5]]);
    suites.push(no_base);
    for suite in suites {
        let (is_read, said) = reads(&suite);
        assert!(is_read, "{suite}\n{said}");
        let errors: Vec<_> = validator.iter_errors(&suite).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{suite}\n{errors:?}");
    }
}

#[test]
fn refuses_what_the_reader_refuses() {
    let validator = validator();
    // Each replaces, adds or (null) takes away one key.
    let suite_keys = [
        ("apiVersion", json!("v1")),
        ("apiVersion", Value::Null),
        ("kind", json!("Policy")),
        ("kind", Value::Null),
        ("policy", Value::Null),
        ("policy", json!({})),
        ("base", Value::Null),
        ("base", json!([])),
        ("base", json!(true)),
        ("cases", Value::Null),
        ("cases", json!([])),
        ("cases", json!({})),
        ("cases", json!([1])),
        ("case", json!(1)),
    ];
    let case_keys = [
        (0, "name", Value::Null),
        (0, "name", json!("")),
        (0, "name", json!(" ")),
        (0, "name", json!("a\nb")),
        (0, "name", json!([])),
        (0, "expect", Value::Null),
        (0, "expect", json!("allowed")),
        (0, "expect", json!("Denied")),
        (0, "patch", Value::Null),
        (0, "patch", json!([])),
        (0, "patch", json!("a.yaml")),
        (0, "fields", json!(["spec.x"])),
        (0, "object", json!({})),
        (0, "basePatch", json!("a.yaml")),
        (0, "groups", json!("a")),
        (0, "groups", json!([{}])),
        (0, "user", json!({})),
        (0, "operation", json!("PATCH")),
        (0, "operation", json!("DELETE")),
        (0, "subresource", json!([])),
        (0, "steps", json!([])),
        (1, "fields", Value::Null),
        (1, "fields", json!([])),
        (1, "fields", json!([""])),
        (1, "fields", json!(["a", "a"])),
        (1, "fields", json!([{}])),
        (1, "jsonPatch", json!({})),
        (1, "jsonPatch", json!([{"op": "add", "path": "/a"}])),
        (1, "jsonPatch", json!([{"op": "move", "path": "/a"}])),
        (1, "jsonPatch", json!([{"op": "put", "path": "/a", "value": 1}])),
        (1, "jsonPatch", json!([{"path": "/a", "value": 1}])),
        (1, "jsonPatch", json!([{"op": "remove"}])),
        (1, "jsonPatch", json!(["remove"])),
        (2, "object", json!(1)),
        (5, "review", json!([])),
        (5, "user", json!("a")),
        (5, "groups", json!(["a"])),
        (5, "basePatch", json!({})),
        (5, "operation", json!("UPDATE")),
        (5, "subresource", json!("scale")),
        (5, "fields", json!(["a"])),
    ];
    let set = |map: &mut Value, key: &str, value: &Value| {
        let map = map.as_object_mut().expect("a map");
        if value.is_null() {
            map.remove(key)
        } else {
            map.insert(key.to_owned(), value.clone())
        };
    };
    let suites = suite_keys.iter().map(|(key, value)| {
        let mut suite = good();
        set(&mut suite, key, value);
        suite
    });
    let cases = case_keys.iter().map(|(at, key, value)| {
        let mut suite = good();
        set(&mut suite["cases"][*at], key, value);
        suite
    });
    for suite in suites.chain(cases) {
        let (is_read, said) = reads(&suite);
        assert!(!is_read, "the reader takes it: {suite}\n{said}");
        assert!(!validator.is_valid(&suite), "the schema takes it: {suite}\n{said}");
    }
}

#[test]
fn knows_the_keys_of_the_reader_and_describes_each() {
    let schema = schema();
    let known = |properties: &Value| {
        let properties = properties.as_object().expect("properties");
        for (key, property) in properties {
            let is_described = property["description"].as_str().is_some_and(|text| text.len() > 10);
            assert!(is_described, "{key} has no description");
        }
        let mut keys: Vec<_> = properties.keys().cloned().collect();
        keys.sort();
        keys
    };
    // The reader names its keys when it meets another.
    let read = |suite: &Value| {
        let (_, said) = reads(suite);
        let (_, keys) = said.split_once("the keys are ").unwrap_or_else(|| panic!("it names its keys: {said}"));
        let keys = keys.lines().next().unwrap_or_default().replace(" and ", ", ");
        let mut keys: Vec<_> = keys.split(", ").map(str::to_owned).collect();
        keys.sort();
        keys
    };
    let mut suite = good();
    suite["another"] = json!(1);
    assert_eq!(known(&schema["properties"]), read(&suite));
    let mut suite = good();
    suite["cases"][0]["another"] = json!(1);
    assert_eq!(known(&schema["$defs"]["case"]["properties"]), read(&suite));
}

#[test]
fn holds_for_the_suites_that_come_with_the_guard() {
    let validator = validator();
    for file in [
        "policy/built_in/cci.test.yaml",
        "policy/built_in/training-operator.test.yaml",
        "policy/built_in/kueue.test.yaml",
        "suites/init/policy-test.yaml",
    ] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("src").join(file)).expect("a suite");
        let suite: Value = serde_saphyr::from_str(&text).expect("YAML");
        let errors: Vec<_> = validator.iter_errors(&suite).map(|error| error.to_string()).collect();
        assert!(errors.is_empty(), "{file}: {errors:?}");
    }
}
