//! No replica at all, and then one.

use std::time::Instant;

use serde_json::json;
use support::until;

use crate::{
    api::Refusal,
    load::{FORBIDDEN, Ledger, Load},
    overlay::Overlay,
    test_cluster::{GUARD, TestCluster, TestClusters, job_path},
    tests,
};

tests![fails_closed_without_replicas_and_works_again_with_one];

fn fails_closed_without_replicas_and_works_again_with_one(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.with(overlay);
    let tail = Load::on(cluster, |load| {
        cluster.kubectl(&["scale", "deployment", GUARD, "--replicas=0"]);
        cluster.await_pods(0);
        let leaving = load.take();
        eprintln!("{overlay}, while the replicas go: {}", leaving.summary());
        leaving.let_nothing_pass();
        if overlay.has_conditions() {
            leaving.lost_no_update();
        }
        is_closed(overlay, &load.round());
        let foreground = goes_on(cluster, overlay);
        is_closed(overlay, &load.round());

        cluster.kubectl(&["scale", "deployment", GUARD, "--replicas=1"]);
        cluster.await_pods(1);
        let back = Instant::now();
        until("the guard to be asked again", || Ok(asks_again(cluster, overlay).then_some(()))).expect("it is back");
        eprintln!("{overlay}, from ready to asked again: {:?}", back.elapsed());
        cluster.await_deleted(&foreground);
        load.round().lost_nothing();
    });
    tail.lost_nothing();
}

/// Shows what a registration does whose guard is gone.
fn is_closed(overlay: Overlay, ledger: &Ledger) {
    ledger.let_nothing_pass();
    assert_eq!(ledger.refused, 0, "there is nobody to refuse: {}", ledger.summary());
    assert!(!ledger.closed.is_empty(), "{}", ledger.summary());
    if overlay.has_conditions() {
        ledger.lost_no_update();
    } else {
        assert_eq!(ledger.updates, 0, "{}", ledger.summary());
        assert!(!ledger.failed.is_empty(), "{}", ledger.summary());
    }
    for refusal in ledger.failures() {
        assert!(is_no_answer(refusal), "{refusal}");
    }
}

/// The outcome that users see.
fn is_no_answer(refusal: &Refusal) -> bool {
    let message = |webhook: &str| {
        format!(
            "Internal error occurred: failed calling webhook \"{webhook}.{GUARD}.internal\": failed to call webhook: Post \
             \"https://{GUARD}.{GUARD}.svc:443/validate?timeout=5s\": no endpoints available for service \"{GUARD}\""
        )
    };
    let (code, reason) = (refusal.code, refusal.reason.as_str());
    code == 500 && reason == "InternalError" && ["updates", "scale"].map(message).contains(&refusal.message)
}

/// Shows that jobs are created and deleted, and that their status changes; gives a job that is deleted in foreground.
fn goes_on(cluster: &TestCluster, overlay: Overlay) -> String {
    let status = json!({"status": {"startTime": "2026-01-01T00:00:00Z"}});
    cluster.patch(&format!("{}/status", job_path(0)), &status).expect("the status can change");
    let job = cluster.create_job("deleted", |_| ());
    cluster.delete(&job, &json!({})).expect("a job can be deleted");
    cluster.await_deleted(&job);
    let job = cluster.create_job("deleted-in-foreground", |_| ());
    cluster.delete(&job, &json!({"propagationPolicy": "Foreground"})).expect("a job can be deleted");
    // The garbage collector takes a finalizer away: that is an update, and without conditions it has to wait.
    if overlay.has_conditions() {
        cluster.await_deleted(&job);
    } else {
        assert!(cluster.get(&job).is_ok(), "its finalizer cannot be taken away now");
    }
    job
}

/// True if an update gets the guard's answer: with conditions, the API server asks only about a forbidden one.
fn asks_again(cluster: &TestCluster, overlay: Overlay) -> bool {
    if overlay.has_conditions() {
        let forbidden = cluster.patch(&job_path(FORBIDDEN), &json!({"spec": {"backoffLimit": 9}}));
        matches!(forbidden, Err(refusal) if refusal.code == 422)
    } else {
        cluster.patch(&job_path(FORBIDDEN), &json!({"metadata": {"labels": {"back": "true"}}})).is_ok()
    }
}
