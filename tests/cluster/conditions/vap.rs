//! The message of a ValidatingAdmissionPolicy's denial names the fields that changed and may not, as far as CEL can.

use serde_json::{Value, json};

use super::{
    compared::{ComparedCluster, INVOLVED, Judge, USERS, namespace},
    edits::Step,
};
use crate::{cluster::Clusters, tests_of_every_version};

tests_of_every_version![
    a_vap_names_the_fields_that_may_not_change,
    a_vap_does_not_name_what_the_user_may_change,
    a_vap_counts_the_fields_of_a_hostile_job,
];

const CCI: &str = "cci";

/// Sends an edit of these fields, each with its new value or none, to where the policy's VAP judges.
fn edit(cluster: &ComparedCluster, policy: &str, job: &str, user: &str, fields: &[(&'static str, Value)]) -> Value {
    let answer = cluster.edit(&namespace(policy, Judge::AdmissionPolicy), job, "", user, |object| {
        for (at, value) in fields {
            Step { at, value: Some(value.clone()).filter(|value| !value.is_null()) }.apply(object);
        }
    });
    let status = answer.outcome();
    if !answer.is_success() {
        assert_eq!((&status["code"], &status["reason"]), (&json!(422), &json!("Invalid")), "{status:#}");
    }
    answer.body
}

/// Shows that the edit is denied with that in front of the list of the policy's mutable fields.
fn rejects(cluster: &ComparedCluster, case: (&str, &str, &str), fields: &[(&'static str, Value)], said: &str) {
    let (policy, job, user) = case;
    let body = edit(cluster, policy, job, user, fields);
    let message = body["message"].as_str().unwrap_or_default();
    let own = message.split_once("denied request: ").map(|(_, own)| own);
    let (names, _) = own.and_then(|own| own.split_once("only these fields can be changed: ")).unwrap_or_default();
    assert_eq!(names, said, "{case:?}, {fields:?}: {body:#}");
}

fn accepts(cluster: &ComparedCluster, case: (&str, &str, &str), fields: &[(&'static str, Value)]) {
    let (policy, job, user) = case;
    let body = edit(cluster, policy, job, user, fields);
    assert_eq!(body["kind"], "PyTorchJob", "{case:?}, {fields:?}: {body:#}");
}

fn a_vap_names_the_fields_that_may_not_change(clusters: &Clusters) {
    let (cci, v1) = (clusters.compared.cci(), clusters.compared.training_operator());
    let person = USERS[0];
    let mutable = [("/metadata/labels/app", json!("b")), ("/spec/runPolicy/ttlSecondsAfterFinished", json!(9))];
    accepts(v1, ("training-operator", "full", person), &mutable);
    let image = "/spec/pytorchReplicaSpecs/Master/template/spec/containers/0/image";
    let more = [
        (image, json!("secret")),
        ("/spec/nprocPerNode", json!("2")),
        ("/spec/runPolicy/suspend", json!(true)),
        ("/spec/runPolicy/schedulingPolicy", Value::Null),
        ("/metadata/finalizers", json!(["example.com/hold"])),
    ];
    let names = "metadata.finalizers, spec.nprocPerNode, spec.pytorchReplicaSpecs, spec.runPolicy.schedulingPolicy, \
                 spec.runPolicy.suspend cannot be changed; ";
    rejects(v1, ("training-operator", "full", person), &[&mutable[..], &more].concat(), names);

    // Without a schema: keys and maps that appear and vanish, other types, and keys that are no names.
    for (policy, job, at, value, name) in [
        (CCI, "full", "/unknown", json!(1), "unknown"),
        (CCI, "full", "/spec", Value::Null, "spec"),
        (CCI, "full", "/spec/runPolicy/suspend", json!(true), "spec.runPolicy.suspend"),
        (CCI, "full", "/spec/runPolicy", json!("x"), "spec.runPolicy"),
        (CCI, "bare", "/spec/runPolicy", json!({"suspend": true}), "spec.runPolicy.suspend"),
        (CCI, "suspended", "/spec/runPolicy", Value::Null, "spec.runPolicy.suspend"),
        (CCI, "full", "/spec/a line\nbreak", json!(1), "spec[...]"),
        // A part of them may change.
        (INVOLVED, "full", "/metadata/labels/kueue.x-k8s.io~1queue-name", json!("b"), "metadata.labels"),
        (INVOLVED, "full", "/metadata/annotations/other", json!("c"), "metadata.annotations"),
        (INVOLVED, "full", "/spec/runPolicy/suspend", json!(true), "spec.runPolicy.suspend"),
        (INVOLVED, "full", "/spec/elasticPolicy/minReplicas", json!(2), "spec.elasticPolicy"),
    ] {
        rejects(cci, (policy, job, person), &[(at, value)], &format!("{name} cannot be changed; "));
    }
    for (policy, at, value) in [
        (CCI, "/spec/activeDeadlineSeconds", json!(9)),
        (INVOLVED, "/metadata/labels/app", json!("b")),
        (INVOLVED, "/spec/runPolicy/cleanPodPolicy", json!("All")),
        (INVOLVED, "/spec/elasticPolicy/maxReplicas", json!(9)),
    ] {
        accepts(cci, (policy, "full", person), &[(at, value)]);
    }
}

fn a_vap_does_not_name_what_the_user_may_change(clusters: &Clusters) {
    let (cci, v1) = (clusters.compared.cci(), clusters.compared.training_operator());
    let [person, collector, _, kueue, _] = USERS;
    let (finalizers, backoff) = (("/metadata/finalizers", json!([])), ("/spec/backoffLimit", json!(99)));
    let both = "metadata.finalizers, spec.backoffLimit cannot be changed; ";
    let limit = "spec.backoffLimit cannot be changed; ";
    let held = ("/metadata/finalizers", json!(["example.com/hold"]));
    for (job, user, finalizers, said) in [
        ("full", person, held.clone(), both),
        ("full", collector, held.clone(), limit),
        // Anyone may finish a deletion.
        ("deleting", person, held.clone(), limit),
    ] {
        rejects(cci, (CCI, job, user), &[finalizers, backoff.clone()], said);
    }
    accepts(cci, (CCI, "deleting", person), &[held]);
    accepts(cci, (CCI, "full", collector), &[finalizers]);

    let resume = ("/spec/runPolicy/suspend", json!(false));
    let more = ("/spec/nprocPerNode", json!("2"));
    accepts(v1, ("kueue", "suspended", kueue), std::slice::from_ref(&resume));
    let edits = [resume, more];
    rejects(v1, ("kueue", "suspended", kueue), &edits, "spec.nprocPerNode cannot be changed; ");
    let both = "spec.nprocPerNode, spec.runPolicy.suspend cannot be changed; ";
    rejects(v1, ("kueue", "suspended", person), &edits, both);
}

/// A message that exceeded its limits would be replaced by one without the number, or deny allowed updates too.
fn a_vap_counts_the_fields_of_a_hostile_job(clusters: &Clusters) {
    let cluster = clusters.compared.cci();
    // What makes keys and values that are as long as possible, and how many are then named.
    let long = "x".repeat(3_000);
    for (name, count, key) in [("16-keys", 16, ""), ("bound-long-values", 240, ""), ("bound-long-keys", 240, &*long)] {
        let mut job = support::example_job();
        job["metadata"] = json!({"name": name, "labels": {"app": "a"}});
        let keys: Vec<_> = (0..count).map(|number| format!("key{number:03}{key}")).collect();
        for key in &keys {
            job["spec"][key] = json!(long);
        }
        let namespace = namespace(CCI, Judge::AdmissionPolicy);
        cluster.create(&namespace, &job);
        let edit = |change: &dyn Fn(&mut Value)| cluster.edit(&namespace, name, "", USERS[0], change);
        let labelled = edit(&|job| job["metadata"]["labels"]["app"] = json!("b"));
        assert!(labelled.is_success(), "{name}: {:#}", labelled.outcome());

        let said = match count {
            16 => keys.iter().map(|key| format!("spec.{key}")).collect::<Vec<_>>().join(", "),
            _ => format!("{count} fields"),
        };
        let denied = edit(&|job| {
            for key in &keys {
                job["spec"][key] = json!(format!("{long}y"));
            }
        });
        let status = denied.outcome();
        assert_eq!((denied.code, &status["reason"]), (422, &json!("Invalid")), "{name}: {status:#}");
        let message = denied.body["message"].as_str().unwrap_or_default();
        let said =
            format!("denied request: {said} cannot be changed; only these fields can be changed: metadata.labels, ");
        assert!(message.contains(&said), "{name}: {message}");
    }
}
