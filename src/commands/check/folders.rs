//! Two folders: the decisions about all the updates that `kubectl diff` finds.
//!
//! `kubectl diff` writes each object as it is stored into one folder and as it would become into another, and shows what
//! the program in `KUBECTL_EXTERNAL_DIFF` says of the two. Of the exit code it passes on 0, no difference, and 1; what is
//! above that is an error to it.

use std::{
    collections::BTreeSet,
    ffi::OsString,
    fmt, fs, io,
    io::Write as _,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::{CheckError, answer, kubectl};
use crate::{
    admission::{Outcome, Response, Violation},
    cli::{CheckArgs, Output},
    documents::{
        Document, DocumentError, Identity,
        review::{self, Subject},
    },
    policy::{DenialReason, Policy, ValidationAction},
};

/// The most fields that are listed of an object, as in an answer.
const SHOWN: usize = 32;

/// Returns true if nothing differs between the objects in the two folders. Files of the same name are one object.
pub(super) fn check(args: &CheckArgs, old: &Path, new: &Path, policy: &Policy) -> Result<bool, CheckError> {
    let mut answers = Vec::new();
    let mut same = true;
    for file in files(old)?.union(&files(new)?) {
        let Some(difference) = Difference::between(&old.join(file), &new.join(file))? else { continue };
        same = false;
        let (text, answer) = difference.judge(args, file, policy)?;
        match args.output {
            Output::Json => answers.push(answer),
            Output::Text => io::stdout().write_all(text.as_bytes())?,
        }
    }
    if args.output == Output::Json {
        answer::print_json(&Value::Array(answers))?;
    }
    Ok(same)
}

/// The names of a folder's files.
fn files(folder: &Path) -> Result<BTreeSet<OsString>, CheckError> {
    let failed = |source| CheckError::Folder { folder: folder.to_owned(), source };
    let entries = fs::read_dir(folder).map_err(failed)?;
    entries.map(|entry| Ok(entry.map_err(failed)?.file_name())).collect()
}

/// An object that is not the same in both folders.
struct Difference {
    /// Absent where the object would be created.
    old: Option<Document>,
    /// Absent where the object would be deleted.
    new: Option<Document>,
    identity: Identity,
}

impl Difference {
    /// None where there is none.
    fn between(old: &Path, new: &Path) -> Result<Option<Self>, CheckError> {
        let (old, new) = (read(old)?, read(new)?);
        let identity = match (&old, &new) {
            (None, None) => return Ok(None),
            (Some(old), Some(new)) if old.json.get() == new.json.get() => return Ok(None),
            (Some(old), Some(new)) => {
                let identity = old.identity()?;
                answer::is_same_object(old, new, &identity, &new.identity()?)?;
                identity
            }
            (Some(only), None) | (None, Some(only)) => only.identity()?,
        };
        Ok(Some(Self { old, new, identity }))
    }

    /// The text about it, and the AdmissionReview that the webhook would answer.
    fn judge(&self, args: &CheckArgs, file: &OsString, policy: &Policy) -> Result<(String, Value), CheckError> {
        let Self { old, new, identity } = self;
        let name = PathBuf::from(file).display().to_string();
        // The answer repeats the uid, which is how a list of answers says what each is about.
        let review = review::of(&name, old.as_ref(), new.as_ref(), identity, answer::asker(args))?;
        let decided = answer::decide(&name, &review, policy)?;
        if let Some(error) = answer::undecided(&name, &decided) {
            return Err(error);
        }
        let subject = Subject::of(&review);
        let place = Place { namespace: identity.namespace.as_deref(), policy: policy.name() };
        let text = match (decided.decision.outcome, old, new) {
            (_, None, _) => format!("{subject} created {place}: only updates are denied\n"),
            (_, _, None) => format!("{subject} deleted {place}: only updates are denied\n"),
            (Outcome::NotApplicable, ..) => {
                format!("{subject} allowed {place}: the policy is not about {}\n", subject.resource())
            }
            (Outcome::Denied, ..) => {
                let failure = decided.response.status.as_ref().map(kubectl::failure).unwrap_or_default();
                format!("{subject} denied {place}\n{}{failure}", warnings(&decided.response))
            }
            _ => {
                let changes = changes(&name, &review, policy)?;
                let changes = if changes.is_empty() { "  nothing that counts as a change\n" } else { &changes };
                format!("{subject} allowed {place}\n{changes}{}", warnings(&decided.response))
            }
        };
        Ok((text, serde_json::to_value(decided.review())?))
    }
}

/// The namespace of an object, and the policy that judges it. kubectl drops some of the words that would choose another
/// policy.
struct Place<'a> {
    namespace: Option<&'a str>,
    policy: &'a str,
}

impl fmt::Display for Place<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { namespace, policy } = self;
        match namespace {
            Some(namespace) => write!(formatter, "(namespace {namespace}, policy {policy})"),
            None => write!(formatter, "(policy {policy})"),
        }
    }
}

/// The object in a file. kubectl leaves the file of an object that does not exist empty.
fn read(path: &Path) -> Result<Option<Document>, DocumentError> {
    match fs::metadata(path) {
        Ok(file) if file.is_file() && file.len() == 0 => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        _ => Document::read(path).map(Some),
    }
}

fn warnings(response: &Response) -> String {
    response.warnings.iter().flat_map(|warning| ["Warning: ", warning, "\n"]).collect()
}

/// A line for each field that changes: what a policy would deny that allows nothing.
fn changes(name: &str, review: &str, policy: &Policy) -> Result<String, CheckError> {
    let nothing = Policy {
        mutable_fields: Vec::new(),
        exemptions: Vec::new(),
        actions: vec![ValidationAction::Deny],
        reason: DenialReason::Invalid,
        ..policy.clone()
    };
    let violations = answer::decide(name, review, &nothing)?.decision.violations;
    let line = |violation: &Violation| format!("  {}{}\n", violation.path, violation.what());
    let more = violations.len() - violations.first.len().min(SHOWN);
    let more =
        (more > 0).then(|| format!("  (more) {more} more {} changed\n", if more == 1 { "field" } else { "fields" }));
    Ok(violations.first.iter().take(SHOWN).map(line).chain(more).collect())
}
