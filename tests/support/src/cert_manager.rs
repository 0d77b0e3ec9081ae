//! The real cert-manager, outside the cluster: its CRDs, its controllers and its cainjector, with the rights that its own chart
//! gives them. Its webhook, which validates more than the CRDs do, does not run.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
    sync::Arc,
};

use serde_json::{Value, json};

use crate::{
    control_plane::{ADMIN, ControlPlane},
    programs::{cert_manager, cert_manager_module, helm},
    session::{Process, Session},
    succeeds,
};

/// Its namespace and the name of its release.
const NAME: &str = "cert-manager";
/// The kinds of the chart's objects that give rights; a Deployment would run an image.
const RIGHTS: [&str; 5] = ["ServiceAccount", "ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding"];

/// A running cert-manager.
#[derive(Debug)]
pub struct CertManager {
    process: Process,
}

/// Installs the CRDs, and waits until the API server serves their kinds.
pub fn install_crds(plane: &ControlPlane) -> io::Result<()> {
    let crds = cert_manager_module()?.join("deploy/crds");
    let mut files: Vec<PathBuf> = fs::read_dir(crds)?.map(|entry| Ok(entry?.path())).collect::<io::Result<_>>()?;
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    let with_files = |verb: &[&str]| {
        let mut kubectl = plane.kubectl(ADMIN);
        kubectl.args(verb).args(files.iter().flat_map(|file| [Path::new("-f"), file]));
        kubectl
    };
    // Two of them are larger than the annotation of an apply by the client may be.
    succeeds(&mut with_files(&["apply", "--server-side"]))?;
    plane.await_kinds(&files)
}

impl CertManager {
    /// Installs the CRDs and the rights, and starts it. `gates` is the value of its option `--feature-gates`.
    pub fn start(session: &Arc<Session>, plane: &ControlPlane, gates: &str) -> io::Result<Self> {
        install_crds(plane)?;
        plane.apply(&rights()?.to_string())?;
        let folder = session.fresh_folder()?;
        let kubeconfig = |account: &str| -> io::Result<PathBuf> {
            let mut kubectl = plane.kubectl(ADMIN);
            let token = succeeds(kubectl.args(["create", "token", account, "--namespace", NAME]))?;
            let file = folder.join(account);
            fs::write(&file, plane.kubeconfig_with(token.trim()).to_string())?;
            Ok(file)
        };
        let process = session.spawn(
            folder.join("log"),
            Command::new(cert_manager()?)
                .arg("--controller-kubeconfig")
                .arg(kubeconfig("cert-manager")?)
                .arg("--cainjector-kubeconfig")
                .arg(kubeconfig("cert-manager-cainjector")?)
                .arg(format!("--feature-gates={gates}")),
        )?;
        Ok(Self { process })
    }

    /// The log so far.
    pub fn log(&self) -> io::Result<String> {
        self.process.output()
    }
}

/// The accounts and their rights, as the chart has them.
fn rights() -> io::Result<Value> {
    let mut template = Command::new(helm()?);
    template.args(["template", NAME]).arg(cert_manager_module()?.join("deploy/charts/cert-manager"));
    let rendered = succeeds(template.args(["--namespace", NAME]))?;
    let objects: Vec<Value> = serde_saphyr::from_multiple(&rendered).map_err(io::Error::other)?;
    let gives_rights = |object: &Value| RIGHTS.iter().any(|kind| object["kind"] == *kind);
    let namespace = json!({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAME}});
    let items: Vec<Value> = [namespace].into_iter().chain(objects.into_iter().filter(gives_rights)).collect();
    Ok(json!({"apiVersion": "v1", "kind": "List", "items": items}))
}
