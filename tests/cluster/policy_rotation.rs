//! A policy is replaced as Kubernetes replaces a mounted `ConfigMap`, while updates go on: it is in force without a restart,
//! and no update fails that both policies allow.

use std::{
    cell::Cell,
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use support::{Serves as _, guard::Guard, until};

use crate::{
    cluster::{Clusters, Job},
    rotation::{Load, Mounted},
    tests,
};

tests![replaces_the_policy_under_load_without_a_failed_update, keeps_the_policy_where_the_new_one_is_bad];

/// The default policy under another name, and with one more field that may change.
fn policy(name: &str, field: &str) -> String {
    let cci = include_str!("../../src/policy/built_in/cci.yaml");
    cci.replace("name: cci", &format!("name: {name}"))
        .replace("  - spec.cleanPodPolicy\n", &format!("  - spec.cleanPodPolicy\n  - spec.{field}\n"))
}

/// A mounted `ConfigMap`, and the guard that watches it.
struct Rotated<'a> {
    job: Job<'a>,
    guard: Guard,
    mounted: Mounted,
    folder: PathBuf,
    values: Cell<u32>,
}

impl<'a> Rotated<'a> {
    /// Under a policy by which `spec.first` may change.
    fn new(clusters: &'a Clusters) -> Self {
        let cluster = clusters.cci();
        let job = cluster.unguarded_job_with(|_| ());
        let folder = cluster.folder();
        let first = content(&folder, "first", &policy("first", "first"));
        let mounted = Mounted::new(folder.join("mounted"), &first, &["policy.yaml"]);
        let guard = cluster.guard_of(&job, &mounted.folder.join("policy.yaml").display().to_string());
        Self { job, guard, mounted, folder, values: Cell::new(0) }
    }

    fn swap(&self, name: &str, text: &str) {
        self.mounted.swap(&content(&self.folder, name, text));
    }

    /// Waits until so many policies were taken or refused.
    fn await_reloads(&self, result: &str, count: u64) {
        let metric = format!("policy_reloads_total{{result=\"{result}\"}}");
        until(&metric, || Ok((self.guard.count(&metric)? == Some(count)).then_some(()))).expect("the guard looks");
    }

    /// Shows that `spec.{field}` alone may change, of the two that a policy here may name.
    fn is_under(&self, field: &str) {
        let other = if field == "first" { "second" } else { "first" };
        let patch = |field: &str| {
            self.values.set(self.values.get() + 1);
            let value = format!("value-{}", self.values.get());
            (json!({"spec": {field: value}}), value)
        };
        let (allowed, value) = patch(field);
        assert_eq!(self.job.accepts(|| self.job.patch(&allowed))["spec"][field], value);
        let (forbidden, _) = patch(other);
        let what = if self.job.stored()["spec"].get(other).is_some() { "" } else { "(added)" };
        self.job.patch(&forbidden).rejected(&[(&format!("spec.{other}"), what)]);
        assert_eq!(self.guard.count(&format!("policy_info{{name=\"{field}\"}}")).expect("metrics"), Some(1));
    }
}

/// A folder with this text as the policy.
fn content(folder: &Path, name: &str, text: &str) -> PathBuf {
    let content = folder.join(name);
    fs::create_dir_all(&content).expect("a folder can be made");
    fs::write(content.join("policy.yaml"), text).expect("a file can be written");
    content
}

fn replaces_the_policy_under_load_without_a_failed_update(clusters: &Clusters) {
    let rotated = Rotated::new(clusters);
    rotated.job.create_a_crowd();
    Load::on(&rotated.job, |load| {
        rotated.is_under("first");
        for (taken, field) in [(1, "second"), (2, "first"), (3, "second")] {
            rotated.swap(&format!("version-{taken}"), &policy(field, field));
            rotated.await_reloads("success", taken);
            rotated.is_under(field);
            load.another_round();
        }
    });
    rotated.await_reloads("refused", 0);
    let log = rotated.guard.log();
    assert_eq!(log.matches("the policy file changed and is in effect").count(), 3, "{log}");
}

fn keeps_the_policy_where_the_new_one_is_bad(clusters: &Clusters) {
    let rotated = Rotated::new(clusters);
    let bad = policy("second", "second").replace("mutableFields", "mutableField");
    rotated.swap("bad", &bad);
    rotated.await_reloads("refused", 1);
    rotated.is_under("first");
    let said = || {
        let log = rotated.guard.log();
        Ok(log.lines().find(|line| line.contains("the policy file changed and cannot be used")).map(str::to_owned))
    };
    let line: Value =
        serde_json::from_str(&until("the refusal in the log", said).expect("it is logged")).expect("JSON");
    let reason = line["reason"].as_str().unwrap_or_default();
    assert!(reason.contains("policy.yaml: line 8, column 1: there is no key mutableField"), "{line:#}");
    assert_eq!((&line["level"], &line["policy"]), (&json!("WARN"), &json!("first")), "{line:#}");
    // Its twin without the mistake.
    rotated.swap("good", &policy("second", "second"));
    rotated.await_reloads("success", 1);
    rotated.is_under("second");
}
