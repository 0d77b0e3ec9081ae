//! A replica that ends without a word.

use support::until;

use crate::{
    api::Refusal,
    load::Load,
    overlay::{Overlay, REPLICAS},
    test_cluster::{TestCluster, TestClusters},
    tests,
};

tests![fails_only_calls_to_a_replica_that_is_killed];

/// The errors of a call whose connection breaks in which the API server does not name the peer.
const BROKEN: [&str; 3] = [": EOF", ": http: server closed idle connection", ": use of closed network connection"];

fn fails_only_calls_to_a_replica_that_is_killed(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.with(overlay);
    Load::on(cluster, |load| {
        let victim = busiest(cluster, load);
        let address = cluster.kubelet.pods()[&victim];
        load.take().lost_nothing();
        cluster.kubelet.signal(&victim, "KILL").expect("it runs");
        until("the container to be started again", || {
            let pods = cluster.pod_objects();
            let restarted = |count: &serde_json::Value| count.as_u64() > Some(0);
            let pod = pods.iter().find(|pod| pod["metadata"]["name"] == *victim);
            Ok(pod.filter(|pod| restarted(&pod["status"]["containerStatuses"][0]["restartCount"])).map(|_| ()))
        })
        .expect("the kubelet starts it again");
        cluster.await_pods(REPLICAS);
        let meanwhile = load.take();
        eprintln!("{overlay}, a replica killed: {}", meanwhile.summary());
        meanwhile.let_nothing_pass();
        if overlay.has_conditions() {
            meanwhile.lost_no_update();
        }
        let is_to_victim = |refusal: &&Refusal| {
            let message = &refusal.message;
            refusal.code == 500
                && message.contains("failed calling webhook")
                && (message.contains(&address.to_string()) || BROKEN.iter().any(|broken| message.ends_with(broken)))
        };
        let others: Vec<&Refusal> = meanwhile.failures().filter(|refusal| !is_to_victim(refusal)).collect();
        assert!(others.is_empty(), "only calls to {victim} at {address} were to fail, but: {others:?}");
        load.round().lost_nothing();
    });
}

/// The replica that answers the most, so that there is something to break.
fn busiest(cluster: &TestCluster, load: &Load) -> String {
    let before = cluster.decisions();
    load.another_round();
    let done = cluster.decisions().into_iter().map(|(pod, count)| (count - before.get(&pod).unwrap_or(&0.0), pod));
    done.max_by(|one, other| one.0.total_cmp(&other.0)).expect("there are replicas").1
}
