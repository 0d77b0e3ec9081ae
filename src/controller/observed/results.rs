//! The results of actions: they change what is known of the cluster.

use std::time::{Duration, SystemTime};

use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use tracing::{debug, info};

use super::{CaUpdate, Observed};
use crate::controller::{
    action::{Done, RequestError},
    ca::ObservedCa,
    lane::{FIRST_PAUSE, Lane, Turn},
    metrics::Metrics,
    now::Now,
    self_call::Outcome,
};

impl Observed {
    /// Takes the result of an action.
    pub(in crate::controller) fn take(&mut self, done: Done, metrics: &Metrics, now: Now) {
        match done {
            Done::Called(turn, outcomes) => {
                if self.calls.end(turn) {
                    self.called_ourselves(outcomes, now);
                }
            }
            Done::Read(turn, read) => {
                self.reads.end(turn);
                match read {
                    Ok(registration) => {
                        self.registration.read(registration);
                        self.reads.succeeded(Duration::ZERO, now);
                        self.succeeded();
                    }
                    Err(error) => {
                        self.is_doubted = true;
                        self.reads.failed(now);
                        self.read_failed(&error, metrics);
                    }
                }
            }
            Done::ReadSecret(turn, read) => {
                self.secret_reads.end(turn);
                match (read, &mut self.ca) {
                    (Ok(secret), Some(ca)) => {
                        ca.read(secret);
                        self.secret_reads.succeeded(Duration::ZERO, now);
                    }
                    (Ok(_), None) => {}
                    (Err(error), _) => {
                        self.is_secret_doubted = true;
                        self.secret_reads.failed(now);
                        self.read_failed(&error, metrics);
                    }
                }
            }
            Done::WroteConditions(turn, written) => self.wrote_conditions(turn, written, metrics, now),
            Done::ReadToWrite(turn, read) => match (read, std::mem::take(&mut self.update)) {
                (Ok(secret), CaUpdate::Reading(basis)) => {
                    if let Some(ca) = &mut self.ca {
                        ca.read(secret);
                    }
                    self.bundle.end(turn);
                    self.update = CaUpdate::Read(basis);
                }
                (Ok(_), _) => self.update_ends(turn, now),
                (Err(error), _) => self.update_failed(turn, &error, metrics, now),
            },
            Done::WroteSecret(turn, written) => match (written, std::mem::take(&mut self.update)) {
                (Ok((secret, new_until)), CaUpdate::Writing(basis)) => {
                    if let Some(ca) = &mut self.ca {
                        ca.read(Some(secret));
                        log_secret(&ca.config.secret, new_until);
                    }
                    self.bundle.end(turn);
                    self.update = CaUpdate::Written(basis);
                }
                (Ok(_), _) => self.update_ends(turn, now),
                (Err(error), _) => self.update_failed(turn, &error, metrics, now),
            },
            Done::WroteBundle(turn, written) => match self.wrote(written, metrics) {
                Ok(()) => {
                    info!(registration = self.config.registration, "put the CAs of the Secret into caBundle");
                    self.update_ends(turn, now);
                }
                Err(error) => self.update_failed(turn, &error, metrics, now),
            },
        }
    }

    fn wrote_conditions(
        &mut self,
        turn: Turn,
        written: Result<ValidatingWebhookConfiguration, RequestError>,
        metrics: &Metrics,
        now: Now,
    ) {
        if !self.conditions.end(turn) {
            // Another write was begun meanwhile: the registration is read to find out.
            self.is_doubted = true;
            return;
        }
        match self.wrote(written, metrics) {
            Ok(()) => {
                let registration = &self.config.registration;
                info!(registration, "reconciled the conditions with the policies");
                self.conditions.succeeded(FIRST_PAUSE, now);
            }
            Err(error) => self.write_failed(&error, metrics, |observed| &mut observed.conditions, now),
        }
    }

    fn update_failed(&mut self, turn: Turn, error: &RequestError, metrics: &Metrics, now: Now) {
        self.update = CaUpdate::Idle;
        self.bundle.end(turn);
        self.write_failed(error, metrics, |observed| &mut observed.bundle, now);
    }

    /// Takes the registration that was written.
    fn wrote(
        &mut self,
        written: Result<ValidatingWebhookConfiguration, RequestError>,
        metrics: &Metrics,
    ) -> Result<(), RequestError> {
        self.registration.read(Some(written?));
        metrics.registration_updated("success");
        self.succeeded();
        Ok(())
    }

    fn write_failed(
        &mut self,
        error: &RequestError,
        metrics: &Metrics,
        lane: impl Fn(&mut Self) -> &mut Lane,
        now: Now,
    ) {
        if error.is_conflict() {
            // Another replica was faster. Its write may be all there was to do.
            debug!("another writer was first");
            metrics.registration_updated("conflict");
            lane(self).succeeded(FIRST_PAUSE, now);
            self.is_doubted = true;
            return;
        }
        lane(self).failed(now);
        metrics.registration_updated("error");
        self.failed(error, metrics);
    }

    /// A read that fails while there is trouble is neither counted nor logged again.
    fn read_failed(&mut self, error: &RequestError, metrics: &Metrics) {
        if self.trouble.is_none() {
            self.failed(error, metrics);
        }
    }

    /// Takes the outcomes of a self-call, one for each caller.
    fn called_ourselves(&mut self, outcomes: Vec<Outcome>, now: Now) {
        let mut ready = Ok(());
        // One webhook that lacks its CA must not take the guard away from the others.
        let is_trusted = outcomes.contains(&Outcome::Verified);
        self.distrust = None;
        for outcome in outcomes {
            match outcome {
                Outcome::Refused(problem) => {
                    let name = &self.config.registration;
                    let problem = format!("API servers that go by {name} would not trust us: {problem}");
                    if is_trusted {
                        self.distrust = Some(problem);
                    } else {
                        ready = Err(problem);
                    }
                }
                // The next call may tell. Until then readiness stays as it is.
                Outcome::Unknown if ready.is_ok() => {
                    let unknown = |_| "a call to ourselves was not answered yet".to_owned();
                    ready = self.status.ready.clone().map_err(unknown);
                }
                // The call before this one said enough.
                Outcome::Verified | Outcome::Unknown => {}
            }
        }
        if let Some(problem) = self.ca.as_ref().and_then(ObservedCa::problem)
            && ready.is_err()
        {
            ready = Err(problem.to_owned());
        }
        self.called = Some((now.instant, self.calling.clone()));
        self.status.ready = ready;
    }
}

fn log_secret(secret: &str, new_until: Option<SystemTime>) {
    if let Some(expires) = new_until {
        let expires = humantime::format_rfc3339_seconds(expires).to_string();
        info!(secret, expires, "made a new CA");
    } else {
        info!(secret, "dropped the CAs before: no certificate in use is from them");
    }
}
