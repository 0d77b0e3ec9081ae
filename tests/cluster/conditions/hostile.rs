//! Jobs that a tenant makes to hurt: what an expression would have to walk is as large as the API server stores it.
//! Each can be labelled and deleted all the same, and no evaluation ends in an error.

use hyper::Method;
use serde_json::{Map, Value, json};

use super::compared::{Answer, ComparedCluster, INVOLVED, Judge, USERS, namespace};
use support::{example_job, until};

use crate::{cluster::Clusters, tests};

tests![
    a_hostile_job_can_be_labelled_and_deleted,
    an_admission_policy_rejects_large_jobs_except_for_deletion,
    at_the_bound_conditions_change_no_outcome,
    at_the_bound_conditions_decide_allowed_edits_alone,
];

/// A change of a job.
type Change = fn(&mut Value);

/// The most keys of a map that conditions walk.
const BOUND: usize = 256;

fn keys(count: usize, value: &Value) -> Map<String, Value> {
    (0..count).map(|number| (format!("{number:05x}"), value.clone())).collect()
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!({"a": inner}))
}

/// Puts all of `more` beside what is there.
fn extend(object: &mut Value, at: &str, more: Map<String, Value>) {
    object.pointer_mut(at).and_then(Value::as_object_mut).expect("a map").extend(more);
}

/// A policy whose expressions walk there, a name, and what makes a job of it.
type Shape = (&'static str, &'static str, fn(&mut Value));

const CCI: &str = "cci";

/// The shapes: many keys wherever an expression walks, and large values wherever it compares.
const SHAPES: [Shape; 9] = [
    (CCI, "top", |job| extend(job, "", keys(90_000, &json!(0)))),
    (CCI, "spec", |job| extend(job, "/spec", keys(20_000, &json!(0)))),
    // A tenth of each string that is compared counts, and of lists only the elements.
    (CCI, "strings", |job| {
        extend(job, "", keys(240, &json!("x".repeat(1_500))));
        extend(job, "/spec", keys(240, &json!("x".repeat(1_500))));
    }),
    (CCI, "lists-and-depth", |job| {
        extend(job, "", keys(100, &json!(vec![0; 1_000])));
        // As deep as the reader of these tests goes.
        extend(job, "/spec", keys(200, &nested(100)));
    }),
    (INVOLVED, "run-policy", |job| job["spec"]["runPolicy"] = json!(keys(20_000, &json!(0)))),
    (INVOLVED, "annotations", |job| job["metadata"]["annotations"] = json!(keys(10_000, &json!("")))),
    // For `*`: few maps of many keys, and many maps of few.
    (INVOLVED, "few-replicas", |job| extend(job, "/spec/pytorchReplicaSpecs", keys(7, &json!(keys(2_000, &json!(0)))))),
    (INVOLVED, "many-replicas", |job| {
        let template = json!({"template": {"metadata": {"annotations": keys(60, &json!("")), "x": 0}}});
        extend(job, "/spec/pytorchReplicaSpecs", keys(200, &template));
    }),
    (INVOLVED, "all-at-the-bound", |job| {
        let many = |count| keys(count, &json!("x".repeat(300)));
        extend(job, "", many(120));
        extend(job, "/spec", many(110));
        job["spec"]["runPolicy"] = json!(many(124));
        job["metadata"]["annotations"] = json!(many(124));
        let template = json!({"metadata": many(120), "spec": many(120)});
        extend(job, "/spec/pytorchReplicaSpecs", keys(6, &json!({"template": template})));
    }),
];

fn hostile(name: &str, make: fn(&mut Value)) -> Value {
    let mut job = example_job();
    job["metadata"] = json!({"name": name, "labels": {"app": "a"}, "annotations": {}});
    make(&mut job);
    // Without its record of who wrote each field there is room for more fields.
    job["metadata"]["managedFields"] = json!([{}]);
    job
}

/// Creates it, also where the API server needs longer than its own timeout to write down who owns 90,000 fields.
fn create(cluster: &ComparedCluster, namespace: &str, job: &Value) {
    let created = until("the job", || {
        let answer = cluster.send(&Method::POST, namespace, "", USERS[0], Some(job));
        Ok((answer.code != 504).then_some(answer))
    });
    let created = created.expect("an answer");
    assert!(created.is_success() || created.code == 409, "{namespace}: {}", created.outcome());
}

fn assert_no_cost(answer: &Answer, context: &str) {
    let said = answer.body.to_string();
    assert!(!said.contains("cost limit") && !said.contains("cost budget"), "{context}: {said}");
    assert!(!said.contains("resulted in error") && !said.contains("fails to evaluate"), "{context}: {said}");
}

/// Sends an edit as that user, and gives the answer, which is none about costs.
fn edit(cluster: &ComparedCluster, namespace: &str, job: &str, user: &str, change: impl Fn(&mut Value)) -> Answer {
    let answer = cluster.edit(namespace, job, "", user, change);
    assert_no_cost(&answer, &format!("{namespace}, {job}, {user}"));
    answer
}

fn label(job: &mut Value) {
    job["metadata"]["labels"]["app"] = json!("b");
}

/// The user whom an exemption of the policy lets remove the finalizer of a foreground deletion.
fn collector(policy: &str) -> &'static str {
    if policy == INVOLVED { USERS[4] } else { USERS[1] }
}

fn a_hostile_job_can_be_labelled_and_deleted(clusters: &Clusters) {
    let cluster = clusters.compared.cci();
    for (policy, name, make) in SHAPES {
        for judge in [Judge::Asked, Judge::Conditions] {
            let namespace = namespace(policy, judge);
            let context = format!("{namespace}, {name}");
            create(cluster, &namespace, &hostile(name, make));
            // The second changes every map that can be walked.
            let changes: [fn(&mut Value); 2] = [label, |job| {
                label(job);
                job["metadata"]["annotations"]["example.com/note"] = json!("n");
                job["spec"]["cleanPodPolicy"] = json!("All");
                job["spec"]["runPolicy"]["ttlSecondsAfterFinished"] = json!(7);
                for (_, replicas) in job["spec"]["pytorchReplicaSpecs"].as_object_mut().into_iter().flatten() {
                    replicas["template"]["metadata"]["annotations"] = json!({"a": "b"});
                }
            }];
            let [labelled, _] = changes.map(|change| edit(cluster, &namespace, name, USERS[0], change));
            assert!(labelled.is_success(), "{context}: {}", labelled.outcome());
            delete_in_the_foreground(cluster, &namespace, name, collector(policy));
        }
    }
}

fn delete_in_the_foreground(cluster: &ComparedCluster, namespace: &str, job: &str, collector: &str) {
    let context = format!("{namespace}, {job}");
    let deleted = cluster.delete_in_the_foreground(namespace, job);
    assert!(deleted.is_success(), "{context}: {}", deleted.outcome());
    // The garbage collector ends the deletion by an update.
    let ended = cluster.update(namespace, job, collector, |job| job["metadata"]["finalizers"] = json!([]));
    assert_no_cost(&ended, &context);
    assert!(ended.is_success(), "{context}: {}", ended.outcome());
    let gone = cluster.send(&Method::GET, namespace, job, USERS[0], None);
    assert_eq!(gone.code, 404, "{context}: {}", gone.outcome());
}

fn an_admission_policy_rejects_large_jobs_except_for_deletion(clusters: &Clusters) {
    let cluster = clusters.compared.cci();
    for (policy, name, make) in SHAPES {
        let namespace = namespace(policy, Judge::AdmissionPolicy);
        let context = format!("{namespace}, {name}");
        create(cluster, &namespace, &hostile(name, make));
        // What need not be walked passes: a spec that stays as it is.
        let labelled = edit(cluster, &namespace, name, USERS[0], label);
        assert_eq!(labelled.is_success(), name != "top", "{context}: {}", labelled.outcome());
        let edited = edit(cluster, &namespace, name, collector(policy), |job| job["spec"]["backoffLimit"] = json!(99));
        for rejected in [&labelled, &edited].into_iter().filter(|answer| !answer.is_success()) {
            assert_eq!((rejected.code, &rejected.body["reason"]), (422, &json!("Invalid")), "{context}");
            let message = rejected.body["message"].as_str().unwrap_or_default();
            let is_too_large = message.contains("the job has a map with more than ");
            assert_eq!(is_too_large, ["top", "spec"].contains(&name), "{context}: {message}");
        }
        assert!(!edited.is_success(), "{context}: an exemption lets nobody change the spec");
        delete_in_the_foreground(cluster, &namespace, name, collector(policy));
    }
}

fn at_the_bound_conditions_change_no_outcome(clusters: &Clusters) {
    let cluster = clusters.compared.cci();
    for policy in [CCI, "kueue"] {
        // With apiVersion, kind, metadata and spec at the top; the example's spec has some fields of its own.
        for (count, lets_through) in [(BOUND - 4, true), (BOUND - 3, false)] {
            let name = format!("top-{count}");
            let mut job = example_job();
            job["metadata"] = json!({"name": name, "labels": {"app": "a"}});
            extend(&mut job, "", keys(count, &json!(0)));
            for judge in [Judge::Asked, Judge::Conditions, Judge::Nobody, Judge::AdmissionPolicy] {
                cluster.create(&namespace(policy, judge), &job);
            }
            let changes: [(Change, bool); 3] = [
                (label, true),
                (|job| job["00000"] = json!(1), false),
                (
                    |job| {
                        let top = job.as_object_mut().expect("a map");
                        top.remove("00000");
                        top.insert("fffff".to_owned(), json!(0));
                    },
                    false,
                ),
            ];
            for (change, allowed) in changes {
                let [asked, conditions, nobody, vap] =
                    [Judge::Asked, Judge::Conditions, Judge::Nobody, Judge::AdmissionPolicy]
                        .map(|judge| edit(cluster, &namespace(policy, judge), &name, USERS[0], change));
                let context = format!("{policy}, {name}: {:?}", asked.outcome());
                assert_eq!(asked.is_success(), allowed, "{context}");
                assert_eq!(conditions.outcome(), asked.outcome(), "{context}");
                let without = allowed && lets_through;
                assert_eq!((nobody.is_success(), vap.is_success()), (without, without), "{context}");
            }
        }
    }
}

/// No guard is running. The costs are printed, for `docs/security.md`: of them only those of a run without other tests count.
fn at_the_bound_conditions_decide_allowed_edits_alone(clusters: &Clusters) {
    const UNGUARDED: &str = "unguarded";
    let cluster = clusters.compared.cci();
    cluster.create_namespace(UNGUARDED).expect("a namespace");
    let shapes: [Shape; 4] = [
        (CCI, "no-more-keys", |_| ()),
        (CCI, "top-at-the-bound", |job| extend(job, "", keys(BOUND - 4, &json!(0)))),
        (CCI, "spec-at-the-bound", |job| {
            let more = BOUND - 1 - job["spec"].as_object().map_or(0, Map::len);
            extend(job, "/spec", keys(more, &json!("x".repeat(300))));
        }),
        // This policy's conditions have `*`s below each other, and a lower bound.
        (INVOLVED, "wide-at-the-bound", |job| {
            extend(job, "", keys(60, &json!(0)));
            extend(job, "/spec", keys(50, &json!("x".repeat(300))));
            job["metadata"]["annotations"] = json!(keys(60, &json!("")));
        }),
    ];
    for (policy, name, make) in shapes {
        let job = hostile(name, make);
        let namespaces = [UNGUARDED.to_owned(), namespace(policy, Judge::Nobody)];
        for namespace in &namespaces {
            cluster.create(namespace, &job);
        }
        let mut seconds = [0.0; 2];
        for _ in 0..5 {
            for (namespace, seconds) in namespaces.iter().zip(&mut seconds) {
                let object = cluster.edited(namespace, name, |job| {
                    label(job);
                    // A spec that differs is walked.
                    if policy == CCI {
                        job["spec"]["cleanPodPolicy"] = json!("All");
                    }
                });
                let before = cluster.api_server_cpu_seconds();
                for _ in 0..20 {
                    let path = format!("{name}?dryRun=All");
                    let labelled = cluster.send(&Method::PUT, namespace, &path, USERS[0], Some(&object));
                    assert!(labelled.is_success(), "{namespace}, {name}: {}", labelled.outcome());
                }
                *seconds += cluster.api_server_cpu_seconds() - before;
            }
        }
        let [without, with] = seconds;
        println!("{policy}, {name}: {:.2} times the API server's CPU for 100 edits with conditions", with / without);
    }
}
