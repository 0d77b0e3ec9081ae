//! One log line for each denied or tolerated update. It names fields, never their values.

use std::net::SocketAddr;

use tracing::{info, warn};

use super::{log_limiter::LogLimiter, trace::Parent};
use crate::{
    admission::{Decision, Outcome},
    policy::Policy,
};

/// Longer than any name, uid or user that an API server lets through.
const TEXT_BYTES: usize = 256;

/// Logs a decision that is not a plain yes, with the trace that the request named. Any peer can send reviews that API servers do
/// not send; the lines about those are limited, and name the peer.
pub(super) fn log(
    policy: &Policy,
    decision: &Decision<'_>,
    parent: Option<Parent<'_>>,
    peer: SocketAddr,
    limiter: &LogLimiter,
) {
    let count = match decision.outcome {
        Outcome::Allowed => return,
        Outcome::Denied | Outcome::Tolerated => None,
        Outcome::NotApplicable | Outcome::BadRequest => {
            let kind = if decision.outcome == Outcome::BadRequest { "bad review" } else { "not applicable" };
            let Some(count) = limiter.count(kind) else { return };
            Some(count)
        }
    };
    // All strings come from the peer. Given to tracing as values they are escaped in both formats, so none can pass
    // for a line of its own.
    let policy = policy.name();
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
            info!(
                policy,
                uid, user, namespace, name, operation, subresource, dry_run, fields, trace_id, span_id, "denied"
            );
        }
        Outcome::Tolerated => {
            info!(
                policy,
                uid, user, namespace, name, operation, subresource, dry_run, fields, trace_id, span_id, "tolerated"
            );
        }
        Outcome::NotApplicable => {
            info!(%peer, policy, uid, user, namespace, name, operation, subresource, dry_run, trace_id, span_id, count, "not applicable");
        }
        Outcome::BadRequest => {
            warn!(%peer, policy, uid, user, namespace, name, operation, subresource, dry_run, trace_id, span_id, count, "bad request");
        }
    }
}

fn cut(text: &str) -> &str {
    &text[..text.floor_char_boundary(TEXT_BYTES)]
}
