//! One log line for each review that somebody may ask about later. It names fields, never what they hold.

use tracing::{info, warn};

use super::trace::Parent;
use crate::admission::{Decision, Outcome};

/// Longer than any name, uid or user that an API server lets through.
const TEXT_BYTES: usize = 256;

/// Logs a decision, unless it is one of the many that find nothing, with the trace that the request named.
pub(super) fn log(decision: &Decision<'_>, parent: Option<Parent<'_>>) {
    if decision.outcome == Outcome::Allowed {
        return;
    }
    // All strings come from the peer. Given to tracing as values they are escaped in both formats, so none can pass
    // for a line of its own.
    let uid = cut(&decision.uid);
    let user = cut(&decision.user);
    let namespace = cut(&decision.namespace);
    let name = cut(&decision.name);
    let operation = cut(&decision.operation);
    let subresource = cut(&decision.subresource);
    let dry_run = decision.dry_run;
    let fields = decision.violations.paths();
    let fields = fields.as_str();
    // Fields without a value are not written.
    let (trace_id, span_id) = (parent.map(|parent| parent.trace_id), parent.map(|parent| parent.span_id));
    match decision.outcome {
        Outcome::Allowed => {}
        Outcome::Denied => {
            info!(uid, user, namespace, name, operation, subresource, dry_run, fields, trace_id, span_id, "denied");
        }
        Outcome::Tolerated => {
            info!(uid, user, namespace, name, operation, subresource, dry_run, fields, trace_id, span_id, "tolerated");
        }
        Outcome::NotApplicable => {
            info!(uid, user, namespace, name, operation, subresource, dry_run, trace_id, span_id, "not applicable");
        }
        Outcome::BadRequest => {
            warn!(uid, user, namespace, name, operation, subresource, dry_run, trace_id, span_id, "bad request");
        }
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}
