//! A lane of actions: one at a time, with a pause after each.

use std::time::Duration;

use tokio::time::Instant;

use super::now::Now;

/// The pause after a write, and after the first failure. A client that undoes what is written is not fought at full speed.
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);

/// The number of an action in its lane.
pub(super) type Turn = u64;

/// Actions of one kind, of which one is under way at a time.
#[derive(Debug, Default)]
pub(super) struct Lane {
    turn: Turn,
    is_under_way: bool,
    pause: Option<Duration>,
    again_at: Option<Instant>,
}

impl Lane {
    pub(super) fn is_under_way(&self) -> bool {
        self.is_under_way
    }

    /// True if an action may begin.
    pub(super) fn is_free(&self, now: Now) -> bool {
        !self.is_under_way && self.again_at.is_none_or(|again_at| now.instant >= again_at)
    }

    /// The end of the pause, unless an action is under way.
    pub(super) fn again_at(&self) -> Option<Instant> {
        self.again_at.filter(|_| !self.is_under_way)
    }

    /// Begins the next action.
    pub(super) fn begin(&mut self) -> Turn {
        self.is_under_way = true;
        self.turn += 1;
        self.turn
    }

    /// Ends an action. False if it was forgotten meanwhile.
    pub(super) fn end(&mut self, turn: Turn) -> bool {
        let is_current = self.is_under_way && self.turn == turn;
        self.is_under_way &= !is_current;
        is_current
    }

    /// Notes a success: the next action may begin after the pause.
    pub(super) fn succeeded(&mut self, pause: Duration, now: Now) {
        self.pause = None;
        self.again_at = Some(now.instant + pause);
    }

    /// Notes a failure: the next action may begin after a pause that is longer than the one before.
    pub(super) fn failed(&mut self, now: Now) {
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        self.pause = Some(pause);
        self.again_at = Some(now.instant + pause);
    }

    /// Lets the next action begin at once. One that is under way counts no more.
    pub(super) fn forget(&mut self) {
        self.is_under_way = false;
        self.again_at = None;
    }
}
