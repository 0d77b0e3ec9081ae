//! The `NetworkPolicy`: open by default, and restricted alike by kustomize and Helm.

use std::{fs, process::Command};

use serde_json::{Value, json};

use super::{NAME, OVERLAYS, assert_same, fails, objects, run, template, the, without_instance};
use support::programs::kubectl;

use crate::{cluster::Clusters, tests};

tests![
    by_default_every_peer_may_connect_and_the_guard_anywhere,
    kubectl_and_helm_restrict_the_same_peers,
    kustomize_fails_without_the_peers_that_may_get_in,
];

/// A `NetworkPolicyPort`.
fn port(number: u16) -> Value {
    json!({"protocol": "TCP", "port": number})
}

fn by_default_every_peer_may_connect_and_the_guard_anywhere(_: &Clusters) {
    for objects in [OVERLAYS[0].objects(), OVERLAYS[0].chart_objects_with("cci")] {
        let expected = json!({
            "podSelector": {"matchLabels": {"app.kubernetes.io/name": NAME}},
            "policyTypes": ["Ingress"],
            "ingress": [{"ports": [port(8443)]}, {"ports": [port(8080)]}],
        });
        let objects = without_instance(&objects);
        assert_eq!(the(&objects, "NetworkPolicy")["spec"], expected);
    }
}

fn kubectl_and_helm_restrict_the_same_peers(_: &Clusters) {
    let api_servers = json!([{"ipBlock": {"cidr": "192.0.2.0/28", "except": ["192.0.2.1/32"]}}]);
    let prometheus = json!([
        {"ipBlock": {"cidr": "2001:db8::/64"}},
        {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": "monitoring"}}, "podSelector": {}},
    ]);
    let folder = OVERLAYS[0].composed("cci");
    let file = folder.path().join("kustomization.yaml");
    let read = fs::read_to_string(&file).expect("a file");
    let mut kustomization: Value = serde_json::from_str(&read).expect("JSON");
    let resources = kustomization["resources"].as_array_mut().expect("resources");
    resources.push(json!("peers.yaml"));
    let components = kustomization["components"].as_array_mut().expect("components");
    components
        .extend(["restrict-ingress", "restrict-egress"].map(|name| json!(format!("manifests/components/{name}"))));
    fs::write(&file, kustomization.to_string()).expect("a file");
    let peers = json!({
        "apiVersion": "pytorchjob-guard/v1",
        "kind": "IngressPeers",
        "metadata": {"name": NAME, "annotations": {"config.kubernetes.io/local-config": "true"}},
        "webhook": api_servers,
        "admin": prometheus,
    });
    fs::write(folder.path().join("peers.yaml"), peers.to_string()).expect("a file");
    let kustomize = || objects(&run(Command::new(kubectl().expect("kubectl")).arg("kustomize").arg(folder.path())));
    let helm = |egress: &Value| {
        let values = json!({"namespace": {"create": true}, "networkPolicy": {
            "ingress": {"webhook": {"from": api_servers}, "admin": {"from": prometheus}},
            "egress": egress,
        }});
        let file = folder.path().join("values.json");
        fs::write(&file, values.to_string()).expect("a file");
        objects(&run(template(NAME, &["--values"]).arg(&file)))
    };

    let rendered = kustomize();
    assert_same(&rendered, &helm(&json!({"restrict": true})), "restricted");
    let mut expected = json!({
        "podSelector": {"matchLabels": {"app.kubernetes.io/name": NAME}},
        "policyTypes": ["Ingress", "Egress"],
        "ingress": [{"ports": [port(8443)], "from": api_servers}, {"ports": [port(8080)], "from": prometheus}],
        "egress": [{"ports": [port(443), port(6443)]}],
    });
    assert_eq!(the(&rendered, "NetworkPolicy")["spec"], expected);

    // Other ports and peers, by a patch as manifests/README.md has it.
    expected["egress"] = json!([{"ports": [port(5443)], "to": api_servers}]);
    let patch = json!([
        {"op": "replace", "path": "/spec/egress/0/ports", "value": [port(5443)]},
        {"op": "add", "path": "/spec/egress/0/to", "value": api_servers},
    ]);
    kustomization["patches"] = json!([{"target": {"kind": "NetworkPolicy", "name": NAME}, "patch": patch.to_string()}]);
    fs::write(&file, kustomization.to_string()).expect("a file");
    let rendered = kustomize();
    assert_same(&rendered, &helm(&json!({"restrict": true, "ports": [5443], "to": api_servers})), "another port");
    assert_eq!(the(&rendered, "NetworkPolicy")["spec"], expected);
}

/// A component with addresses of its own would lock out the API servers of nearly every cluster.
fn kustomize_fails_without_the_peers_that_may_get_in(_: &Clusters) {
    let folder = OVERLAYS[0].composed("cci");
    let kustomization = json!({
        "resources": ["manifests/base"],
        "components": ["manifests/components/restrict-ingress"],
    });
    fs::write(folder.path().join("kustomization.yaml"), kustomization.to_string()).expect("a file");
    let said = fails(Command::new(kubectl().expect("kubectl")).arg("kustomize").arg(folder.path()));
    assert!(said.contains("nothing selected by IngressPeers"), "{said}");
}
