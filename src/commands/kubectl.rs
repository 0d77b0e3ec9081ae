//! The outcome of a review in kubectl's words.

use std::fmt::Write as _;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Status, StatusCause};

/// The webhook's name in the manifests. An API server puts it before a message that is not about single fields.
const WEBHOOK: &str = "updates.pytorchjob-guard.internal";

/// The text that kubectl prints if an API server returns this status.
///
/// With reason `Invalid` and causes, these are listed and the message is not shown; else the message is.
pub(super) fn failure(status: &Status) -> String {
    let reason = status.reason.as_deref().unwrap_or_default();
    let details = status.details.as_ref();
    let causes = details.and_then(|details| details.causes.as_deref()).unwrap_or_default();
    if reason == "Invalid"
        && let Some(details) = details
    {
        let kind = details.kind.as_deref().unwrap_or_default();
        let name = details.name.as_deref().unwrap_or_default();
        let subject = if kind.is_empty() && name.is_empty() {
            "The request is invalid".to_owned()
        } else {
            format!("The {kind} {name:?} is invalid")
        };
        return with_causes(&subject, causes);
    }
    let denied = format!("admission webhook {WEBHOOK:?} denied the request");
    let message = match status.message.as_deref() {
        Some(message) if !message.is_empty() => format!("{denied}: {message}"),
        _ if !reason.is_empty() => format!("{denied}: {reason}"),
        _ => format!("{denied} without explanation"),
    };
    if reason.is_empty() {
        format!("Error from server: {message}\n")
    } else {
        format!("Error from server ({reason}): {message}\n")
    }
}

/// One cause stands on the subject's line, several below it; what would be said twice is said once.
fn with_causes(subject: &str, causes: &[StatusCause]) -> String {
    let mut lines: Vec<String> = Vec::new();
    for cause in causes {
        let line =
            format!("{}: {}", cause.field.as_deref().unwrap_or_default(), cause.message.as_deref().unwrap_or_default());
        if !lines.contains(&line) {
            lines.push(line);
        }
    }
    match &lines[..] {
        [] => format!("{subject}\n"),
        [line] => format!("{subject}: {line}\n"),
        lines => {
            let mut text = format!("{subject}: \n");
            for line in lines {
                // Writing to a string cannot fail.
                let _ = writeln!(text, "* {line}");
            }
            text
        }
    }
}
