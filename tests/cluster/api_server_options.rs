//! Options of the API server and of CRDs that change how the guard is asked, or about what.

use std::{fs, path::Path};

use pytorchjob_guard::{
    policy::{Policy, PolicySet},
    registration::{Address, Registration},
};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair};
use serde_json::{Value, json};
use support::{
    Serves as _,
    control_plane::{ADMIN, ControlPlane, PERSON},
    example_job, free_address,
    guard::{Guard, Start},
    programs::Programs,
    session::Session,
    until,
};

use crate::{
    cluster::{Clusters, HERE, certificates},
    run::Run,
    tests,
};

tests![an_admission_configuration_gives_certificates_and_traces, rejects_a_status_change_without_a_status_subresource,];

/// Registers the guard at this address for one namespace, with the conditions of the policy.
fn register(plane: &ControlPlane, name: &str, guard: &Guard, certs: &Path, policy: &str) {
    let policy = Policy::builtin(policy).unwrap_or_else(|| Policy::parse(policy).expect("the policy is good"));
    let registration = Registration {
        name: name.to_owned(),
        address: Address::Url(format!("https://{}", guard.address())),
        ca_bundle: Some(fs::read(certs.join("ca.crt")).expect("a CA")),
        always_ask: false,
    };
    let mut configuration = json!(registration.configuration(&PolicySet::of(policy.clone())));
    for webhook in configuration["webhooks"].as_array_mut().into_iter().flatten() {
        webhook["namespaceSelector"] = json!({"matchLabels": {"kubernetes.io/metadata.name": name}});
    }
    plane.apply(&configuration.to_string()).expect("the guard can be registered");
}

/// Writes a CA for clients, and a certificate and a key from it.
fn client_certificates(folder: &Path) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = params.self_signed(&key).expect("a CA").pem();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::new(Vec::new()).expect("parameters");
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
    let cert = params.signed_by(&key, &issuer).expect("a certificate").pem();
    for (file, contents) in [("clients.crt", ca), ("client.crt", cert), ("client.key", key.serialize_pem())] {
        fs::write(folder.join(file), contents).expect("a file can be written");
    }
}

fn an_admission_configuration_gives_certificates_and_traces(_: &Clusters) {
    let programs = Programs::find_or_build().expect("a control plane");
    let session = Session::start().expect("a session");
    let folder = session.folder().to_owned();
    let certs = folder.join("certs");
    certificates(&certs);
    client_certificates(&folder);
    let start = || {
        let clients = folder.join("clients.crt");
        let start = Start::within(&session).args(&["--policy", "cci"]).certs(&certs);
        start
            .with(|command| _ = command.arg("--client-ca").arg(clients))
            .listen(free_address().expect("a free port"))
            .serve()
    };
    let (known, unknown) = (start(), start());

    let kubeconfig = json!({"apiVersion": "v1", "kind": "Config", "users": [{"name": known.address().to_string(), "user": {
        "client-certificate": folder.join("client.crt"), "client-key": folder.join("client.key")}}]});
    let webhooks = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "WebhookAdmissionConfiguration",
        "kubeConfigFile": folder.join("webhooks.kubeconfig")});
    let admission = json!({"apiVersion": "apiserver.config.k8s.io/v1", "kind": "AdmissionConfiguration",
        "plugins": [{"name": "ValidatingAdmissionWebhook", "configuration": webhooks}]});
    // Nobody collects the spans; what is sampled is passed on all the same.
    let tracing = json!({"apiVersion": "apiserver.config.k8s.io/v1beta1", "kind": "TracingConfiguration",
        "endpoint": "127.0.0.1:1", "samplingRatePerMillion": 1_000_000});
    for (file, contents) in
        [("webhooks.kubeconfig", kubeconfig), ("admission.json", admission), ("tracing.json", tracing)]
    {
        fs::write(folder.join(file), contents.to_string()).expect("a file can be written");
    }
    let options = [
        format!("--admission-control-config-file={}", folder.join("admission.json").display()),
        format!("--tracing-config-file={}", folder.join("tracing.json").display()),
    ];
    let crd = Path::new(HERE).join("crds/cci.yaml");
    let plane = ControlPlane::boot_with(&session, &programs, &crd, &options.each_ref().map(String::as_str));
    let plane = plane.expect("a control plane");

    for (name, guard) in [("known", &known), ("unknown", &unknown)] {
        plane.create_job(name, example_job()).expect("a job");
        register(&plane, name, guard, &certs, "cci");
    }
    // Tried until it is refused, so nothing must come of it before.
    let patch = |namespace: &str, change: &Value, how: &str| {
        let mut kubectl = plane.kubectl(PERSON);
        kubectl.args(["--namespace", namespace, "patch", "pytorchjob", "pytorch-test", "--type=merge", "--patch"]);
        Run::of(kubectl.arg(change.to_string()).arg(how))
    };
    let forbidden = json!({"spec": {"backoffLimit": 9}});
    let denied = || Ok(Some(patch("known", &forbidden, "--dry-run=server")).filter(|run| run.code() != Some(0)));
    let run = until("the guard to be asked", denied).expect("it is refused");
    let status = run.status();
    assert_eq!((&status["code"], &status["reason"]), (&json!(422), &json!("Invalid")), "{status:#}");
    assert_eq!(status["details"]["causes"][0]["field"], "spec.backoffLimit", "{status:#}");
    patch("known", &json!({"spec": {"ttlSecondsAfterFinished": 9}}), "--dry-run=none").accepted();

    // The certificate is for the guard that the configuration names, and for no other.
    let denied = || Ok(Some(patch("unknown", &forbidden, "--dry-run=server")).filter(|run| run.code() != Some(0)));
    let run = until("the other guard to be asked", denied).expect("it is refused");
    let status = run.status();
    assert_eq!((&status["code"], &status["reason"]), (&json!(500), &json!("InternalError")), "{status:#}");
    let message = status["message"].as_str().unwrap_or_default();
    assert!(message.contains("failed calling webhook"), "{message}");
    patch("unknown", &json!({"spec": {"ttlSecondsAfterFinished": 9}}), "--dry-run=none").accepted();

    // kubectl sends no traceparent: the trace is the API server's own.
    let line = until("the denial in the guard's log", || {
        let log = known.log();
        Ok(log.lines().find(|line| line.contains("spec.backoffLimit")).map(str::to_owned))
    });
    let line: Value = serde_json::from_str(&line.expect("the denial is logged")).expect("a line of JSON");
    assert_eq!(line["trace_id"].as_str().map(str::len), Some(32), "{line}");
}

/// Without the subresource the status is a field like any other: it is what a policy says it is.
fn rejects_a_status_change_without_a_status_subresource(clusters: &Clusters) {
    let cluster = clusters.cci();
    let plane = &cluster.plane;
    let schema = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    let names = json!({"kind": "PlainJob", "plural": "plainjobs", "singular": "plainjob"});
    let crd = json!({"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "plainjobs.example.com"},
        "spec": {"group": "example.com", "names": names, "scope": "Namespaced",
            "versions": [{"name": "v1", "served": true, "storage": true, "schema": {"openAPIV3Schema": schema}}]}});
    plane.apply(&crd.to_string()).expect("a CRD");
    for (suffix, more, passes) in [("closed", "", false), ("open", "  - status\n", true)] {
        let namespace = format!("plain-{suffix}");
        let policy = format!(
            "apiVersion: pytorchjob-guard/v1\nkind: UpdatePolicy\nname: plain\nresources:\n  - group: example.com\n    \
             resource: plainjobs\nmutableFields:\n  - metadata.labels\n{more}"
        );
        let certs = cluster.folder().join("certs");
        certificates(&certs);
        let file = cluster.policy_file(&policy);
        let guard = cluster.guard_with(free_address().expect("a free port"), |command| {
            command.args(["--policy", &file]);
            command.arg("--tls-cert").arg(certs.join("tls.crt")).arg("--tls-key").arg(certs.join("tls.key"));
        });
        let metadata = json!({"name": namespace});
        plane.apply(&json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata}).to_string()).expect("it");
        let job = json!({"apiVersion": "example.com/v1", "kind": "PlainJob", "spec": {"size": 1},
            "metadata": {"name": "plain", "namespace": namespace}});
        until("the CRD", || Ok(plane.apply(&job.to_string()).ok())).expect("a job");
        register(plane, &namespace, &guard, &certs, &policy);
        let patch = |change: &Value, how: &str| {
            let mut kubectl = plane.kubectl(ADMIN);
            kubectl.args(["--namespace", &namespace, "patch", "plainjob", "plain", "--type=merge", "--patch"]);
            Run::of(kubectl.arg(change.to_string()).arg(how))
        };
        let size = json!({"spec": {"size": 2}});
        let denied = || Ok(Some(patch(&size, "--dry-run=server")).filter(|run| run.code() != Some(0)));
        let run = until("the guard to be asked", denied).expect("it is refused");
        assert_eq!(run.status()["details"]["causes"][0]["field"], "spec.size");

        let run = patch(&json!({"status": {"phase": "Running"}}), "--dry-run=none");
        if passes {
            run.accepted();
        } else {
            let status = run.status();
            assert_eq!((&status["code"], &status["reason"]), (&json!(422), &json!("Invalid")), "{status:#}");
            assert_eq!(status["details"]["causes"][0]["field"], "status", "{status:#}");
        }
    }
}
