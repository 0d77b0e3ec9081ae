//! A stand-in for the scheduler and the kubelet, since no container runtime can run here; all else in these tests is real.
//!
//! It binds pods to nodes in turn, and for each one runs the guard with the container's own arguments, in a mount namespace
//! where the pod's volumes are at the paths that the manifest names. It probes as the manifest says, but at once and
//! often, tells the API server how the pod is, and takes it away as a kubelet does.

mod pod;
mod probe;
mod volumes;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::{Ipv4Addr, SocketAddr},
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{sync::watch, task::JoinHandle, time::sleep};

use self::pod::Pod;
use support::session::{Process, Session};

use crate::api::{Api, Refusal};

/// The interval at which pods, probes and volumes are checked.
const TICK: Duration = Duration::from_millis(50);

/// A kubelet before there are pods.
pub(crate) struct Machine {
    pub(crate) api: Api,
    pub(crate) session: Arc<Session>,
    /// The program in place of the image.
    pub(crate) program: PathBuf,
    /// The API server on loopback, which all pods share.
    pub(crate) api_server: SocketAddr,
    pub(crate) namespace: String,
    pub(crate) nodes: Vec<String>,
}

/// A running container of a pod, or the place of one.
type Container = Arc<Mutex<Option<Process>>>;

/// The state that the loop, the pods and the test share.
struct Shared {
    machine: Machine,
    /// Free addresses, the longest free one first.
    addresses: Mutex<VecDeque<Ipv4Addr>>,
    running: Mutex<BTreeMap<String, (Ipv4Addr, Container)>>,
}

/// Runs until it is dropped, and its pods with it.
pub(crate) struct Kubelet {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Kubelet {
    /// Starts one that gives pods these addresses.
    pub(crate) fn start(machine: Machine, addresses: impl IntoIterator<Item = Ipv4Addr>) -> Self {
        let addresses = Mutex::new(addresses.into_iter().collect());
        let shared = Arc::new(Shared { machine, addresses, running: Mutex::default() });
        let task = tokio::spawn(run(Arc::clone(&shared)));
        Self { shared, task }
    }

    /// The address of each pod that has one.
    pub(crate) fn pods(&self) -> BTreeMap<String, Ipv4Addr> {
        lock(&self.shared.running).iter().map(|(name, (address, _))| (name.clone(), *address)).collect()
    }

    /// The output of a pod's container so far.
    pub(crate) fn log(&self, pod: &str) -> io::Result<String> {
        std::fs::read_to_string(self.shared.machine.log(pod))
    }

    /// Sends a pod's container a signal that nobody in the cluster knows about.
    pub(crate) fn signal(&self, pod: &str, name: &str) -> io::Result<()> {
        let container = lock(&self.shared.running).get(pod).map(|(_, container)| Arc::clone(container));
        let container = container.ok_or_else(|| io::Error::other(format!("there is no pod {pod}")))?;
        let mut process = lock(&container);
        process.as_mut().ok_or_else(|| io::Error::other(format!("{pod} does not run")))?.signal(name)
    }
}

impl Drop for Kubelet {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Machine {
    fn pods(&self) -> String {
        format!("/api/v1/namespaces/{}/pods", self.namespace)
    }

    fn log(&self, pod: &str) -> PathBuf {
        self.session.folder().join(format!("{pod}.log"))
    }
}

/// Looks after all pods.
async fn run(shared: Arc<Shared>) {
    let mut pods: BTreeMap<String, (watch::Sender<Value>, JoinHandle<()>)> = BTreeMap::new();
    let mut nodes = shared.machine.nodes.iter().cycle();
    loop {
        match shared.machine.api.get(&shared.machine.pods()).await {
            Ok(list) => {
                let seen: Vec<&Value> = list["items"].as_array().into_iter().flatten().collect();
                // A pod whose object is gone gets no more news, and stops.
                pods.retain(|uid, _| seen.iter().any(|pod| pod["metadata"]["uid"] == **uid));
                for pod in seen {
                    let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
                    if pod["spec"]["nodeName"].is_null() {
                        bind(&shared, pod, nodes.next().map_or("", String::as_str)).await;
                    } else if let Some((news, _)) = pods.get(uid) {
                        news.send_replace(pod.clone());
                    } else if let Some(started) = start(&shared, pod) {
                        pods.insert(uid.to_owned(), started);
                    }
                }
            }
            Err(refusal) => complain("list pods", &refusal),
        }
        sleep(TICK).await;
    }
}

/// Binds a pod to a node, as the scheduler does.
async fn bind(shared: &Shared, pod: &Value, node: &str) {
    let name = pod["metadata"]["name"].as_str().unwrap_or_default();
    let target = json!({"apiVersion": "v1", "kind": "Node", "name": node});
    let binding = json!({"apiVersion": "v1", "kind": "Binding", "metadata": {"name": name, "uid": pod["metadata"]["uid"]}, "target": target});
    match shared.machine.api.post(&format!("{}/{name}/binding", shared.machine.pods()), &binding).await {
        Ok(_) => {}
        // It is bound, or gone, by now.
        Err(refusal) if matches!(refusal.code, 404 | 409) => {}
        Err(refusal) => complain("bind a pod", &refusal),
    }
}

/// Starts looking after a pod; without a free address it waits.
fn start(shared: &Arc<Shared>, pod: &Value) -> Option<(watch::Sender<Value>, JoinHandle<()>)> {
    let address = lock(&shared.addresses).pop_front()?;
    let (sender, news) = watch::channel(pod.clone());
    let pod = Pod::new(Arc::clone(shared), news, address);
    Some((sender, tokio::spawn(pod.run())))
}

/// Says what should not be, on standard error, and goes on: kubelets do.
fn complain(what: &str, why: &impl std::fmt::Display) {
    eprintln!("the kubelet cannot {what}: {why}");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A path in the API, for a refusal that is no refusal: what is asked for is gone.
fn unless_gone(result: Result<Value, Refusal>, what: &str) {
    match result {
        Err(refusal) if refusal.code != 404 => complain(what, &refusal),
        _ => {}
    }
}
