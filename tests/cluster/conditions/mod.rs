//! With the conditions of its registration the guard is asked less often, and every update ends the same.

mod compared;
mod edits;
mod hostile;
mod vap;

use std::{cell::Cell, path::Path, sync::OnceLock};

use compared::{Answer, BOTH, BOTH_POLICIES, ComparedCluster, Judge, POLICIES, USERS, namespace};
use proptest::{
    prelude::*,
    sample::select,
    test_runner::{Config, TestCaseError, TestRunner},
};
use serde_json::{Value, json};

use crate::{
    cluster::{Clusters, HERE, training_operator_crd},
    tests_of_every_version,
};

tests_of_every_version![
    conditions_change_no_outcome_of_random_edits_of_cci_jobs,
    conditions_change_no_outcome_of_random_edits_of_v1_jobs,
    an_update_where_two_policies_hold_passes_both,
    a_scale_ends_the_same_with_and_without_conditions,
    while_no_guard_runs_accepts_mutable_fields_only,
    while_no_guard_runs_exemptions_hold,
    an_admission_policy_lets_kueue_start_a_job_and_nobody_else,
    while_no_guard_runs_accepts_a_label_of_a_job_of_a_megabyte,
    an_integer_beyond_2_to_the_53_passes_for_the_next_float,
];

/// The number of random edits for each policy and layout; `PROPTEST_CASES` asks for another number.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(120)
}

/// One cluster for each layout. Each boots when a test first asks for it.
#[derive(Debug, Default)]
pub(crate) struct ComparedClusters {
    cci: OnceLock<ComparedCluster>,
    training_operator: OnceLock<ComparedCluster>,
}

impl ComparedClusters {
    fn cci(&self) -> &ComparedCluster {
        self.cci.get_or_init(|| {
            ComparedCluster::boot(&Path::new(HERE).join("crds/cci.yaml"), &edits::jobs()).expect("a cluster")
        })
    }

    fn training_operator(&self) -> &ComparedCluster {
        let boot =
            || ComparedCluster::boot(&training_operator_crd().expect("the CRD"), &edits::jobs()).expect("a cluster");
        self.training_operator.get_or_init(boot)
    }
}

fn conditions_change_no_outcome_of_random_edits_of_cci_jobs(clusters: &Clusters) {
    random_edits(clusters.compared.cci());
}

fn conditions_change_no_outcome_of_random_edits_of_v1_jobs(clusters: &Clusters) {
    random_edits(clusters.compared.training_operator());
}

fn random_edits(cluster: &ComparedCluster) {
    for policy in POLICIES {
        try_random_edits(policy, |edit| {
            let [asked, conditions, vap] = [Judge::Asked, Judge::Conditions, Judge::AdmissionPolicy]
                .map(|judge| edit.send(cluster, policy, judge));
            prop_assert_eq!(conditions.outcome(), asked.outcome());
            prop_assert!(
                !vap.is_success() || asked.is_success(),
                "the VAP lets through what the guard refuses: {:?}",
                asked
            );
            Ok(asked.is_success())
        });
    }
}

/// An update has to pass both policies, whether or not the conditions let the API server skip a question.
fn an_update_where_two_policies_hold_passes_both(clusters: &Clusters) {
    let cluster = clusters.compared.training_operator();
    try_random_edits(BOTH, |edit| {
        let each = BOTH_POLICIES.map(|policy| edit.send(cluster, policy, Judge::Asked));
        let [asked, conditions] = [Judge::Asked, Judge::Conditions].map(|judge| edit.send(cluster, BOTH, judge));
        prop_assert_eq!(asked.is_success(), each.iter().all(Answer::is_success), "{:?} {:?}", asked, each);
        prop_assert_eq!(conditions.is_success(), asked.is_success(), "{:?} {:?}", conditions, asked);
        // Of two denials the API server reports the one that came first.
        let outcomes: Vec<_> = each.iter().map(Answer::outcome).collect();
        for answer in [asked, conditions].iter().filter(|answer| !answer.is_success()) {
            prop_assert!(outcomes.contains(&answer.outcome()), "{:?} {:?}", answer, outcomes);
        }
        Ok(each[0].is_success() && each[1].is_success())
    });
}

/// A random edit of one of the jobs.
#[derive(Debug)]
struct RandomEdit {
    job: String,
    user: &'static str,
    steps: Vec<edits::Step>,
}

impl RandomEdit {
    fn send(&self, cluster: &ComparedCluster, policy: &str, judge: Judge) -> Answer {
        cluster.edit(&namespace(policy, judge), &self.job, "", self.user, |object| {
            for step in &self.steps {
                step.apply(object);
            }
        })
    }
}

/// Tries random edits with a check that says if one was allowed.
fn try_random_edits(policy: &str, check: impl Fn(RandomEdit) -> Result<bool, TestCaseError>) {
    let [allowed, denied] = [Cell::new(0), Cell::new(0)];
    let names: Vec<String> =
        edits::jobs().iter().filter_map(|job| job["metadata"]["name"].as_str().map(str::to_owned)).collect();
    let case = (select(names), select(&USERS[..]), prop::collection::vec(select(edits::steps()), 1..=3));
    let config = Config { cases: cases(), failure_persistence: None, max_shrink_iters: 64, ..Config::default() };
    let result = TestRunner::new(config).run(&case, |(job, user, steps)| {
        let count = if check(RandomEdit { job, user, steps })? { &allowed } else { &denied };
        count.set(count.get() + 1);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{policy}: {error}");
    }
    // A tenth of each at the least: a test of one outcome shows little.
    assert!(allowed.get() >= cases() / 10 && denied.get() >= cases() / 10, "{policy}: {allowed:?} {denied:?}");
}

fn a_scale_ends_the_same_with_and_without_conditions(clusters: &Clusters) {
    let cluster = clusters.compared.cci();
    for policy in POLICIES {
        for user in USERS {
            for replicas in [1, 3] {
                let [asked, conditions, nobody, vap] = ALL.map(|judge| {
                    let replicas = |scale: &mut Value| scale["spec"]["replicas"] = json!(replicas);
                    cluster.edit(&namespace(policy, judge), "full", "scale", user, replicas)
                });
                let context = format!("{policy}, {user}, {replicas} replicas: {asked:?}");
                let may = replicas == 1 || (policy == "involved" && user == "carol");
                assert_eq!(asked.is_success(), may, "{context}");
                assert_eq!(conditions.outcome(), asked.outcome(), "{context}");
                assert_eq!((nobody.is_success(), vap.is_success()), (may, may), "{context}: {nobody:?} {vap:?}");
            }
        }
    }
}

const ALL: [Judge; 4] = [Judge::Asked, Judge::Conditions, Judge::Nobody, Judge::AdmissionPolicy];

/// Sets one field, or takes it away, where there is no guard to ask.
fn without_guard(
    cluster: &ComparedCluster,
    policy: &str,
    job: &str,
    user: &str,
    at: &'static str,
    value: Option<Value>,
) -> Outcome {
    let step = edits::Step { at, value };
    let answer = cluster.edit(&namespace(policy, Judge::Nobody), job, "", user, |object| step.apply(object));
    if answer.is_success() {
        return Outcome::Passed;
    }
    // Refused for want of a guard, and not by an error in a condition.
    let message = answer.body["message"].as_str().unwrap_or_default();
    let lost = answer.code == 500 && message.contains("failed calling webhook");
    assert!(lost, "{policy}, {job}, {at}: {answer:?}");
    Outcome::Refused
}

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    Passed,
    Refused,
}

fn while_no_guard_runs_accepts_mutable_fields_only(clusters: &Clusters) {
    use Outcome::{Passed, Refused};
    let (cci, training_operator) = (clusters.compared.cci(), clusters.compared.training_operator());
    let labels = "/metadata/labels";
    let queue = "/metadata/labels/kueue.x-k8s.io~1queue-name";
    let ttl = "/spec/runPolicy/ttlSecondsAfterFinished";
    for (cluster, policy, job, at, value, outcome) in [
        (cci, "cci", "full", labels, None, Passed),
        (cci, "cci", "bare", labels, Some(json!({"a": "b"})), Passed),
        (cci, "cci", "bare", "/metadata/annotations/a", Some(json!("b")), Passed),
        (cci, "cci", "full", "/spec/activeDeadlineSeconds", Some(json!(9)), Passed),
        (cci, "cci", "full", "/spec/ttlSecondsAfterFinished", None, Passed),
        (cci, "cci", "bare", "/spec/cleanPodPolicy", Some(json!("All")), Passed),
        (cci, "cci", "full", "/spec/backoffLimit", Some(json!(9)), Refused),
        (cci, "cci", "full", "/unknown", Some(json!(9)), Refused),
        (cci, "cci", "full", "/metadata/finalizers", Some(json!(["a.io/b"])), Refused),
        (cci, "cci", "full", ttl, Some(json!(9)), Refused),
        (cci, "cci", "full", "/spec", None, Refused),
        (training_operator, "training-operator", "full", labels, None, Passed),
        (training_operator, "training-operator", "full", ttl, Some(json!(9)), Passed),
        (cci, "training-operator", "bare", ttl, Some(json!(9)), Passed),
        // The schema has a default for suspend, which comes with a runPolicy that appears.
        (training_operator, "training-operator", "bare", ttl, Some(json!(9)), Refused),
        (
            training_operator,
            "training-operator",
            "empties",
            "/spec/runPolicy/cleanPodPolicy",
            Some(json!("All")),
            Passed,
        ),
        (training_operator, "training-operator", "bare", "/spec/runPolicy/suspend", Some(json!(true)), Refused),
        (training_operator, "training-operator", "full", "/spec/runPolicy", None, Refused),
        (training_operator, "kueue", "full", "/spec/runPolicy/suspend", Some(json!(true)), Refused),
        (training_operator, "kueue", "full", ttl, Some(json!(9)), Passed),
        // Where there is something else in the place of a map.
        (cci, "training-operator", "full", "/spec/runPolicy", Some(json!("x")), Refused),
        (cci, "training-operator", "full", "/spec/runPolicy", Some(json!(null)), Refused),
        (cci, "training-operator", "bare", "/spec/runPolicy", Some(json!([])), Refused),
        // A protected label, and its neighbours.
        (cci, "involved", "full", "/metadata/labels/app", Some(json!("b")), Passed),
        (cci, "involved", "full", queue, Some(json!("b")), Refused),
        (cci, "involved", "full", queue, None, Refused),
        (cci, "involved", "full", labels, None, Refused),
        (cci, "involved", "bare", "/metadata/labels/app", Some(json!("b")), Passed),
        (cci, "involved", "bare", queue, Some(json!("b")), Refused),
        (cci, "involved", "empties", labels, None, Passed),
        (cci, "involved", "full", "/metadata/annotations/example.com~1note", Some(json!("b")), Passed),
        (cci, "involved", "full", "/metadata/annotations/other", Some(json!("c")), Refused),
        // What the API server keeps, in a map that was empty or not there.
        (cci, "involved", "empties", "/spec/runPolicy/observed", Some(json!(1)), Passed),
        (cci, "involved", "bare", "/metadata/annotations/example.com~1seen-by-server", Some(json!("x")), Passed),
        // A parent that is a field of its own.
        (cci, "involved", "full", "/spec/elasticPolicy/maxReplicas", Some(json!(9)), Passed),
        (cci, "involved", "bare", "/spec/elasticPolicy/maxReplicas", Some(json!(9)), Refused),
        (cci, "involved", "full", "/spec/namespace/in", Some(json!(2)), Passed),
        (cci, "involved", "full", "/spec/namespace/as", Some(json!(2)), Refused),
        (cci, "involved", "full", "/spec/x~1y/null", Some(json!(1)), Passed),
        (cci, "involved", "bare", "/spec/runPolicy/schedulingPolicy/minAvailable", Some(json!(9)), Passed),
        (cci, "involved", "bare", "/spec/runPolicy/schedulingPolicy/queue", Some(json!("b")), Refused),
    ] {
        let found = without_guard(cluster, policy, job, USERS[0], at, value.clone());
        assert_eq!(found, outcome, "{policy}, {job}, {at}: {value:?}");
    }
}

fn while_no_guard_runs_exemptions_hold(clusters: &Clusters) {
    use Outcome::{Passed, Refused};
    let [person, collector, manager, _, controller] = USERS;
    let (finalizers, owners) = ("/metadata/finalizers", "/metadata/ownerReferences");
    let owner = || json!([{"apiVersion": "v1", "kind": "ConfigMap", "name": "o", "uid": "u"}]);
    for (policy, job, user, at, value, outcome) in [
        ("cci", "deleting", person, finalizers, Some(json!(["example.com/hold"])), Passed),
        ("cci", "full", person, finalizers, Some(json!(["example.com/hold"])), Refused),
        ("cci", "deleting", person, owners, Some(owner()), Refused),
        ("cci", "full", collector, finalizers, Some(json!(["orphan"])), Passed),
        ("cci", "full", manager, owners, Some(owner()), Passed),
        ("cci", "full", collector, "/spec/backoffLimit", Some(json!(9)), Refused),
        ("involved", "full", controller, "/spec/runPolicy/suspend", Some(json!(true)), Refused),
        ("involved", "full", controller, finalizers, Some(json!(["example.com/hold"])), Passed),
        ("involved", "full", person, finalizers, Some(json!(["example.com/hold"])), Refused),
        ("involved", "full", person, owners, Some(owner()), Passed),
    ] {
        let found = without_guard(clusters.compared.cci(), policy, job, user, at, value.clone());
        assert_eq!(found, outcome, "{policy}, {job}, {user}, {at}: {value:?}");
    }
}

fn while_no_guard_runs_accepts_a_label_of_a_job_of_a_megabyte(clusters: &Clusters) {
    let cluster = clusters.compared.cci();
    let argument = "x".repeat(48);
    let mut job = edits::jobs().swap_remove(0);
    job["metadata"]["name"] = json!("big");
    job["spec"]["pytorchReplicaSpecs"]["Master"]["template"]["spec"]["containers"][0]["args"] =
        json!(vec![argument; 20_000]);
    assert!(job.to_string().len() > 1_000_000);
    for policy in POLICIES {
        cluster.create(&namespace(policy, Judge::Nobody), &job);
        let edit = |at, value| without_guard(cluster, policy, "big", USERS[0], at, Some(value));
        assert_eq!(edit("/metadata/labels/app", json!("b")), Outcome::Passed, "{policy}");
        let first = "/spec/pytorchReplicaSpecs/Master/template/spec/containers/0/args/0";
        assert_eq!(edit(first, json!("y")), Outcome::Refused, "{policy}");
    }
}

/// The one known difference: CEL compares an integer with a float as floats. No field of a job is that large.
fn an_integer_beyond_2_to_the_53_passes_for_the_next_float(clusters: &Clusters) {
    let cluster = clusters.compared.cci();
    let mut job = edits::jobs().swap_remove(0);
    job["metadata"]["name"] = json!("large");
    job["spec"]["unknown"] = json!([(1_u64 << 53) + 1]);
    for (judge, passes) in [(Judge::Asked, false), (Judge::Conditions, true)] {
        let namespace = namespace("cci", judge);
        cluster.create(&namespace, &job);
        let edit = |value: f64| {
            cluster.edit(&namespace, "large", "", USERS[0], |object| object["spec"]["unknown"] = json!([value]))
        };
        let next = edit(9_007_199_254_740_992.0);
        assert_eq!(next.is_success(), passes, "{judge:?}: {next:?}");
        assert!(!edit(9_007_199_254_740_994.0).is_success());
    }
}

fn an_admission_policy_lets_kueue_start_a_job_and_nobody_else(clusters: &Clusters) {
    let cluster = clusters.compared.training_operator();
    let [person, _, _, kueue, _] = USERS;
    let edit = |user: &str, suspend: bool, more: bool| {
        cluster.edit(&namespace("kueue", Judge::AdmissionPolicy), "suspended", "", user, |job| {
            job["spec"]["runPolicy"]["suspend"] = json!(suspend);
            let template = &mut job["spec"]["pytorchReplicaSpecs"]["Master"]["template"];
            template["metadata"]["labels"] = json!({"kueue.x-k8s.io/podset": "master"});
            template["spec"]["nodeSelector"] = json!({"gpu": "a100"});
            if more {
                template["spec"]["restartPolicy"] = json!("Always");
            }
        })
    };
    let started = edit(kueue, false, false);
    assert!(started.is_success(), "{started:?}");
    for refused in [edit(person, false, false), edit(kueue, true, false), edit(kueue, false, true)] {
        assert_eq!((refused.code, &refused.body["reason"]), (422, &json!("Invalid")), "{refused:?}");
        let message = refused.body["message"].as_str().unwrap_or_default();
        assert!(message.contains("only these fields can be changed: metadata.labels, "), "{message}");
    }
}
