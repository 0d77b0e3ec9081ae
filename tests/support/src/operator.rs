//! The real training operator, outside the cluster, with the rights that its own manifests give it.

use std::{
    fs::{self, File},
    io,
    path::Path,
    process::Command,
    sync::Arc,
};

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use serde_json::{Value, json};

use crate::{
    control_plane::{ADMIN, ControlPlane, OPERATOR},
    free_address, http,
    programs::training_operator,
    session::{Process, Session},
    until,
};

/// The folder in which the operator checks that its certificates are mounted. It checks nothing else about this folder,
/// and it cannot be told another; its webhook reads them below `TMPDIR`.
const MOUNTED: &str = "/tmp/k8s-webhook-server/serving-certs/tls.crt";

/// A running training operator.
#[derive(Debug)]
pub struct Operator {
    process: Process,
}

impl Operator {
    /// Starts it for the jobs of one namespace, with the manifests in `module`, and waits until it is ready.
    pub fn start(session: &Arc<Session>, plane: &ControlPlane, module: &Path, namespace: &str) -> io::Result<Self> {
        plane.apply(&fs::read_to_string(module.join("manifests/base/rbac/role.yaml"))?)?;
        plane.apply(&prerequisites().to_string())?;

        let folder = session.folder().join(format!("operator-{namespace}"));
        fs::create_dir(&folder)?;
        let (probes, webhook) = (free_address()?, free_address()?);
        let process = session.spawn(
            folder.with_extension("log"),
            Command::new(training_operator()?)
                .args(["--enable-scheme=pytorchjob", "--metrics-bind-address=0"])
                .args([format!("--namespace={namespace}"), format!("--health-probe-bind-address={probes}")])
                .arg(format!("--webhook-server-port={}", webhook.port()))
                .env("KUBECONFIG", plane.kubeconfig_of(OPERATOR)?)
                .env("TMPDIR", &folder),
        )?;
        let operator = Self { process };
        operator.mount_certificates(plane, &folder)?;
        let mut marker = Marker::default();
        until("the training operator", || {
            operator.process.must_run()?;
            marker.set()?;
            Ok(http::get(probes, "/readyz").is_ok_and(|reply| reply.code == 200).then_some(()))
        })?;
        Ok(operator)
    }

    /// Does what the kubelet would: puts the Secret that the operator fills into its folder.
    fn mount_certificates(&self, plane: &ControlPlane, folder: &Path) -> io::Result<()> {
        let certs = folder.join("k8s-webhook-server/serving-certs");
        fs::create_dir_all(&certs)?;
        let secret = ["--namespace=kubeflow", "get", "secret", "training-operator-webhook-cert", "--output=json"];
        let data = until("the operator's certificate", || {
            self.process.must_run()?;
            let answer = plane.kubectl(ADMIN).args(secret).output()?;
            let secret: Value = serde_json::from_slice(&answer.stdout)?;
            Ok(Some(secret["data"].clone()).filter(|data| data["tls.crt"].is_string()))
        })?;
        for file in ["tls.crt", "tls.key"] {
            let contents = STANDARD.decode(data[file].as_str().unwrap_or_default()).map_err(io::Error::other)?;
            fs::write(certs.join(file), contents)?;
        }
        Ok(())
    }

    /// The log so far.
    pub fn log(&self) -> io::Result<String> {
        self.process.output()
    }
}

/// The objects of an installation beside the role: the binding, the Secret to fill, and a registration to put the CA into.
/// Its webhook is not registered, for the certificate is not made for an address out here.
fn prerequisites() -> Value {
    let webhooks = json!({
        "apiVersion": "admissionregistration.k8s.io/v1",
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": "validator.training-operator.kubeflow.org"},
        "webhooks": [],
    });
    let secret = json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": "training-operator-webhook-cert", "namespace": "kubeflow"},
    });
    let binding = json!({
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": "training-operator"},
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "training-operator"},
        "subjects": [{"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": OPERATOR}],
    });
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "kubeflow"}});
    json!({"apiVersion": "v1", "kind": "List", "items": [namespace, secret, webhooks, binding]})
}

/// The file that says that certificates are mounted. It is taken away again, unless somebody else put it there.
#[derive(Default)]
struct Marker {
    ours: bool,
}

impl Marker {
    /// Another run may have taken its own away, so this is done again and again.
    fn set(&mut self) -> io::Result<()> {
        let file = Path::new(MOUNTED);
        file.parent().map_or(Ok(()), fs::create_dir_all)?;
        self.ours |= File::create_new(file).is_ok();
        Ok(())
    }
}

impl Drop for Marker {
    fn drop(&mut self) {
        if self.ours {
            let _ = fs::remove_file(MOUNTED);
            // Where anybody else has something in them they stay.
            for folder in Path::new(MOUNTED).ancestors().skip(1).take(2) {
                let _ = fs::remove_dir(folder);
            }
        }
    }
}
