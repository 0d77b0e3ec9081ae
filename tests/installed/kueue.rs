//! A cluster with the training operator's definition of jobs and with Kueue's own definitions. Kueue itself does not run: its
//! Deployment, Service and webhook stand for it.

use std::{io, path::PathBuf};

use support::{
    control_plane::ADMIN,
    programs::{kueue_module, training_operator_module},
};

use crate::test_cluster::TestCluster;

const KUEUE: &str = include_str!("kueue.yaml");
const LAYOUTS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/crds/cci.yaml");

/// Runs a test in such a cluster, without any job, and makes the cluster what it was.
pub(crate) fn within(cluster: &TestCluster, test: impl FnOnce()) {
    let [jobs, workloads] = definitions().expect("the modules can be found").map(|path| path.display().to_string());
    let kueue = cluster.folder().join("kueue.yaml");
    std::fs::write(&kueue, KUEUE).expect("a file");
    let kueue = kueue.display().to_string();
    // In the namespaces that the files name.
    let kubectl = |arguments: &[&str]| {
        let output = cluster.plane.kubectl(ADMIN).args(arguments).output().expect("kubectl can be run");
        assert!(output.status.success(), "kubectl {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    };
    kubectl(&["delete", "crd", "pytorchjobs.kubeflow.org"]);
    for file in [&jobs, &workloads, &kueue] {
        kubectl(&["create", "--filename", file]);
    }
    for crd in ["crd/pytorchjobs.kubeflow.org", "crd/workloads.kueue.x-k8s.io"] {
        kubectl(&["wait", "--for=condition=Established", crd, "--timeout=60s"]);
    }
    test();
    for file in [&kueue, &workloads, &jobs] {
        kubectl(&["delete", "--filename", file]);
    }
    kubectl(&["create", "--filename", LAYOUTS]);
    kubectl(&["wait", "--for=condition=Established", "crd/pytorchjobs.kubeflow.org", "--timeout=60s"]);
    cluster.create_jobs();
}

/// The definitions of jobs and of Kueue's workloads, as they are shipped.
pub(crate) fn definitions() -> io::Result<[PathBuf; 2]> {
    let jobs = training_operator_module()?.join("manifests/base/crds/kubeflow.org_pytorchjobs.yaml");
    Ok([jobs, kueue_module()?.join("config/components/crd/bases/kueue.x-k8s.io_workloads.yaml")])
}
