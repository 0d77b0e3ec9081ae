//! Definitions of custom resources: what `kubectl get crd -o yaml` or `-o json` prints, and the files of a release, and what a policy
//! makes of them.

mod fit;
mod schema;

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

pub(crate) use self::{
    fit::{Fit, KUEUES},
    schema::Fate,
};
use crate::documents::{self, DocumentError};

/// The reason why there are no definitions. Every message names the file.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CrdError {
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
pub(crate) struct Crd {
    pub(crate) spec: Spec,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Spec {
    pub(crate) group: String,
    pub(crate) names: Names,
    pub(crate) versions: Vec<Version>,
    /// Of definitions that were made as v1beta1: nothing is pruned, whatever the schema says.
    #[serde(default)]
    pub(crate) preserve_unknown_fields: bool,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Names {
    pub(crate) plural: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct Version {
    pub(crate) name: String,
    pub(crate) served: bool,
    schema: Option<Validation>,
    #[serde(default)]
    pub(crate) subresources: Subresources,
}

#[derive(Debug, Deserialize)]
struct Validation {
    #[serde(rename = "openAPIV3Schema")]
    open_api_v3_schema: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
pub(crate) struct Subresources {
    pub(crate) status: Option<Value>,
    pub(crate) scale: Option<Scale>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Scale {
    pub(crate) spec_replicas_path: String,
}

impl Version {
    pub(crate) fn schema(&self) -> Option<&Value> {
        self.schema.as_ref()?.open_api_v3_schema.as_ref()
    }
}

impl Crd {
    /// `pytorchjobs.kubeflow.org`
    pub(crate) fn name(&self) -> String {
        format!("{}.{}", self.spec.names.plural, self.spec.group)
    }

    /// The definitions in a file; `-` is standard input.
    pub(crate) fn read(path: &Path) -> Result<Vec<Self>, CrdError> {
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

    /// The definition; `name` is what messages call its origin.
    pub(crate) fn from_value(value: Value, name: &str) -> Result<Self, CrdError> {
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
