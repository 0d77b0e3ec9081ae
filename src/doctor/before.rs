//! The checks that need no guard: the API server, the definition of the jobs, who writes them, and the policy to take.

use super::{
    finding::{Check, Finding},
    snapshot::{JOBS, Kind, Snapshot},
    webhooks::kueues_accounts,
    writers,
};
use crate::{
    crd::{Crd, Fate, Fit, KUEUES},
    policy::{ExemptUser, Policy, SourceError, parse_exempt_user, source::Source},
};

/// The oldest minor version of Kubernetes 1 that is supported, and the newest that was tried.
const SUPPORTED: (u32, u32) = (30, 37);

const API_SERVER: Check = Check("api-server", "README.md#supported-versions");
const CRD: Check = Check("crd", "docs/policies.md#which-one-is-nearest");
const POLICY: Check = Check("policy", "docs/policies.md#which-one-is-nearest");

/// The policy to take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Advice {
    /// A built-in policy.
    name: &'static str,
    /// The account of a Kueue that is not where the policy has it.
    account: Option<String>,
    /// True if the policy should let autoscalers scale jobs.
    scales: bool,
}

/// The place where jobs have the fields that may change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// Directly under `spec`.
    Spec,
    /// Under `spec.runPolicy`.
    RunPolicy,
    /// The definition keeps every field, and no job tells.
    Unclear,
    /// Neither.
    Other,
}

/// The findings, and the policy to take, where that is clear. `policies` are those that are served already.
pub(crate) fn before(snapshot: &Snapshot, policies: &[&Policy]) -> (Vec<Finding>, Option<Advice>) {
    let mut findings = vec![api_server(&snapshot.version)];
    let (found, layout) = definition(snapshot);
    findings.extend(found);
    if snapshot.is_cut(Kind::Job) {
        findings.push(CRD.warning(format!("only the first {} jobs were looked at", snapshot.all(Kind::Job).len())));
    }
    findings.extend(writers::findings(snapshot, policies));
    let advice = layout.and_then(|layout| advice(snapshot, layout));
    if policies.is_empty() {
        findings.extend(layout.map(|layout| match (&advice, layout) {
            (Some(advice), _) => POLICY.ok(format!("the policy to take is {advice}")),
            (None, Layout::Unclear) => POLICY.warning(
                "cci and training-operator both fit: look where a job has ttlSecondsAfterFinished; under spec take cci, under \
                 spec.runPolicy training-operator, or kueue where Kueue starts the jobs",
            ),
            (None, _) => POLICY.failed("no built-in policy fits the definition of the jobs: write a policy of your own"),
        }));
    }
    (findings, advice)
}

fn api_server(version: &str) -> Finding {
    let numbers = version.trim_start_matches('v').split(['.', '+', '-']).map(str::parse::<u32>);
    let numbers: Vec<_> = numbers.map_while(Result::ok).collect();
    let (oldest, newest) = SUPPORTED;
    match numbers[..] {
        [1, minor, ..] if minor > newest => {
            API_SERVER.ok(format!("Kubernetes {version} is newer than what was tested, 1.{newest}"))
        }
        [1, minor, ..] if minor >= oldest => API_SERVER.ok(format!("Kubernetes {version} is supported")),
        [1, ..] => API_SERVER.failed(format!("Kubernetes {version} is not supported; 1.{oldest} and later are")),
        _ => API_SERVER.warning(format!("the API server has the version {version:?}, which tells nothing")),
    }
}

/// The findings about the definition of the jobs, and the layout; none where there is no definition.
fn definition(snapshot: &Snapshot) -> (Vec<Finding>, Option<Layout>) {
    let Some(value) = snapshot.crd(JOBS) else {
        let message = match snapshot.problem(Kind::Crd) {
            Some(problem) => format!("cannot look at the definition of the jobs: {problem}"),
            None => format!("there is no definition of {JOBS}: install the operator first"),
        };
        return (vec![CRD.warning(message)], None);
    };
    let crd = match Crd::from_value(value.clone(), JOBS) {
        Ok(crd) => crd,
        Err(error) => return (vec![CRD.failed(error.to_string())], None),
    };
    let mut findings = Vec::new();
    let served: Vec<_> = crd.spec.versions.iter().filter(|version| version.served).collect();
    let Some(version) = served.first() else {
        return (vec![CRD.failed(format!("no version of {JOBS} is served, so there are no jobs"))], None);
    };
    let names = served.iter().map(|version| version.name.as_str()).collect::<Vec<_>>().join(", ");
    let worst = |name| Policy::builtin(name).and_then(|policy| Fit::of(&policy, &crd, version).worst());
    let (cci, training_operator) = (worst("cci"), worst("training-operator"));
    let (layout, source) = match (cci, training_operator) {
        (_, Some(Fate::Known)) => (Layout::RunPolicy, "by its schema"),
        (Some(Fate::Known), _) => (Layout::Spec, "by its schema"),
        (Some(Fate::Pruned), Some(Fate::Pruned)) => (Layout::Other, "by its schema"),
        _ => (of_jobs(snapshot), "by the jobs that are there, as its schema keeps every field"),
    };
    findings.push(match layout {
        Layout::Spec => CRD.ok(format!("{JOBS} ({names}) has the fields that may change under spec, {source}")),
        Layout::RunPolicy => {
            CRD.ok(format!("{JOBS} ({names}) has the fields that may change under spec.runPolicy, {source}"))
        }
        Layout::Unclear => CRD.warning(format!(
            "the schema of {JOBS} ({names}) keeps every field, and no job tells whether those that may change are under spec or \
             under spec.runPolicy"
        )),
        Layout::Other => CRD.warning(format!("{JOBS} ({names}) has none of the fields of the built-in policies")),
    });
    if version.subresources.status.is_none() {
        findings.push(CRD.warning(format!(
            "{JOBS} has no status subresource, so the operator's updates of status are asked about: exempt the operator"
        )));
    }
    (findings, Some(layout))
}

/// The layout, as existing jobs tell it.
fn of_jobs(snapshot: &Snapshot) -> Layout {
    const FIELDS: [&str; 4] = ["activeDeadlineSeconds", "ttlSecondsAfterFinished", "cleanPodPolicy", "backoffLimit"];
    let jobs = snapshot.all(Kind::Job);
    let run_policy = jobs.iter().any(|job| job["spec"]["runPolicy"].is_object());
    let spec = jobs.iter().any(|job| FIELDS.iter().any(|field| !job["spec"][field].is_null()));
    match (spec, run_policy) {
        (true, false) => Layout::Spec,
        (false, true) => Layout::RunPolicy,
        _ => Layout::Unclear,
    }
}

fn advice(snapshot: &Snapshot, layout: Layout) -> Option<Advice> {
    let has_kueue = snapshot.crd(KUEUES).is_some();
    let name = match layout {
        Layout::Spec => "cci",
        Layout::RunPolicy if has_kueue => "kueue",
        Layout::RunPolicy => "training-operator",
        Layout::Unclear | Layout::Other => return None,
    };
    let account = kueues_accounts(snapshot).into_iter().find(|account| account != writers::KUEUE);
    let account = account.filter(|_| name == "kueue");
    Some(Advice { name, account, scales: !writers::scaled(snapshot).is_empty() })
}

impl Advice {
    /// The policy as a file.
    pub(crate) fn policy(&self) -> Result<String, SourceError> {
        let users: Vec<ExemptUser> =
            self.account.iter().filter_map(|account| parse_exempt_user(&format!("kueue={account}")).ok()).collect();
        let text = Source::find(self.name)?.with_users(&users)?.text.into_owned();
        if !self.scales {
            return Ok(text);
        }
        let name = |name: &str| format!("\nname: {name}\n");
        let text = text.replacen(&name(self.name), &name(&format!("{}-and-autoscalers", self.name)), 1);
        Ok(text
            + "  # Lets autoscalers scale every job, so whoever may create autoscalers may: see docs/policies.md.\n\
             \x20 - name: autoscaler\n\
             \x20   users:\n\
             \x20     - system:serviceaccount:kube-system:horizontal-pod-autoscaler\n\
             \x20   subresources: [scale]\n\
             \x20   fields: [spec.replicas]\n")
    }
}

impl std::fmt::Display for Advice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name)?;
        if let Some(account) = &self.account {
            write!(f, ", with --exempt kueue={account}")?;
        }
        if self.scales {
            f.write_str(", and an exemption for autoscalers: --print-policy prints it")?;
        }
        Ok(())
    }
}
