//! Deciding a review: a small one where it was read, a large one in the pool for large ones.

use std::{net::SocketAddr, sync::Arc};

use tokio::time::Instant;

use super::{
    audit,
    body::{Body, SMALL_BYTES},
    state::State,
    trace,
};
use crate::{
    admission::{self, NotAReview},
    policy::Policy,
};

/// The reason why a complete review was not decided.
pub(super) enum Undecided {
    /// The body is not an AdmissionReview.
    NotAReview(NotAReview),
    /// There were too many large reviews before it.
    TooLate,
}

/// Decides, or gives up if a large review cannot begin in time: its answer would be thrown away.
pub(super) async fn decide(
    state: &Arc<State>,
    policy: Arc<Policy>,
    body: Body,
    traceparent: Option<String>,
    peer: SocketAddr,
    deadline: Instant,
) -> Result<Vec<u8>, Undecided> {
    if body.len() <= SMALL_BYTES {
        return answer(state, &policy, &body, traceparent.as_deref(), peer);
    }
    let (shared, bytes) = (Arc::clone(state), body.len());
    let decide = move || answer(&shared, &policy, &body, traceparent.as_deref(), peer);
    state.decision_pool.run(bytes, deadline, decide).await.unwrap_or(Err(Undecided::TooLate))
}

fn answer(
    state: &State,
    policy: &Policy,
    body: &[u8],
    traceparent: Option<&str>,
    peer: SocketAddr,
) -> Result<Vec<u8>, Undecided> {
    let begun = Instant::now();
    let answer = admission::answer(body, policy).map_err(Undecided::NotAReview)?;
    state.metrics.decided(policy, &answer.decision, begun.elapsed());
    audit::log(policy, &answer.decision, traceparent.and_then(trace::Parent::parse), peer, &state.log_limiter);
    Ok(answer.body)
}
