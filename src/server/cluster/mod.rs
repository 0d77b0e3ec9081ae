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
mod self_call;
mod standing;
mod view;

use std::{
    net::SocketAddr,
    pin::pin,
    sync::Arc,
    time::{Duration, SystemTime},
};

use futures_util::{Stream, StreamExt as _, stream};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::{
    Api, Client,
    api::{Patch, PatchParams},
    runtime::{WatchStreamExt as _, watcher, watcher::watch_object},
};
use rustls::crypto::CryptoProvider;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info, warn};

use super::{
    config::ClusterConfig,
    state::State,
    tls::{self, Identity, TlsError},
};
use crate::{certificates::CertificateError, registration::misfits};
use authority::Certificates;
pub(super) use gate::Gate;
use patch::{Conditions, Wanted};
use self_call::Outcome;
pub(super) use standing::Standing;
use view::{Caller, Quiet, Seen};

/// How long reading and writing once may take.
const DEADLINE: Duration = Duration::from_secs(10);
/// The pauses after writes that failed.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
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
}

/// Why a write failed this time.
#[derive(Debug, thiserror::Error)]
enum WriteError {
    #[error("the API server says: {0}")]
    Api(#[from] kube::Error),
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    #[error("the API server did not answer within {}", humantime::format_duration(DEADLINE))]
    TooSlow,
}

/// Looks after the registration, and after the certificate where that is ours to make.
pub(super) struct Caretaker {
    config: ClusterConfig,
    registrations: Api<ValidatingWebhookConfiguration>,
    certificates: Option<Certificates>,
    provider: Arc<CryptoProvider>,
    gate: Arc<Gate>,

    registration: Seen<ValidatingWebhookConfiguration>,
    quiet: Quiet,
    /// What came of the last call to ourselves, when that was, and what it was made with.
    called: Option<(Instant, Vec<Caller>)>,
    ready: Result<(), String>,
    pause: Option<Duration>,
    write_again_at: Instant,
    trouble: Option<String>,
    /// When the API server was last asked whether the trouble is over.
    asked: Option<Instant>,
}

impl Caretaker {
    /// Finds the API server, which need not answer yet.
    pub(super) async fn new(config: ClusterConfig, gate: Arc<Gate>) -> Result<Self, ClusterError> {
        let found = kube::Config::infer().await.map_err(|error| ClusterError::Config(Box::new(error)))?;
        let client = Client::try_from(found).map_err(|error| ClusterError::Client(Box::new(error)))?;
        let certificates = match (&config.certificates, &config.service) {
            (Some(managed), Some(service)) => Some(Certificates::new(managed.clone(), service, client.clone())?),
            _ => None,
        };
        Ok(Self {
            config,
            registrations: Api::all(client),
            certificates,
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            gate,
            registration: Seen::NotYet,
            quiet: Quiet::default(),
            called: None,
            ready: Standing::unknown().ready,
            pause: None,
            write_again_at: Instant::now(),
            trouble: None,
            asked: None,
        })
    }

    /// What serves until the Secret has been read: a certificate that nobody trusts.
    pub(super) fn stand_in(&self) -> Result<Option<Identity>, ClusterError> {
        let leaf = self.certificates.as_ref().map(Certificates::stand_in).transpose()?;
        Ok(leaf.map(|leaf| tls::managed(&leaf, &self.provider)).transpose()?)
    }

    /// Goes on for as long as the server runs. `address` is where it can be called.
    pub(super) async fn run(mut self, address: SocketAddr, state: Arc<State>) {
        let mut waiting = self.gate.changes();
        let mut registrations = pin!(events(self.registrations.clone(), &self.config.registration));
        let secrets = self.certificates.as_ref().map(|certificates| certificates.events().left_stream());
        let mut secrets = pin!(secrets.unwrap_or_else(|| stream::pending().right_stream()));
        loop {
            let next = self.attend(address, &state).await;
            tokio::select! {
                Some(event) = registrations.next() => match event {
                    Ok(registration) => {
                        self.registration.hear(registration);
                        self.succeeded();
                    }
                    Err(error) => self.failed(&state, &error),
                },
                Some(event) = secrets.next() => match event {
                    Ok(secret) => {
                        if let Some(certificates) = &mut self.certificates {
                            certificates.heard(secret);
                        }
                        self.succeeded();
                    }
                    Err(error) => self.failed(&state, &error),
                },
                // A policy that waits does not wait for what failed before.
                _ = waiting.changed() => self.write_again_at = Instant::now(),
                () = sleep_until(next) => {}
            }
        }
    }

    /// Does what there is to do, and says when to look again if nothing happens before.
    async fn attend(&mut self, address: SocketAddr, state: &State) -> Instant {
        let mut next = Instant::now() + CALL_INTERVAL;
        let now = SystemTime::now();
        self.quiet.look(&self.registration, &state.policy(), self.gate.waiting().as_ref());
        // Before anything that waits for the API server.
        self.renew_leaf(state, now);
        if self.is_write_due(state, now) {
            if Instant::now() >= self.write_again_at {
                let written = timeout(DEADLINE, self.write(state, now)).await.unwrap_or(Err(WriteError::TooSlow));
                if let Err(error) = written {
                    self.write_failed(state, &error);
                } else {
                    self.pause = None;
                    // Whoever undoes what is written is not to be fought at full speed.
                    self.write_again_at = Instant::now() + FIRST_PAUSE;
                    self.succeeded();
                }
            }
            next = next.min(self.write_again_at.max(Instant::now() + FIRST_PAUSE));
        }
        self.see_the_end_of_trouble().await;
        self.quiet.look(&self.registration, &state.policy(), self.gate.waiting().as_ref());
        self.renew_leaf(state, now);
        self.call_ourselves(address).await;
        self.open_gate();
        self.tell(state);
        next = next.min(Instant::now() + if self.ready.is_ok() { CALL_INTERVAL } else { RECALL_INTERVAL });
        for moment in [
            self.quiet.since.map(|since| since + TAKES_EFFECT),
            self.loosened_at(),
            self.certificates.as_ref().and_then(|certificates| certificates.next_due(now)),
        ] {
            next = next.min(moment.filter(|moment| *moment > Instant::now()).unwrap_or(next));
        }
        next
    }

    /// When the conditions may be loosened, if all stays quiet.
    fn loosened_at(&self) -> Option<Instant> {
        Some(self.quiet.since? + self.config.conditions?)
    }

    /// Whether something of ours is not as it should be, as far as can be told from what was seen.
    fn is_write_due(&self, state: &State, now: SystemTime) -> bool {
        let certificates_due = self.certificates.as_ref().is_some_and(|certificates| certificates.is_due(now));
        certificates_due || self.patch_for(state, true).is_some()
    }

    /// What is to be written to the registration. A bundle is made only of a Secret that is `known`.
    fn patch_for(&self, state: &State, known: bool) -> Option<(serde_json::Value, patch::Changes)> {
        let registration = self.registration.there()?;
        let policy = state.policy();
        let waiting = self.gate.waiting();
        let is_quiet = self.loosened_at().is_some_and(|at| at <= Instant::now()) && waiting.is_none();
        let wanted = Wanted {
            service: self.config.service.as_ref(),
            bundle: self.certificates.as_ref().filter(|_| known).and_then(Certificates::bundle),
            conditions: self.config.conditions.map(|_| {
                if is_quiet {
                    Conditions::Are(&policy)
                } else {
                    Conditions::Fit(
                        [Some(&policy), waiting.as_ref()].into_iter().flatten().map(|policy| &**policy).collect(),
                    )
                }
            }),
        };
        patch::registration(registration, &wanted)
    }

    /// Reads all of it anew and writes what is due.
    ///
    /// The registration is read before the Secret, and every CA is in the Secret before it is in a bundle: so a CA that is
    /// in this bundle and not in this Secret is one that was given up, and not one that we have yet to hear of.
    async fn write(&mut self, state: &State, now: SystemTime) -> Result<(), WriteError> {
        let registration = self.registrations.get_opt(&self.config.registration).await?;
        // Trouble with the Secret must not keep conditions from being tightened.
        let secret = match &mut self.certificates {
            Some(certificates) => certificates.write(now).await,
            None => Ok(()),
        };
        self.registration = registration.into();
        // What was quiet for long may just have been changed.
        self.quiet.look(&self.registration, &state.policy(), self.gate.waiting().as_ref());
        let Some((patch, changes)) = self.patch_for(state, secret.is_ok()) else { return secret };
        let params = PatchParams { field_manager: Some("pytorchjob-guard".to_owned()), ..PatchParams::default() };
        let patched = self.registrations.patch(&self.config.registration, &params, &Patch::Strategic(patch)).await?;
        self.registration = Seen::There(Box::new(patched));
        state.metrics.cluster.registration_updated("success");
        let (name, policy) = (&self.config.registration, state.policy());
        if changes.bundle {
            info!(registration = name, "put the CAs of the Secret into caBundle");
        }
        if changes.conditions {
            info!(registration = name, policy = policy.name(), "brought the conditions in step with the policy");
        }
        secret
    }

    fn write_failed(&mut self, state: &State, error: &WriteError) {
        let pause = self.pause.map_or(FIRST_PAUSE, |pause| (pause * 2).min(LONGEST_PAUSE));
        self.write_again_at = Instant::now() + pause;
        if matches!(error, WriteError::Api(kube::Error::Api(status)) if status.code == 409) {
            // Another replica was faster. What it wrote may be all there was to do.
            debug!("somebody else wrote first");
            state.metrics.cluster.registration_updated("conflict");
            return;
        }
        self.pause = Some(pause);
        state.metrics.cluster.registration_updated("error");
        self.failed(state, error);
    }

    /// A watch that goes on where it was says nothing of it. So the API server is asked.
    async fn see_the_end_of_trouble(&mut self) {
        if self.trouble.is_none() || self.asked.is_some_and(|asked| asked.elapsed() < CALL_INTERVAL) {
            return;
        }
        self.asked = Some(Instant::now());
        let answer = timeout(DEADLINE, self.registrations.get_opt(&self.config.registration)).await;
        if let Ok(Ok(registration)) = answer {
            self.registration = registration.into();
            self.succeeded();
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
            if matches!(self.registration, Seen::NotYet) {
                self.ready = Err(format!("the API server was not reached yet: {trouble}"));
            }
            self.trouble = Some(trouble);
        }
    }

    /// Serves the next certificate where one is due.
    fn renew_leaf(&mut self, state: &State, now: SystemTime) {
        let Some(certificates) = &mut self.certificates else { return };
        let callers = callers(&self.registration, &self.config);
        match certificates.next_leaf(&callers, now) {
            Ok(Some(leaf)) => match tls::managed(&leaf, &self.provider) {
                Ok(identity) => {
                    state.set_tls(identity.config);
                    state.metrics.certificate_reloaded(identity.validity);
                    let renewed = humantime::format_rfc3339_seconds(leaf.renewed_at).to_string();
                    info!(renewed, "serving a certificate of our own, signed by the CA in the Secret");
                    certificates.serves(leaf);
                    self.called = None;
                }
                Err(error) => warn!(%error, "the certificate that was signed cannot be served"),
            },
            Ok(None) => {}
            Err(error) => warn!(%error, "a certificate cannot be signed"),
        }
    }

    /// Finds out whether the API server could call us with what it holds.
    async fn call_ourselves(&mut self, address: SocketAddr) {
        let registration = match &self.registration {
            Seen::There(registration) => registration,
            // What is taken away may come back as it was: nobody can call us until then, and nobody wants to.
            Seen::Gone => {
                if self.ready.is_err() {
                    let name = &self.config.registration;
                    self.ready = Err(format!("there is no ValidatingWebhookConfiguration {name}"));
                }
                return;
            }
            Seen::NotYet => return,
        };
        let callers = view::callers(registration, self.config.service.as_ref());
        if let Some((at, with)) = &self.called
            && *with == callers
            && at.elapsed() < if self.ready.is_ok() { CALL_INTERVAL } else { RECALL_INTERVAL }
        {
            return;
        }
        let mut ready = Ok(());
        if let Some(waits) = self.certificates.as_ref().and_then(Certificates::waits_for) {
            // What serves until then is trusted by nobody.
            self.ready = Err(waits);
            return;
        }
        if callers.is_empty() {
            // As good as gone.
            ready = self.ready.clone().map_err(|_| format!("no webhook of {} leads here", self.config.registration));
        }
        for Caller { host, bundle } in &callers {
            match self_call::call(address, host, bundle, &self.provider).await {
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
        self.called = Some((Instant::now(), callers));
        self.ready = ready;
    }

    /// Lets the policy that waits through once API servers ask about everything it refuses.
    fn open_gate(&self) {
        let Some(waiting) = self.gate.waiting() else { return };
        let is_open = match &self.registration {
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
        let misfits = match &self.registration {
            Seen::There(registration) => Some(misfits(registration, self.config.service.as_ref(), &policy)),
            Seen::Gone => {
                Some(vec![format!("there is no ValidatingWebhookConfiguration {}", self.config.registration)])
            }
            Seen::NotYet => None,
        };
        let ca = match &self.certificates {
            Some(certificates) => certificates.ca_validity(),
            None => view::longest(&callers(&self.registration, &self.config)),
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

/// By whom the registration has us called.
fn callers(registration: &Seen<ValidatingWebhookConfiguration>, config: &ClusterConfig) -> Vec<Caller> {
    let callers = |registration| view::callers(registration, config.service.as_ref());
    registration.there().map(callers).unwrap_or_default()
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
