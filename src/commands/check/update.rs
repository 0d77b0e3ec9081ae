//! One update: of two files, or of a saved review.

use std::{
    io::{self, Write as _},
    path::Path,
};

use super::{CheckError, answer, kubectl, say};
use crate::{
    admission::Outcome,
    cli::{CheckArgs, Output},
    documents::{
        Document, Identity,
        review::{self, Subject},
    },
    policy::Policy,
};

/// Prints the answer. Returns true if the update is allowed.
pub(super) fn check(args: &CheckArgs, policy: &Policy) -> Result<bool, CheckError> {
    let (name, review) = match (&args.review, &args.old, &args.new) {
        (Some(path), ..) => {
            let document = Document::read(path)?;
            (document.name, document.json.get().to_owned())
        }
        (None, Some(old), Some(new)) => review_of(args, old, new)?,
        _ => return Err(CheckError::NothingToCheck),
    };
    let answer = answer::decide(&name, &review, policy)?;
    match args.output {
        Output::Json => answer::print_json(&answer.review())?,
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
    if let Some(error) = answer::undecided(&name, &answer) {
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

/// The review of an update from one file to the other, and what messages call it.
fn review_of(args: &CheckArgs, old: &Path, new: &Path) -> Result<(String, String), CheckError> {
    if old == new && old == Path::new("-") {
        return Err(CheckError::StdinTwice);
    }
    let (old, new) = (Document::read(old)?, Document::read(new)?);
    let (old_identity, new_identity) = (old.identity()?, new.identity()?);
    answer::is_same_object(&old, &new, &old_identity, &new_identity)?;
    let Identity { api_version, kind, .. } = &old_identity;
    if args.subresource.as_deref() == Some("scale")
        && (api_version.as_str(), kind.as_str()) != ("autoscaling/v1", "Scale")
    {
        let (api_version, kind) = (api_version.clone(), kind.clone());
        return Err(CheckError::NotAScale { name: old.name, api_version, kind });
    }
    let review = review::of("check", Some(&old), Some(&new), &old_identity, answer::asker(args))?;
    Ok((format!("{} and {}", old.name, new.name), review))
}
