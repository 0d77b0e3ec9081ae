//! A page of the guard's metrics.

use std::str::FromStr;

/// The value of a metric, named with its labels and without the prefix. A policy's name is enough for `policy_info`, whatever
/// its digest.
pub fn value<T: FromStr>(page: &str, name: &str) -> Option<T> {
    page.lines().find_map(|line| {
        let rest = line.strip_prefix("pytorchjob_guard_")?;
        let rest = match name.strip_suffix('}') {
            Some(labels) if name.starts_with("policy_info") => rest.strip_prefix(labels)?.split_once('}')?.1,
            _ => rest.strip_prefix(name)?,
        };
        rest.strip_prefix(' ')?.parse().ok()
    })
}
