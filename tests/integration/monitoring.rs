//! Alerts and dashboard say what they should, and lead where they say. What needs promtool or an API server is in the
//! cluster tests.

use std::{collections::BTreeSet, fs, path::Path};

use serde_json::Value;
use support::{
    monitoring::{MONITORING, RULE_TESTS, alerts, file, list, panels, promql::Query, queries, records, text},
    pages::DOCS,
};

fn name(alert: &Value) -> &str {
    text(alert, "/alert")
}

#[test]
fn every_alert_has_a_severity_a_description_and_a_runbook() {
    let page = fs::read_to_string(Path::new(DOCS).join("operations.md")).expect("the page");
    let mut names = BTreeSet::new();
    for alert in alerts() {
        assert!(names.insert(name(&alert).to_owned()), "{} stands there twice", name(&alert));
        assert!(["critical", "warning"].contains(&text(&alert, "/labels/severity")), "{alert:#}");
        let summary = text(&alert, "/annotations/summary");
        assert!(summary.len() < 80 && summary.ends_with('.'), "{summary}");
        assert!(text(&alert, "/annotations/description").ends_with('.'), "{alert:#}");
        let runbook = text(&alert, "/annotations/runbook");
        assert!(runbook.starts_with("docs/operations.md#"), "{runbook}");
        assert!(page.contains(name(&alert)), "{} is not in docs/operations.md", name(&alert));
    }
}

#[test]
fn every_alert_is_seen_to_fire_and_to_be_silent() {
    let (mut firing, mut silent) = (BTreeSet::new(), BTreeSet::new());
    for tests in RULE_TESTS.map(file) {
        assert_eq!(list(&tests, "/rule_files"), ["alerts.yaml"]);
        for case in list(&tests, "/tests").iter().flat_map(|test| list(test, "/alert_rule_test")) {
            let fires = !list(case, "/exp_alerts").is_empty();
            if fires { &mut firing } else { &mut silent }.insert(text(case, "/alertname").to_owned());
        }
    }
    let names: BTreeSet<String> = alerts().iter().map(|alert| name(alert).to_owned()).collect();
    // promtool takes the name of an alert that does not exist for one that is silent.
    assert_eq!((&firing, &silent), (&names, &names));
}

#[test]
fn every_recorded_series_is_seen_and_used() {
    let page = fs::read_to_string(Path::new(DOCS).join("operations.md")).expect("the page");
    let tests = file("alerts.test.yaml");
    let seen = list(&tests, "/tests").iter().flat_map(|test| list(test, "/promql_expr_test"));
    let seen: BTreeSet<&str> = seen.map(|case| text(case, "/expr")).collect();
    for record in records() {
        let name = text(&record, "/record");
        assert!(seen.contains(name), "{name} is in no test");
        assert!(page.contains(name), "{name} is not in docs/operations.md");
    }
}

#[test]
fn the_operators_rules_are_the_same() {
    let component = Path::new(MONITORING).join("../components/monitoring");
    let read = |name: &str| -> Value {
        let text = fs::read_to_string(component.join(name)).expect("a file");
        serde_saphyr::from_str(&text).expect("YAML")
    };
    let object = read("prometheusrule.yaml");
    assert_eq!(
        (&object["apiVersion"], &object["kind"]),
        (&"monitoring.coreos.com/v1".into(), &"PrometheusRule".into())
    );
    let (ours, theirs) = (file("alerts.yaml"), &object["spec"]);
    // One by one first: a difference is to be found.
    for group in ["/groups/0/rules", "/groups/1/rules"] {
        for (ours, theirs) in list(&ours, group).iter().zip(list(theirs, group)) {
            assert_eq!(ours, theirs);
        }
    }
    assert!(ours == *theirs, "one has more than the other");
    assert_eq!(list(&read("kustomization.yaml"), "/resources"), ["podmonitor.yaml", "prometheusrule.yaml"]);
}

#[test]
fn every_panel_has_a_title_and_a_description_of_its_own() {
    let dashboard = file("dashboard.json");
    let all = list(&dashboard, "/panels");
    let ids: BTreeSet<u64> = all.iter().map(|panel| panel["id"].as_u64().expect("an id")).collect();
    assert_eq!(ids.len(), all.len(), "an id stands there twice");
    let mut places = BTreeSet::new();
    for panel in all {
        let side = |name: &str| panel["gridPos"][name].as_u64().expect("a place");
        assert!(side("x") + side("w") <= 24, "{}: over the edge", panel["title"]);
        for row in side("y")..side("y") + side("h") {
            for column in side("x")..side("x") + side("w") {
                assert!(places.insert((row, column)), "{} lies on another panel", panel["title"]);
            }
        }
    }
    for panel in panels() {
        let title = text(&panel, "/title");
        assert!(text(&panel, "/description").ends_with('.'), "{title}");
        assert!(!text(&panel, "/fieldConfig/defaults/unit").is_empty(), "{title}");
        assert!(!list(&panel, "/targets").is_empty(), "{title}");
        let references: BTreeSet<&str> = list(&panel, "/targets").iter().map(|target| text(target, "/refId")).collect();
        assert_eq!(references.len(), list(&panel, "/targets").len(), "{title}");
    }
}

/// Whoever imports it has a data source of another name.
#[test]
fn every_query_of_the_dashboard_uses_the_chosen_data_source() {
    let dashboard = file("dashboard.json");
    let variables: Vec<&str> = list(&dashboard, "/templating/list").iter().map(|one| text(one, "/name")).collect();
    assert_eq!(variables, ["datasource", "cluster", "namespace"]);
    for panel in panels() {
        for asked in list(&panel, "/targets").iter().chain([&panel]) {
            assert_eq!(text(asked, "/datasource/uid"), "${datasource}", "{asked:#}");
        }
        for target in list(&panel, "/targets") {
            let query = Query::read(text(target, "/expr"));
            for selector in &query.selectors {
                let chosen = |label: &str, value: &str| {
                    selector.matchers.iter().any(|one| one.label == label && one.value == value)
                };
                assert!(chosen("cluster", "$cluster"), "{}: {selector:?}", panel["title"]);
                let is_ours = selector.metric.starts_with("pytorchjob_guard_");
                assert!(!is_ours || chosen("namespace", "$namespace"), "{}: {selector:?}", panel["title"]);
            }
        }
    }
}

#[test]
fn a_query_is_read_as_prometheus_reads_it() {
    let query = Query::read(
        "min by (cluster, pod) (a_total{x=\"1\", y!~\"(b|c)[.]d\"} - time()) < 0.25 * max(max_over_time((e:f - 1)[14d:1h]))",
    );
    let selectors: Vec<&str> = query.selectors.iter().map(|selector| selector.metric.as_str()).collect();
    assert_eq!(selectors, ["a_total", "e:f"]);
    let matchers: Vec<_> = query.selectors[0].matchers.iter().collect();
    assert_eq!((matchers[0].operator.as_str(), matchers[1].operator.as_str()), ("=", "!~"));
    assert_eq!((matchers[1].label.as_str(), matchers[1].value.as_str()), ("y", "(b|c)[.]d"));
    assert_eq!(query.groupings, ["cluster", "pod"].map(str::to_owned).into());
    for (place, query) in queries() {
        assert!(!Query::read(&query).selectors.is_empty(), "{place}: {query} asks for nothing");
    }
}
