//! The programs that the tests run: those of the control plane that `KUBEBUILDER_ASSETS` holds, the others built once from
//! their Go modules. `KUBERNETES_VERSION` asks for another version of the control plane than the newest.

mod kubernetes;
mod modules;

use std::{
    env, fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use serde_json::Value;

use self::modules::{
    ACTIONLINT, CERT_MANAGER, CONTROL_PLANE, COSIGN, CRANE, H2SPEC, HELM, HELM_3, KUEUE, Module, TRAINING_OPERATOR,
    TYPED_CLIENT, TYPES,
};
use crate::{root, target_folder};

/// A line of progress after so many compiled packages.
const PACKAGES_A_LINE: usize = 200;

/// The programs of a control plane.
#[derive(Debug)]
pub struct Programs {
    pub etcd: PathBuf,
    pub kube_apiserver: PathBuf,
    pub kube_controller_manager: PathBuf,
    pub kubectl: PathBuf,
}

impl Programs {
    /// Finds the programs, or builds those that are missing.
    pub fn find_or_build() -> io::Result<Self> {
        let Some(assets) = env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()).map(PathBuf::from)
        else {
            return Ok(Self {
                // The newest etcd serves every version.
                etcd: CONTROL_PLANE.built("etcd", "go.etcd.io/etcd/server/v3")?,
                kube_apiserver: of_kubernetes("kube-apiserver")?,
                kube_controller_manager: built_controller_manager()?,
                kubectl: kubectl()?,
            });
        };
        // The usual assets come without a controller manager.
        let kube_controller_manager = assets.join("kube-controller-manager");
        Ok(Self {
            etcd: in_assets(&assets, "etcd")?,
            kube_apiserver: in_assets(&assets, "kube-apiserver")?,
            kube_controller_manager: if kube_controller_manager.is_file() {
                kube_controller_manager
            } else {
                built_controller_manager()?
            },
            kubectl: in_assets(&assets, "kubectl")?,
        })
    }
}

fn in_assets(assets: &Path, name: &str) -> io::Result<PathBuf> {
    let program = assets.join(name);
    if program.is_file() {
        return Ok(program);
    }
    let folder = assets.display();
    Err(io::Error::other(format!("KUBEBUILDER_ASSETS is {folder}, but {name} is not there; unset it to have it built")))
}

fn built_controller_manager() -> io::Result<PathBuf> {
    of_kubernetes("kube-controller-manager")
}

/// A program of Kubernetes, of the version that the tests run.
fn of_kubernetes(name: &str) -> io::Result<PathBuf> {
    let package = format!("k8s.io/kubernetes/cmd/{name}");
    match older()? {
        None => CONTROL_PLANE.built(name, &package),
        Some(version) => built_of_older(&version, name, &package),
    }
}

/// The version of Kubernetes in `KUBERNETES_VERSION`, unless it is the newest.
fn older() -> io::Result<Option<String>> {
    let newest = CONTROL_PLANE.version()?.trim_start_matches('v');
    let asked = env::var("KUBERNETES_VERSION").ok().filter(|version| !version.is_empty() && version != newest);
    Ok(asked)
}

/// A program of an older Kubernetes, from an earlier run or from now. A published version never changes: its folder needs no
/// name but that.
fn built_of_older(version: &str, name: &str, package: &str) -> io::Result<PathBuf> {
    let folder = target_folder().join("kubernetes").join(format!("v{version}"));
    let tell = |line: &str| eprintln!("kubernetes {version}: {line}");
    once(&folder, name, tell, |output| {
        tell(&format!("building {name} (once; minutes where Go's build cache is empty)"));
        let stamp = format!(" -X k8s.io/component-base/version.gitVersion=v{version}");
        let module = kubernetes::module(version, &folder)?;
        let mut go = go_build(&stamp, output, package, &module);
        // Adds the staging modules' checksums, after it verified them, to the go.sum that Kubernetes brings.
        go.env("GOFLAGS", "-mod=mod");
        run(&mut go, name, package, tell)
    })
}

/// kubectl alone, for what needs no API server.
pub fn kubectl() -> io::Result<PathBuf> {
    match env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()) {
        Some(assets) => in_assets(Path::new(&assets), "kubectl"),
        None => of_kubernetes("kubectl"),
    }
}

/// Helm.
pub fn helm() -> io::Result<PathBuf> {
    HELM.built("helm", "helm.sh/helm/v4/cmd/helm")
}

/// Helm 3.
pub fn helm_3() -> io::Result<PathBuf> {
    HELM_3.built("helm", "helm.sh/helm/v3/cmd/helm")
}

/// The training operator.
pub fn training_operator() -> io::Result<PathBuf> {
    TRAINING_OPERATOR.built("training-operator", "github.com/kubeflow/training-operator/cmd/training-operator.v1")
}

/// cert-manager's controllers and cainjector, as one program.
pub fn cert_manager() -> io::Result<PathBuf> {
    CERT_MANAGER.built("cert-manager", ".")
}

/// cert-manager's module in Go's module cache, with its CRDs and its chart.
pub fn cert_manager_module() -> io::Result<PathBuf> {
    CERT_MANAGER.sources()
}

/// Kueue's manager.
pub fn kueue() -> io::Result<PathBuf> {
    KUEUE.built("kueue", "sigs.k8s.io/kueue/cmd/kueue")
}

/// Kueue's module in Go's module cache, with its CRDs.
pub fn kueue_module() -> io::Result<PathBuf> {
    KUEUE.sources()
}

/// The training operator's module in Go's module cache, with its manifests.
pub fn training_operator_module() -> io::Result<PathBuf> {
    TRAINING_OPERATOR.sources()
}

/// A program that replaces a job with the training operator's typed client.
pub fn typed_client() -> io::Result<PathBuf> {
    TYPED_CLIENT.built("typed-client", "./client")
}

/// The folder with Kubernetes' Python client and what it needs, for `PYTHONPATH`.
pub fn python_client() -> io::Result<PathBuf> {
    const REQUIREMENTS: &str = include_str!("../../../cluster/clients/requirements.txt");
    let version = REQUIREMENTS.lines().find_map(|line| line.strip_prefix("kubernetes=="));
    let version = version.ok_or_else(|| io::Error::other("tests/cluster/clients/requirements.txt names no client"))?;
    let tell = |line: &str| eprintln!("python client: {line}");
    once(&target_folder().join("python-client"), version, tell, |unfinished| {
        tell(&format!("installing kubernetes {version} (once)"));
        let requirements = root().join("tests/cluster/clients/requirements.txt");
        let mut pip = Command::new("python3");
        pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--root-user-action=ignore"]);
        let output = pip.arg("--target").arg(unfinished).arg("-r").arg(requirements).output()?;
        let said = String::from_utf8_lossy(&output.stderr);
        if output.status.success() { Ok(()) } else { Err(io::Error::other(format!("pip install failed: {said}"))) }
    })
}

/// The judges of equality by types: of the newest Kubernetes first, and of the oldest last.
pub fn judges() -> io::Result<Vec<PathBuf>> {
    TYPES.iter().map(|module| module.built("types", ".")).collect()
}

/// cosign, which signs a release and verifies it.
pub fn cosign() -> io::Result<PathBuf> {
    COSIGN.built("cosign", "github.com/sigstore/cosign/v3/cmd/cosign")
}

/// crane, which pushes images; it has a registry, too.
pub fn crane() -> io::Result<PathBuf> {
    CRANE.built("crane", "github.com/google/go-containerregistry/cmd/crane")
}

/// The linter of GitHub's workflows.
pub fn actionlint() -> io::Result<PathBuf> {
    ACTIONLINT.built("actionlint", "github.com/rhysd/actionlint/cmd/actionlint")
}

/// The suite of tests of HTTP/2.
pub fn h2spec() -> io::Result<PathBuf> {
    H2SPEC.built("h2spec", "github.com/summerwind/h2spec/cmd/h2spec")
}

impl Module {
    /// The program built from `package`, from an earlier run or from now.
    fn built(&self, name: &str, package: &str) -> io::Result<PathBuf> {
        let version = self.version()?;
        let mut hasher = DefaultHasher::new();
        (self.go_mod, self.go_sum, self.sources).hash(&mut hasher);
        let folder = target_folder().join(self.name).join(format!("{version}-{:016x}", hasher.finish()));
        once(
            &folder,
            name,
            |line| self.tell(line),
            |output| {
                self.tell(&format!(
                    "building {name} of {} {version} (once; minutes where Go's build cache is empty)",
                    self.of
                ));
                let stamp =
                    self.version_variable.map(|variable| format!(" -X {variable}={version}")).unwrap_or_default();
                let mut go = go_build(&stamp, output, package, &self.folder());
                if let Some(modfile) = self.modfile {
                    go.env("GOFLAGS", format!("-modfile={modfile}"));
                }
                run(&mut go, name, package, |line| self.tell(line))
            },
        )
    }

    /// The folder in Go's module cache of the module whose version the programs have.
    fn sources(&self) -> io::Result<PathBuf> {
        let mut go = Command::new("go");
        go.args(["mod", "download", "-json", self.of]).current_dir(self.folder()).env("GOWORK", "off");
        let output = go.output().map_err(|error| go_missing(&error))?;
        let answer: Value = serde_json::from_slice(&output.stdout)?;
        answer["Dir"].as_str().map(PathBuf::from).ok_or_else(|| {
            let said = String::from_utf8_lossy(&output.stderr);
            io::Error::other(format!("go mod download {}: {}{said}", self.of, answer["Error"]))
        })
    }

    /// The folder of its go.mod.
    fn folder(&self) -> PathBuf {
        root().join("tests/cluster").join(self.name)
    }

    /// Says how it goes.
    fn tell(&self, line: &str) {
        eprintln!("{}: {line}", self.name);
    }

    /// The version that go.mod requires.
    fn version(&self) -> io::Result<&'static str> {
        let required = |line: &'static str| {
            let line = line.trim().trim_start_matches("require ");
            line.strip_prefix(self.of)?.strip_prefix(' ')?.split_whitespace().next()
        };
        self.go_mod
            .lines()
            .find_map(required)
            .ok_or_else(|| io::Error::other(format!("tests/cluster/{}/go.mod requires no {}", self.name, self.of)))
    }
}

/// The program `name` in `folder`, which `build` makes where it is not there yet.
fn once(
    folder: &Path,
    name: &str,
    tell: impl Fn(&str),
    build: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<PathBuf> {
    let program = folder.join(name);
    if program.exists() {
        return Ok(program);
    }
    fs::create_dir_all(folder)?;
    // Of several `cargo test` at a time one builds, and the others wait for it.
    let lock = fs::File::create(folder.join("lock"))?;
    if lock.try_lock().is_err() {
        tell(&format!("waiting for another run that builds {name}"));
        lock.lock()?;
    }
    if !program.exists() {
        let unfinished = folder.join(format!("{name}.unfinished"));
        build(&unfinished)?;
        fs::rename(&unfinished, &program)?;
    }
    Ok(program)
}

/// `go build` of a package of this module.
fn go_build(stamp: &str, output: &Path, package: &str, module: &Path) -> Command {
    let mut go = Command::new("go");
    go.args(["build", "-v", "-trimpath", "-ldflags"]).arg(format!("-s -w{stamp}")).arg("-o").arg(output).arg(package);
    go.current_dir(module).env("CGO_ENABLED", "0").env("GOWORK", "off");
    go
}

/// Runs that `go build`, and tells how it goes.
fn run(go: &mut Command, name: &str, package: &str, tell: impl Fn(&str)) -> io::Result<()> {
    let mut go = go.stdin(Stdio::null()).stderr(Stdio::piped()).spawn().map_err(|error| go_missing(&error))?;
    // `go build -v` names each package as it is compiled; what else it says may be why it fails.
    let mut said = Vec::new();
    if let Some(stderr) = go.stderr.take() {
        for line in BufReader::new(stderr).lines() {
            said.push(line?);
            if said.len() % PACKAGES_A_LINE == 0 {
                tell(&format!("building {name}: {} packages", said.len()));
            }
        }
    }
    if go.wait()?.success() {
        tell(&format!("built {name}"));
        return Ok(());
    }
    let last = said[said.len().saturating_sub(20)..].join("\n");
    Err(io::Error::other(format!("go build {package} failed:\n{last}")))
}

/// The advice where `go` cannot be started.
pub fn go_missing(error: &io::Error) -> io::Error {
    io::Error::other(format!(
        "cannot run go ({error}). The cluster tests and the playground build Kubernetes' own programs: install Go 1.26 \
         or newer from https://go.dev/doc/install, or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver, \
         kube-controller-manager and kubectl"
    ))
}
