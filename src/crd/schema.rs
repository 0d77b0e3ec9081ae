//! The fields that a structural schema keeps: the pruning of `apiextensions-apiserver`, in advance.

use std::{collections::VecDeque, sync::LazyLock};

use serde_json::{Value, json};

use crate::field::{Pattern, PatternToken};

/// The most other paths of a key that are listed.
const MOST_PLACES: usize = 3;

/// The API server's own type for `metadata`. A schema has no say in it.
static OBJECT_META: LazyLock<Value> = LazyLock::new(|| {
    let string = json!({"type": "string"});
    let strings = json!({"type": "object", "additionalProperties": string});
    json!({"type": "object", "properties": {
        "name": string, "generateName": string, "namespace": string, "selfLink": string, "uid": string,
        "resourceVersion": string, "generation": {"type": "integer"}, "creationTimestamp": string,
        "deletionTimestamp": string, "deletionGracePeriodSeconds": {"type": "integer"},
        "labels": strings, "annotations": strings,
        "finalizers": {"type": "array", "items": string},
        "ownerReferences": {"type": "array", "items": {"type": "object", "properties": {
            "apiVersion": string, "kind": string, "name": string, "uid": string,
            "controller": {"type": "boolean"}, "blockOwnerDeletion": {"type": "boolean"},
        }}},
        "managedFields": {"type": "array", "items": {"type": "object", "properties": {
            "manager": string, "operation": string, "apiVersion": string, "time": string, "fieldsType": string,
            "fieldsV1": {"type": "object", "x-kubernetes-preserve-unknown-fields": true}, "subresource": string,
        }}},
    }})
});

/// The fate of a field in an object that is sent, from bad to good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Fate {
    /// It is taken out before anything sees it.
    Pruned,
    /// It is kept, though the schema does not know it.
    Kept,
    /// The schema knows it.
    Known,
}

/// The fate of the field in objects of this schema; for a field with `*`, the best one.
pub(crate) fn fate(schema: &Value, field: &Pattern) -> Fate {
    walk(Some(schema), true, field.tokens())
}

/// `is_object`: the value is a whole object, with an `apiVersion`, a `kind` and `metadata` that are always kept.
fn walk(schema: Option<&Value>, is_object: bool, tokens: &[PatternToken]) -> Fate {
    let Some((token, below)) = tokens.split_first() else { return Fate::Known };
    let Some(schema) = schema else { return Fate::Pruned };
    let own = if is_true(schema, "x-kubernetes-preserve-unknown-fields") { Fate::Kept } else { Fate::Pruned };
    let into = |schema: &Value| walk(Some(schema), is_true(schema, "x-kubernetes-embedded-resource"), below);
    let additional = || match schema.get("additionalProperties")? {
        Value::Bool(false) => None,
        // Any value, of which nothing that is inside is specified.
        Value::Bool(true) => Some(walk(None, false, below)),
        additional => Some(into(additional)),
    };
    let items = || schema.get("items").map(into);
    let of_object = |key: &str| match key {
        "apiVersion" | "kind" if is_object => Some(walk(None, false, below)),
        "metadata" if is_object => Some(walk(Some(&OBJECT_META), false, below)),
        _ => None,
    };
    let found = match token {
        PatternToken::Key(key) => of_object(key)
            .or_else(|| schema.get("properties")?.get(key).map(into))
            .or_else(additional)
            .or_else(|| key.bytes().all(|byte| byte.is_ascii_digit()).then(items)?),
        PatternToken::Named(_) => items(),
        PatternToken::Any => {
            let properties =
                schema.get("properties").and_then(Value::as_object).into_iter().flat_map(|all| all.values());
            let metadata = of_object("metadata");
            properties.map(into).chain(additional()).chain(items()).chain(metadata).max()
        }
    };
    match token {
        // What it does not know may well be there.
        PatternToken::Any => found.map_or(own, |found| found.max(own)),
        _ => found.unwrap_or(own),
    }
}

fn is_true(schema: &Value, key: &str) -> bool {
    schema.get(key) == Some(&Value::Bool(true))
}

/// The other paths of the field's last key in the schema, nearest to the root.
pub(super) fn places_of(schema: &Value, field: &Pattern) -> Vec<String> {
    let last = field.tokens().iter().rev().find_map(|token| match token {
        PatternToken::Key(key) => Some(key),
        _ => None,
    });
    let Some(wanted) = last else { return Vec::new() };
    let mut places: Vec<(usize, String)> = Vec::new();
    let mut queue = VecDeque::from([(0, String::new(), schema)]);
    while let Some((depth, path, schema)) = queue.pop_front() {
        if places.len() == MOST_PLACES || places.first().is_some_and(|(nearest, _)| *nearest <= depth) {
            break;
        }
        for (key, property) in schema.get("properties").and_then(Value::as_object).into_iter().flatten() {
            let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
            // What one sends of status is dropped.
            if path == "status" || (path == "metadata" && depth == 0) {
                continue;
            }
            if key == wanted && places.len() < MOST_PLACES && path != field.written() {
                places.push((depth + 1, path.clone()));
            }
            queue.push_back((depth + 1, path, property));
        }
        for (key, token) in [("additionalProperties", ".*"), ("items", "[*]")] {
            if let Some(inner) = schema.get(key).filter(|inner| inner.is_object()) {
                queue.push_back((depth + 1, format!("{path}{token}"), inner));
            }
        }
    }
    places.into_iter().map(|(_, path)| path).collect()
}
