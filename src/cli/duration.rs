//! Durations as people write them: `5s`, `1m 30s`, `250ms`.

use std::time::Duration;

/// The longest settle period or lifetime. A clock can still be set to the end of it.
const LONGEST: Duration = Duration::from_hours(24 * 365 * 100);

pub(super) fn duration(text: &str) -> Result<Duration, String> {
    humantime::parse_duration(text).map_err(|error| format!("{error}; write it as 5s, 250ms or 1m"))
}

/// Reads a deadline, which is not zero.
pub(super) fn deadline(text: &str) -> Result<Duration, String> {
    match duration(text)? {
        Duration::ZERO => Err("a deadline of zero lets nothing through".to_owned()),
        given => Ok(given),
    }
}

/// Reads a settle period, which may be zero.
pub(super) fn settle_period(text: &str) -> Result<Duration, String> {
    duration(text).and_then(not_too_long)
}

/// Reads a lifetime, which is not zero.
pub(super) fn lifetime(text: &str) -> Result<Duration, String> {
    deadline(text).and_then(not_too_long)
}

fn not_too_long(given: Duration) -> Result<Duration, String> {
    if given > LONGEST { Err("a hundred years is the most".to_owned()) } else { Ok(given) }
}
