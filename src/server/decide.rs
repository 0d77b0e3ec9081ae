//! Deciding a review: a small one where it was read, a large one on a thread for large ones.

use std::{panic::resume_unwind, sync::Arc, thread};

use tokio::{
    sync::{AcquireError, Semaphore},
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use super::{
    audit,
    body::{Body, SMALL_BYTES},
    config::Limits,
    state::State,
    trace,
};
use crate::admission::{self, NotAReview};

/// The share of [`Limits::buffered_bytes`] that is decided at a time, as a divisor. A decision takes up to eight times its body.
const DECIDED_SHARE: usize = 4;
/// What a permit for bytes stands for: a semaphore counts in 32 bits.
const UNIT: usize = 1 << 10;

/// Why a complete review was not decided.
pub(super) enum Undecided {
    /// It is none.
    NotAReview(NotAReview),
    /// There were too many large ones before it.
    TooLate,
}

/// Permits to decide large reviews.
pub(super) struct Deciders {
    threads: Arc<Semaphore>,
    /// For bytes, in units: what they take is bounded on a machine with many cores too.
    units: Arc<Semaphore>,
    most: u32,
}

/// The number of large reviews that are decided at a time: one for each core, but one core stays free where there are two.
#[must_use]
pub fn large_decisions() -> usize {
    thread::available_parallelism().map_or(1, |cores| (cores.get() - 1).max(1))
}

impl Deciders {
    pub(super) fn new(limits: &Limits) -> Self {
        let most = u32::try_from(limits.body_bytes.max(limits.buffered_bytes / DECIDED_SHARE).div_ceil(UNIT));
        let most = most.unwrap_or(u32::MAX).min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        Self {
            threads: Arc::new(Semaphore::new(large_decisions())),
            units: Arc::new(Semaphore::new(most as usize)),
            most,
        }
    }

    /// Decides, or gives up where a large review cannot begin in time: its answer would be thrown away.
    pub(super) async fn decide(
        &self,
        state: &Arc<State>,
        body: Body,
        traceparent: Option<String>,
        deadline: Instant,
    ) -> Result<Vec<u8>, Undecided> {
        if body.len() <= SMALL_BYTES {
            return decide(state, &body, traceparent.as_deref());
        }
        let state = Arc::clone(state);
        let decided = self.run(body.len(), deadline, move || decide(&state, &body, traceparent.as_deref()));
        decided.await.unwrap_or(Err(Undecided::TooLate))
    }

    /// Runs the decision of this many bytes on a thread for large ones; none where it cannot begin in time.
    async fn run<T: Send + 'static>(
        &self,
        bytes: usize,
        deadline: Instant,
        decide: impl FnOnce() -> T + Send + 'static,
    ) -> Option<T> {
        let units = u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX).min(self.most);
        let permits = timeout_at(deadline, async {
            let thread = Arc::clone(&self.threads).acquire_owned().await?;
            Ok::<_, AcquireError>((thread, Arc::clone(&self.units).acquire_many_owned(units).await?))
        });
        // The second error would say that a semaphore was closed, which none is.
        let Ok(Ok(permits)) = permits.await else { return None };
        let decided = spawn_blocking(move || {
            let decided = decide();
            drop(permits);
            decided
        });
        match decided.await {
            Ok(decided) => Some(decided),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // The process ends.
                Err(_) => None,
            },
        }
    }
}

fn decide(state: &State, body: &[u8], traceparent: Option<&str>) -> Result<Vec<u8>, Undecided> {
    let begun = Instant::now();
    let answer = admission::answer(body, &state.policy()).map_err(Undecided::NotAReview)?;
    state.metrics.decided(&answer.decision, begun.elapsed());
    audit::log(&answer.decision, traceparent.and_then(trace::Parent::parse));
    Ok(answer.body)
}

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    const LARGE: usize = 1 << 20;

    fn deciders() -> Arc<Deciders> {
        let limits = Limits { body_bytes: LARGE, connections: 1, buffered_bytes: 2 * LARGE };
        Arc::new(Deciders::new(&limits))
    }

    #[tokio::test]
    async fn a_large_review_waits_for_those_before_it_and_no_longer_than_it_may() {
        let deciders = deciders();
        let (began, has_begun) = tokio::sync::oneshot::channel();
        let (end, ends) = mpsc::channel::<()>();
        let soon = || Instant::now() + Duration::from_hours(1);
        let first = tokio::spawn({
            let deciders = Arc::clone(&deciders);
            let deadline = soon();
            async move {
                let decide = move || {
                    began.send(()).expect("the test waits for it");
                    ends.recv().expect("the test ends it");
                };
                deciders.run(LARGE, deadline, decide).await
            }
        });
        has_begun.await.expect("it begins");
        // All the bytes that may be decided at a time are taken, however many threads there are.
        assert_eq!(deciders.run(LARGE, Instant::now(), || ()).await, None);
        end.send(()).expect("it waits");
        assert_eq!(first.await.expect("no panic"), Some(()));
        assert_eq!(deciders.run(LARGE, soon(), || ()).await, Some(()));
    }

    #[tokio::test]
    async fn a_body_at_the_limit_can_be_decided() {
        let deadline = Instant::now() + Duration::from_hours(1);
        assert_eq!(deciders().run(LARGE, deadline, || ()).await, Some(()));
    }
}
