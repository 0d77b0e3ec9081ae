//! The guard as a client of the API server: with the rights that its manifests give it, and no more.

mod certificates;
mod conditions;

use std::{
    collections::BTreeSet,
    fs, io,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
};

use base64::{Engine as _, prelude::BASE64_STANDARD as STANDARD};
use rustls::pki_types::{CertificateDer, pem::PemObject as _};
use serde_json::{Value, json};
use support::{
    Serves as _,
    control_plane::ADMIN,
    free_address,
    guard::{self, Guard},
    until,
};

use crate::{cluster::Cluster, rotation::served};

/// The Secret.
const SECRET: &str = "guard-ca";

/// A namespace with a service account for the guard, a Secret, and a registration that has the same name.
pub(crate) struct Home<'a> {
    pub(crate) cluster: &'a Cluster,
    pub(crate) name: String,
    kubeconfig: PathBuf,
}

impl<'a> Home<'a> {
    /// With an empty Secret and, where it is given, this registration.
    pub(crate) fn new(cluster: &'a Cluster, secret: bool, registration: Option<&Registered>) -> Self {
        let name = cluster.fresh_name();
        let kubeconfig = cluster.folder().join("kubeconfig");
        let home = Self { cluster, name, kubeconfig };
        home.apply(&home.objects());
        if secret {
            home.make_secret();
        }
        if let Some(registration) = registration {
            home.register(registration);
        }
        home.write_kubeconfig(None);
        home
    }

    fn objects(&self) -> Value {
        let name = &self.name;
        let here = json!({"name": name, "namespace": name});
        let subject = json!({"kind": "ServiceAccount", "name": name, "namespace": name});
        let rule = |group: &str, resource: &str, object: &str| {
            let verbs = ["get", "list", "watch", "patch"];
            json!({"apiGroups": [group], "resources": [resource], "resourceNames": [object], "verbs": verbs})
        };
        let rbac = "rbac.authorization.k8s.io";
        let version = format!("{rbac}/v1");
        let webhooks = rule("admissionregistration.k8s.io", "validatingwebhookconfigurations", name);
        let reference = |kind: &str| json!({"apiGroup": rbac, "kind": kind, "name": name});
        json!({"apiVersion": "v1", "kind": "List", "items": [
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}},
            {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": here},
            {"apiVersion": version, "kind": "Role", "metadata": here, "rules": [rule("", "secrets", SECRET)]},
            {"apiVersion": version, "kind": "RoleBinding", "metadata": here, "roleRef": reference("Role"), "subjects": [subject]},
            {"apiVersion": version, "kind": "ClusterRole", "metadata": {"name": name}, "rules": [webhooks]},
            {"apiVersion": version, "kind": "ClusterRoleBinding", "metadata": {"name": name},
                "roleRef": reference("ClusterRole"), "subjects": [subject]},
        ]})
    }

    pub(crate) fn apply(&self, object: &Value) {
        self.cluster.plane.apply(&object.to_string()).expect("it can be applied");
    }

    /// An empty Secret.
    pub(crate) fn make_secret(&self) {
        let metadata = json!({"name": SECRET, "namespace": self.name});
        self.apply(&json!({"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque"}));
    }

    /// Registers the guard for this namespace alone.
    pub(crate) fn register(&self, registered: &Registered) {
        let mut print = guard::program();
        print.args(["registration", &registered.policy, "--name", &self.name, "--output=json", &self.selector()]);
        match &registered.url {
            Some((address, ca)) => {
                print.args(["--url", &format!("https://{address}/validate"), "--ca-bundle"]).arg(ca);
            }
            None => {
                print.args(["--service", &format!("{0}/{0}", self.name)]);
            }
        }
        if registered.always_ask {
            print.arg("--always-ask");
        }
        let output = print.output().expect("the guard runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        self.apply(&serde_json::from_slice(&output.stdout).expect("JSON"));
    }

    /// Leaves out all namespaces but this one.
    fn selector(&self) -> String {
        format!("--namespace-selector=kubernetes.io/metadata.name={}", self.name)
    }

    /// The kubeconfig with which the guard reaches the API server; through another address where one is given.
    pub(crate) fn write_kubeconfig(&self, through: Option<SocketAddr>) {
        let text = fs::read_to_string(self.cluster.plane.kubeconfig()).expect("a kubeconfig");
        let mut config: Value = serde_json::from_str(&text).expect("JSON");
        if let Some(address) = through {
            config["clusters"][0]["cluster"]["server"] = json!(format!("https://{address}"));
        }
        let token = self.kubectl(&["create", "token", &self.name]);
        config["users"] = json!([{"name": "guard", "user": {"token": token.trim()}}]);
        config["contexts"] = json!([{"name": "guard", "context": {"cluster": "local", "user": "guard"}}]);
        config["current-context"] = json!("guard");
        fs::write(&self.kubeconfig, config.to_string()).expect("a file");
    }

    /// kubectl as the admin, in this namespace. It must succeed.
    pub(crate) fn kubectl(&self, arguments: &[&str]) -> String {
        let output = self.cluster.plane.kubectl(ADMIN).args(["--namespace", &self.name]).args(arguments).output();
        let output = output.expect("kubectl runs");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    fn get(&self, resource: &str, name: &str) -> Value {
        serde_json::from_str(&self.kubectl(&["get", resource, name, "--output=json"])).expect("JSON")
    }

    pub(crate) fn registration(&self) -> Value {
        self.get("validatingwebhookconfiguration", &self.name)
    }

    /// Takes all that is in the Secret out of it, which asks for a new CA.
    pub(crate) fn empty_secret(&self) {
        let patch = r#"[{"op": "remove", "path": "/data"}]"#;
        self.kubectl(&["patch", "secret", SECRET, "--type=json", "--patch", patch]);
    }

    /// The contents of the Secret.
    pub(crate) fn secret(&self) -> Value {
        self.get("secret", SECRET)["data"].clone()
    }

    /// A JSON patch of the registration, by the admin.
    pub(crate) fn tamper(&self, patch: &Value) {
        self.kubectl(&[
            "patch",
            "validatingwebhookconfiguration",
            &self.name,
            "--type=json",
            "--patch",
            &patch.to_string(),
        ]);
    }

    /// A guard that looks after the registration, at this address and with further arguments.
    pub(crate) fn guard_at(&self, address: SocketAddr, arguments: &[&str]) -> Guard {
        self.guard_without_selector(address, |command| {
            command.arg(self.selector()).args(arguments);
        })
    }

    /// Likewise, where its policies say for which namespaces they are.
    pub(crate) fn guard_without_selector(&self, address: SocketAddr, prepare: impl FnOnce(&mut Command)) -> Guard {
        self.cluster.guard_with(address, |command| {
            command.env("KUBECONFIG", &self.kubeconfig).args(["--registration", &self.name]);
            prepare(command);
        })
    }

    /// Likewise, with the certificate in this folder and under the policy in this file.
    pub(crate) fn guard_with_files(
        &self,
        address: SocketAddr,
        certs: &Path,
        policy: &Path,
        arguments: &[&str],
    ) -> Guard {
        let text = |path: &Path| path.display().to_string();
        let (cert, key, policy) = (text(&certs.join("tls.crt")), text(&certs.join("tls.key")), text(policy));
        let own = ["--tls-cert", &cert, "--tls-key", &key, "--policy", &policy];
        self.guard_at(address, &[&own, arguments].concat())
    }

    /// A guard that looks after its certificate as well.
    pub(crate) fn managed(&self, arguments: &[&str]) -> Guard {
        let service = format!("{0}/{0}", self.name);
        let own = ["--manage-certs", "--service", &service, "--secret", SECRET];
        self.guard_at(free_address().expect("a port"), &[&own, arguments].concat())
    }

    /// The CAs that the API server trusts at this moment. All webhooks of the registration trust the same.
    pub(crate) fn bundle(&self) -> Vec<CertificateDer<'static>> {
        let registration = self.registration();
        let bundles: BTreeSet<&str> = registration["webhooks"]
            .as_array()
            .expect("webhooks")
            .iter()
            .map(|webhook| webhook["clientConfig"]["caBundle"].as_str().unwrap_or_default())
            .collect();
        assert_eq!(bundles.len(), 1, "{registration:#}");
        let pem = STANDARD.decode(bundles.first().expect("a bundle")).expect("base64");
        CertificateDer::pem_slice_iter(&pem).collect::<Result<_, _>>().expect("PEM")
    }

    /// The name by which the API server calls the guard.
    pub(crate) fn server_name(&self) -> String {
        format!("{0}.{0}.svc", self.name)
    }

    /// Calls the guard as an API server would that trusts these CAs; gives the certificate it shows.
    pub(crate) fn call(
        &self,
        guard: &Guard,
        trusted: &[CertificateDer<'static>],
    ) -> io::Result<CertificateDer<'static>> {
        served(guard, &self.server_name(), trusted)
    }
}

/// The registration of a guard.
#[derive(Default)]
pub(crate) struct Registered {
    policy: String,
    always_ask: bool,
    /// The address, and the file with its CA; without, the Service of the home's name.
    url: Option<(SocketAddr, PathBuf)>,
}

impl Registered {
    /// Under the default policy, as a Service.
    pub(crate) fn cci() -> Self {
        Self { policy: "cci".to_owned(), ..Self::default() }
    }

    /// Under the default policy, by its URL, trusting this file.
    pub(crate) fn at(address: SocketAddr, ca: PathBuf) -> Self {
        Self { url: Some((address, ca)), ..Self::cci() }
    }
}

/// Waits until `/readyz` says this, and gives all it says.
pub(crate) fn until_ready_says(guard: &Guard, what: &str) -> String {
    let says = || Ok(Some(guard.probe("/readyz")?.text()).filter(|said| said.contains(what)));
    until(what, says).unwrap_or_else(|error| {
        panic!("{error}: /readyz says {:?}, and the log {}", guard.probe("/readyz"), guard.log())
    })
}

/// Waits until a metric has that value.
pub(crate) fn until_metric(guard: &Guard, name: &str, value: u64) {
    until(name, || Ok((guard.count(name)? == Some(value)).then_some(())))
        .unwrap_or_else(|error| panic!("{error}: {:?}, and the log {}", guard.count(name), guard.log()));
}
