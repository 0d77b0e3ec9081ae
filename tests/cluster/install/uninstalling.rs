//! Uninstalling takes the registration away first: no update waits for a guard that is gone.

use std::{fs, path::Path};

use serde_json::Value;

use super::{Bare, NAME, OVERLAYS, chart, objects, run, the};
use support::{
    control_plane::ADMIN,
    programs::{helm, helm_3},
};

use crate::{cluster::Clusters, tests};

tests![
    helm_uninstall_removes_the_registration_first,
    helm_3_uninstall_removes_the_registration_first,
    the_hook_that_does_so_asks_the_guard_all_the_same,
    the_documented_commands_remove_all_of_an_overlay,
];

const REGISTRATIONS: &str = "validatingwebhookconfigurations";

fn helm_uninstall_removes_the_registration_first(_: &Clusters) {
    removes_the_registration_first(&helm().expect("Helm"));
}

fn helm_3_uninstall_removes_the_registration_first(_: &Clusters) {
    removes_the_registration_first(&helm_3().expect("Helm 3"));
}

fn removes_the_registration_first(helm: &Path) {
    let bare = Bare::boot();
    let chart = chart().display().to_string();
    bare.helm(helm, NAME, &["install", NAME, &chart, "--create-namespace"]);
    bare.helm(helm, NAME, &["upgrade", NAME, &chart, "--set", "policy=kueue"]);
    bare.helm(helm, NAME, &["uninstall", NAME]);
    let deleted = deleted(&bare);
    let rest: Vec<_> = deleted.iter().skip_while(|resource| *resource == REGISTRATIONS).collect();
    assert!(rest.len() < deleted.len() && !rest.iter().any(|resource| *resource == REGISTRATIONS), "{deleted:?}");
    for resource in ["deployments", "services"] {
        assert!(rest.iter().any(|deleted| *deleted == resource), "{deleted:?}");
    }
    let left = bare.kubectl(&["get", REGISTRATIONS, "-o", "name"]);
    assert_eq!(left, "", "the hook's own is gone too");
}

/// Somebody may apply what Helm renders for a cluster, hooks too: the registration's last state is then the hook's.
fn the_hook_that_does_so_asks_the_guard_all_the_same(_: &Clusters) {
    let bare = Bare::boot();
    let chart = chart().display().to_string();
    let template = |helm: &Path, more: &[&str]| {
        let arguments = ["template", NAME, &chart, "--skip-tests", "--kube-version=1.30.0"];
        objects(&bare.helm(helm, NAME, &[&arguments, more].concat()))
    };
    let without_a_cluster = template(&helm().expect("Helm"), &[]);
    let registration = the(&without_a_cluster, "ValidatingWebhookConfiguration");
    let mut asks_if_it_can = registration["webhooks"].clone();
    for webhook in asks_if_it_can.as_array_mut().expect("webhooks") {
        webhook["failurePolicy"] = "Ignore".into();
    }
    for helm in [helm().expect("Helm"), helm_3().expect("Helm 3")] {
        let with_a_cluster = template(&helm, &["--dry-run=server"]);
        let is_registration = |object: &&Value| object["kind"] == "ValidatingWebhookConfiguration";
        let both: Vec<_> = with_a_cluster.iter().filter(is_registration).collect();
        let (hooks, itself): (Vec<&Value>, Vec<_>) =
            both.into_iter().partition(|object| object["metadata"]["annotations"]["helm.sh/hook"] == "pre-delete");
        assert_eq!(itself, [registration]);
        let [hook] = hooks[..] else { panic!("{hooks:?}") };
        assert_eq!(
            (&hook["metadata"]["name"], &hook["webhooks"]),
            (&registration["metadata"]["name"], &asks_if_it_can)
        );
    }
}

/// manifests/README.md tells them.
fn the_documented_commands_remove_all_of_an_overlay(_: &Clusters) {
    let readme = fs::read_to_string(format!("{}/manifests/README.md", super::ROOT)).expect("the page");
    let commands = [
        "kubectl delete validatingwebhookconfiguration pytorchjob-guard\n",
        "kubectl delete --ignore-not-found -k manifests/overlays/self-managed\n",
    ];
    assert!(readme.contains(&commands.concat()), "the page has these commands, one after the other");

    let bare = Bare::boot();
    let overlay = OVERLAYS[0];
    bare.kubectl(&["apply", "-k", &overlay.folder().display().to_string()]);
    for command in commands {
        let words = command.split_whitespace().skip(1);
        let mut kubectl = bare.plane.kubectl(ADMIN);
        // No controller is there that would end the namespace.
        run(kubectl.args(words).arg("--wait=false").current_dir(super::ROOT));
    }
    let deleted = deleted(&bare);
    assert_eq!(deleted.first().map(String::as_str), Some(REGISTRATIONS), "{deleted:?}");
    assert_eq!(deleted.iter().filter(|resource| *resource != "pods").count(), overlay.objects().len(), "{deleted:?}");
}

/// The resources of the objects that were deleted, in the order in which the API server did it.
fn deleted(bare: &Bare) -> Vec<String> {
    let log = fs::read_to_string(bare.plane.audit_log()).expect("the audit log");
    let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let by_the_admin = |event: &Value| {
        event["verb"] == "delete" && event["user"]["username"] == ADMIN && event["responseStatus"]["code"] == 200
    };
    let resource = |event: Value| event["objectRef"]["resource"].as_str().map(str::to_owned);
    events.filter(by_the_admin).filter_map(resource).collect()
}
