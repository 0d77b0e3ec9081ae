//! The proof on a live job: two updates as dry runs, of which one must pass and one must be denied.

use serde_json::{Value, json};

use super::{
    api::{Api, ApiError, Rejection},
    finding::{Check, Finding},
    snapshot::{Kind, Snapshot, full_name, text},
    writers::outcome,
};
use crate::{
    admission::Outcome,
    documents::{
        Identity,
        review::{Asker, SCALED},
    },
    policy::{Policy, ValidationAction, selector::matches},
};

const PROOF: Check = Check("proof", "docs/operations.md#verify");

/// Asks the API server for two updates of a job as dry runs. They change nothing.
pub(crate) async fn proof(api: &Api, snapshot: &Snapshot, policies: &[&Policy]) -> Result<Vec<Finding>, ApiError> {
    if let Some(problem) = snapshot.problem(Kind::Job).or(snapshot.problem(Kind::Namespace)) {
        return Ok(vec![PROOF.warning(format!("cannot look for a job to try: {problem}"))]);
    }
    if policies.is_empty() {
        return Ok(vec![PROOF.warning("the guard's policies are not known, so nothing can be proved")]);
    }
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
fn judged(name: &str, change: &Change, is_denied: bool, answer: Option<Rejection>) -> Finding {
    let field = change.field;
    match (is_denied, answer) {
        (false, None) => PROOF.ok(format!("a change of {field} of {name} is allowed (dry run)")),
        (true, Some(rejection)) if rejection.is_guards(field) => PROOF
            .ok(format!("a change of {field} of {name} is denied: {} {} (dry run)", rejection.code, rejection.reason)),
        (true, None) => PROOF.failed(format!("a change of {field} of {name} is allowed, and must be denied (dry run)")),
        (_, Some(Rejection { code, message, .. })) => {
            PROOF.failed(format!("a change of {field} of {name} is answered with {code}: {message} (dry run)"))
        }
    }
}

impl Rejection {
    /// True if the guard denied that field.
    fn is_guards(&self, field: &str) -> bool {
        matches!((self.code, self.reason.as_str()), (422, "Invalid") | (403, "Forbidden"))
            && (self.fields.iter().any(|cause| cause == field) || self.message.contains(field))
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
            policy.lists(SCALED.0, SCALED.1)
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
    let metadata = &job["metadata"];
    let (namespace, name) = (text(&metadata["namespace"]), text(&metadata["name"]));
    format!("/apis/{}/namespaces/{namespace}/{}/{name}", text(&job["apiVersion"]), SCALED.1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Outcome::{self as Found, Failed, Ok as Good};

    const FIELD: &str = "spec.pytorchReplicaSpecs.Worker.replicas";

    fn rejection(code: u16, reason: &str, message: &str, fields: &[&str]) -> Rejection {
        Rejection {
            code,
            reason: reason.to_owned(),
            message: message.to_owned(),
            fields: fields.iter().map(|field| (*field).to_owned()).collect(),
        }
    }

    #[test]
    fn tells_the_guards_denial_from_any_other_answer() {
        let job = json!({"spec": {"pytorchReplicaSpecs": {"Worker": {"replicas": 1}}}});
        let changes = Change::all(&job);
        let change = changes.iter().find(|change| change.field == FIELD).expect("a change of the replicas");
        assert_eq!(change.applied(&job)["spec"]["pytorchReplicaSpecs"]["Worker"]["replicas"], 2);
        let found = |is_denied, answer| -> Found { judged("a/b", change, is_denied, answer).outcome };
        assert_eq!(found(false, None), Good);
        assert_eq!(found(true, None), Failed);
        assert_eq!(found(true, Some(rejection(422, "Invalid", "", &[FIELD]))), Good);
        assert_eq!(found(false, Some(rejection(422, "Invalid", "", &[FIELD]))), Failed);
        let forbidden = format!("admission webhook denied the request: {FIELD}: Forbidden: field is immutable");
        assert_eq!(found(true, Some(rejection(403, "Forbidden", &forbidden, &[]))), Good);
        // Another field, a user without rights, no guard that answers: none of them proves the rule.
        for other in [
            rejection(422, "Invalid", "", &["spec.runPolicy"]),
            rejection(403, "Forbidden", "dana cannot patch resource pytorchjobs", &[]),
            rejection(500, "InternalError", &format!("failed calling webhook: {FIELD}"), &[]),
        ] {
            assert_eq!(found(true, Some(other.clone())), Failed, "{other:?}");
        }
    }

    #[test]
    fn chooses_a_job_that_a_policy_which_denies_holds_for() {
        let text = Policy::builtin_text("cci").expect("a policy");
        let of = |more: &str| Policy::parse(&format!("{text}{more}\n")).expect("a policy");
        let mut snapshot = Snapshot::of("v1.37.2".to_owned(), std::time::SystemTime::now());
        let object = |name: &str, namespace: &str, labels: &Value| json!({"metadata": {"name": name, "namespace": namespace, "labels": labels}});
        for (kind, object) in [
            (Kind::Namespace, object("one", "", &json!({"team": "a"}))),
            (Kind::Namespace, object("two", "", &json!({}))),
            (Kind::Job, object("mnist", "two", &json!({}))),
            (Kind::Job, object("resnet", "one", &json!({"tier": "gold"}))),
        ] {
            snapshot.add(kind, Ok::<_, String>(vec![object]));
        }
        for (more, job) in [
            ("", Some("mnist")),
            ("namespaceSelector: {matchLabels: {team: a}}", Some("resnet")),
            ("objectSelector: {matchExpressions: [{key: tier, operator: In, values: [gold]}]}", Some("resnet")),
            ("namespaceSelector: {matchExpressions: [{key: team, operator: NotIn, values: [a]}]}", Some("mnist")),
            ("namespaceSelector: {matchExpressions: [{key: team, operator: Exists}]}", Some("resnet")),
            ("namespaceSelector: {matchExpressions: [{key: team, operator: DoesNotExist}]}", Some("mnist")),
            ("namespaceSelector: {matchLabels: {team: b}}", None),
            ("validationActions: [Audit]", None),
        ] {
            let policy = of(more);
            let found = candidate(&snapshot, &[&policy]).map(|(job, _)| text_of(&job["metadata"]["name"]));
            assert_eq!(found.as_deref(), job, "{more}");
        }
    }

    fn text_of(value: &Value) -> String {
        text(value).to_owned()
    }
}
