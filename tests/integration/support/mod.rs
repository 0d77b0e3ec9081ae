//! What the tests of the server share: the guard as a child process, clients that speak to it, and certificates.

pub(crate) mod client;
pub(crate) mod frames;
pub(crate) mod guard;
pub(crate) mod pki;
pub(crate) mod reviews;

use std::{
    thread,
    time::{Duration, Instant},
};

/// Far beyond what anything here takes on a loaded machine: who waits this long waits for ever.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// Waits until the condition holds.
#[track_caller]
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Asserts that the guard still answers a newcomer.
#[track_caller]
pub(crate) fn still_serves(guard: &guard::Guard) {
    client::Client::to(guard).ask(&client::post(&reviews::allowed())).decides(true);
}
