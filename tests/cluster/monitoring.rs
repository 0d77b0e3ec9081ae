//! Alerts and dashboard are what Prometheus takes, and ask for what the guard and a real API server have.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs, io,
    path::Path,
    process::Command,
};

use serde_json::json;
use support::{
    Serves as _,
    control_plane::{ADMIN, ControlPlane},
    monitoring::{MONITORING, RULE_TESTS, promql::Query, queries},
    until,
};

use crate::{
    cluster::{Cluster, Clusters, Job},
    managed::{Home, Registered, until_metric, until_ready_says},
    tests,
};

tests![
    every_query_asks_for_what_exists,
    #[needs("promtool")]
    promtool_sees_each_alert_fire_and_be_silent,
    #[needs("promtool")]
    promtool_takes_every_query_of_the_dashboard,
];

/// The labels that a scrape adds.
const OF_THE_SCRAPE: [&str; 3] = ["cluster", "namespace", "pod"];

/// Runs promtool in a folder, and shows that it succeeds.
fn promtool(folder: &Path, arguments: &[&str]) {
    let output = Command::new("promtool").args(arguments).current_dir(folder).output().expect("promtool can be run");
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned()).concat();
    assert!(output.status.success(), "promtool {arguments:?}: {said}");
    assert!(said.contains("SUCCESS"), "{said}");
}

fn promtool_sees_each_alert_fire_and_be_silent(_: &Clusters) {
    let folder = Path::new(MONITORING);
    promtool(folder, &["check", "rules", "alerts.yaml"]);
    promtool(folder, &[&["test", "rules"], &RULE_TESTS[..]].concat());
}

fn promtool_takes_every_query_of_the_dashboard(_: &Clusters) {
    let rule =
        |(number, (_, query)): (usize, (String, String))| json!({"record": format!("query:{number}"), "expr": query});
    let rules: Vec<_> = queries().into_iter().enumerate().map(rule).collect();
    let groups = json!({"groups": [{"name": "queries", "rules": rules}]});
    let folder = tempfile::TempDir::new().expect("a folder");
    // JSON is YAML.
    fs::write(folder.path().join("queries.yaml"), groups.to_string()).expect("a file");
    promtool(folder.path(), &["check", "rules", "queries.yaml"]);
}

/// The series of each metric, by their labels.
type Series = BTreeMap<String, Vec<BTreeMap<String, String>>>;

/// Reads a page of metrics.
fn series(page: &str) -> Series {
    let mut series = Series::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        let Some((name, rest)) = line.split_once(['{', ' ']) else { continue };
        let mut labels = BTreeMap::new();
        // No value here has a quotation mark in it.
        if let Some((pairs, _)) = rest.rsplit_once('}') {
            let texts: Vec<&str> = pairs.split('"').collect();
            labels.extend(texts.chunks_exact(2).map(|pair| {
                let label = pair[0].trim_start_matches(',').trim_end_matches('=');
                (label.to_owned(), pair[1].to_owned())
            }));
        }
        series.entry(name.to_owned()).or_default().push(labels);
    }
    series
}

fn of_the_api_server(plane: &ControlPlane) -> io::Result<String> {
    let output = plane.kubectl(ADMIN).args(["get", "--raw=/metrics"]).output()?;
    String::from_utf8(output.stdout).map_err(io::Error::other)
}

/// The metrics of a guard that reconciles its registration and its CA.
fn of_a_guard_that_looks_after_them(cluster: &Cluster) -> String {
    let home = Home::new(cluster, true, Some(&Registered::cci()));
    let guard = home.managed(&["--manage-registration"]);
    until_ready_says(&guard, "200 OK");
    until_metric(&guard, "registration_fits", 1);
    guard.metrics()
}

/// Has the API server fail in a way that it counts: a registration like ours, but for the job's namespace and with this.
fn provoke(job: &Job, webhook: &serde_json::Value, counted: &str) {
    let name = format!("{}-{counted}", job.namespace).replace('_', "-");
    let mut whole = json!({
        "name": "updates.pytorchjob-guard.internal",
        "admissionReviewVersions": ["v1"],
        "clientConfig": {"url": "https://127.0.0.1:1/validate"},
        "rules": [{"apiGroups": ["kubeflow.org"], "apiVersions": ["v1"], "resources": ["pytorchjobs"], "operations": ["UPDATE"]}],
        "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": job.namespace}},
        "sideEffects": "None",
        "failurePolicy": "Fail",
    });
    whole.as_object_mut().expect("an object").extend(webhook.as_object().expect("an object").clone());
    let plane = &job.cluster.plane;
    let configuration = json!({"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": name}, "webhooks": [whole]});
    plane.apply(&configuration.to_string()).expect("it can be registered");
    until(counted, || {
        job.patch(&json!({"metadata": {"labels": {"app": "other"}}}));
        let page = of_the_api_server(plane)?;
        let counts = |line: &str| line.contains(counted) && line.contains("updates.pytorchjob-guard.internal");
        Ok(page.lines().any(counts).then_some(()))
    })
    .expect("it is counted");
    job.admin(&["delete", "validatingwebhookconfiguration", &name]).accepted();
}

/// An alert on a metric that does not exist is silent for ever.
fn every_query_asks_for_what_exists(clusters: &Clusters) {
    let cluster = clusters.cci();
    let job = cluster.job();
    job.rejects(&[("spec.backoffLimit", "(added)")], || job.patch(&json!({"spec": {"backoffLimit": 1}})));
    let apart = cluster.unguarded_job_with(|_| ());
    provoke(&apart, &json!({}), "calling_webhook_error");
    let condition = |expression| json!({"matchConditions": [{"name": "one", "expression": expression}]});
    provoke(&apart, &condition("object.nothing == 1"), "match_condition_evaluation_errors_total");
    provoke(&apart, &condition("object.metadata.name == ''"), "match_condition_exclusions_total");

    let mut known = series(&of_the_api_server(&cluster.plane).expect("the API server has metrics"));
    known.extend(series(&cluster.guard.metrics()));
    // It has the most.
    for (metric, series) in series(&of_a_guard_that_looks_after_them(cluster)) {
        known.entry(metric).or_insert(series);
    }

    for (place, text) in queries() {
        let query = Query::read(&text);
        let mut labels: BTreeSet<&str> = OF_THE_SCRAPE.into();
        for selector in &query.selectors {
            let series = known.get(&selector.metric);
            let series = series.unwrap_or_else(|| panic!("{place}: nobody has {}", selector.metric));
            labels.extend(series.iter().flat_map(BTreeMap::keys).map(String::as_str));
            for matcher in &selector.matchers {
                let label = matcher.label.as_str();
                assert!(labels.contains(label), "{place}: {} has no label {label}: {series:?}", selector.metric);
                if matcher.operator == "=" {
                    let has = |series: &BTreeMap<_, _>| series.get(label) == Some(&matcher.value);
                    assert!(series.iter().any(has), "{place}: {matcher:?} matches nothing: {series:?}");
                }
            }
        }
        for label in &query.groupings {
            assert!(labels.contains(label.as_str()), "{place}: nothing there has the label {label}: {labels:?}");
        }
    }
}
