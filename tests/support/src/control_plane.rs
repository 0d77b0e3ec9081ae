//! A control plane: etcd, kube-apiserver and kube-controller-manager on loopback, with users and the CRD.

use std::{
    fs,
    io::{self, Write as _},
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::Arc,
};

use rcgen::KeyPair;
use serde_json::{Value, json};

use crate::{
    free_address,
    programs::Programs,
    session::{Process, Session},
    until,
};

/// The user who may do everything.
pub const ADMIN: &str = "admin";
/// A user who may do everything to PyTorchJobs, and nothing else.
pub const PERSON: &str = "dana";
/// The account of the training operator.
pub const OPERATOR: &str = "system:serviceaccount:kubeflow:training-operator";
/// The user whose credentials make the controllers' service accounts.
const CONTROLLER_MANAGER: &str = "system:kube-controller-manager";

/// The users, and their groups.
const USERS: [(&str, &str); 4] =
    [(ADMIN, "system:masters"), (PERSON, "people"), (OPERATOR, "system:serviceaccounts"), (CONTROLLER_MANAGER, "")];

/// The label of namespaces that have a guard of their own: the one that is registered for all is not asked about them.
pub const OWN_GUARD: &str = "own-guard";

/// The rights of people.
const PEOPLES_ROLE: &str = include_str!("people.yaml");

/// Every request for a PyTorchJob is recorded, with what webhooks said about it, and every deletion; bodies are not.
const AUDIT_POLICY: &str = r#"{"apiVersion": "audit.k8s.io/v1", "kind": "Policy", "omitStages": ["RequestReceived"],
"rules": [{"level": "Metadata", "resources": [{"group": "kubeflow.org"}]},
{"level": "Metadata", "verbs": ["delete"]},
{"level": "None"}]}"#;

/// A running control plane. Its fields are dropped from the top: what depends on another stops before it.
#[derive(Debug)]
pub struct ControlPlane {
    controllers: Option<Process>,
    api_server: Process,
    _etcd: Process,
    kubectl: PathBuf,
    folder: PathBuf,
    port: u16,
}

impl ControlPlane {
    /// Boots one with the CRD and without controllers.
    pub fn boot(session: &Arc<Session>, programs: &Programs, crd: &Path) -> io::Result<Self> {
        Self::boot_with(session, programs, crd, &[])
    }

    /// Boots one whose API server has further options; of an option that is given twice the last one counts.
    pub fn boot_with(session: &Arc<Session>, programs: &Programs, crd: &Path, options: &[&str]) -> io::Result<Self> {
        let plane = Self::start(session, programs, session.folder().to_owned(), options)?;
        until("the API server", || {
            plane.api_server.must_run()?;
            let ready = plane.kubectl(ADMIN).args(["get", "--raw=/readyz"]).output()?;
            Ok(ready.status.success().then_some(()))
        })?;
        plane.run(plane.kubectl(ADMIN).args(["create", "-f"]).arg(crd))?;
        until("the CRD", || {
            // kubectl cannot wait for a condition of an object that has no conditions yet: it fails.
            let established = ["wait", "--for=condition=Established", "--timeout=10s", "-f"];
            let waited = plane.kubectl(ADMIN).args(established).arg(crd).output()?;
            Ok(waited.status.success().then_some(()))
        })?;
        plane.apply(PEOPLES_ROLE)?;
        until("the role of people", || {
            let can = plane.kubectl(PERSON).args(["auth", "can-i", "update", "pytorchjobs.kubeflow.org"]).output()?;
            Ok(can.status.success().then_some(()))
        })?;
        Ok(plane)
    }

    /// Starts etcd and the API server.
    fn start(session: &Arc<Session>, programs: &Programs, folder: PathBuf, options: &[&str]) -> io::Result<Self> {
        let (etcd_socket, peer_socket) = (socket_url(&folder, "etcd"), socket_url(&folder, "peer"));
        let etcd = session.spawn(
            folder.join("etcd.log"),
            Command::new(&programs.etcd)
                .args(["--unsafe-no-fsync", "--log-level=warn"])
                .arg(option("--data-dir=", &folder.join("etcd")))
                .args([format!("--listen-client-urls={etcd_socket}"), format!("--advertise-client-urls={etcd_socket}")])
                .args([format!("--listen-peer-urls={peer_socket}")]),
        )?;

        let key = KeyPair::generate().map_err(io::Error::other)?;
        fs::write(folder.join("tokens.key"), key.serialize_pem())?;
        fs::write(folder.join("tokens.pub"), key.public_key_pem())?;
        fs::write(folder.join("audit-policy.json"), AUDIT_POLICY)?;
        fs::write(
            folder.join("users.csv"),
            USERS.map(|(name, groups)| format!("{},{name},{name},{groups}\n", token(name))).concat(),
        )?;
        let port = free_address()?.port();
        let api_server = session.spawn(
            folder.join("kube-apiserver.log"),
            Command::new(&programs.kube_apiserver)
                .args(["--bind-address=127.0.0.1", "--endpoint-reconciler-type=none", "--authorization-mode=RBAC"])
                .args(["--service-account-issuer=https://kubernetes.default.svc", "--profiling=false"])
                .args(["--service-cluster-ip-range=10.0.0.0/24", "--audit-log-mode=blocking"])
                .args([format!("--etcd-servers={etcd_socket}"), format!("--secure-port={port}")])
                .arg(option("--cert-dir=", &folder.join("tls")))
                .arg(option("--token-auth-file=", &folder.join("users.csv")))
                .arg(option("--service-account-key-file=", &folder.join("tokens.pub")))
                .arg(option("--service-account-signing-key-file=", &folder.join("tokens.key")))
                .arg(option("--audit-policy-file=", &folder.join("audit-policy.json")))
                .arg(option("--audit-log-path=", &folder.join("audit.log")))
                .args(options),
        )?;
        let plane =
            Self { controllers: None, api_server, _etcd: etcd, kubectl: programs.kubectl.clone(), folder, port };
        plane.write(&plane.kubeconfig(), &plane.contexts())?;
        Ok(plane)
    }

    /// Starts the garbage collector and the namespace controller. They know the CRDs that are there by then.
    pub fn start_controllers(&mut self, session: &Arc<Session>, programs: &Programs) -> io::Result<()> {
        let names = ["garbage-collector-controller", "namespace-controller"];
        self.start_these_controllers(session, programs, &names, &[])
    }

    /// Starts the controllers with these names, with further options.
    pub fn start_these_controllers(
        &mut self,
        session: &Arc<Session>,
        programs: &Programs,
        names: &[&str],
        options: &[&str],
    ) -> io::Result<()> {
        let kubeconfig = self.kubeconfig_of(CONTROLLER_MANAGER)?;
        self.controllers = Some(
            session.spawn(
                self.folder.join("kube-controller-manager.log"),
                Command::new(&programs.kube_controller_manager)
                    .arg(format!("--controllers={}", names.join(",")))
                    .args(["--use-service-account-credentials", "--leader-elect=false", "--secure-port=0"])
                    // What pods are told to trust.
                    .arg(option("--root-ca-file=", &self.ca()))
                    .arg(option("--kubeconfig=", &kubeconfig))
                    .args(options),
            )?,
        );
        Ok(())
    }

    /// kubectl as that user, with no settings of whoever runs this.
    pub fn kubectl(&self, user: &str) -> Command {
        let mut kubectl = Command::new(&self.kubectl);
        for variable in ["KUBECONFIG", "KUBE_EDITOR", "EDITOR", "KUBECTL_EXTERNAL_DIFF", "KUBERC"] {
            kubectl.env_remove(variable);
        }
        kubectl.env("HOME", &self.folder).env("TMPDIR", &self.folder).stdin(Stdio::null());
        kubectl.arg(option("--kubeconfig=", &self.kubeconfig())).args(["--context", user]);
        kubectl
    }

    /// Applies a manifest, YAML or JSON, as the admin.
    pub fn apply(&self, manifest: &str) -> io::Result<()> {
        let mut kubectl = self.kubectl(ADMIN);
        kubectl.args(["apply", "-f", "-"]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut running = kubectl.spawn()?;
        if let Some(mut stdin) = running.stdin.take() {
            stdin.write_all(manifest.as_bytes())?;
        }
        if running.wait()?.success() { Ok(()) } else { Err(io::Error::other("kubectl apply failed")) }
    }

    /// Makes a namespace with this job in it.
    pub fn create_job(&self, namespace: &str, job: Value) -> io::Result<()> {
        self.create_labelled(namespace, &json!({}), job)
    }

    /// Makes a namespace with this job in it, about which only a guard is asked that is registered for it.
    pub fn create_job_apart(&self, namespace: &str, job: Value) -> io::Result<()> {
        self.create_labelled(namespace, &json!({OWN_GUARD: "true"}), job)
    }

    fn create_labelled(&self, namespace: &str, labels: &Value, mut job: Value) -> io::Result<()> {
        job["metadata"]["namespace"] = json!(namespace);
        let metadata = json!({"name": namespace, "labels": labels});
        let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata});
        self.apply(&json!({"apiVersion": "v1", "kind": "List", "items": [namespace, job]}).to_string())
    }

    fn run(&self, kubectl: &mut Command) -> io::Result<()> {
        let output = kubectl.output()?;
        if output.status.success() {
            return Ok(());
        }
        let said = String::from_utf8_lossy(&output.stderr);
        Err(io::Error::other(format!("{kubectl:?} failed: {said}(in {})", self.folder.display())))
    }

    /// The kubeconfig, with a context for each user; the admin's is current.
    pub fn kubeconfig(&self) -> PathBuf {
        self.folder.join("kubeconfig")
    }

    /// Waits until the API server serves the kinds that these files, or a folder of files, define.
    pub fn await_kinds(&self, files: &[PathBuf]) -> io::Result<()> {
        until("kinds that were defined", || {
            // kubectl cannot wait for a condition of an object that has no conditions yet: it fails.
            let mut kubectl = self.kubectl(ADMIN);
            kubectl.args(["wait", "--for=condition=Established", "--timeout=10s"]);
            let waited = kubectl.args(files.iter().flat_map(|file| [Path::new("--filename"), file])).output()?;
            Ok(waited.status.success().then_some(()))
        })
    }

    /// A kubeconfig whose current context is that user's, for programs that cannot be told another.
    pub fn kubeconfig_of(&self, user: &str) -> io::Result<PathBuf> {
        // In the variable KUBECONFIG a colon would begin another file's name.
        let kubeconfig = self.folder.join(format!("{}.kubeconfig", user.replace(':', "-")));
        let mut contexts = self.contexts();
        contexts["current-context"] = json!(user);
        self.write(&kubeconfig, &contexts)?;
        Ok(kubeconfig)
    }

    /// Writes a kubeconfig that no other user can read: Helm warns of others.
    fn write(&self, kubeconfig: &Path, contents: &Value) -> io::Result<()> {
        // Tests beside each other write the same file, and none may read half of it.
        let draft = tempfile::NamedTempFile::new_in(&self.folder)?;
        fs::write(draft.path(), contents.to_string())?;
        draft.persist(kubeconfig)?;
        Ok(())
    }

    /// The contents of a kubeconfig with that token.
    pub fn kubeconfig_with(&self, token: &str) -> Value {
        let mut kubeconfig = self.contexts();
        kubeconfig["users"] = json!([{"name": ADMIN, "user": {"token": token}}]);
        kubeconfig["contexts"] = json!([{"name": ADMIN, "context": {"cluster": "local", "user": ADMIN}}]);
        kubeconfig
    }

    /// The certificate that clients of the API server trust.
    fn ca(&self) -> PathBuf {
        self.folder.join("tls/apiserver.crt")
    }

    /// The address of the API server.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// The file the API server records requests for PyTorchJobs in.
    pub fn audit_log(&self) -> PathBuf {
        self.folder.join("audit.log")
    }

    fn contexts(&self) -> Value {
        let users = USERS.map(|(name, _)| json!({"name": name, "user": {"token": token(name)}}));
        let contexts = USERS.map(|(name, _)| json!({"name": name, "context": {"cluster": "local", "user": name}}));
        let cluster = json!({
            "server": format!("https://127.0.0.1:{}", self.port),
            // It signs for itself.
            "certificate-authority": self.ca(),
        });
        json!({
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "local", "cluster": cluster}],
            "users": users,
            "contexts": contexts,
            "current-context": ADMIN,
        })
    }
}

/// The token that makes a request that user's. Whoever can reach loopback here may be anyone.
pub fn token(user: &str) -> String {
    format!("token-of-{user}")
}

fn option(name: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(name);
    option.push(path);
    option
}

fn socket_url(folder: &Path, name: &str) -> String {
    format!("unix://{}", folder.join(name).with_extension("sock").display())
}
