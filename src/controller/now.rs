//! The time, as a value: what is decided depends on no clock.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

/// A moment by the two clocks: certificates are valid by the one, and pauses are measured by the other.
#[derive(Debug, Clone, Copy)]
pub(super) struct Now {
    pub(super) wall: SystemTime,
    pub(super) instant: Instant,
}

impl Now {
    /// Reads both clocks.
    pub(super) fn read() -> Self {
        Self { wall: SystemTime::now(), instant: Instant::now() }
    }

    /// The time since an earlier moment.
    pub(super) fn since(self, earlier: Instant) -> Duration {
        self.instant.saturating_duration_since(earlier)
    }

    /// The moment after this time has passed by both clocks.
    #[cfg(test)]
    pub(super) fn after(self, time: Duration) -> Self {
        Self { wall: self.wall + time, instant: self.instant + time }
    }
}
