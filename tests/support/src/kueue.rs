//! The real Kueue, outside the cluster, with its CRDs and the rights that its own manifests give it. Its webhooks, which set
//! defaults and validate, are not registered.

use std::{fs, io, path::Path, process::Command, sync::Arc};

use serde_json::json;

use crate::{
    control_plane::{ADMIN, ControlPlane},
    free_address,
    guard::make_certificates,
    http,
    programs::{kueue, kueue_module},
    session::{Process, Session},
    succeeds, until,
};

/// Its namespace, and the name of its account.
const NAMESPACE: &str = "kueue-system";
const ACCOUNT: &str = "kueue-controller-manager";

/// Puts certificates where Kueue wants those of its metrics, and cannot be told another place; `/etc` is covered for it alone.
const ENTRY: &str = r#"
set -e
mount -t tmpfs tmpfs /etc
mkdir -p /etc/kueue/metrics
ln -s "$1" /etc/kueue/metrics/certs
shift
exec "$@"
"#;

/// A running Kueue.
#[derive(Debug)]
pub struct Kueue {
    process: Process,
}

/// Creates or deletes the CRDs of all of its kinds.
pub fn crds(plane: &ControlPlane, verb: &str) -> io::Result<()> {
    let folder = kueue_module()?.join("config/components/crd/bases");
    succeeds(plane.kubectl(ADMIN).args([verb, "--filename"]).arg(&folder))?;
    if verb == "create" { plane.await_kinds(&[folder]) } else { Ok(()) }
}

impl Kueue {
    /// Starts it for PyTorchJobs, whose CRD and its own are there, and waits until it is ready. Its namespace is there, too.
    pub fn start(session: &Arc<Session>, plane: &ControlPlane) -> io::Result<Self> {
        for file in ["role.yaml", "manager_secrets_role.yaml"] {
            let role = fs::read_to_string(kueue_module()?.join("config/components/rbac").join(file))?;
            // As its kustomization has it.
            plane.apply(&role.replace("namespace: system", &format!("namespace: {NAMESPACE}")))?;
        }
        plane.apply(&rights().to_string())?;
        let folder = session.fresh_folder()?;
        let token = ["create", "token", ACCOUNT, "--namespace", NAMESPACE];
        let token = succeeds(plane.kubectl(ADMIN).args(token))?;
        let kubeconfig = folder.join("kubeconfig");
        fs::write(&kubeconfig, plane.kubeconfig_with(token.trim()).to_string())?;
        make_certificates(&folder)?;
        let (probes, webhook) = (free_address()?, free_address()?);
        let config = folder.join("config.json");
        fs::write(&config, configuration(&folder, &probes.to_string(), webhook.port()).to_string())?;
        let process = session.spawn(
            folder.join("log"),
            Command::new("unshare")
                .args(["--mount", "--propagation", "private", "sh", "-c", ENTRY, "sh"])
                .arg(&folder)
                .arg(kueue()?)
                .arg("--config")
                .arg(&config)
                .args(["--kubeconfig"])
                .arg(&kubeconfig)
                // It would be another API server, for people who wait.
                .arg("--feature-gates=VisibilityOnDemand=false"),
        )?;
        let kueue = Self { process };
        until("Kueue", || {
            kueue.process.must_run()?;
            Ok(http::get(probes, "/readyz").is_ok_and(|reply| reply.code == 200).then_some(()))
        })?;
        Ok(kueue)
    }

    /// The log so far.
    pub fn log(&self) -> io::Result<String> {
        self.process.output()
    }
}

fn configuration(certificates: &Path, probes: &str, webhook: u16) -> serde_json::Value {
    json!({
        "apiVersion": "config.kueue.x-k8s.io/v1beta2",
        "kind": "Configuration",
        "health": {"healthProbeBindAddress": probes},
        "metrics": {"bindAddress": "0"},
        "webhook": {"port": webhook, "host": "127.0.0.1", "certDir": certificates},
        "leaderElection": {"leaderElect": false},
        "internalCertManagement": {"enable": false},
        "integrations": {"frameworks": ["kubeflow.org/pytorchjob"]},
    })
}

/// The account, bound to the roles of the manifests.
fn rights() -> serde_json::Value {
    let account = json!({
        "apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": ACCOUNT, "namespace": NAMESPACE},
    });
    let binding = |kind: &str, role: &str| {
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": format!("{kind}Binding"),
            "metadata": {"name": "kueue", "namespace": NAMESPACE},
            "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role},
            "subjects": [{"kind": "ServiceAccount", "name": ACCOUNT, "namespace": NAMESPACE}],
        })
    };
    let items = [account, binding("ClusterRole", "manager-role"), binding("Role", "manager-secrets-role")];
    json!({"apiVersion": "v1", "kind": "List", "items": items})
}
