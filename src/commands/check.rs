//! `check`: the decision about one update, offline.

use std::{
    io::{self, Write as _},
    path::Path,
    process::ExitCode,
};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Status;
use serde::Deserialize;

use super::{
    documents::{Document, DocumentError, Identity},
    kubectl,
    review::{self, Subject},
    source,
};
use crate::{
    admission::{self, Answer, Outcome},
    cli::{CheckArgs, Output},
};

/// Exit 0: allowed, 1: denied, 2: there was nothing to decide.
pub(super) fn run(args: &CheckArgs) -> ExitCode {
    match check(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

/// Why there was nothing to decide.
#[derive(Debug, thiserror::Error)]
enum CheckError {
    #[error(transparent)]
    Policy(#[from] source::LoadError),
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
    #[error("{name}: {message}")]
    Review { name: String, message: String },
    #[error("the review cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    #[error("standard output: {0}")]
    Output(#[from] io::Error),
}

/// The parts of the answer that kubectl shows.
#[derive(Deserialize)]
struct Answered {
    response: Response,
}

#[derive(Deserialize)]
struct Response {
    allowed: bool,
    status: Option<Status>,
    #[serde(default)]
    warnings: Vec<String>,
}

/// Whether the update is allowed.
fn check(args: &CheckArgs) -> Result<bool, CheckError> {
    let policy = source::load(&args.policy)?;
    let (name, review) = match (&args.review, &args.old, &args.new) {
        (Some(path), ..) => {
            let document = Document::read(path)?;
            (document.name, document.json.get().to_owned())
        }
        (None, Some(old), Some(new)) => update(args, old, new)?,
        _ => return Err(CheckError::NothingToCheck),
    };
    let answer = admission::answer(review.as_bytes(), &policy)
        .map_err(|error| CheckError::Review { name: name.clone(), message: error.to_string() })?;
    let answered: Answered = serde_json::from_slice(&answer.body)?;
    let allowed = answered.response.allowed;
    match args.output {
        Output::Json => print_json(&answer)?,
        Output::Text if allowed => {
            let subject = Subject::of(&review);
            match answer.decision.outcome {
                Outcome::NotApplicable => {
                    let resource = subject.resource();
                    writeln!(io::stdout(), "{subject} allowed: the policy {} is not about {resource}", policy.name())?;
                }
                _ => writeln!(io::stdout(), "{subject} allowed")?,
            }
        }
        Output::Text => {}
    }
    let status = answered.response.status.unwrap_or_default();
    if answer.decision.outcome == Outcome::BadRequest {
        return Err(CheckError::Review { name, message: status.message.unwrap_or_default() });
    }
    if args.output == Output::Text {
        // On standard error, as kubectl has it.
        for warning in answered.response.warnings {
            eprintln!("Warning: {warning}");
        }
        if !allowed {
            eprint!("{}", kubectl::failure(&status));
        }
    }
    Ok(allowed)
}

/// The review of an update from one file to the other, and what messages call it.
fn update(args: &CheckArgs, old: &Path, new: &Path) -> Result<(String, String), CheckError> {
    let subresource = args.subresource.as_deref().unwrap_or_default();
    if !["", "scale", "status"].contains(&subresource) {
        return Err(CheckError::Subresource(subresource.to_owned()));
    }
    if old == new && old == Path::new("-") {
        return Err(CheckError::StdinTwice);
    }
    let (old, new) = (Document::read(old)?, Document::read(new)?);
    let (old_identity, new_identity) = (old.identity()?, new.identity()?);
    is_same_object(&old, &new, &old_identity, &new_identity)?;
    let Identity { api_version, kind, .. } = &old_identity;
    if subresource == "scale" && (api_version.as_str(), kind.as_str()) != ("autoscaling/v1", "Scale") {
        let (api_version, kind) = (api_version.clone(), kind.clone());
        return Err(CheckError::NotAScale { name: old.name, api_version, kind });
    }
    let user = args.user.as_deref().unwrap_or_default();
    let review = review::update(&old, &new, &old_identity, subresource, user, &args.group)?;
    Ok((format!("{} and {}", old.name, new.name), review))
}

fn is_same_object(
    old: &Document,
    new: &Document,
    old_identity: &Identity,
    new_identity: &Identity,
) -> Result<(), CheckError> {
    let fields = [
        ("apiVersion", Some(&old_identity.api_version), Some(&new_identity.api_version)),
        ("kind", Some(&old_identity.kind), Some(&new_identity.kind)),
        ("metadata.name", Some(&old_identity.name), Some(&new_identity.name)),
        ("metadata.namespace", old_identity.namespace.as_ref(), new_identity.namespace.as_ref()),
    ];
    for (field, old_value, new_value) in fields {
        if let (Some(old_value), Some(new_value)) = (old_value, new_value)
            && old_value != new_value
        {
            return Err(CheckError::Identity {
                old: old.name.clone(),
                new: new.name.clone(),
                field,
                old_value: old_value.clone(),
                new_value: new_value.clone(),
            });
        }
    }
    Ok(())
}

fn print_json(answer: &Answer<'_>) -> Result<(), CheckError> {
    let json: serde_json::Value = serde_json::from_slice(&answer.body)?;
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&json)?)?;
    Ok(())
}
