//! The format of a suite, and the documents of a file.

use std::{borrow::Cow, path::Path};

use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use serde_saphyr::Spanned;

use super::{
    problem::Problem,
    words::{Expectation, Operation},
};
use crate::{
    documents::{self, DocumentError},
    policy::Policy,
    yaml::closest,
};

const API_VERSION: &str = "pytorchjob-guard/v1";
const KIND: &str = "PolicyTest";

/// A suite as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct SuiteFile {
    api_version: Spanned<String>,
    kind: Spanned<String>,
    pub(super) policy: Spanned<String>,
    pub(super) base: Option<Spanned<Value>>,
    pub(super) cases: Spanned<Vec<Spanned<CaseFile>>>,
}

/// A case as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct CaseFile {
    pub(super) name: Spanned<String>,
    pub(super) base_patch: Option<Spanned<Map<String, Value>>>,
    pub(super) patch: Option<Spanned<Map<String, Value>>>,
    pub(super) json_patch: Option<Spanned<Vec<Spanned<Value>>>>,
    pub(super) object: Option<Spanned<Value>>,
    pub(super) review: Option<Spanned<Value>>,
    pub(super) user: Option<Spanned<String>>,
    pub(super) groups: Option<Spanned<Vec<String>>>,
    pub(super) subresource: Option<Spanned<String>>,
    pub(super) operation: Option<Spanned<Operation>>,
    pub(super) expect: Expectation,
    pub(super) fields: Option<Spanned<Vec<Spanned<String>>>>,
}

/// The group of all our kinds.
const GROUP: &str = "pytorchjob-guard/";

/// The fields that tell a suite from other documents.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: Option<Value>,
    kind: Option<Value>,
}

impl Head {
    /// True if the document is meant as a suite of ours.
    fn is_ours(&self) -> bool {
        let text = |value: &Option<Value>| value.as_ref().map(|value| value.as_str().unwrap_or_default().to_owned());
        let (api_version, kind) = (text(&self.api_version), text(&self.kind));
        let is_of_group = api_version.as_ref().is_none_or(|api_version| api_version.starts_with(GROUP));
        match kind.as_deref() {
            Some(KIND) => is_of_group || api_version.is_some_and(|version| closest(&version, &[API_VERSION]).is_some()),
            // A slip in the kind must not take all cases out of a run.
            kind => api_version.is_some() && is_of_group && kind != Some(Policy::KIND),
        }
    }
}

/// The suites of a file, as `load` makes them, and what is wrong with others.
///
/// A file that was `named` must hold nothing but suites; in one that was come across in a folder, other documents are
/// passed over.
pub(super) fn read<S>(
    path: &Path,
    named: bool,
    load: impl Fn(&Path, String, SuiteFile) -> Result<S, Vec<Problem>>,
) -> (Vec<S>, Vec<Problem>) {
    let of_file = |error: &DocumentError| Problem::of_file(&path.display().to_string(), error);
    let (file, bytes) = match documents::bytes(path) {
        Ok(read) => read,
        Err(error) => return (Vec::new(), vec![of_file(&error)]),
    };
    // Most files of a repository are not suites: they need not be UTF-8, nor YAML.
    if !named && !mentions_kind(&bytes) {
        return (Vec::new(), Vec::new());
    }
    let text = match documents::text(&file, &bytes) {
        Ok(text) => text,
        Err(error) => return (Vec::new(), vec![of_file(&error)]),
    };
    let chunks = chunks(text);
    let (mut suites, mut problems) = (Vec::new(), Vec::new());
    if chunks.is_empty() && named {
        problems.push(Problem::of_file(&file, format!("holds no {KIND}")));
    }
    for (at, chunk) in chunks.iter().enumerate() {
        let name = if chunks.len() == 1 { file.clone() } else { format!("{file}#{}", at + 1) };
        match document(&file, chunk, named).map(|parsed| parsed.map(|parsed| load(path, name, parsed))) {
            Ok(None) => {}
            Ok(Some(Ok(suite))) => suites.push(suite),
            Ok(Some(Err(found))) => problems.extend(found),
            Err(problem) => problems.push(problem),
        }
    }
    (suites, problems)
}

/// The suite in a document; none where it is of another kind and may be.
fn document(file: &str, text: &str, named: bool) -> Result<Option<SuiteFile>, Problem> {
    if !named && !mentions_kind(text.as_bytes()) {
        return Ok(None);
    }
    let error = match yaml::<SuiteFile>(text) {
        Ok(suite) if suite.kind.value == KIND && suite.api_version.value == API_VERSION => return Ok(Some(suite)),
        Ok(suite) if suite.kind.value != KIND => {
            Problem::at(file, suite.kind.referenced, format!("kind: write {KIND}"))
        }
        Ok(suite) => Problem::at(file, suite.api_version.referenced, format!("apiVersion: write {API_VERSION}")),
        Err(error) => Problem::yaml(file, &error),
    };
    match yaml::<Head>(text) {
        Ok(head) if head.is_ours() => Err(error),
        Ok(_) if !named => Ok(None),
        Ok(Head { kind: Some(Value::String(kind)), .. }) if kind != KIND => {
            let message = format!("kind: {kind} is no suite; write {KIND}");
            Err(Problem { message, ..error })
        }
        // It is no YAML: a template, or a suite with a mistake.
        Err(_) if !named && !is_meant_as_suite(text) => Ok(None),
        Ok(_) | Err(_) => Err(error),
    }
}

/// YAML as kubectl reads it, see [`documents`].
fn yaml<T: DeserializeOwned>(text: &str) -> Result<T, serde_saphyr::Error> {
    // Ten thousand cases are more than what the default allows, and so is one user whom all of them name by an anchor. What
    // aliases may grow to has a limit of its own.
    let budget = serde_saphyr::budget! {
        max_nodes: 8_000_000, max_events: 16_000_000, max_aliases: 1_000_000, enforce_alias_anchor_ratio: false,
    };
    let options = serde_saphyr::options! { legacy_octal_numbers: true, with_snippet: false, budget: budget };
    serde_saphyr::from_str_with_options(text, options)
}

/// True if the bytes speak of a kind of ours, in UTF-16 too, which is then told to be no UTF-8.
fn mentions_kind(bytes: &[u8]) -> bool {
    let plain: Vec<u8>;
    let bytes = if bytes.starts_with(b"\xff\xfe") || bytes.starts_with(b"\xfe\xff") {
        plain = bytes.iter().copied().filter(|byte| *byte != 0).collect();
        &plain
    } else {
        bytes
    };
    [KIND, GROUP].iter().any(|word| bytes.windows(word.len()).any(|window| window == word.as_bytes()))
}

/// True if a text that cannot be read says that it is a suite.
fn is_meant_as_suite(text: &str) -> bool {
    let is_word = |c: char| c.is_alphanumeric() || c == '_' || c == '-';
    text.lines().filter(|line| !line.trim_start().starts_with('#')).any(|line| {
        let parts = line.split_once("kind").and_then(|(_, value)| value.split_once(KIND));
        // What stands between the two: a colon, quotes, a tag.
        parts.is_some_and(|(between, after)| {
            let between = between.replace("!!str", "");
            between.contains(':') && !between.contains(is_word) && !after.starts_with(is_word)
        })
    })
}

/// The documents of a YAML stream that hold anything, each with as many empty lines before it as keep its line numbers.
///
/// Cut here and not by the reader, which gives up at the first bad one.
fn chunks(text: &str) -> Vec<Cow<'_, str>> {
    if text.trim_start().starts_with('{') {
        return vec![Cow::Borrowed(text)];
    }
    let mut chunks = Vec::new();
    // The document's beginning in bytes, and how many lines are before it.
    let (mut start, mut before) = (0, 0);
    let (mut offset, mut has_content) = (0, false);
    let mut end = |start: usize, end: usize, before: usize| {
        chunks.push(if before == 0 {
            Cow::Borrowed(&text[start..end])
        } else {
            Cow::Owned("\n".repeat(before) + &text[start..end])
        });
    };
    for (line_number, line) in text.split_inclusive('\n').enumerate() {
        if is_marker(line) {
            if has_content {
                end(start, offset, before);
                has_content = false;
            }
            (start, before) = (offset, line_number);
            has_content |= holds_anything(&line[3..]);
        } else {
            // A directive belongs to the document after it.
            has_content |= holds_anything(line) && !line.starts_with('%');
        }
        offset += line.len();
    }
    if has_content {
        end(start, text.len(), before);
    }
    chunks
}

/// `---` at the start of a line begins a document wherever it stands, as long as nothing is glued to it.
fn is_marker(line: &str) -> bool {
    line.strip_prefix("---").is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t', '\r', '\n']))
}

fn holds_anything(line: &str) -> bool {
    let line = line.trim();
    !line.is_empty() && !line.starts_with('#') && line != "..."
}

#[cfg(test)]
mod tests {
    use super::chunks;

    #[test]
    fn cuts_documents_and_keeps_their_lines() {
        assert_eq!(chunks("a: 1\n---\nb: 1\n"), ["a: 1\n", "\n---\nb: 1\n"]);
        assert_eq!(chunks("# only this\n---\na: 1\n---\n"), ["\n---\na: 1\n"]);
        assert_eq!(chunks("--- {a: 1}\n--- # x\nb: 1\n...\n"), ["--- {a: 1}\n", "\n--- # x\nb: 1\n...\n"]);
        assert_eq!(chunks("a: |\n  ---\n  x\n"), ["a: |\n  ---\n  x\n"]);
        assert_eq!(chunks("{\"a\":\n---1}"), ["{\"a\":\n---1}"]);
        assert_eq!(chunks("\n# nothing\n---\n"), Vec::<String>::new());
    }
}
