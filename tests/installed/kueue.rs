//! The guard beside the real Kueue, in a cluster with the training operator's definition of jobs. Kueue runs outside of the cluster;
//! a Deployment without pods stands for it there, with its Service and its webhook.

use std::path::Path;

use serde_json::{Value, json};
use support::{
    control_plane::ADMIN,
    kueue::{Kueue, crds},
    pages::{copy, shell},
    programs::training_operator_module,
    until,
};

use crate::{
    operations::prepared,
    overlay::Overlay,
    test_cluster::{TestCluster, TestClusters},
    tests,
};

tests![doctor_finds_the_job_that_kueue_cannot_start];

/// What stands for Kueue.
const KUEUE: &str = include_str!("kueue.yaml");
/// A queue with room.
const QUEUE: &str = include_str!("queue.yaml");
/// The definition of jobs that the other tests have.
const CCI: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/crds/cci.yaml");
const QUEUED: &str = "/apis/kubeflow.org/v1/namespaces/queued/pytorchjobs/mnist";

/// Under a policy without Kueue's exemption its job looks admitted and does not start; under `kueue` it does.
fn doctor_finds_the_job_that_kueue_cannot_start(clusters: &TestClusters, _: Overlay) {
    let cluster = clusters.empty();
    let (folder, prepare) = prepared(cluster, "kueue");
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("charts"), &folder.join("charts"));
    let run = |command: &str| shell(command, &folder, &prepare);
    let helm = |verb: &str, policy: &str| {
        let chart = "pytorchjob-guard charts/pytorchjob-guard --namespace pytorchjob-guard --create-namespace";
        let (done, said) = run(&format!("helm {verb} {chart} --wait --timeout 3m --set policy={policy}"));
        assert!(done, "{said}");
    };
    within(cluster, || {
        let kueue = cluster.start_kueue();
        helm("install", "training-operator");
        cluster.plane.apply(QUEUE).expect("a queue");
        let stuck = until("the job to be found stuck", || {
            let (passed, said) = run("pytorchjob-guard doctor");
            assert!(!passed, "Kueue has no exemption:\n{said}");
            Ok(said.contains("1 job is admitted by Kueue, but not started: queued/mnist").then_some(said))
        });
        let stuck = stuck.unwrap_or_else(|error| panic!("{error}; {}", errors(&kueue)));
        let line = "the policy training-operator does not let Kueue (system:serviceaccount:kueue-system:kueue-controller-manager)";
        assert!(stuck.contains(line), "{stuck}");
        assert_eq!(is_suspended(cluster), Some(true));

        helm("upgrade", "kueue");
        cluster.await_policy("kueue");
        cluster.patch(QUEUED, &json!({"metadata": {"labels": {"again": "now"}}})).expect("a label may change");
        until("the job to start", || Ok((is_suspended(cluster) == Some(false)).then_some(())))
            .unwrap_or_else(|error| panic!("{error}; {}", errors(&kueue)));
        let (passed, said) = run("pytorchjob-guard doctor --wait 3m --proof");
        assert!(passed && said.contains("no job waits for a start or a stop by Kueue"), "{said}");
        assert!(said.contains("queued/mnist is denied: 422 Invalid (dry run)"), "{said}");

        let (gone, said) = run("helm uninstall pytorchjob-guard --namespace pytorchjob-guard");
        assert!(gone, "{said}");
        cluster.await_pods(0);
        // While Kueue runs: it has finalizers of its own.
        delete(cluster, QUEUE);
    });
}

fn is_suspended(cluster: &TestCluster) -> Option<bool> {
    let job: Value = cluster.get(QUEUED).expect("the job is there");
    job["spec"]["runPolicy"]["suspend"].as_bool()
}

/// The errors in Kueue's log.
fn errors(kueue: &Kueue) -> String {
    let log = kueue.log().unwrap_or_default();
    let errors = log.lines().filter(|line| line.contains("\"level\":\"error\"") || line.contains("rror:"));
    errors.take(20).collect::<Vec<_>>().join("\n")
}

/// Runs a test in a cluster with Kueue's kinds and without any job, and makes the cluster what it was.
pub(crate) fn within(cluster: &TestCluster, test: impl FnOnce()) {
    let jobs = training_operator_module().expect("the module can be found");
    let jobs = jobs.join("manifests/base/crds/kubeflow.org_pytorchjobs.yaml");
    cluster.kubectl(&["delete", "crd", "pytorchjobs.kubeflow.org"]);
    define(cluster, &jobs);
    crds(&cluster.plane, "create").expect("Kueue's kinds");
    cluster.plane.apply(KUEUE).expect("what stands for Kueue");
    test();
    delete(cluster, KUEUE);
    crds(&cluster.plane, "delete").expect("no Kueue");
    cluster.kubectl(&["delete", "crd", "pytorchjobs.kubeflow.org"]);
    define(cluster, Path::new(CCI));
    cluster.create_jobs();
}

fn define(cluster: &TestCluster, file: &Path) {
    cluster.kubectl(&["create", "--filename", &file.display().to_string()]);
    cluster.plane.await_kinds(&[file.to_owned()]).expect("the kind is served");
}

/// Deletes what a text holds, in the namespaces that it names.
fn delete(cluster: &TestCluster, text: &str) {
    let file = cluster.folder().join("delete.yaml");
    std::fs::write(&file, text).expect("a file");
    let output = cluster.plane.kubectl(ADMIN).args(["delete", "--filename"]).arg(&file).output().expect("kubectl");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
