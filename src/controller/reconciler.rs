//! The reconciler: observes the cluster, and has the plan carried out.

use std::{net::SocketAddr, pin::pin, sync::Arc};

use futures_util::{Stream, StreamExt as _, stream};
use k8s_openapi::api::admissionregistration::v1::ValidatingWebhookConfiguration;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt as _, watcher, watcher::watch_object},
};
use tokio::{sync::watch, time::sleep_until};
use tracing::{info, warn};

use super::{
    ControllerError,
    config::{Config, ManagedCertificates},
    executor::{Executor, SecretApi},
    handover::PolicyHandover,
    metrics::Metrics,
    now::Now,
    observed::{Observed, Policies},
    plan::{Plan, plan},
    status::Status,
};
use crate::{
    certificates::{Names, OwnClient, ServingCertificate, StoredCa},
    policy::PolicySet,
};

/// Gives the server a certificate to serve from now on. The error says why it cannot.
pub(crate) type Serve = Box<dyn Fn(Arc<ServingCertificate>) -> Result<(), String> + Send>;

/// The parts of the server that the reconciler uses.
pub(crate) struct Server {
    /// The address at which the guard can be called.
    pub(crate) address: SocketAddr,
    /// The policies in effect.
    pub(crate) policies: watch::Receiver<Arc<PolicySet>>,
    pub(crate) serve: Serve,
    pub(crate) status: watch::Sender<Arc<Status>>,
    pub(crate) metrics: Metrics,
}

/// Reconciles the registration with the policy, and Secret, bundle and certificate with each other.
pub(crate) struct Reconciler {
    client: Client,
    config: Config,
    certificates: Option<(ManagedCertificates, Names)>,
    own: Arc<OwnClient>,
    handover: Arc<PolicyHandover>,
}

impl Reconciler {
    /// Finds the API server, which need not answer yet.
    pub(crate) async fn new(
        config: Config,
        certificates: Option<ManagedCertificates>,
        handover: Arc<PolicyHandover>,
    ) -> Result<Self, ControllerError> {
        let found = kube::Config::infer().await.map_err(|error| ControllerError::Config(Box::new(error)))?;
        let client = Client::try_from(found).map_err(|error| ControllerError::Client(Box::new(error)))?;
        let certificates = match certificates {
            Some(managed) => {
                let names = Names::new(vec![managed.service.host()], Vec::new())?;
                Some((managed, names))
            }
            None => None,
        };
        Ok(Self { client, config, certificates, own: Arc::new(OwnClient::new()?), handover })
    }

    /// The certificate that the guard shows as its own client.
    pub(crate) fn own(&self) -> Arc<OwnClient> {
        Arc::clone(&self.own)
    }

    /// Reconciles for as long as the server runs.
    pub(crate) async fn run(self, server: Server) {
        let registrations: Api<ValidatingWebhookConfiguration> = Api::all(self.client.clone());
        let (managed, names) = self.certificates.unzip();
        let secret = managed.as_ref().map(|managed| SecretApi {
            secrets: Api::namespaced(self.client.clone(), &managed.service.namespace),
            name: managed.secret.clone(),
            lifetimes: managed.lifetimes,
        });
        let mut watched_registrations = pin!(events(registrations.clone(), &self.config.registration));
        let watched_secrets = secret.as_ref().map(|secret| events(secret.secrets.clone(), &secret.name).left_stream());
        let mut watched_secrets = pin!(watched_secrets.unwrap_or_else(|| stream::pending().right_stream()));
        let name = self.config.registration.clone();
        let mut executor = Executor::new(registrations, name, secret, self.own, server.address);
        let mut waiting = self.handover.changes();
        let in_effect = Arc::clone(&server.policies.borrow());
        let mut running = Running {
            observed: Observed::new(self.config, managed, in_effect),
            names,
            handover: self.handover,
            server,
        };
        loop {
            let look_again_at = running.reconcile(&mut executor);
            let Running { observed, server, .. } = &mut running;
            tokio::select! {
                Some(event) = watched_registrations.next() => match event {
                    Ok(registration) => observed.watched_registration(registration),
                    Err(error) => observed.failed(&error, &server.metrics),
                },
                Some(event) = watched_secrets.next() => match event {
                    Ok(secret) => observed.watched_secret(secret),
                    Err(error) => observed.failed(&error, &server.metrics),
                },
                Some(done) = executor.next() => observed.take(done, &server.metrics, Now::read()),
                _ = waiting.changed() => observed.policy_waits(),
                () = sleep_until(look_again_at) => {}
            }
        }
    }
}

/// The observed state, and the receivers of what follows from it.
struct Running {
    observed: Observed,
    names: Option<Names>,
    handover: Arc<PolicyHandover>,
    server: Server,
}

impl Running {
    /// Has the plan of this moment carried out. Gives the moment of the next look, if no event comes before it.
    fn reconcile(&mut self, executor: &mut Executor) -> tokio::time::Instant {
        let now = Now::read();
        let in_effect = Arc::clone(&self.server.policies.borrow());
        self.observed.refresh(Policies { in_effect, waiting: self.handover.waiting() }, now);
        let mut next = plan(&self.observed, now);
        if let Some(signer) = next.sign.take()
            && self.sign(&signer, now)
        {
            next = plan(&self.observed, now);
        }
        let Plan { actions, ends_update, hand_over, status, look_again_at, .. } = next;
        for action in actions {
            let turn = self.observed.begin(&action, now);
            executor.begin(turn, action);
        }
        if ends_update {
            self.observed.end_update(now);
        }
        if let Some(policies) = hand_over {
            self.handover.open(policies);
        }
        self.publish(status);
        look_again_at
    }

    /// Signs a certificate and has it served. False if that failed.
    fn sign(&mut self, stored: &StoredCa, now: Now) -> bool {
        let (Some(ca), Some(names)) = (&mut self.observed.ca, &self.names) else { return false };
        let serving = match stored.sign(names, ca.config.lifetimes, now.wall) {
            Ok(serving) => Arc::new(serving),
            Err(error) => {
                warn!(%error, "a certificate cannot be signed");
                return false;
            }
        };
        let renewed = humantime::format_rfc3339_seconds(serving.renewed_at).to_string();
        ca.serves(Arc::clone(&serving), stored.clone());
        match (self.server.serve)(serving) {
            Ok(()) => {
                self.observed.serves_anew();
                info!(renewed, "serving a certificate signed by the CA in the Secret");
            }
            Err(error) => warn!(error, "the certificate that was signed cannot be served"),
        }
        true
    }

    fn publish(&mut self, status: Status) {
        let before = Arc::clone(&self.server.status.borrow());
        if *before != status {
            status.publish(&before, &self.server.metrics);
            self.server.status.send_replace(Arc::new(status.clone()));
        }
        self.observed.status = status;
    }
}

/// The states of one object, from now on.
fn events<K>(api: Api<K>, name: &str) -> impl Stream<Item = Result<Option<K>, watcher::Error>> + Send + use<K>
where
    K: kube::Resource + Clone + serde::de::DeserializeOwned + std::fmt::Debug + Send + 'static,
{
    // A watch that fails is begun again, with pauses that grow.
    watch_object(api, name).default_backoff()
}
