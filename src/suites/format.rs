//! The format of a suite: its keys and what they hold.

use serde_json::Value;

use super::words::{Expectation, Operation};
use crate::yaml::{Map, Node, Positioned, Reader};

pub(super) const API_VERSION: &str = "pytorchjob-guard/v1";
pub(super) const KIND: &str = "PolicyTest";

const KEYS: [&str; 5] = ["apiVersion", "kind", "policy", "base", "cases"];
const CASE_KEYS: [&str; 12] = [
    "name",
    "basePatch",
    "patch",
    "jsonPatch",
    "object",
    "review",
    "user",
    "groups",
    "subresource",
    "operation",
    "expect",
    "fields",
];

/// A suite as it is written. What could not be read is none.
#[derive(Debug)]
pub(super) struct SuiteFile {
    pub(super) policy: Option<Positioned<String>>,
    pub(super) has_base: bool,
    pub(super) base: Option<Positioned<Value>>,
    pub(super) cases: Vec<Positioned<CaseFile>>,
}

/// A case as it is written.
#[derive(Debug)]
pub(super) struct CaseFile {
    pub(super) name: Positioned<String>,
    pub(super) base_patch: Option<Positioned<Value>>,
    pub(super) patch: Option<Positioned<Value>>,
    pub(super) json_patch: Option<Positioned<Vec<Positioned<Value>>>>,
    pub(super) object: Option<Positioned<Value>>,
    pub(super) review: Option<Positioned<Value>>,
    pub(super) user: Option<Positioned<String>>,
    pub(super) groups: Option<Positioned<Vec<String>>>,
    pub(super) subresource: Option<Positioned<String>>,
    pub(super) operation: Option<Positioned<Operation>>,
    pub(super) expect: Expectation,
    pub(super) fields: Option<Positioned<Vec<Positioned<String>>>>,
}

impl SuiteFile {
    /// Reads a suite. None if the document is no map.
    pub(super) fn from_node(reader: &mut Reader, node: &Node) -> Option<Self> {
        let map = reader.map(node, "", &KEYS)?;
        for (key, wanted) in [("apiVersion", API_VERSION), ("kind", KIND)] {
            let written = reader.required(&map, key, wanted).and_then(|node| reader.text(node, key));
            if let Some(Positioned { position, .. }) = written.filter(|written| written.value != wanted) {
                reader.wrong(position, format!("{key}: write {wanted}"));
            }
        }
        let policy = reader.required(&map, "policy", "cci").and_then(|node| reader.text(node, "policy"));
        let base = map.get("base").and_then(|node| reader.json(node, "base"));
        let cases = reader.required(&map, "cases", "[{name: …, patch: …, expect: Allowed}]").and_then(|node| {
            reader.not_empty(node, "cases", "write at least one");
            reader.list(node, "cases", "cases", |reader, node, _| CaseFile::from_node(reader, node))
        });
        let cases = cases.map(|cases| cases.value).unwrap_or_default();
        Some(Self { policy, has_base: map.get("base").is_some(), base, cases })
    }
}

impl CaseFile {
    /// Reads a case. None if it cannot be used at all, or if an error in it would lead to others.
    fn from_node(reader: &mut Reader, node: &Node) -> Option<Positioned<Self>> {
        let before = reader.wrongs();
        let map = reader.map(node, "", &CASE_KEYS)?;
        let name = reader.required(&map, "name", "\"a new image\"").and_then(|node| reader.text(node, "name"));
        let base_patch = object(reader, &map, "basePatch");
        let patch = object(reader, &map, "patch");
        let json_patch = map.get("jsonPatch").and_then(|node| {
            reader.list(node, "jsonPatch", "operations", |reader, node, _| reader.json(node, "jsonPatch"))
        });
        let [object, review] = ["object", "review"].map(|key| map.get(key).and_then(|node| reader.json(node, key)));
        let [user, subresource] =
            ["user", "subresource"].map(|key| map.get(key).and_then(|node| reader.text(node, key)));
        let groups = texts(reader, &map, "groups", "groups").map(|Positioned { value, position }| Positioned {
            value: value.into_iter().map(|group| group.value).collect(),
            position,
        });
        let operation = map
            .get("operation")
            .and_then(|node| reader.choice(node, "operation", &Operation::ALL.map(|word| (word.name(), word))));
        let expect = reader.required(&map, "expect", "Allowed");
        let expect =
            expect.and_then(|node| reader.choice(node, "expect", &Expectation::ALL.map(|word| (word.name(), word))));
        let fields = texts(reader, &map, "fields", "fields");
        if reader.wrongs() > before {
            return None;
        }
        let value = Self {
            name: name?,
            base_patch,
            patch,
            json_patch,
            object,
            review,
            user,
            groups,
            subresource,
            operation,
            expect: expect?.value,
            fields,
        };
        Some(Positioned { value, position: node.position })
    }
}

fn object(reader: &mut Reader, map: &Map<'_>, key: &str) -> Option<Positioned<Value>> {
    reader.json_map(map.get(key)?, key, "the part of the object that changes, like {spec: {suspend: true}}")
}

fn texts(reader: &mut Reader, map: &Map<'_>, key: &str, what: &str) -> Option<Positioned<Vec<Positioned<String>>>> {
    reader.list(map.get(key)?, key, what, |reader, node, _| reader.text(node, key))
}
