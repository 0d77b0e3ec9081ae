//! The threads and the bytes that large reviews may take up at a time.

use std::{panic::resume_unwind, sync::Arc, thread};

use tokio::{
    sync::{AcquireError, Semaphore},
    task::spawn_blocking,
    time::{Instant, timeout_at},
};

use super::config::Limits;

/// The share of [`Limits::buffered_bytes`] that is decided at a time, as a divisor: a decision takes several times its body
/// (`tests/bounds.rs` measures it).
const DECIDED_SHARE: usize = 4;
/// The bytes of one permit: a semaphore counts in 32 bits.
const UNIT: usize = 1 << 10;

/// Permits to decide large reviews.
pub(super) struct DecisionPool {
    threads: Arc<Semaphore>,
    /// For bytes, in units: what they take is bounded on a machine with many cores too.
    units: Arc<Semaphore>,
    most: u32,
}

/// The number of large reviews that are decided at a time: one for each core, less one where there are two or more.
#[must_use]
pub fn large_decisions() -> usize {
    thread::available_parallelism().map_or(1, |cores| (cores.get() - 1).max(1))
}

impl DecisionPool {
    pub(super) fn new(limits: &Limits) -> Self {
        let most = u32::try_from(limits.body_bytes.max(limits.buffered_bytes / DECIDED_SHARE).div_ceil(UNIT));
        let most = most.unwrap_or(u32::MAX).min(u32::try_from(Semaphore::MAX_PERMITS).unwrap_or(u32::MAX));
        Self {
            threads: Arc::new(Semaphore::new(large_decisions())),
            units: Arc::new(Semaphore::new(most as usize)),
            most,
        }
    }

    /// Runs the decision of this many bytes on a thread for large ones. None if it cannot begin in time.
    pub(super) async fn run<T: Send + 'static>(
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

#[cfg(test)]
mod tests {
    use std::{sync::mpsc, time::Duration};

    use super::*;

    const LARGE: usize = 1 << 20;

    fn decision_pool() -> Arc<DecisionPool> {
        let limits = Limits { body_bytes: LARGE, connections: 1, buffered_bytes: 2 * LARGE };
        Arc::new(DecisionPool::new(&limits))
    }

    #[tokio::test]
    async fn a_large_review_waits_for_others_until_its_deadline() {
        let decision_pool = decision_pool();
        let (began, has_begun) = tokio::sync::oneshot::channel();
        let (end, ends) = mpsc::channel::<()>();
        let soon = || Instant::now() + Duration::from_hours(1);
        let first = tokio::spawn({
            let decision_pool = Arc::clone(&decision_pool);
            let deadline = soon();
            async move {
                let decide = move || {
                    began.send(()).expect("the test waits for it");
                    ends.recv().expect("the test ends it");
                };
                decision_pool.run(LARGE, deadline, decide).await
            }
        });
        has_begun.await.expect("it begins");
        // All the bytes that may be decided at a time are taken, however many threads there are.
        assert_eq!(decision_pool.run(LARGE, Instant::now(), || ()).await, None);
        end.send(()).expect("it waits");
        assert_eq!(first.await.expect("no panic"), Some(()));
        assert_eq!(decision_pool.run(LARGE, soon(), || ()).await, Some(()));
    }

    #[tokio::test]
    async fn a_body_at_the_limit_can_be_decided() {
        let deadline = Instant::now() + Duration::from_hours(1);
        assert_eq!(decision_pool().run(LARGE, deadline, || ()).await, Some(()));
    }
}
