//! The control plane's programs: those that `KUBEBUILDER_ASSETS` holds, or built once from Kubernetes' Go modules.

use std::{
    env, fs,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    io::{self, BufRead as _, BufReader},
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

/// Where go.mod and go.sum name the programs' modules.
const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/control-plane");
const GO_MOD: &str = include_str!("../control-plane/go.mod");
const GO_SUM: &str = include_str!("../control-plane/go.sum");

/// A line of progress after so many compiled packages.
const PACKAGES_A_LINE: usize = 200;

/// The programs of a control plane.
#[derive(Debug)]
pub(crate) struct Programs {
    pub(crate) etcd: PathBuf,
    pub(crate) kube_apiserver: PathBuf,
    pub(crate) kube_controller_manager: PathBuf,
    pub(crate) kubectl: PathBuf,
}

impl Programs {
    /// Finds the programs, or builds those that are missing.
    pub(crate) fn find_or_build() -> io::Result<Self> {
        let Some(assets) = env::var_os("KUBEBUILDER_ASSETS").filter(|folder| !folder.is_empty()).map(PathBuf::from)
        else {
            return Ok(Self {
                etcd: built("etcd", "go.etcd.io/etcd/server/v3")?,
                kube_apiserver: built("kube-apiserver", "k8s.io/kubernetes/cmd/kube-apiserver")?,
                kube_controller_manager: built_controller_manager()?,
                kubectl: built("kubectl", "k8s.io/kubernetes/cmd/kubectl")?,
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
    built("kube-controller-manager", "k8s.io/kubernetes/cmd/kube-controller-manager")
}

/// The program built from `package`, from an earlier run or from now.
fn built(name: &str, package: &str) -> io::Result<PathBuf> {
    let version = kubernetes_version()?;
    let mut hasher = DefaultHasher::new();
    (GO_MOD, GO_SUM).hash(&mut hasher);
    let folder = target_folder().join("control-plane").join(format!("{version}-{:016x}", hasher.finish()));
    fs::create_dir_all(&folder)?;

    // Of several `cargo test` at a time one builds, and the others wait for it.
    let lock = fs::File::create(folder.join("lock"))?;
    if lock.try_lock().is_err() {
        tell(&format!("waiting for another run that builds {name}"));
        lock.lock()?;
    }
    let program = folder.join(name);
    if !program.is_file() {
        let unfinished = folder.join(format!("{name}.unfinished"));
        build(name, package, version, &unfinished)?;
        fs::rename(&unfinished, &program)?;
    }
    Ok(program)
}

fn build(name: &str, package: &str, version: &str, output: &Path) -> io::Result<()> {
    tell(&format!("building {name} of Kubernetes {version} (once; minutes where Go's build cache is empty)"));
    let mut go = Command::new("go")
        .args(["build", "-v", "-trimpath", "-ldflags"])
        // Without its version clients cannot parse what the API server says of itself.
        .arg(format!("-s -w -X k8s.io/component-base/version.gitVersion={version}"))
        .arg("-o")
        .arg(output)
        .arg(package)
        .current_dir(MODULE)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .stdin(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| go_missing(&error))?;

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

/// What to do where `go` cannot be started.
pub(crate) fn go_missing(error: &io::Error) -> io::Error {
    io::Error::other(format!(
        "cannot run go ({error}). The cluster tests and the playground build Kubernetes' own programs: install Go 1.26 \
         or newer from https://go.dev/doc/install, or set KUBEBUILDER_ASSETS to a folder with etcd, kube-apiserver, \
         kube-controller-manager and kubectl"
    ))
}

/// The version of Kubernetes that go.mod requires.
fn kubernetes_version() -> io::Result<&'static str> {
    GO_MOD
        .lines()
        .find_map(|line| line.trim().strip_prefix("k8s.io/kubernetes ")?.split_whitespace().next())
        .ok_or_else(|| io::Error::other("tests/cluster/control-plane/go.mod requires no k8s.io/kubernetes"))
}

/// The folder where cargo builds.
fn target_folder() -> PathBuf {
    env::var_os("CARGO_TARGET_DIR").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), PathBuf::from)
}

/// Says how it goes.
fn tell(line: &str) {
    eprintln!("control plane: {line}");
}
