//! `check`: the decision about one update, offline. Two folders are for [`diff`].

use std::{
    io::{self, Write as _},
    path::{Path, PathBuf},
    process::ExitCode,
};

use serde::Serialize;

use super::{diff, failed, kubectl, say};
use crate::{
    admission::{self, Answer, Outcome},
    cli::{CheckArgs, Output},
    documents::{
        Document, DocumentError, Identity,
        review::{self, Asker, Subject},
    },
    policy::Policy,
    policy::source::{Source, SourceError},
};

/// Exit 0: allowed, 1: denied, 2: there was nothing to decide. Of folders 0 says no difference, and 1 differences.
pub(super) fn run(args: &CheckArgs) -> ExitCode {
    match check(args) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(1),
        Err(error) => failed(&error),
    }
}

/// Why there was nothing to decide.
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

/// Whether the update is allowed, or, of folders, whether nothing differs.
fn check(args: &CheckArgs) -> Result<bool, CheckError> {
    let policy = Source::find(&args.policy)?.policy()?;
    let subresource = args.subresource.as_deref().unwrap_or_default();
    if !["", "scale", "status"].contains(&subresource) {
        return Err(CheckError::Subresource(subresource.to_owned()));
    }
    let (name, review) = match (&args.review, &args.old, &args.new) {
        (Some(path), ..) => {
            let document = Document::read(path)?;
            (document.name, document.json.get().to_owned())
        }
        (None, Some(old), Some(new)) if old.is_dir() && new.is_dir() => return diff::check(args, old, new, &policy),
        (None, Some(old), Some(new)) => update(args, old, new)?,
        _ => return Err(CheckError::NothingToCheck),
    };
    let answer = decide(&name, &review, &policy)?;
    match args.output {
        Output::Json => print_json(&answer.review())?,
        Output::Text if answer.response.allowed => {
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
    if let Some(error) = undecided(&name, &answer) {
        return Err(error);
    }
    if args.output == Output::Text {
        // On standard error, as kubectl has it.
        for warning in &answer.response.warnings {
            say(format_args!("Warning: {warning}"));
        }
        if let Some(status) = answer.response.status.as_ref().filter(|_| !answer.response.allowed) {
            say(kubectl::failure(status).trim_end_matches('\n'));
        }
    }
    Ok(answer.response.allowed)
}

/// The answer that the webhook would give to a review.
pub(super) fn decide<'a>(name: &str, review: &'a str, policy: &Policy) -> Result<Answer<'a>, CheckError> {
    admission::answer(review.as_bytes(), policy)
        .map_err(|error| CheckError::Review { name: name.to_owned(), message: error.to_string() })
}

/// The error of a review that lacks something.
pub(super) fn undecided(name: &str, answer: &Answer<'_>) -> Option<CheckError> {
    let message = || answer.response.status.as_ref().and_then(|status| status.message.clone()).unwrap_or_default();
    (answer.decision.outcome == Outcome::BadRequest)
        .then(|| CheckError::Review { name: name.to_owned(), message: message() })
}

/// The review of an update from one file to the other, and what messages call it.
fn update(args: &CheckArgs, old: &Path, new: &Path) -> Result<(String, String), CheckError> {
    if old == new && old == Path::new("-") {
        return Err(CheckError::StdinTwice);
    }
    let (old, new) = (Document::read(old)?, Document::read(new)?);
    let (old_identity, new_identity) = (old.identity()?, new.identity()?);
    is_same_object(&old, &new, &old_identity, &new_identity)?;
    let Identity { api_version, kind, .. } = &old_identity;
    if args.subresource.as_deref() == Some("scale")
        && (api_version.as_str(), kind.as_str()) != ("autoscaling/v1", "Scale")
    {
        let (api_version, kind) = (api_version.clone(), kind.clone());
        return Err(CheckError::NotAScale { name: old.name, api_version, kind });
    }
    let review = review::of("check", Some(&old), Some(&new), &old_identity, asker(args))?;
    Ok((format!("{} and {}", old.name, new.name), review))
}

/// Who asks for what, as the command line says it.
pub(super) fn asker(args: &CheckArgs) -> Asker<'_> {
    Asker {
        subresource: args.subresource.as_deref().unwrap_or_default(),
        user: args.user.as_deref().unwrap_or_default(),
        groups: &args.group,
    }
}

pub(super) fn is_same_object(
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

/// Prints JSON with its keys in the order of the alphabet.
pub(super) fn print_json(json: &impl Serialize) -> Result<(), CheckError> {
    writeln!(io::stdout(), "{}", serde_json::to_string_pretty(&serde_json::to_value(json)?)?)?;
    Ok(())
}
