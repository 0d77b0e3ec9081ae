//! The values that people expect of every chart: names, labels, toggles, a parent chart's condition, and monitoring.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use serde_json::{Value, json};
use support::{control_plane::ADMIN, pages::copy, programs::helm};

use super::{Bare, NAME, ROOT, chart, fails, objects, run, template, the};
use crate::{cluster::Clusters, tests};

tests![
    helm_names_the_objects_by_the_release,
    helm_labels_the_objects_and_the_pods,
    helm_leaves_out_what_is_switched_off,
    helm_gives_the_pods_what_the_values_say,
    helm_takes_the_chart_as_a_conditional_subchart,
    helm_makes_the_monitoring_objects,
    the_charts_readme_lists_every_value,
    two_releases_are_installed_beside_each_other,
];

/// The objects of a release of that name.
fn release(name: &str, values: &[&str]) -> Vec<Value> {
    let mut command = Command::new(helm().expect("Helm"));
    command.args(["template", name, "--skip-tests"]).arg(chart()).args(["--namespace", "ops"]);
    objects(&run(command.args(values.iter().flat_map(|value| ["--set", value]))))
}

fn names(objects: &[Value]) -> BTreeSet<&str> {
    objects.iter().filter_map(|object| object["metadata"]["name"].as_str()).collect()
}

fn arguments(objects: &[Value]) -> &Vec<Value> {
    the(objects, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"].as_array().expect("arguments")
}

fn helm_names_the_objects_by_the_release(_: &Clusters) {
    for (objects, name) in [
        (release("blue", &[]), "blue-pytorchjob-guard"),
        (release("blue", &["nameOverride=guard"]), "blue-guard"),
        (release("my-pytorchjob-guard", &[]), "my-pytorchjob-guard"),
        (release("blue", &["fullnameOverride=rule"]), "rule"),
        (release("blue", &["fullnameOverride=rule", "certificates=cert-manager"]), "rule"),
    ] {
        assert!(names(&objects).iter().all(|own| own.starts_with(name)), "{name}: {:?}", names(&objects));
        let registration = the(&objects, "ValidatingWebhookConfiguration");
        assert_eq!(registration["metadata"]["name"], name);
        for webhook in registration["webhooks"].as_array().expect("webhooks") {
            assert_eq!(webhook["clientConfig"]["service"]["name"], name);
        }
        for argument in [format!("--registration={name}"), format!("--service=ops/{name}")] {
            assert!(arguments(&objects).contains(&json!(argument)), "{argument}");
        }
        assert_eq!(the(&objects, "ClusterRole")["rules"][0]["resourceNames"], json!([name]));
    }
    let long = release("blue", &[&format!("fullnameOverride={}", "x".repeat(60))]);
    assert!(names(&long).iter().all(|name| name.len() <= 63), "{:?}", names(&long));
}

fn helm_labels_the_objects_and_the_pods(_: &Clusters) {
    let objects = release("blue", &["commonLabels.team=ml", "podLabels.tier=infra", "podAnnotations.note=x"]);
    for object in &objects {
        let labels = &object["metadata"]["labels"];
        assert_eq!((&labels["team"], &labels["tier"]), (&json!("ml"), &Value::Null), "{object:#}");
        assert_eq!(labels["app.kubernetes.io/instance"], "blue", "{object:#}");
    }
    let selector = json!({"app.kubernetes.io/name": NAME, "app.kubernetes.io/instance": "blue"});
    let deployment = &the(&objects, "Deployment")["spec"];
    assert_eq!(deployment["selector"]["matchLabels"], selector);
    assert_eq!(the(&objects, "Service")["spec"]["selector"], selector);
    assert_eq!(the(&objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"], selector);
    assert_eq!(the(&objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"], selector);
    let pod = &deployment["template"]["metadata"];
    assert_eq!((&pod["labels"]["tier"], &pod["annotations"]["note"]), (&json!("infra"), &json!("x")));
    assert_eq!(pod["labels"]["app.kubernetes.io/instance"], "blue");
}

fn helm_leaves_out_what_is_switched_off(_: &Clusters) {
    let kinds = |values: &[&str]| {
        let objects = release("blue", values);
        objects.iter().map(|object| object["kind"].as_str().expect("a kind").to_owned()).collect::<BTreeSet<_>>()
    };
    let all = kinds(&[]);
    let some = kinds(&["podDisruptionBudget.enabled=false", "networkPolicy.enabled=false"]);
    let left_out: Vec<_> = all.difference(&some).collect();
    assert_eq!(left_out, ["NetworkPolicy", "PodDisruptionBudget"]);
}

fn helm_gives_the_pods_what_the_values_say(_: &Clusters) {
    let objects = release(
        "blue",
        &[
            "serviceAccount.annotations.role=guard",
            "extraEnv[0].name=PYTORCHJOB_GUARD_IDLE_TIMEOUT",
            "extraEnv[0].value=3m",
            "topologySpreadConstraints[0].topologyKey=rack",
        ],
    );
    assert_eq!(the(&objects, "ServiceAccount")["metadata"]["annotations"], json!({"role": "guard"}));
    let pod = &the(&objects, "Deployment")["spec"]["template"]["spec"];
    assert_eq!(pod["containers"][0]["env"], json!([{"name": "PYTORCHJOB_GUARD_IDLE_TIMEOUT", "value": "3m"}]));
    assert_eq!(pod["topologySpreadConstraints"], json!([{"topologyKey": "rack"}]));
    let said = fails(&mut template(NAME, &["--set", "extraEnv[0].value=3m"]));
    assert!(said.contains("at '/extraEnv/0'"), "{said}");
}

fn helm_takes_the_chart_as_a_conditional_subchart(_: &Clusters) {
    let parent = tempfile::tempdir().expect("a folder");
    copy(&chart(), &parent.path().join("charts/pytorchjob-guard"));
    let text = "apiVersion: v2\nname: platform\nversion: 0.1.0\ndependencies:\n  - {name: pytorchjob-guard, version: 0.1.0, \
                condition: pytorchjob-guard.enabled}\n";
    fs::write(parent.path().join("Chart.yaml"), text).expect("a file");
    let rendered = |enabled: bool| {
        let mut command = Command::new(helm().expect("Helm"));
        command.args(["template", "platform"]).arg(parent.path()).args(["--set", "global.region=eu"]);
        objects(&run(command.args(["--set", &format!("pytorchjob-guard.enabled={enabled}")])))
    };
    assert_eq!(rendered(false), [Value::Null; 0]);
    assert_eq!(the(&rendered(true), "Deployment")["metadata"]["name"], "platform-pytorchjob-guard");
}

fn helm_makes_the_monitoring_objects(_: &Clusters) {
    for file in ["alerts.yaml", "dashboard.json"] {
        let [ours, theirs] = ["manifests", "charts/pytorchjob-guard"].map(|folder| {
            fs::read_to_string(Path::new(ROOT).join(folder).join("monitoring").join(file)).expect("a file")
        });
        assert!(ours == theirs, "cp manifests/monitoring/{file} charts/pytorchjob-guard/monitoring/");
    }
    let values =
        ["podMonitor", "prometheusRule", "dashboard"].map(|object| format!("monitoring.{object}.enabled=true"));
    let values: Vec<&str> = values.iter().map(String::as_str).chain(["monitoring.labels.release=prometheus"]).collect();
    let rendered = release(NAME, &values);
    let component = |file: &str| -> Value {
        let file = Path::new(ROOT).join("manifests/components/monitoring").join(file);
        serde_saphyr::from_str(&fs::read_to_string(file).expect("a file")).expect("YAML")
    };
    let monitor = the(&rendered, "PodMonitor");
    assert_eq!(monitor["spec"]["podMetricsEndpoints"], component("podmonitor.yaml")["spec"]["podMetricsEndpoints"]);
    let instance = &monitor["spec"]["selector"]["matchLabels"]["app.kubernetes.io/instance"];
    assert_eq!(instance, NAME);
    let rule = the(&rendered, "PrometheusRule");
    assert_eq!(rule["spec"], component("prometheusrule.yaml")["spec"]);
    let base = "https://git.example/docs";
    let linked = release(NAME, &["monitoring.prometheusRule.enabled=true", &format!("monitoring.runbooks={base}")]);
    let annotations = |rule: &Value| {
        let groups = rule["spec"]["groups"].as_array().expect("groups").iter();
        let rules = groups.flat_map(|group| group["rules"].as_array().expect("rules"));
        rules.filter_map(|rule| rule["annotations"].as_object().cloned()).collect::<Vec<_>>()
    };
    let with_link = |mut annotations: serde_json::Map<String, Value>| {
        let page = annotations.remove("runbook").expect("a runbook");
        let page = page.as_str().and_then(|page| page.strip_prefix("docs/")).expect("a page");
        annotations.insert("runbook_url".to_owned(), json!(format!("{base}/{page}")));
        annotations
    };
    assert_eq!(
        annotations(the(&linked, "PrometheusRule")),
        annotations(rule).into_iter().map(with_link).collect::<Vec<_>>()
    );
    for object in [monitor, rule] {
        assert_eq!(object["metadata"]["labels"]["release"], "prometheus");
    }
    let is_dashboard = |object: &&Value| object["metadata"]["labels"]["grafana_dashboard"] == "1";
    let dashboard = rendered.iter().find(is_dashboard).expect("a dashboard");
    let text = dashboard["data"]["pytorchjob-guard.json"].as_str().expect("JSON");
    let file = fs::read_to_string(Path::new(ROOT).join("manifests/monitoring/dashboard.json")).expect("a file");
    assert_eq!(serde_json::from_str::<Value>(text).ok(), serde_json::from_str::<Value>(&file).ok());
}

/// Each value of `values.yaml`, by its path.
fn the_charts_readme_lists_every_value(_: &Clusters) {
    fn paths(value: &Value, path: &str, all: &mut Vec<String>) {
        match value.as_object().filter(|members| !members.is_empty()) {
            Some(members) => members.iter().for_each(|(key, member)| {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                paths(member, &path, all);
            }),
            None => all.push(path.to_owned()),
        }
    }
    let values = fs::read_to_string(chart().join("values.yaml")).expect("values");
    let readme = fs::read_to_string(chart().join("README.md")).expect("a README");
    let mut all = Vec::new();
    paths(&serde_saphyr::from_str(&values).expect("YAML"), "", &mut all);
    let listed: Vec<_> =
        readme.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`')).map(|(path, _)| path).collect();
    let is_listed =
        |path: &&String| !listed.iter().any(|listed| path == listed || path.starts_with(&format!("{listed}.")));
    let missing: Vec<_> = all.iter().filter(is_listed).collect();
    assert!(missing.is_empty(), "{missing:?} are not in the chart's README");
    let is_value = |listed: &&&str| !all.iter().any(|path| path == **listed || path.starts_with(&format!("{listed}.")));
    let unknown: Vec<_> = listed.iter().filter(is_value).collect();
    assert!(unknown.is_empty(), "{unknown:?} are no values");
}

/// Each has objects of its own, those of the cluster too.
fn two_releases_are_installed_beside_each_other(_: &Clusters) {
    let bare = Bare::boot();
    let (program, chart) = (helm().expect("Helm"), chart().display().to_string());
    for (name, values) in [
        (NAME, &["commonLabels.team=ml", "podLabels.tier=infra", "podAnnotations.note=x"][..]),
        (
            "blue",
            &[
                "policy=kueue",
                "exempt.kueue=someone",
                "extraEnv[0].name=A",
                "extraEnv[0].value=b",
                "nameOverride=guard",
            ],
        ),
    ] {
        let values = values.iter().flat_map(|value| ["--set", value]);
        let arguments: Vec<_> = ["install", name, &chart, "--create-namespace"].into_iter().chain(values).collect();
        bare.helm(&program, name, &arguments);
    }
    let list = |kind: &str| run(bare.plane.kubectl(ADMIN).args(["get", kind, "-o", "name", "-A"]));
    let registrations = list("validatingwebhookconfigurations");
    assert_eq!(registrations.lines().count(), 2, "{registrations}");
    assert!(
        registrations.contains("/pytorchjob-guard\n") && registrations.contains("/blue-guard\n"),
        "{registrations}"
    );
    let deployments = list("deployments");
    assert!(deployments.contains("/pytorchjob-guard\n") && deployments.contains("/blue-guard\n"), "{deployments}");
}
