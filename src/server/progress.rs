//! The progress of one connection, so that one that does nothing, or nothing fast enough, can be closed.
//!
//! One timer for each connection looks now and then; a request costs some stores and no timer.

use std::{
    sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering::Relaxed},
    time::Duration,
};

use tokio::time::{Instant, sleep};

use super::config::Deadlines;

/// Keeps a wrong flag from making a busy loop.
const SHORTEST_TICK: Duration = Duration::from_millis(10);

/// The progress of a connection.
pub(super) struct Progress {
    origin: Instant,
    /// The TLS handshake is complete.
    shaken: AtomicBool,
    /// The peer has taken an answer.
    answered: AtomicBool,
    /// The requests whose bodies are incomplete, that are decided, and whose answers the peer has not taken.
    requests: [AtomicU32; 3],
    /// The begin of the head that is being read, in milliseconds since the origin; 0 for none.
    head_since: AtomicU64,
    /// The end of the last head, body or answer, in milliseconds since the origin.
    last_completed: AtomicU64,
    /// The peer took less than was written.
    blocked: AtomicBool,
    body_unread: AtomicBool,
    /// The last was written; the peer has to close its side.
    ending: AtomicBool,
}

/// The stage of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Receiving,
    Deciding,
    Responding,
}

/// The step of the peer that a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Waiting {
    /// To complete the TLS handshake.
    Handshake,
    /// To complete a request's headers.
    Head,
    /// To complete a request's body.
    Body,
    /// To take an answer.
    Response,
    /// To send another request.
    Idle,
}

/// A deadline that passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Overdue {
    /// Headers began to arrive and did not end.
    Headers,
    /// No request came, or an answer was not taken.
    Idle,
}

impl Progress {
    pub(super) fn new() -> Self {
        Self {
            origin: Instant::now(),
            shaken: AtomicBool::new(false),
            answered: AtomicBool::new(false),
            requests: Default::default(),
            head_since: AtomicU64::new(0),
            last_completed: AtomicU64::new(0),
            blocked: AtomicBool::new(false),
            body_unread: AtomicBool::new(false),
            ending: AtomicBool::new(false),
        }
    }

    /// Notes that the TLS handshake is complete.
    pub(super) fn shook_hands(&self) {
        self.shaken.store(true, Relaxed);
    }

    /// Notes that the answer is given although the peer may still be sending.
    pub(super) fn leaves_body_unread(&self) {
        self.body_unread.store(true, Relaxed);
    }

    pub(super) fn left_body_unread(&self) -> bool {
        self.body_unread.load(Relaxed)
    }

    /// Notes that nothing more is written or answered.
    pub(super) fn ends(&self) {
        self.ending.store(true, Relaxed);
    }

    /// True once the peer took an answer.
    pub(super) fn is_answered(&self) -> bool {
        self.answered.load(Relaxed)
    }

    /// The step that the connection waits for. None while it decides.
    pub(super) fn waiting(&self) -> Option<Waiting> {
        if self.count(Stage::Deciding) > 0 {
            None
        } else if !self.shaken.load(Relaxed) {
            Some(Waiting::Handshake)
        } else if self.count(Stage::Receiving) > 0 {
            Some(Waiting::Body)
        } else if self.count(Stage::Responding) > 0 || self.blocked.load(Relaxed) || self.ending.load(Relaxed) {
            Some(Waiting::Response)
        } else if self.head_since.load(Relaxed) > 0 || !self.is_answered() {
            Some(Waiting::Head)
        } else {
            Some(Waiting::Idle)
        }
    }

    /// True while the connection has to prove itself: its peer never took an answer, or has nothing more to get.
    pub(super) fn is_unproven(&self) -> bool {
        !self.is_answered() || self.ending.load(Relaxed)
    }

    /// The time for which the peer has completed nothing: since it connected, until it takes an answer.
    pub(super) fn waits_for(&self) -> Duration {
        let since = if self.is_unproven() { 0 } else { self.last_completed.load(Relaxed) };
        Duration::from_millis(self.now().saturating_sub(since))
    }

    /// The number of requests that wait for the peer.
    pub(super) fn unfinished(&self) -> u32 {
        self.count(Stage::Receiving) + self.count(Stage::Responding)
    }

    /// Notes that the headers of a request are complete.
    pub(super) fn begin_request(&self) {
        self.head_since.store(0, Relaxed);
        self.completed();
        self.requests[Stage::Receiving as usize].fetch_add(1, Relaxed);
    }

    /// Notes that a request enters its next stage.
    pub(super) fn step(&self, from: Stage, to: Stage) {
        // In this order the connection never appears to do nothing.
        self.requests[to as usize].fetch_add(1, Relaxed);
        self.requests[from as usize].fetch_sub(1, Relaxed);
        if to == Stage::Responding {
            self.completed();
        }
    }

    /// Notes that a request ends in that stage.
    pub(super) fn end_request(&self, stage: Stage) {
        if stage == Stage::Responding {
            self.answered.store(true, Relaxed);
        }
        self.requests[stage as usize].fetch_sub(1, Relaxed);
    }

    /// Notes if the peer takes less than is written.
    pub(super) fn set_blocked(&self, is_blocked: bool) {
        self.blocked.store(is_blocked, Relaxed);
    }

    fn completed(&self) {
        self.last_completed.store(self.now(), Relaxed);
    }

    fn count(&self, stage: Stage) -> u32 {
        self.requests[stage as usize].load(Relaxed)
    }

    /// Notes that bytes arrived, perhaps those of the next request's headers.
    pub(super) fn bytes_arrived(&self) {
        if self.head_since.load(Relaxed) == 0 && self.count(Stage::Receiving) == 0 && self.count(Stage::Deciding) == 0 {
            self.head_since.store(self.now().max(1), Relaxed);
        }
    }

    /// Returns once the connection has missed a deadline.
    pub(super) async fn overdue(&self, deadlines: &Deadlines) -> Overdue {
        let tick = (deadlines.header.min(deadlines.idle) / 4).max(SHORTEST_TICK);
        loop {
            sleep(tick).await;
            if let Some(overdue) = self.look(deadlines) {
                return overdue;
            }
        }
    }

    fn look(&self, deadlines: &Deadlines) -> Option<Overdue> {
        if self.count(Stage::Receiving) > 0 || self.count(Stage::Deciding) > 0 {
            return None;
        }
        let now = self.now();
        let past = |since: u64, deadline: Duration| u128::from(now.saturating_sub(since)) > deadline.as_millis();
        match self.head_since.load(Relaxed) {
            0 => past(self.last_completed.load(Relaxed), deadlines.idle).then_some(Overdue::Idle),
            since => past(since, deadlines.header).then_some(Overdue::Headers),
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
