//! The status of the guard towards the API servers that ask it, as `/readyz`, the log and metrics show it.

use std::collections::BTreeSet;

use tracing::{info, warn};

use super::metrics::Metrics;
use crate::{certificates::Validity, registration::Drift};

/// The status of the guard towards the API servers that ask it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// True if an API server can call the guard, else the reason.
    pub(crate) ready: Result<(), String>,
    /// The differences between the registration and the policies. None until it was seen.
    pub(crate) drift: Option<Vec<Drift>>,
    /// The names of the policies in effect.
    pub(crate) policies: Vec<String>,
    /// The paths to which webhooks of the registration lead. None until it was seen.
    pub(crate) paths: Option<BTreeSet<String>>,
    /// The reason why the CA cannot be stored.
    pub(crate) ca_problem: Option<String>,
    /// True if the Secret holds a CA or waits for one. None where the guard has no CA, or has not seen the Secret yet.
    pub(crate) is_ca_stored: Option<bool>,
    /// The validity of the CA that API servers trust.
    pub(crate) ca_validity: Option<Validity>,
}

impl Status {
    /// Without a registration there is no API server to wait for.
    pub(crate) fn standalone() -> Self {
        Self { ready: Ok(()), paths: Some(BTreeSet::new()), ..Self::unknown() }
    }

    /// Before anything was seen of the registration.
    pub(crate) fn unknown() -> Self {
        let ready = Err("the API server was not reached yet".to_owned());
        Self {
            ready,
            drift: None,
            policies: Vec::new(),
            paths: None,
            ca_problem: None,
            is_ca_stored: None,
            ca_validity: None,
        }
    }

    /// Logs the differences from the status before, and sets the metrics.
    pub(super) fn publish(&self, before: &Self, metrics: &Metrics) {
        if let Some(validity) = self.ca_validity {
            metrics.ca_is(validity);
        }
        if let Some(is_stored) = self.is_ca_stored {
            metrics.ca_is_stored(is_stored);
        }
        match (&before.ready, &self.ready) {
            (Err(_), Ok(())) => info!("ready: the API server trusts the certificate that is served"),
            (Ok(()), Err(reason)) => warn!(reason, "not ready any more"),
            (Err(before), Err(reason)) if before != reason => info!(reason, "not ready yet"),
            _ => {}
        }
        self.publish_drift(before, metrics);
        if before.ca_problem != self.ca_problem {
            if let Some(problem) = &self.ca_problem {
                warn!(problem, "cannot store the CA; signing continues with the one in memory");
            } else {
                info!("the CA is stored again");
            }
        }
    }

    fn publish_drift(&self, before: &Self, metrics: &Metrics) {
        let Some(drift) = &self.drift else { return };
        if (&before.drift, &before.policies) == (&self.drift, &self.policies) {
            return;
        }
        for policy in before.policies.iter().filter(|policy| !self.policies.contains(policy)) {
            metrics.policy_is_gone(policy);
        }
        for policy in &self.policies {
            metrics.registration_fits(policy, !drift.iter().any(|drift| drift.policy.as_ref() == Some(policy)));
        }
        if before.drift == self.drift {
            return;
        }
        if drift.is_empty() {
            info!("the registration matches the policies");
            return;
        }
        for Drift { policy, message } in drift {
            if let Some(policy) = policy {
                let drift = message;
                warn!(policy, drift, "the registration does not match the policy: updates get past the guard");
            } else {
                warn!(drift = message, "the API server rejects the updates that it asks about there");
            }
        }
    }
}
