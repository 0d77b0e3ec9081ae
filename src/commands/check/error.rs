//! The reason why there was nothing to decide.

use std::{io, path::PathBuf};

use crate::{documents::DocumentError, policy::source::SourceError};

/// The reason why there was nothing to decide.
#[derive(Debug, thiserror::Error)]
pub(super) enum CheckError {
    #[error("--policy {0}")]
    Policy(#[from] SourceError),
    #[error(transparent)]
    Document(#[from] DocumentError),
    #[error("give OLD and NEW, or --review")]
    NothingToCheck,
    #[error("standard input can be OLD or NEW, not both")]
    StdinTwice,
    #[error(
        "{old} and {new} are not the same object: {field} is {old_value:?} in the one and {new_value:?} in the other"
    )]
    Identity { old: String, new: String, field: &'static str, old_value: String, new_value: String },
    #[error("--subresource {0}: only scale and status are known")]
    Subresource(String),
    #[error("{name}: --subresource scale takes an autoscaling/v1 Scale; this is kind {kind} of {api_version}")]
    NotAScale { name: String, api_version: String, kind: String },
    #[error("{}: {source}", .folder.display())]
    Folder { folder: PathBuf, source: io::Error },
    #[error("{name}: {message}")]
    Review { name: String, message: String },
    #[error("the review cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}
