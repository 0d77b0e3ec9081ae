//! The guard is taken away as the documentation says.

use crate::{load::Load, overlay::Overlay, test_cluster::TestClusters, tests};

tests![loses_no_update_while_it_is_uninstalled];

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
