//! The conditions of a registration, and the policy in effect: who reconciles them, and who reports drift.

use std::{
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
};

use serde_json::{Value, json};

use super::{Home, Registered, until_metric, until_ready_says};
use support::{
    Serves as _, free_address,
    guard::{self, Guard},
    until,
};

use crate::{
    cluster::{Clusters, Job, certificates},
    tests,
};

tests![
    tells_that_the_registration_does_not_fit_and_leaves_it,
    tells_what_leaves_updates_out_unless_it_is_declared,
    takes_away_what_does_not_follow_from_the_policy,
    adds_the_conditions_once_all_was_quiet,
    lets_nothing_past_a_stricter_policy_once_it_is_in_force,
    has_a_looser_policy_in_force_before_its_conditions,
    asks_about_everything_while_two_replicas_disagree,
    leaves_an_entry_for_objects_and_scale_without_conditions,
    leaves_an_entry_for_other_operations_without_conditions,
    leaves_the_webhooks_of_others_as_they_are,
];

/// The default policy under another name, and with these fields mutable too.
fn policy(name: &str, fields: &[&str]) -> String {
    let more: String = fields.iter().flat_map(|field| ["  - spec.", field, "\n"]).collect();
    let cci = include_str!("../../../src/policy/built_in/cci.yaml").replace("name: cci", &format!("name: {name}"));
    cci.replace("  - spec.cleanPodPolicy\n", &format!("  - spec.cleanPodPolicy\n{more}"))
}

/// A job, and a guard that is registered for its namespace by its URL, under a policy in a file.
struct Kept<'a> {
    home: Home<'a>,
    job: Job<'a>,
    folder: PathBuf,
    policy: PathBuf,
    url: (std::net::SocketAddr, PathBuf),
}

impl<'a> Kept<'a> {
    fn new(clusters: &'a Clusters, text: &str, always_ask: bool) -> Self {
        let cluster = clusters.cci();
        let home = Home::new(cluster, false, None);
        let folder = cluster.folder();
        certificates(&folder.join("certs"));
        let policy = folder.join("policy.yaml");
        fs::write(&policy, text).expect("a file");
        let url = (free_address().expect("a port"), folder.join("certs/ca.crt"));
        home.kubectl(&["label", "namespace", &home.name, "own-guard=true"]);
        let mut job = support::example_job();
        job["metadata"]["namespace"] = json!(home.name);
        home.apply(&job);
        let job = Job { cluster, namespace: home.name.clone() };
        let kept = Self { home, job, folder, policy, url };
        kept.register(&kept.policy, always_ask);
        kept
    }

    fn register(&self, policy: &Path, always_ask: bool) {
        let registered = Registered { policy: policy.display().to_string(), always_ask, url: Some(self.url.clone()) };
        self.home.register(&registered);
    }

    /// A guard with the files' certificate and this policy; the first is the one that is registered.
    fn guard(&self, policy: &Path, arguments: &[&str]) -> Guard {
        self.home.guard_with_files(self.url.0, &self.folder.join("certs"), policy, arguments)
    }

    fn write_policy(&self, text: &str) {
        let draft = self.policy.with_extension("new");
        fs::write(&draft, text).expect("a file");
        fs::rename(draft, &self.policy).expect("a file");
    }

    /// The expressions of the registration's first entry, which is that of the objects.
    fn conditions(&self) -> Vec<String> {
        expressions(&self.home.registration())
    }

    /// The expressions that follow from a policy of that text.
    fn conditions_of(&self, text: &str) -> Vec<String> {
        let file = self.folder.join("other.yaml");
        fs::write(&file, text).expect("a file");
        let output = guard::program().args(["registration", "-o", "json"]).arg(file).output().expect("the guard runs");
        expressions(&serde_json::from_slice(&output.stdout).expect("JSON"))
    }

    fn patch(&self, field: &str, value: &str) -> crate::run::Run {
        self.job.patch(&json!({"spec": {field: value}}))
    }
}

fn expressions(registration: &Value) -> Vec<String> {
    let conditions = registration["webhooks"][0]["matchConditions"].as_array().cloned().unwrap_or_default();
    conditions.iter().map(|condition| condition["expression"].as_str().expect("a text").to_owned()).collect()
}

/// A condition that is false for every update.
fn hole() -> Value {
    json!([{"op": "add", "path": "/webhooks/0/matchConditions/-",
        "value": {"name": "never", "expression": "object.metadata.name == 'no job has this name'"}}])
}

fn tells_that_the_registration_does_not_fit_and_leaves_it(clusters: &Clusters) {
    let kept = Kept::new(clusters, &policy("own", &[]), false);
    let guard = kept.guard(&kept.policy, &[]);
    until_ready_says(&guard, "200 OK");
    until_metric(&guard, "registration_fits", 1);
    kept.job.rejects(&[("spec.backoffLimit", "(added)")], || kept.patch("backoffLimit", "1"));

    kept.home.tamper(&hole());
    let said = until_ready_says(&guard, "warning: ");
    assert!(said.starts_with("HTTP/1.1 200"), "to take the guard away would not close the hole: {said}");
    let warning = "updates get past the guard: condition never of webhook updates.pytorchjob-guard.internal";
    assert!(said.contains(warning), "{said}");
    until_metric(&guard, "registration_fits", 0);
    assert_eq!(kept.conditions().len(), 4, "it is nobody's business here to mend it");
    assert!(guard.log().contains("the registration does not match the policy"));

    // `kubectl apply` would leave it: it takes away nothing that it did not bring.
    kept.home.tamper(&json!([{"op": "remove", "path": "/webhooks/0/matchConditions/3"}]));
    until_metric(&guard, "registration_fits", 1);
    // A policy that asks more, and a registration of the one before.
    kept.write_policy(&policy("stricter", &[]).replace("  - spec.cleanPodPolicy\n", ""));
    until_metric(&guard, "registration_fits", 0);
    until_ready_says(&guard, "changes-an-immutable-field");
    kept.register(&kept.policy, false);
    until_metric(&guard, "registration_fits", 1);
    // No conditions at all fit every policy.
    kept.register(&kept.policy, true);
    kept.write_policy(&policy("looser", &["first"]));
    until_metric(&guard, "policy_info{name=\"looser\"}", 1);
    until_metric(&guard, "registration_fits", 1);
    // Where no webhook covers updates, or none has to, that is said too.
    kept.home.tamper(&json!([{"op": "remove", "path": "/webhooks/1"}]));
    until_ready_says(&guard, "no webhook covers updates of pytorchjobs.kubeflow.org/scale");
    kept.home.tamper(&json!([{"op": "replace", "path": "/webhooks/0/failurePolicy", "value": "Ignore"}]));
    until_ready_says(&guard, "failurePolicy Ignore lets updates of pytorchjobs.kubeflow.org through");
}

fn tells_what_leaves_updates_out_unless_it_is_declared(clusters: &Clusters) {
    let kept = Kept::new(clusters, &policy("own", &[]), true);
    let guard = kept.guard(&kept.policy, &[]);
    until_ready_says(&guard, "200 OK");
    until_metric(&guard, "registration_fits", 1);
    let selects = json!({"matchLabels": {"no": "such"}});
    for (field, value, misfit) in [
        ("rules/0/scope", json!("Cluster"), "scope Cluster of webhook updates."),
        ("rules/0/apiVersions", json!(["v2"]), "apiVersions v2 of webhook updates."),
        ("namespaceSelector", selects.clone(), "the namespaceSelector of webhook updates."),
        ("objectSelector", selects, "the objectSelector of webhook updates."),
    ] {
        let path = format!("/webhooks/0/{field}");
        let before = kept.home.registration().pointer(&path).cloned().expect("the API server writes its default");
        kept.home.tamper(&json!([{"op": "replace", "path": path, "value": value}]));
        let said = until_ready_says(&guard, &format!("warning: updates get past the guard: {misfit}"));
        assert!(said.starts_with("HTTP/1.1 200"), "{said}");
        until_metric(&guard, "registration_fits", 0);
        // And so they do.
        let value = format!("through-{}", field.replace('/', "-"));
        let passes = || Ok((kept.patch("backoffLimit", &value).code() == Some(0)).then_some(()));
        until("an update to get past", passes).expect("the API server does not ask");
        kept.home.tamper(&json!([{"op": "replace", "path": path, "value": before}]));
        until_metric(&guard, "registration_fits", 1);
        let is_refused = || Ok((kept.patch("backoffLimit", "other").code() != Some(0)).then_some(()));
        until("a refusal", is_refused).expect("the API server asks again");
    }

    let ignore =
        |at: usize| json!({"op": "replace", "path": format!("/webhooks/{at}/failurePolicy"), "value": "Ignore"});
    kept.home.tamper(&json!([ignore(0), ignore(1)]));
    until_metric(&guard, "registration_fits", 0);
    drop(guard);
    let guard = kept.guard(&kept.policy, &["--failure-policy=Ignore"]);
    until_ready_says(&guard, "200 OK");
    until_metric(&guard, "registration_fits", 1);
}

fn takes_away_what_does_not_follow_from_the_policy(clusters: &Clusters) {
    let kept = Kept::new(clusters, &policy("own", &[]), false);
    let own = kept.conditions();
    let guard = kept.guard(&kept.policy, &["--manage-registration"]);
    until_ready_says(&guard, "200 OK");
    kept.home.tamper(&hole());
    until("the condition to go", || Ok((kept.conditions() == own).then_some(()))).expect("it is taken away");
    until_metric(&guard, "registration_fits", 1);
    kept.job.rejects(&[("spec.backoffLimit", "(added)")], || kept.patch("backoffLimit", "1"));
    kept.job.accepts(|| kept.patch("cleanPodPolicy", "None"));
    let registration = kept.home.registration();
    assert_eq!(registration["webhooks"][0]["failurePolicy"], "Fail");
    assert_eq!(
        registration["webhooks"][0]["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"],
        kept.home.name
    );
}

fn adds_the_conditions_once_all_was_quiet(clusters: &Clusters) {
    let text = policy("own", &[]);
    let kept = Kept::new(clusters, &text, true);
    assert_eq!(kept.conditions(), Vec::<String>::new());
    let guard = kept.guard(&kept.policy, &["--manage-registration", "--registration-settle=1s"]);
    let wanted = kept.conditions_of(&text);
    assert_eq!(wanted.len(), 3);
    until("the conditions", || Ok((kept.conditions() == wanted).then_some(()))).expect("they are added");
    let registration = kept.home.registration();
    assert_eq!(registration["webhooks"][1]["matchConditions"].as_array().map(Vec::len), Some(1), "those of scale");
    until_ready_says(&guard, "200 OK");
    // With them the guard is not asked any more about what may change.
    let count = || guard.count("decision_duration_seconds_count").expect("metrics").unwrap_or_default();
    let is_asked = || {
        let before = count();
        kept.job
            .kubectl(&["label", "pytorchjob", "pytorch-test", "--overwrite", &format!("round={before}")])
            .accepted();
        kept.job.kubectl(&["label", "pytorchjob", "pytorch-test", "round-"]).accepted();
        Ok((count() == before).then_some(()))
    };
    until("the API server to follow", is_asked).expect("labels are let through by the API server itself");
    kept.job.rejects(&[("spec.backoffLimit", "(added)")], || kept.patch("backoffLimit", "1"));
}

fn lets_nothing_past_a_stricter_policy_once_it_is_in_force(clusters: &Clusters) {
    let kept = Kept::new(clusters, &policy("loose", &["first", "second"]), false);
    let guard = kept.guard(&kept.policy, &["--manage-registration", "--registration-settle=1s"]);
    until_ready_says(&guard, "200 OK");
    let is_in_force = |name: &str| guard.count(&format!("policy_info{{name=\"{name}\"}}")).expect("metrics") == Some(1);
    for round in 0..3 {
        let (loose, strict) = (format!("loose-{round}"), format!("strict-{round}"));
        kept.write_policy(&policy(&loose, &["first", "second"]));
        let wanted = kept.conditions_of(&policy(&loose, &["first", "second"]));
        until("the loose conditions", || Ok((is_in_force(&loose) && kept.conditions() == wanted).then_some(())))
            .expect("they follow");
        kept.patch("first", &format!("before-{round}")).accepted();

        let (stop, refusals) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            let attempts = scope.spawn(|| {
                let mut passed = 0;
                while !stop.load(Ordering::Relaxed) {
                    let was_strict = is_in_force(&strict);
                    let run = kept.patch("first", &format!("value-{round}-{passed}"));
                    if was_strict {
                        run.rejected(&[("spec.first", "")]);
                        refusals.fetch_add(1, Ordering::Relaxed);
                    } else if run.code() == Some(0) {
                        passed += 1;
                    }
                }
                passed
            });
            kept.write_policy(&policy(&strict, &["second"]));
            until("the strict policy", || Ok(is_in_force(&strict).then_some(()))).expect("it comes into force");
            let wanted = kept.conditions_of(&policy(&strict, &["second"]));
            until("its conditions", || Ok((kept.conditions() == wanted).then_some(()))).expect("they follow");
            let seen = refusals.load(Ordering::Relaxed);
            let more = || Ok((attempts.is_finished() || refusals.load(Ordering::Relaxed) > seen + 3).then_some(()));
            until("more refusals", more).expect("attempts go on");
            stop.store(true, Ordering::Relaxed);
            let passed = attempts.join().expect("no attempt gets past the policy in effect");
            assert!(passed > 0, "the loose policy let some through");
        });
        kept.job.accepts(|| kept.patch("second", &format!("value-{round}")));
    }
}

fn has_a_looser_policy_in_force_before_its_conditions(clusters: &Clusters) {
    let kept = Kept::new(clusters, &policy("strict", &[]), false);
    let guard = kept.guard(&kept.policy, &["--manage-registration", "--registration-settle=1h"]);
    until_ready_says(&guard, "200 OK");
    kept.job.rejects(&[("spec.first", "(added)")], || kept.patch("first", "a"));
    kept.write_policy(&policy("loose", &["first"]));
    until_metric(&guard, "policy_info{name=\"loose\"}", 1);
    kept.job.accepts(|| kept.patch("first", "a"));
    let loose = kept.conditions_of(&policy("loose", &["first"]));
    let shared = kept.conditions();
    assert!(shared.len() < loose.len() && shared.iter().all(|condition| loose.contains(condition)), "{shared:?}");
    until_metric(&guard, "registration_fits", 1);
}

fn asks_about_everything_while_two_replicas_disagree(clusters: &Clusters) {
    let kept = Kept::new(clusters, &policy("one", &["first"]), false);
    let other = kept.folder.join("two.yaml");
    fs::write(&other, policy("two", &["second"])).expect("a file");
    let manage = ["--manage-registration", "--registration-settle=2s"];
    let one = kept.guard(&kept.policy, &manage);
    until_ready_says(&one, "200 OK");
    let elsewhere =
        kept.home.guard_with_files(free_address().expect("a port"), &kept.folder.join("certs"), &other, &manage);
    let by_policies = [kept.conditions_of(&policy("one", &["first"])), kept.conditions_of(&policy("two", &["second"]))];
    // Each brings in its own again and again, and neither leaves the other's.
    let is_shared = || {
        let now = kept.conditions();
        Ok(by_policies.iter().all(|own| now.iter().all(|condition| own.contains(condition))).then_some(()))
    };
    for _ in 0..3 {
        until("conditions that both have", is_shared).expect("they agree on what they share");
        let one_writes =
            || Ok((kept.conditions() == by_policies[0] || kept.conditions() == by_policies[1]).then_some(()));
        until("one of them to try", one_writes).expect("they try");
    }
    drop(elsewhere);
    let wins = || Ok((kept.conditions() == by_policies[0]).then_some(()));
    until("the one that is left", wins).expect("it has its way");
    until_metric(&one, "registration_fits", 1);
}

fn leaves_an_entry_for_objects_and_scale_without_conditions(clusters: &Clusters) {
    let kept = Kept::new(clusters, &policy("own", &[]), true);
    kept.home.tamper(&json!([
        {"op": "remove", "path": "/webhooks/1"},
        {"op": "add", "path": "/webhooks/0/rules/0/resources/-", "value": "pytorchjobs/scale"},
    ]));
    let before = kept.home.registration();
    let guard = kept.guard(&kept.policy, &["--manage-registration", "--registration-settle=0s"]);
    until_ready_says(&guard, "200 OK");
    until_metric(&guard, "registration_fits", 1);
    kept.home.tamper(&hole_in_the_first());
    until("the condition to go", || Ok(kept.conditions().is_empty().then_some(()))).expect("it is taken away");
    assert_eq!(kept.home.registration()["webhooks"], before["webhooks"]);
}

/// On creation there is no old object, and a condition about it would end in an error, and refuse.
fn leaves_an_entry_for_other_operations_without_conditions(clusters: &Clusters) {
    let text = policy("own", &[]);
    let kept = Kept::new(clusters, &text, true);
    kept.home.tamper(&json!([{"op": "add", "path": "/webhooks/0/rules/0/operations/-", "value": "CREATE"}]));
    let guard = kept.guard(&kept.policy, &["--manage-registration", "--registration-settle=1s"]);
    until_ready_says(&guard, "200 OK");
    let scale = || Ok(kept.home.registration()["webhooks"][1]["matchConditions"].is_array().then_some(()));
    until("the conditions of scale", scale).expect("the other entry gets its own");
    assert_eq!(kept.conditions(), Vec::<String>::new());
    kept.job.kubectl(&["delete", "pytorchjob", "pytorch-test"]).accepted();
    kept.job.with_file(&["create"], &support::example_job()).accepted();
    // Its twin is for updates alone.
    kept.home.tamper(&json!([{"op": "remove", "path": "/webhooks/0/rules/0/operations/1"}]));
    let wanted = kept.conditions_of(&text);
    until("the conditions", || Ok((kept.conditions() == wanted).then_some(()))).expect("they are added");
}

fn leaves_the_webhooks_of_others_as_they_are(clusters: &Clusters) {
    let text = policy("own", &[]);
    let kept = Kept::new(clusters, &text, true);
    let mut other = kept.home.registration()["webhooks"][0].clone();
    other["name"] = json!("other.example.com");
    other["rules"] =
        json!([{"apiGroups": ["example.com"], "apiVersions": ["*"], "operations": ["*"], "resources": ["others"]}]);
    other["matchConditions"] = json!([{"name": "own", "expression": "request.name != 'x'"}]);
    kept.home.tamper(&json!([{"op": "add", "path": "/webhooks/-", "value": other}]));
    let other = kept.home.registration()["webhooks"][2].clone();
    let guard = kept.guard(&kept.policy, &["--manage-registration", "--registration-settle=0s"]);
    let wanted = kept.conditions_of(&text);
    until("the conditions", || Ok((kept.conditions() == wanted).then_some(()))).expect("ours get theirs");
    assert_eq!(kept.home.registration()["webhooks"][2], other);
    until_metric(&guard, "registration_fits", 1);
}

fn hole_in_the_first() -> Value {
    let value = json!([{"name": "never", "expression": "false"}]);
    json!([{"op": "add", "path": "/webhooks/0/matchConditions", "value": value}])
}
