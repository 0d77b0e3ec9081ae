//! Log lines that a peer could cause without end: the first is written, and then one every ten seconds with the count.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;
use tracing::warn;

use super::{metrics::HandshakeFailure, progress::Waiting};

const INTERVAL: Duration = Duration::from_secs(10);

/// The events of each kind since the last line about them. Kinds come from a fixed set.
#[derive(Default)]
pub(super) struct LogLimiter(Mutex<HashMap<&'static str, Since>>);

struct Since {
    logged: Instant,
    count: u64,
}

impl LogLimiter {
    /// The number of events that the line to write now is about; none if there is no line to write.
    pub(super) fn count(&self, kind: &'static str) -> Option<u64> {
        self.count_at(kind, Instant::now())
    }

    fn count_at(&self, kind: &'static str, now: Instant) -> Option<u64> {
        // Nothing can fail while the lock is held, so a poisoned one holds good counts all the same.
        let mut kinds = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(since) = kinds.get_mut(kind) else {
            kinds.insert(kind, Since { logged: now, count: 0 });
            return Some(1);
        };
        since.count += 1;
        if now.duration_since(since.logged) < INTERVAL {
            return None;
        }
        since.logged = now;
        Some(std::mem::take(&mut since.count))
    }

    pub(super) fn closed_to_make_room(&self, listener: &'static str, peer: SocketAddr, waiting: Waiting) {
        if let Some(count) = self.count(listener) {
            let waiting_for = waiting.label();
            warn!(listener, %peer, waiting_for, count, "connection limit reached: closed a connection to make room");
        }
    }

    pub(super) fn body_gave_way(&self, peer: SocketAddr) {
        if let Some(count) = self.count("body") {
            warn!(%peer, count, "--max-buffered-bytes reached: gave up an incomplete body to make room");
        }
    }

    pub(super) fn handshake_failed(&self, peer: SocketAddr, reason: HandshakeFailure, error: &str) {
        let reason = reason.label();
        if let Some(count) = self.count(reason) {
            warn!(%peer, reason, error, count, "TLS handshake failed");
        }
    }

    pub(super) fn bad_request(&self, peer: SocketAddr, code: u16, kind: &'static str, reason: &str) {
        if let Some(count) = self.count(kind) {
            warn!(%peer, code, reason, count, "rejected a request that is no review");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_what_it_does_not_write() {
        let (seldom, now) = (LogLimiter::default(), Instant::now());
        assert_eq!(seldom.count_at("a", now), Some(1));
        assert_eq!([(); 2].map(|()| seldom.count_at("a", now)), [None, None]);
        assert_eq!(seldom.count_at("b", now), Some(1), "another kind has its own");
        assert_eq!(seldom.count_at("a", now + INTERVAL), Some(3));
        assert_eq!(seldom.count_at("a", now + INTERVAL), None);
    }
}
