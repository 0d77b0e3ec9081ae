//! The documentation of installing and operating the guard is true.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use support::{
    pages::{Page, pages, path_with, shell},
    programs::{Programs, helm},
};

use crate::{
    kueue,
    overlay::Overlay,
    test_cluster::{GUARD, TestCluster, TestClusters},
    tests,
};

tests![the_readme_installs_it, the_page_about_operations_holds];

/// The most commands between a cluster without a guard and a rule that is proved. Those that build the program and its image run in
/// `cluster install::image`.
const MOST_COMMANDS: usize = 6;
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

/// What to install from the chart, for `helm install` and `helm upgrade`.
pub(crate) const CHART: &str = concat!("pytorchjob-guard ", env!("CARGO_MANIFEST_DIR"), "/charts/pytorchjob-guard");

/// This Helm in the guard's namespace; it must succeed.
pub(crate) fn helm_as_admin<'c>(cluster: &'c TestCluster, helm: &Path) -> impl Fn(&str) + use<'c> {
    let (folder, prepare) = prepared(cluster, "helm");
    let program = helm.display().to_string();
    move |command: &str| {
        let (success, said) = shell(&format!("{program} {command} --namespace {GUARD}"), &folder, &prepare);
        assert!(success, "helm {command}: {said}");
    }
}

/// From a cluster with Kueue and nothing else to a rule that is proved, with Helm and with kubectl.
fn the_readme_installs_it(clusters: &TestClusters, _: Overlay) {
    let cluster = clusters.empty();
    let (folder, prepare) = prepared(cluster, "readme");
    let readme = Page::readme();
    assert!(readme.commands_to_install() <= MOST_COMMANDS, "{}", readme.commands_to_install());
    let installations = readme.installations(&folder);
    let [look, with_helm, with_kustomize, prove] = &installations[..] else { panic!("four steps: {installations:?}") };
    kueue::within(cluster, || {
        let _kueue = cluster.start_kueue();
        for (way, take_away) in [
            (with_helm, "helm uninstall pytorchjob-guard --namespace pytorchjob-guard"),
            (
                with_kustomize,
                "kubectl delete validatingwebhookconfiguration pytorchjob-guard && kubectl delete --ignore-not-found -k .",
            ),
        ] {
            let said = look.run(&folder, &prepare);
            assert!(said.contains("the policy to take is kueue\n") && said.contains(" 0 warnings"), "{said}");
            way.run(&folder, &prepare);
            let said = prove.run(&folder, &prepare);
            for line in [
                "a change of metadata.labels.pytorchjob-guard-doctor of guard-check/idle is allowed (dry run)",
                "a change of spec.pytorchReplicaSpecs.Master.replicas of guard-check/idle is denied: 422 Invalid (dry run)",
                "every replica serves kueue, digest ",
                " 0 failed, 0 warnings",
            ] {
                assert!(said.contains(line), "{line} is not in\n{said}");
            }
            cluster.await_pods(SHIPPED);
            if std::ptr::eq(way, with_helm) {
                let (passed, said) =
                    shell("helm test pytorchjob-guard --namespace pytorchjob-guard", &folder, &prepare);
                assert!(passed, "{said}\n{}", cluster.log_of("pytorchjob-guard-doctor"));
                let said = cluster.log_of("pytorchjob-guard-doctor");
                assert!(said.contains(" 0 failed, 0 warnings"), "it may read all that it looks at:\n{said}");
                assert!(said.contains("2 replicas are ready"), "its own pod is none of them:\n{said}");
            }
            let (gone, said) = shell(take_away, &folder, &prepare);
            assert!(gone, "{said}");
            cluster.await_pods(0);
            // Without a guard it says so.
            let (passed, said) = shell("pytorchjob-guard doctor", &folder, &prepare);
            assert!(!passed && said.contains("the guard is not installed"), "{said}");
            cluster.kubectl(&["delete", "namespace", "guard-check"]);
        }
    });
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
