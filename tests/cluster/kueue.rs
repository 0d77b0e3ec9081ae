//! Kueue's writes when it starts and stops jobs, under the `kueue` policy: sent in its account's name. The same from
//! anybody else, without a change of `suspend`, or with anything more, is denied.

use std::fs;

use serde_json::{Value, json};
use support::{control_plane::ADMIN, guard::Guard, until};

use crate::{
    cluster::{Cluster, Clusters, Job, Violation},
    run::Run,
    tests,
};

tests![
    accepts_a_start,
    accepts_a_start_that_is_sent_twice,
    accepts_a_start_that_rewrites_tolerations,
    accepts_a_stop_that_takes_all_of_it_back,
    accepts_a_stop_that_takes_back_what_a_user_wrote,
    accepts_parents_that_appear_and_vanish,
    accepts_a_start_by_a_whole_object,
    rejects_a_start_by_a_person,
    rejects_a_stop_by_a_person,
    rejects_the_same_writes_without_a_change_of_suspend,
    rejects_anything_more,
    rejects_a_scale,
];

/// Kueue's account.
const KUEUE: &str = "system:serviceaccount:kueue-system:kueue-controller-manager";
const MASTER: &str = "spec.pytorchReplicaSpecs.Master.template";
const WORKER: &str = "spec.pytorchReplicaSpecs.Worker.template";
const REPLICAS: [&str; 2] = ["Master", "Worker"];

/// A job under the `kueue` policy, and the guard that sees to it.
fn queued(cluster: &Cluster, add: impl FnOnce(&mut Value)) -> (Job<'_>, Guard) {
    let (job, guard) = cluster.job_under("kueue", add);
    until("Kueue's rights", || {
        let can = as_kueue(&job, &["auth", "can-i", "patch", "pytorchjobs.kubeflow.org"]);
        Ok((can.code() == Some(0)).then_some(()))
    })
    .expect("Kueue has its rights");
    (job, guard)
}

/// A job that waits in the queue.
fn waiting(cluster: &Cluster) -> (Job<'_>, Guard) {
    queued(cluster, |job| job["spec"]["runPolicy"]["suspend"] = json!(true))
}

/// A job that Kueue has started.
fn started(cluster: &Cluster) -> (Job<'_>, Guard) {
    let (job, guard) = waiting(cluster);
    patch(&job, &start()).accepted();
    (job, guard)
}

/// kubectl in Kueue's name.
fn as_kueue(job: &Job, arguments: &[&str]) -> Run {
    Run::of(job.command(ADMIN).args(["--as", KUEUE]).args(arguments))
}

/// A merge patch in Kueue's name.
fn patch(job: &Job, patch: &Value) -> Run {
    let patch = patch.to_string();
    as_kueue(job, &["patch", "pytorchjob", "pytorch-test", "--type=merge", "--patch", &patch])
}

/// A patch of `suspend`, and of the template of each kind of replica.
fn flip(suspend: bool, template: &Value) -> Value {
    let mut patch = templates(template);
    patch["spec"]["runPolicy"] = json!({"suspend": suspend});
    patch
}

/// A patch of the template of each kind of replica.
fn templates(template: &Value) -> Value {
    let specs: Value = REPLICAS
        .into_iter()
        .map(|kind| (kind.to_owned(), json!({"template": template})))
        .collect::<serde_json::Map<_, _>>()
        .into();
    json!({"spec": {"pytorchReplicaSpecs": specs}})
}

/// The fields that Kueue gives the pods of a job that it starts.
fn admitted() -> Value {
    json!({
        "metadata": {
            "labels": {"kueue.x-k8s.io/podset": "master"},
            "annotations": {"kueue.x-k8s.io/workload": "pytorchjob-pytorch-test-1"},
        },
        "spec": {
            "nodeSelector": {"cloud.example.com/zone": "a"},
            "tolerations": [{"key": "spot", "operator": "Exists"}],
            "schedulingGates": [{"name": "kueue.x-k8s.io/topology"}],
        },
    })
}

fn start() -> Value {
    flip(false, &admitted())
}

/// A stop of a job whose pods had none of these fields before its start.
fn stop() -> Value {
    flip(true, &json!({"metadata": null, "spec": {"nodeSelector": null, "tolerations": null, "schedulingGates": null}}))
}

/// This field of the template of each kind of replica.
fn of_both<'a>(field: &str, what: &'a str) -> [(String, &'a str); 2] {
    [MASTER, WORKER].map(|template| (format!("{template}.{field}"), what))
}

/// All that a start adds to the templates, or a stop takes from them, in the order of paths.
fn all_of_both(what: &str) -> Vec<(String, &str)> {
    let fields = ["metadata", "spec.nodeSelector", "spec.schedulingGates", "spec.tolerations"];
    let mut all: Vec<_> = fields.into_iter().flat_map(|field| of_both(field, what)).collect();
    all.sort();
    all
}

/// Shows that an attempt is refused for these fields and changes nothing.
fn rejects(job: &Job, violations: &[(String, &str)], attempt: impl FnOnce() -> Run) {
    let violations: Vec<Violation> = violations.iter().map(|(field, what)| (&**field, *what)).collect();
    job.rejects(&violations, attempt);
}

fn template<'a>(job: &'a Value, kind: &str) -> &'a Value {
    &job["spec"]["pytorchReplicaSpecs"][kind]["template"]
}

fn accepts_a_start(clusters: &Clusters) {
    let (job, _guard) = waiting(clusters.training_operator());
    assert_eq!(template(&job.stored(), "Master").get("metadata"), None, "the parents are not there yet");
    let stored = job.accepts(|| patch(&job, &start()));
    assert_eq!(stored["spec"]["runPolicy"]["suspend"], false);
    for kind in REPLICAS {
        let template = template(&stored, kind);
        let admitted = admitted();
        assert_eq!(template["metadata"], admitted["metadata"]);
        for field in ["nodeSelector", "tolerations", "schedulingGates"] {
            assert_eq!(template["spec"][field], admitted["spec"][field]);
        }
    }
}

fn accepts_a_start_that_is_sent_twice(clusters: &Clusters) {
    let (job, _guard) = started(clusters.training_operator());
    let before = job.stored();
    assert_eq!(job.accepts(|| patch(&job, &start())), before);
}

fn accepts_a_start_that_rewrites_tolerations(clusters: &Clusters) {
    let cluster = clusters.training_operator();
    let (job, _guard) = queued(cluster, |job| {
        job["spec"]["runPolicy"]["suspend"] = json!(true);
        let own = json!([{"key": "gpu", "operator": "Exists", "value": "", "effect": ""}]);
        job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["tolerations"] = own;
    });
    let tolerations = json!([{"key": "gpu", "operator": "Exists"}, {"key": "spot", "operator": "Exists"}]);
    let stored = job.accepts(|| patch(&job, &flip(false, &json!({"spec": {"tolerations": tolerations}}))));
    assert_eq!(template(&stored, "Master")["spec"]["tolerations"], tolerations);
}

fn accepts_a_stop_that_takes_all_of_it_back(clusters: &Clusters) {
    let cluster = clusters.training_operator();
    let (job, _guard) = waiting(cluster);
    let before = job.stored();
    patch(&job, &start()).accepted();
    let after = job.accepts(|| patch(&job, &stop()));
    assert_eq!(after["spec"], before["spec"]);
}

fn accepts_a_stop_that_takes_back_what_a_user_wrote(clusters: &Clusters) {
    let (job, _guard) = started(clusters.training_operator());
    // As somebody may have changed it while there was no guard.
    let recorded = json!({
        "metadata": {"labels": {"kueue.x-k8s.io/podset": null, "team": "vision"}, "annotations": null},
        "spec": {"nodeSelector": {"cloud.example.com/zone": "b"}, "tolerations": [], "schedulingGates": null},
    });
    let stored = job.accepts(|| patch(&job, &flip(true, &recorded)));
    for kind in REPLICAS {
        assert_eq!(template(&stored, kind)["metadata"], json!({"labels": {"team": "vision"}}));
        assert_eq!(template(&stored, kind)["spec"]["nodeSelector"], json!({"cloud.example.com/zone": "b"}));
    }
}

fn accepts_parents_that_appear_and_vanish(clusters: &Clusters) {
    let cluster = clusters.training_operator();
    let (job, _guard) = queued(cluster, |job| {
        job["spec"].as_object_mut().expect("a spec").remove("runPolicy");
    });
    assert_eq!(job.stored()["spec"].get("runPolicy"), None);
    // A person may not make it appear, not even as it would be without.
    let violation = ("spec.runPolicy", "(added)");
    job.rejects(&[violation], || job.patch(&json!({"spec": {"runPolicy": {"suspend": true}}})));
    let stored = job.accepts(|| patch(&job, &flip(true, &json!({}))));
    assert_eq!(stored["spec"]["runPolicy"], json!({"suspend": true}));
    let vanishing = json!({"spec": {"runPolicy": null}});
    job.rejects(&[("spec.runPolicy", "(removed)")], || job.patch(&vanishing));
    let stored = job.accepts(|| patch(&job, &vanishing));
    assert_eq!(stored["spec"].get("runPolicy"), None);

    // What else is in it is not Kueue's.
    let (job, _guard) = queued(cluster, |job| job["spec"]["runPolicy"] = json!({"suspend": true, "backoffLimit": 3}));
    job.rejects(&[("spec.runPolicy.backoffLimit", "(removed)")], || patch(&job, &vanishing));
}

/// Kueue up to 0.7 sent whole objects, as Go's types write them.
fn accepts_a_start_by_a_whole_object(clusters: &Clusters) {
    let (job, _guard) = waiting(clusters.training_operator());
    let mut object = job.stored();
    object["spec"]["runPolicy"]["suspend"] = json!(false);
    for kind in REPLICAS {
        let template = &mut object["spec"]["pytorchReplicaSpecs"][kind]["template"];
        template["metadata"] = json!({"creationTimestamp": null});
        template["spec"]["nodeSelector"] = json!({"cloud.example.com/zone": "a"});
        template["spec"]["containers"][0]["resources"]["limits"]["cpu"] = json!("2");
        template["spec"]["containers"][0]["resources"]["requests"]["cpu"] = json!("2");
    }
    let replace = |object: &Value| {
        let file = job.cluster.folder().join("object.json");
        fs::write(&file, object.to_string()).expect("the file can be written");
        // Only kubectl asks the API server to refuse the field that it drops.
        as_kueue(&job, &["replace", "--validate=ignore", "-f", &file.display().to_string()])
    };
    let mut more = object.clone();
    more["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0]["resources"]["limits"]["cpu"] =
        json!("3");
    let cpu = format!(r#"{MASTER}.spec.containers[name="pytorch"].resources.limits.cpu"#);
    job.rejects(&[(&cpu, "")], || replace(&more));
    let stored = job.accepts(|| replace(&object));
    assert_eq!(stored["spec"]["runPolicy"]["suspend"], false);
    assert_eq!(template(&stored, "Worker")["spec"]["nodeSelector"], json!({"cloud.example.com/zone": "a"}));
}

fn rejects_a_start_by_a_person(clusters: &Clusters) {
    let (job, _guard) = waiting(clusters.training_operator());
    let suspend = ("spec.runPolicy.suspend".to_owned(), "(was true, now false)");
    let violations = [all_of_both("(added)"), vec![suspend]].concat();
    rejects(&job, &violations, || job.patch(&start()));
    job.accepts(|| patch(&job, &start()));
}

fn rejects_a_stop_by_a_person(clusters: &Clusters) {
    let (job, _guard) = started(clusters.training_operator());
    let suspend = ("spec.runPolicy.suspend".to_owned(), "(was false, now true)");
    let violations = [all_of_both("(removed)"), vec![suspend]].concat();
    rejects(&job, &violations, || job.patch(&stop()));
    job.accepts(|| patch(&job, &stop()));
}

fn rejects_the_same_writes_without_a_change_of_suspend(clusters: &Clusters) {
    let (job, _guard) = waiting(clusters.training_operator());
    rejects(&job, &all_of_both("(added)"), || patch(&job, &templates(&admitted())));
    // It stays suspended.
    rejects(&job, &all_of_both("(added)"), || patch(&job, &flip(true, &admitted())));
    job.accepts(|| patch(&job, &start()));
    // Once started, the same fields are as fixed as the rest.
    let zone = json!({"spec": {"nodeSelector": {"cloud.example.com/zone": "b"}}});
    let changed = of_both("spec.nodeSelector[cloud.example.com/zone]", "");
    rejects(&job, &changed, || patch(&job, &templates(&zone)));
    job.accepts(|| patch(&job, &flip(true, &zone)));
}

fn rejects_anything_more(clusters: &Clusters) {
    let (job, _guard) = waiting(clusters.training_operator());
    for (field, what, add) in [
        ("metadata.finalizers", "(added)", json!({"metadata": {"finalizers": ["example.com/x"]}})),
        ("spec.nprocPerNode", "(added)", json!({"spec": {"nprocPerNode": "2"}})),
        (
            "spec.pytorchReplicaSpecs.Worker.replicas",
            "(was 1, now 2)",
            json!({"spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": 2}}}}),
        ),
        (
            "spec.pytorchReplicaSpecs.Worker.template.spec.priorityClassName",
            "(added)",
            json!({"spec": {"pytorchReplicaSpecs": {"Worker": {"template": {"spec": {"priorityClassName": "high"}}}}}}),
        ),
        ("spec.runPolicy.backoffLimit", "(added)", json!({"spec": {"runPolicy": {"backoffLimit": 1}}})),
    ] {
        let mut more = start();
        merge(&mut more, &add);
        job.rejects(&[(field, what)], || patch(&job, &more));
    }
    job.accepts(|| patch(&job, &start()));
}

fn rejects_a_scale(clusters: &Clusters) {
    let (job, _guard) = started(clusters.training_operator());
    let scale = |replicas| as_kueue(&job, &["scale", "pytorchjob", "pytorch-test", replicas]);
    job.rejects(&[("spec.replicas", "(was 1, now 2)")], || scale("--replicas=2"));
    job.accepts(|| scale("--replicas=1"));
}

/// Adds `part` to `whole`, field by field.
fn merge(whole: &mut Value, part: &Value) {
    match part.as_object() {
        None => *whole = part.clone(),
        Some(part) => part.iter().for_each(|(key, value)| merge(&mut whole[key], value)),
    }
}
