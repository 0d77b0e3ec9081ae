//! The proof on a live job: two updates as dry runs, of which one must pass and one must be denied.

use serde_json::{Value, json};

use super::{
    api::{Api, ApiError, Rejection},
    finding::{Check, Finding},
    snapshot::{JOBS, Kind, Snapshot},
    webhooks::text,
    writers::{full_name, outcome},
};
use crate::{
    admission::Outcome,
    documents::{Identity, review::Asker},
    policy::{Policy, ValidationAction, selector::matches},
};

const PROOF: Check = Check("proof", "docs/operations.md#verify");

/// Asks the API server for two updates of a job as dry runs. They change nothing.
pub(crate) async fn proof(api: &Api, snapshot: &Snapshot, policies: &[&Policy]) -> Result<Vec<Finding>, ApiError> {
    let Some((job, policies)) = candidate(snapshot, policies) else {
        return Ok(vec![PROOF.warning(
            "no job is held to a policy that denies, so nothing can be proved: create one that starts no pods, as the page has it",
        )]);
    };
    let me = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "SelfSubjectReview"});
    let me = api.ask("/apis/authentication.k8s.io/v1/selfsubjectreviews", &me).await?;
    let groups = me["status"]["userInfo"]["groups"].as_array().into_iter().flatten();
    let groups: Vec<_> = groups.map(|group| text(group).to_owned()).collect();
    let asker = Asker { subresource: "", user: text(&me["status"]["userInfo"]["username"]), groups: &groups };

    let name = full_name(job);
    let decided = |change: &Change| {
        let new = change.applied(job);
        let identity = identity(job);
        policies.iter().any(|policy| outcome(policy, &identity, asker, job, &new) == Some(Outcome::Denied))
    };
    let changes = Change::all(job);
    let mut findings = Vec::new();
    for (is_denied, what) in [(false, "that may change"), (true, "that must not change")] {
        let Some(change) = changes.iter().find(|change| decided(change) == is_denied) else {
            findings.push(
                PROOF.warning(format!("of {name} no field {what} was found to try, for the user {}", asker.user)),
            );
            continue;
        };
        let answer = api.dry_run(&path(job), &change.patch).await?;
        findings.push(judged(&name, change, is_denied, answer));
    }
    Ok(findings)
}

/// The finding about a dry run.
fn judged(name: &str, change: &Change, is_denied: bool, answer: Result<Vec<String>, Rejection>) -> Finding {
    let field = change.field;
    match (is_denied, answer) {
        (false, Ok(_)) => PROOF.ok(format!("a change of {field} of {name} is allowed (dry run)")),
        (true, Err(rejection)) if rejection.is_guards(field) => PROOF
            .ok(format!("a change of {field} of {name} is denied: {} {} (dry run)", rejection.code, rejection.reason)),
        (true, Ok(_)) => {
            PROOF.failed(format!("a change of {field} of {name} is allowed, and must be denied (dry run)"))
        }
        (_, Err(Rejection { code, message, .. })) => {
            PROOF.failed(format!("a change of {field} of {name} is answered with {code}: {message} (dry run)"))
        }
    }
}

impl Rejection {
    /// True if the guard denied that field.
    fn is_guards(&self, field: &str) -> bool {
        matches!((self.code, self.reason.as_str()), (422, "Invalid") | (403, "Forbidden"))
            && (self.fields.iter().any(|cause| cause == field) || self.message.contains(field))
            && !self.message.contains("failed calling webhook")
    }
}

/// A job that is held to policies that deny, and these.
fn candidate<'s>(snapshot: &'s Snapshot, policies: &[&'s Policy]) -> Option<(&'s Value, Vec<&'s Policy>)> {
    let labels = |object: &'s Value| &object["metadata"]["labels"];
    snapshot.all(Kind::Job).iter().find_map(|job| {
        let namespace = snapshot.all(Kind::Namespace).iter();
        let namespace = namespace.into_iter().find(|one| one["metadata"]["name"] == job["metadata"]["namespace"])?;
        let holds = |policy: &&Policy| {
            let settings = &policy.webhooks;
            policy.lists("kubeflow.org", "pytorchjobs")
                && matches(settings.namespaces.as_ref(), labels(namespace))
                && matches(settings.objects.as_ref(), labels(job))
        };
        let held: Vec<_> = policies.iter().copied().filter(holds).collect();
        let denies = held.iter().any(|policy| policy.takes(ValidationAction::Deny));
        // A job that is being deleted lets some more change.
        (denies && job["metadata"]["deletionTimestamp"].is_null()).then_some((job, held))
    })
}

/// A change of one field.
struct Change {
    /// As the guard writes the path.
    field: &'static str,
    patch: Value,
}

impl Change {
    /// Changes to choose from: the ones that policies usually allow come first.
    fn all(job: &Value) -> Vec<Self> {
        let replicas = |kind: &str| {
            let count = job["spec"]["pytorchReplicaSpecs"][kind]["replicas"].as_i64();
            count.map(|count| json!({"spec": {"pytorchReplicaSpecs": {kind: {"replicas": count + 1}}}}))
        };
        let label = json!({"metadata": {"labels": {"pytorchjob-guard-doctor": "dry-run"}}});
        let annotation = json!({"metadata": {"annotations": {"pytorchjob-guard-doctor": "dry-run"}}});
        let nproc = json!({"spec": {"nprocPerNode": "pytorchjob-guard-doctor"}});
        let finalizer = job["metadata"]["finalizers"].as_array().is_none_or(Vec::is_empty);
        let finalizer = finalizer.then(|| json!({"metadata": {"finalizers": ["example.com/pytorchjob-guard-doctor"]}}));
        let changes = [
            ("metadata.labels.pytorchjob-guard-doctor", Some(label)),
            ("metadata.annotations.pytorchjob-guard-doctor", Some(annotation)),
            ("spec.pytorchReplicaSpecs.Worker.replicas", replicas("Worker")),
            ("spec.pytorchReplicaSpecs.Master.replicas", replicas("Master")),
            ("metadata.finalizers", finalizer),
            ("spec.nprocPerNode", Some(nproc)),
        ];
        changes.into_iter().filter_map(|(field, patch)| Some(Self { field, patch: patch? })).collect()
    }

    fn applied(&self, job: &Value) -> Value {
        let mut new = job.clone();
        json_patch::merge(&mut new, &self.patch);
        new
    }
}

fn identity(job: &Value) -> Identity {
    let own = |value: &Value| text(value).to_owned();
    Identity {
        api_version: own(&job["apiVersion"]),
        kind: "PyTorchJob".to_owned(),
        name: own(&job["metadata"]["name"]),
        namespace: Some(own(&job["metadata"]["namespace"])),
    }
}

fn path(job: &Value) -> String {
    let (group, version) = ("kubeflow.org", text(&job["apiVersion"]).rsplit('/').next().unwrap_or("v1"));
    let plural = JOBS.split('.').next().unwrap_or_default();
    let metadata = &job["metadata"];
    format!("/apis/{group}/{version}/namespaces/{}/{plural}/{}", text(&metadata["namespace"]), text(&metadata["name"]))
}
