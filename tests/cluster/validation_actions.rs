//! The effect of a policy's actions on a violation: users see it or not, the audit log has it, and the update passes or not.

use std::fs;

use serde_json::{Map, Value, json};
use support::{
    Serves as _,
    guard::{Guard, program},
};

use crate::{
    cluster::{Cluster, Clusters, Job, Violation},
    tests_of_every_version,
};

tests_of_every_version![
    warns_of_each_field_and_lets_the_update_through,
    audits_without_a_word_to_the_user,
    denies_and_audits,
    report_reads_the_audit_log,
    warns_and_audits,
    denies_with_403_where_the_policy_says_so,
    gives_up_on_an_edit_that_is_denied_with_403,
];

const WORKERS: &str = "spec.pytorchReplicaSpecs.Worker.replicas";
/// The fields that `forbidden` changes.
const FIELDS: [Violation; 2] = [("spec.backoffLimit", "(added)"), (WORKERS, "(was 1, now 2)")];

fn forbidden() -> Value {
    json!({"spec": {"backoffLimit": 1, "pytorchReplicaSpecs": {"Worker": {"replicas": 2}}}})
}

fn allowed() -> Value {
    json!({"spec": {"ttlSecondsAfterFinished": 60}})
}

/// A job under the default policy's fields and these lines of YAML.
fn under<'a>(cluster: &'a Cluster, lines: &str) -> (Job<'a>, Guard) {
    let cci = include_str!("../../src/policy/built_in/cci.yaml").replace("name: cci", "name: own");
    cluster.job_under(&cluster.policy_file(&format!("{cci}{lines}\n")), |_| ())
}

/// The lines that tell of the violations.
fn lines() -> Vec<String> {
    FIELDS.map(|(field, what)| format!("{field}: Forbidden: field is immutable {what}")).to_vec()
}

/// The annotations that the last patch of a job left in the audit log, by the key behind the webhook's name.
fn audited(job: &Job) -> Value {
    let events = job.cluster.audit_events(&job.namespace);
    let patch = events.iter().rfind(|event| event["verb"] == "patch").expect("the patch is recorded");
    let annotations = patch["annotations"].as_object().expect("every event has annotations");
    let ours = annotations.iter().filter_map(|(key, value)| {
        Some((key.strip_prefix("updates.pytorchjob-guard.internal/")?.to_owned(), value.clone()))
    });
    let mut ours: Map<String, Value> = ours.collect();
    // Which one it is depends on every byte of the policy.
    let digest = ours.remove("policy-digest").unwrap_or(json!(""));
    let is_digest = |digest: &str| digest.len() == 12 && digest.bytes().all(|byte| byte.is_ascii_hexdigit());
    assert!(ours.is_empty() || digest.as_str().is_some_and(is_digest), "{digest}");
    Value::Object(ours)
}

/// The violations in the audit log.
fn violations() -> Value {
    json!({"policy": "own", "violations": format!("spec.backoffLimit,{WORKERS}")})
}

/// Shows that the forbidden update is let through with these warnings, and the allowed one with none; and that the audit log
/// knows of the one and not of the other.
fn tolerates(clusters: &Clusters, actions: &str, warnings: &[String]) {
    let (job, guard) = under(clusters.cci(), &format!("validationActions: {actions}"));
    let run = job.patch(&allowed());
    run.accepted();
    assert_eq!(run.warnings(), [""; 0], "{}", run.said());
    assert_eq!(audited(&job), json!({}));

    let run = job.patch(&forbidden());
    run.accepted();
    assert_eq!(run.warnings(), warnings, "{}", run.said());
    let stored = job.stored();
    assert_eq!(stored["spec"]["backoffLimit"], 1, "the update is made");
    assert_eq!(stored["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"], 2, "the update is made");
    assert_eq!(audited(&job), violations());
    let tolerated = guard.count(r#"decisions_total{operation="UPDATE",subresource="",result="tolerated"}"#);
    // The other one is the question whether the guard is asked yet.
    assert!(tolerated.expect("the guard has metrics") >= Some(2));
}

fn warns_of_each_field_and_lets_the_update_through(clusters: &Clusters) {
    tolerates(clusters, "[Warn]", &lines());
}

fn audits_without_a_word_to_the_user(clusters: &Clusters) {
    tolerates(clusters, "[Audit]", &[]);
}

fn warns_and_audits(clusters: &Clusters) {
    tolerates(clusters, "[Warn, Audit]", &lines());
}

fn denies_and_audits(clusters: &Clusters) {
    let (job, _guard) = under(clusters.cci(), "validationActions: [Deny, Audit]");
    job.rejects(&FIELDS, || job.patch(&forbidden()));
    assert_eq!(audited(&job), violations());
    assert_eq!(job.accepts(|| job.patch(&allowed()))["spec"]["ttlSecondsAfterFinished"], 60);
    assert_eq!(audited(&job), json!({}));
}

fn report_reads_the_audit_log(clusters: &Clusters) {
    let (job, _guard) = under(clusters.cci(), "validationActions: [Audit]");
    job.patch(&forbidden()).accepted();
    assert_eq!(audited(&job), violations());
    let events = job.cluster.audit_events(&job.namespace);
    let log: String = events.iter().fold(String::new(), |log, event| log + &event.to_string() + "\n");
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), log).expect("a file");
    let output = program().args(["report", "-o", "json"]).arg(file.path()).output().expect("it runs");
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let fields = report["fields"].as_array().expect("fields");
    for (field, _) in FIELDS {
        let row = fields.iter().find(|row| row["name"] == field).unwrap_or_else(|| panic!("{field}: {report:#}"));
        assert_eq!((&row["denied"], &row["tolerated"]), (&json!(0), &json!(1)), "{report:#}");
        assert_eq!(row["example"]["namespace"], json!(job.namespace), "{report:#}");
        assert_eq!(row["example"]["policy"], json!("own"), "{report:#}");
    }
}

fn denies_with_403_where_the_policy_says_so(clusters: &Clusters) {
    let (job, _guard) = under(clusters.cci(), "denial: {reason: Forbidden}");
    let before = job.stored();
    let run = job.patch(&forbidden());
    assert_ne!(run.code(), Some(0), "{}", run.said());
    let status = run.status();
    assert_eq!((&status["code"], &status["reason"]), (&json!(403), &json!("Forbidden")), "{status:#}");
    let causes = FIELDS.map(|(field, what)| {
        json!({"reason": "FieldValueForbidden", "field": field, "message": format!("Forbidden: field may not be changed {what}")})
    });
    assert_eq!(status["details"]["causes"], json!(causes), "{status:#}");
    // Tools delete what they are told is immutable, and create it anew.
    assert!(!run.everything().contains("immutable"), "{}", run.everything());
    let message = "Error from server (Forbidden): admission webhook \"updates.pytorchjob-guard.internal\" denied the \
                   request: pytorchjobs.kubeflow.org \"pytorch-test\" is forbidden: [spec.backoffLimit: Forbidden: ";
    assert!(run.said().contains(message), "{}", run.said());
    assert_eq!(job.stored(), before);
    assert_eq!(audited(&job), violations());
    assert_eq!(job.accepts(|| job.patch(&allowed()))["spec"]["ttlSecondsAfterFinished"], 60);
}

fn gives_up_on_an_edit_that_is_denied_with_403(clusters: &Clusters) {
    let (job, _guard) = under(clusters.cci(), "denial: {reason: Forbidden}");
    let before = job.stored();
    let (run, shown) = crate::edit::edit(&job, &["s/replicas: 1/replicas: 4/", "s/replicas: 4/replicas: 1/"]);
    assert_ne!(run.code(), Some(0), "{}", run.said());
    assert_eq!(shown.len(), 1, "the editor does not come back: {}", run.said());
    assert_eq!(run.status()["code"], 403);
    assert_eq!(job.stored(), before);
    let (run, _) = crate::edit::edit(&job, &["s/ttlSecondsAfterFinished: 3000/ttlSecondsAfterFinished: 60/"]);
    assert_eq!(job.accepts(|| run)["spec"]["ttlSecondsAfterFinished"], 60);
}
