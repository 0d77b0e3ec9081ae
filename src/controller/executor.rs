//! Runs actions beside each other, each with its own deadline: one that hangs delays no other.

use std::{net::SocketAddr, panic::resume_unwind, sync::Arc, time::SystemTime};

use k8s_openapi::api::{admissionregistration::v1::ValidatingWebhookConfiguration, core::v1::Secret};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use rustls::crypto::CryptoProvider;
use serde_json::Value;
use tokio::{task::JoinSet, time::timeout};

use super::{
    action::{Action, DEADLINE, Done, RequestError},
    ca::NextCa,
    callers::Caller,
    lane::Turn,
    patch, self_call,
};
use crate::certificates::{Lifetimes, OwnClient, StoredCa};

/// A Secret of the API server, and the lifetimes of what is in it.
pub(super) struct SecretApi {
    pub(super) secrets: Api<Secret>,
    pub(super) name: String,
    pub(super) lifetimes: Lifetimes,
}

/// Runs actions.
pub(super) struct Executor {
    pub(super) registrations: Api<ValidatingWebhookConfiguration>,
    pub(super) registration: String,
    pub(super) secret: Option<SecretApi>,
    pub(super) own: Arc<OwnClient>,
    pub(super) provider: Arc<CryptoProvider>,
    /// The address at which the guard can be called.
    pub(super) address: SocketAddr,
    under_way: JoinSet<Done>,
}

impl Executor {
    pub(super) fn new(
        registrations: Api<ValidatingWebhookConfiguration>,
        registration: String,
        secret: Option<SecretApi>,
        own: Arc<OwnClient>,
        address: SocketAddr,
    ) -> Self {
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        Self { registrations, registration, secret, own, provider, address, under_way: JoinSet::new() }
    }

    /// Begins an action.
    pub(super) fn begin(&mut self, turn: Turn, action: Action) {
        let (api, name) = (self.registrations.clone(), self.registration.clone());
        match action {
            Action::ReadRegistration => {
                self.under_way.spawn(async move { Done::Read(turn, within(api.get_opt(&name)).await) });
            }
            Action::WriteConditions(patch) => {
                let written = write(api, name, patch);
                self.under_way.spawn(async move { Done::WroteConditions(turn, written.await) });
            }
            Action::WriteBundle(patch) => {
                let written = write(api, name, patch);
                self.under_way.spawn(async move { Done::WroteBundle(turn, written.await) });
            }
            Action::CallOurselves(callers) => self.call(turn, callers),
            Action::ReadSecret | Action::ReadSecretToWrite | Action::WriteSecret(..) => {
                self.begin_with_secret(turn, action);
            }
        }
    }

    fn begin_with_secret(&mut self, turn: Turn, action: Action) {
        let Some(SecretApi { secrets, name, lifetimes }) = &self.secret else { return };
        let (api, name, lifetimes) = (secrets.clone(), name.clone(), *lifetimes);
        match action {
            Action::ReadSecretToWrite => {
                self.under_way.spawn(async move { Done::ReadToWrite(turn, within(api.get_opt(&name)).await) });
            }
            Action::WriteSecret(next, version) => {
                self.under_way.spawn(async move {
                    Done::WroteSecret(turn, write_secret(api, name, next, version, lifetimes).await)
                });
            }
            _ => {
                self.under_way.spawn(async move { Done::ReadSecret(turn, within(api.get_opt(&name)).await) });
            }
        }
    }

    fn call(&mut self, turn: Turn, callers: Vec<Caller>) {
        let (own, provider, address) = (Arc::clone(&self.own), Arc::clone(&self.provider), self.address);
        self.under_way.spawn(async move {
            let mut outcomes = Vec::new();
            for Caller { host, bundle } in &callers {
                outcomes.push(self_call::call(address, host, bundle, &own, &provider).await);
            }
            Done::Called(turn, outcomes)
        });
    }

    /// The next result; none while no action is under way.
    pub(super) async fn next(&mut self) -> Option<Done> {
        match self.under_way.join_next().await? {
            Ok(done) => Some(done),
            Err(error) => match error.try_into_panic() {
                Ok(panic) => resume_unwind(panic),
                // No action is cancelled but with all of them.
                Err(_) => None,
            },
        }
    }
}

/// The answer of the API server, unless it takes too long.
async fn within<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, RequestError> {
    timeout(DEADLINE, request).await.map_or(Err(RequestError::TooSlow), |answer| Ok(answer?))
}

/// Writes the registration. The patch carries the version that it was made from.
async fn write(
    api: Api<ValidatingWebhookConfiguration>,
    name: String,
    patch: Value,
) -> Result<ValidatingWebhookConfiguration, RequestError> {
    let params = PatchParams { field_manager: Some("pytorchjob-guard".to_owned()), ..PatchParams::default() };
    within(api.patch(&name, &params, &Patch::Strategic(patch))).await
}

/// Makes the next CA and writes it over that version of the Secret.
async fn write_secret(
    api: Api<Secret>,
    name: String,
    next: NextCa,
    version: Option<String>,
    lifetimes: Lifetimes,
) -> Result<(Secret, Option<SystemTime>), RequestError> {
    let now = SystemTime::now();
    let (stored, is_new) = match next {
        NextCa::First(before) => (StoredCa::new(before.as_ref(), lifetimes, now)?, true),
        NextCa::After(before) => (StoredCa::new(Some(&before), lifetimes, now)?, true),
        NextCa::Alone(stored) => (stored.alone(), false),
    };
    let patch = patch::secret(version.as_deref(), stored.data());
    let written = within(api.patch(&name, &PatchParams::default(), &Patch::Merge(patch))).await?;
    Ok((written, is_new.then(|| stored.ends())))
}
