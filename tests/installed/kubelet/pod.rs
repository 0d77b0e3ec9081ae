//! One pod, from its first container to its end.

use std::{
    collections::{BTreeMap, BTreeSet},
    io,
    net::Ipv4Addr,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use support::session::Process;
use tokio::{sync::watch, time::sleep};

use super::{
    Container, Shared, TICK, complain, lock, probe, unless_gone,
    volumes::{Volumes, field},
};

/// Before a container that ended again is started again. A kubelet's pauses are longer.
const PAUSE: Duration = Duration::from_millis(500);

/// Covers folders with empty ones, puts the volumes in them, and becomes the container.
const ENTRY: &str = r#"
set -e
while [ "$1" != + ]; do mount -t tmpfs tmpfs "$1"; shift; done
shift
while [ "$1" != + ]; do mkdir -p "$2"; mount --bind "$1" "$2"; shift 2; done
shift
exec "$@"
"#;

/// A pod that is looked after.
pub(super) struct Pod {
    shared: Arc<Shared>,
    news: watch::Receiver<Value>,
    name: String,
    address: Ipv4Addr,
    volumes: Volumes,
    container: Container,
    restarts: u32,
    started: bool,
    ready: bool,
    unready_probes: u64,
    unlive_since: Option<Instant>,
    /// The outcome of a container that is not started again.
    is_over: Option<bool>,
    /// The status that the API server was sent last.
    told: Value,
    /// When each condition became what it is.
    since: BTreeMap<&'static str, (bool, String)>,
}

impl Pod {
    pub(super) fn new(shared: Arc<Shared>, news: watch::Receiver<Value>, address: Ipv4Addr) -> Self {
        let pod = news.borrow().clone();
        let name = pod["metadata"]["name"].as_str().unwrap_or_default().to_owned();
        let volumes = Volumes::new(&pod, &shared.machine.session.folder().join("pods").join(&name));
        let container = Container::default();
        lock(&shared.running).insert(name.clone(), (address, Arc::clone(&container)));
        Self {
            shared,
            news,
            name,
            address,
            volumes,
            container,
            restarts: 0,
            started: false,
            ready: false,
            unready_probes: 0,
            unlive_since: None,
            is_over: None,
            told: Value::Null,
            since: BTreeMap::new(),
        }
    }

    /// Runs it until its object is gone.
    pub(super) async fn run(mut self) {
        let api = self.shared.machine.api.clone();
        let mut stop_by = None;
        let mut not_before = Instant::now();
        // While the object is there, or until the test ends.
        while self.news.has_changed().is_ok() {
            let pod = self.news.borrow().clone();
            let deleting = !pod["metadata"]["deletionTimestamp"].is_null();
            let refreshed = self.volumes.refresh(&api, &pod).await;
            let ending = lock(&self.container).as_ref().map(Process::ending);
            match ending {
                Some(Ok(Some(_))) | None if deleting => return self.finish().await,
                Some(Ok(Some(status))) => {
                    eprintln!("{} ended with {status}", self.name);
                    *lock(&self.container) = None;
                    (self.started, self.ready, self.unready_probes, self.unlive_since) = (false, false, 0, None);
                    not_before = Instant::now() + if self.restarts == 0 { Duration::ZERO } else { PAUSE };
                    if pod["spec"]["restartPolicy"] == "Never" {
                        self.is_over = Some(status.success());
                    } else {
                        self.restarts += 1;
                    }
                }
                None if self.is_over.is_some() => {}
                None if Instant::now() >= not_before => match refreshed {
                    Ok(()) => self.start(&pod),
                    // It has to wait for what it mounts.
                    Err(refusal) if refusal.code == 404 => {}
                    Err(refusal) => complain("write volumes", &refusal),
                },
                None => {}
                Some(Ok(None)) => self.probe(&pod["spec"]["containers"][0]).await,
                Some(Err(error)) => complain("see whether a container runs", &error),
            }
            match stop_by {
                None if deleting => {
                    let grace = pod["metadata"]["deletionGracePeriodSeconds"].as_u64().unwrap_or(30);
                    stop_by = Some(Instant::now() + Duration::from_secs(grace));
                    self.signal("TERM");
                }
                Some(deadline) if Instant::now() > deadline => self.signal("KILL"),
                _ => {}
            }
            self.tell(&pod).await;
            sleep(TICK).await;
        }
    }

    fn signal(&self, name: &str) {
        if let Some(Err(error)) = lock(&self.container).as_mut().map(|process| process.signal(name)) {
            complain("send a signal", &error);
        }
    }

    fn start(&mut self, pod: &Value) {
        match self.command(pod) {
            Ok(mut command) => {
                let machine = &self.shared.machine;
                match machine.session.spawn(machine.log(&self.name), &mut command) {
                    Ok(process) => *lock(&self.container) = Some(process),
                    Err(error) => complain("start a container", &error),
                }
            }
            Err(error) => complain("start a container", &error),
        }
    }

    /// The container's process: the guard with the container's arguments and environment, without capabilities.
    fn command(&self, pod: &Value) -> io::Result<Command> {
        let container = &pod["spec"]["containers"][0];
        let mounts: Vec<(PathBuf, PathBuf)> = list(&container["volumeMounts"])
            .map(|mount| {
                let name = mount["name"].as_str().unwrap_or_default();
                let folder = self.volumes.folder(name);
                let folder = folder.ok_or_else(|| io::Error::other(format!("there is no volume {name}")))?;
                Ok((folder.to_owned(), PathBuf::from(mount["mountPath"].as_str().unwrap_or_default())))
            })
            .collect::<io::Result<_>>()?;
        let is_there = |path: &&Path| path.exists();
        let covered: BTreeSet<&Path> = mounts.iter().filter_map(|(_, path)| path.ancestors().find(is_there)).collect();
        if covered.contains(Path::new("/")) {
            return Err(io::Error::other("a volume's path needs a folder in / that is not here"));
        }

        let mut command = Command::new("unshare");
        command.args(["--mount", "--propagation", "private", "sh", "-c", ENTRY, "sh"]);
        command.args(covered).arg("+");
        command.args(mounts.iter().flat_map(|(folder, path)| [folder, path])).arg("+");
        command.args(["setpriv", "--no-new-privs", "--inh-caps=-all", "--bounding-set=-all"]);
        command.arg(&self.shared.machine.program);

        let api_server = self.shared.machine.api_server;
        let mut environment = BTreeMap::from([
            ("KUBERNETES_SERVICE_HOST".to_owned(), api_server.ip().to_string()),
            ("KUBERNETES_SERVICE_PORT".to_owned(), api_server.port().to_string()),
            ("HOSTNAME".to_owned(), self.name.clone()),
        ]);
        for variable in list(&container["env"]) {
            let value = match variable["valueFrom"]["fieldRef"]["fieldPath"].as_str() {
                Some("status.podIP") => self.address.to_string(),
                Some(path) => field(pod, path),
                None => variable["value"].as_str().unwrap_or_default().to_owned(),
            };
            environment.insert(variable["name"].as_str().unwrap_or_default().to_owned(), value);
        }
        for argument in list(&container["args"]).filter_map(Value::as_str) {
            let argument = environment
                .iter()
                .fold(argument.to_owned(), |argument, (name, value)| argument.replace(&format!("$({name})"), value));
            // All pods share one network: none may take the addresses of all.
            let address = self.address.to_string();
            command.arg(argument.replace("0.0.0.0", &address).replace("[::]", &address));
        }
        command
            .env_clear()
            .envs(environment)
            .env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        Ok(command)
    }

    async fn probe(&mut self, container: &Value) {
        if !self.started {
            self.started = probe::succeeds(container, "startupProbe", self.address).await;
            return;
        }
        if probe::succeeds(container, "readinessProbe", self.address).await {
            (self.ready, self.unready_probes) = (true, 0);
        } else {
            self.unready_probes += 1;
            if self.unready_probes >= container["readinessProbe"]["failureThreshold"].as_u64().unwrap_or(3) {
                self.ready = false;
            }
        }
        if probe::succeeds(container, "livenessProbe", self.address).await {
            self.unlive_since = None;
            return;
        }
        let seconds = |name: &str| container["livenessProbe"][name].as_u64().unwrap_or(1);
        let since = *self.unlive_since.get_or_insert_with(Instant::now);
        if since.elapsed() > Duration::from_secs(seconds("failureThreshold") * seconds("periodSeconds")) {
            self.signal("KILL");
        }
    }

    /// Tells the API server how the pod is, where that has changed.
    async fn tell(&mut self, pod: &Value) {
        let container = &pod["spec"]["containers"][0];
        let running = lock(&self.container).is_some();
        let conditions: Vec<Value> =
            [("PodScheduled", true), ("Initialized", true), ("ContainersReady", self.ready), ("Ready", self.ready)]
                .into_iter()
                .map(|(kind, is_true)| self.condition(kind, is_true))
                .collect();
        let state = if running { json!({"running": {}}) } else { json!({"waiting": {"reason": "ContainerCreating"}}) };
        let phase = match self.is_over {
            Some(true) => "Succeeded",
            Some(false) => "Failed",
            None if running || self.restarts > 0 => "Running",
            None => "Pending",
        };
        let status = json!({
            "phase": phase,
            "podIP": self.address.to_string(),
            "podIPs": [{"ip": self.address.to_string()}],
            "conditions": conditions,
            "containerStatuses": [{
                "name": container["name"], "image": container["image"], "imageID": "",
                "ready": self.ready, "started": self.started, "restartCount": self.restarts, "state": state,
            }],
        });
        if status != self.told {
            let path = format!("{}/{}/status", self.shared.machine.pods(), self.name);
            let news = json!({"metadata": {"uid": pod["metadata"]["uid"]}, "status": status});
            unless_gone(self.shared.machine.api.patch(&path, &news).await, "tell how a pod is");
            self.told = status;
        }
    }

    fn condition(&mut self, kind: &'static str, is_true: bool) -> Value {
        let entry = self.since.entry(kind).or_insert_with(|| (is_true, now()));
        if entry.0 != is_true {
            *entry = (is_true, now());
        }
        let status = if is_true { "True" } else { "False" };
        json!({"type": kind, "status": status, "lastTransitionTime": entry.1})
    }

    /// Takes the object away: its container has ended.
    async fn finish(mut self) {
        self.ready = false;
        *lock(&self.container) = None;
        let uid = self.news.borrow()["metadata"]["uid"].clone();
        let options = json!({"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0, "preconditions": {"uid": uid}});
        let path = format!("{}/{}", self.shared.machine.pods(), self.name);
        unless_gone(self.shared.machine.api.delete(&path, &options).await, "take a pod away");
    }
}

impl Drop for Pod {
    fn drop(&mut self) {
        *lock(&self.container) = None;
        lock(&self.shared.running).remove(&self.name);
        lock(&self.shared.addresses).push_back(self.address);
    }
}

fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// The time as the API writes it.
fn now() -> String {
    humantime::format_rfc3339_seconds(std::time::SystemTime::now()).to_string()
}
