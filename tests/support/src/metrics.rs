//! A page of the guard's metrics.

use std::{iter::Sum, str::FromStr};

/// The value of a metric, named without the prefix, and with some or all of its labels. Of several series it is the sum.
pub fn value<T: FromStr + Sum>(page: &str, name: &str) -> Option<T> {
    let (name, wanted) = split(name);
    let values: Vec<T> = page
        .lines()
        .filter_map(|line| {
            let (series, value) = line.strip_prefix("pytorchjob_guard_")?.rsplit_once(' ')?;
            let (own, labels) = split(series);
            (own == name && wanted.iter().all(|label| labels.contains(label))).then(|| value.parse().ok())?
        })
        .collect();
    (!values.is_empty()).then(|| values.into_iter().sum())
}

/// A series' name and its labels. No value of a label has a comma in it.
fn split(series: &str) -> (&str, Vec<&str>) {
    let Some((name, labels)) = series.split_once('{') else { return (series, Vec::new()) };
    (name, labels.trim_end_matches('}').split(',').collect())
}
