//! An honest client: what it asks is answered, and rightly.

use std::time::{Duration, Instant};

use support::{
    Serves as _,
    client::{Client, post},
    guard::Guard,
    reviews,
};

/// Answers to an honest client, each over a connection of its own.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    pub(crate) count: u32,
    slowest: Duration,
    slowest_probe: Duration,
}

impl Answers {
    /// Asks once more, for one update that is allowed and one that is not, and whether the guard lives.
    pub(crate) fn one_more(&mut self, guard: &Guard) {
        for (review, allowed) in [(reviews::allowed(), true), (reviews::denied(), false)] {
            let asked = Instant::now();
            Client::to(guard).ask(&post(&review)).decides(allowed);
            self.slowest = self.slowest.max(asked.elapsed());
            self.count += 1;
        }
        let asked = Instant::now();
        assert_eq!(guard.admin("/livez").0, 200);
        self.slowest_probe = self.slowest_probe.max(asked.elapsed());
    }

    /// Says how it went; how long anything took is not asserted.
    pub(crate) fn tell(&self, what: &str, guard: &Guard) {
        let Self { count, slowest, slowest_probe } = self;
        let peak = guard.peak_bytes() >> 20;
        eprintln!(
            "{what}: {count} answers, the slowest after {slowest:?}, of /livez {slowest_probe:?}; {peak} MiB at most"
        );
    }
}
