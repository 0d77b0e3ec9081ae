//! Several policies in one guard: each is served at its own path, and one bad file stops none of the others.

use std::fs;

use serde_json::{Value, json};
use support::{
    Serves as _,
    client::{Client, post_to},
    eventually,
    guard::{Guard, Start},
    reviews::update,
};

use crate::cli::Folder;

/// A policy of this name under which `spec.{field}` may change, and nothing else.
fn policy(name: &str, field: &str) -> String {
    format!(
        "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: {name}\n\
         resources: [{{group: kubeflow.org, resource: pytorchjobs}}]\nmutableFields: [spec.{field}]\n"
    )
}

/// The answer to an update of `spec.a` and `spec.b` sent to this path: the policy, and the fields that it denies.
fn decided(guard: &Guard, path: &str) -> String {
    let review = update(json!({"a": 1, "b": 1}), json!({"a": 2, "b": 2})).to_string();
    let reply = Client::to(guard).ask(&post_to(path, &review));
    if reply.code != 200 {
        return format!("{} {}", reply.code, reply.body);
    }
    let answer: Value = serde_json::from_str(&reply.body).expect("a review");
    let text = |annotation: &str| answer["response"]["auditAnnotations"][annotation].as_str().expect("text").to_owned();
    format!("under {}: {}", text("policy"), text("violations"))
}

#[track_caller]
fn is_not_served(guard: &Guard, path: &str) {
    let said = decided(guard, path);
    assert!(said.starts_with("404 no policy is served here; "), "{said}");
}

fn readyz(guard: &Guard) -> String {
    guard.admin("/readyz").1
}

#[test]
fn serves_each_policy_at_its_own_path() {
    let guard = Start::new()
        .file("one.yaml", &policy("Team.A", "a"))
        .file("other.yaml", &policy("b", "b"))
        .args(&["--policy=one.yaml", "--policy", "other.yaml"])
        .serve();
    assert_eq!(decided(&guard, "/validate/team-a"), "under Team.A: spec.b");
    assert_eq!(decided(&guard, "/validate/b"), "under b: spec.a");
    // The first one stays where it was before there were two.
    assert_eq!(decided(&guard, "/validate"), "under Team.A: spec.b");
    for path in ["/validate/a", "/validate/Team.A", "/validate/b/", "/validate/"] {
        is_not_served(&guard, path);
    }
    assert_eq!(guard.metric("decisions_total{policy=\"Team.A\",result=\"denied\"}").to_string(), "2");
    assert_eq!(guard.metric("denials_total{policy=\"b\",dry_run=\"false\"}").to_string(), "1");
    let log = guard.await_log("denied policy=\"b\"");
    assert!(log.contains("fields=\"spec.a\""), "{log}");
    let said = readyz(&guard);
    assert!(said.contains("\npolicy Team.A, digest ") && said.contains("\npolicy b, digest "), "{said}");
}

#[test]
fn one_bad_file_of_a_folder_stops_no_other() {
    let guard = Start::new()
        .file("policies/a.yaml", &policy("a", "a"))
        .file("policies/b.yaml", "name: [")
        .file("policies/a.test.yaml", "kind: nothing that a guard reads")
        .file("policies/notes.txt", "nor this")
        .args(&["--policy=policies"])
        .serve();
    assert_eq!(decided(&guard, "/validate/a"), "under a: spec.b");
    // Another file beside it would change which policy is meant.
    is_not_served(&guard, "/validate");
    is_not_served(&guard, "/validate/b");
    let said = readyz(&guard);
    assert!(said.contains("\nwarning: the policy file cannot be used: policies/b.yaml: "), "{said}");
    assert_eq!(guard.metric("policy_file_in_force").to_string(), "0");

    let file = |name: &str| guard.path(&format!("policies/{name}"));
    fs::write(file("b.yaml"), policy("b", "b")).expect("a file");
    eventually("b is mended", || decided(&guard, "/validate/b") == "under b: spec.a");
    assert_eq!(guard.metric("policy_file_in_force").to_string(), "1");

    // It breaks again, while a third one comes and the first one changes.
    fs::write(file("b.yaml"), "name: [").expect("a file");
    fs::write(file("c.yaml"), policy("c", "c")).expect("a file");
    fs::write(file("a.yaml"), policy("a", "b")).expect("a file");
    eventually("the others change", || decided(&guard, "/validate/a") == "under a: spec.a");
    eventually("a third one comes", || decided(&guard, "/validate/c") == "under c: spec.a,spec.b");
    assert_eq!(decided(&guard, "/validate/b"), "under b: spec.a", "the policy before stays");
    eventually("it tells of b", || {
        readyz(&guard)
            .contains("\nwarning: the policy file cannot be used, and b before stays in effect: policies/b.yaml: ")
    });
}

#[test]
fn takes_a_policy_away_once_no_webhook_leads_to_it() {
    let guard = Start::new()
        .file("policies/a.yaml", &policy("a", "a"))
        .file("policies/b.yaml", &policy("b", "b"))
        .args(&["--policy=policies"])
        .serve();
    fs::remove_file(guard.path("policies/b.yaml")).expect("a file");
    eventually("it tells that the file is gone", || {
        readyz(&guard).contains("\nwarning: the file of policy b is gone; it stays in effect while webhooks lead to it")
    });
    assert_eq!(decided(&guard, "/validate/b"), "under b: spec.a");
    // There is no registration here, so nothing leads to it.
    guard.await_log("the policy was taken away: its file is gone, and no webhook leads to it policy=\"b\"");
    is_not_served(&guard, "/validate/b");
    assert_eq!(decided(&guard, "/validate/a"), "under a: spec.b");
    assert!(!readyz(&guard).contains("policy b"));
}

#[test]
fn two_policies_of_one_name_are_not_both_served() {
    let start = |second: &str| {
        Start::new()
            .file("one.yaml", &policy("a", "a"))
            .file("two.yaml", &policy(second, "b"))
            .args(&["--policy=one.yaml,two.yaml"])
    };
    // They would be served at one path.
    let (code, said) = start("A").fail();
    assert_eq!(code, Some(2));
    assert!(said.contains("--policy two.yaml: name: A is taken by one.yaml; rename one"), "{said}");
    start("b").serve();
}

#[test]
fn a_folder_without_a_policy_ends_the_start() {
    let start = || Start::new().file("policies/a.test.yaml", "").args(&["--policy=policies"]);
    let (code, said) = start().fail();
    assert_eq!(code, Some(2));
    assert!(said.contains("--policy policies: there is no policy file in it, NAME.yaml"), "{said}");
    start().file("policies/a.yml", &policy("a", "a")).serve();
}

#[test]
fn a_registration_has_webhooks_for_each_policy() {
    let folder = Folder::new().with("policies/a.yaml", policy("a", "a")).with(
        "policies/b.yaml",
        format!(
            "{}namespaceSelector: {{matchLabels: {{team: b}}}}\nobjectSelector: {{matchExpressions: \
             [{{key: tier, operator: In, values: [gold]}}]}}\nfailurePolicy: Ignore\ntimeoutSeconds: 3\n",
            policy("b", "b")
        ),
    );
    let said =
        folder.run(&["registration", "policies", "-o", "json", "--namespace-selector=team=a", "--failure-policy=Fail"]);
    let said = said.split_once("--- output\n").expect("an output").1;
    let registration: Value = serde_json::from_str(said).expect("JSON");
    let of = |index: usize| {
        let webhook = &registration["webhooks"][index];
        let selectors = [&webhook["namespaceSelector"], &webhook["objectSelector"]].map(Value::to_string);
        let settings = [&webhook["failurePolicy"], &webhook["timeoutSeconds"]].map(Value::to_string);
        let path = &webhook["clientConfig"]["service"]["path"];
        format!("{} {path} {} {}", webhook["name"], selectors.join(" "), settings.join(" "))
    };
    let a = r#"{"matchLabels":{"team":"a"}} null "Fail" 5"#;
    let b = r#"{"matchLabels":{"team":"b"}}"#;
    let gold = r#"{"matchExpressions":[{"key":"tier","operator":"In","values":["gold"]}]}"#;
    assert_eq!(of(0), format!(r#""updates.a.pytorchjob-guard.internal" "/validate/a" {a}"#));
    assert_eq!(of(1), format!(r#""scale.a.pytorchjob-guard.internal" "/validate/a" {a}"#));
    assert_eq!(of(2), format!(r#""updates.b.pytorchjob-guard.internal" "/validate/b" {b} {gold} "Ignore" 3"#));
    assert_eq!(of(3), format!(r#""scale.b.pytorchjob-guard.internal" "/validate/b" {b} null "Ignore" 3"#));
    // One that is given by itself stays at /validate.
    let said = folder.run(&["registration", "policies/a.yaml"]);
    assert!(said.contains("path: /validate\n") && said.contains("name: updates.pytorchjob-guard.internal\n"), "{said}");
}

#[test]
fn lint_tells_which_policies_overlap() {
    let selecting =
        |name: &str, team: &str| format!("{}namespaceSelector: {{matchLabels: {{team: {team}}}}}\n", policy(name, "a"));
    let folder = Folder::new().with("p/a.yaml", selecting("a", "a")).with("p/b.yaml", selecting("b", "b"));
    let overlaps = |folder: &Folder| {
        let said = folder.run(&["policy", "lint", "p"]);
        said.lines().filter(|line| line.contains("decided by")).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(overlaps(&folder), Vec::<String>::new());
    let folder = folder.with("p/c.yaml", policy("c", "c"));
    let overlap = "updates of pytorchjobs.kubeflow.org are decided by this policy too";
    assert_eq!(
        overlaps(&folder),
        ["a", "b"]
            .map(|other| { format!("p/c.yaml: note: {overlap}, as by p/{other}.yaml: an update has to pass both") })
    );
}
