//! Reads the JSON and YAML files that `check` and `test` are given.

pub(crate) mod review;

use std::{io, path::Path};

use serde::Deserialize;
use serde_json::{Value, value::RawValue};
use serde_saphyr::{SnippetMode, UserMessageFormatter};

use crate::contents::{self, ContentsError};

/// No object that etcd would store comes near this: what is larger is a mistake, like a device file.
const MAX_BYTES: u64 = 64 << 20;

/// The reason why a file holds no document that can be judged. Every message names the file, and the place in it.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DocumentError {
    #[error("{name}: {source}")]
    Contents { name: String, source: ContentsError },
    #[error("{name}: {source}")]
    Json { name: String, source: serde_json::Error },
    #[error("{name}: {message}")]
    Yaml { name: String, message: String },
    #[error("{name}: {what}")]
    Content { name: String, what: String },
}

/// One JSON or YAML document: a map, as JSON.
#[derive(Debug)]
pub(crate) struct Document {
    /// The name in messages: the file's path.
    pub(crate) name: String,
    /// The document as JSON. What was JSON is as it was, to the byte, so that no number changes on the way.
    pub(crate) json: Box<RawValue>,
}

impl Document {
    /// Reads a file; `-` is standard input.
    pub(crate) fn read(path: &Path) -> Result<Self, DocumentError> {
        let (name, bytes) = bytes(path)?;
        Self::parse(name, &bytes)
    }

    fn parse(name: String, bytes: &[u8]) -> Result<Self, DocumentError> {
        let text = text(&name, bytes)?;
        // As kubectl tells JSON from YAML.
        let json = if text.trim_start().starts_with('{') {
            serde_json::from_str::<Box<RawValue>>(text)
        } else {
            match yaml(text) {
                Ok(value) => serde_json::value::to_raw_value(&value),
                Err(message) => return Err(DocumentError::Yaml { name, message }),
            }
        };
        match json {
            Err(source) => Err(DocumentError::Json { name, source }),
            Ok(json) if json.get().trim_start().starts_with('{') => Ok(Self { name, json }),
            Ok(_) => Err(DocumentError::Content { name, what: "holds no object".to_owned() }),
        }
    }

    /// The identity of the object in the document. An error names the field that is missing.
    pub(crate) fn identity(&self) -> Result<Identity, DocumentError> {
        let head: Head = serde_json::from_str(self.json.get())
            .map_err(|source| DocumentError::Json { name: self.name.clone(), source })?;
        let required = |value: Option<Value>, field: &str| {
            let what = match value {
                Some(Value::String(text)) if !text.is_empty() => return Ok(text),
                None | Some(Value::Null | Value::String(_)) => format!("has no {field}"),
                Some(_) => format!("its {field} is not a string"),
            };
            Err(DocumentError::Content { name: self.name.clone(), what })
        };
        let api_version = required(head.api_version, "apiVersion")?;
        let kind = required(head.kind, "kind")?;
        if kind == "List" {
            let what = "holds a List; give one object".to_owned();
            return Err(DocumentError::Content { name: self.name.clone(), what });
        }
        let member = |key: &str| head.metadata.as_ref().and_then(|metadata| metadata.get(key)).cloned();
        let name = required(member("name"), "metadata.name")?;
        // A namespace may be left to the command line in kubectl, so it may be missing here.
        let namespace = match member("namespace") {
            None | Some(Value::Null) => None,
            namespace => Some(required(namespace, "metadata.namespace")?),
        };
        Ok(Identity { api_version, kind, name, namespace })
    }
}

/// The name of a file in messages; `-` is standard input.
pub(crate) fn name(path: &Path) -> String {
    if path == Path::new("-") { "standard input".to_owned() } else { path.display().to_string() }
}

/// A file's bytes, and what messages call it; `-` is standard input.
pub(crate) fn bytes(path: &Path) -> Result<(String, Vec<u8>), DocumentError> {
    let name = name(path);
    let read = if path == Path::new("-") {
        contents::of(io::stdin().lock(), MAX_BYTES)
    } else {
        contents::of_file(path, MAX_BYTES)
    };
    match read {
        Ok(bytes) => Ok((name, bytes)),
        Err(source) => Err(DocumentError::Contents { name, source }),
    }
}

/// The bytes as text.
pub(crate) fn text<'b>(name: &str, bytes: &'b [u8]) -> Result<&'b str, DocumentError> {
    contents::text(bytes).map_err(|source| DocumentError::Contents { name: name.to_owned(), source })
}

/// The fields that tell one object from another.
#[derive(Debug, Clone)]
pub(crate) struct Identity {
    pub(crate) api_version: String,
    pub(crate) kind: String,
    pub(crate) name: String,
    pub(crate) namespace: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Head {
    api_version: Option<Value>,
    kind: Option<Value>,
    metadata: Option<Value>,
}

/// A YAML text of one document, as kubectl reads it: YAML 1.1, where `0644` is octal and `yes` is true. An `&anchor` that
/// is used too often hits the reader's limits.
fn yaml(text: &str) -> Result<Value, String> {
    let options = serde_saphyr::options! { legacy_octal_numbers: true };
    serde_saphyr::from_str_with_options(text, options).map_err(|error| told(&error))
}

/// The YAML reader's message, without the lines around the position.
pub(crate) fn told(error: &serde_saphyr::Error) -> String {
    error.render_with_options(serde_saphyr::render_options! {
        formatter: &UserMessageFormatter,
        snippets: SnippetMode::Off,
    })
}
