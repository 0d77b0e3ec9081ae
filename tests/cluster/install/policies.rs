//! The policies that Helm's values choose, and what the chart registers for them. No API server is needed.

use std::{ffi::OsStr, fs, path::Path};

use serde_json::{Value, json};
use support::guard;

use super::{NAME, assert_same, fails, objects, run, template, the};
use crate::{cluster::Clusters, tests};

tests![
    helm_exempts_the_users_of_the_cluster,
    helm_registers_several_policies,
    helm_registers_a_policy_of_ones_own,
    helm_registers_no_guard_outside_the_cluster,
];

/// All else of the policy is as it is shipped, and so are the conditions, which name no user.
fn helm_exempts_the_users_of_the_cluster(_: &Clusters) {
    let user = "system:serviceaccount:queues:kueue";
    let kueue = |more: &[&str]| objects(&run(&mut template(NAME, &[&["--set", "policy=kueue"], more].concat())));
    let exempting = kueue(&["--set", &format!("exempt.kueue={user}")]);
    let text = the(&exempting, "ConfigMap")["data"]["policy.yaml"].as_str().expect("a policy").to_owned();
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("policy.yaml");
    fs::write(&file, text).expect("a file");
    let show = |policy: &OsStr, more: &[&str]| {
        run(guard::program().args(["policy", "show", "-o", "json"]).arg(policy).args(more))
    };
    assert_eq!(show(file.as_os_str(), &[]), show(OsStr::new("kueue"), &[&format!("--exempt=kueue={user}")]));
    let but_for_the_policy =
        |objects: Vec<Value>| objects.into_iter().filter(|object| object["kind"] != "ConfigMap").collect::<Vec<_>>();
    let text = format!("policyText={}", file.display());
    let said = fails(&mut template(NAME, &["--set", "exempt.kueue=a", "--set-file", &text]));
    assert!(
        said.contains("exempt is for the built-in policies; list the users in your policy's own exemptions"),
        "{said}"
    );
    assert_same(&but_for_the_policy(exempting), &but_for_the_policy(kueue(&[])), "exempt");
}

/// The objects of the chart for own policies. It registers them without conditions, or, given what the guard prints for them, with
/// those.
fn registered_as_printed(policies: &[String], source: &Path) -> Vec<Value> {
    let print = |more: &[&str]| {
        run(guard::program().args(["registration", "--service=ops/pytorchjob-guard"]).arg(source).args(more))
    };
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("registration.yaml");
    // Of another release: names and namespace are Helm's.
    fs::write(&file, print(&["--service=other/service", "--name=other"])).expect("a file");
    let given = format!("registrationText={}", file.display());
    let rendered = |more: &[&str]| {
        let mut helm = template("ops", more);
        helm.args(policies.iter().flat_map(|policy| ["--set-file", policy]));
        objects(&run(&mut helm))
    };
    let without = rendered(&[]);
    let with = rendered(&["--set-file", &given]);
    let always = rendered(&["--set-file", &given, "--set", "alwaysAsk=true"]);
    for (objects, printed) in [(&without, &["--always-ask"][..]), (&with, &[]), (&always, &["--always-ask"])] {
        let printed: Value = serde_saphyr::from_str(&print(printed)).expect("YAML");
        let registration = the(objects, "ValidatingWebhookConfiguration");
        assert_eq!(registration["webhooks"], printed["webhooks"]);
        assert_eq!(registration["metadata"]["name"], NAME);
    }
    without
}

/// Helm cannot work out its conditions: the registration has none, and the guard is told to keep them.
fn helm_registers_a_policy_of_ones_own(_: &Clusters) {
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("policy.yaml");
    let text = "# With a comment, and no line's end.\napiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: own\n\
                resources:\n  - {group: kubeflow.org, resource: pytorchjobs}\n  - {group: example.com, resource: jobs}\n  \
                - {group: kubeflow.org, resource: tfjobs}\nmutableFields: [metadata.labels]";
    fs::write(&file, text).expect("a file");
    let rendered = registered_as_printed(&[format!("policyText={}", file.display())], &file);
    assert_eq!(the(&rendered, "ConfigMap")["data"], json!({"policy.yaml": text}));
    let arguments = &the(&rendered, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"];
    assert!(arguments.as_array().is_some_and(|arguments| arguments.contains(&json!("--manage-registration"))));
}

/// Each has webhooks of its own, as the guard prints them for the folder.
fn helm_registers_several_policies(_: &Clusters) {
    let folder = tempfile::tempdir().expect("a folder");
    let head = "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nresources: [{group: kubeflow.org, resource: pytorchjobs}]\n\
                mutableFields: [metadata.labels]\n";
    let a = format!("{head}name: Team_A\nnamespaceSelector: {{matchLabels: {{team: a}}}}\nfailurePolicy: Ignore\n");
    let b = format!(
        "{head}name: b\nobjectSelector: {{matchExpressions: [{{key: tier, operator: Exists}}]}}\ntimeoutSeconds: 3\n"
    );
    let values = [("a.yaml", &a), ("b.yaml", &b)].map(|(name, text)| {
        let file = folder.path().join(name);
        fs::write(&file, text).expect("a file");
        format!("policies.{}={}", name.replace('.', "\\."), file.display())
    });
    let rendered = registered_as_printed(&values, folder.path());
    assert_eq!(the(&rendered, "ConfigMap")["data"], json!({"a.yaml": a, "b.yaml": b}));
    let arguments = &the(&rendered, "Deployment")["spec"]["template"]["spec"]["containers"][0]["args"];
    assert!(arguments.as_array().is_some_and(|arguments| arguments.contains(&json!("--policy=/etc/pytorchjob-guard"))));
}

fn helm_registers_no_guard_outside_the_cluster(_: &Clusters) {
    let printed = run(guard::program().args(["registration", "--url=https://192.0.2.7:8443/validate"]));
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("registration.yaml");
    fs::write(&file, printed).expect("a file");
    let said = fails(&mut template(NAME, &["--set-file", &format!("registrationText={}", file.display())]));
    assert!(said.contains("registrationText has a webhook that leads to no Service: print it without --url"), "{said}");
}
