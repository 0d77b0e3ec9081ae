//! The answer to a review, and the parts of one that files and the command line give.

use std::io::{self, Write as _};

use serde::Serialize;

use super::CheckError;
use crate::{
    admission::{self, Answer, Outcome},
    cli::CheckArgs,
    documents::{Document, Identity, review::Asker},
    policy::Policy,
};

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

/// The user, groups and subresource that the command line gives.
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
