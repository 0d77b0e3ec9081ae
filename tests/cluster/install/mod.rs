//! The kustomize manifests and the Helm chart: what they render, and what a real API server makes of it.

mod applying;
mod conventions;
mod empty_root;
mod image;
mod network;
mod permissions;
mod pod_security;
mod policies;
mod rendering;
mod uninstalling;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::{Value, json};
use support::{
    cert_manager::install_crds,
    control_plane::{ADMIN, ControlPlane},
    pages::copy,
    programs::{Programs, helm, kubectl},
    session::Session,
    until,
};
use tempfile::TempDir;

/// The project's folder.
const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// Name of nearly everything, and of the namespace.
const NAME: &str = "pytorchjob-guard";
/// The guard's account, as the API server knows it.
const ACCOUNT: &str = "system:serviceaccount:pytorchjob-guard:pytorchjob-guard";

/// A way to install the guard.
#[derive(Debug, Clone, Copy)]
struct Overlay {
    name: &'static str,
    components: [&'static str; 2],
    /// The values with which the chart is to render the same.
    values: &'static str,
}

const OVERLAYS: [Overlay; 3] = [
    Overlay { name: "self-managed", components: ["self-managed", "manage-registration"], values: "" },
    Overlay {
        name: "cert-manager",
        components: ["cert-manager", "manage-registration"],
        values: "certificates=cert-manager",
    },
    Overlay { name: "always-ask", components: ["self-managed", "always-ask"], values: "alwaysAsk=true" },
];

/// The combination with the fewest rights. No folder of manifests/overlays has it.
const READS_ONLY: Overlay = Overlay {
    name: "cert-manager, always-ask",
    components: ["cert-manager", "always-ask"],
    values: "certificates=cert-manager,alwaysAsk=true",
};

impl Overlay {
    fn folder(self) -> PathBuf {
        Path::new(ROOT).join("manifests/overlays").join(self.name)
    }

    /// The output of `kubectl kustomize`.
    fn objects(self) -> Vec<Value> {
        objects(&run(Command::new(kubectl().expect("kubectl")).arg("kustomize").arg(self.folder())))
    }

    /// The same with another policy, composed as manifests/README.md says.
    fn objects_with(self, policy: &str) -> Vec<Value> {
        let folder = self.composed(policy);
        objects(&run(Command::new(kubectl().expect("kubectl")).arg("kustomize").arg(folder.path())))
    }

    /// The same with one more component.
    fn objects_and(self, component: &str) -> Vec<Value> {
        let folder = self.composed("cci");
        let file = folder.path().join("kustomization.yaml");
        let mut kustomization: Value = serde_json::from_str(&fs::read_to_string(&file).expect("a file")).expect("JSON");
        let components = kustomization["components"].as_array_mut().expect("components");
        components.push(json!(format!("manifests/components/{component}")));
        fs::write(&file, kustomization.to_string()).expect("a file");
        objects(&run(Command::new(kubectl().expect("kubectl")).arg("kustomize").arg(folder.path())))
    }

    /// A folder whose kustomization composes these components with that policy.
    fn composed(self, policy: &str) -> TempDir {
        let folder = tempfile::tempdir().expect("a folder");
        copy(&Path::new(ROOT).join("manifests"), &folder.path().join("manifests"));
        let kustomization = json!({
            "resources": ["manifests/base", format!("manifests/policies/{policy}")],
            "components": self.components.map(|component| format!("manifests/components/{component}")),
        });
        fs::write(folder.path().join("kustomization.yaml"), kustomization.to_string()).expect("a file");
        folder
    }

    /// True if the guard writes to its registration: `caBundle`, conditions, or both.
    fn writes_its_registration(self) -> bool {
        self.components != READS_ONLY.components
    }

    /// The output of `helm template` for the same choice.
    fn chart_objects_with(self, policy: &str) -> Vec<Value> {
        let values = format!("{},policy={policy},namespace.create=true", self.values);
        objects(&run(&mut template(NAME, &["--set", values.trim_start_matches(',')])))
    }
}

/// `helm template` of the chart for that namespace.
fn template(namespace: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(helm().expect("Helm"));
    command.args(["template", NAME, "--skip-tests"]).arg(chart()).args(["--namespace", namespace]).args(arguments);
    command
}

fn chart() -> PathBuf {
    Path::new(ROOT).join("charts/pytorchjob-guard")
}

/// Runs a program that must succeed, and gives what it printed.
fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it can be run");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?} failed:\n{said}");
    assert!(!said.contains("Warning: "), "{command:?} succeeded with a warning:\n{said}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// Runs a program that must fail, and gives what it complained about.
fn fails(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().expect("it can be run");
    let printed = String::from_utf8_lossy(&output.stdout);
    assert!(!output.status.success(), "{command:?} was to fail, but printed:\n{printed}");
    String::from_utf8(output.stderr).expect("UTF-8")
}

/// The objects of a YAML stream, in an order that does not depend on who wrote it.
fn objects(yaml: &str) -> Vec<Value> {
    let mut objects: Vec<Value> = serde_saphyr::from_multiple(yaml).expect("YAML");
    objects.retain(|object| !object.is_null());
    objects.sort_by_key(identity);
    objects
}

/// The identity of an object among all others.
fn identity(object: &Value) -> String {
    let part = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let metadata = &object["metadata"];
    [&object["apiVersion"], &object["kind"], &metadata["namespace"], &metadata["name"]].map(part).join(" ")
}

/// The objects without the label that tells releases apart, which manifests have no use for.
fn without_instance(objects: &[Value]) -> Vec<Value> {
    fn strip(value: &mut Value) {
        match value {
            Value::Object(members) => {
                members.remove("app.kubernetes.io/instance");
                members.values_mut().for_each(strip);
            }
            Value::Array(elements) => elements.iter_mut().for_each(strip),
            _ => {}
        }
    }
    let mut objects = objects.to_vec();
    objects.iter_mut().for_each(strip);
    objects
}

/// Shows that the same objects are on both sides, member by member.
fn assert_same(left: &[Value], right: &[Value], context: &str) {
    let (left, right) = (&without_instance(left)[..], &without_instance(right)[..]);
    let identities = |objects: &[Value]| objects.iter().map(identity).collect::<Vec<_>>();
    assert_eq!(identities(left), identities(right), "{context}");
    for (left, right) in left.iter().zip(right) {
        assert!(left == right, "{context}: {} differs:\n{left:#}\n{right:#}", identity(left));
    }
}

/// The one object of that kind.
fn the<'a>(objects: &'a [Value], kind: &str) -> &'a Value {
    let of_kind: Vec<_> = objects.iter().filter(|object| object["kind"] == kind).collect();
    let [object] = of_kind[..] else { panic!("{} objects of kind {kind}", of_kind.len()) };
    object
}

/// A control plane without a guard, and with cert-manager's CRDs.
#[derive(Debug)]
struct Bare {
    plane: ControlPlane,
    session: std::sync::Arc<Session>,
}

impl Bare {
    fn boot() -> Self {
        let programs = Programs::find_or_build().expect("a control plane");
        let session = Session::start().expect("a session");
        let crd = Path::new(crate::cluster::HERE).join("crds/cci.yaml");
        let plane = ControlPlane::boot(&session, &programs, &crd).expect("a control plane");
        install_crds(&plane).expect("cert-manager's CRDs");
        Self { plane, session }
    }

    /// kubectl as the admin; it must succeed.
    fn kubectl(&self, arguments: &[&str]) -> String {
        run(self.plane.kubectl(ADMIN).args(arguments))
    }

    /// Helm as the admin, in a namespace; it must succeed.
    fn helm(&self, program: &Path, namespace: &str, arguments: &[&str]) -> String {
        let kubeconfig = self.plane.kubeconfig();
        let mut command = Command::new(program);
        command.args(arguments).args(["--namespace", namespace]).arg("--kubeconfig").arg(&kubeconfig);
        run(command.env("HOME", kubeconfig.parent().expect("a folder")))
    }

    /// Applies an overlay, and waits until the API server knows the rights it gives: it hears of them a little later.
    fn apply(&self, overlay: Overlay) {
        let folder = overlay.composed("cci");
        self.kubectl(&["apply", "-k", &folder.path().display().to_string()]);
        self.wait_for_rights(overlay);
    }

    fn wait_for_rights(&self, overlay: Overlay) {
        let secret = (overlay.components[0] == "self-managed").then_some(("patch", "secret/pytorchjob-guard-ca"));
        let verb = if overlay.writes_its_registration() { "patch" } else { "watch" };
        for (verb, what) in secret.into_iter().chain([(verb, "validatingwebhookconfiguration/pytorchjob-guard")]) {
            let account = format!("--as={ACCOUNT}");
            let can = ["auth", "can-i", verb, what, "--quiet", &account, "--namespace", NAME];
            let may = || Ok(self.plane.kubectl(ADMIN).args(can).output()?.status.success().then_some(()));
            until("the guard's rights", may).expect("the guard has its rights");
        }
    }

    /// An object as the API server has it.
    fn get(&self, arguments: &[&str]) -> Value {
        let json = self.kubectl(&[&["get", "--output=json"], arguments].concat());
        serde_json::from_str(&json).expect("JSON")
    }
}
