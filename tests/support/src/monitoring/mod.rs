//! The files of `manifests/monitoring/`, read as its users' programs read them.

pub mod promql;

use std::{fs, path::Path};

use serde_json::Value;

/// The folder of the alerts and the dashboard.
pub const MONITORING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../manifests/monitoring");
/// The files that say what fires when.
pub const RULE_TESTS: [&str; 2] = ["alerts.test.yaml", "certificates.test.yaml"];

/// A file of the folder, YAML or JSON.
pub fn file(name: &str) -> Value {
    let text = fs::read_to_string(Path::new(MONITORING).join(name)).expect("a file");
    serde_saphyr::from_str(&text).expect("YAML")
}

/// The text at this place.
#[track_caller]
pub fn text<'a>(value: &'a Value, place: &str) -> &'a str {
    value.pointer(place).and_then(Value::as_str).unwrap_or_else(|| panic!("no text at {place} in {value:#}"))
}

/// The elements at this place; none where there is nothing.
pub fn list<'a>(value: &'a Value, place: &str) -> &'a [Value] {
    value.pointer(place).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

/// The alerts.
pub fn alerts() -> Vec<Value> {
    rules("alert")
}

/// The rules that record series for objectives.
pub fn records() -> Vec<Value> {
    rules("record")
}

/// The rules of that kind.
fn rules(kind: &str) -> Vec<Value> {
    let file = file("alerts.yaml");
    let all = list(&file, "/groups").iter().flat_map(|group| list(group, "/rules"));
    let rules: Vec<Value> = all.filter(|rule| rule[kind].is_string()).cloned().collect();
    assert!(!rules.is_empty(), "{file:#}");
    rules
}

/// The panels of the dashboard that show something: all but the rows.
pub fn panels() -> Vec<Value> {
    let dashboard = file("dashboard.json");
    let panels: Vec<Value> =
        list(&dashboard, "/panels").iter().filter(|panel| panel["type"] != "row").cloned().collect();
    assert!(!panels.is_empty(), "{dashboard:#}");
    panels
}

/// Each query, with where it stands. The dashboard's have values in the place of their variables.
pub fn queries() -> Vec<(String, String)> {
    let of_alert = |alert: &Value| (text(alert, "/alert").to_owned(), text(alert, "/expr").to_owned());
    // What they make of each other is no series that anybody else has.
    let of_record = |record: &Value| {
        let (name, query) = (text(record, "/record"), text(record, "/expr"));
        let first = query.split(" or pytorchjob_guard:").next().unwrap_or_default();
        (name.to_owned(), first.trim_start_matches("pytorchjob_guard:calls:rate5m - ").to_owned())
    };
    let of_panel = |panel: &Value| {
        let title = text(panel, "/title").to_owned();
        let query = |target| {
            let query = text(target, "/expr")
                .replace("$__rate_interval", "5m")
                .replace("$namespace", ".*")
                .replace("$cluster", ".*");
            assert!(!query.contains('$'), "{title}: an unknown variable in {query}");
            (title.clone(), query)
        };
        list(panel, "/targets").iter().map(query).collect::<Vec<_>>()
    };
    alerts()
        .iter()
        .map(of_alert)
        .chain(records().iter().map(of_record))
        .chain(panels().iter().flat_map(of_panel))
        .collect()
}
