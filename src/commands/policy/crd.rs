//! Reads CRDs: what `kubectl get crd -o yaml` or `-o json` prints, and the files of a release.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use crate::documents::{self, DocumentError};

/// The reason why there are no definitions. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub(super) enum CrdError {
    #[error(transparent)]
    Text(#[from] DocumentError),
    #[error("{name}: {message}")]
    Syntax { name: String, message: String },
    #[error("{name}: {crd} is of {api_version}; give it in apiextensions.k8s.io/v1")]
    Version { name: String, crd: String, api_version: String },
    #[error("{name}: {crd} is no CustomResourceDefinition: {source}")]
    Content { name: String, crd: String, source: serde_json::Error },
    #[error("{name}: holds no CustomResourceDefinition of {wanted}, which the policy {policy} is for; it holds {held}")]
    Missing { name: String, wanted: String, policy: String, held: String },
}

/// The parts of a `CustomResourceDefinition` that a policy has to do with.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Crd {
    pub(super) spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Spec {
    pub(super) group: String,
    pub(super) names: Names,
    pub(super) versions: Vec<Version>,
    /// Of definitions that were made as v1beta1: nothing is pruned, whatever the schema says.
    #[serde(default)]
    pub(super) preserve_unknown_fields: bool,
}

#[derive(Debug, Deserialize)]
pub(super) struct Names {
    pub(super) plural: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Version {
    pub(super) name: String,
    pub(super) served: bool,
    schema: Option<Validation>,
    #[serde(default)]
    pub(super) subresources: Subresources,
}

#[derive(Debug, Deserialize)]
struct Validation {
    #[serde(rename = "openAPIV3Schema")]
    open_api_v3_schema: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
pub(super) struct Subresources {
    pub(super) status: Option<Value>,
    pub(super) scale: Option<Scale>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Scale {
    pub(super) spec_replicas_path: String,
}

impl Version {
    pub(super) fn schema(&self) -> Option<&Value> {
        self.schema.as_ref()?.open_api_v3_schema.as_ref()
    }
}

impl Crd {
    /// `pytorchjobs.kubeflow.org`
    pub(super) fn name(&self) -> String {
        format!("{}.{}", self.spec.names.plural, self.spec.group)
    }

    /// The definitions in a file; `-` is standard input.
    pub(super) fn read(path: &Path) -> Result<Vec<Self>, CrdError> {
        let (name, bytes) = documents::bytes(path)?;
        let documents = documents_of(documents::text(&name, &bytes)?)
            .map_err(|message| CrdError::Syntax { name: name.clone(), message })?;
        let mut crds = Vec::new();
        for document in documents {
            // `kubectl get` prints several objects as a List.
            let items = match document.get("items") {
                Some(Value::Array(items)) if kind(&document).ends_with("List") => items.clone(),
                _ => vec![document],
            };
            for item in items.into_iter().filter(|item| kind(item) == "CustomResourceDefinition") {
                crds.push(Self::from_value(item, &name)?);
            }
        }
        Ok(crds)
    }

    fn from_value(value: Value, name: &str) -> Result<Self, CrdError> {
        let name = name.to_owned();
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let (crd, api_version) = (text(&value["metadata"]["name"]), text(&value["apiVersion"]));
        if api_version != "apiextensions.k8s.io/v1" {
            return Err(CrdError::Version { name, crd, api_version });
        }
        serde_json::from_value(value).map_err(|source| CrdError::Content { name, crd, source })
    }
}

fn kind(document: &Value) -> &str {
    document["kind"].as_str().unwrap_or_default()
}

/// The documents of a text, JSON or YAML as kubectl tells them apart.
fn documents_of(text: &str) -> Result<Vec<Value>, String> {
    if text.trim_start().starts_with('{') {
        let documents = serde_json::Deserializer::from_str(text).into_iter();
        return documents.collect::<Result<_, _>>().map_err(|error| error.to_string());
    }
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! { max_events: 16 << 20, max_nodes: 8 << 20 },
    };
    serde_saphyr::from_multiple_with_options(text, options).map_err(|error| documents::told(&error))
}
