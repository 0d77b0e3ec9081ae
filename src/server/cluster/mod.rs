//! The guard as a client of the API server that asks it: its registration, and the CA that its certificate is from.
//!
//! ```text
//!   Secret ──────────▶ CA ──────▶ own certificate ──▶ the next TLS connection
//!      ▲                │
//!      └─ renewed       ├──▶ caBundle ────┐
//!                       │                 ├─▶ registration ─▶ a TLS call to ourselves ─▶ ready?
//!   policy in force ────┴──▶ conditions ──┘         └──────▶ does it fit the policy?
//!   policy that waits ────────────┘  (stricter first, see `gate`)
//! ```
//!
//! Every replica does the same, and none leads: each write is made over the version it was decided on, and whoever comes too
//! late reads again. What is needed for serving is in memory, so an API server that is away changes nothing.

mod authority;
mod gate;
mod patch;
mod requests;
mod self_call;
mod standing;
mod trust;
mod view;

#[cfg(test)]
mod tests;

use std::{
    future::pending,
    net::SocketAddr,
    panic::resume_unwind,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{Stream, StreamExt as _, stream};
use k8s_openapi::api::{admissionregistration::v1::ValidatingWebhookConfiguration, core::v1::Secret};
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher, watcher::watch_object},
};
use rustls::{crypto::CryptoProvider, pki_types::CertificateDer};
use serde_json::Value;
use tokio::{
    sync::watch,
    task::JoinSet,
    time::{Instant, sleep_until},
};
use tracing::{debug, info, warn};

use super::{
    clients::OwnClient,
    config::ClusterConfig,
    state::State,
    tls::{self, ClientCa, Identity, TlsError},
};
use crate::{
    certificates::{CertificateError, Signed},
    registration::misfits,
};
use authority::{Certificates, Due};
pub(super) use gate::Gate;
use patch::{Conditions, Wanted};
use requests::{Done, FIRST_PAUSE, RequestError, Turns, within};
use self_call::Outcome;
pub(super) use standing::Standing;
use view::{Caller, Followed, Quiet, Seen};

/// How often we call ourselves where nothing seems to have changed, and how often until that succeeds.
const CALL_INTERVAL: Duration = Duration::from_secs(10);
const RECALL_INTERVAL: Duration = Duration::from_millis(500);
/// How long API servers may take until they act on what they were sent: they learn of it by watches of their own.
const TAKES_EFFECT: Duration = Duration::from_secs(2);

/// Why the cluster cannot be looked after at all; the message names the flag.
#[derive(Debug, thiserror::Error)]
pub enum ClusterError {
    /// There is nothing that says where the API server is.
    #[error("--registration: there is no API server to ask: {0}")]
    Config(Box<kube::config::InferConfigError>),
    /// What says it cannot be used.
    #[error("--registration: the API server cannot be asked: {0}")]
    Client(Box<kube::Error>),
    /// A certificate cannot be made.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// Or cannot be served.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// Nor one to call ourselves with.
    #[error("a client certificate of our own cannot be made: {0}")]
    OwnClient(#[from] rcgen::Error),
}

/// Looks after the registration, and after the certificate where that is ours to make.
///
/// It decides by what it has seen, in [`Self::attend`], which waits for nothing. Whatever takes time is under way beside it.
pub(super) struct Caretaker {
    config: ClusterConfig,
    registrations: Api<ValidatingWebhookConfiguration>,
    certificates: Option<Certificates>,
    /// The CAs of the clients that are let in, where the certificate is ours to make.
    clients: Option<watch::Receiver<ClientCa>>,
    own: Arc<OwnClient>,
    provider: Arc<CryptoProvider>,
    gate: Arc<Gate>,

    registration: Followed<ValidatingWebhookConfiguration>,
    quiet: Quiet,
    ready: Result<(), String>,
    trouble: Option<String>,

    under_way: JoinSet<Done>,
    calls: Turns,
    /// With what we are calling ourselves.
    calling: Vec<Caller>,
    /// When the last call to ourselves ended, and what it was made with.
    called: Option<(Instant, Vec<Caller>)>,
    reads: Turns,
    /// Whether the registration has to be read, for what a watch said may be older than what is known.
    is_doubted: bool,
    /// When the API server was last asked whether the trouble is over.
    asked: Option<Instant>,
    secret_reads: Turns,
    is_secret_doubted: bool,
    conditions: Turns,
    bundle: Turns,
    /// The registration that the next bundle is written over.
    basis: Option<ValidatingWebhookConfiguration>,
}

impl Caretaker {
    /// Finds the API server, which need not answer yet.
    pub(super) async fn new(
        config: ClusterConfig,
        gate: Arc<Gate>,
        clients: Option<watch::Receiver<ClientCa>>,
    ) -> Result<Self, ClusterError> {
        let found = kube::Config::infer().await.map_err(|error| ClusterError::Config(Box::new(error)))?;
        Self::of(found, config, gate, clients)
    }

    fn of(
        found: kube::Config,
        config: ClusterConfig,
        gate: Arc<Gate>,
        clients: Option<watch::Receiver<ClientCa>>,
    ) -> Result<Self, ClusterError> {
        let client = Client::try_from(found).map_err(|error| ClusterError::Client(Box::new(error)))?;
        let certificates = match (&config.certificates, &config.service) {
            (Some(managed), Some(service)) => Some(Certificates::new(managed.clone(), service, client.clone())?),
            _ => None,
        };
        Ok(Self {
            config,
            registrations: Api::all(client),
            certificates,
            clients,
            own: Arc::new(OwnClient::new()?),
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            gate,
            registration: Followed::new(),
            quiet: Quiet::default(),
            ready: Standing::unknown().ready,
            trouble: None,
            under_way: JoinSet::new(),
            calls: Turns::default(),
            calling: Vec::new(),
            called: None,
            reads: Turns::default(),
            is_doubted: false,
            asked: None,
            secret_reads: Turns::default(),
            is_secret_doubted: false,
            conditions: Turns::default(),
            bundle: Turns::default(),
            basis: None,
        })
    }

    /// The certificate that we show where one is demanded of clients.
    pub(super) fn certificate(&self) -> CertificateDer<'static> {
        self.own.certificate.clone()
    }

    /// What serves until the Secret has been read: a certificate that nobody trusts.
    pub(super) fn stand_in(&self) -> Result<Option<Identity>, ClusterError> {
        let leaf = self.certificates.as_ref().map(Certificates::stand_in).transpose()?;
        Ok(leaf.map(|leaf| self.identity(&leaf)).transpose()?)
    }

    fn identity(&self, leaf: &Signed) -> Result<Identity, TlsError> {
        let clients = self.clients.as_ref().map(|clients| clients.borrow().clone());
        tls::managed(leaf, clients.as_ref(), Some(&self.own.certificate), &self.provider)
    }

    /// Goes on for as long as the server runs. `address` is where it can be called.
    pub(super) async fn run(mut self, address: SocketAddr, state: Arc<State>) {
        let mut waiting = self.gate.changes();
        let mut registrations = pin!(events(self.registrations.clone(), &self.config.registration));
        let secrets = self.certificates.as_ref().map(|certificates| certificates.events().left_stream());
        let mut secrets = pin!(secrets.unwrap_or_else(|| stream::pending().right_stream()));
        loop {
            let next = self.attend(address, &state);
            tokio::select! {
                Some(event) = registrations.next() => match event {
                    Ok(registration) => {
                        self.is_doubted |= !self.registration.hear(registration);
                        self.succeeded();
                    }
                    Err(error) => self.failed(&state, &error),
                },
                Some(event) = secrets.next() => match event {
                    Ok(secret) => {
                        if let Some(certificates) = &mut self.certificates {
                            self.is_secret_doubted |= !certificates.heard(secret);
                        }
                        self.succeeded();
                    }
                    Err(error) => self.failed(&state, &error),
                },
                Some(done) = self.under_way.join_next() => match done {
                    Ok(done) => self.take(&state, done),
                    Err(error) => if let Ok(panic) = error.try_into_panic() {
                        resume_unwind(panic);
                    },
                },
                // A policy that waits does not wait for what failed before, or hangs.
                _ = waiting.changed() => self.conditions.forget(),
                () = changed(&mut self.clients) => {
                    self.serve_leaf(&state);
                }
                () = sleep_until(next) => {}
            }
        }
    }

    /// Begins what there is to do, and says when to look again if nothing happens before.
    fn attend(&mut self, address: SocketAddr, state: &State) -> Instant {
        let (begun, now) = (Instant::now(), SystemTime::now());
        self.quiet.look(self.registration.seen(), &state.policy(), self.gate.waiting().as_ref());
        self.renew_leaf(state, now);
        self.begin_reads();
        self.begin_writes(state, now);
        self.call_ourselves(address);
        self.open_gate();
        self.tell(state);
        let turns = [&self.calls, &self.reads, &self.secret_reads, &self.conditions, &self.bundle];
        let moments = [
            self.quiet.since.map(|since| since + TAKES_EFFECT),
            self.loosened_at(),
            self.called.as_ref().map(|(at, _)| *at + self.call_interval()),
            self.trouble.as_ref().and(self.asked).map(|asked| asked + CALL_INTERVAL),
            self.certificates.as_ref().and_then(|certificates| certificates.next_due(now)),
        ];
        let moments = moments.into_iter().flatten().chain(turns.into_iter().filter_map(Turns::again_at));
        moments.filter(|moment| *moment > begun).fold(begun + self.call_interval(), Instant::min)
    }

    fn call_interval(&self) -> Duration {
        if self.ready.is_ok() { CALL_INTERVAL } else { RECALL_INTERVAL }
    }

    /// When the conditions may be loosened, if all stays quiet.
    fn loosened_at(&self) -> Option<Instant> {
        Some(self.quiet.since? + self.config.conditions?)
    }

    /// The conditions as they should be, as far as can be told from what was seen.
    fn conditions_patch(&self, state: &State) -> Option<Value> {
        self.config.conditions?;
        let (policy, waiting) = (state.policy(), self.gate.waiting());
        let is_quiet = self.loosened_at().is_some_and(|at| at <= Instant::now()) && waiting.is_none();
        let conditions = if is_quiet {
            Conditions::Are(&policy)
        } else {
            Conditions::Fit([Some(&policy), waiting.as_ref()].into_iter().flatten().map(|policy| &**policy).collect())
        };
        let wanted = Wanted { service: self.config.service.as_ref(), bundle: None, conditions: Some(conditions) };
        patch::registration(self.registration.there()?, &wanted)
    }

    /// This registration's bundle as it should be, by the Secret that was seen last.
    fn bundle_patch(&self, registration: &ValidatingWebhookConfiguration) -> Option<Value> {
        let bundle = self.certificates.as_ref()?.bundle()?;
        let wanted = Wanted { service: self.config.service.as_ref(), bundle: Some(bundle), conditions: None };
        patch::registration(registration, &wanted)
    }

    /// Reads what a watch left in doubt. And a watch that goes on where it was says nothing of the end of trouble: so the API
    /// server is asked.
    fn begin_reads(&mut self) {
        let asks = self.trouble.is_some() && self.asked.is_none_or(|asked| asked.elapsed() >= CALL_INTERVAL);
        if (self.is_doubted || asks) && self.reads.may_begin() {
            self.is_doubted = false;
            self.asked = Some(Instant::now());
            let (api, name) = (self.registrations.clone(), self.config.registration.clone());
            let turn = self.reads.begin();
            self.under_way.spawn(async move { Done::Read(turn, within(api.get_opt(&name)).await) });
        }
        if self.is_secret_doubted
            && self.secret_reads.may_begin()
            && let Some(certificates) = &self.certificates
        {
            self.is_secret_doubted = false;
            let (api, name) = certificates.secret();
            let turn = self.secret_reads.begin();
            self.under_way.spawn(async move { Done::ReadSecret(turn, within(api.get_opt(&name)).await) });
        }
    }

    /// Begins to write what is not as it should be. Each write is made over the version that it was decided on.
    fn begin_writes(&mut self, state: &State, now: SystemTime) {
        if self.conditions.may_begin()
            && let Some(patch) = self.conditions_patch(state)
        {
            let turn = self.conditions.begin();
            let written = self.patch(patch);
            self.under_way.spawn(async move { Done::WroteConditions(turn, written.await) });
        }
        if !self.bundle.may_begin() {
            return;
        }
        let Some(certificates) = &self.certificates else { return };
        let is_bundle_due = || self.bundle_patch(self.registration.there()?);
        if certificates.is_due(now) || is_bundle_due().is_some() {
            // The registration is known before the Secret is read, and every CA is in the Secret before it is in a bundle: so a
            // CA that is in this bundle and not in that Secret is one that was given up, and not one that we have yet to hear of.
            self.basis = self.registration.there().cloned();
            let (api, name) = certificates.secret();
            let turn = self.bundle.begin();
            self.under_way.spawn(async move { Done::ReadToWrite(turn, within(api.get_opt(&name)).await) });
        }
    }

    fn patch(
        &self,
        patch: Value,
    ) -> impl Future<Output = Result<ValidatingWebhookConfiguration, RequestError>> + Send + use<> {
        let (api, name) = (self.registrations.clone(), self.config.registration.clone());
        let params = PatchParams { field_manager: Some("pytorchjob-guard".to_owned()), ..PatchParams::default() };
        async move { within(api.patch(&name, &params, &Patch::Strategic(patch))).await }
    }

    /// Takes what came of what was under way.
    fn take(&mut self, state: &State, done: Done) {
        match done {
            Done::Called(turn, outcomes) if self.calls.ends(turn) => self.was_called(outcomes),
            Done::Called(..) => {}
            Done::Read(turn, read) => {
                self.reads.ends(turn);
                match read {
                    Ok(registration) => {
                        self.registration.saw(registration);
                        self.reads.succeeded(Duration::ZERO);
                        self.succeeded();
                    }
                    Err(error) => {
                        self.is_doubted = true;
                        self.reads.failed();
                        self.read_failed(state, &error);
                    }
                }
            }
            Done::ReadSecret(turn, read) => {
                self.secret_reads.ends(turn);
                match (read, &mut self.certificates) {
                    (Ok(secret), Some(certificates)) => {
                        certificates.saw(secret);
                        self.secret_reads.succeeded(Duration::ZERO);
                    }
                    (Ok(_), None) => {}
                    (Err(error), _) => {
                        self.is_secret_doubted = true;
                        self.secret_reads.failed();
                        self.read_failed(state, &error);
                    }
                }
            }
            Done::WroteConditions(turn, written) => {
                if self.conditions.ends(turn) {
                    match self.wrote(state, written) {
                        Ok(()) => {
                            let (name, policy) = (&self.config.registration, state.policy());
                            info!(
                                registration = name,
                                policy = policy.name(),
                                "brought the conditions in step with the policy"
                            );
                            self.conditions.succeeded(FIRST_PAUSE);
                        }
                        Err(error) => self.write_failed(state, &error, |caretaker| &mut caretaker.conditions),
                    }
                } else {
                    // Another write was begun meanwhile: what there is now is found out.
                    self.is_doubted = true;
                }
            }
            Done::ReadToWrite(turn, read) => self.read_to_write(state, turn, read),
            Done::WroteSecret(turn, written, new_until) => {
                let written = written.map(|secret| {
                    if let Some(certificates) = &mut self.certificates {
                        certificates.saw(Some(secret));
                    }
                    self.say_of_secret(new_until);
                });
                match written {
                    Ok(()) => self.write_bundle(turn),
                    Err(error) => self.bundle_failed(state, turn, &error),
                }
            }
            Done::WroteBundle(turn, written) => match self.wrote(state, written) {
                Ok(()) => {
                    info!(registration = self.config.registration, "put the CAs of the Secret into caBundle");
                    self.bundle_ends(turn);
                }
                Err(error) => self.bundle_failed(state, turn, &error),
            },
        }
    }

    /// Writes to the Secret what is due in it, now that it was read, and then to the bundle.
    fn read_to_write(&mut self, state: &State, turn: u64, read: Result<Option<Secret>, RequestError>) {
        let Some(certificates) = &mut self.certificates else { return };
        let due = read.and_then(|secret| {
            certificates.saw(secret);
            Ok(certificates.due(SystemTime::now())?)
        });
        match due {
            Ok(Some(Due { patch, new_until })) => {
                let (api, name) = certificates.secret();
                self.under_way.spawn(async move {
                    let written = within(api.patch(&name, &PatchParams::default(), &Patch::Merge(patch))).await;
                    Done::WroteSecret(turn, written, new_until)
                });
            }
            Ok(None) => self.write_bundle(turn),
            Err(error) => self.bundle_failed(state, turn, &error),
        }
    }

    fn say_of_secret(&self, new_until: Option<SystemTime>) {
        let secret = self.config.certificates.as_ref().map(|managed| managed.secret.as_str());
        if let Some(ends) = new_until {
            let ends = humantime::format_rfc3339_seconds(ends).to_string();
            info!(secret, ends, "made a new CA");
        } else {
            info!(secret, "gave up the CAs before: no certificate is from them any more");
        }
    }

    fn write_bundle(&mut self, turn: u64) {
        let basis = self.basis.take();
        let Some(patch) = basis.and_then(|basis| self.bundle_patch(&basis)) else {
            self.bundle_ends(turn);
            return;
        };
        let written = self.patch(patch);
        self.under_way.spawn(async move { Done::WroteBundle(turn, written.await) });
    }

    fn bundle_ends(&mut self, turn: u64) {
        self.bundle.ends(turn);
        self.bundle.succeeded(FIRST_PAUSE);
        self.succeeded();
    }

    fn bundle_failed(&mut self, state: &State, turn: u64, error: &RequestError) {
        self.bundle.ends(turn);
        self.write_failed(state, error, |caretaker| &mut caretaker.bundle);
    }

    /// Takes the registration that was written.
    fn wrote(
        &mut self,
        state: &State,
        written: Result<ValidatingWebhookConfiguration, RequestError>,
    ) -> Result<(), RequestError> {
        self.registration.saw(Some(written?));
        state.metrics.cluster.registration_updated("success");
        self.succeeded();
        Ok(())
    }

    fn write_failed(&mut self, state: &State, error: &RequestError, turns: impl Fn(&mut Self) -> &mut Turns) {
        if matches!(error, RequestError::Api(kube::Error::Api(status)) if status.code == 409) {
            // Another replica was faster. What it wrote may be all there was to do.
            debug!("somebody else wrote first");
            state.metrics.cluster.registration_updated("conflict");
            turns(self).succeeded(FIRST_PAUSE);
            self.is_doubted = true;
            return;
        }
        turns(self).failed();
        state.metrics.cluster.registration_updated("error");
        self.failed(state, error);
    }

    /// What fails once more while there is trouble was said.
    fn read_failed(&mut self, state: &State, error: &RequestError) {
        if self.trouble.is_none() {
            self.failed(state, error);
        }
    }

    fn succeeded(&mut self) {
        if self.trouble.take().is_some() {
            info!("the cluster is looked after again");
        }
    }

    /// Counts a failure, and says it if it is not the one before.
    fn failed(&mut self, state: &State, error: &dyn std::error::Error) {
        state.metrics.cluster.api_server_errors.inc();
        let trouble = causes(error);
        if self.trouble.as_ref() != Some(&trouble) {
            warn!(error = trouble, "the cluster cannot be looked after; what is in memory goes on serving");
            if matches!(self.registration.seen(), Seen::NotYet) {
                self.ready = Err(format!("the API server was not reached yet: {trouble}"));
            }
            self.trouble = Some(trouble);
        }
    }

    /// Serves the next certificate where one is due.
    fn renew_leaf(&mut self, state: &State, now: SystemTime) {
        let callers = self.callers();
        let Some(certificates) = &mut self.certificates else { return };
        match certificates.next_leaf(&callers, now) {
            Ok(Some(leaf)) => {
                let renewed = humantime::format_rfc3339_seconds(leaf.renewed_at).to_string();
                certificates.serves(leaf);
                if self.serve_leaf(state) {
                    info!(renewed, "serving a certificate of our own, signed by the CA in the Secret");
                }
            }
            Ok(None) => {}
            Err(error) => warn!(%error, "a certificate cannot be signed"),
        }
    }

    /// Serves our own certificate to the clients that are let in now. False if there is none, or it cannot serve.
    fn serve_leaf(&mut self, state: &State) -> bool {
        let Some(leaf) = self.certificates.as_ref().and_then(Certificates::leaf) else { return false };
        match self.identity(leaf) {
            Ok(identity) => {
                state.set_tls(identity.config);
                state.metrics.certificate_reloaded(identity.validity);
                // What is under way saw the one before.
                self.calls.forget();
                self.called = None;
                true
            }
            Err(error) => {
                warn!(%error, "the certificate that was signed cannot be served");
                false
            }
        }
    }

    /// By whom the registration has us called.
    fn callers(&self) -> Vec<Caller> {
        let callers = |registration| view::callers(registration, self.config.service.as_ref());
        self.registration.there().map(callers).unwrap_or_default()
    }

    /// Begins to find out whether the API server could call us with what it holds.
    fn call_ourselves(&mut self, address: SocketAddr) {
        match self.registration.seen() {
            Seen::There(_) => {}
            // What is taken away may come back as it was: nobody can call us until then, and nobody wants to.
            Seen::Gone => {
                if self.ready.is_err() {
                    let name = &self.config.registration;
                    self.ready = Err(format!("there is no ValidatingWebhookConfiguration {name}"));
                }
                return;
            }
            Seen::NotYet => return,
        }
        let callers = self.callers();
        let is_calling = self.calls.is_under_way() && self.calling == callers;
        let is_fresh = |(at, with): &(Instant, Vec<Caller>)| *with == callers && at.elapsed() < self.call_interval();
        if is_calling || self.called.as_ref().is_some_and(is_fresh) {
            return;
        }
        if let Some(waits) = self.certificates.as_ref().and_then(Certificates::waits_for) {
            // What serves until then is trusted by nobody.
            self.ready = Err(waits);
            return;
        }
        if callers.is_empty() {
            // As good as gone.
            self.ready =
                self.ready.clone().map_err(|_| format!("no webhook of {} leads here", self.config.registration));
            self.called = Some((Instant::now(), callers));
            return;
        }
        self.calling.clone_from(&callers);
        let turn = self.calls.begin();
        let (own, provider) = (Arc::clone(&self.own), Arc::clone(&self.provider));
        self.under_way.spawn(async move {
            let mut outcomes = Vec::new();
            for Caller { host, bundle } in &callers {
                outcomes.push(self_call::call(address, host, bundle, &own, &provider).await);
            }
            Done::Called(turn, outcomes)
        });
    }

    /// Takes what came of calls to ourselves.
    fn was_called(&mut self, outcomes: Vec<Outcome>) {
        let mut ready = Ok(());
        for outcome in outcomes {
            match outcome {
                Outcome::Refused(problem) => {
                    let name = &self.config.registration;
                    ready = Err(format!("API servers that go by {name} would not trust us: {problem}"));
                }
                // The next call may tell. Until then it is as it was.
                Outcome::Unknown if ready.is_ok() => {
                    ready = self.ready.clone().map_err(|_| "a call to ourselves was not answered yet".to_owned());
                }
                // The call before this one said enough.
                Outcome::Verified | Outcome::Unknown => {}
            }
        }
        if let Some(problem) = self.certificates.as_ref().and_then(Certificates::problem)
            && ready.is_err()
        {
            ready = Err(problem.to_owned());
        }
        self.called = Some((Instant::now(), self.calling.clone()));
        self.ready = ready;
    }

    /// Lets the policy that waits through once API servers ask about everything it refuses.
    fn open_gate(&self) {
        let Some(waiting) = self.gate.waiting() else { return };
        let is_open = match self.registration.seen() {
            Seen::There(registration) => {
                let wanted = Wanted {
                    service: self.config.service.as_ref(),
                    bundle: None,
                    conditions: Some(Conditions::Fit(vec![&waiting])),
                };
                patch::registration(registration, &wanted).is_none()
                    && self.quiet.since.is_some_and(|since| since.elapsed() >= TAKES_EFFECT)
            }
            Seen::Gone => true,
            Seen::NotYet => false,
        };
        if is_open {
            self.gate.open(waiting);
        }
    }

    /// Tells probes and metrics how it stands.
    fn tell(&self, state: &State) {
        let policy = state.policy();
        let misfits = match self.registration.seen() {
            Seen::There(registration) => {
                Some(misfits(registration, self.config.service.as_ref(), &policy, &self.config.declared))
            }
            Seen::Gone => {
                Some(vec![format!("there is no ValidatingWebhookConfiguration {}", self.config.registration)])
            }
            Seen::NotYet => None,
        };
        let ca = match &self.certificates {
            Some(certificates) => certificates.ca_validity(),
            None => view::longest(&self.callers()),
        };
        if let Some(validity) = ca {
            state.metrics.cluster.ca_is(validity);
        }
        if let Some(kept) = self.certificates.as_ref().and_then(Certificates::is_kept) {
            state.metrics.cluster.ca_is_kept(kept);
        }
        let problem = self.certificates.as_ref().and_then(Certificates::problem).map(str::to_owned);
        state.set_standing(Standing { ready: self.ready.clone(), misfits, problem });
    }
}

/// Waits until the CAs of the clients are others.
async fn changed(clients: &mut Option<watch::Receiver<ClientCa>>) {
    if let Some(clients) = clients
        && clients.changed().await.is_ok()
    {
        return;
    }
    pending::<()>().await;
}

/// The states of one object, from now on.
fn events<K>(api: Api<K>, name: &str) -> impl Stream<Item = Result<Option<K>, watcher::Error>> + Send + use<K>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    // A failing watch is begun again, with pauses that grow.
    watch_object(api, name).default_backoff()
}

/// What went wrong, and why.
fn causes(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(error.source(), |error| error.source()).map(ToString::to_string);
    let mut said = error.to_string();
    for source in sources {
        // Many errors repeat what they are made from.
        if !said.contains(&source) {
            said = format!("{said}: {source}");
        }
    }
    said
}
