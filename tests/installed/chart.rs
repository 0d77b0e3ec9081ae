//! The chart with certificates from cert-manager, as Helm installs, upgrades and uninstalls it.

use support::programs::helm;

use crate::{
    cert_manager::{CA, LEAF, is_issued, renew, renews_ca, renews_leaf, under_load},
    operations::{CHART, SHIPPED, helm_as_admin},
    overlay::Overlay,
    renewal::bundle,
    test_cluster::TestClusters,
    tests,
};

tests![loses_no_update_while_its_certificates_are_renewed];

fn loses_no_update_while_its_certificates_are_renewed(clusters: &TestClusters, _: Overlay) {
    let cluster = clusters.empty();
    cluster.run_cert_manager("");
    let helm = helm_as_admin(cluster, &helm().expect("Helm"));
    let options = format!("{CHART} --set certificates=cert-manager");
    helm(&format!("install {options} --create-namespace"));
    cluster.await_pods(SHIPPED);
    cluster.await_guard();
    is_issued(cluster, "certified-by-chart");

    under_load(cluster, "the chart", |load| {
        renews_leaf(cluster, || renew(cluster, LEAF));
        load.another_round();
        renews_ca(cluster);
        load.another_round();
    })
    .lost_nothing();

    let before = bundle(cluster);
    helm(&format!("upgrade {options} --set podLabels.upgraded=yes"));
    cluster.await_rollout(SHIPPED);
    assert_eq!(bundle(cluster), before, "Helm leaves the caBundle to the cainjector");
    cluster.await_guard();

    helm("uninstall pytorchjob-guard");
    cluster.await_pods(0);
    // cert-manager leaves them behind, and the next guard is to get its own.
    cluster.kubectl(&["delete", "secret", LEAF, CA]);
}
