//! The ready policies of `docs/examples` for other kinds of training jobs, with the CRDs of the projects themselves.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::{Value, json};
use support::{Serves as _, control_plane::ADMIN, free_address, guard, programs::training_operator_module, until};

use crate::{
    cluster::{Clusters, certificates},
    managed::{Home, until_ready_says},
    run::Run,
    tests,
};

tests![a_ready_policy_holds_each_kind_of_training_job];

const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/examples");
const POLICIES: [&str; 3] = ["training-jobs.yaml", "trainjob.yaml", "jobset.yaml"];

/// Modules that hold CRDs, with their checksums as in a go.sum.
const TRAINER: [&str; 2] = ["github.com/kubeflow/trainer/v2@v2.0.0", "h1:mnQSR9iPKItxyUR8mq66XsmxqKNVHwr9YYOB7BTU9dU="];
const JOBSET: [&str; 2] = ["sigs.k8s.io/jobset@v0.11.0", "h1:1r2uTNQmylnqG/WCSSDADgNkHryvyUaCNCOgvSPWpN8="];

/// The folder of a module in Go's module cache.
fn module([module, sum]: [&str; 2]) -> io::Result<PathBuf> {
    let folder = tempfile::tempdir()?;
    let mut download = Command::new("go");
    download.args(["mod", "download", "-json", module]).current_dir(&folder).env("GOWORK", "off");
    let output = download.output().map_err(|error| support::programs::go_missing(&error))?;
    let answer: Value = serde_json::from_slice(&output.stdout)?;
    assert_eq!(answer["Sum"], sum, "{module}: {answer} {}", String::from_utf8_lossy(&output.stderr));
    Ok(PathBuf::from(answer["Dir"].as_str().unwrap_or_default()))
}

/// A job of the training operator, with its workers under this key.
fn operator_job(kind: &str, replica_specs: &str) -> Value {
    let template = json!({"spec": {"containers": [{"name": "worker", "image": "registry.example.com/mnist:v1"}]}});
    json!({"apiVersion": "kubeflow.org/v1", "kind": kind, "metadata": {"name": "mnist"}, "spec": {
        "runPolicy": {"ttlSecondsAfterFinished": 3600, "backoffLimit": 3},
        replica_specs: {"Worker": {"replicas": 2, "template": template}},
    }})
}

/// A job, an edit that its policy allows, and one that it denies, with the field.
struct Held {
    job: Value,
    resource: &'static str,
    allowed: Value,
    denied: Value,
    field: &'static str,
}

fn jobs() -> Vec<Held> {
    let mut jobs: Vec<_> = [
        ("TFJob", "tfjobs.kubeflow.org", "tfReplicaSpecs"),
        ("MPIJob", "mpijobs.kubeflow.org", "mpiReplicaSpecs"),
        ("XGBoostJob", "xgboostjobs.kubeflow.org", "xgbReplicaSpecs"),
        ("PaddleJob", "paddlejobs.kubeflow.org", "paddleReplicaSpecs"),
        ("JAXJob", "jaxjobs.kubeflow.org", "jaxReplicaSpecs"),
    ]
    .map(|(kind, resource, replica_specs)| Held {
        job: operator_job(kind, replica_specs),
        resource,
        allowed: json!({"spec": {"runPolicy": {"ttlSecondsAfterFinished": 60}}}),
        denied: json!({"spec": {"runPolicy": {"backoffLimit": 5}}}),
        field: "spec.runPolicy.backoffLimit",
    })
    .into();
    let runtime = json!({"name": "torch", "apiGroup": "trainer.kubeflow.org", "kind": "ClusterTrainingRuntime"});
    jobs.push(Held {
        job: json!({"apiVersion": "trainer.kubeflow.org/v1alpha1", "kind": "TrainJob", "metadata": {"name": "mnist"},
            "spec": {"suspend": true, "runtimeRef": runtime, "trainer": {"image": "registry.example.com/mnist:v1", "numNodes": 2}}}),
        resource: "trainjobs.trainer.kubeflow.org",
        // Before it starts, and with the start.
        allowed: json!({"spec": {"suspend": false, "trainer": {"numNodes": 4}}}),
        denied: json!({"spec": {"trainer": {"numNodes": 8}}}),
        field: "spec.trainer.numNodes",
    });
    let pod = json!({"spec": {"restartPolicy": "Never", "containers": [{"name": "worker", "image": "registry.example.com/mnist:v1"}]}});
    let job = json!({"spec": {"parallelism": 2, "completions": 2, "template": pod}});
    jobs.push(Held {
        job: json!({"apiVersion": "jobset.x-k8s.io/v1alpha2", "kind": "JobSet", "metadata": {"name": "mnist"},
            "spec": {"replicatedJobs": [{"name": "workers", "replicas": 1, "template": job}]}}),
        resource: "jobsets.jobset.x-k8s.io",
        allowed: json!({"spec": {"ttlSecondsAfterFinished": 60}}),
        denied: json!({"spec": {"suspend": true}}),
        field: "spec.suspend",
    });
    jobs
}

/// Installs the CRD of `TrainJob`, unless another test did.
pub(crate) fn install_train_jobs(home: &Home) {
    let trainer = module(TRAINER).expect("the trainer's module").join("manifests/base/crds");
    install(home, &trainer.join("trainer.kubeflow.org_trainjobs.yaml"));
    until("the kind is served", || {
        let served = home.cluster.plane.kubectl(ADMIN).args(["get", "trainjobs.trainer.kubeflow.org"]).output()?;
        Ok(served.status.success().then_some(()))
    })
    .expect("an API server serves it");
}

/// On the server's side: the annotation of a client's `apply` would be too long.
fn install(home: &Home, crd: &Path) {
    home.kubectl(&["apply", "--server-side", "-f", &crd.display().to_string()]);
}

fn a_ready_policy_holds_each_kind_of_training_job(clusters: &Clusters) {
    let home = Home::new(clusters.cci(), false, None);
    let operator = training_operator_module().expect("the operator's module").join("manifests/base/crds");
    let crds = ["tfjobs", "mpijobs", "xgboostjobs", "paddlejobs", "jaxjobs"];
    let mut crds: Vec<_> = crds.iter().map(|resource| operator.join(format!("kubeflow.org_{resource}.yaml"))).collect();
    let jobset = module(JOBSET).expect("JobSet's module").join("config/components/crd/bases");
    crds.push(jobset.join("jobset.x-k8s.io_jobsets.yaml"));
    for crd in &crds {
        install(&home, crd);
    }
    install_train_jobs(&home);

    let address = free_address().expect("a port");
    let certs = home.cluster.folder().join("certs");
    certificates(&certs);
    let policies = POLICIES.map(|policy| format!("{EXAMPLES}/{policy}"));
    let selector = format!("--namespace-selector=kubernetes.io/metadata.name={}", home.name);
    let mut print = guard::program();
    print.arg("registration").args(&policies).args(["--name", &home.name, "--output=json", &selector]);
    print.args(["--url", &format!("https://{address}/validate"), "--ca-bundle"]).arg(certs.join("ca.crt"));
    let printed = print.output().expect("the guard runs");
    assert!(printed.status.success(), "{}", String::from_utf8_lossy(&printed.stderr));
    home.apply(&serde_json::from_slice(&printed.stdout).expect("JSON"));
    let guard = home.guard_without_selector(address, |command| {
        command.arg("--tls-cert").arg(certs.join("tls.crt")).arg("--tls-key").arg(certs.join("tls.key"));
        command.args([&selector, "--policy", &policies.join(",")]);
    });
    until_ready_says(&guard, "200 OK");

    for Held { job, resource, allowed, denied, field } in jobs() {
        home.kubectl(&["wait", "--for=condition=Established", &format!("crd/{resource}"), "--timeout=1m"]);
        let file = home.cluster.folder().join("job.json");
        fs::write(&file, job.to_string()).expect("a file");
        home.kubectl(&["create", "-f", &file.display().to_string()]);
        let patch = |patch: &Value| {
            let mut kubectl = home.cluster.plane.kubectl(ADMIN);
            kubectl.args(["--namespace", &home.name, "patch", resource, "mnist", "--type=merge", "--patch"]);
            Run::of(kubectl.arg(patch.to_string()))
        };
        patch(&json!({"metadata": {"labels": {"team": "a"}}})).accepted();
        patch(&allowed).accepted();
        let status = patch(&denied).status();
        let causes = status["details"]["causes"].as_array().cloned().unwrap_or_default();
        let fields: Vec<_> = causes.iter().map(|cause| &cause["field"]).collect();
        assert_eq!((&status["code"], &status["reason"]), (&json!(422), &json!("Invalid")), "{resource}: {status}");
        assert_eq!(fields, [field], "{resource}: {status}");
    }
    let said = guard.probe("/readyz").expect("an answer").text();
    assert!(!said.contains("warning"), "{said}");
}
