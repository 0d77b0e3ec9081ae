//! The checks, on clusters that are written down.

mod installed;

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use super::{
    Finding, Outcome, before,
    snapshot::{Kind, Snapshot},
};
use crate::policy::Policy;

const NOON: &str = "2026-11-27T12:00:00Z";

fn cluster() -> Snapshot {
    let noon = UNIX_EPOCH + Duration::from_hours(498_828);
    assert_eq!(humantime::format_rfc3339_seconds(noon).to_string(), NOON);
    Snapshot::of("v1.37.2".to_owned(), noon)
}

fn with(mut snapshot: Snapshot, kind: Kind, object: Value) -> Snapshot {
    snapshot.add(kind, Ok::<_, String>(vec![object]));
    snapshot
}

/// The definition of jobs with this schema of `spec`.
fn definition(spec: &Value) -> Value {
    json!({
        "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
        "metadata": {"name": "pytorchjobs.kubeflow.org"},
        "spec": {"group": "kubeflow.org", "names": {"plural": "pytorchjobs"}, "versions": [{
            "name": "v1", "served": true, "storage": true, "subresources": {"status": {}},
            "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
        }]},
    })
}

fn run_policy() -> Value {
    let fields =
        json!({"activeDeadlineSeconds": {}, "ttlSecondsAfterFinished": {}, "cleanPodPolicy": {}, "suspend": {}});
    definition(&json!({"type": "object", "properties": {"runPolicy": {"type": "object", "properties": fields}}}))
}

fn keeps_all() -> Value {
    definition(&json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true}))
}

/// A Kueue in a namespace: its definition, its webhooks, what answers them.
fn kueue(snapshot: Snapshot, namespace: &str) -> Snapshot {
    let metadata = json!({"name": "kueue", "namespace": namespace});
    let service = json!({"namespace": namespace, "name": "kueue"});
    let rules = json!([{"apiGroups": ["kueue.x-k8s.io"], "resources": ["workloads"], "operations": ["UPDATE"]}]);
    let webhooks = json!([{"name": "w.kb.io", "clientConfig": {"service": service}, "rules": rules}]);
    let labels = json!({"control-plane": "controller-manager", "app.kubernetes.io/name": "kueue"});
    let pod = json!({"metadata": {"labels": labels}, "spec": {"serviceAccountName": "kueue-controller-manager"}});
    let snapshot = with(snapshot, Kind::Crd, json!({"metadata": {"name": "workloads.kueue.x-k8s.io"}}));
    let snapshot = with(snapshot, Kind::Validating, json!({"metadata": {"name": "kueue"}, "webhooks": webhooks}));
    let snapshot = with(snapshot, Kind::Service, json!({"metadata": metadata, "spec": {"selector": labels}}));
    // The Service selects all of its labels, and not one alone.
    let other = json!({"metadata": {"labels": {"control-plane": "controller-manager"}}, "spec": {"serviceAccountName": "other"}});
    let other = json!({"metadata": metadata, "spec": {"template": other}});
    let snapshot = with(snapshot, Kind::Deployment, other);
    with(snapshot, Kind::Deployment, json!({"metadata": metadata, "spec": {"template": pod}}))
}

fn found(findings: &[Finding], check: &str) -> (Outcome, String) {
    let found: Vec<_> = findings.iter().filter(|finding| finding.check == check).collect();
    let worst = found.iter().max_by_key(|finding| finding.outcome);
    let worst = worst.unwrap_or_else(|| panic!("nothing about {check}: {findings:#?}"));
    (worst.outcome, worst.message.clone())
}

/// The outcome and the message of a check before the guard is installed.
fn of(snapshot: &Snapshot, check: &str) -> (Outcome, String) {
    found(&before(snapshot, &[]).0, check)
}

#[test]
fn knows_the_supported_versions() {
    for (version, outcome) in [
        ("v1.29.15", Outcome::Failed),
        ("v1.30.14", Outcome::Ok),
        ("v1.33.5-eks-113cf36", Outcome::Ok),
        ("v1.34.1+k3s1", Outcome::Ok),
        ("v1.99.0", Outcome::Ok),
        ("", Outcome::Warning),
    ] {
        let snapshot = Snapshot { version: version.to_owned(), ..cluster() };
        assert_eq!(of(&snapshot, "api-server").0, outcome, "{version}");
    }
}

#[test]
fn finds_the_policy_to_take() {
    let job = |spec: Value| json!({"metadata": {"name": "a", "namespace": "b"}, "spec": spec});
    let spec = json!({"type": "object", "properties": {
        "activeDeadlineSeconds": {}, "ttlSecondsAfterFinished": {}, "cleanPodPolicy": {},
    }});
    let elsewhere = "with --exempt kueue=system:serviceaccount:openshift-kueue-operator:kueue-controller-manager";
    for (snapshot, outcome, message) in [
        (with(cluster(), Kind::Crd, run_policy()), Outcome::Ok, "the policy to take is training-operator"),
        (with(cluster(), Kind::Crd, definition(&spec)), Outcome::Ok, "the policy to take is cci"),
        (kueue(with(cluster(), Kind::Crd, run_policy()), "kueue-system"), Outcome::Ok, "the policy to take is kueue"),
        (kueue(with(cluster(), Kind::Crd, run_policy()), "openshift-kueue-operator"), Outcome::Ok, elsewhere),
        (with(cluster(), Kind::Crd, keeps_all()), Outcome::Warning, "cci and training-operator both fit"),
        (
            with(with(cluster(), Kind::Crd, keeps_all()), Kind::Job, job(json!({"backoffLimit": 1}))),
            Outcome::Ok,
            "the policy to take is cci",
        ),
        (
            with(with(cluster(), Kind::Crd, keeps_all()), Kind::Job, job(json!({"runPolicy": {}}))),
            Outcome::Ok,
            "the policy to take is training-operator",
        ),
        (
            with(cluster(), Kind::Crd, definition(&json!({"type": "object"}))),
            Outcome::Failed,
            "no built-in policy fits",
        ),
    ] {
        let (found, said) = of(&snapshot, "policy");
        assert!(found == outcome && said.contains(message), "{found:?} {said:?} in place of {message:?}");
    }
    // Where nothing says what a job is, nothing is advised.
    assert!(of(&cluster(), "crd").1.contains("install the operator first"));
    assert_eq!(before(&cluster(), &[]).1, None);
}

#[test]
fn prints_a_policy_that_can_be_used() {
    let target = json!({"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob", "name": "elastic"});
    let autoscaler = json!({"metadata": {"name": "elastic", "namespace": "b"}, "spec": {"scaleTargetRef": target}});
    let snapshot = kueue(with(cluster(), Kind::Crd, run_policy()), "queues");
    let snapshot = with(snapshot, Kind::Autoscaler, autoscaler);
    assert!(of(&snapshot, "autoscalers").1.contains("b/elastic"));
    let advice = before(&snapshot, &[]).1.expect("a policy fits");
    let policy = Policy::parse(&advice.policy().expect("a text")).expect("a policy");
    assert_eq!(policy.name(), "kueue-and-autoscalers");
    let findings = before(&snapshot, &[&policy]).0;
    for check in ["kueue", "autoscalers"] {
        assert_eq!(found(&findings, check).0, Outcome::Ok, "{findings:#?}");
    }
    // Another policy lets neither.
    let findings = before(&snapshot, &[&Policy::builtin("training-operator").expect("a policy")]).0;
    assert_eq!(found(&findings, "kueue").0, Outcome::Failed);
    assert_eq!(found(&findings, "autoscalers").0, Outcome::Warning);
}

#[test]
fn names_the_jobs_that_kueue_cannot_start_or_stop() {
    let job = |suspend: bool| {
        let metadata = json!({"name": "mnist", "namespace": "a", "uid": "1"});
        json!({"metadata": metadata, "spec": {"runPolicy": {"suspend": suspend}}})
    };
    let workload = |conditions: &[(&str, &str)]| {
        let condition =
            |(kind, since): &(&str, &str)| json!({"type": kind, "status": "True", "lastTransitionTime": since});
        json!({
            "metadata": {"ownerReferences": [{"uid": "1"}]},
            "status": {"conditions": conditions.iter().map(condition).collect::<Vec<_>>()},
        })
    };
    let (long_ago, just_now) = ("2026-11-27T11:58:00Z", "2026-11-27T11:59:30Z");
    for (suspend, conditions, outcome) in [
        (true, [("Admitted", long_ago)], Outcome::Failed),
        (true, [("Admitted", just_now)], Outcome::Ok),
        (false, [("Admitted", long_ago)], Outcome::Ok),
        (false, [("Evicted", long_ago)], Outcome::Failed),
        (true, [("Evicted", long_ago)], Outcome::Ok),
        (true, [("QuotaReserved", long_ago)], Outcome::Ok),
    ] {
        let snapshot = kueue(with(cluster(), Kind::Job, job(suspend)), "kueue-system");
        let snapshot = with(snapshot, Kind::Workload, workload(&conditions));
        let (found, said) = of(&snapshot, "stuck-jobs");
        assert_eq!(found, outcome, "{suspend} {conditions:?}: {said}");
        assert_eq!(said.contains("a/mnist"), outcome == Outcome::Failed, "{said}");
    }
}

#[test]
fn warns_of_tools_that_delete_what_is_denied() {
    let named = |mut object: Value| {
        object["metadata"]["name"] = json!("jobs");
        object["metadata"]["namespace"] = json!("tools");
        object
    };
    let annotated = json!({"metadata": {"annotations": {"argocd.argoproj.io/sync-options": "Prune=false,Force=true"}}});
    for (kind, object, check) in [
        (Kind::Application, json!({"spec": {"syncPolicy": {"syncOptions": ["Force=true"]}}}), "argo-cd"),
        (Kind::Job, annotated, "argo-cd"),
        (Kind::Kustomization, json!({"spec": {"force": true}}), "flux"),
        (Kind::HelmRelease, json!({"spec": {"upgrade": {"force": true}}}), "flux"),
    ] {
        let (outcome, said) = of(&with(cluster(), kind, named(object)), check);
        assert!(outcome == Outcome::Warning && said.contains("tools/jobs"), "{kind:?}: {said}");
        let (outcome, said) = of(&with(cluster(), kind, named(json!({}))), check);
        assert!(outcome == Outcome::Ok && !said.contains("delete"), "{kind:?}: {said}");
    }
    // A denial as Forbidden deletes nothing.
    let text = Policy::builtin_text("cci").expect("a policy");
    let policy = Policy::parse(&format!("{text}denial: {{reason: Forbidden}}\n")).expect("a policy");
    let snapshot = with(cluster(), Kind::Kustomization, named(json!({"spec": {"force": true}})));
    assert_eq!(found(&before(&snapshot, &[&policy]).0, "flux").0, Outcome::Ok);
}

#[test]
fn says_what_it_may_not_look_at() {
    for (kind, check) in [
        (Kind::Autoscaler, "autoscalers"),
        (Kind::Application, "argo-cd"),
        (Kind::Kustomization, "flux"),
        (Kind::Mutating, "webhooks"),
        (Kind::Crd, "crd"),
    ] {
        let mut snapshot = cluster();
        snapshot.add(kind, Err("not allowed"));
        let (outcome, said) = of(&snapshot, check);
        assert!(outcome == Outcome::Warning && said.ends_with(": not allowed"), "{kind:?}: {said}");
    }
}
