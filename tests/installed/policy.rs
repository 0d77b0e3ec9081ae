//! Another policy in the `ConfigMap`: looser, then stricter, with somebody who tries all the while what it then forbids.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use serde_json::json;
use support::{control_plane::PERSON, until};
use tokio::task::JoinHandle;

use crate::{
    api::{Api, Refusal},
    load::Load,
    overlay::{Overlay, Pace},
    test_cluster::{TestCluster, TestClusters},
    tests,
};

tests![lets_nothing_pass_that_a_stricter_policy_forbids];

/// The field that the policies here differ in.
const FIELD: &str = "priorityClassName";
/// So many attempts are made after the stricter policy is in force.
const ATTEMPTS: usize = 100;

fn lets_nothing_pass_that_a_stricter_policy_forbids(clusters: &TestClusters, overlay: Overlay) {
    let cluster = clusters.at_pace(overlay, Pace::ShortSettle);
    let job = cluster.create_job(&format!("raced-{overlay}"), |_| ());
    let ledger = Load::on(cluster, |load| {
        put_in_force(cluster, "looser", &[FIELD]);
        if overlay.has_conditions() {
            until("conditions that let the field through", || Ok(conditions(cluster).contains(FIELD).then_some(())))
                .unwrap_or_else(|error| panic!("{error}; {}", cluster.logs()));
        }
        load.another_round();
        let attempts = Attempts::start(cluster, job);
        attempts.more(1);
        let allowed = attempts.take();
        assert!(allowed.iter().all(|attempt| attempt.outcome.is_ok()), "the looser policy allows it: {allowed:?}");

        put_in_force(cluster, "stricter", &[]);
        let in_force = Instant::now();
        attempts.more(ATTEMPTS);
        let attempts = attempts.end(cluster);
        let (after, before): (Vec<_>, Vec<_>) = attempts.iter().partition(|attempt| attempt.begun > in_force);
        let passed = before.iter().filter(|attempt| attempt.outcome.is_ok()).count();
        eprintln!("{overlay}, a stricter policy: {passed} of {} passed before, of {} after", before.len(), after.len());
        for attempt in after {
            let refusal = attempt.outcome.as_ref().expect_err("what the policy in effect forbids is denied");
            assert_eq!((refusal.code, refusal.reason.as_str()), (422, "Invalid"), "{refusal}");
            assert!(refusal.message.contains(&format!("spec.{FIELD}: Forbidden: field is immutable")), "{refusal}");
        }
        load.another_round();
    });
    eprintln!("{overlay}, a new policy: {}", ledger.summary());
    ledger.lost_nothing();
}

/// Puts the shipped policy under another name into the `ConfigMap`, with further fields that may change, and waits until every
/// replica says that it is in force.
fn put_in_force(cluster: &TestCluster, name: &str, fields: &[&str]) {
    let fields = fields.iter().fold(String::new(), |fields, field| fields + "  - spec." + field + "\n");
    let policy = include_str!("../../src/policy/built_in/cci.yaml")
        .replace("name: cci", &format!("name: {name}"))
        .replace("  - spec.cleanPodPolicy\n", &format!("  - spec.cleanPodPolicy\n{fields}"));
    let patch = json!({"data": {"policy.yaml": policy}}).to_string();
    cluster.kubectl(&["patch", "configmap", "pytorchjob-guard-policy", "--type=merge", "--patch", &patch]);
    cluster.await_policy(name);
}

fn conditions(cluster: &TestCluster) -> String {
    cluster.registration()["webhooks"][0]["matchConditions"].to_string()
}

/// An update, from when on.
#[derive(Debug)]
struct Attempt {
    begun: Instant,
    outcome: Result<(), Refusal>,
}

/// Updates of the field without pause.
struct Attempts {
    stop: Arc<AtomicBool>,
    made: Arc<Mutex<Vec<Attempt>>>,
    task: JoinHandle<()>,
}

impl Attempts {
    fn start(cluster: &TestCluster, job: String) -> Self {
        let (stop, made) = (Arc::<AtomicBool>::default(), Arc::<Mutex<Vec<Attempt>>>::default());
        let api =
            cluster.runtime.block_on(Api::new(&cluster.plane.kubeconfig(), PERSON)).expect("a client can be made");
        let (stopped, note) = (Arc::clone(&stop), Arc::clone(&made));
        let task = cluster.runtime.spawn(async move {
            for number in 0_u64.. {
                if stopped.load(Ordering::Relaxed) {
                    break;
                }
                let begun = Instant::now();
                let outcome = api.patch(&job, &json!({"spec": {FIELD: number.to_string()}})).await.map(|_| ());
                note.lock().unwrap_or_else(PoisonError::into_inner).push(Attempt { begun, outcome });
            }
        });
        Self { stop, made, task }
    }

    /// Waits for so many more that begin after this.
    fn more(&self, count: usize) {
        let made = || self.made.lock().unwrap_or_else(PoisonError::into_inner).len();
        let before = made();
        // One is under way.
        until("more attempts", || Ok((made() > before + count).then_some(()))).expect("they go on");
    }

    /// Those that were made so far.
    fn take(&self) -> Vec<Attempt> {
        std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn end(self, cluster: &TestCluster) -> Vec<Attempt> {
        self.stop.store(true, Ordering::Relaxed);
        cluster.runtime.block_on(self.task).expect("the client does not panic");
        std::mem::take(&mut *self.made.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
