//! Whoever applies the manifests again finds nothing to change, also after the guard has written what it keeps: a tool that applies
//! from git and the guard do not fight.

use serde_json::{Value, json};

use super::{ACCOUNT, Bare, NAME, OVERLAYS, Overlay, assert_same, chart, run};
use support::{control_plane::ADMIN, programs::helm};

use crate::{cluster::Clusters, tests_of_every_version};

tests_of_every_version![
    the_self_managed_overlay_can_be_applied_again,
    the_cert_manager_overlay_can_be_applied_again,
    the_always_ask_overlay_can_be_applied_again,
    the_chart_can_be_installed_and_upgraded,
];

fn the_self_managed_overlay_can_be_applied_again(_: &Clusters) {
    can_be_applied_again(OVERLAYS[0]);
}

fn the_cert_manager_overlay_can_be_applied_again(_: &Clusters) {
    can_be_applied_again(OVERLAYS[1]);
}

fn the_always_ask_overlay_can_be_applied_again(_: &Clusters) {
    can_be_applied_again(OVERLAYS[2]);
}

fn can_be_applied_again(overlay: Overlay) {
    for flags in [&["apply"][..], &["apply", "--server-side"]] {
        let bare = Bare::boot();
        let folder = overlay.folder().display().to_string();
        let apply = || run(bare.plane.kubectl(ADMIN).args(flags).args(["-k", &folder]));
        let first = apply();
        assert_eq!(first.lines().count(), overlay.objects().len(), "{first}");

        fill(&bare, overlay);
        let before = stored(&bare, &overlay.objects());
        let again = apply();
        if !flags.contains(&"--server-side") {
            // Of a budget kubectl always sends the selector again, and calls it configured.
            let is_same = |line: &&str| line.ends_with(" unchanged") || line.starts_with("poddisruptionbudget.");
            let changed: Vec<_> = again.lines().filter(|line| !is_same(line)).collect();
            assert!(changed.is_empty(), "{}: {changed:#?}", overlay.name);
        }
        // Not even the version that the API server counts: nothing was written.
        assert_same(&before, &stored(&bare, &overlay.objects()), overlay.name);
    }
}

/// Helm 4 applies on the server's side, and takes what is already there for its own only when told to.
fn the_chart_can_be_installed_and_upgraded(_: &Clusters) {
    let bare = Bare::boot();
    let chart = chart().display().to_string();
    let program = helm().expect("Helm");
    let helm = |verb: &str, more: &[&str]| bare.helm(&program, NAME, &[&[verb, NAME, &chart], more].concat());
    let said = helm("install", &["--create-namespace"]);
    assert!(said.contains("The API server asks the guard about updates of PyTorchJobs, by the policy cci."), "{said}");
    let label = ["label", "namespace", NAME, "pod-security.kubernetes.io/enforce=restricted"];
    assert!(said.contains(&format!("kubectl {}", label.join(" "))), "the namespace is not restricted: {said}");
    bare.kubectl(&label);

    let mut objects = OVERLAYS[0].objects();
    objects.retain(|object| object["kind"] != "Namespace");
    fill(&bare, OVERLAYS[0]);
    let before = stored(&bare, &objects);
    let said = helm("upgrade", &[]);
    assert!(!said.contains("kubectl label namespace"), "{said}");
    assert_same(&before, &stored(&bare, &objects), "chart");
}

/// Writes what the guard, or cert-manager, would write.
fn fill(bare: &Bare, overlay: Overlay) {
    let bundle = "LS0tLS1CRUdJTiBDRVJUSUZJQ0FURS0tLS0tCk1BPT0KLS0tLS1FTkQgQ0VSVElGSUNBVEUtLS0tLQo=";
    let registration = ["patch", "validatingwebhookconfiguration", NAME, "--type=json", "--patch"];
    let mut patch = vec![
        json!({"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": bundle}),
        json!({"op": "add", "path": "/webhooks/1/clientConfig/caBundle", "value": bundle}),
    ];
    if overlay.name == "always-ask" {
        // As a guard would that was told to keep conditions.
        let condition = json!([{"name": "changes-the-scale", "expression": "object != oldObject"}]);
        patch.push(json!({"op": "add", "path": "/webhooks/1/matchConditions", "value": condition}));
    }
    // With the very rights that the guard is given.
    bare.wait_for_rights(overlay);
    let account = format!("--as={ACCOUNT}");
    let patch = json!(patch).to_string();
    bare.kubectl(&[&registration[..], &[&patch, &account]].concat());
    if overlay.name != "cert-manager" {
        let data = json!({"data": {"tls.crt": bundle, "tls.key": bundle}}).to_string();
        let secret = ["patch", "secret", "pytorchjob-guard-ca", "--namespace", NAME, "--type=merge", "--patch"];
        bare.kubectl(&[&secret[..], &[&data, &account]].concat());
    }
}

/// These objects as the API server has them.
fn stored(bare: &Bare, objects: &[Value]) -> Vec<Value> {
    let get = |object: &Value| {
        let (group, _) = object["apiVersion"].as_str().and_then(|version| version.split_once('/')).unwrap_or_default();
        let kind = format!("{}.{group}", object["kind"].as_str().unwrap_or_default());
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        bare.get(&[kind.trim_end_matches('.'), name, "--namespace", NAME, "--show-managed-fields=false"])
    };
    objects.iter().map(get).collect()
}
