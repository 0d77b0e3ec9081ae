//! Uninstalling takes the registration away first: no update waits for a guard that is gone.

use std::{fs, process::Command};

use serde_json::Value;

use super::{Bare, NAME, OVERLAYS, chart, run};
use support::{control_plane::ADMIN, programs::helm};

use crate::{cluster::Clusters, tests};

tests![helm_uninstall_removes_the_registration_first, the_documented_commands_remove_all_of_an_overlay];

fn helm_uninstall_removes_the_registration_first(_: &Clusters) {
    let bare = Bare::boot();
    let kubeconfig = bare.plane.kubeconfig();
    let helm = |arguments: &[&str]| {
        let mut command = Command::new(helm().expect("Helm"));
        command.args(arguments).args(["--namespace", NAME]).arg("--kubeconfig").arg(&kubeconfig);
        run(command.env("HOME", kubeconfig.parent().expect("a folder")))
    };
    helm(&["install", NAME, &chart().display().to_string(), "--create-namespace"]);
    helm(&["uninstall", NAME]);
    let deleted = deleted(&bare);
    assert_eq!(deleted.first().map(String::as_str), Some("validatingwebhookconfigurations"), "{deleted:?}");
    assert!(deleted.contains(&"deployments".to_owned()) && deleted.contains(&"services".to_owned()), "{deleted:?}");
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
    assert_eq!(deleted.first().map(String::as_str), Some("validatingwebhookconfigurations"), "{deleted:?}");
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
