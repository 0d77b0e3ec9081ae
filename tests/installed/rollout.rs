//! A rolling restart of all replicas.

use crate::{
    load::Load,
    overlay::{Overlay, REPLICAS},
    test_cluster::{GUARD, TestClusters},
    tests,
};

tests![loses_no_update_in_a_rolling_restart];

fn loses_no_update_in_a_rolling_restart(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.with(overlay);
    let old: Vec<String> = cluster.kubelet.pods().into_keys().collect();
    let before: f64 = cluster.decisions().values().sum();
    let ledger = Load::on(cluster, |load| {
        load.another_round();
        assert!(cluster.decisions().values().sum::<f64>() > before, "the old replicas answer");
        cluster.kubectl(&["rollout", "restart", "deployment", GUARD]);
        cluster.await_rollout(REPLICAS);
        let new = cluster.kubelet.pods();
        assert!(old.iter().all(|pod| !new.contains_key(pod)), "{new:?} replaced {old:?}");
        let before: f64 = cluster.decisions().values().sum();
        load.another_round();
        assert!(cluster.decisions().values().sum::<f64>() > before, "the new replicas answer");
    });
    eprintln!("{overlay}, a rolling restart: {}", ledger.summary());
    ledger.lost_nothing();
}
