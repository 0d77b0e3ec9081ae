//! `check`: the decision about updates, offline. Two folders hold the updates that `kubectl diff` finds.

use super::{Ended, Exit, kubectl, say};
use crate::{cli::CheckArgs, policy::source::Source};

mod answer;
mod error;
mod folders;
mod update;

use self::error::CheckError;

/// Yes: allowed, no: denied. Of two folders yes: no difference, no: differences.
pub(super) fn run(args: &CheckArgs) -> Ended {
    Ok(Exit::yes_if(check(args)?))
}

fn check(args: &CheckArgs) -> Result<bool, CheckError> {
    let policy = Source::find(&args.policy)?.with_users(&args.exempt.users)?.policy()?;
    let subresource = args.subresource.as_deref().unwrap_or_default();
    if !["", "scale", "status"].contains(&subresource) {
        return Err(CheckError::Subresource(subresource.to_owned()));
    }
    match (&args.old, &args.new) {
        (Some(old), Some(new)) if args.review.is_none() && old.is_dir() && new.is_dir() => {
            folders::check(args, old, new, &policy)
        }
        _ => update::check(args, &policy),
    }
}
