//! The real training operator takes a job through its whole life under the `training-operator` policy. There is no kubelet:
//! the test says of the pods what a kubelet would.

use serde_json::{Value, json};
use support::{
    control_plane::{OPERATOR, PERSON},
    until,
};

use crate::{
    cluster::{Clusters, Job},
    tests,
};

tests![takes_a_job_from_creation_to_deletion_without_a_denial];

/// Says of both pods what a kubelet would.
fn set_pods(job: &Job, phase: &str, state: &Value) {
    let container = json!({
        "name": "pytorch",
        "image": "pytorch-cpu",
        "imageID": "",
        "ready": phase == "Running",
        "restartCount": 0,
        "state": state,
    });
    let patch = json!({"status": {"phase": phase, "containerStatuses": [container]}}).to_string();
    for pod in ["pytorch-test-master-0", "pytorch-test-worker-0"] {
        job.admin(&["patch", "pod", pod, "--subresource=status", "--type=merge", "--patch", &patch]).accepted();
    }
}

/// Waits until the operator says this of the job.
fn await_condition(job: &Job, condition: &str) -> Value {
    until(condition, || {
        let stored = job.stored();
        let conditions = stored["status"]["conditions"].as_array().cloned().unwrap_or_default();
        let holds = conditions.iter().any(|one| one["type"] == condition && one["status"] == "True");
        Ok(holds.then_some(stored))
    })
    .unwrap_or_else(|error| panic!("{error}: {:#}", job.stored()["status"]))
}

fn takes_a_job_from_creation_to_deletion_without_a_denial(clusters: &Clusters) {
    let cluster = clusters.training_operator();
    let (job, guard) = cluster.job_under("training-operator", |_| ());
    // Pods run under an account, which a controller of its own would make.
    job.admin(&["create", "serviceaccount", "default"]).accepted();
    let operator = cluster.operator_of(&job);

    let pods = || {
        let names = job.admin(&["get", "pods", "--output=name"]);
        Ok((names.accepted() == "pod/pytorch-test-master-0\npod/pytorch-test-worker-0\n").then_some(()))
    };
    until("the pods", pods).unwrap_or_else(|error| panic!("{error}: {}", operator.log().unwrap_or_default()));
    await_condition(&job, "Created");
    set_pods(&job, "Running", &json!({"running": {"startedAt": "2026-01-01T00:00:00Z"}}));
    let running = await_condition(&job, "Running");
    assert_eq!(running["status"]["replicaStatuses"]["Worker"]["active"], 1, "{:#}", running["status"]);

    // A person, meanwhile.
    let workers = json!({"spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": 2}}}});
    let violation = ("spec.pytorchReplicaSpecs.Worker.replicas", "(was 1, now 2)");
    job.patch(&workers).rejected(&[violation]);
    let stored = job.accepts(|| job.patch(&json!({"spec": {"runPolicy": {"activeDeadlineSeconds": 86400}}})));
    assert_eq!(stored["spec"]["runPolicy"]["activeDeadlineSeconds"], 86400);
    assert_eq!(stored["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"], 1);

    set_pods(&job, "Succeeded", &json!({"terminated": {"exitCode": 0, "reason": "Completed"}}));
    await_condition(&job, "Succeeded");
    // The example is kept for 3000 seconds; what a person allows it now is what the operator goes by.
    job.patch(&json!({"spec": {"runPolicy": {"ttlSecondsAfterFinished": 1}}})).accepted();
    job.admin(&["wait", "--for=delete", "pytorchjob", "pytorch-test", "--timeout=120s"]).accepted();

    let events = cluster.audit_events(&job.namespace);
    let by = |user: &str| events.iter().filter(|event| event["user"]["username"] == user).collect::<Vec<_>>();
    let changes = |event: &&&Value| !["get", "list", "watch"].iter().any(|verb| event["verb"] == *verb);
    let operators = by(OPERATOR);
    let operators: Vec<_> = operators.iter().filter(changes).collect();
    for event in &operators {
        // A conflict is between writers, and the operator tries again; it may also delete twice what is gone by then.
        let code = event["responseStatus"]["code"].as_u64().unwrap_or_default();
        assert!(code < 300 || code == 409 || (code == 404 && event["verb"] == "delete"), "{event:#}");
        let write = (event["verb"].as_str().unwrap_or_default(), event["objectRef"]["subresource"].as_str());
        assert!(matches!(write, ("update", Some("status")) | ("delete", None)), "{event:#}");
    }
    let count = |verb: &str| operators.iter().filter(|event| event["verb"] == verb).count();
    assert!(count("update") >= 3, "created, running, succeeded: {operators:#?}");
    assert!(count("delete") >= 1, "{operators:#?}");

    let refused: Vec<_> = by(PERSON).into_iter().filter(|event| event["responseStatus"]["code"] == 422).collect();
    assert_eq!(refused.len(), 1, "{refused:#?}");
    let log = guard.log();
    let denials = log.lines().filter(|line| line.contains("\"denied\"") && !line.contains("\"dry_run\":true"));
    let denials: Vec<&str> = denials.collect();
    assert!(denials.len() == 1 && denials[0].contains(PERSON), "{denials:#?}");
    let said = operator.log().expect("the operator has a log");
    assert!(!said.contains("admission webhook") && !said.contains("is invalid"), "{said}");
}
