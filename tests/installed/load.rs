//! Clients that update jobs without pause, and one that tries what is forbidden, while something happens to the guard.

use std::{
    fmt::Write as _,
    io, mem,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use serde_json::{Value, json};
use support::{control_plane::PERSON, until};
use tokio::task::JoinSet;

use crate::{
    api::{Api, Refusal},
    test_cluster::{TestCluster, job_path},
};

/// The number of clients that label jobs, each its own.
pub(crate) const CLIENTS: usize = 16;
/// The job of the client that tries what is forbidden.
pub(crate) const FORBIDDEN: usize = CLIENTS;
/// More failures than these say nothing new.
const EXAMPLES: usize = 5;

/// The load while it goes on.
pub(crate) struct Load {
    shared: Arc<Shared>,
}

struct Shared {
    stop: AtomicBool,
    /// The updates of each client, with any outcome.
    rounds: [AtomicU64; CLIENTS + 1],
    ledger: Mutex<Ledger>,
}

/// The outcome.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// Labels that were set.
    pub(crate) updates: u64,
    /// Labels that were not.
    pub(crate) failed: Vec<Refusal>,
    /// Forbidden changes that the guard refused.
    pub(crate) refused: u64,
    /// Forbidden changes that failed for another reason.
    pub(crate) closed: Vec<Refusal>,
    /// Forbidden changes that went through.
    pub(crate) passed: Vec<Value>,
}

impl Load {
    /// Updates jobs while `during` runs, and gives what came of it.
    pub(crate) fn on(cluster: &TestCluster, during: impl FnOnce(&Self)) -> Ledger {
        Self::of(cluster, true, during)
    }

    /// Likewise, without the client that tries what is forbidden.
    pub(crate) fn of_allowed(cluster: &TestCluster, during: impl FnOnce(&Self)) -> Ledger {
        Self::of(cluster, false, during)
    }

    fn of(cluster: &TestCluster, forbidden: bool, during: impl FnOnce(&Self)) -> Ledger {
        let shared = Arc::new(Shared {
            stop: AtomicBool::new(false),
            rounds: [const { AtomicU64::new(0) }; CLIENTS + 1],
            ledger: Mutex::default(),
        });
        let mut clients = JoinSet::new();
        for client in 0..CLIENTS + usize::from(forbidden) {
            let (shared, kubeconfig) = (Arc::clone(&shared), cluster.plane.kubeconfig());
            clients.spawn_on(async move { shared.work(client, kubeconfig).await }, cluster.runtime.handle());
        }
        let load = Self { shared };
        // Whatever comes of it, the load ends with it.
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            load.another_round();
            during(&load);
        }));
        load.shared.stop.store(true, Ordering::Relaxed);
        cluster.runtime.block_on(async {
            while let Some(ended) = clients.join_next().await {
                ended.expect("a client does not panic").expect("a client can be made");
            }
        });
        if let Err(panic) = outcome {
            eprintln!("while that went on: {}", load.take().summary());
            resume_unwind(panic);
        }
        load.take()
    }

    /// Waits until every client that is at work has done two more updates, so that one of them was all after this.
    pub(crate) fn another_round(&self) {
        let rounds = || self.shared.rounds.each_ref().map(|rounds| rounds.load(Ordering::Relaxed));
        let before = rounds();
        until("another round", || {
            // The last one may not be at work.
            let mut done = rounds().into_iter().zip(before).take(CLIENTS + usize::from(before[FORBIDDEN] > 0));
            Ok(done.all(|(now, before)| now >= before + 2).then_some(()))
        })
        .expect("the load goes on");
    }

    /// The outcomes since the last call.
    pub(crate) fn take(&self) -> Ledger {
        mem::take(&mut *self.shared.ledger.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The outcomes of a round that began after this call.
    pub(crate) fn round(&self) -> Ledger {
        self.another_round();
        self.take();
        self.another_round();
        self.take()
    }
}

impl Shared {
    async fn work(&self, client: usize, kubeconfig: PathBuf) -> io::Result<()> {
        let api = Api::new(&kubeconfig, PERSON).await?;
        for number in 0_u64.. {
            if self.stop.load(Ordering::Relaxed) {
                break;
            }
            if client == FORBIDDEN {
                let (subresource, patch) = forbidden(number);
                let outcome = api.patch(&format!("{}{subresource}", job_path(client)), &patch).await;
                self.note(|ledger| match outcome {
                    Ok(_) => ledger.passed.push(patch),
                    Err(refusal) if refusal.code == 422 && refusal.reason == "Invalid" => ledger.refused += 1,
                    Err(refusal) => ledger.closed.push(refusal),
                });
            } else {
                let label = json!({"metadata": {"labels": {"round": number.to_string()}}});
                let outcome = api.patch(&job_path(client), &label).await;
                self.note(|ledger| match outcome {
                    Ok(_) => ledger.updates += 1,
                    Err(refusal) => ledger.failed.push(refusal),
                });
            }
            self.rounds[client].fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }

    fn note(&self, entry: impl FnOnce(&mut Ledger)) {
        entry(&mut self.ledger.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// A change that no policy here allows: the subresource, and the patch of it.
fn forbidden(number: u64) -> (&'static str, Value) {
    let worker = "/spec/pytorchReplicaSpecs/Worker";
    match number % 4 {
        0 => {
            let path = format!("{worker}/template/spec/containers/0/image");
            ("", json!([{"op": "replace", "path": path, "value": format!("image-{number}")}]))
        }
        1 => ("", json!([{"op": "replace", "path": format!("{worker}/replicas"), "value": number + 100}])),
        2 => ("", json!({"spec": {"backoffLimit": number + 100}})),
        _ => ("/scale", json!({"spec": {"replicas": number + 100}})),
    }
}

impl Ledger {
    /// Shows that no update failed and that all that is forbidden was refused by the guard, and that both were tried.
    pub(crate) fn lost_nothing(&self) {
        self.lost_no_update();
        assert!(self.closed.is_empty(), "the guard was to refuse what is forbidden: {}", self.summary());
        assert!(self.refused > 0, "something forbidden was tried: {}", self.summary());
    }

    /// Shows that no update failed, and that nothing forbidden went through.
    pub(crate) fn lost_no_update(&self) {
        assert!(self.failed.is_empty(), "no update was to fail: {}", self.summary());
        assert!(self.updates > 0, "there were updates: {}", self.summary());
        self.let_nothing_pass();
    }

    /// Shows that nothing forbidden went through.
    pub(crate) fn let_nothing_pass(&self) {
        assert!(self.passed.is_empty(), "nothing forbidden was to pass: {}", self.summary());
    }

    /// The failures, of labels and of forbidden changes.
    pub(crate) fn failures(&self) -> impl Iterator<Item = &Refusal> {
        self.failed.iter().chain(&self.closed)
    }

    /// Numbers, and examples of what went wrong.
    pub(crate) fn summary(&self) -> String {
        let Self { updates, failed, refused, closed, passed } = self;
        let mut text = format!(
            "{updates} updates, {} failed; {refused} forbidden changes refused, {} failed otherwise, {} passed",
            failed.len(),
            closed.len(),
            passed.len()
        );
        for (what, examples) in [("failed", failed), ("failed otherwise", closed)] {
            let mut different: Vec<String> = examples.iter().map(ToString::to_string).collect();
            different.sort();
            different.dedup();
            for example in different.iter().take(EXAMPLES) {
                let _ = write!(text, "\n  {what}: {example}");
            }
        }
        for patch in passed.iter().take(EXAMPLES) {
            let _ = write!(text, "\n  passed: {patch}");
        }
        text
    }
}
