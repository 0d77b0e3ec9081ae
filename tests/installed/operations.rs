//! The documentation of installing and operating the guard is true.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::{
    pages::{Page, pages, path_with},
    programs::{Programs, helm},
};

use crate::{
    overlay::Overlay,
    test_cluster::{TestCluster, TestClusters},
    tests,
};

tests![the_readme_installs_it, the_page_about_operations_holds];

/// The replicas that the manifests have.
pub(crate) const SHIPPED: usize = 2;

/// A folder of its own, and how a page's commands are run in it.
pub(crate) fn prepared(cluster: &TestCluster, name: &str) -> (PathBuf, impl Fn(&mut Command)) {
    let folder = cluster.folder().join(name);
    fs::create_dir_all(&folder).expect("a folder");
    let programs = Programs::find_or_build().expect("a control plane");
    let helm = helm().expect("Helm");
    let of = |program: &Path| program.parent().expect("a folder").to_owned();
    let guard = of(support::guard::path());
    let path = path_with(&[&guard, &of(&programs.kubectl), &of(&helm)]);
    let (kubeconfig, home) = (cluster.plane.kubeconfig(), folder.clone());
    (folder, move |command: &mut Command| {
        command.env("PATH", &path).env("KUBECONFIG", &kubeconfig).env("HOME", &home);
    })
}

/// Both ways, each from nothing.
fn the_readme_installs_it(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.with(overlay);
    cluster.uninstall(overlay);
    cluster.forget_installation();
    let (folder, prepare) = prepared(cluster, "readme");
    let readme = Page::readme();
    let installations = readme.installations(&folder);
    let [with_helm, with_kustomize] = &installations[..] else { panic!("two ways: {installations:?}") };
    for (way, take_away) in [
        (with_helm, "helm uninstall pytorchjob-guard --namespace pytorchjob-guard"),
        (
            with_kustomize,
            "kubectl delete validatingwebhookconfiguration pytorchjob-guard && kubectl delete --ignore-not-found -k .",
        ),
    ] {
        way.run(&folder, &prepare);
        cluster.await_pods(SHIPPED);
        cluster.await_policy("training-operator");
        let (gone, said) = support::pages::shell(take_away, &folder, &prepare);
        assert!(gone, "{said}");
        cluster.await_pods(0);
    }
}

fn the_page_about_operations_holds(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.with(overlay);
    cluster.forget_installation();
    let (folder, prepare) = prepared(cluster, "operations");
    let pages: Vec<_> = pages().into_iter().filter(Page::needs_an_installation).collect();
    assert_eq!(pages.iter().map(Page::name).collect::<Vec<_>>(), ["operations.md"]);
    for page in pages {
        page.run(&folder, &prepare);
    }
    // The last thing that the page tells is how to take it away.
    cluster.await_pods(0);
}
