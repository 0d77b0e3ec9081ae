//! A suite as it is written into one that can be run, or all that is wrong with it.

use std::{
    borrow::Cow,
    collections::HashMap,
    path::{Path, PathBuf},
};

use json_patch::PatchOperation;
use serde_json::{Value, value::to_raw_value};

use super::{
    case::{Base, Case, CaseError, Edit},
    format::{CaseFile, SuiteFile},
    problem::Problem,
    words::Operation,
};
use crate::{
    documents::Document,
    field::{Pattern, PatternToken},
    policy::{Policy, source::Source},
    yaml::{Position, Positioned},
};

/// A suite that can be run.
#[derive(Debug)]
pub struct Suite {
    /// Its file's path; behind it `#2` where the second document of the file is meant.
    pub name: String,
    /// The policy's name where it is a built-in one, else its file's path.
    pub policy_name: String,
    /// At least one.
    pub cases: Vec<Case>,
    pub(super) file: String,
    pub(super) policy: Policy,
    /// The same for suites of the same policy, from wherever they name it.
    pub(super) policy_id: PathBuf,
    pub(super) base: Option<Base>,
}

impl Suite {
    /// Checks what the format does not say, and reads the files that the suite names. These problems were found before.
    pub(super) fn load(
        path: &Path,
        name: String,
        suite: SuiteFile,
        problems: Vec<Problem>,
    ) -> Result<Self, Vec<Problem>> {
        let mut loader = Loader { path, file: path.display().to_string(), problems };
        let policy = suite.policy.and_then(|policy| loader.policy(&policy));
        let has_base = suite.has_base;
        let base = suite.base.and_then(|base| loader.base(&base));
        let mut names = HashMap::new();
        let mut cases = Vec::with_capacity(suite.cases.len());
        for Positioned { value: written, position } in suite.cases {
            loader.check_name(&written.name, &mut names);
            let operations = written.json_patch.as_ref().map(|patch| spans(&patch.value)).unwrap_or_default();
            let Some(case) = loader.case(written, position) else { continue };
            if !has_base && !matches!(case.edit, Edit::Review(_)) {
                loader.wrong(position, CaseError::NoBase.to_string());
            }
            if let (true, Some(base), Some(named)) = (case.can_fail(), &base, &policy)
                && let Err(error) = case.review(Some(base), &named.policy)
            {
                let at = match &error {
                    CaseError::JsonPatch { operation, .. } => operations.get(*operation).copied(),
                    _ => None,
                };
                loader.wrong(at.unwrap_or(position), error.to_string());
            }
            cases.push(case);
        }
        match policy {
            Some(Named { policy, name: policy_name, id: policy_id }) if loader.problems.is_empty() => {
                Ok(Self { name, policy_name, cases, file: loader.file, policy, policy_id, base })
            }
            _ => {
                loader.problems.sort_by_key(|problem| problem.at);
                Err(loader.problems)
            }
        }
    }
}

impl Suite {
    /// The review of each case, as the webhook would get it.
    pub fn reviews(&self) -> impl Iterator<Item = String> {
        let review = |case: &Case| case.review(self.base.as_ref(), &self.policy).map(Cow::into_owned);
        // While it was loaded, each could be made.
        self.cases.iter().filter_map(move |case| review(case).ok())
    }
}

fn spans<T>(values: &[Positioned<T>]) -> Vec<Position> {
    values.iter().map(|value| value.position).collect()
}

/// A policy, what messages call it, and what tells it from others.
struct Named {
    policy: Policy,
    name: String,
    id: PathBuf,
}

struct Loader<'p> {
    path: &'p Path,
    file: String,
    problems: Vec<Problem>,
}

impl Loader<'_> {
    fn wrong(&mut self, at: Position, message: impl Into<String>) {
        self.problems.push(Problem::at(&self.file, at, message));
    }

    /// Takes what could be made; notes why it could not.
    fn taken<T>(&mut self, at: Position, made: Result<T, String>) -> Option<T> {
        made.map_err(|message| self.wrong(at, message)).ok()
    }

    /// The built-in policy of that name, else the one in a file beside the suite.
    fn policy(&mut self, written: &Positioned<String>) -> Option<Named> {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        let loaded = Source::find_beside(folder, &written.value)
            .and_then(|source| Ok(Named { policy: source.policy()?, id: source.id(), name: source.name }))
            .map_err(|error| format!("policy: {error}"));
        self.taken(written.position, loaded)
    }

    fn base(&mut self, written: &Positioned<Value>) -> Option<Base> {
        let document = self.document("base", written)?;
        let identity = document.identity().map_err(|error| match &document.name[..] {
            "base" => error.to_string(),
            _ => format!("base: {error}"),
        });
        let base = identity.and_then(|identity| {
            let value = serde_json::from_str(document.json.get());
            value
                .map_err(CaseError::Json)
                .and_then(|value| Base::new(value, identity))
                .map_err(|error| error.to_string())
        });
        self.taken(written.position, base)
    }

    /// Reads the value of a key that takes an object, or the path of a file with one.
    fn document(&mut self, key: &str, written: &Positioned<Value>) -> Option<Document> {
        let document = match &written.value {
            Value::String(file) if !file.is_empty() => {
                let path = self.path.with_file_name(file);
                // Beside a suite it is a file's name like any other, and not standard input.
                let path = if path == Path::new("-") { PathBuf::from("./-") } else { path };
                Document::read(&path).map_err(|error| format!("{key}: {error}"))
            }
            Value::Object(_) => to_raw_value(&written.value)
                .map(|json| Document { name: key.to_owned(), json })
                .map_err(|error| format!("{key}: {error}")),
            _ => Err(format!("{key}: write the object itself, or the path of a file with it")),
        };
        self.taken(written.position, document)
    }

    fn check_name(&mut self, name: &Positioned<String>, names: &mut HashMap<String, u64>) {
        // Reports have a line for each case.
        if name.value.trim().is_empty() || name.value.chars().any(char::is_control) {
            self.wrong(name.position, "name: write a name, on one line");
        } else if let Some(line) = names.insert(name.value.clone(), name.position.line) {
            self.wrong(name.position, format!("name: the case in line {line} has it too; rename one"));
        }
    }

    fn case(&mut self, written: CaseFile, at: Position) -> Option<Case> {
        let before = self.problems.len();
        self.check_keys(&written, at);
        if let Some(Positioned { value, position }) = &written.subresource
            && !["", "scale", "status"].contains(&value.as_str())
        {
            self.wrong(*position, format!("subresource: there is no {value}; write scale or status, or leave it out"));
        }
        let operation = written.operation.as_ref().map(|operation| operation.value).unwrap_or_default();
        let fields = self.fields(&written, at);
        let edit = if self.problems.len() == before { self.edit(&written, operation) } else { None };
        if self.problems.len() > before {
            return None;
        }
        Some(Case {
            name: written.name.value,
            at: Some((at.line, at.column)),
            expected: written.expect,
            fields,
            edit: edit?,
            base_patch: written.base_patch.map(|patch| patch.value),
            operation,
            subresource: written.subresource.map(|subresource| subresource.value).unwrap_or_default(),
            user: written.user.map(|user| user.value).unwrap_or_default(),
            groups: written.groups.map(|groups| groups.value).unwrap_or_default(),
        })
    }

    /// Checks that the keys of a case go together.
    fn check_keys(&mut self, written: &CaseFile, at: Position) {
        let edits: Vec<_> = [
            ("patch", written.patch.as_ref().map(|patch| patch.position)),
            ("jsonPatch", written.json_patch.as_ref().map(|patch| patch.position)),
            ("object", written.object.as_ref().map(|object| object.position)),
            ("review", written.review.as_ref().map(|review| review.position)),
        ]
        .into_iter()
        .filter_map(|(key, at)| at.map(|at| (key, at)))
        .collect();
        let deletes = written.operation.as_ref().is_some_and(|operation| operation.value == Operation::Delete);
        match &edits[..] {
            [] if deletes => {}
            [] => self.wrong(at, "an edit is missing: write patch, jsonPatch, object or review"),
            [("review", _)] => self.check_keys_of_review(written),
            [(key, at)] if deletes => self.wrong(*at, format!("{key}: a DELETE has no new object; take it away")),
            [_] => {}
            [(first, _), (second, at), ..] => {
                self.wrong(*at, format!("{second}: a case has one edit, and there is {first} already; take one away"));
            }
        }
    }

    fn check_keys_of_review(&mut self, written: &CaseFile) {
        let said = [
            ("basePatch", written.base_patch.as_ref().map(|patch| patch.position)),
            ("user", written.user.as_ref().map(|user| user.position)),
            ("groups", written.groups.as_ref().map(|groups| groups.position)),
            ("subresource", written.subresource.as_ref().map(|subresource| subresource.position)),
            ("operation", written.operation.as_ref().map(|operation| operation.position)),
        ];
        for (key, at) in said {
            if let Some(at) = at {
                self.wrong(at, format!("{key}: the review says that itself; take it away"));
            }
        }
    }

    /// The fields that are expected, sorted.
    fn fields(&mut self, written: &CaseFile, at: Position) -> Vec<String> {
        let expect = written.expect.name();
        let fields = match (&written.fields, written.expect.has_fields()) {
            (Some(fields), true) if !fields.value.is_empty() => fields,
            (Some(fields), true) => {
                self.wrong(fields.position, format!("fields: name at least one that is {expect}"));
                return Vec::new();
            }
            (None, true) => {
                self.wrong(at, format!("fields is missing: name each field that is {expect}"));
                return Vec::new();
            }
            (Some(fields), false) => {
                self.wrong(fields.position, format!("fields: {expect} has none; take them away"));
                return Vec::new();
            }
            (None, false) => return Vec::new(),
        };
        let mut sorted: Vec<String> = Vec::with_capacity(fields.value.len());
        for Positioned { value: field, position } in &fields.value {
            match Pattern::parse(field) {
                Err(error) => self.wrong(*position, format!("fields: \"{field}\" is no field path: {error}")),
                Ok(path) if path.tokens().contains(&PatternToken::Any) => {
                    self.wrong(*position, "fields: a case names each field itself; write it in place of *");
                }
                Ok(_) if sorted.contains(field) => {
                    self.wrong(*position, format!("fields: {field} is named twice; take one away"));
                }
                Ok(_) => sorted.push(field.clone()),
            }
        }
        sorted.sort();
        sorted
    }

    fn edit(&mut self, written: &CaseFile, operation: Operation) -> Option<Edit> {
        if let Some(patch) = &written.patch {
            return Some(Edit::Patch(patch.value.clone()));
        }
        if let Some(patch) = &written.json_patch {
            return self.operations(&patch.value).map(Edit::JsonPatch);
        }
        if let Some(written) = &written.object {
            let document = self.document("object", written)?;
            let object = serde_json::from_str(document.json.get()).map_err(|error| format!("object: {error}"));
            return self.taken(written.position, object).map(Edit::Object);
        }
        if let Some(written) = &written.review {
            return self.document("review", written).map(|document| Edit::Review(document.json.get().to_owned()));
        }
        (operation == Operation::Delete).then_some(Edit::Delete)
    }

    fn operations(&mut self, written: &[Positioned<Value>]) -> Option<Vec<PatchOperation>> {
        let mut operations = Vec::with_capacity(written.len());
        for Positioned { value, position } in written {
            // What serde says would repeat what stands there.
            let operation = serde_json::from_value(value.clone()).map_err(|_| {
                "jsonPatch: this is no operation of RFC 6902; write {op: replace, path: /spec/…, value: …}".to_owned()
            });
            operations.push(self.taken(*position, operation)?);
        }
        Some(operations)
    }
}
