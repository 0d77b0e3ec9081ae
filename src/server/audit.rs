//! One log line for each review that somebody may ask about later. It names fields, never what they hold.

use tracing::{info, warn};

use crate::admission::{Decision, Outcome};

/// Longer than any name, uid or user that an API server lets through.
const TEXT_BYTES: usize = 256;
/// Room for the fields; the response has the rest.
const FIELDS_BYTES: usize = 2048;

/// Logs a decision, unless it is one of the many that allow.
pub(super) fn log(decision: &Decision<'_>) {
    // All strings come from the peer. Given to tracing as values they are escaped in both formats, so none can pass
    // for a line of its own.
    let uid = cut(&decision.uid);
    let user = cut(&decision.user);
    let namespace = cut(&decision.namespace);
    let name = cut(&decision.name);
    let operation = cut(&decision.operation);
    let subresource = cut(&decision.subresource);
    let dry_run = decision.dry_run;
    match decision.outcome {
        Outcome::Allowed => {}
        Outcome::Denied => {
            let fields = joined(&decision.violations);
            let fields = fields.as_str();
            info!(uid, user, namespace, name, operation, subresource, dry_run, fields, "denied");
        }
        Outcome::NotApplicable => {
            info!(uid, user, namespace, name, operation, subresource, dry_run, "not applicable");
        }
        Outcome::BadRequest => {
            warn!(uid, user, namespace, name, operation, subresource, dry_run, "bad request");
        }
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}

/// The paths with commas between them, as many as there is room for.
fn joined(paths: &[String]) -> String {
    let mut text = String::new();
    for (index, path) in paths.iter().enumerate() {
        if text.len() + path.len() > FIELDS_BYTES {
            text.push_str(&format!("{}and {} more", if index > 0 { "," } else { "" }, paths.len() - index));
            break;
        }
        if index > 0 {
            text.push(',');
        }
        text.push_str(path);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_a_line_whatever_the_review_holds() {
        let paths = vec!["spec.a".to_owned(), "spec.b".to_owned()];
        assert_eq!(joined(&paths), "spec.a,spec.b");
        let many: Vec<String> = (0..10_000).map(|n| format!("spec.field{n}")).collect();
        let line = joined(&many);
        assert!(line.len() < FIELDS_BYTES + 64, "{} bytes", line.len());
        assert!(line.ends_with(" more"), "{line}");
        assert_eq!(joined(&["x".repeat(FIELDS_BYTES + 1)]), "and 1 more");
        assert_eq!(cut(&"ü".repeat(1_000)).len(), TEXT_BYTES);
    }
}
