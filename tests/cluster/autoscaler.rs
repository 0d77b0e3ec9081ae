//! The example policy for autoscalers, with the rule beside it on who makes them: the real training operator makes one for an
//! elastic job, the real controller scales the job by it, and nobody else scales a job so.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Value, json};
use support::{
    control_plane::{ControlPlane, PERSON},
    free_address,
    guard::{Start, make_certificates},
    operator::Operator,
    pages::DOCS,
    programs::{Programs, training_operator_module},
    registration::Registration,
    session::Session,
    until,
};

use crate::{
    cluster::{Clusters, structural_job, training_operator_crd},
    run::Run,
    tests_of_every_version,
};

tests_of_every_version![only_the_operators_autoscalers_scale_jobs];

/// The rights of a person who runs services.
const ROLE: &str = r#"{"apiVersion": "v1", "kind": "List", "items": [
{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRole", "metadata": {"name": "autoscalers"},
"rules": [{"apiGroups": ["autoscaling"], "resources": ["horizontalpodautoscalers"], "verbs": ["*"]}]},
{"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "ClusterRoleBinding", "metadata": {"name": "autoscalers"},
"roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "autoscalers"},
"subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "Group", "name": "people"}]}]}"#;

const MESSAGE: &str = "only the training operator may create or change the autoscaler of a training job";

/// The namespaces of a job that is elastic, and of one that is not.
const ELASTIC: &str = "elastic";
const PLAIN: &str = "plain";

/// A control plane with an autoscaler's controller, and a folder.
struct Autoscaled {
    plane: ControlPlane,
    folder: PathBuf,
}

impl Autoscaled {
    /// kubectl as a person who makes autoscalers.
    fn kubectl(&self, namespace: &str, arguments: &[&str]) -> Run {
        Run::of(self.plane.kubectl(PERSON).args(["--namespace", namespace]).args(arguments))
    }

    fn create(&self, object: &Value, how: &str) -> Run {
        let file = self.folder.join("autoscaler.json");
        fs::write(&file, object.to_string()).expect("a file can be written");
        self.kubectl(PLAIN, &["create", how, "-f", file.to_str().expect("a path of UTF-8")])
    }

    fn patch(&self, namespace: &str, autoscaler: &str, version: &str, patch: &Value) -> Run {
        let resource = format!("horizontalpodautoscalers.{version}.autoscaling");
        self.kubectl(namespace, &["patch", &resource, autoscaler, "--type=merge", "--patch", &patch.to_string()])
    }

    fn workers(&self, namespace: &str) -> u64 {
        let path = "--output=jsonpath={.spec.pytorchReplicaSpecs.Worker.replicas}";
        let run = self.kubectl(namespace, &["get", "pytorchjob", "pytorch-test", path]);
        run.accepted().parse().expect("a number")
    }
}

fn assert_rejected(run: &Run) {
    let status = run.status();
    assert_eq!((&status["code"], &status["reason"]), (&json!(403), &json!("Forbidden")), "{status:#}");
    assert!(status["message"].as_str().is_some_and(|message| message.contains(MESSAGE)), "{status:#}");
}

fn autoscaler(version: &str, name: &str, api_version: &str, kind: &str) -> Value {
    json!({"apiVersion": format!("autoscaling/{version}"), "kind": "HorizontalPodAutoscaler", "metadata": {"name": name},
        "spec": {"minReplicas": 3, "maxReplicas": 3,
            "scaleTargetRef": {"apiVersion": api_version, "kind": kind, "name": "pytorch-test"}}})
}

fn only_the_operators_autoscalers_scale_jobs(_: &Clusters) {
    let programs = Programs::find_or_build().expect("a control plane");
    let session = Session::start().expect("a session");
    let folder = session.folder().to_owned();
    let mut plane =
        ControlPlane::boot(&session, &programs, &training_operator_crd().expect("a CRD")).expect("it boots");
    let names = ["horizontal-pod-autoscaler-controller", "garbage-collector-controller"];
    let often = ["--horizontal-pod-autoscaler-sync-period=1s"];
    plane.start_these_controllers(&session, &programs, &names, &often).expect("controllers");
    plane.create_job(PLAIN, structural_job()).expect("a job");
    plane.apply(ROLE).expect("a role");
    let example = |name: &str| fs::read_to_string(Path::new(DOCS).join("examples").join(name)).expect("an example");
    plane.apply(&example("autoscaler-admission.yaml")).expect("an admission policy");

    let certs = folder.join("certs");
    make_certificates(&certs).expect("certificates");
    fs::write(folder.join("policy.yaml"), example("autoscaler.yaml")).expect("a file can be written");
    let policy = folder.join("policy.yaml").display().to_string();
    let guard = Start::within(&session).args(&["--policy", &policy]).certs(&certs);
    let guard = guard.listen(free_address().expect("a free port")).serve();
    let registration = Registration { name: "pytorchjob-guard", only: None, host: "127.0.0.1", probe: PLAIN };
    guard.register(&plane, registration).expect("the guard can be registered");
    let cluster = Autoscaled { plane, folder };

    // What others do, in each way that scales a job.
    let own = autoscaler("v2", "own", "kubeflow.org/v1", "PyTorchJob");
    until("the admission policy", || {
        let run = cluster.create(&own, "--dry-run=server");
        Ok(run.everything().contains(MESSAGE).then_some(()))
    })
    .expect("it is rejected");
    for version in ["v1", "v2"] {
        for (api_version, kind) in
            [("kubeflow.org/v1", "PyTorchJob"), ("kubeflow.org/v9", "PyTorchJob"), ("kubeflow.org/v1", "JAXJob")]
        {
            assert_rejected(&cluster.create(&autoscaler(version, "job", api_version, kind), "--dry-run=none"));
        }
        let deployment = format!("deployment-{version}");
        cluster.create(&autoscaler(version, &deployment, "apps/v1", "Deployment"), "--dry-run=none").accepted();
        let target = json!({"spec": {"scaleTargetRef": {"apiVersion": "kubeflow.org/v1", "kind": "PyTorchJob"}}});
        assert_rejected(&cluster.patch(PLAIN, &deployment, version, &target));
        cluster.patch(PLAIN, &deployment, version, &json!({"spec": {"maxReplicas": 9}})).accepted();
    }
    cluster.create(&autoscaler("v2", "other-group", "example.com/v1", "PyTorchJob"), "--dry-run=none").accepted();

    // The operator's own.
    let mut job = structural_job();
    let metric = json!({"type": "Resource", "resource": {"name": "cpu", "target": {"type": "Utilization",
        "averageUtilization": 80}}});
    job["spec"]["elasticPolicy"] = json!({"minReplicas": 2, "maxReplicas": 4, "metrics": [metric]});
    cluster.plane.create_job(ELASTIC, job).expect("a job");
    assert_eq!(cluster.workers(ELASTIC), 1);
    let module = training_operator_module().expect("the operator's module");
    let operator = Operator::start(&session, &cluster.plane, &module, ELASTIC).expect("the operator starts");
    until("the autoscaler to scale", || Ok((cluster.workers(ELASTIC) == 2).then_some(())))
        .unwrap_or_else(|error| panic!("{error}: {}", operator.log().unwrap_or_default()));
    drop(operator);

    let behavior = r#"{"scaleUp": {"policies": [{"type": "Pods", "value": 1, "periodSeconds": 15}]}}"#;
    for (version, patch) in [
        ("v1", json!({"spec": {"minReplicas": 4}})),
        ("v2", json!({"spec": {"minReplicas": 4}})),
        ("v2", json!({"spec": {"scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment"}}})),
        ("v1", json!({"metadata": {"annotations": {"autoscaling.alpha.kubernetes.io/behavior": behavior}}})),
    ] {
        assert_rejected(&cluster.patch(ELASTIC, "pytorch-test", version, &patch));
    }
    for version in ["v1", "v2"] {
        let label = json!({"metadata": {"labels": {version: "seen"}}});
        cluster.patch(ELASTIC, "pytorch-test", version, &label).accepted();
    }
    // The garbage collector ends this by an update.
    let delete = ["delete", "horizontalpodautoscaler", "pytorch-test", "--cascade=foreground", "--timeout=180s"];
    cluster.kubectl(ELASTIC, &delete).accepted();
    assert_eq!((cluster.workers(PLAIN), cluster.workers(ELASTIC)), (1, 2));
}
