//! The checks of a guard that is installed: its registration, its certificates, its replicas.

use std::{collections::BTreeSet, time::SystemTime};

use k8s_openapi::ByteString;

use super::{
    finding::{Check, Finding},
    guard::Guard,
    snapshot::{Kind, Replica, Snapshot, condition},
    webhooks::is_guards,
};
use crate::{
    certificates::{Expiry, Validity},
    policy::PolicySet,
    registration::{Drift, drift},
};

const REGISTRATION: Check = Check("registration", "docs/operations.md#the-registration-does-not-match-the-policy");
const POLICY: Check = Check("policy", "docs/operations.md#the-policy-file-is-invalid");
const OVERLAP: Check = Check("overlap", "docs/policies.md#several-policies");
const CERTIFICATES: Check = Check("certificates", "docs/operations.md#the-certificate-expires");
const REPLICAS: Check = Check("replicas", "docs/operations.md#pods-are-not-ready");
const PORT: Check = Check("port", "manifests/README.md#your-cluster-may-want-more");
const INSTALLED: Check = Check("registration", "README.md#install-it");

/// The findings about the guard, and the policies that it serves as far as they are known.
pub(crate) fn after(snapshot: &Snapshot) -> (Vec<Finding>, Option<PolicySet>) {
    if let Some(problem) = snapshot.problem(Kind::Validating) {
        return (vec![REGISTRATION.failed(format!("cannot look at registrations: {problem}"))], None);
    }
    let Some(guard) = Guard::find(snapshot) else {
        let message =
            "the guard is not installed: there is no ValidatingWebhookConfiguration of it, so any update is allowed";
        return (vec![INSTALLED.failed(message)], None);
    };
    let mut findings = Vec::new();
    let registrations = snapshot.all(Kind::Validating).iter().filter(|configuration| is_guards(configuration)).count();
    if registrations > 1 {
        let name = guard.configuration.metadata.name.as_deref().unwrap_or_default();
        findings
            .push(REGISTRATION.warning(format!("{registrations} guards are registered; this is about {name} alone")));
    }
    let policies = guard.policies(snapshot);
    match &policies {
        Ok(policies) => findings.extend(of_policies(&guard, policies)),
        // Nothing of it is in the cluster but the registration.
        Err(_) if guard.service.is_none() => {}
        Err(problem) => {
            findings.push(
                POLICY
                    .warning(format!("the guard's policies are not known, nor whether its webhooks match: {problem}")),
            );
        }
    }
    findings.push(bundle(&guard, snapshot.now));
    if guard.service.is_some() {
        findings.extend(replicas(&guard, policies.as_ref().ok(), snapshot));
        findings.extend(snapshot.port.as_ref().map(|port| match port {
            Ok(()) => PORT.ok("the API server reaches the guard's Service"),
            Err(problem) => PORT.failed(format!("the API server does not reach the guard's Service: {problem}")),
        }));
    } else {
        findings.push(
            REPLICAS.warning("the guard runs outside of the cluster, so its replicas and policies were not looked at"),
        );
    }
    (findings, policies.ok())
}

/// The files that hold no policy, the differences from the registration, and policies that overlap.
fn of_policies(guard: &Guard, policies: &PolicySet) -> Vec<Finding> {
    let mut findings: Vec<_> = policies.problems().map(|problem| POLICY.failed(problem.reason)).collect();
    let all = drift(&guard.configuration, guard.service.as_ref(), policies);
    findings.extend(all.iter().map(|Drift { policy, message }| {
        REGISTRATION.failed(match policy {
            Some(policy) => format!("updates get past the guard that the policy {policy} denies: {message}"),
            None => format!("updates are rejected: {message}"),
        })
    }));
    if all.is_empty() {
        findings.push(REGISTRATION.ok("the guard is registered for all updates that its policies deny"));
    }
    let served: Vec<_> = policies.policies().collect();
    for (index, policy) in served.iter().enumerate() {
        for other in &served[..index] {
            findings.extend(
                policy
                    .overlap(other)
                    .map(|overlap| OVERLAP.warning(format!("{} and {}: {overlap}", other.name(), policy.name()))),
            );
        }
    }
    findings
}

/// The CAs that the API server trusts the guard by.
fn bundle(guard: &Guard, now: SystemTime) -> Finding {
    let mut validities = Vec::new();
    for webhook in guard.configuration.webhooks.iter().flatten() {
        let ByteString(bundle) = webhook.client_config.ca_bundle.clone().unwrap_or_default();
        let Some(validity) = Validity::of_bundle(&bundle) else {
            return CERTIFICATES.failed(format!(
                "webhook {} has no caBundle, so the API server trusts no certificate and rejects the updates it asks about",
                webhook.name
            ));
        };
        validities.push(validity);
    }
    // The webhook that is worst off counts.
    validities.into_iter().min_by_key(|validity| validity.not_after).map_or_else(
        || CERTIFICATES.failed("the registration has no webhook"),
        |validity| certificate("the CA that the API server trusts", validity, now),
    )
}

fn certificate(what: &str, validity: Validity, now: SystemTime) -> Finding {
    let date = |time| humantime::format_rfc3339_seconds(time);
    match validity.expiry(now) {
        Expiry::Good => CERTIFICATES.ok(format!("{what} is valid until {}", date(validity.ends()))),
        Expiry::Early => CERTIFICATES.failed(format!("{what} is valid only from {}", date(validity.begins()))),
        Expiry::Ending => {
            CERTIFICATES.warning(format!("{what} ends at {} and should have been renewed", date(validity.ends())))
        }
        Expiry::Ended => CERTIFICATES.failed(format!("{what} ended at {}", date(validity.ends()))),
    }
}

fn replicas(guard: &Guard, policies: Option<&PolicySet>, snapshot: &Snapshot) -> Vec<Finding> {
    if let Some(problem) = snapshot.problem(Kind::Deployment).or(snapshot.problem(Kind::Pod)) {
        return vec![REPLICAS.warning(format!("cannot look at the replicas: {problem}"))];
    }
    let Some(deployment) = &guard.deployment else {
        return vec![REPLICAS.failed("no Deployment is behind the guard's Service")];
    };
    let wanted = deployment["spec"]["replicas"].as_u64().unwrap_or(1);
    let ready = guard.pods(snapshot).into_iter().filter(|pod| condition(pod, "Ready").is_some()).count() as u64;
    let mut findings = vec![match ready {
        0 => REPLICAS.failed(format!("none of {wanted} replicas is ready")),
        ready if ready < wanted => REPLICAS.failed(format!("{ready} of {wanted} replicas are ready")),
        1 => REPLICAS.warning("one replica is ready, and no other takes over where it stops"),
        ready => REPLICAS.ok(format!("{ready} replicas are ready")),
    }];
    findings.extend(answers(snapshot, policies));
    let first = snapshot.replicas.iter().filter_map(leaf).min_by_key(|validity| validity.not_after);
    findings.extend(first.map(|validity| certificate("the certificate that the guard serves", validity, snapshot.now)));
    findings
}

/// What the replicas say of themselves: why they are not ready, and which policies they serve.
fn answers(snapshot: &Snapshot, policies: Option<&PolicySet>) -> Vec<Finding> {
    let mut findings = Vec::new();
    for Replica { pod, readyz, .. } in &snapshot.replicas {
        findings.extend(readyz.as_ref().err().map(|problem| REPLICAS.warning(format!("{pod} says: {problem}"))));
    }
    let answers: Vec<_> = snapshot.replicas.iter().filter_map(|replica| replica.readyz.as_deref().ok()).collect();
    let served = answers.iter().map(|text| {
        let policies = text.lines().filter_map(|line| line.strip_prefix("policy "));
        policies.collect::<Vec<_>>().join("; ")
    });
    let served: BTreeSet<_> = served.collect();
    // While a file cannot be used, the policy that it held before stays in effect.
    let stored = policies.filter(|policies| policies.problems().next().is_none()).map(|policies| {
        let all = policies.policies().map(|policy| policy.name_and_digest());
        all.collect::<Vec<_>>().join("; ")
    });
    let named = served.iter().map(String::as_str).collect::<Vec<_>>().join(" | ");
    findings.extend(match (served.len(), stored) {
        (0, _) => None,
        (1, Some(stored)) if stored != named => Some(POLICY.failed(format!(
            "the replicas serve {named}, but are given {stored}: a change takes effect within about a minute"
        ))),
        (1, _) => Some(POLICY.ok(format!("every replica serves {named}"))),
        _ => Some(POLICY.failed(format!("the replicas differ: {named}; a change takes effect within about a minute"))),
    });
    // What gets past the guard was said of the registration itself.
    let warnings = answers.iter().flat_map(|text| text.lines()).filter_map(|line| line.strip_prefix("warning: "));
    let warnings = warnings.filter(|line| !line.starts_with("updates "));
    findings.extend(warnings.collect::<BTreeSet<_>>().into_iter().map(|warning| REPLICAS.warning(warning)));
    findings
}

/// The validity of the certificate that a replica serves, by its metrics.
fn leaf(replica: &Replica) -> Option<Validity> {
    let page = replica.metrics.as_ref().ok()?;
    let value = |name: &str| {
        let line = page.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        line.split('.').next()?.parse::<i64>().ok()
    };
    Some(Validity {
        not_before: value("pytorchjob_guard_certificate_start_timestamp_seconds")?,
        not_after: value("pytorchjob_guard_certificate_expiry_timestamp_seconds")?,
    })
}
