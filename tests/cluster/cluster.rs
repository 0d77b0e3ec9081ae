//! The control planes that the tests share, and a job of its own for each test.

use std::{
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc, OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use serde_json::{Value, json};
use support::{
    control_plane::{ADMIN, ControlPlane, PERSON},
    example_job, free_address,
    guard::{Guard, Start, make_certificates},
    operator::Operator,
    programs::{Programs, training_operator_module},
    registration::Registration,
    session::Session,
};

use crate::{conditions::ComparedClusters, run::Run};

/// This folder.
pub(crate) const HERE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster");
/// The policy of the guard that is registered for all of a cluster.
const POLICY: &str = "cci";
/// Kueue's rights, where there is no guard before it.
const KUEUES_ROLE: &str = include_str!("kueue.yaml");
/// The namespace of the example job, for questions about the cluster as a whole.
const PROBE: &str = "probe";

/// One cluster for each layout of the API: both have a CRD of the same name. Each boots when a test first asks for it.
#[derive(Debug, Default)]
pub(crate) struct Clusters {
    cci: OnceLock<Result<Cluster, String>>,
    training_operator: OnceLock<Result<Cluster, String>>,
    /// For the conditions of registrations.
    pub(crate) compared: ComparedClusters,
}

impl Clusters {
    /// With the layout of the `cci` policy, and with controllers.
    pub(crate) fn cci(&self) -> &Cluster {
        let crd = || Ok(Path::new(HERE).join("crds/cci.yaml"));
        let boot = || Cluster::boot(crd, example_job(), true).map_err(|error| error.to_string());
        booted(self.cci.get_or_init(boot))
    }

    /// With the training operator's layout.
    pub(crate) fn training_operator(&self) -> &Cluster {
        let boot = || Cluster::boot(training_operator_crd, structural_job(), false).map_err(|error| error.to_string());
        booted(self.training_operator.get_or_init(boot))
    }
}

fn booted(cluster: &Result<Cluster, String>) -> &Cluster {
    cluster.as_ref().unwrap_or_else(|error| panic!("no cluster to test with: {error}"))
}

/// A control plane with the guard registered for all of it. The fields are dropped from the top.
#[derive(Debug)]
pub(crate) struct Cluster {
    pub(crate) guard: Guard,
    pub(crate) plane: ControlPlane,
    session: Arc<Session>,
    example: Value,
    names: AtomicUsize,
}

impl Cluster {
    fn boot(crd: impl Fn() -> io::Result<PathBuf>, example: Value, controllers: bool) -> io::Result<Self> {
        let programs = Programs::find_or_build()?;
        let session = Session::start()?;
        let mut plane = ControlPlane::boot(&session, &programs, &crd()?)?;
        if controllers {
            plane.start_controllers(&session, &programs)?;
        }
        plane.apply(KUEUES_ROLE)?;
        plane.create_job(PROBE, example.clone())?;
        let certs = session.folder().join("certs");
        make_certificates(&certs)?;
        let guard =
            Start::within(&session).args(&["--policy", POLICY]).certs(&certs).listen(free_address()?).try_serve()?;
        guard
            .register(&plane, Registration { name: "pytorchjob-guard", only: None, host: "127.0.0.1", probe: PROBE })?;
        Ok(Self { guard, plane, session, example, names: AtomicUsize::new(1) })
    }

    /// A name that no other test has.
    pub(crate) fn fresh_name(&self) -> String {
        format!("test-{}", self.names.fetch_add(1, Ordering::Relaxed))
    }

    /// The example job in a namespace of its own.
    pub(crate) fn job(&self) -> Job<'_> {
        self.job_with(|_| ())
    }

    /// The example job, with something added, in a namespace of its own.
    pub(crate) fn job_with(&self, add: impl FnOnce(&mut Value)) -> Job<'_> {
        let namespace = self.fresh_name();
        let mut job = self.example.clone();
        add(&mut job);
        self.plane.create_job(&namespace, job).expect("the example job can be created");
        Job { cluster: self, namespace }
    }

    /// A folder of its own.
    pub(crate) fn folder(&self) -> PathBuf {
        let folder = self.session.folder().join(self.fresh_name());
        fs::create_dir(&folder).expect("a folder can be made");
        folder
    }

    /// Another guard, with certificates of its own; nobody asks it before it is registered.
    pub(crate) fn second_guard(&self, certs: &Path, listen: SocketAddr) -> Guard {
        Start::within(&self.session).args(&["--policy", POLICY]).certs(certs).listen(listen).serve()
    }

    /// A guard at this address with these arguments; nobody asks it before it is registered.
    pub(crate) fn guard_with(&self, address: SocketAddr, prepare: impl FnOnce(&mut Command)) -> Guard {
        Start::within(&self.session).listen(address).with(prepare).serve()
    }

    /// The example job, with something added, in a namespace that no guard is asked about.
    pub(crate) fn unguarded_job_with(&self, add: impl FnOnce(&mut Value)) -> Job<'_> {
        let namespace = self.fresh_name();
        let mut job = self.example.clone();
        add(&mut job);
        self.plane.create_job_apart(&namespace, job).expect("the example job can be created");
        Job { cluster: self, namespace }
    }

    /// The example job, with something added, in a namespace that a guard with this policy alone is asked about.
    pub(crate) fn job_under(&self, policy: &str, add: impl FnOnce(&mut Value)) -> (Job<'_>, Guard) {
        let job = self.unguarded_job_with(add);
        let guard = self.guard_of(&job, policy);
        (job, guard)
    }

    /// A guard with this policy for the job's namespace and no other.
    pub(crate) fn guard_of(&self, job: &Job<'_>, policy: &str) -> Guard {
        let certs = self.folder().join("certs");
        certificates(&certs);
        let address = free_address().expect("a port is free");
        let guard = Start::within(&self.session).args(&["--policy", policy]).certs(&certs).listen(address).serve();
        let namespace = &job.namespace;
        let registration = Registration { name: namespace, only: Some(namespace), host: "127.0.0.1", probe: namespace };
        guard.register(&self.plane, registration).expect("the guard can be registered");
        guard
    }

    /// The training operator, for the jobs of this job's namespace.
    pub(crate) fn operator_of(&self, job: &Job<'_>) -> Operator {
        let module = training_operator_module().expect("the operator's module can be found");
        Operator::start(&self.session, &self.plane, &module, &job.namespace).expect("the operator starts")
    }

    /// A policy file with this text, in a folder of its own.
    pub(crate) fn policy_file(&self, text: &str) -> String {
        let file = self.folder().join("policy.yaml");
        fs::write(&file, text).expect("the file can be written");
        file.display().to_string()
    }

    /// The events of the audit log about a namespace's PyTorchJobs, each of a request that was answered.
    pub(crate) fn audit_events(&self, namespace: &str) -> Vec<Value> {
        let log = fs::read_to_string(self.plane.audit_log()).expect("the API server keeps an audit log");
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let about =
            |event: &Value| event["objectRef"]["namespace"] == namespace && event["stage"] == "ResponseComplete";
        events.filter(about).collect()
    }
}

/// Has the guard make certificates for loopback in `folder`.
pub(crate) fn certificates(folder: &Path) {
    make_certificates(folder).expect("certificates can be made");
}

/// The example job, in its own namespace.
#[derive(Debug)]
pub(crate) struct Job<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) namespace: String,
}

impl Job<'_> {
    /// kubectl in the job's namespace, as somebody who may do everything to PyTorchJobs.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> Run {
        self.kubectl_as(PERSON, arguments)
    }

    /// kubectl in the job's namespace, as an administrator.
    pub(crate) fn admin(&self, arguments: &[&str]) -> Run {
        self.kubectl_as(ADMIN, arguments)
    }

    fn kubectl_as(&self, user: &str, arguments: &[&str]) -> Run {
        Run::of(self.command(user).args(arguments))
    }

    /// kubectl as that user in the job's namespace, yet to be given its arguments.
    pub(crate) fn command(&self, user: &str) -> Command {
        let mut kubectl = self.cluster.plane.kubectl(user);
        kubectl.args(["--namespace", &self.namespace]);
        kubectl
    }

    /// `kubectl patch` of the job: `json` is an array for a JSON patch, an object for a merge patch.
    pub(crate) fn patch(&self, patch: &Value) -> Run {
        let kind = if patch.is_array() { "--type=json" } else { "--type=merge" };
        self.kubectl(&["patch", "pytorchjob", "pytorch-test", kind, "--patch", &patch.to_string()])
    }

    /// kubectl with a file that holds this object.
    pub(crate) fn with_file(&self, arguments: &[&str], object: &Value) -> Run {
        let file = self.cluster.folder().join("object.json");
        fs::write(&file, object.to_string()).expect("the file can be written");
        Run::of(self.command(PERSON).args(arguments).arg("-f").arg(file))
    }

    /// Twenty more jobs beside this one, `job-0` to `job-19`.
    pub(crate) fn create_a_crowd(&self) {
        let jobs: Vec<_> = (0..20)
            .map(|number| {
                let mut job = example_job();
                job["metadata"]["name"] = json!(format!("job-{number}"));
                job
            })
            .collect();
        self.with_file(&["create"], &json!({"apiVersion": "v1", "kind": "List", "items": jobs})).accepted();
    }

    /// The job as the API server has it.
    pub(crate) fn stored(&self) -> Value {
        let run = self.kubectl(&["get", "pytorchjob", "pytorch-test", "--output=json"]);
        serde_json::from_str(run.accepted()).expect("kubectl prints JSON")
    }

    /// Shows that an attempt is refused, for these fields and nothing else, and leaves the stored job as it was.
    pub(crate) fn rejects(&self, violations: &[Violation], attempt: impl FnOnce() -> Run) {
        let before = self.stored();
        attempt().rejected(violations);
        assert_eq!(self.stored(), before, "a refused update changes nothing");
    }

    /// Shows that an attempt is accepted, and gives the job as it is stored then.
    pub(crate) fn accepts(&self, attempt: impl FnOnce() -> Run) -> Value {
        attempt().accepted();
        self.stored()
    }
}

/// A field, and what the message says of it after "field is immutable".
pub(crate) type Violation<'a> = (&'a str, &'a str);

/// The example job with what the training operator has elsewhere in its place.
pub(crate) fn structural_job() -> Value {
    let mut job = example_job();
    if let Some(spec) = job["spec"].as_object_mut() {
        let ttl = spec.remove("ttlSecondsAfterFinished");
        spec.insert("runPolicy".to_owned(), json!({"ttlSecondsAfterFinished": ttl, "suspend": false}));
    }
    job
}

/// The CRD as the training operator ships it.
pub(crate) fn training_operator_crd() -> io::Result<PathBuf> {
    Ok(training_operator_module()?.join("manifests/base/crds/kubeflow.org_pytorchjobs.yaml"))
}
