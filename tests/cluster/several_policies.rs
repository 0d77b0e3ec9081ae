//! Several policies in one guard, on a real API server: each holds where it says, and one changes, breaks, comes or goes without
//! harm to the others.

use std::{fs, net::SocketAddr, path::PathBuf};

use serde_json::{Value, json};
use support::{
    free_address,
    guard::{self, Guard},
    until,
};

use crate::{
    cluster::{Clusters, Job, certificates},
    managed::{Home, until_metric, until_ready_says},
    ready_policies::install_train_jobs,
    rotation::Load,
    run::Run,
    tests,
};

tests![holds_each_namespace_and_kind_to_its_own_policy];

/// A policy by which one more field than by the default one may change.
struct Written<'a> {
    name: &'a str,
    /// The namespace that it is for.
    namespace: &'a str,
    resource: &'a str,
    field: &'a str,
    action: &'a str,
}

impl Written<'_> {
    fn text(&self) -> String {
        let Self { name, namespace, resource, field, action } = self;
        let cci = include_str!("../../src/policy/built_in/cci.yaml").replace("name: cci", &format!("name: {name}"));
        let cci = cci.replace("  - group: kubeflow.org\n    resource: pytorchjobs\n", resource);
        let cci = cci.replace("  - spec.cleanPodPolicy\n", &format!("  - spec.cleanPodPolicy\n  - spec.{field}\n"));
        format!("{cci}validationActions: [{action}]\n{}", selector(namespace))
    }
}

const JOBS: &str = "  - group: kubeflow.org\n    resource: pytorchjobs\n";

/// The line of a policy by which it holds in this namespace only.
fn selector(namespace: &str) -> String {
    format!("namespaceSelector: {{matchLabels: {{kubernetes.io/metadata.name: {namespace}}}}}\n")
}

/// A folder of policies, and the guard that serves them.
struct Several<'a> {
    home: Home<'a>,
    folder: PathBuf,
    address: SocketAddr,
    certs: PathBuf,
}

impl<'a> Several<'a> {
    fn new(clusters: &'a Clusters) -> Self {
        let cluster = clusters.cci();
        let home = Home::new(cluster, false, None);
        let (folder, certs) = (cluster.folder(), cluster.folder().join("certs"));
        certificates(&certs);
        Self { home, folder, address: free_address().expect("a port"), certs }
    }

    /// Writes a file as an editor or a `ConfigMap` does: at once.
    fn write(&self, name: &str, text: &str) {
        let draft = self.folder.join(format!(".{name}.new"));
        fs::write(&draft, text).expect("a file");
        fs::rename(draft, self.folder.join(name)).expect("a file");
    }

    fn printed(&self) -> Value {
        let mut print = guard::program();
        print.arg("registration").arg(&self.folder).args(["--name", &self.home.name, "--output=json"]);
        print
            .args(["--url", &format!("https://{}/validate", self.address), "--ca-bundle"])
            .arg(self.certs.join("ca.crt"));
        let output = print.output().expect("the guard runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).expect("JSON")
    }

    fn register(&self) {
        self.home.apply(&self.printed());
    }

    fn serve(&self) -> Guard {
        let guard = self.home.guard_without_selector(self.address, |command| {
            command.arg("--tls-cert").arg(self.certs.join("tls.crt"));
            command.arg("--tls-key").arg(self.certs.join("tls.key"));
            command.arg("--policy").arg(&self.folder);
            command.args(["--manage-registration", "--registration-settle=10s"]);
        });
        until_ready_says(&guard, "200 OK");
        guard
    }

    /// The conditions of each webhook of this registration, by its name.
    fn conditions(registration: &Value) -> Vec<(String, Vec<String>)> {
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let expressions = |webhook: &Value| {
            let conditions = webhook["matchConditions"].as_array().cloned().unwrap_or_default();
            (text(&webhook["name"]), conditions.iter().map(|condition| text(&condition["expression"])).collect())
        };
        let mut all: Vec<_> = registration["webhooks"].as_array().expect("webhooks").iter().map(expressions).collect();
        all.sort();
        all
    }

    /// Waits until the conditions of all webhooks are those that follow from the files.
    fn until_conditions_follow(&self) {
        let wanted = Self::conditions(&self.printed());
        let follow = || Ok((Self::conditions(&self.home.registration()) == wanted).then_some(()));
        until("the conditions follow", follow).expect("the guard writes them");
    }
}

fn patch(job: &Job, field: &str, value: &str) -> Run {
    job.patch(&json!({"spec": {field: value}}))
}

fn fits(policy: &str) -> String {
    format!("registration_fits{{policy=\"{policy}\"}}")
}

fn holds_each_namespace_and_kind_to_its_own_policy(clusters: &Clusters) {
    let several = Several::new(clusters);
    let [denied, audited, later] = [(); 3].map(|()| clusters.cci().unguarded_job_with(|_| ()));
    install_train_jobs(&several.home);
    let runtime = json!({"name": "torch", "apiGroup": "trainer.kubeflow.org", "kind": "ClusterTrainingRuntime"});
    several.home.apply(&json!({"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob",
        "metadata": {"name": "one", "namespace": denied.namespace}, "spec": {"suspend": true, "runtimeRef": runtime,
        "trainer": {"image": "registry.example.com/mnist:v1", "numNodes": 2}}}));

    let deny = Written { name: "deny", namespace: &denied.namespace, resource: JOBS, field: "first", action: "Deny" };
    let audit = Written { name: "audit", namespace: &audited.namespace, action: "Audit", ..deny };
    let fourth = Written { name: "fourth", namespace: &later.namespace, ..deny };
    for policy in [&deny, &audit] {
        several.write(&format!("{}.yaml", policy.name), &policy.text());
    }
    // The ready policy for the real kind.
    let train = include_str!("../../docs/examples/trainjob.yaml");
    several.write("train.yaml", &format!("{train}{}", selector(&denied.namespace)));
    several.register();
    let guard = several.serve();
    for policy in ["deny", "audit", "trainjob"] {
        until_metric(&guard, &fits(policy), 1);
    }
    several.until_conditions_follow();

    let patch_train_job = |trainer: Value| {
        let patch = json!({"spec": {"trainer": trainer}}).to_string();
        denied.admin(&["patch", "trainjobs.trainer.kubeflow.org", "one", "--type=merge", "--patch", &patch])
    };
    let decides_by_kind = |nodes: u64| {
        let status = patch_train_job(json!({"image": format!("registry.example.com/mnist:v{nodes}")})).status();
        let cause = &status["details"]["causes"][0];
        let said = (&status["code"], &status["reason"], &cause["field"]);
        assert_eq!(said, (&json!(422), &json!("Invalid"), &json!("spec.trainer.image")));
        // It is suspended.
        patch_train_job(json!({"numNodes": nodes})).accepted();
    };
    let decides_by_namespace_and_kind = |value: &str| {
        patch(&denied, "backoffLimit", value).rejected(&[("spec.backoffLimit", "(added)")]);
        assert_eq!(audited.accepts(|| patch(&audited, "backoffLimit", value))["spec"]["backoffLimit"], value);
    };
    decides_by_namespace_and_kind("1");
    decides_by_kind(3);

    Load::on(&denied, |load| {
        // A file that is broken: its policy stays, and the others are as they were.
        several.write("deny.yaml", "name: [");
        until_ready_says(&guard, "warning: the policy file cannot be used, and deny before stays in effect: ");
        decides_by_namespace_and_kind("2");
        decides_by_kind(4);
        load.another_round();
        // It is mended, and looser.
        patch(&denied, "second", "1").rejected(&[("spec.second", "(added)")]);
        several.write("deny.yaml", &Written { field: "second", ..deny }.text());
        until("the policy is looser", || Ok((patch(&denied, "second", "1").code() == Some(0)).then_some(())))
            .expect("it takes effect");
        patch(&denied, "first", "1").rejected(&[("spec.first", "(added)")]);
        several.until_conditions_follow();

        // A fourth one: served before any webhook leads to it, and then it holds.
        several.write("fourth.yaml", &fourth.text());
        until_metric(&guard, &fits("fourth"), 0);
        until_ready_says(&guard, "updates get past the guard that policy fourth denies: no webhook covers updates of ");
        later.accepts(|| patch(&later, "backoffLimit", "1"));
        several.register();
        until_metric(&guard, &fits("fourth"), 1);
        until("the fourth policy holds", || Ok((patch(&later, "backoffLimit", "2").code() == Some(1)).then_some(())))
            .expect("the API server asks");
        later.rejects(&[("spec.backoffLimit", "")], || patch(&later, "backoffLimit", "3"));
        load.another_round();

        // One is taken away: it stays as long as the API server asks by it.
        fs::remove_file(several.folder.join("audit.yaml")).expect("a file");
        until_ready_says(
            &guard,
            "warning: the file of policy audit is gone; it stays in effect while webhooks lead to it",
        );
        decides_by_namespace_and_kind("3");
        decides_by_kind(5);
        several.register();
        until("it is taken away", || Ok(guard.log().contains("the policy was taken away").then_some(())))
            .expect("no webhook leads to it");
        audited.accepts(|| patch(&audited, "backoffLimit", "4"));
        patch(&denied, "backoffLimit", "4").rejected(&[("spec.backoffLimit", "(added)")]);
        load.another_round();
    });

    // Conditions of each webhook follow from its own policy: a hole in one is mended, and the others stay.
    let hole = json!({"name": "never", "expression": "object.metadata.name == 'no job has this name'"});
    several.home.tamper(&json!([{"op": "add", "path": "/webhooks/0/matchConditions/-", "value": hole}]));
    several.until_conditions_follow();
    // A webhook that leads to no policy is told of: the API server rejects what it asks there.
    several.home.tamper(&json!([{"op": "replace", "path": "/webhooks/0/clientConfig/url",
        "value": format!("https://{}/validate/none", several.address)}]));
    until_ready_says(&guard, "leads to /validate/none, where no policy is served");
}
