//! The checks of a guard that is installed.

use std::time::{Duration, UNIX_EPOCH};

use k8s_openapi::ByteString;
use serde_json::{Value, json};

use super::{NOON, cluster, found, with};
use crate::{
    doctor::{
        Outcome, after,
        snapshot::{Kind, Replica, Snapshot},
    },
    policy::{Policy, PolicySet},
    registration::{Address, Registration},
};

/// The guard with that policy, as it is installed.
fn installed(text: &str) -> Snapshot {
    let policy = Policy::parse(text).expect("a policy");
    let readyz = format!("ok\npolicy {}, digest {}", policy.name(), policy.digest());
    let mut registration = json!(
        Registration {
            name: "guard".to_owned(),
            address: Address::Service { namespace: "ops".to_owned(), name: "guard".to_owned(), port: None },
            ca_bundle: None,
            always_ask: false,
        }
        .configuration(&PolicySet::of(policy))
    );
    // Valid until 4096.
    let ca = rcgen::generate_simple_self_signed(["guard.ops.svc".to_owned()]).expect("a certificate");
    for webhook in registration["webhooks"].as_array_mut().expect("webhooks") {
        webhook["clientConfig"]["caBundle"] = json!(ByteString(ca.cert.pem().into_bytes()));
    }
    let metadata = json!({"name": "guard", "namespace": "ops"});
    let labels = json!({"app": "guard"});
    let container = json!({
        "args": ["serve", "--registration=guard", "--policy=/etc/guard/policy.yaml", "--admin-listen=[::]:9090"],
        "env": [{"name": "PYTORCHJOB_GUARD_MANAGE_REGISTRATION", "value": "true"}, {"name": "OTHER", "value": "x"}],
        "volumeMounts": [{"name": "policy", "mountPath": "/etc/guard"}],
    });
    let volumes = json!([{"name": "policy", "configMap": {"name": "policies"}}]);
    let pod = json!({"metadata": {"labels": labels}, "spec": {"containers": [container], "volumes": volumes}});
    let deployment = json!({"replicas": 2, "selector": {"matchLabels": labels}, "template": pod});
    let mut snapshot = with(cluster(), Kind::Validating, registration);
    for (kind, object) in [
        (Kind::Service, json!({"metadata": metadata, "spec": {"selector": labels}})),
        (Kind::Deployment, json!({"metadata": metadata, "spec": deployment})),
        (Kind::ConfigMap, json!({"metadata": {"name": "policies"}, "data": {"policy.yaml": text}})),
    ] {
        snapshot = with(snapshot, kind, object);
    }
    for name in ["one", "two"] {
        let ready = json!({"conditions": [{"type": "Ready", "status": "True"}]});
        let pod = json!({"metadata": {"name": name, "namespace": "ops", "labels": labels}, "status": ready});
        snapshot = with(snapshot, Kind::Pod, pod);
        let (begin, end) = ("certificate_start_timestamp_seconds", "certificate_expiry_timestamp_seconds");
        let metrics = format!("pytorchjob_guard_{begin} 1795770000.0\npytorchjob_guard_{end} 1795856400.0\n");
        snapshot.replicas.push(Replica { pod: name.to_owned(), readyz: Ok(readyz.clone()), metrics: Ok(metrics) });
    }
    snapshot.port = Some(Ok(()));
    snapshot
}

/// A certificate of the past, PEM.
fn ended() -> String {
    let mut params = rcgen::CertificateParams::new(["guard.ops.svc".to_owned()]).expect("a name");
    params.not_after = rcgen::date_time_ymd(2026, 1, 1);
    let key = rcgen::KeyPair::generate().expect("a key");
    params.self_signed(&key).expect("a certificate").pem()
}

fn cci() -> Snapshot {
    installed(Policy::builtin_text("cci").expect("a policy"))
}

#[test]
fn finds_nothing_wrong_with_what_is_well() {
    let (findings, policies) = after(&cci());
    assert!(findings.iter().all(|finding| finding.outcome == Outcome::Ok), "{findings:#?}");
    let names: Vec<_> = policies.iter().flat_map(PolicySet::policies).map(|policy| policy.name().to_owned()).collect();
    assert_eq!(names, ["cci"]);
}

/// The guard with the policy `cci`, and every object of a kind changed.
fn changed(kind: Kind, change: &dyn Fn(&mut Value)) -> Snapshot {
    let mut snapshot = cci();
    let mut objects = snapshot.all(kind).to_vec();
    objects.iter_mut().for_each(change);
    snapshot.objects.insert(kind, Ok(objects));
    snapshot
}

/// Asserts what a check finds of an installed guard.
#[track_caller]
fn finds(snapshot: &Snapshot, check: &str, outcome: Outcome, message: &str) {
    let (found, said) = found(&after(snapshot).0, check);
    assert!(found == outcome && said.contains(message), "{found:?} {said:?} in place of {message:?}");
}

#[test]
fn names_what_is_wrong_with_the_registration() {
    let webhook = |key: &'static str, value: Value| {
        changed(Kind::Validating, &move |registration| registration["webhooks"][0][key] = value.clone())
    };
    for (snapshot, check, outcome, message) in [
        (cluster(), "registration", Outcome::Failed, "the guard is not installed"),
        (webhook("failurePolicy", json!("Ignore")), "registration", Outcome::Failed, "failurePolicy Ignore"),
        (
            webhook("clientConfig", json!({"service": {"namespace": "ops", "name": "guard", "path": "/validate"}})),
            "certificates",
            Outcome::Failed,
            "has no caBundle",
        ),
        (
            changed(Kind::ConfigMap, &|map| map["data"]["policy.yaml"] = json!(Policy::builtin_text("kueue"))),
            "policy",
            Outcome::Failed,
            "but are given kueue, digest",
        ),
        (
            changed(Kind::ConfigMap, &|map| map["data"]["policy.yaml"] = json!("name: [")),
            "policy",
            Outcome::Failed,
            "/etc/guard/policy.yaml",
        ),
        (changed(Kind::ConfigMap, &|map| map["data"] = json!({})), "policy", Outcome::Warning, "no ConfigMap"),
    ] {
        finds(&snapshot, check, outcome, message);
    }
}

#[test]
fn names_what_is_wrong_with_the_replicas() {
    let of_replica = |change: &dyn Fn(&mut Replica)| {
        let mut snapshot = cci();
        change(&mut snapshot.replicas[1]);
        snapshot
    };
    let later = Snapshot { now: UNIX_EPOCH + Duration::from_secs(1_795_856_401), ..cci() };
    let unreachable = Snapshot { port: Some(Err("no route".to_owned())), ..cci() };
    for (snapshot, check, outcome, message) in [
        (
            changed(Kind::Pod, &|pod| pod["status"]["conditions"][0]["status"] = json!("False")),
            "replicas",
            Outcome::Failed,
            "none of 2 replicas is ready",
        ),
        (
            changed(Kind::Pod, &|pod| {
                if pod["metadata"]["name"] == "two" {
                    pod["status"]["conditions"][0]["status"] = json!("False");
                }
            }),
            "replicas",
            Outcome::Failed,
            "1 of 2 replicas are ready",
        ),
        (
            changed(Kind::Deployment, &|deployment| {
                deployment["spec"]["template"]["spec"]["containers"][0]["env"][0] =
                    json!({"name": "PYTORCHJOB_GUARD_POLICY", "value": "kueue"});
            }),
            "registration",
            Outcome::Ok,
            "the guard is registered for all updates",
        ),
        (
            changed(Kind::Deployment, &|deployment| {
                let container = &mut deployment["spec"]["template"]["spec"]["containers"][0];
                container["args"] = json!(["serve", "--registration=guard"]);
                container["env"][0] = json!({"name": "PYTORCHJOB_GUARD_POLICY", "value": "kueue"});
            }),
            "registration",
            Outcome::Failed,
            "does not follow from the policy",
        ),
        (
            changed(Kind::Validating, &|registration| {
                registration["webhooks"][1]["clientConfig"]["caBundle"] = json!(ByteString(ended().into_bytes()));
            }),
            "certificates",
            Outcome::Failed,
            "the CA that the API server trusts ended at 2026-01-01T",
        ),
        (
            changed(Kind::Pod, &|pod| pod["metadata"]["deletionTimestamp"] = json!(NOON)),
            "replicas",
            Outcome::Failed,
            "none of 2 replicas is ready",
        ),
        (
            of_replica(&|replica| replica.readyz = Ok("ok\npolicy cci, digest ba9876543210".to_owned())),
            "policy",
            Outcome::Failed,
            "the replicas differ",
        ),
        (
            of_replica(&|replica| replica.readyz = Err("no route".to_owned())),
            "replicas",
            Outcome::Warning,
            "two says: no route",
        ),
        (
            of_replica(&|replica| {
                replica.readyz =
                    Ok("ok\npolicy cci, digest 0123456789ab\nwarning: cannot store the CA: why".to_owned());
            }),
            "replicas",
            Outcome::Warning,
            "cannot store the CA: why",
        ),
        (later, "certificates", Outcome::Failed, "the certificate that the guard serves ended at 2026-11-28T"),
        (unreachable, "port", Outcome::Failed, "no route"),
    ] {
        finds(&snapshot, check, outcome, message);
    }
}
