//! The documents of a file, and the suites among them.

use std::{borrow::Cow, path::Path};

use super::{
    format::{API_VERSION, KIND, SuiteFile},
    problem::Problem,
};
use crate::{
    documents::{self, DocumentError},
    policy::Policy,
    yaml::{Format, Node, Reader, closest},
};

/// The group of all our kinds.
const GROUP: &str = "pytorchjob-guard/";

/// The fields that tell a suite from other documents; empty where another value than a string stands there.
struct Head<'n> {
    api_version: Option<&'n str>,
    kind: Option<&'n str>,
}

impl<'n> Head<'n> {
    /// None if the document is no map.
    fn of(node: &'n Node) -> Option<Self> {
        let text = |key| node.member(key).filter(|node| !node.is_nothing()).map(|node| node.text().unwrap_or_default());
        node.is_map().then(|| Self { api_version: text("apiVersion"), kind: text("kind") })
    }

    /// True if the document is meant as a suite of ours.
    fn is_ours(&self) -> bool {
        let is_of_group = self.api_version.is_none_or(|api_version| api_version.starts_with(GROUP));
        match self.kind {
            Some(KIND) => {
                is_of_group || self.api_version.is_some_and(|version| closest(version, &[API_VERSION]).is_some())
            }
            // A slip in the kind must not take all cases out of a run.
            kind => self.api_version.is_some() && is_of_group && kind != Some(Policy::KIND),
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
    load: impl Fn(&Path, String, SuiteFile, Vec<Problem>) -> Result<S, Vec<Problem>>,
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
        let loaded = document(&file, chunk, named)
            .and_then(|read| read.map(|(suite, problems)| load(path, name, suite, problems)).transpose());
        match loaded {
            Ok(suite) => suites.extend(suite),
            Err(found) => problems.extend(found),
        }
    }
    (suites, problems)
}

/// The suite in a document, and what is wrong with its format; none where it is of another kind and may be.
fn document(file: &str, text: &str, named: bool) -> Result<Option<(SuiteFile, Vec<Problem>)>, Vec<Problem>> {
    if !named && !mentions_kind(text.as_bytes()) {
        return Ok(None);
    }
    // It may be no YAML: a template, or a suite with a mistake.
    let may_be_another = || !named && !is_meant_as_suite(text);
    let node = match Node::read(text, Format::Suite) {
        Ok(node) => node,
        Err(_) if may_be_another() => return Ok(None),
        Err(diagnostic) => return Err(vec![Problem::read(file, diagnostic)]),
    };
    match Head::of(&node) {
        Some(head) if head.is_ours() => {}
        None if !may_be_another() => {}
        None => return Ok(None),
        Some(_) if !named => return Ok(None),
        Some(Head { kind: Some(kind), .. }) if kind != KIND && !kind.is_empty() => {
            let position = node.member("kind").map_or(node.position, |kind| kind.position);
            return Err(vec![Problem::at(file, position, format!("kind: {kind} is no suite; write {KIND}"))]);
        }
        Some(_) => {}
    }
    let mut reader = Reader::lenient(text);
    let suite = SuiteFile::from_node(&mut reader, &node);
    let problems: Vec<_> = reader.into_diagnostics().into_iter().map(|found| Problem::read(file, found)).collect();
    match suite {
        Some(suite) => Ok(Some((suite, problems))),
        None => Err(problems),
    }
}

/// True if the bytes name a kind of ours, in UTF-16 too, for which the error says that it is no UTF-8.
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
