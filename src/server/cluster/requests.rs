//! What is under way: requests to the API server, and calls to ourselves.
//!
//! None of them waits for another, so one that hangs delays nothing else.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::{admissionregistration::v1::ValidatingWebhookConfiguration, core::v1::Secret};
use tokio::time::{Instant, timeout};

use super::self_call::Outcome;
use crate::certificates::CertificateError;

/// How long reading or writing once may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// The pauses after what failed.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// Why reading or writing failed this time.
#[derive(Debug, thiserror::Error)]
pub(super) enum RequestError {
    #[error("the API server says: {0}")]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("the API server did not answer within {}", humantime::format_duration(DEADLINE))]
    TooSlow,
}

/// What came of something that was under way, with the number of its turn.
pub(super) enum Done {
    Called(u64, Vec<Outcome>),
    Read(u64, Result<Option<ValidatingWebhookConfiguration>, RequestError>),
    ReadSecret(u64, Result<Option<Secret>, RequestError>),
    WroteConditions(u64, Result<ValidatingWebhookConfiguration, RequestError>),
    /// The Secret was read, to write it and the bundle.
    ReadToWrite(u64, Result<Option<Secret>, RequestError>),
    /// It was written; with a CA that ends then, where it is a new one.
    WroteSecret(u64, Result<Secret, RequestError>, Option<SystemTime>),
    WroteBundle(u64, Result<ValidatingWebhookConfiguration, RequestError>),
}

/// The answer of the API server, unless it takes too long.
pub(super) async fn within<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, RequestError> {
    timeout(DEADLINE, request).await.map_or(Err(RequestError::TooSlow), |answer| Ok(answer?))
}

/// The turns of something that is done once at a time, with pauses.
#[derive(Debug)]
pub(super) struct Turns {
    number: u64,
    is_under_way: bool,
    pause: Option<Duration>,
    again_at: Instant,
}

impl Default for Turns {
    fn default() -> Self {
        Self { number: 0, is_under_way: false, pause: None, again_at: Instant::now() }
    }
}

impl Turns {
    pub(super) fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    pub(super) fn may_begin(&self) -> bool {
        !self.is_under_way && Instant::now() >= self.again_at
    }

    /// When the next turn may begin, if nothing is under way.
    pub(super) fn again_at(&self) -> Option<Instant> {
        (!self.is_under_way).then_some(self.again_at)
    }

    /// Begins the next turn, and gives its number.
    pub(super) fn begin(&mut self) -> u64 {
        self.is_under_way = true;
        self.number += 1;
        self.number
    }

    /// Ends this turn. False if it was forgotten meanwhile.
    pub(super) fn ends(&mut self, number: u64) -> bool {
        let is_current = self.is_under_way && self.number == number;
        self.is_under_way &= !is_current;
        is_current
    }

    /// What came of a turn was good. The next one may begin after that pause: whoever undoes what is written is not to be fought
    /// at full speed.
    pub(super) fn succeeded(&mut self, pause: Duration) {
        self.pause = None;
        self.again_at = Instant::now() + pause;
    }

    /// It was not: the next one begins after a longer pause.
    pub(super) fn failed(&mut self) {
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        self.pause = Some(pause);
        self.again_at = Instant::now() + pause;
    }

    /// The next turn may begin at once, whatever is under way.
    pub(super) fn forget(&mut self) {
        self.is_under_way = false;
        self.again_at = Instant::now();
    }
}
