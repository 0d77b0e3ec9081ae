//! The status of the guard towards the API servers that ask it, as `/readyz`, the log and metrics show it.

use tracing::{info, warn};

use super::metrics::Metrics;
use crate::certificates::Validity;

/// The status of the guard towards the API servers that ask it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Status {
    /// True if an API server can call the guard, else the reason.
    pub(crate) ready: Result<(), String>,
    /// The differences by which the registration lets updates past the guard. None until it was seen.
    pub(crate) drift: Option<Vec<String>>,
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
        Self { ready: Ok(()), ..Self::unknown() }
    }

    /// Before anything was seen of the registration.
    pub(crate) fn unknown() -> Self {
        let ready = Err("the API server was not reached yet".to_owned());
        Self { ready, drift: None, ca_problem: None, is_ca_stored: None, ca_validity: None }
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
        if let Some(drift) = &self.drift
            && before.drift != self.drift
        {
            metrics.registration_fits(drift.is_empty());
            if drift.is_empty() {
                info!("the registration matches the policy");
            } else {
                let drift = drift.join("; ");
                warn!(drift, "the registration does not match the policy: updates get past the guard");
            }
        }
        if before.ca_problem != self.ca_problem {
            if let Some(problem) = &self.ca_problem {
                warn!(problem, "cannot store the CA; signing continues with the one in memory");
            } else {
                info!("the CA is stored again");
            }
        }
    }
}
