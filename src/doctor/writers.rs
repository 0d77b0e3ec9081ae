//! The others that write jobs, and whether policies let them: Kueue, autoscalers, Argo CD and Flux.

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use serde_json::{Value, json};

use super::{
    finding::{Check, Finding, some},
    snapshot::{Kind, Snapshot, condition, full_name, text},
    webhooks::{kueues_accounts, others},
};
use crate::{
    admission::{self, Outcome},
    crd::KUEUES,
    documents::{
        Identity,
        review::{Asked, Asker, SCALED},
    },
    policy::{DenialReason, Policy},
};

/// The account that Kueue runs as where nobody chose another.
pub(crate) const KUEUE: &str = "system:serviceaccount:kueue-system:kueue-controller-manager";
/// The account of the horizontal pod autoscaler, with and without a controller manager that uses accounts.
const AUTOSCALERS: [&str; 2] =
    ["system:serviceaccount:kube-system:horizontal-pod-autoscaler", "system:kube-controller-manager"];
/// A job that Kueue starts or stops is in between for a moment.
const PATIENCE: Duration = Duration::from_mins(1);

const KUEUE_CHECK: Check = Check("kueue", "docs/policies.md#kueue");
const STUCK_CHECK: Check = Check("stuck-jobs", "docs/operations.md#a-controller-is-denied");
const AUTOSCALER_CHECK: Check = Check("autoscalers", "docs/policies.md#an-autoscaler");
const ARGO_CD_CHECK: Check = Check("argo-cd", "docs/rollout.md#3-deny");
const FLUX_CHECK: Check = Check("flux", "docs/rollout.md#3-deny");
const WEBHOOK_CHECK: Check = Check("webhooks", "docs/operations.md#an-edit-is-denied");

/// The writers, and what the policies that are served make of their updates; before an installation there are none.
pub(super) fn findings(snapshot: &Snapshot, policies: &[&Policy]) -> Vec<Finding> {
    let mut findings = vec![kueue(snapshot, policies)];
    findings.extend(stuck(snapshot));
    findings.push(autoscalers(snapshot, policies));
    findings.push(argo_cd(snapshot));
    findings.push(flux(snapshot, policies));
    findings.push(mutating(snapshot));
    findings
}

fn kueue(snapshot: &Snapshot, policies: &[&Policy]) -> Finding {
    if snapshot.crd(KUEUES).is_none() {
        return KUEUE_CHECK.ok("Kueue is not here");
    }
    let mut accounts: Vec<_> = kueues_accounts(snapshot).into_iter().collect();
    let is_found = !accounts.is_empty();
    if !is_found {
        accounts.push(KUEUE.to_owned());
    }
    let named = accounts.join(", ");
    for policy in policies.iter().filter(|policy| policy.lists(SCALED.0, SCALED.1)) {
        let Some(account) = accounts.iter().find(|account| !lets_kueue_work(policy, account)) else { continue };
        let message = format!(
            "the policy {} does not let Kueue ({account}) start and stop jobs: they look Admitted but never start, and \
             preemption does not stop them",
            policy.name()
        );
        // Where a policy holds for some namespaces, Kueue may queue the jobs of others only.
        let is_everywhere = policy.webhooks.namespaces.is_none();
        return if is_everywhere { KUEUE_CHECK.failed(message) } else { KUEUE_CHECK.warning(message) };
    }
    match (policies, is_found) {
        (_, false) => KUEUE_CHECK.warning(format!(
            "Kueue's definitions are here, but no Deployment of it was found; {named} is taken for its account"
        )),
        ([], true) => KUEUE_CHECK.ok(format!("Kueue is here, as {named}: it starts and stops jobs by updates")),
        (_, true) => KUEUE_CHECK.ok(format!("Kueue ({named}) may start and stop jobs")),
    }
}

/// The jobs that Kueue could not start or stop. None where there is no Kueue.
fn stuck(snapshot: &Snapshot) -> Option<Finding> {
    snapshot.crd(KUEUES)?;
    if let Some(problem) = snapshot.problem(Kind::Workload).or(snapshot.problem(Kind::Job)) {
        return Some(STUCK_CHECK.warning(format!("cannot look for jobs that are stuck: {problem}")));
    }
    let jobs = snapshot.all(Kind::Job).iter();
    let by_uid: BTreeMap<&str, &Value> = jobs.map(|job| (text(&job["metadata"]["uid"]), job)).collect();
    let mut stuck = (Vec::new(), Vec::new());
    for workload in snapshot.all(Kind::Workload) {
        let mut owners = workload["metadata"]["ownerReferences"].as_array().into_iter().flatten();
        let Some(job) = owners.find_map(|owner| by_uid.get(text(&owner["uid"]))) else { continue };
        let is_suspended = job["spec"]["runPolicy"]["suspend"] == true;
        if is_suspended && has_been(workload, "Admitted", snapshot) {
            stuck.0.push(full_name(job));
        } else if !is_suspended && has_been(workload, "Evicted", snapshot) && condition(workload, "Admitted").is_none()
        {
            stuck.1.push(full_name(job));
        }
    }
    let (starts, stops) = &stuck;
    Some(if !starts.is_empty() {
        STUCK_CHECK.failed(format!(
            "{} admitted by Kueue, but not started: {}; once the policy lets Kueue start jobs, label them to have it try at once",
            are(starts),
            some(starts)
        ))
    } else if !stops.is_empty() {
        STUCK_CHECK.failed(format!("{} evicted by Kueue, but not stopped: {}", are(stops), some(stops)))
    } else {
        STUCK_CHECK.ok("no job waits for a start or a stop by Kueue")
    })
}

fn are(jobs: &[String]) -> String {
    if jobs.len() == 1 { "1 job is".to_owned() } else { format!("{} jobs are", jobs.len()) }
}

/// True if the condition has held for longer than a start or a stop takes.
fn has_been(workload: &Value, kind: &str, snapshot: &Snapshot) -> bool {
    let Some(condition) = condition(workload, kind) else { return false };
    let since = serde_json::from_value::<Time>(condition["lastTransitionTime"].clone());
    since.is_ok_and(|Time(since)| snapshot.now.duration_since(since.into()).is_ok_and(|age| age > PATIENCE))
}

fn autoscalers(snapshot: &Snapshot, policies: &[&Policy]) -> Finding {
    if let Some(problem) = snapshot.problem(Kind::Autoscaler) {
        return AUTOSCALER_CHECK.warning(format!("cannot look for autoscalers: {problem}"));
    }
    let names = scaled(snapshot);
    if names.is_empty() {
        return AUTOSCALER_CHECK.ok("no autoscaler scales a job");
    }
    let denies = |policy: &&&Policy| {
        policy.lists(SCALED.0, SCALED.1) && !AUTOSCALERS.iter().any(|account| lets_scale(policy, account))
    };
    match (policies, policies.iter().find(denies)) {
        (_, Some(policy)) => AUTOSCALER_CHECK.warning(format!(
            "the policy {} does not let autoscalers scale jobs, and these do: {}",
            policy.name(),
            some(&names)
        )),
        ([], None) => AUTOSCALER_CHECK.warning(format!(
            "autoscalers scale jobs: {}; no built-in policy lets them, --print-policy prints one that does",
            some(&names)
        )),
        (_, None) => AUTOSCALER_CHECK.ok(format!("autoscalers may scale jobs: {}", some(&names))),
    }
}

/// The autoscalers of jobs.
pub(super) fn scaled(snapshot: &Snapshot) -> Vec<String> {
    let autoscalers = snapshot.all(Kind::Autoscaler).iter().filter(|autoscaler| {
        let target = &autoscaler["spec"]["scaleTargetRef"];
        target["kind"] == "PyTorchJob" && text(&target["apiVersion"]).starts_with("kubeflow.org/")
    });
    autoscalers.map(full_name).collect()
}

fn argo_cd(snapshot: &Snapshot) -> Finding {
    if let Some(problem) = snapshot.problem(Kind::Application) {
        return ARGO_CD_CHECK.warning(format!("cannot look at Argo CD's applications: {problem}"));
    }
    let applications = snapshot.all(Kind::Application);
    let has_force = |options: &str| options.split(',').any(|option| option.trim() == "Force=true");
    let forced = |application: &&Value| {
        let options = application["spec"]["syncPolicy"]["syncOptions"].as_array();
        options.into_iter().flatten().any(|option| has_force(text(option)))
    };
    let jobs = snapshot
        .all(Kind::Job)
        .iter()
        .filter(|job| has_force(text(&job["metadata"]["annotations"]["argocd.argoproj.io/sync-options"])));
    let forced: Vec<_> = applications.iter().filter(forced).chain(jobs).map(full_name).collect();
    if !forced.is_empty() {
        return ARGO_CD_CHECK.warning(format!(
            "Argo CD deletes a running job and creates it anew where its update is denied: Force=true of {}",
            some(&forced)
        ));
    }
    let writes = |application: &&Value| {
        let resources = application["status"]["resources"].as_array();
        resources.into_iter().flatten().any(|resource| resource["kind"] == "PyTorchJob")
    };
    let with_jobs: Vec<_> = applications.iter().filter(writes).map(full_name).collect();
    ARGO_CD_CHECK.ok(if with_jobs.is_empty() {
        "no application of Argo CD has jobs".to_owned()
    } else {
        format!("Argo CD has jobs: {}; a job that changes in Git needs a new name", some(&with_jobs))
    })
}

fn flux(snapshot: &Snapshot, policies: &[&Policy]) -> Finding {
    let kinds = [Kind::Kustomization, Kind::HelmRelease];
    if let Some(problem) = kinds.into_iter().find_map(|kind| snapshot.problem(kind)) {
        return FLUX_CHECK.warning(format!("cannot look at what Flux applies: {problem}"));
    }
    let objects = || kinds.into_iter().flat_map(|kind| snapshot.all(kind));
    let forced =
        objects().filter(|object| object["spec"]["force"] == true || object["spec"]["upgrade"]["force"] == true);
    let forced: Vec<_> = forced.map(full_name).collect();
    let are_forbidden = !policies.is_empty() && policies.iter().all(|policy| policy.reason == DenialReason::Forbidden);
    if !forced.is_empty() && !are_forbidden {
        return FLUX_CHECK.warning(format!(
            "Flux deletes a running job and creates it anew where its update is denied as Invalid: force of {}; give the \
             policy denial: {{reason: Forbidden}}",
            some(&forced)
        ));
    }
    FLUX_CHECK.ok(match (objects().next().is_some(), forced.is_empty()) {
        (false, _) => "Flux applies nothing here".to_owned(),
        (true, true) => "Flux is here, and forces nothing".to_owned(),
        (true, false) => format!("Flux forces {}, but a denial as Forbidden deletes no job", some(&forced)),
    })
}

/// The changes of other webhooks count as the user's.
fn mutating(snapshot: &Snapshot) -> Finding {
    if let Some(problem) = snapshot.problem(Kind::Mutating).or(snapshot.problem(Kind::Validating)) {
        return WEBHOOK_CHECK.warning(format!("cannot look at other webhooks: {problem}"));
    }
    let (mutating, validating) = (others(snapshot, Kind::Mutating), others(snapshot, Kind::Validating));
    match (&mutating[..], &validating[..]) {
        ([], []) => WEBHOOK_CHECK.ok("no other webhook is asked about updates of jobs"),
        ([], _) => WEBHOOK_CHECK.ok(format!("other webhooks may deny updates of jobs too: {}", some(&validating))),
        _ => WEBHOOK_CHECK.ok(format!(
            "other webhooks may change updates of jobs, and what they change counts as the user's: {}",
            some(&mutating)
        )),
    }
}

/// True if the policy lets this account start and stop a job as Kueue does.
pub(crate) fn lets_kueue_work(policy: &Policy, account: &str) -> bool {
    let job = |suspend: bool, template: Value| {
        let replicas = json!({"Master": {"replicas": 1, "template": template}});
        json!({"spec": {"runPolicy": {"suspend": suspend}, "pytorchReplicaSpecs": replicas}})
    };
    let containers = json!([{"name": "pytorch", "image": "image"}]);
    let waiting = job(true, json!({"spec": {"containers": containers}}));
    let started = job(
        false,
        json!({
            "metadata": {"labels": {"a": "b"}, "annotations": {"a": "b"}},
            "spec": {
                "containers": containers,
                "nodeSelector": {"a": "b"},
                "tolerations": [{"key": "a", "operator": "Exists"}],
                "schedulingGates": [{"name": "a"}],
            },
        }),
    );
    let asks = |old, new| allows(policy, account, "", ("kubeflow.org/v1", "PyTorchJob"), old, new);
    asks(&waiting, &started) && asks(&started, &waiting)
}

fn lets_scale(policy: &Policy, account: &str) -> bool {
    let scale = |replicas: u8| json!({"spec": {"replicas": replicas}});
    allows(policy, account, "scale", ("autoscaling/v1", "Scale"), &scale(1), &scale(2))
}

/// Asks the decision about an update of a job.
fn allows(
    policy: &Policy,
    account: &str,
    subresource: &str,
    (api_version, kind): (&str, &str),
    old: &Value,
    new: &Value,
) -> bool {
    let identity = Identity {
        api_version: api_version.to_owned(),
        kind: kind.to_owned(),
        name: "job".to_owned(),
        namespace: Some("default".to_owned()),
    };
    let asker = Asker { subresource, user: account, groups: &groups(account) };
    outcome(policy, &identity, asker, old, new) != Some(Outcome::Denied)
}

/// The outcome of a job's update under a policy.
pub(super) fn outcome(
    policy: &Policy,
    identity: &Identity,
    asker: Asker<'_>,
    old: &Value,
    new: &Value,
) -> Option<Outcome> {
    let review =
        Asked { uid: "doctor", operation: "UPDATE", identity, resource: SCALED, asker, old: Some(old), new: Some(new) };
    let review = review.review().ok()?;
    Some(admission::answer(review.as_bytes(), policy).ok()?.decision.outcome)
}

/// The groups of an account.
fn groups(account: &str) -> Vec<String> {
    let namespace = account.strip_prefix("system:serviceaccount:").and_then(|rest| rest.split_once(':'));
    let of_accounts = namespace
        .map(|(namespace, _)| ["system:serviceaccounts".to_owned(), format!("system:serviceaccounts:{namespace}")]);
    of_accounts.into_iter().flatten().chain(["system:authenticated".to_owned()]).collect()
}
