//! The deadline an API server puts on its request: `?timeout=5s`, a Go duration.

use std::time::Duration;

/// The duration that the query's `timeout` asks for; none where there is none that can be kept.
pub(super) fn asked(query: &str) -> Option<Duration> {
    let text = query.split('&').find_map(|pair| pair.strip_prefix("timeout="))?;
    go_duration(text).filter(|duration| !duration.is_zero())
}

/// Reads a duration as Go writes it: `5s`, `1m30s`, `1.5h`, `500ms`.
fn go_duration(text: &str) -> Option<Duration> {
    if text == "0" {
        return Some(Duration::ZERO);
    }
    let mut total = Duration::ZERO;
    let mut rest = text;
    loop {
        let number_ends = rest.find(|c: char| !c.is_ascii_digit() && c != '.')?;
        let (number, after) = rest.split_at(number_ends);
        let unit_ends = after.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(after.len());
        let (unit, after) = after.split_at(unit_ends);
        let seconds = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            _ => return None,
        };
        let part = Duration::try_from_secs_f64(number.parse::<f64>().ok()? * seconds).ok()?;
        total = total.checked_add(part)?;
        if after.is_empty() {
            return Some(total);
        }
        rest = after;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_durations_go_writes() {
        for (text, milliseconds) in [
            ("5s", 5_000),
            ("500ms", 500),
            ("1m30s", 90_000),
            ("1h0m0s", 3_600_000),
            ("1.5s", 1_500),
            ("2500us", 2),
            (".5s", 500),
            ("30s", 30_000),
        ] {
            assert_eq!(go_duration(text).map(|d| d.as_millis()), Some(milliseconds), "{text}");
        }
    }

    #[test]
    fn leaves_aside_what_is_no_deadline() {
        for query in [
            "",
            "timeout=",
            "timeout=0s",
            "timeout=0",
            "timeout=5",
            "timeout=-5s",
            "timeout=s",
            "timeout=5x",
            "timeout=5 s",
            "timeout=1e9h",
            "timeout=99999999999999999999h",
            "timeout=..s",
            "deadline=5s",
            "xtimeout=5s",
        ] {
            assert_eq!(asked(query), None, "{query}");
        }
        assert_eq!(asked("a=b&timeout=5s&c"), Some(Duration::from_secs(5)), "among others");
    }
}
