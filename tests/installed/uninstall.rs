//! The guard is taken away as the documentation says.

use support::programs::helm_3;

use crate::{
    load::Load,
    operations::{CHART, SHIPPED, helm_as_admin},
    overlay::Overlay,
    test_cluster::TestClusters,
    tests,
};

tests![loses_no_update_while_it_is_uninstalled, loses_no_update_while_helm_3_uninstalls_it];

fn loses_no_update_while_it_is_uninstalled(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.with(overlay);
    cluster.forget_installation();
    let ledger = Load::of_allowed(cluster, |load| {
        cluster.uninstall(overlay);
        load.another_round();
    });
    eprintln!("{overlay}, uninstalled: {}", ledger.summary());
    ledger.lost_no_update();
}

fn loses_no_update_while_helm_3_uninstalls_it(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.empty();
    let helm = helm_as_admin(cluster, &helm_3().expect("Helm 3"));
    let always_ask = overlay == Overlay::AlwaysAsk;
    helm(&format!("install {CHART} --set alwaysAsk={always_ask} --create-namespace"));
    cluster.await_pods(SHIPPED);
    cluster.await_guard();
    let ledger = Load::of_allowed(cluster, |load| {
        helm("uninstall pytorchjob-guard");
        cluster.await_pods(0);
        load.another_round();
    });
    eprintln!("{overlay}, uninstalled by Helm 3: {}", ledger.summary());
    ledger.lost_no_update();
}
