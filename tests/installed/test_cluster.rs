//! The cluster: a control plane with all controllers that an installation needs, nodes, a kubelet, and jobs.

use std::{
    collections::BTreeMap,
    io,
    net::Ipv4Addr,
    path::Path,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use serde_json::{Value, json};
use support::{
    cert_manager::CertManager,
    control_plane::{ADMIN, ControlPlane},
    example_job, http,
    kueue::Kueue,
    metrics,
    programs::Programs,
    session::Session,
    until,
};
use tokio::runtime::Runtime;

use crate::{
    api::{Api, Refusal},
    handshakes,
    kubelet::{Kubelet, Machine},
    load::CLIENTS,
    namespace,
    overlay::{Installation, Overlay, Pace, REPLICAS},
};

/// The name of everything that is installed, and of its namespace.
pub(crate) const GUARD: &str = "pytorchjob-guard";
/// The jobs' namespace.
const TEAM: &str = "team-a";
/// The page that says how to install and uninstall.
const README: &str = include_str!("../../manifests/README.md");
/// The guard's port for metrics.
const ADMIN_PORT: u16 = 8080;
/// The controllers that make pods and endpoints of a Deployment and a Service, and give them an account and a CA to trust.
const CONTROLLERS: [&str; 9] = [
    "deployment-controller",
    "replicaset-controller",
    "endpointslice-controller",
    // Older API servers find a Service's pods by its Endpoints.
    "endpoints-controller",
    "disruption-controller",
    "serviceaccount-controller",
    "root-ca-certificate-publisher-controller",
    "namespace-controller",
    "garbage-collector-controller",
];

/// In large clusters whoever calls a Service hears of its endpoints later than a container gets its signals.
const ENDPOINTS_LAG: &str = "--endpointslice-updates-batch-period=500ms";

/// The one cluster, which boots when a test first asks for it.
#[derive(Default)]
pub(crate) struct TestClusters {
    cluster: OnceLock<Result<TestCluster, String>>,
}

impl TestClusters {
    /// The cluster with that overlay installed, as if freshly: three replicas, and the policy that it ships.
    pub(crate) fn with(&self, overlay: Overlay) -> &TestCluster {
        self.at_pace(overlay, Pace::AsShipped)
    }

    /// Likewise, but some things happen sooner.
    pub(crate) fn at_pace(&self, overlay: Overlay, pace: Pace) -> &TestCluster {
        let cluster = self.booted();
        cluster.install(Installation { overlay, pace });
        cluster
    }

    /// The cluster without a guard.
    pub(crate) fn empty(&self) -> &TestCluster {
        let cluster = self.booted();
        let installed = cluster.installed.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(Installation { overlay, .. }) = installed {
            cluster.uninstall(overlay);
        }
        cluster
    }

    fn booted(&self) -> &TestCluster {
        let boot = || TestCluster::boot().map_err(|error| error.to_string());
        let cluster = self.cluster.get_or_init(boot).as_ref();
        cluster.unwrap_or_else(|error| panic!("no cluster to test with: {error}"))
    }
}

/// The cluster. Its fields are dropped from the top.
pub(crate) struct TestCluster {
    cert_manager: Mutex<Option<(CertManager, &'static str)>>,
    pub(crate) kubelet: Kubelet,
    pub(crate) runtime: Runtime,
    api: Api,
    pub(crate) plane: ControlPlane,
    session: Arc<Session>,
    installed: Mutex<Option<Installation>>,
}

/// The path of a client's job.
pub(crate) fn job_path(client: usize) -> String {
    format!("/apis/kubeflow.org/v1/namespaces/{TEAM}/pytorchjobs/{}", job_name(client))
}

fn job_name(client: usize) -> String {
    format!("job-{client}")
}

impl TestCluster {
    fn boot() -> io::Result<Self> {
        let pods = (1..=32).map(|last| Ipv4Addr::new(10, 244, 0, last));
        let node = Ipv4Addr::new(10, 244, 1, 1);
        namespace::add_addresses(pods.clone().chain([node]))?;
        let programs = Programs::find_or_build()?;
        let session = Session::start()?;
        let crd = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/crds/cci.yaml");
        let options = [
            // Services' addresses lead nowhere without kube-proxy: the API server goes to their endpoints itself.
            "--enable-aggregator-routing=true",
            // There is no default route here to find one by.
            &format!("--advertise-address={node}"),
            // The load would fill a disk.
            "--audit-log-path=",
        ];
        let mut plane = ControlPlane::boot_with(&session, &programs, &crd, &options)?;
        plane.start_these_controllers(&session, &programs, &CONTROLLERS, &[ENDPOINTS_LAG])?;
        let nodes: Vec<String> = (1..=3).map(|number| format!("node-{number}")).collect();
        plane.apply(&objects(&nodes).to_string())?;

        // The guards need the cores more than the load does.
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let api = runtime.block_on(Api::new(&plane.kubeconfig(), ADMIN))?;
        let machine = Machine {
            api: api.clone(),
            session: Arc::clone(&session),
            program: support::guard::path().to_owned(),
            api_server: plane.address(),
            namespace: GUARD.to_owned(),
            nodes,
        };
        let kubelet = {
            let _in_runtime = runtime.enter();
            Kubelet::start(machine, pods)
        };
        let (cert_manager, installed) = (Mutex::default(), Mutex::default());
        Ok(Self { cert_manager, kubelet, runtime, api, plane, session, installed })
    }

    /// Installs that in place of something else, or mends what an earlier test left of it.
    fn install(&self, installation: Installation) {
        let mut installed = self.installed.lock().unwrap_or_else(PoisonError::into_inner);
        match installed.take() {
            Some(other) if other.overlay != installation.overlay => self.uninstall(other.overlay),
            // A rolling update would take a while, and is not what is wanted here.
            Some(other) if other != installation => {
                self.kubectl(&["scale", "deployment", GUARD, "--replicas=0"]);
                self.await_pods(0);
            }
            _ => {}
        }
        *installed = Some(installation);
        if installation.overlay == Overlay::CertManager {
            self.run_cert_manager("");
        }
        let folder = installation.write(self.session.folder()).expect("an overlay can be written");
        self.kubectl(&["apply", "--kustomize", &folder]);
        // That they are ready is enough: the Deployment waits some seconds more.
        self.await_pods(REPLICAS);
        self.await_policy("cci");
        self.await_guard();
    }

    /// Starts cert-manager with these settings of its feature gates, in place of one that has others.
    pub(crate) fn run_cert_manager(&self, gates: &'static str) {
        let mut running = self.cert_manager.lock().unwrap_or_else(PoisonError::into_inner);
        if running.as_ref().is_some_and(|(_, its_gates)| *its_gates == gates) {
            return;
        }
        // Two would both write.
        *running = None;
        let started = CertManager::start(&self.session, &self.plane, gates).expect("cert-manager can run");
        *running = Some((started, gates));
    }

    /// The folder for files of a test.
    pub(crate) fn folder(&self) -> &Path {
        self.session.folder()
    }

    /// Says that an overlay was taken away by a test.
    pub(crate) fn forget_installation(&self) {
        *self.installed.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    /// Takes an overlay away by the commands that the documentation has for it.
    pub(crate) fn uninstall(&self, overlay: Overlay) {
        let (_, section) = README.split_once("\n## Uninstalling\n").expect("the page says how");
        let commands = section.lines().take_while(|line| !line.starts_with("## "));
        let shipped = format!("{}/manifests/overlays/{overlay}", env!("CARGO_MANIFEST_DIR"));
        for command in commands.filter_map(|line| line.strip_prefix("kubectl ")) {
            let command = command.replace("manifests/overlays/self-managed", &shipped);
            self.kubectl(&command.split_whitespace().collect::<Vec<_>>());
        }
        self.await_pods(0);
    }

    /// kubectl as the admin in the guard's namespace, which succeeds; what it printed.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.plane.kubectl(ADMIN).args(["--namespace", GUARD]).args(arguments).output();
        let output = output.expect("kubectl can be run");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "kubectl {arguments:?} was to succeed, but said: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// A request to the API server as the admin.
    pub(crate) fn patch(&self, path: &str, change: &Value) -> Result<Value, Refusal> {
        self.runtime.block_on(self.api.patch(path, change))
    }

    pub(crate) fn get(&self, path: &str) -> Result<Value, Refusal> {
        self.runtime.block_on(self.api.get(path))
    }

    pub(crate) fn post(&self, path: &str, object: &Value) -> Result<Value, Refusal> {
        self.runtime.block_on(self.api.post(path, object))
    }

    pub(crate) fn delete(&self, path: &str, options: &Value) -> Result<Value, Refusal> {
        self.runtime.block_on(self.api.delete(path, options))
    }

    /// The registration as it is stored.
    pub(crate) fn registration(&self) -> Value {
        let path = format!("/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations/{GUARD}");
        self.get(&path).expect("the registration is there")
    }

    /// The CAs that API servers trust the guard by, PEM.
    pub(crate) fn ca_bundle(&self) -> Vec<u8> {
        handshakes::ca_bundle(&self.registration())
    }

    /// Waits until the Deployment controller says that a rollout is complete, and the old pods are gone.
    pub(crate) fn await_rollout(&self, replicas: usize) {
        self.kubectl(&["rollout", "status", "deployment", GUARD, "--timeout=120s"]);
        self.await_pods(replicas);
    }

    /// Waits until there are so many pods, each of them ready.
    pub(crate) fn await_pods(&self, replicas: usize) {
        until(&format!("{replicas} pods"), || {
            let pods = self.pod_objects();
            Ok((pods.len() == replicas && self.kubelet.pods().len() == replicas && pods.iter().all(is_ready))
                .then_some(()))
        })
        .unwrap_or_else(|error| panic!("{error}; {}", self.logs()));
    }

    /// The pods as the API server has them.
    pub(crate) fn pod_objects(&self) -> Vec<Value> {
        let list = self.get(&format!("/api/v1/namespaces/{GUARD}/pods")).expect("pods can be listed");
        list["items"].as_array().cloned().unwrap_or_default()
    }

    /// Waits until a policy of that name is in force in every replica.
    pub(crate) fn await_policy(&self, name: &str) {
        let metric = format!("policy_info{{name=\"{name}\"}}");
        until(&metric, || Ok((self.metric(&metric).values().all(|value| *value == Some(1.0))).then_some(())))
            .unwrap_or_else(|error| panic!("{error}; {}", self.logs()));
    }

    /// Waits until the API server asks the guard, and it answers.
    pub(crate) fn await_guard(&self) {
        let patch = json!({"spec": {"backoffLimit": 99}});
        until("the guard to be asked", || match self.patch(&format!("{}?dryRun=All", job_path(0)), &patch) {
            Err(refusal) if refusal.code == 422 => Ok(Some(())),
            _ => Ok(None),
        })
        .unwrap_or_else(|error| panic!("{error}; {}", self.logs()));
    }

    /// A metric of each pod that tells it, named with its labels and without the prefix.
    pub(crate) fn metric(&self, name: &str) -> BTreeMap<String, Option<f64>> {
        let pods = self.kubelet.pods().into_iter();
        pods.map(|(pod, address)| {
            let page = http::get((address, ADMIN_PORT).into(), "/metrics");
            (pod, page.ok().and_then(|page| metrics::value(&page.body, name)))
        })
        .collect()
    }

    /// The number of reviews that each pod has decided.
    pub(crate) fn decisions(&self) -> BTreeMap<String, f64> {
        let counts = self.metric("decision_duration_seconds_count").into_iter();
        counts.map(|(pod, count)| (pod, count.unwrap_or_default())).collect()
    }

    /// The log of a pod.
    pub(crate) fn log_of(&self, pod: &str) -> String {
        self.kubelet.log(pod).unwrap_or_default()
    }

    /// The last lines of the pods' logs, and of cert-manager's, for those who wonder why.
    pub(crate) fn logs(&self) -> String {
        let pods = self.kubelet.pods().into_keys().map(|pod| {
            let log = self.kubelet.log(&pod).unwrap_or_default();
            (pod, log)
        });
        let cert_manager = self.cert_manager.lock().unwrap_or_else(PoisonError::into_inner);
        let cert_manager = cert_manager.as_ref().and_then(|(running, _)| running.log().ok());
        let logs = pods.chain(cert_manager.map(|log| ("cert-manager".to_owned(), log)));
        let tail = |(name, log): (String, String)| {
            let lines: Vec<&str> = log.lines().collect();
            format!("{name}:\n{}\n", lines[lines.len().saturating_sub(10)..].join("\n"))
        };
        logs.map(tail).collect()
    }

    /// Waits until an object is gone.
    pub(crate) fn await_deleted(&self, path: &str) {
        let gone = || Ok(matches!(self.get(path), Err(refusal) if refusal.code == 404).then_some(()));
        until("a deletion", gone).expect("what is deleted goes away");
    }

    /// Starts Kueue, whose kinds are there.
    pub(crate) fn start_kueue(&self) -> Kueue {
        Kueue::start(&self.session, &self.plane).expect("Kueue starts")
    }

    /// Creates the clients' jobs again, after their definition was gone.
    pub(crate) fn create_jobs(&self) {
        for job in jobs() {
            let path = format!("/apis/kubeflow.org/v1/namespaces/{TEAM}/pytorchjobs");
            let created = || match self.post(&path, &job) {
                // The API server serves a new definition a moment after it is established.
                Err(refusal) if refusal.code == 404 => Ok(None),
                answer => Ok(Some(answer)),
            };
            until("a job", created).expect("an answer").expect("a job can be created");
        }
    }

    /// A job of its own for a test, by its path.
    pub(crate) fn create_job(&self, name: &str, add: impl FnOnce(&mut Value)) -> String {
        let jobs = format!("/apis/kubeflow.org/v1/namespaces/{TEAM}/pytorchjobs");
        let mut job = named_job(name);
        add(&mut job);
        self.post(&jobs, &job).expect("a job can be created");
        format!("{jobs}/{name}")
    }
}

/// True if the pod's condition says so, and the pod is not being deleted.
pub(crate) fn is_ready(pod: &Value) -> bool {
    let mut conditions = pod["status"]["conditions"].as_array().into_iter().flatten();
    pod["metadata"]["deletionTimestamp"].is_null()
        && conditions.any(|condition| condition["type"] == "Ready" && condition["status"] == "True")
}

fn named_job(name: &str) -> Value {
    let mut job = example_job();
    job["metadata"]["name"] = json!(name);
    job["metadata"]["namespace"] = json!(TEAM);
    job
}

/// The nodes, and a job for each client.
fn objects(nodes: &[String]) -> Value {
    let nodes = nodes.iter().map(|name| {
        let labels = json!({"kubernetes.io/hostname": name, "topology.kubernetes.io/zone": format!("zone-of-{name}")});
        json!({"apiVersion": "v1", "kind": "Node", "metadata": {"name": name, "labels": labels}})
    });
    let team = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": TEAM}});
    let items: Vec<Value> = nodes.chain([team]).chain(jobs()).collect();
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}

fn jobs() -> impl Iterator<Item = Value> {
    (0..=CLIENTS).map(|client| named_job(&job_name(client)))
}
