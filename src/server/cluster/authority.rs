//! The CA in the Secret, and the certificate that is signed with it here.

use std::time::{Duration, SystemTime};

use futures_util::Stream;
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client, runtime::watcher};
use serde_json::Value;
use tokio::time::Instant;

use super::{
    patch::{self, certificates},
    view::{self, Caller, Followed, Seen},
};
use crate::{
    certificates::{CertificateError, Kept, Names, Signed, Validity},
    registration::ServiceName,
    server::config::ManagedCertificates,
};

/// How long a certificate goes on serving once API servers can trust the next CA: they learn of it by watches of their own.
const OVERLAP: Duration = Duration::from_secs(5);
/// How often what is overdue is looked at again.
const OVERDUE_INTERVAL: Duration = Duration::from_millis(250);

/// What the Secret should hold next.
pub(super) struct Due {
    pub(super) patch: Value,
    /// When the CA ends, where it is a new one.
    pub(super) new_until: Option<SystemTime>,
}

/// The CA that is ours to keep, and what was signed with it.
pub(super) struct Certificates {
    config: ManagedCertificates,
    names: Names,
    secrets: Api<Secret>,
    secret: Followed<Secret>,
    /// Whether it holds a CA that can be used.
    holds: bool,
    /// What is wrong with what it holds.
    problem: Option<String>,
    /// What the Secret held when it last held something.
    kept: Option<Kept>,
    /// What signed the certificate that is served.
    signer: Option<Kept>,
    leaf: Option<Signed>,
    /// Since when API servers can trust the CA that signs now.
    trusted: Option<(String, Instant)>,
}

impl Certificates {
    pub(super) fn new(
        config: ManagedCertificates,
        service: &ServiceName,
        client: Client,
    ) -> Result<Self, CertificateError> {
        Ok(Self {
            config,
            names: Names::new(vec![service.host()], Vec::new())?,
            secrets: Api::namespaced(client, &service.namespace),
            secret: Followed::new(),
            holds: false,
            problem: None,
            kept: None,
            signer: None,
            leaf: None,
            trusted: None,
        })
    }

    /// A certificate from a CA that nobody knows.
    pub(super) fn stand_in(&self) -> Result<Signed, CertificateError> {
        let (now, lifetimes) = (SystemTime::now(), self.config.lifetimes);
        Kept::new(None, lifetimes, now)?.sign(&self.names, lifetimes, now)
    }

    /// The states of the Secret, from now on.
    pub(super) fn events(&self) -> impl Stream<Item = Result<Option<Secret>, watcher::Error>> + Send + use<> {
        super::events(self.secrets.clone(), &self.config.secret)
    }

    /// Takes what the watch says of the Secret. False if it has to be read.
    pub(super) fn heard(&mut self, secret: Option<Secret>) -> bool {
        let is_taken = self.secret.hear(secret);
        self.judge();
        is_taken
    }

    /// Takes what was read or written just now.
    pub(super) fn saw(&mut self, secret: Option<Secret>) {
        self.secret.saw(secret);
        self.judge();
    }

    /// The Secrets, and the name of ours.
    pub(super) fn secret(&self) -> (Api<Secret>, String) {
        (self.secrets.clone(), self.config.secret.clone())
    }

    fn judge(&mut self) {
        let name = &self.config.secret;
        self.holds = false;
        self.problem = match self.secret.seen() {
            Seen::NotYet => None,
            Seen::Gone => Some(format!("there is no Secret {name}; make one without data")),
            Seen::There(secret) => match Kept::read(&view::data(secret)) {
                Ok(Some(kept)) => {
                    self.kept = Some(kept);
                    self.holds = true;
                    None
                }
                Ok(None) => None,
                Err(error) => Some(format!("Secret {name}: {error}; empty its data, and a new CA is made")),
            },
        };
    }

    pub(super) fn bundle(&self) -> Option<String> {
        self.kept.as_ref().filter(|_| self.holds).map(Kept::bundle)
    }

    pub(super) fn is_due(&self, now: SystemTime) -> bool {
        self.secret.there().is_some()
            && self.problem.is_none()
            && (!self.holds
                || self.kept.as_ref().is_none_or(|kept| kept.is_due(self.trusted_for(), self.config.lifetimes, now)))
    }

    /// For how long API servers have been able to trust the CA that signs, as far as was seen from here.
    fn trusted_for(&self) -> Duration {
        let since = |(ca, since): &(String, Instant)| {
            self.kept.as_ref().filter(|kept| kept.ca() == ca).map(|_| since.elapsed())
        };
        self.trusted.as_ref().and_then(since).unwrap_or_default()
    }

    /// What is due in the Secret that was seen last.
    pub(super) fn due(&self, now: SystemTime) -> Result<Option<Due>, CertificateError> {
        let Some(secret) = self.secret.there().filter(|_| self.is_due(now)) else { return Ok(None) };
        let next = match self.kept.as_ref().filter(|_| self.holds) {
            Some(kept) => Kept::due(kept, self.trusted_for(), self.config.lifetimes, now)?,
            None => Some(Kept::new(self.kept.as_ref(), self.config.lifetimes, now)?),
        };
        let due = next.map(|next| Due {
            patch: patch::secret(secret.metadata.resource_version.as_deref(), next.data()),
            new_until: self.kept.as_ref().is_none_or(|kept| kept.ca() != next.ca()).then(|| next.ends()),
        });
        Ok(due)
    }

    /// The certificate to serve from now on, where another is due. A new CA signs only once API servers had the time to learn
    /// of it, unless the one before is no good any more; until then that one goes on.
    pub(super) fn next_leaf(
        &mut self,
        callers: &[Caller],
        now: SystemTime,
    ) -> Result<Option<Signed>, CertificateError> {
        let Some(kept) = &self.kept else { return Ok(None) };
        let trusts = |kept: &Kept| {
            let ca = certificates(kept.ca().as_bytes());
            !callers.is_empty() && callers.iter().all(|caller| certificates(&caller.bundle).is_superset(&ca))
        };
        if !trusts(kept) {
            self.trusted = None;
        } else if self.trusted.as_ref().is_none_or(|(trusted, _)| trusted != kept.ca()) {
            self.trusted = Some((kept.ca().to_owned(), Instant::now()));
        }
        let since = self.trusted.as_ref().map(|(_, since)| since.elapsed());
        let goes_on =
            |signer: &&Kept| signer.ends() > now && !since.is_some_and(|since| since >= OVERLAP || !trusts(signer));
        let signer = self.signer.as_ref().filter(goes_on).unwrap_or(kept);
        let is_due = |leaf: &Signed| leaf.ca != signer.ca() || now >= leaf.renewed_at;
        // A CA that is over signs nothing that anybody would take.
        if !self.leaf.as_ref().is_none_or(|leaf| is_due(leaf) && signer.ends() > now) {
            return Ok(None);
        }
        let leaf = signer.sign(&self.names, self.config.lifetimes, now)?;
        self.signer = Some(signer.clone());
        Ok(Some(leaf))
    }

    /// The one that is served.
    pub(super) fn leaf(&self) -> Option<&Signed> {
        self.leaf.as_ref()
    }

    /// From now on this one is served.
    pub(super) fn serves(&mut self, leaf: Signed) {
        self.leaf = Some(leaf);
    }

    /// What is wrong with the Secret.
    pub(super) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Why nothing can be served yet that anybody trusts.
    pub(super) fn waits_for(&self) -> Option<String> {
        let waits = || format!("the CA in Secret {} was not read yet", self.config.secret);
        self.leaf.is_none().then(|| self.problem.clone().unwrap_or_else(waits))
    }

    /// When the CA that signs is good.
    pub(super) fn ca_validity(&self) -> Option<Validity> {
        self.kept.as_ref().and_then(Kept::validity)
    }

    /// Whether the Secret holds a CA or waits for one; unknown before it was seen.
    pub(super) fn is_kept(&self) -> Option<bool> {
        (!matches!(self.secret.seen(), Seen::NotYet)).then_some(self.problem.is_none())
    }

    /// When the next certificate is due, or the next CA, or the change from one to the other.
    pub(super) fn next_due(&self, now: SystemTime) -> Option<Instant> {
        let kept = self.kept.as_ref()?;
        let renewed = self.leaf.as_ref().map(|leaf| leaf.renewed_at);
        let soonest = renewed.into_iter().fold(kept.renewed_at(), SystemTime::min);
        // What is overdue waits for something else, which tells of itself.
        let due = Instant::now() + soonest.duration_since(now).unwrap_or_default().max(OVERDUE_INTERVAL);
        let (overlap, given_up) = (OVERLAP, self.config.lifetimes.leaf * 2);
        let since = self.trusted.as_ref().map(|(_, since)| *since);
        let changes = since.into_iter().flat_map(|since| [since + overlap, since + given_up]);
        Some(changes.filter(|change| *change > Instant::now()).fold(due, Instant::min))
    }
}
